//! O1, O2, O3: what attackers do to the way by which a link is made, at every provider and edition that has OAuth.
//!
//! After each case no link is bound, and where the case fails before the exchange nothing was asked of the forge's token
//! endpoint. At the end of each row the right person links in the right way, so that the row is known to lead somewhere.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use bindery_client::proto::v1::AuthMethodKind;
use bindery_tests::{
    bitbucket::{BitbucketCloudForge, BitbucketDataCenterForge},
    forge::{Forge, GitHubForge, TwinForge},
    inside::Inside,
};
use bindery_twins::{gitea::Gitea, gitee::Gitee, gitlab::GitLab};

pub(crate) use self::scene::{value, with};
use self::{case::Case, scene::Scene};

#[path = "tampering/case.rs"]
mod case;
#[path = "tampering/early.rs"]
mod early;
#[path = "tampering/late.rs"]
mod late;
#[path = "tampering/scene.rs"]
mod scene;

/// Each row as a test of its own, and all of them as a list of provider and edition.
macro_rules! rows {
    ($($(#[$doc:meta])+ $row:ident: $edition:literal, $forge:ty, $start:expr;)+) => {
        $(
            $(#[$doc])+
            #[tokio::test(flavor = "multi_thread")]
            async fn $row() -> Result<()> {
                every_case($edition, $start.await?).await
            }
        )+

        /// Provider and edition of each row.
        pub(crate) const ROWS: &[(&str, &str)] = &[$((<$forge as Forge>::PLUGIN.name(), $edition)),+];
    };
}

rows! {
    /// The twin of Bitbucket Cloud, which knows no PKCE.
    o1_o2_o3_bitbucket_cloud: "cloud", BitbucketCloudForge, BitbucketCloudForge::start();
    /// The twin of Bitbucket Data Center.
    o1_o2_o3_bitbucket_data_center: "", BitbucketDataCenterForge, BitbucketDataCenterForge::start();
    /// The twin of Gitea.
    o1_o2_o3_gitea: "", TwinForge<Gitea>, TwinForge::<Gitea>::start(false);
    /// The twin of Gitee, which takes no notice of PKCE.
    o1_o2_o3_gitee: "", TwinForge<Gitee>, TwinForge::<Gitee>::start(false);
    /// The stand-in for GitHub, as github.com and GHE.com.
    o1_o2_o3_github_cloud: "cloud", GitHubForge, GitHubForge::start_cloud();
    /// The stand-in for GitHub, as an Enterprise Server.
    o1_o2_o3_github_enterprise_server: "", GitHubForge, GitHubForge::start(true, None);
    /// The twin of GitLab.
    o1_o2_o3_gitlab: "", TwinForge<GitLab>, TwinForge::<GitLab>::start(false);
}

async fn every_case<F: Inside>(edition: &str, forge: F) -> Result<()> {
    let mut scene = Scene::new(forge).await?;
    is_of(&scene, edition).await?;
    for case in Case::ALL {
        let ended = scene.survives(case).await;
        ended.with_context(|| format!("{case:?}"))?;
    }
    scene.links().await.context("the right way")
}

/// The row is of the edition that it says, and every edition with OAuth has a row.
async fn is_of<F: Inside>(scene: &Scene<F>, edition: &str) -> Result<()> {
    let provider = F::PLUGIN.name();
    for (name, methods) in crate::table::editions(&scene.world, edition).await? {
        ensure!(
            !methods.contains(&AuthMethodKind::OauthCode)
                || ROWS.contains(&(provider, name.as_str())),
            "edition {name} of {provider} has no row"
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
