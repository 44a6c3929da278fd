//! What a plugin is asked for.

use std::collections::BTreeMap;

use super::{AuthKind, Permission, RefKind};
use crate::time::Timestamp;

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
    /// The hooks of a repository.
    ListHooks,
    /// A new hook.
    CreateHook,
    /// A hook is put right in place.
    UpdateHook,
    /// A hook is taken away.
    DeleteHook,
    /// The provider sends a ping, or the like of one.
    PingHook,
    /// What the provider says that it sent.
    ListDeliveries,
    /// The provider sends a delivery once more.
    Redeliver,
    /// What does a delivery say? Needs no credential.
    ParseDelivery,
}

impl OperationKind {
    /// All of them.
    pub const ALL: [Self; 19] = [
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
        Self::ListHooks,
        Self::CreateHook,
        Self::UpdateHook,
        Self::DeleteHook,
        Self::PingHook,
        Self::ListDeliveries,
        Self::Redeliver,
        Self::ParseDelivery,
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
    /// The hooks of a repository.
    ListHooks {
        /// `owner/name`, or the stable id behind `id:`.
        repository: String,
        /// Stop after so many pages; 0 for no limit.
        max_pages: u32,
    },
    /// A new hook, with the secret [`HOOK_SECRET`](super::HOOK_SECRET).
    CreateHook {
        /// `owner/name`, or the stable id behind `id:`.
        repository: String,
        /// What it is to be.
        hook: WantedHook,
    },
    /// A hook is put right in place: URL, events, activity, and the secret [`HOOK_SECRET`](super::HOOK_SECRET), which is always
    /// sent. Where the API can't change a secret the answer is a new hook, with another id, and the old one is gone.
    UpdateHook {
        /// `owner/name`, or the stable id behind `id:`.
        repository: String,
        /// The provider's id of the hook.
        hook_id: String,
        /// What it is to be.
        hook: WantedHook,
    },
    /// A hook is taken away.
    DeleteHook {
        /// `owner/name`, or the stable id behind `id:`.
        repository: String,
        /// The provider's id of the hook.
        hook_id: String,
    },
    /// The provider sends a ping, or the like of one.
    PingHook {
        /// `owner/name`, or the stable id behind `id:`.
        repository: String,
        /// The provider's id of the hook.
        hook_id: String,
        /// Where it delivers to; some providers ask for it.
        url: String,
    },
    /// What the provider says that it sent, the newest first.
    ListDeliveries {
        /// `owner/name`, or the stable id behind `id:`.
        repository: String,
        /// The provider's id of the hook.
        hook_id: String,
        /// Only what was sent at this time or later.
        since: Timestamp,
    },
    /// The provider sends a delivery once more.
    Redeliver {
        /// `owner/name`, or the stable id behind `id:`.
        repository: String,
        /// The provider's id of the hook.
        hook_id: String,
        /// Which, by [`SentDelivery::sent_id`](super::SentDelivery::sent_id).
        sent_id: String,
    },
    /// What does a delivery say? It was verified.
    ParseDelivery {
        /// The provider's name of the event.
        event: String,
        /// The headers that the description asks for, names in lower case.
        headers: Vec<(String, String)>,
        /// The body, JSON: of a form post the member that is signed.
        body: Vec<u8>,
    },
}

/// What a hook is to be. The events are those that the plugin needs for pushes, tags and changes of the repository.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WantedHook {
    /// Where it delivers to.
    pub url: String,
    /// Name of the signature scheme.
    pub scheme: String,
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
            Self::ListHooks { .. } => OperationKind::ListHooks,
            Self::CreateHook { .. } => OperationKind::CreateHook,
            Self::UpdateHook { .. } => OperationKind::UpdateHook,
            Self::DeleteHook { .. } => OperationKind::DeleteHook,
            Self::PingHook { .. } => OperationKind::PingHook,
            Self::ListDeliveries { .. } => OperationKind::ListDeliveries,
            Self::Redeliver { .. } => OperationKind::Redeliver,
            Self::ParseDelivery { .. } => OperationKind::ParseDelivery,
        }
    }
}
