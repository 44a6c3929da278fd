//! All that is data about Bitbucket Cloud

use bindery_plugin_sdk::v1::{
    AuthKind, AuthMethod, ClientAuthentication, Description, Endpoints, KnownHost, Permission,
    PermissionScopes, PkceSupport, RateLimitHeaders, RefreshReuse, RefreshRotation,
    RevocationSupport, TokenKind, UserName,
};

use super::hooks;
use crate::describe::{CLOUD, row};

/// An API token of an Atlassian account, which goes with the account's e-mail address.
pub(crate) const API_TOKEN: &str = "api_token";
/// An access token of a repository, a project or a workspace, which acts for nobody but itself.
pub(crate) const ACCESS_TOKEN: &str = "access_token";

/// Page where a person ends an authorization.
pub(crate) const AUTHORIZATIONS_PAGE: &str = "/account/settings/app-authorizations";
/// Page where a person makes and deletes API tokens. It is Atlassian's, whatever the host.
pub(crate) const API_TOKENS_PAGE: &str =
    "https://id.atlassian.com/manage-profile/security/api-tokens";

/// What a push can be too large for. Bindery compares refs from time to time, so such a push triggers a build a little later.
const TRIGGER_LIMITS: &str =
    "None, since refs are compared: Bitbucket Cloud itself may send no webhook above 256 KB";

const DAY: u64 = 86_400;

pub(crate) fn edition() -> Description {
    Description {
        edition: CLOUD.to_owned(),
        edition_webs: vec!["https://bitbucket.org".to_owned()],
        display_name: "Bitbucket Cloud".to_owned(),
        platform_versions: "bitbucket.org".to_owned(),
        trigger_limits: TRIGGER_LIMITS.to_owned(),
        endpoints: Some(endpoints()),
        auth_methods: vec![oauth(), access_token()],
        token_kinds: token_kinds(),
        permissions: permissions(),
        // What is left, and until when, it does not say.
        rate_limits: Some(RateLimitHeaders {
            limit: "x-ratelimit-limit".to_owned(),
            ..RateLimitHeaders::default()
        }),
        revocation: Some(revocation()),
        hooks: Some(hooks::support()),
        ..Description::default()
    }
}

/// There is neither a revocation endpoint nor a device flow.
fn endpoints() -> Endpoints {
    Endpoints {
        // For stand-ins; the real one is known.
        api_from_web: "{web}/2.0".to_owned(),
        authorize: "{web}/site/oauth2/authorize".to_owned(),
        token: "{web}/site/oauth2/access_token".to_owned(),
        known_hosts: vec![KnownHost {
            web: "https://bitbucket.org".to_owned(),
            api: "https://api.bitbucket.org/2.0".to_owned(),
        }],
        ..Endpoints::default()
    }
}

/// Scopes are the consumer's, and the reply has them as `scopes`.
fn oauth() -> AuthMethod {
    AuthMethod {
        kind: AuthKind::OauthCode.into(),
        // Not known to the server (BCLOUD-23469).
        pkce: PkceSupport::None.into(),
        client_authentication: ClientAuthentication::Basic.into(),
        // Being rolled out in 2026: where it is, the old token works for ten minutes after its first use; elsewhere a
        // reply may have no refresh token, and the old one stays.
        rotation: RefreshRotation::Configurable.into(),
        reuse: RefreshReuse::Graceful.into(),
        help_uri:
            "https://support.atlassian.com/bitbucket-cloud/docs/use-oauth-on-bitbucket-cloud/"
                .to_owned(),
        dead_grant_errors: vec!["invalid_grant".to_owned()],
        display_name: "Bitbucket Cloud OAuth 2.0".to_owned(),
        token_lifetime_s: 7200,
        refresh_idle_s: 90 * DAY,
        scopes_fixed_by_client: true,
        scopes_member: "scopes".to_owned(),
        ..AuthMethod::default()
    }
}

fn access_token() -> AuthMethod {
    AuthMethod {
        kind: AuthKind::AccessToken.into(),
        help_uri: API_TOKENS_PAGE.to_owned(),
        display_name: "API token, or access token of a repository, project or workspace".to_owned(),
        user_name: UserName::Email.into(),
        ..AuthMethod::default()
    }
}

/// OAuth tokens have no prefix and may exceed 2,500 characters.
fn token_kinds() -> Vec<TokenKind> {
    let kind = |name: &str, prefix: &str, auth: AuthKind, git_username: &str| TokenKind {
        name: name.to_owned(),
        prefix: prefix.to_owned(),
        auth_kind: auth.into(),
        git_username: git_username.to_owned(),
        needs_username: name == API_TOKEN,
    };
    let handed_over = AuthKind::AccessToken;
    vec![
        kind(
            API_TOKEN,
            "ATATT",
            handed_over,
            "x-bitbucket-api-token-auth",
        ),
        kind(ACCESS_TOKEN, "ATCTT", handed_over, "x-token-auth"),
        kind("oauth", "", AuthKind::OauthCode, "x-token-auth"),
        // No prefix is promised.
        kind(ACCESS_TOKEN, "", handed_over, "x-token-auth"),
    ]
}

/// OAuth consumers and access tokens have scopes such as `repository`, some of which imply others; API tokens have such
/// as `read:repository:bitbucket`, which imply nothing. The first are named; one of the second that can do it is as good.
/// Of those for webhooks it is the one that creates them.
///
/// An access token of a repository or project can't be given `account`. It needs none, for whom it stands for and where is told
/// with it; so what it has instead is as good. An OAuth consumer without `account` fails when it is asked who the person is.
fn permissions() -> Vec<PermissionScopes> {
    vec![
        row(
            Permission::Identity,
            &["account"],
            &[
                "account:write",
                "repository",
                "repository:write",
                "project",
                "read:user:bitbucket",
            ],
        ),
        row(
            Permission::Organizations,
            &["account"],
            &[
                "account:write",
                "repository",
                "repository:write",
                "project",
                "read:workspace:bitbucket",
            ],
        ),
        row(
            Permission::ReadCode,
            &["repository"],
            &[
                "repository:write",
                "pullrequest",
                "pullrequest:write",
                "project",
                "read:repository:bitbucket",
            ],
        ),
        row(
            Permission::WriteCode,
            &["repository:write"],
            &["pullrequest:write", "write:repository:bitbucket"],
        ),
        row(
            Permission::Webhooks,
            &["webhook"],
            &["write:webhook:bitbucket"],
        ),
    ]
}

fn revocation() -> RevocationSupport {
    RevocationSupport {
        oauth_page: format!("{{web}}{AUTHORIZATIONS_PAGE}"),
        access_token_page: API_TOKENS_PAGE.to_owned(),
        ..RevocationSupport::default()
    }
}
