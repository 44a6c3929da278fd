//! All that is data about GitHub

use bindery_plugin_sdk::v1::{
    AuthKind, AuthMethod, ClientAuthentication, Description, Endpoints, KnownHost, Operation,
    Permission, PermissionScopes, PkceSupport, RateLimitHeaders, RefreshReuse, RefreshRotation,
    RevocationSupport, TokenKind,
};
use bindery_plugin_sdk::{Cx, Result};

use crate::hooks;

/// github.com and GHE.com, which have endpoints that Enterprise Server lacks, and other pages.
const CLOUD: &str = "cloud";

/// Tokens of persons that end: eight hours.
const USER_TOKEN_S: u64 = 8 * 3600;

/// What `refresh_token_expires_in` says: 184 days, and every refresh begins them anew.
const REFRESH_IDLE_S: u64 = 15_897_600;

/// Tokens of installations: one hour.
const INSTALLATION_TOKEN_S: u64 = 3600;

/// What a push can be too large for. Bindery compares refs from time to time, so such a push triggers a build a little later.
const TRIGGER_LIMITS: &str = "None, since refs are compared: GitHub itself sends no webhook for more than 3 tags or 5,000 \
    branches in one push, nor above 25 MB";

/// Whether the host is one that GitHub itself operates.
pub(crate) fn is_cloud(cx: &Cx) -> bool {
    cx.edition() == CLOUD
}

/// Where a person installs the app.
pub(crate) fn install_page(cx: &Cx, slug: &str) -> Result<String> {
    let apps = if is_cloud(cx) { "apps" } else { "github-apps" };
    let page = cx.web(&[apps, slug, "installations", "new"])?;
    Ok(page.into())
}

/// Any other host is an Enterprise Server.
pub(crate) fn description() -> Description {
    Description {
        editions: vec![cloud()],
        ..server()
    }
}

fn cloud() -> Description {
    Description {
        edition: CLOUD.to_owned(),
        edition_webs: vec![
            "https://github.com".to_owned(),
            "https://*.ghe.com".to_owned(),
        ],
        platform_versions: "github.com, GHE.com".to_owned(),
        app_install_uri: "{web}/apps/{app_slug}/installations/new".to_owned(),
        revocation: Some(RevocationSupport {
            access_token: true,
            ..revocation()
        }),
        ..server()
    }
}

fn server() -> Description {
    Description {
        provider: "github".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        operations: operations(),
        secrets: secrets(),
        display_name: "GitHub".to_owned(),
        platform_versions: "github.com, GHE.com, Enterprise Server 3.9 and later".to_owned(),
        trigger_limits: TRIGGER_LIMITS.to_owned(),
        endpoints: Some(endpoints()),
        auth_methods: vec![oauth(), device(), access_token(), app()],
        token_kinds: token_kinds(),
        permissions: permissions(),
        rate_limits: Some(RateLimitHeaders {
            limit: "x-ratelimit-limit".to_owned(),
            remaining: "x-ratelimit-remaining".to_owned(),
            reset: "x-ratelimit-reset".to_owned(),
        }),
        revocation: Some(revocation()),
        app_install_uri: "{web}/github-apps/{app_slug}/installations/new".to_owned(),
        hooks: Some(hooks::support()),
        ..Description::default()
    }
}

fn operations() -> Vec<i32> {
    let all = [
        Operation::Identify,
        Operation::InspectToken,
        Operation::ListOrganizations,
        Operation::ListRepositories,
        Operation::GetRepository,
        Operation::ListRefs,
        Operation::Revoke,
        Operation::Probe,
        Operation::MintToken,
        Operation::GetInstallation,
        Operation::ListHooks,
        Operation::CreateHook,
        Operation::UpdateHook,
        Operation::DeleteHook,
        Operation::PingHook,
        Operation::ListDeliveries,
        Operation::Redeliver,
        Operation::ParseDelivery,
    ];
    all.map(i32::from).to_vec()
}

fn secrets() -> Vec<String> {
    let all = [
        "access_token",
        "client_secret",
        "app_private_key",
        "app_jwt",
        "minted_token",
        "hook_secret",
    ];
    all.map(str::to_owned).to_vec()
}

/// A tenant of GHE.com has its API on a name of its own, as github.com has.
fn endpoints() -> Endpoints {
    Endpoints {
        api_from_web: "{web}/api/v3".to_owned(),
        authorize: "{web}/login/oauth/authorize".to_owned(),
        token: "{web}/login/oauth/access_token".to_owned(),
        revoke: String::new(),
        device: "{web}/login/device/code".to_owned(),
        known_hosts: vec![
            known("https://github.com", "https://api.github.com"),
            known("https://*.ghe.com", "https://api.*.ghe.com"),
        ],
    }
}

fn known(web: &str, api: &str) -> KnownHost {
    KnownHost {
        web: web.to_owned(),
        api: api.to_owned(),
    }
}

/// Tokens without an expiry are still made, so a reply without a refresh token is as good as one with it.
fn oauth() -> AuthMethod {
    AuthMethod {
        kind: AuthKind::OauthCode.into(),
        display_name: "GitHub OAuth authentication".to_owned(),
        pkce: PkceSupport::S256.into(),
        ..token_endpoint()
    }
}

/// PKCE has no place in the device flow.
fn device() -> AuthMethod {
    AuthMethod {
        kind: AuthKind::Device.into(),
        display_name: "GitHub device authentication".to_owned(),
        pkce: PkceSupport::None.into(),
        ..token_endpoint()
    }
}

fn token_endpoint() -> AuthMethod {
    AuthMethod {
        client_authentication: ClientAuthentication::Body.into(),
        scope_separator: " ".to_owned(),
        response_scope_separator: ",".to_owned(),
        rotation: RefreshRotation::Always.into(),
        reuse: RefreshReuse::Fatal.into(),
        help_uri: "{web}/settings/developers".to_owned(),
        dead_grant_errors: vec!["bad_refresh_token".to_owned(), "invalid_grant".to_owned()],
        errors_with_status_ok: true,
        token_lifetime_s: USER_TOKEN_S,
        refresh_idle_s: REFRESH_IDLE_S,
        ..AuthMethod::default()
    }
}

fn access_token() -> AuthMethod {
    AuthMethod {
        kind: AuthKind::AccessToken.into(),
        display_name: "GitHub personal access token".to_owned(),
        help_uri: "{web}/settings/tokens".to_owned(),
        ..AuthMethod::default()
    }
}

/// Nothing is refreshed: a token is minted when it is needed.
fn app() -> AuthMethod {
    AuthMethod {
        kind: AuthKind::AppInstallation.into(),
        display_name: "GitHub App installation".to_owned(),
        help_uri: "{web}/settings/installations".to_owned(),
        token_lifetime_s: INSTALLATION_TOKEN_S,
        ..AuthMethod::default()
    }
}

/// GitHub looks at the password only; the name still has to be there.
fn token_kinds() -> Vec<TokenKind> {
    let kind = |name: &str, prefix: &str, auth: AuthKind, git_username: &str| TokenKind {
        name: name.to_owned(),
        prefix: prefix.to_owned(),
        auth_kind: auth.into(),
        git_username: git_username.to_owned(),
        ..TokenKind::default()
    };
    let any = AuthKind::Unspecified;
    vec![
        kind("fine_grained_token", "github_pat_", any, "{login}"),
        kind("personal_access_token", "ghp_", any, "{login}"),
        // From either OAuth way: the browser's or the device's.
        kind("oauth", "gho_", any, "x-access-token"),
        kind("app_user", "ghu_", any, "x-access-token"),
        kind("installation", "ghs_", any, "x-access-token"),
        // Bare hexadecimal: from before 2021, and from servers of that age.
        kind(
            "legacy_personal_access_token",
            "",
            AuthKind::AccessToken,
            "{login}",
        ),
        kind("legacy", "", any, "x-access-token"),
    ]
}

/// Scopes of classic tokens; what an app's permissions carry is covered as well.
fn permissions() -> Vec<PermissionScopes> {
    let row = |permission: Permission, scopes: &[&str], covered_by: &[&str]| PermissionScopes {
        permission: permission.into(),
        scopes: scopes.iter().map(|&one| one.to_owned()).collect(),
        covered_by: covered_by.iter().map(|&one| one.to_owned()).collect(),
    };
    vec![
        // Who one is, any token tells.
        row(Permission::Identity, &[], &[]),
        row(
            Permission::Organizations,
            &["read:org"],
            &["write:org", "admin:org", "members:read", "members:write"],
        ),
        // There is no scope that only reads private code.
        row(
            Permission::ReadCode,
            &["repo"],
            &["contents:read", "contents:write"],
        ),
        row(Permission::WriteCode, &["repo"], &["contents:write"]),
        // `write:repo_hook` can't delete.
        row(
            Permission::Webhooks,
            &["admin:repo_hook"],
            &["repo", "repository_hooks:write"],
        ),
    ]
}

fn revocation() -> RevocationSupport {
    RevocationSupport {
        oauth: true,
        // Only in the cloud; elsewhere the answer is the page.
        access_token: false,
        oauth_page: "{web}/settings/connections/applications/{client_id}".to_owned(),
        access_token_page: "{web}/settings/tokens".to_owned(),
        kills_siblings: true,
    }
}
