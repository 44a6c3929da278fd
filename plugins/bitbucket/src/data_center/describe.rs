//! All that is data about Bitbucket Data Center

use bindery_plugin_sdk::v1::{
    AuthKind, AuthMethod, ClientAuthentication, Description, Endpoints, Permission,
    PermissionScopes, PkceSupport, RateLimitHeaders, RefreshReuse, RefreshRotation,
    RevocationSupport, TokenKind,
};

use super::hooks;
use crate::describe::row;

/// Page where a person makes and deletes HTTP access tokens.
pub(crate) const TOKENS_PAGE: &str = "/plugins/servlet/access-tokens/manage";
/// Page where a person finds the authorized applications.
pub(crate) const ACCOUNT_PAGE: &str = "/account";

const DAY: u64 = 86_400;

/// The part of the description that is Data Center's own.
pub(crate) fn description() -> Description {
    Description {
        display_name: "Bitbucket Data Center".to_owned(),
        platform_versions: "Data Center 7.20 and later".to_owned(),
        trigger_limits: "None".to_owned(),
        endpoints: Some(endpoints()),
        auth_methods: vec![oauth(), access_token()],
        token_kinds: token_kinds(),
        permissions: permissions(),
        // A bucket that fills all the time: there is no end of a window.
        rate_limits: Some(RateLimitHeaders {
            limit: "x-ratelimit-limit".to_owned(),
            remaining: "x-ratelimit-remaining".to_owned(),
            ..RateLimitHeaders::default()
        }),
        revocation: Some(revocation()),
        hooks: Some(hooks::support()),
        ..Description::default()
    }
}

/// All below the web base, which may have a context path.
fn endpoints() -> Endpoints {
    Endpoints {
        api_from_web: "{web}/rest/api/latest".to_owned(),
        authorize: "{web}/rest/oauth2/latest/authorize".to_owned(),
        token: "{web}/rest/oauth2/latest/token".to_owned(),
        revoke: "{web}/rest/oauth2/latest/revoke".to_owned(),
        ..Endpoints::default()
    }
}

/// A code lives ten seconds unless the operator changed `max.client.delay.seconds`: nothing may come between the
/// callback and the exchange.
fn oauth() -> AuthMethod {
    AuthMethod {
        kind: AuthKind::OauthCode.into(),
        pkce: PkceSupport::S256.into(),
        client_authentication: ClientAuthentication::Body.into(),
        rotation: RefreshRotation::Always.into(),
        // What becomes of an old one is told nowhere.
        reuse: RefreshReuse::Fatal.into(),
        help_uri: "{web}/plugins/servlet/applinks/listApplicationLinks".to_owned(),
        dead_grant_errors: vec!["invalid_grant".to_owned()],
        display_name: "Bitbucket Data Center OAuth 2.0 (codes live 10 seconds)".to_owned(),
        token_lifetime_s: 3600,
        refresh_idle_s: 90 * DAY,
        redirect_uri_on_refresh: true,
        ..AuthMethod::default()
    }
}

fn access_token() -> AuthMethod {
    AuthMethod {
        kind: AuthKind::AccessToken.into(),
        help_uri: format!("{{web}}{TOKENS_PAGE}"),
        display_name: "HTTP access token".to_owned(),
        ..AuthMethod::default()
    }
}

/// Neither kind has a prefix that is promised.
fn token_kinds() -> Vec<TokenKind> {
    let kind = |name: &str, auth: AuthKind, git_username: &str| TokenKind {
        name: name.to_owned(),
        auth_kind: auth.into(),
        git_username: git_username.to_owned(),
        ..TokenKind::default()
    };
    vec![
        kind("oauth", AuthKind::OauthCode, "x-token-auth"),
        kind("http_access_token", AuthKind::AccessToken, "{login}"),
    ]
}

/// Each scope includes those before it.
fn permissions() -> Vec<PermissionScopes> {
    const ADMIN: [&str; 3] = ["PROJECT_ADMIN", "ADMIN_WRITE", "SYSTEM_ADMIN"];
    let from = |permission: Permission, scope: &str, above: &[&str]| {
        row(permission, &[scope], &[above, &ADMIN].concat())
    };
    let read = |permission| from(permission, "REPO_READ", &["REPO_WRITE", "REPO_ADMIN"]);
    vec![
        from(
            Permission::Identity,
            "PUBLIC_REPOS",
            &["REPO_READ", "REPO_WRITE", "REPO_ADMIN"],
        ),
        read(Permission::Organizations),
        read(Permission::ReadCode),
        from(Permission::WriteCode, "REPO_WRITE", &["REPO_ADMIN"]),
        from(Permission::Webhooks, "REPO_ADMIN", &[]),
    ]
}

/// OAuth tokens are revoked at the endpoint for it (RFC 7009).
fn revocation() -> RevocationSupport {
    RevocationSupport {
        oauth: true,
        oauth_page: format!("{{web}}{ACCOUNT_PAGE}"),
        access_token_page: format!("{{web}}{TOKENS_PAGE}"),
        ..RevocationSupport::default()
    }
}
