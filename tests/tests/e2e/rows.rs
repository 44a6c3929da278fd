//! The rows of the table for other contracts: one forge for each provider, and for each edition of one.

use crate::table;

/// Hands all rows to another macro, after what it is given: name, edition, type, and how it is started.
macro_rules! forges {
    ($to:ident!($($given:tt)*)) => {
        $to! {
            [$($given)*]
            bitbucket_cloud: "cloud", bindery_tests::bitbucket::BitbucketCloudForge,
                bindery_tests::bitbucket::BitbucketCloudForge::start();
            bitbucket_data_center: "", bindery_tests::bitbucket::BitbucketDataCenterForge,
                bindery_tests::bitbucket::BitbucketDataCenterForge::start();
            gitea: "", bindery_tests::forge::TwinForge<bindery_twins::gitea::Gitea>,
                bindery_tests::forge::TwinForge::<bindery_twins::gitea::Gitea>::start(false);
            gitee: "", bindery_tests::forge::TwinForge<bindery_twins::gitee::Gitee>,
                bindery_tests::forge::TwinForge::<bindery_twins::gitee::Gitee>::start(false);
            github_cloud: "cloud", bindery_tests::forge::GitHubForge,
                bindery_tests::forge::GitHubForge::start_cloud();
            github_enterprise_server: "", bindery_tests::forge::GitHubForge,
                bindery_tests::forge::GitHubForge::start(true, None);
            gitlab: "", bindery_tests::forge::TwinForge<bindery_twins::gitlab::GitLab>,
                bindery_tests::forge::TwinForge::<bindery_twins::gitlab::GitLab>::start(false);
        }
    };
}
pub(crate) use forges;

/// A contract at each forge: a module of that name, with one test for each row.
macro_rules! at_every_forge {
    ($(#[$doc:meta])+ $name:ident: $contract:path) => {
        $(#[$doc])+
        mod $name {
            use crate::rows::contracts;

            crate::rows::forges! { contracts!($contract) }
        }
    };
}
pub(crate) use at_every_forge;

/// What [`at_every_forge`] puts into the module.
macro_rules! contracts {
    ([$contract:path] $($row:ident: $edition:literal, $forge:ty, $start:expr;)+) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $row() -> anyhow::Result<()> {
                $contract($start.await?).await
            }
        )+
    };
}
pub(crate) use contracts;

/// As [`at_every_forge`], with two forges of the row.
macro_rules! at_two_of_every_forge {
    ($(#[$doc:meta])+ $name:ident: $contract:path) => {
        $(#[$doc])+
        mod $name {
            use crate::rows::contracts_of_two;

            crate::rows::forges! { contracts_of_two!($contract) }
        }
    };
}
pub(crate) use at_two_of_every_forge;

/// What [`at_two_of_every_forge`] puts into the module.
macro_rules! contracts_of_two {
    ([$contract:path] $($row:ident: $edition:literal, $forge:ty, $start:expr;)+) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $row() -> anyhow::Result<()> {
                $contract($start.await?, $start.await?).await
            }
        )+
    };
}
pub(crate) use contracts_of_two;

/// Provider and edition of each row.
macro_rules! list {
    ([] $($row:ident: $edition:literal, $forge:ty, $start:expr;)+) => {
        [$((<$forge as bindery_tests::forge::Forge>::PLUGIN.name(), $edition)),+]
    };
}

/// The rows are those of the table, which no one can shorten.
#[test]
fn the_rows_are_those_of_the_table() {
    let rows = forges! { list!() };
    assert_eq!(rows.as_slice(), table::ROWS);
}
