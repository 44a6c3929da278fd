//! All that is data about Gitee

use bindery_plugin_sdk::v1::{
    AuthKind, AuthMethod, ClientAuthentication, Description, Endpoints, KnownHost, Operation,
    Permission, PermissionScopes, PkceSupport, RateLimitHeaders, RefreshReuse, RefreshRotation,
    RevocationSupport, TokenKind,
};

use crate::hooks;

/// Page where a person sees third-party applications: one's own, and those that were authorized.
pub(crate) const GRANTS_PAGE: &str = "/oauth/applications";

/// Page where a person makes and deletes personal tokens.
pub(crate) const TOKENS_PAGE: &str = "/profile/personal_access_tokens";

/// An access token lasts a day: `expires_in` of every reply, and the OAuth page of Gitee.
const ACCESS_LIFETIME_S: u64 = 86_400;

/// Gitee does not say how long a refresh token lasts; users of it count thirty days. Refreshing within that costs a
/// request, and waiting longer could cost the link.
const REFRESH_IDLE_S: u64 = 30 * 86_400;

pub(crate) fn description() -> Description {
    Description {
        provider: "gitee".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        operations: operations(),
        secrets: vec!["access_token".to_owned(), "hook_secret".to_owned()],
        display_name: "Gitee".to_owned(),
        platform_versions: "All with API v5".to_owned(),
        trigger_limits: "None".to_owned(),
        endpoints: Some(endpoints()),
        auth_methods: vec![oauth(), access_token()],
        token_kinds: token_kinds(),
        permissions: permissions(),
        rate_limits: Some(rate_limits()),
        revocation: Some(revocation()),
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
        Operation::ListHooks,
        Operation::CreateHook,
        Operation::UpdateHook,
        Operation::DeleteHook,
        Operation::PingHook,
        Operation::ParseDelivery,
    ];
    all.map(i32::from).to_vec()
}

/// There is no revocation and no device endpoint.
fn endpoints() -> Endpoints {
    Endpoints {
        api_from_web: "{web}/api/v5".to_owned(),
        authorize: "{web}/oauth/authorize".to_owned(),
        token: "{web}/oauth/token".to_owned(),
        known_hosts: vec![KnownHost {
            web: "https://gitee.com".to_owned(),
            api: "https://gitee.com/api/v5".to_owned(),
        }],
        ..Endpoints::default()
    }
}

/// Doorkeeper. A refresh is documented without the client's credentials, and a reply has both tokens anew. Whether the
/// old refresh token lives on is not documented, so it counts as dead.
fn oauth() -> AuthMethod {
    AuthMethod {
        kind: AuthKind::OauthCode.into(),
        pkce: PkceSupport::None.into(),
        // Gitee asks for the secret in the body, and takes it there in a refresh as well, where it is not needed.
        client_authentication: ClientAuthentication::Body.into(),
        rotation: RefreshRotation::Always.into(),
        reuse: RefreshReuse::Fatal.into(),
        help_uri: format!("{{web}}{GRANTS_PAGE}"),
        display_name: "Gitee OAuth authentication".to_owned(),
        token_lifetime_s: ACCESS_LIFETIME_S,
        refresh_idle_s: REFRESH_IDLE_S,
        ..AuthMethod::default()
    }
}

fn access_token() -> AuthMethod {
    AuthMethod {
        kind: AuthKind::AccessToken.into(),
        help_uri: format!("{{web}}{TOKENS_PAGE}"),
        display_name: "Gitee personal access token".to_owned(),
        ..AuthMethod::default()
    }
}

/// Both kinds are 32 hexadecimal digits.
fn token_kinds() -> Vec<TokenKind> {
    let kind = |name: &str, auth: AuthKind, git_username: &str| TokenKind {
        name: name.to_owned(),
        auth_kind: auth.into(),
        git_username: git_username.to_owned(),
        ..TokenKind::default()
    };
    vec![
        kind("oauth", AuthKind::OauthCode, "oauth2"),
        kind("personal_access_token", AuthKind::AccessToken, "{login}"),
    ]
}

/// No scope covers another. `projects` is for reading and writing: Gitee has no narrower one. Enterprises have a scope of
/// their own, without which a list of organizations is never whole, and none of them is seen to be lost.
fn permissions() -> Vec<PermissionScopes> {
    let row = |permission: Permission, scopes: &[&str]| PermissionScopes {
        permission: permission.into(),
        scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
        ..PermissionScopes::default()
    };
    vec![
        row(Permission::Identity, &["user_info"]),
        row(Permission::Organizations, &["groups", "enterprises"]),
        row(Permission::ReadCode, &["projects"]),
        row(Permission::WriteCode, &["projects"]),
        row(Permission::Webhooks, &["hook"]),
    ]
}

/// The names that servers of this family use; read where they are there.
fn rate_limits() -> RateLimitHeaders {
    RateLimitHeaders {
        limit: "x-ratelimit-limit".to_owned(),
        remaining: "x-ratelimit-remaining".to_owned(),
        ..RateLimitHeaders::default()
    }
}

fn revocation() -> RevocationSupport {
    RevocationSupport {
        oauth_page: format!("{{web}}{GRANTS_PAGE}"),
        access_token_page: format!("{{web}}{TOKENS_PAGE}"),
        ..RevocationSupport::default()
    }
}
