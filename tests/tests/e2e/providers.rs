//! What providers there are, as data: the table of platforms that a registry shows its users.

use anyhow::{Context, Result};
use bindery_client::proto::v1::{AuthMethod, Capabilities, Provider};
use bindery_tests::{
    artifacts::Plugin,
    daemon::{Daemon, Options},
};

use crate::world::connected;

/// Platform, versions, limits on triggering, and what can be done: one row for each provider, and one for each edition.
const TABLE: [[&str; 4]; 7] = [
    [
        "Bitbucket Data Center",
        "Data Center 7.20 and later",
        "None",
        "webhooks, grant revocation",
    ],
    [
        "Bitbucket Cloud",
        "bitbucket.org",
        "None, since refs are compared: Bitbucket Cloud itself may send no webhook above 256 KB",
        "webhooks",
    ],
    [
        "Gitea",
        "Gitea 1.14 and later, Forgejo 7 and later",
        "None",
        "webhooks",
    ],
    ["Gitee", "All with API v5", "None", "webhooks"],
    [
        "GitHub",
        "github.com, GHE.com, Enterprise Server 3.9 and later",
        GITHUB_LIMITS,
        "webhooks (20), redelivery, narrowing, grant revocation, shared grant",
    ],
    [
        "GitHub",
        "github.com, GHE.com",
        GITHUB_LIMITS,
        "webhooks (20), redelivery, narrowing, token revocation, grant revocation, shared grant",
    ],
    [
        "GitLab",
        "gitlab.com, Self-Managed and Dedicated 16.10 and later",
        "None, since refs are compared: GitLab itself sends no webhook for a push of more than 3 branches or tags, nor above 25 MB",
        "webhooks, redelivery, token revocation, grant revocation",
    ],
];

const GITHUB_LIMITS: &str = "None, since refs are compared: GitHub itself sends no webhook for more than 3 tags or 5,000 branches in one push, nor above 25 MB";

/// Ways to authorize, the recommended one first: name, whether a token is renewed without a person, and whether PKCE is used.
const METHODS: [(&str, &[&str]); 7] = [
    (
        "Bitbucket Data Center",
        &[
            "Bitbucket Data Center OAuth 2.0 (codes live 10 seconds), PKCE, refreshed",
            "HTTP access token",
        ],
    ),
    (
        "Bitbucket Cloud",
        &[
            "Bitbucket Cloud OAuth 2.0, refreshed",
            "API token, or access token of a repository, project or workspace",
        ],
    ),
    (
        "Gitea",
        &[
            "Gitea OAuth authentication, PKCE, refreshed",
            "Gitea personal access token",
        ],
    ),
    (
        "Gitee",
        &[
            "Gitee OAuth authentication, refreshed",
            "Gitee personal access token",
        ],
    ),
    ("GitHub", &GITHUB_METHODS),
    ("GitHub", &GITHUB_METHODS),
    (
        "GitLab",
        &[
            "GitLab OAuth authentication, PKCE, refreshed",
            "GitLab device authorization, refreshed",
            "GitLab personal, project or group access token, refreshed",
        ],
    ),
];

const GITHUB_METHODS: [&str; 4] = [
    "GitHub OAuth authentication, PKCE, refreshed",
    "GitHub device authentication, refreshed",
    "GitHub personal access token",
    "GitHub App installation, refreshed",
];

/// A row as it is told.
struct Row {
    platform: String,
    versions: String,
    limits: String,
    methods: Vec<AuthMethod>,
    can: Capabilities,
}

/// A provider, and then its editions.
fn rows(provider: Provider) -> Result<Vec<Row>> {
    let mut rows = vec![Row {
        platform: provider.display_name,
        versions: provider.platform_versions,
        limits: provider.trigger_limits,
        methods: provider.auth_methods,
        can: provider.capabilities.context("no capabilities")?,
    }];
    for edition in provider.editions {
        rows.push(Row {
            platform: edition.display_name,
            versions: edition.platform_versions,
            limits: edition.trigger_limits,
            methods: edition.auth_methods,
            can: edition.capabilities.context("no capabilities")?,
        });
    }
    Ok(rows)
}

fn abilities(can: Capabilities) -> String {
    let webhooks = match can.max_webhooks_per_repository {
        0 => "webhooks".to_owned(),
        most => format!("webhooks ({most})"),
    };
    let words = [
        (can.webhooks, webhooks.as_str()),
        (can.redelivery, "redelivery"),
        (can.narrowing, "narrowing"),
        (can.token_revocation, "token revocation"),
        (can.grant_revocation, "grant revocation"),
        (can.grant_shared_by_identity, "shared grant"),
    ];
    let words = words
        .into_iter()
        .filter_map(|(able, word)| able.then_some(word));
    words.collect::<Vec<_>>().join(", ")
}

fn way(method: &AuthMethod) -> String {
    let mut words = vec![method.display_name.as_str()];
    words.extend(method.pkce.then_some("PKCE"));
    words.extend(method.refreshable.then_some("refreshed"));
    words.join(", ")
}

/// The whole table, of all five real plugins: nobody can shorten it without a word here.
#[tokio::test(flavor = "multi_thread")]
async fn providers_are_a_table() -> Result<()> {
    let options = Options {
        plugins: vec![
            Plugin::Bitbucket,
            Plugin::Gitea,
            Plugin::Gitee,
            Plugin::GitHub,
            Plugin::GitLab,
        ],
        ..Options::default()
    };
    let daemon = Daemon::start(&options).await?;
    let client = connected(&daemon).await?;
    let mut providers = client.list_providers().all().await?;
    providers.sort_by(|one, other| one.name.cmp(&other.name));
    let mut told = Vec::new();
    for provider in providers {
        told.extend(rows(provider)?);
    }
    let table: Vec<_> = told
        .iter()
        .map(|row| {
            let (platform, versions) = (row.platform.clone(), row.versions.clone());
            [platform, versions, row.limits.clone(), abilities(row.can)]
        })
        .collect();
    assert_eq!(table, TABLE.map(|row| row.map(str::to_owned)));
    let methods: Vec<(&str, Vec<String>)> = told
        .iter()
        .map(|row| (row.platform.as_str(), row.methods.iter().map(way).collect()))
        .collect();
    let expected = METHODS.map(|(platform, ways)| {
        let ways = ways.iter().map(|way| (*way).to_owned());
        (platform, ways.collect::<Vec<_>>())
    });
    assert_eq!(methods, expected);
    Ok(())
}
