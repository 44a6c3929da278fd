//! All that is data about Gitea and Forgejo

use bindery_plugin_sdk::v1::{
    AuthKind, AuthMethod, ClientAuthentication, Description, Endpoints, HookSupport, KnownHost,
    Operation, Permission, PermissionScopes, PkceSupport, RateLimitHeaders, RefreshReuse,
    RefreshRotation, RevocationSupport, SignatureKind, SignatureScheme, TokenKind,
};

/// Page where a person ends an authorization or deletes a token.
pub(crate) const APPLICATIONS_PAGE: &str = "/user/settings/applications";

/// `ACCESS_TOKEN_EXPIRATION_TIME`, where the operator did not change it.
const ACCESS_LIFETIME_S: u64 = 3600;

/// `REFRESH_TOKEN_EXPIRATION_TIME` (730 hours), where the operator did not change it. Each refresh begins it anew.
const REFRESH_IDLE_S: u64 = 730 * 3600;

pub(crate) fn description() -> Description {
    Description {
        provider: "gitea".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        operations: operations(),
        secrets: vec!["access_token".to_owned(), "hook_secret".to_owned()],
        display_name: "Gitea".to_owned(),
        platform_versions: "Gitea 1.14 and later, Forgejo 7 and later".to_owned(),
        trigger_limits: "None".to_owned(),
        endpoints: Some(endpoints()),
        auth_methods: vec![oauth(), access_token()],
        token_kinds: token_kinds(),
        permissions: permissions(),
        // Neither has a rate limit of its own.
        rate_limits: Some(RateLimitHeaders::default()),
        revocation: Some(revocation()),
        hooks: Some(hooks()),
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

fn endpoints() -> Endpoints {
    Endpoints {
        api_from_web: "{web}/api/v1".to_owned(),
        authorize: "{web}/login/oauth/authorize".to_owned(),
        token: "{web}/login/oauth/access_token".to_owned(),
        known_hosts: vec![KnownHost {
            web: "https://codeberg.org".to_owned(),
            api: "https://codeberg.org/api/v1".to_owned(),
        }],
        ..Endpoints::default()
    }
}

fn oauth() -> AuthMethod {
    AuthMethod {
        kind: AuthKind::OauthCode.into(),
        pkce: PkceSupport::S256.into(),
        client_authentication: ClientAuthentication::Body.into(),
        // INVALIDATE_REFRESH_TOKENS is the server's; by default the old token goes on working. Where it is on, the old
        // one is refused, and the grant and the new one live on: trying it costs nothing.
        rotation: RefreshRotation::Configurable.into(),
        reuse: RefreshReuse::Graceful.into(),
        help_uri: format!("{{web}}{APPLICATIONS_PAGE}"),
        // A used or unknown refresh token is `unauthorized_client` here, a revoked grant `invalid_grant`. A wrong
        // client secret is `invalid_client` when a token is refreshed, so it is not mistaken for either.
        dead_grant_errors: vec!["unauthorized_client".to_owned(), "invalid_grant".to_owned()],
        display_name: "Gitea OAuth authentication".to_owned(),
        token_lifetime_s: ACCESS_LIFETIME_S,
        refresh_idle_s: REFRESH_IDLE_S,
        ..AuthMethod::default()
    }
}

fn access_token() -> AuthMethod {
    AuthMethod {
        kind: AuthKind::AccessToken.into(),
        help_uri: format!("{{web}}{APPLICATIONS_PAGE}"),
        display_name: "Gitea personal access token".to_owned(),
        ..AuthMethod::default()
    }
}

/// Neither kind has a prefix: one is a JWT, the other bare hexadecimal.
fn token_kinds() -> Vec<TokenKind> {
    let kind = |name: &str, auth: AuthKind, git_username: &str| TokenKind {
        name: name.to_owned(),
        prefix: String::new(),
        auth_kind: auth.into(),
        git_username: git_username.to_owned(),
        ..TokenKind::default()
    };
    vec![
        kind("oauth", AuthKind::OauthCode, "oauth2"),
        kind("personal_access_token", AuthKind::AccessToken, "{login}"),
    ]
}

fn permissions() -> Vec<PermissionScopes> {
    let row = |permission: Permission, scope: &str, covered_by: &[&str]| PermissionScopes {
        permission: permission.into(),
        scopes: vec![scope.to_owned()],
        covered_by: covered_by.iter().map(|&one| one.to_owned()).collect(),
    };
    vec![
        row(Permission::Identity, "read:user", &["write:user", "all"]),
        row(
            Permission::Organizations,
            "read:organization",
            &["write:organization", "all"],
        ),
        row(
            Permission::ReadCode,
            "read:repository",
            &["write:repository", "all"],
        ),
        row(Permission::WriteCode, "write:repository", &["all"]),
        row(Permission::Webhooks, "write:repository", &["all"]),
    ]
}

/// Forgejo sends these headers beside its own. Without a secret the signature is there and empty. Nothing is sent twice, and
/// no hook is switched off.
fn hooks() -> HookSupport {
    HookSupport {
        schemes: vec![SignatureScheme {
            name: "hmac-sha256".to_owned(),
            kind: SignatureKind::BodyHmacSha256.into(),
            header: "x-gitea-signature".to_owned(),
            ..SignatureScheme::default()
        }],
        event_header: "x-gitea-event".to_owned(),
        id_headers: vec!["x-gitea-delivery".to_owned()],
        form_member: "payload".to_owned(),
        ..HookSupport::default()
    }
}

fn revocation() -> RevocationSupport {
    RevocationSupport {
        oauth_page: format!("{{web}}{APPLICATIONS_PAGE}"),
        access_token_page: format!("{{web}}{APPLICATIONS_PAGE}"),
        ..RevocationSupport::default()
    }
}
