//! What a plugin describes, what it is asked for, and what it answers. Everything that comes from a plugin is untrusted
//! until the host has checked it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::{name::ProviderName, time::Timestamp};

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
    /// Using an old refresh token may kill the grant.
    pub reuse_is_fatal: bool,
    /// Added to the authorization URL.
    pub authorize_parameters: Vec<(String, String)>,
    /// Where a person makes such a token or application; template.
    pub help_uri: String,
    /// Token endpoint errors that mean "this grant is dead".
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

/// What a plugin can be asked for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum OperationKind {
    /// Who does the token belong to?
    Identify,
    /// What is the token?
    InspectToken,
    /// Which organizations?
    ListOrganizations,
    /// Which repositories?
    ListRepositories,
    /// One repository.
    GetRepository,
    /// Branches and tags.
    ListRefs,
    /// Take access away.
    Revoke,
    /// Which version?
    Probe,
    /// A short token for an installation.
    MintToken,
    /// A new token in place of a person's.
    RotateToken,
    /// One installation of the app.
    GetInstallation,
}

impl OperationKind {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Identify,
        Self::InspectToken,
        Self::ListOrganizations,
        Self::ListRepositories,
        Self::GetRepository,
        Self::ListRefs,
        Self::Revoke,
        Self::Probe,
        Self::MintToken,
        Self::RotateToken,
        Self::GetInstallation,
    ];
}

/// One operation to run.
#[derive(Clone, Debug)]
pub struct Call {
    /// Now.
    pub now: Timestamp,
    /// Entropy for the plugin.
    pub seed: [u8; 32],
    /// API base of the host.
    pub api_base: String,
    /// Web base of the host.
    pub web_base: String,
    /// Settings of the host.
    pub settings: BTreeMap<String, String>,
    /// Edition of the host; empty for the one that is none of the named.
    pub edition: String,
    /// Facts about the credential.
    pub credential: CredentialFacts,
    /// What to do.
    pub input: Input,
}

/// Facts about a credential; never the credential.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CredentialFacts {
    /// How the link is authorized.
    pub auth_kind: Option<AuthKind>,
    /// Name of the token's kind.
    pub token_kind: String,
    /// Granted scopes, as far as known.
    pub scopes: Vec<String>,
    /// OAuth client id; empty where there is none.
    pub client_id: String,
    /// Login; empty while not known.
    pub login: String,
    /// User name or e-mail that was handed over with the token; may be empty.
    pub username: String,
    /// Id of the host's app; empty where there is none.
    pub app_id: String,
    /// Id of the installation; empty for other ways.
    pub installation_id: String,
}

/// An operation's own input.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Input {
    /// Who does the token belong to?
    Identify,
    /// What is the token?
    InspectToken,
    /// Which organizations?
    ListOrganizations {
        /// Items a page.
        page_size: u32,
    },
    /// Which repositories?
    ListRepositories {
        /// Only of this owner; empty for all.
        owner: String,
        /// Only names that hold this; empty for all.
        query: String,
        /// Where to go on; empty for the start.
        cursor: String,
        /// Items a page.
        page_size: u32,
        /// Stop after so many pages; 0 for no limit.
        max_pages: u32,
    },
    /// One repository.
    GetRepository {
        /// `owner/name`, or the stable id behind `id:`.
        repository: String,
    },
    /// Branches and tags.
    ListRefs {
        /// `owner/name`, or the stable id behind `id:`.
        repository: String,
        /// `None` for both.
        kind: Option<RefKind>,
        /// Where to go on; empty for the start.
        cursor: String,
        /// Items a page.
        page_size: u32,
        /// Stop after so many pages; 0 for no limit.
        max_pages: u32,
    },
    /// Take access away.
    Revoke {
        /// The whole authorization instead of the one token.
        whole_grant: bool,
    },
    /// Which version?
    Probe,
    /// A short token for an installation; the plugin captures it as [`MINTED_TOKEN`].
    MintToken {
        /// Repositories that it is limited to; empty for all.
        repositories: Vec<String>,
        /// What it must be good for; empty for all that the installation has.
        permissions: Vec<Permission>,
    },
    /// A new token in place of the current one; the plugin captures it as [`ROTATED_TOKEN`].
    RotateToken {
        /// When the new one is to end; `None` for what the provider chooses.
        expires: Option<Timestamp>,
    },
    /// One installation of the app.
    GetInstallation {
        /// Its id.
        installation_id: String,
        /// Ask as the person whose token there is, instead of as the app.
        as_person: bool,
    },
}

/// Name under which a plugin captures a token that it minted.
pub const MINTED_TOKEN: &str = "minted_token";

/// Name under which a plugin captures a token that it rotated.
pub const ROTATED_TOKEN: &str = "rotated_token";

/// Name of the private key of the host's app.
pub const APP_PRIVATE_KEY: &str = "app_private_key";

impl Input {
    /// Which operation it is for.
    #[must_use]
    pub const fn kind(&self) -> OperationKind {
        match self {
            Self::Identify => OperationKind::Identify,
            Self::InspectToken => OperationKind::InspectToken,
            Self::ListOrganizations { .. } => OperationKind::ListOrganizations,
            Self::ListRepositories { .. } => OperationKind::ListRepositories,
            Self::GetRepository { .. } => OperationKind::GetRepository,
            Self::ListRefs { .. } => OperationKind::ListRefs,
            Self::Revoke { .. } => OperationKind::Revoke,
            Self::Probe => OperationKind::Probe,
            Self::MintToken { .. } => OperationKind::MintToken,
            Self::RotateToken { .. } => OperationKind::RotateToken,
            Self::GetInstallation { .. } => OperationKind::GetInstallation,
        }
    }
}

/// A result, whole or a page of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Of identify.
    Identity(Identity),
    /// Of inspect token.
    TokenFacts(TokenFacts),
    /// Of list organizations.
    Organizations {
        /// The organizations.
        items: Vec<Organization>,
        /// The provider marks the list as incomplete.
        partial: bool,
        /// What may be missing, in words; empty unless `partial`.
        partial_reason: String,
        /// Page where a person sees all of them; may be empty.
        partial_uri: String,
    },
    /// Of list repositories.
    Repositories {
        /// The repositories.
        items: Vec<Repository>,
        /// Where to go on; empty at the end.
        next_cursor: String,
        /// The provider marks the list as incomplete.
        partial: bool,
    },
    /// Of get repository.
    Repository(Repository),
    /// Of list refs.
    Refs {
        /// The refs.
        items: Vec<Ref>,
        /// Where to go on; empty at the end.
        next_cursor: String,
    },
    /// Of revoke.
    Revocation(Revocation),
    /// Of probe.
    Server(ServerFacts),
    /// Of mint token.
    Minted(Minted),
    /// Of get installation.
    Installation(Installation),
    /// All was streamed before.
    Empty,
}

/// A token that was minted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Minted {
    /// When it ends.
    pub expires: Timestamp,
    /// The provider limits it to the repositories that were asked for.
    pub narrowed: bool,
    /// What it may do, in the provider's words.
    pub scopes: Vec<String>,
}

/// An installation of an app.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Installation {
    /// Its id.
    pub installation_id: String,
    /// The account that it is on.
    pub account: Identity,
    /// What it may do, in the provider's words.
    pub scopes: Vec<String>,
    /// No token is to be had.
    pub suspended: bool,
    /// It covers all repositories of the account.
    pub all_repositories: bool,
    /// Page where the account configures it.
    pub web_uri: String,
}

/// Who a token belongs to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    /// Id that never changes.
    pub stable_id: String,
    /// Login.
    pub login: String,
    /// Name for people.
    pub display_name: String,
    /// What kind of account it is.
    pub kind: AccountKind,
    /// Profile page.
    pub web_uri: String,
}

/// Kind of account.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AccountKind {
    /// Not known.
    Unknown,
    /// A person.
    User,
    /// A machine account.
    Bot,
    /// An organization.
    Organization,
    /// An installation of an app.
    App,
}

/// What the provider tells about a token.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TokenFacts {
    /// Scopes; `None` when the provider does not tell.
    pub scopes: Option<Vec<String>>,
    /// Expiry; `None` when never or not told.
    pub expires: Option<Timestamp>,
    /// Accepted at all.
    pub active: bool,
}

/// An organization, and whether the link can act on it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Organization {
    /// Id that never changes.
    pub stable_id: String,
    /// Login.
    pub login: String,
    /// Name for people.
    pub display_name: String,
    /// May the link act on it?
    pub access: OrganizationAccess,
    /// Why not.
    pub reason: String,
    /// Who can change that.
    pub who: Option<crate::problem::Who>,
    /// Where.
    pub action_uri: String,
    /// The identity's role, in the provider's words; may be empty.
    pub role: String,
}

/// May a link act on an organization?
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum OrganizationAccess {
    /// Could not be found out.
    Unknown,
    /// Yes.
    Granted,
    /// Third-party applications are restricted.
    RestrictedByPolicy,
    /// Asked for, not decided.
    RequestPending,
    /// A single sign-on session is needed.
    SsoRequired,
    /// The app is not installed there.
    NotInstalled,
    /// The token lacks a scope.
    ScopeTooSmall,
    /// No member.
    NoMembership,
}

/// A repository.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Repository {
    /// Id that survives renames.
    pub stable_id: String,
    /// `owner/name`.
    pub full_name: String,
    /// Clone URL over HTTPS.
    pub clone_uri: String,
    /// Page.
    pub web_uri: String,
    /// Default branch.
    pub default_branch: String,
    /// Description.
    pub description: String,
    /// Not public.
    pub private: bool,
    /// Read-only at the provider.
    pub archived: bool,
    /// The token may read its code.
    pub can_read: bool,
    /// The token may push.
    pub can_write: bool,
    /// The identity may create webhooks.
    pub can_administer: bool,
}

/// Which refs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RefKind {
    /// Branches.
    Branch,
    /// Tags.
    Tag,
}

/// A branch or a tag.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ref {
    /// Short name.
    pub name: String,
    /// Branch or tag.
    pub kind: RefKind,
    /// The commit, peeled.
    pub commit: String,
    /// Protected at the provider.
    pub protected: bool,
}

/// What a revocation did.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Revocation {
    /// How it ended.
    pub outcome: RevocationOutcome,
    /// In words.
    pub message: String,
    /// Where a person does what the API can't.
    pub action_uri: String,
}

/// How a revocation ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RevocationOutcome {
    /// Revoked now.
    Done,
    /// Nothing was there.
    AlreadyAbsent,
    /// A person must do it.
    Impossible,
}

/// What a server tells about itself.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ServerFacts {
    /// Version.
    pub version: String,
    /// Product, when it differs from the provider.
    pub product: String,
    /// Short name of the host's app in URLs; empty where there is no app.
    pub app_slug: String,
}

/// Why an operation failed, as the plugin, its worker or the host's checks say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    /// Class.
    pub code: FailureCode,
    /// In words, cleaned and prefixed `provider(github): `.
    pub message: String,
    /// Status of the response that led to it; 0 when none.
    pub http_status: u16,
    /// When to try again.
    pub retry_after: Option<Duration>,
    /// Missing scopes.
    pub missing_scopes: Vec<String>,
    /// Where a person can mend it.
    pub action_uri: String,
}

/// Classes of failures.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum FailureCode {
    /// The provider can't do this.
    Unsupported,
    /// The input makes no sense.
    InvalidArgument,
    /// The token was refused.
    Unauthenticated,
    /// Not allowed.
    PermissionDenied,
    /// Not there, or hidden.
    NotFound,
    /// Exists, or changed meanwhile.
    Conflict,
    /// Too many requests.
    RateLimited,
    /// The provider is broken or away.
    Upstream,
    /// The answer makes no sense.
    MalformedResponse,
    /// The request did not get through.
    Transport,
    /// A scope is missing.
    ScopeMissing,
    /// An organization's policy is in the way.
    OrganizationRestricted,
    /// The client's id or secret was refused.
    ClientRefused,
    /// The identity or the installation is suspended.
    Suspended,
    /// The app is not installed, or not any more.
    NotInstalled,
    /// A single sign-on is due.
    SsoRequired,
    /// The plugin panicked.
    Panic,
    /// The plugin broke the protocol.
    Protocol,
    /// The plugin waits for nothing.
    Stuck,
    /// The worker died.
    Crashed,
    /// A step took too long.
    Timeout,
    /// A request that the manifest does not allow.
    RequestNotAllowed,
}
