//! Zero residue: after an unlink the forge holds no hook and no grant of ours, or the receipt names each one.
//!
//! A row is a forge that stands for a provider, or for an edition of one, and what it may be linked with. What the forge says
//! of itself is compared with the receipt: whatever is alive there is named with the page where a person ends it, and whatever
//! the receipt calls gone is gone.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use bindery_client::proto::v1::AuthMethodKind::{
    self, AccessToken, AppInstallation, DeviceFlow, OauthCode,
};
use bindery_tests::{
    bitbucket::{BitbucketCloudForge, BitbucketDataCenterForge},
    forge::{Forge, GitHubForge, TwinForge},
    inside::Inside,
};
use bindery_twins::{gitea::Gitea, gitee::Gitee, gitlab::GitLab};

use self::{ending::Ending, row::Row};

#[path = "residue/compare.rs"]
mod compare;
#[path = "residue/ending.rs"]
mod ending;
#[path = "residue/row.rs"]
mod row;

/// Each row as a test of its own, and all of them as a list of provider, edition and methods.
macro_rules! rows {
    ($($(#[$doc:meta])+ $row:ident: $edition:literal, $forge:ty, $start:expr, $methods:expr;)+) => {
        $(
            $(#[$doc])+
            #[tokio::test(flavor = "multi_thread")]
            async fn $row() -> Result<()> {
                whole($edition, $methods, $start.await?).await
            }
        )+

        /// Provider, edition and methods of each row.
        const ROWS: &[(&str, &str, &[AuthMethodKind])] =
            &[$((<$forge as Forge>::PLUGIN.name(), $edition, $methods)),+];
    };
}

rows! {
    /// The twin of Bitbucket Cloud: nothing can be revoked by API.
    bitbucket_cloud: "cloud", BitbucketCloudForge, BitbucketCloudForge::start(), &[OauthCode, AccessToken];
    /// The twin of Bitbucket Data Center.
    bitbucket_data_center: "", BitbucketDataCenterForge, BitbucketDataCenterForge::start(), &[OauthCode, AccessToken];
    /// The twin of Gitea: nothing can be revoked by API.
    gitea: "", TwinForge<Gitea>, TwinForge::<Gitea>::start(false), &[OauthCode, AccessToken];
    /// The twin of Gitee: nothing can be revoked by API.
    gitee: "", TwinForge<Gitee>, TwinForge::<Gitee>::start(false), &[OauthCode, AccessToken];
    /// The stand-in for GitHub, as github.com and GHE.com.
    github_cloud: "cloud", GitHubForge, GitHubForge::start_cloud(), GITHUB;
    /// The stand-in for GitHub, as an Enterprise Server.
    github_enterprise_server: "", GitHubForge, GitHubForge::start(true, None), GITHUB;
    /// The twin of GitLab.
    gitlab: "", TwinForge<GitLab>, TwinForge::<GitLab>::start(false), &[OauthCode, DeviceFlow, AccessToken];
}

/// An app takes the host's OAuth client over, so it comes last.
const GITHUB: &[AuthMethodKind] = &[OauthCode, DeviceFlow, AccessToken, AppInstallation];

/// Every ending of a link by OAuth, and the plain one of links by all other methods.
async fn whole<F: Inside>(edition: &str, methods: &[AuthMethodKind], forge: F) -> Result<()> {
    let mut row = Row::new(forge, methods).await?;
    is_of(&row, edition, methods).await?;
    for ending in Ending::ALL {
        let ended = row.ends(OauthCode, ending).await;
        ended.with_context(|| format!("{ending:?}"))?;
    }
    for &method in methods {
        let ended = row.ends(method, Ending::Plain).await;
        ended.with_context(|| format!("{method:?}"))?;
    }
    if methods.contains(&AppInstallation) {
        let ended = row.ends_by_the_hook_of_an_app().await;
        ended.context("by the hook of the app")?;
    }
    Ok(())
}

/// The row is of the edition that it says, and has every method that the plugin describes for it; and no edition that the
/// plugin describes is without a row.
async fn is_of<F: Inside>(row: &Row<F>, edition: &str, methods: &[AuthMethodKind]) -> Result<()> {
    let provider = F::PLUGIN.name();
    for (name, offered) in crate::table::editions(&row.world, edition).await? {
        ensure!(
            ROWS.iter()
                .any(|row| (row.0, row.1) == (provider, name.as_str())),
            "edition {name} of {provider} has no row"
        );
        let offered: BTreeSet<_> = offered.into_iter().collect();
        ensure!(
            name != edition || offered == methods.iter().copied().collect(),
            "{provider} offers {offered:?}, and the row has {methods:?}"
        );
    }
    Ok(())
}

/// The table can't be shortened: a plugin without a row fails this. The template speaks to no forge that exists.
#[test]
fn every_provider_has_a_row() -> Result<()> {
    let rows: BTreeSet<_> = ROWS.iter().map(|row| row.0.to_owned()).collect();
    let mut plugins = crate::table::plugins()?;
    plugins.retain(|name| name != "template");
    assert_eq!(rows, plugins, "providers with a row, and plugins");
    Ok(())
}
