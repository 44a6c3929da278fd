//! The table: each provider, and all that is done with a link, by the command line.
//!
//! A row is a forge that stands for a provider, or for an edition of one. A column is a [`Step`]. Every row takes every step,
//! and every provider that there is a plugin of has a row. The table is printed when the last row has ended.

use std::{collections::BTreeSet, path::Path};

use anyhow::{Context as _, Result, ensure};
use bindery_client::proto::v1::{AuthMethod, AuthMethodKind};
use bindery_tests::{
    bitbucket::{BitbucketCloudForge, BitbucketDataCenterForge},
    forge::{Forge, GitHubForge, TwinForge},
};
use bindery_twins::{gitea::Gitea, gitee::Gitee, gitlab::GitLab};

pub(crate) use self::row::next_second;
use self::{printed::Line, row::Row, step::Step};
use crate::world::World;

#[path = "table/cli.rs"]
pub(crate) mod cli;
#[path = "table/end.rs"]
mod end;
#[path = "table/git.rs"]
mod git;
#[path = "table/place.rs"]
mod place;
#[path = "table/printed.rs"]
mod printed;
#[path = "table/row.rs"]
mod row;
#[path = "table/step.rs"]
mod step;

/// Each row as a test of its own, and all of them as a list of provider and edition.
macro_rules! rows {
    ($($(#[$doc:meta])+ $row:ident: $edition:literal, $forge:ty, $start:expr;)+) => {
        $(
            $(#[$doc])+
            #[tokio::test(flavor = "multi_thread")]
            async fn $row() -> Result<()> {
                whole(stringify!($row), $edition, $start.await?).await
            }
        )+

        /// Provider and edition of each row.
        pub(crate) const ROWS: &[(&str, &str)] = &[$((<$forge as Forge>::PLUGIN.name(), $edition)),+];
    };
}

rows! {
    /// The twin of Bitbucket Cloud: no PKCE, and no revocation by API.
    bitbucket_cloud: "cloud", BitbucketCloudForge, BitbucketCloudForge::start();
    /// The twin of Bitbucket Data Center, below a context path.
    bitbucket_data_center: "", BitbucketDataCenterForge, BitbucketDataCenterForge::start();
    /// The twin of Gitea.
    gitea: "", TwinForge<Gitea>, TwinForge::<Gitea>::start(false);
    /// The twin of Gitee: every refresh kills the old pair.
    gitee: "", TwinForge<Gitee>, TwinForge::<Gitee>::start(false);
    /// The stand-in for GitHub, with tokens that expire, as github.com and GHE.com.
    github_cloud: "cloud", GitHubForge, GitHubForge::start_cloud();
    /// The stand-in for GitHub, with tokens that expire, as an Enterprise Server.
    github_enterprise_server: "", GitHubForge, GitHubForge::start(true, None);
    /// The twin of GitLab, below a relative root.
    gitlab: "", TwinForge<GitLab>, TwinForge::<GitLab>::start(false);
}

/// All steps in their order; the first that fails ends the row.
async fn whole<F: Forge>(name: &'static str, edition: &str, forge: F) -> Result<()> {
    let mut line = Line::new(name, ROWS.len());
    let mut row = Row::new(forge).await?;
    row.is_of(edition)?;
    for step in Step::ALL {
        line.begins(step);
        let taken = row.take(step).await;
        taken.with_context(|| format!("{name}: {}", step.name()))?;
        line.done(step);
    }
    Ok(())
}

impl<F: Forge> Row<F> {
    /// The row is of the edition that it says, and no edition that the plugin describes is without a row.
    fn is_of(&self, edition: &str) -> Result<()> {
        let mut settings = self.forge.settings().iter();
        let set = settings.find(|(name, _)| *name == "edition");
        ensure!(
            set.map_or("", |(_, value)| value) == edition,
            "the row is of edition {set:?}"
        );
        let provider = F::PLUGIN.name();
        let described = cli::json(&self.daemon, &["provider", "get", provider])?;
        let editions = described["editions"].as_array().into_iter().flatten();
        let editions = editions.map(|one| cli::text(one, "/name"));
        // The empty one is a host of no edition.
        for one in std::iter::once(Ok("")).chain(editions) {
            let one = one?;
            ensure!(
                ROWS.contains(&(provider, one)),
                "edition {one} of {provider} has no row"
            );
        }
        Ok(())
    }
}

/// The table can't be shortened: a plugin without a row fails this. The template speaks to no forge that exists.
#[test]
fn every_provider_has_a_row() -> Result<()> {
    let rows: BTreeSet<_> = ROWS
        .iter()
        .map(|(provider, _)| (*provider).to_owned())
        .collect();
    let mut plugins = plugins()?;
    plugins.retain(|name| name != "template");
    assert_eq!(rows, plugins, "providers with a row, and plugins");
    Ok(())
}

/// Checks that the forge's host is of `edition`, and returns every edition that its plugin describes, with what it offers there. The
/// empty one is a host of no edition.
pub(crate) async fn editions<F: Forge>(
    world: &World<F>,
    edition: &str,
) -> Result<Vec<(String, Vec<AuthMethodKind>)>> {
    let mut settings = world.forge.settings().iter();
    let set = settings.find(|(name, _)| *name == "edition");
    ensure!(
        set.map_or("", |(_, value)| value) == edition,
        "the row is of edition {set:?}"
    );
    let provider = format!("providers/{}", F::PLUGIN.name());
    let described = world.client.get_provider(provider).await?;
    let kinds = |methods: &[AuthMethod]| methods.iter().map(AuthMethod::kind).collect();
    let editions = described.editions.iter();
    let editions = editions.map(|one| (one.name.clone(), kinds(&one.auth_methods)));
    let none = (String::new(), kinds(&described.auth_methods));
    Ok(editions.chain([none]).collect())
}

/// Names in the manifests of all plugins.
pub(crate) fn plugins() -> Result<BTreeSet<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins");
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(folder)? {
        let Ok(manifest) = std::fs::read_to_string(entry?.path().join("manifest.toml")) else {
            continue;
        };
        let manifest: toml::Table = manifest.parse()?;
        let name = manifest.get("name").and_then(toml::Value::as_str);
        names.insert(name.context("a manifest names no plugin")?.to_owned());
    }
    Ok(names)
}

/// The steps are those that a link has to go through at every provider.
#[test]
fn every_step_has_a_column() {
    let names = Step::ALL.map(Step::name).join(", ");
    let contract = "link, list, fetch, clone, refresh, disable, enable, reauthorize, unlink";
    assert_eq!(names, contract);
}
