//! All that is data about GitHub

use bindery_plugin_sdk::v1::{
    AuthKind, AuthMethod, ClientAuthentication, Description, Endpoints, KnownHost, Operation,
    Permission, PermissionScopes, PkceSupport, RateLimitHeaders, RefreshReuse, RefreshRotation,
    RevocationSupport, TokenKind,
};

/// API of github.com, which has endpoints that Enterprise Server lacks.
pub(crate) const PUBLIC_API: &str = "https://api.github.com";

pub(crate) fn description() -> Description {
    Description {
        provider: "github".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        operations: operations(),
        secrets: vec!["access_token".to_owned(), "client_secret".to_owned()],
        display_name: "GitHub".to_owned(),
        platform_versions: "github.com, GHE.com, Enterprise Server 3.9 and later".to_owned(),
        trigger_limits: "None".to_owned(),
        endpoints: Some(endpoints()),
        auth_methods: vec![oauth(), device(), access_token()],
        token_kinds: token_kinds(),
        permissions: permissions(),
        rate_limits: Some(RateLimitHeaders {
            limit: "x-ratelimit-limit".to_owned(),
            remaining: "x-ratelimit-remaining".to_owned(),
            reset: "x-ratelimit-reset".to_owned(),
        }),
        revocation: Some(revocation()),
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
    ];
    all.map(i32::from).to_vec()
}

/// The API of a GHE.com tenant is `https://api.SUB.ghe.com`, which no template over `{web}` can say: the operator
/// configures it with the host.
fn endpoints() -> Endpoints {
    Endpoints {
        api_from_web: "{web}/api/v3".to_owned(),
        authorize: "{web}/login/oauth/authorize".to_owned(),
        token: "{web}/login/oauth/access_token".to_owned(),
        revoke: String::new(),
        device: "{web}/login/device/code".to_owned(),
        known_hosts: vec![KnownHost {
            web: "https://github.com".to_owned(),
            api: PUBLIC_API.to_owned(),
        }],
    }
}

/// Tokens without an expiry are still made, so a reply without a refresh token is as good as one with it.
fn oauth() -> AuthMethod {
    AuthMethod {
        kind: AuthKind::OauthCode.into(),
        pkce: PkceSupport::S256.into(),
        ..token_endpoint()
    }
}

/// PKCE has no place in the device flow.
fn device() -> AuthMethod {
    AuthMethod {
        kind: AuthKind::Device.into(),
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
        ..AuthMethod::default()
    }
}

fn access_token() -> AuthMethod {
    AuthMethod {
        kind: AuthKind::AccessToken.into(),
        help_uri: "{web}/settings/tokens".to_owned(),
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
            &["write:org", "admin:org"],
        ),
        // There is no scope that only reads private code.
        row(Permission::ReadCode, &["repo"], &[]),
        row(Permission::WriteCode, &["repo"], &[]),
        // `write:repo_hook` can't delete.
        row(Permission::Webhooks, &["admin:repo_hook"], &["repo"]),
    ]
}

fn revocation() -> RevocationSupport {
    RevocationSupport {
        oauth: true,
        // On github.com; elsewhere the answer is the page.
        access_token: true,
        oauth_page: "{web}/settings/connections/applications/{client_id}".to_owned(),
        access_token_page: "{web}/settings/tokens".to_owned(),
        kills_siblings: true,
    }
}
