//! All that is data about GitLab

use bindery_plugin_sdk::v1::{
    AuthKind, AuthMethod, ClientAuthentication, Description, Endpoints, Operation, Permission,
    PermissionScopes, PkceSupport, RateLimitHeaders, RefreshReuse, RefreshRotation,
    RevocationSupport, TokenKind,
};

use crate::hooks;

/// Page where a person ends an application's authorization, and where applications of a person are registered.
pub(crate) const APPLICATIONS_PAGE: &str = "/-/user_settings/applications";

/// Page where a person makes and deletes personal access tokens.
pub(crate) const TOKENS_PAGE: &str = "/-/user_settings/personal_access_tokens";

/// Lifetime of an access token in seconds. No setting changes it.
const ACCESS_TOKEN_LIFETIME: u64 = 7200;

/// Tokens that people have at hand and that the API does not take: prefix, kind, and what it is called.
pub(crate) const UNUSABLE: [(&str, &str, &str); 9] = [
    ("gldt-", "deploy_token", "a deploy token"),
    ("glcbt-", "job_token", "a CI job token"),
    ("glrt-", "runner_token", "a runner's token"),
    ("glptt-", "trigger_token", "a pipeline trigger token"),
    ("glagent-", "agent_token", "a cluster agent's token"),
    ("glft-", "feed_token", "a feed token"),
    ("glimt-", "mail_token", "an incoming mail token"),
    ("glsoat-", "scim_token", "a SCIM token"),
    ("gloas-", "client_secret", "an application's secret"),
];

/// What a push can be too large for. Bindery compares refs from time to time, so such a push triggers a build a little later.
const TRIGGER_LIMITS: &str = "None, since refs are compared: GitLab itself sends no webhook for a push of more than 3 branches or \
    tags, nor above 25 MB";

pub(crate) fn description() -> Description {
    Description {
        provider: "gitlab".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        operations: operations(),
        secrets: ["access_token", "rotated_token", "hook_secret"]
            .map(str::to_owned)
            .to_vec(),
        display_name: "GitLab".to_owned(),
        platform_versions: "gitlab.com, Self-Managed and Dedicated 16.10 and later".to_owned(),
        trigger_limits: TRIGGER_LIMITS.to_owned(),
        endpoints: Some(endpoints()),
        auth_methods: vec![oauth(), device(), access_token()],
        token_kinds: token_kinds(),
        permissions: permissions(),
        rate_limits: Some(RateLimitHeaders {
            limit: "ratelimit-limit".to_owned(),
            remaining: "ratelimit-remaining".to_owned(),
            reset: "ratelimit-reset".to_owned(),
        }),
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
        Operation::RotateToken,
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

/// All below the web base, which may have a path of its own: `https://host/gitlab`.
fn endpoints() -> Endpoints {
    Endpoints {
        api_from_web: "{web}/api/v4".to_owned(),
        authorize: "{web}/oauth/authorize".to_owned(),
        token: "{web}/oauth/token".to_owned(),
        revoke: "{web}/oauth/revoke".to_owned(),
        device: "{web}/oauth/authorize_device".to_owned(),
        known_hosts: Vec::new(),
    }
}

fn oauth() -> AuthMethod {
    AuthMethod {
        kind: AuthKind::OauthCode.into(),
        pkce: PkceSupport::S256.into(),
        display_name: "GitLab OAuth authentication".to_owned(),
        // A refresh has to name it again.
        redirect_uri_on_refresh: true,
        ..token_endpoint()
    }
}

/// Since 17.9 without a feature flag. There is no redirect to repeat, and no place for PKCE.
fn device() -> AuthMethod {
    AuthMethod {
        kind: AuthKind::Device.into(),
        pkce: PkceSupport::None.into(),
        display_name: "GitLab device authorization".to_owned(),
        ..token_endpoint()
    }
}

/// A refresh ends the old access token and the old refresh token at once; the second use of a refresh token is
/// `invalid_grant`, with no time of grace.
fn token_endpoint() -> AuthMethod {
    AuthMethod {
        client_authentication: ClientAuthentication::Body.into(),
        rotation: RefreshRotation::Always.into(),
        reuse: RefreshReuse::Fatal.into(),
        help_uri: format!("{{web}}{APPLICATIONS_PAGE}"),
        dead_grant_errors: vec!["invalid_grant".to_owned()],
        token_lifetime_s: ACCESS_TOKEN_LIFETIME,
        ..AuthMethod::default()
    }
}

/// The user name is not asked for: the bot behind a project's or a group's token has a made-up one. Given, it is the login
/// that is expected.
fn access_token() -> AuthMethod {
    AuthMethod {
        kind: AuthKind::AccessToken.into(),
        display_name: "GitLab personal, project or group access token".to_owned(),
        help_uri: format!("{{web}}{TOKENS_PAGE}"),
        ..AuthMethod::default()
    }
}

/// Personal, project and group tokens look alike, and their prefix is the server's choice, so whatever a person hands
/// over and is not known as something else is one of them. Git takes any user name with them that is not blank.
fn token_kinds() -> Vec<TokenKind> {
    let kind = |name: &str, prefix: &str, auth: AuthKind, git_username: &str| TokenKind {
        name: name.to_owned(),
        prefix: prefix.to_owned(),
        auth_kind: auth.into(),
        git_username: git_username.to_owned(),
        ..TokenKind::default()
    };
    let person = AuthKind::AccessToken;
    let unusable = UNUSABLE.map(|(prefix, name, _)| kind(name, prefix, person, "{login}"));
    let mut kinds = unusable.to_vec();
    kinds.push(kind("access_token", "", person, "{login}"));
    // From either OAuth way; without a prefix.
    kinds.push(kind("oauth", "", AuthKind::Unspecified, "oauth2"));
    kinds
}

/// `api` is all there is; there is no narrower scope for webhooks.
fn permissions() -> Vec<PermissionScopes> {
    let row = |permission: Permission, scopes: &[&str], covered_by: &[&str]| PermissionScopes {
        permission: permission.into(),
        scopes: scopes.iter().map(|&one| one.to_owned()).collect(),
        covered_by: covered_by.iter().map(|&one| one.to_owned()).collect(),
    };
    vec![
        row(Permission::Identity, &["read_user"], &["read_api", "api"]),
        row(Permission::Organizations, &["read_api"], &["api"]),
        // The API lists what git then reads.
        row(
            Permission::ReadCode,
            &["read_api", "read_repository"],
            &["api"],
        ),
        row(Permission::WriteCode, &["write_repository"], &["api"]),
        row(Permission::Webhooks, &["api"], &[]),
    ]
}

fn revocation() -> RevocationSupport {
    RevocationSupport {
        // Token by token, at the revocation endpoint. There is no API to end the whole authorization.
        oauth: true,
        access_token: true,
        oauth_page: format!("{{web}}{APPLICATIONS_PAGE}"),
        access_token_page: format!("{{web}}{TOKENS_PAGE}"),
        kills_siblings: false,
    }
}
