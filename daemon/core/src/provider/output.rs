//! What a plugin answers.

use super::{Delivered, HookFacts, SentDelivery};
use crate::time::Timestamp;

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
    /// Of revoke, and of delete hook.
    Revocation(Revocation),
    /// Of probe.
    Server(ServerFacts),
    /// Of mint token.
    Minted(Minted),
    /// Of get installation.
    Installation(Installation),
    /// Of list hooks.
    Hooks(Vec<HookFacts>),
    /// Of create and update hook: the hook as the provider has it afterwards.
    Hook(HookFacts),
    /// Of list deliveries.
    SentDeliveries(Vec<SentDelivery>),
    /// Of parse delivery.
    Delivered(Delivered),
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
#[derive(Clone, Debug, Default, Eq, PartialEq)]
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
    /// Name for people, where the provider has one beside the path; may be empty.
    pub display_name: String,
    /// Clone URL over SSH; empty where there is none.
    pub ssh_uri: String,
    /// A fork of another repository.
    pub fork: bool,
    /// When it was last changed, by the provider's clock; `None` where it does not tell.
    pub updated: Option<Timestamp>,
    /// Seen by everybody who is signed in, and by nobody else; it is `private` as well.
    pub internal: bool,
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
