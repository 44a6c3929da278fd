//! All that is data about a provider.

use std::{sync::Arc, time::Duration};

use super::{HookSupport, OperationKind};
use crate::name::ProviderName;

/// All that is data about a provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// Its name.
    pub provider: ProviderName,
    /// Version of the plugin.
    pub version: String,
    /// Name for people: `GitHub`.
    pub display_name: String,
    /// Supported server versions, for people.
    pub platform_versions: String,
    /// Limits on triggering builds, for people.
    pub trigger_limits: String,
    /// What it can be asked for.
    pub operations: Vec<OperationKind>,
    /// URL templates.
    pub endpoints: Endpoints,
    /// Ways to authorize.
    pub auth_methods: Vec<AuthMethod>,
    /// Kinds of token, most specific prefix first.
    pub token_kinds: Vec<TokenKind>,
    /// Scopes of each permission.
    pub permissions: Vec<PermissionScopes>,
    /// What unlinking can do by API.
    pub revocation: RevocationSupport,
    /// Response headers that tell the rate limit, lower case.
    pub rate_limits: RateLimitHeaders,
    /// How well the worker is confined: `full`, `seccomp`, `process`, `none`.
    pub isolation: String,
    /// SHA-256 of the library, hexadecimal.
    pub sha256: String,
    /// Name of this edition; empty for the one that is none of the named.
    pub edition: String,
    /// Web bases that this edition is at; one label may be `*`.
    pub edition_webs: Vec<String>,
    /// Editions of the server that differ in what is data. An edition has none itself.
    pub editions: Vec<Arc<Self>>,
    /// Page where a person installs the app, over `{web}` and `{app_slug}`; empty where there are no apps.
    pub app_install_uri: String,
    /// What its webhooks are like.
    pub hooks: HookSupport,
}

/// URL templates over `{web}` and `{api}`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Endpoints {
    /// API base from the web base.
    pub api_from_web: String,
    /// OAuth authorization page.
    pub authorize: String,
    /// OAuth token endpoint.
    pub token: String,
    /// RFC 7009 endpoint; empty where there is none.
    pub revoke: String,
    /// RFC 8628 endpoint; empty where there is none.
    pub device: String,
    /// Web base and API base of public hosts.
    pub known_hosts: Vec<(String, String)>,
}

impl Endpoints {
    /// API base for a web base: a known host's, else by the template.
    #[must_use]
    pub fn api_base(&self, web: &str) -> String {
        let known = |(base, api): &(String, String)| {
            wildcard(base, web).map(|label| api.replacen('*', label, 1))
        };
        let known = self.known_hosts.iter().find_map(known);
        known.unwrap_or_else(|| self.api_from_web.replace("{web}", web))
    }

    /// The RFC 7009 endpoint on `web`; `None` where there is none.
    #[must_use]
    pub fn revoke_uri(&self, web: &str) -> Option<String> {
        (!self.revoke.is_empty()).then(|| self.revoke.replace("{web}", web))
    }

    /// The RFC 8628 endpoint on `web`; `None` where there is none.
    #[must_use]
    pub fn device_uri(&self, web: &str) -> Option<String> {
        (!self.device.is_empty()).then(|| self.device.replace("{web}", web))
    }

    /// The authorization page on `web`.
    #[must_use]
    pub fn authorize_uri(&self, web: &str) -> String {
        self.authorize.replace("{web}", web)
    }

    /// The token endpoint on `web`.
    #[must_use]
    pub fn token_uri(&self, web: &str) -> String {
        self.token.replace("{web}", web)
    }
}

/// What `*` of `pattern` stands for in `text`: one label of a host name. Nothing for a text without `*` that is the same.
fn wildcard<'a>(pattern: &str, text: &'a str) -> Option<&'a str> {
    let Some((before, after)) = pattern.split_once('*') else {
        return (pattern == text).then_some("");
    };
    let label = text.strip_prefix(before)?.strip_suffix(after)?;
    let plain = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
    (!label.is_empty() && label.bytes().all(plain)).then_some(label)
}

/// One way to authorize a link.
#[derive(Clone, Debug, PartialEq)]
pub struct AuthMethod {
    /// Which way.
    pub kind: AuthKind,
    /// S256 is sent.
    pub pkce: bool,
    /// Client authentication by HTTP Basic instead of the body.
    pub basic_client_auth: bool,
    /// Between scopes in a request.
    pub scope_separator: String,
    /// Between scopes in a response.
    pub response_scope_separator: String,
    /// What a refresh does to the refresh token.
    pub rotation: Rotation,
    /// Using an old refresh token may kill the grant. It is told, and changes nothing: the daemon takes it for fatal everywhere
    /// and tries a token whose answer was lost once more only (THREATS R4), which costs a graceful provider nothing.
    pub reuse_is_fatal: bool,
    /// Added to the authorization URL.
    pub authorize_parameters: Vec<(String, String)>,
    /// Where a person makes such a token or application; template.
    pub help_uri: String,
    /// Token endpoint errors that mean "this grant is dead", besides `invalid_grant`.
    pub dead_grant_errors: Vec<String>,
    /// OAuth errors come with status 200.
    pub errors_with_status_ok: bool,
    /// Name for people; may be empty.
    pub display_name: String,
    /// What must come with a token that a person hands over.
    pub user_name: UserName,
    /// Usual lifetime of an access token; `None` where it does not end, or nobody knows.
    pub token_lifetime: Option<Duration>,
    /// After how long without a refresh a refresh token dies; `None` where it does not, or nobody knows.
    pub refresh_idle: Option<Duration>,
    /// The scopes are fixed with the client, and none are asked for.
    pub scopes_fixed_by_client: bool,
    /// A refresh repeats the redirect URI.
    pub redirect_uri_on_refresh: bool,
    /// Member of a token response that holds the scopes.
    pub scopes_member: String,
}

impl AuthMethod {
    /// A method of a kind, with the most careful value everywhere else.
    #[must_use]
    pub fn new(kind: AuthKind) -> Self {
        Self {
            kind,
            pkce: false,
            basic_client_auth: false,
            scope_separator: " ".to_owned(),
            response_scope_separator: " ".to_owned(),
            rotation: Rotation::Configurable,
            reuse_is_fatal: true,
            authorize_parameters: Vec::new(),
            help_uri: String::new(),
            dead_grant_errors: Vec::new(),
            errors_with_status_ok: false,
            display_name: String::new(),
            user_name: UserName::Optional,
            token_lifetime: None,
            refresh_idle: None,
            scopes_fixed_by_client: false,
            redirect_uri_on_refresh: false,
            scopes_member: "scope".to_owned(),
        }
    }
}

/// The user name that comes with a token which a person hands over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum UserName {
    /// It may come, and is then the login that is expected.
    Optional,
    /// The login; required.
    Login,
    /// The e-mail of the account; required for the kinds of token that need one.
    Email,
}

/// Ways to authorize.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum AuthKind {
    /// RFC 6749 authorization code.
    OAuthCode,
    /// RFC 8628 device flow.
    Device,
    /// A token that a person made.
    AccessToken,
    /// An app installation.
    AppInstallation,
}

/// What a refresh does to the refresh token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rotation {
    /// The old one stays.
    Never,
    /// Every refresh gives a new one.
    Always,
    /// The server's operator decides.
    Configurable,
}

/// One kind of token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TokenKind {
    /// Stable name.
    pub name: String,
    /// Prefix of the token's text; empty matches all.
    pub prefix: String,
    /// Method that yields it; `None` matches all.
    pub auth_kind: Option<AuthKind>,
    /// User name for git over HTTPS; `{login}` stands for the login.
    pub git_username: String,
    /// Requests with it need the user name that came with it.
    pub needs_username: bool,
}

impl Description {
    /// The edition of a host: the one that `setting` names, else the first one that is at `web`, else this.
    #[must_use]
    pub fn edition_at(self: &Arc<Self>, web: &str, setting: Option<&str>) -> Arc<Self> {
        let at = |edition: &&Arc<Self>| match setting {
            Some(name) => edition.edition == name,
            None => {
                let mut webs = edition.edition_webs.iter();
                webs.any(|base| wildcard(base, web).is_some())
            }
        };
        Arc::clone(self.editions.iter().find(at).unwrap_or(self))
    }

    /// The kind of a token that came by `auth`.
    #[must_use]
    pub fn token_kind(&self, token: &str, auth: AuthKind) -> Option<&TokenKind> {
        self.token_kinds.iter().find(|kind| {
            token.starts_with(&kind.prefix) && kind.auth_kind.is_none_or(|only| only == auth)
        })
    }

    /// The method of a kind.
    #[must_use]
    pub fn method(&self, kind: AuthKind) -> Option<&AuthMethod> {
        self.auth_methods.iter().find(|method| method.kind == kind)
    }

    /// Scopes to ask for, for all of `permissions`, without duplicates, in order.
    #[must_use]
    pub fn scopes_for(&self, permissions: &[Permission]) -> Vec<String> {
        let mut scopes = Vec::new();
        for entry in self
            .permissions
            .iter()
            .filter(|entry| permissions.contains(&entry.permission))
        {
            for scope in &entry.scopes {
                if !scopes.contains(scope) {
                    scopes.push(scope.clone());
                }
            }
        }
        scopes
    }

    /// Permissions that `granted` does not carry, each with the scopes that would.
    #[must_use]
    pub fn missing(&self, wanted: &[Permission], granted: &[String]) -> Vec<PermissionScopes> {
        let has = |scope: &String| granted.contains(scope);
        let lacks = |entry: &&PermissionScopes| {
            wanted.contains(&entry.permission)
                && !entry.scopes.iter().all(has)
                && !entry.covered_by.iter().any(has)
        };
        self.permissions.iter().filter(lacks).cloned().collect()
    }
}

/// What a link is allowed to be used for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Permission {
    /// Learn who the identity is.
    Identity,
    /// List organizations.
    Organizations,
    /// Read code.
    ReadCode,
    /// Write code.
    WriteCode,
    /// Create and delete webhooks.
    Webhooks,
}

/// The scopes that a permission needs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PermissionScopes {
    /// The permission.
    pub permission: Permission,
    /// All of these.
    pub scopes: Vec<String>,
    /// Or any one of these.
    pub covered_by: Vec<String>,
}

/// What unlinking can do by API, and where a person does the rest.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RevocationSupport {
    /// The application can revoke an OAuth grant.
    pub oauth: bool,
    /// A person's token can be revoked by itself.
    pub access_token: bool,
    /// Page to revoke an OAuth authorization; template.
    pub oauth_page: String,
    /// Page to revoke a token; template.
    pub access_token_page: String,
    /// Revoking kills all tokens of this identity for the application.
    pub kills_siblings: bool,
}

/// Names of rate-limit headers, lower case; empty where there is none.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RateLimitHeaders {
    /// Requests per window.
    pub limit: String,
    /// Requests left.
    pub remaining: String,
    /// End of the window, seconds since the epoch.
    pub reset: String,
}
