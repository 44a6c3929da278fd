//! One identity on one host, bound to one namespace. Two axes, never one enum.
//!
//! | Module | What it holds |
//! |---|---|
//! | `seen` | what checks found |
//! | `stage` | the stages of its life, and what is wrong with it |

use std::collections::BTreeMap;

use crate::{
    hook::Hook,
    name::{FlowId, HostName, LinkId, NamespaceName},
    problem::{Problem, Reason, Who},
    provider::{AuthKind, Identity, Permission},
    secret::Secret,
    time::Timestamp,
};

pub use self::{
    seen::{Note, Seen, SeenOrganization, SeenRepository, Severity},
    stage::{Cause, Stage},
};

mod seen;
mod stage;

/// A link without its credentials; those are in a [`Grant`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Link {
    /// Namespace it belongs to.
    pub namespace: NamespaceName,
    /// Its id, never reused.
    pub id: LinkId,
    /// Host it is on.
    pub host: HostName,
    /// Name for people; may be empty.
    pub display_name: String,
    /// How it is authorized.
    pub auth_kind: AuthKind,
    /// Name of the token's kind from the provider's description.
    pub token_kind: String,
    /// What people want.
    pub desired: Desired,
    /// What the daemon sees.
    pub observed: Observed,
    /// Who it is, once known.
    pub identity: Option<Identity>,
    /// What it is meant to be used for.
    pub permissions: Vec<Permission>,
    /// Scopes that were asked for.
    pub requested_scopes: Vec<String>,
    /// Scopes that were granted; `None` when the provider does not tell.
    pub granted_scopes: Option<Vec<String>>,
    /// When the current access token expires; `None` when never or not known.
    pub token_expires: Option<Timestamp>,
    /// There is a refresh token.
    pub refreshable: bool,
    /// Last refresh that succeeded.
    pub refreshed: Option<Timestamp>,
    /// Last refresh that failed.
    pub refresh_failed: Option<Timestamp>,
    /// Generation of the grant, for compare-and-swap.
    pub generation: u64,
    /// Principal that made it.
    pub created_by: String,
    /// When it was made.
    pub created: Timestamp,
    /// User name or e-mail that was handed over with the token; may be empty.
    pub username: String,
    /// Id of the app installation; empty for other ways.
    pub installation_id: String,
    /// The caller says that the identity is an account for machines.
    pub service_account: bool,
    /// Key-value pairs for selection.
    pub labels: BTreeMap<String, String>,
    /// Key-value pairs for other programs.
    pub annotations: BTreeMap<String, String>,
    /// The flow that is under way.
    pub flow: Option<OpenFlow>,
    /// What became of its token, and when something comes next.
    pub upkeep: Upkeep,
    /// What the provider showed the last time.
    pub seen: Seen,
    /// Webhooks that stayed at the provider when the last source of each was disconnected: they could not be deleted, or had
    /// to stay. The unlink tries those that were to go once more, and its receipt names what stays.
    pub left_hooks: Vec<Hook>,
    /// When it was last changed.
    pub updated: Timestamp,
}

/// What may be shown of a flow that is under way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OpenFlow {
    /// Its id; whoever has it can open the start page, so it is shown to nobody.
    pub id: FlowId,
    /// How it authorizes.
    pub method: AuthKind,
    /// Who started it.
    pub started_by: String,
    /// When it was started.
    pub started: Timestamp,
    /// When it ends by itself.
    pub expires: Timestamp,
    /// Scopes that are asked for.
    pub requested_scopes: Vec<String>,
    /// Who consented, once known.
    pub identity: Option<Identity>,
    /// It replaces the grant of a link that was bound before.
    pub reauthorization: bool,
    /// What whoever confirms should know of the grant that waits, the most severe first.
    pub notes: Vec<Note>,
}

/// What became of the token of a link, and when something comes next.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Upkeep {
    /// When the refresh token dies if it is not used; `None` where it does not, or nobody knows.
    pub refresh_expires: Option<Timestamp>,
    /// Refreshes that failed since the last one that succeeded.
    pub failures: u32,
    /// Reason of the last failure; empty where there was none.
    pub failure_reason: String,
    /// When the daemon refreshes by itself.
    pub next_refresh: Option<Timestamp>,
    /// When a credential was last handed out, to the minute.
    pub handed_out: Option<Timestamp>,
    /// A token that a person made is replaced before it ends, where the provider can.
    pub rotate_token: bool,
}

/// What people want.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Desired {
    /// In use. `None` where nobody ever said so: that is how a link starts.
    Enabled(Option<Wish>),
    /// Kept, not used, not revoked.
    Disabled(Wish),
}

impl Desired {
    /// In use, as it is from the start.
    pub const ENABLED: Self = Self::Enabled(None);

    /// Whether it is to be used.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        matches!(self, Self::Enabled(_))
    }
}

/// Who wanted something, when, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wish {
    /// Why, in the person's words; may be empty.
    pub reason: String,
    /// Who wanted it.
    pub actor: String,
    /// Since when.
    pub since: Timestamp,
}

/// What the daemon sees.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Observed {
    /// The stage.
    pub stage: Stage,
    /// What is wrong for reasons outside, although the grant works.
    pub trouble: Option<Cause>,
    /// In words for people.
    pub message: String,
    /// Page where somebody must act; may be empty.
    pub action_uri: String,
    /// Who must act.
    pub who: Option<Who>,
    /// Until when.
    pub until: Option<Timestamp>,
    /// Since when it is so.
    pub since: Timestamp,
}

/// The credentials of a link. Sealed, bound to the host and its allowed origins.
#[derive(Debug)]
pub struct Grant {
    /// Access token, PAT or the like.
    pub access_token: Secret,
    /// Refresh token.
    pub refresh_token: Option<Secret>,
    /// When the access token expires.
    pub expires: Option<Timestamp>,
    /// When it was obtained.
    pub obtained: Timestamp,
    /// Raised by every new pair.
    pub generation: u64,
}

impl Grant {
    /// A second copy, for a write that may have to be repeated.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self {
            access_token: self.access_token.duplicate(),
            refresh_token: self.refresh_token.as_ref().map(Secret::duplicate),
            ..*self
        }
    }
}

impl Link {
    /// A link that was just asked for.
    #[must_use]
    pub fn new(
        namespace: NamespaceName,
        id: LinkId,
        host: HostName,
        auth_kind: AuthKind,
        now: Timestamp,
    ) -> Self {
        Self {
            namespace,
            id,
            host,
            display_name: String::new(),
            auth_kind,
            token_kind: String::new(),
            desired: Desired::ENABLED,
            observed: Observed::new(Stage::PendingAuthorization, "", now),
            identity: None,
            permissions: Vec::new(),
            requested_scopes: Vec::new(),
            granted_scopes: None,
            token_expires: None,
            refreshable: false,
            refreshed: None,
            refresh_failed: None,
            generation: 0,
            created_by: String::new(),
            created: now,
            username: String::new(),
            installation_id: String::new(),
            service_account: false,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            flow: None,
            upkeep: Upkeep::default(),
            seen: Seen::default(),
            left_hooks: Vec::new(),
            updated: now,
        }
    }

    /// Notes a webhook that stays at the provider. Of a repository the last one is known.
    pub fn leave_hook(&mut self, hook: &Hook) {
        let same = |left: &Hook| left.host == hook.host && left.repository == hook.repository;
        self.left_hooks.retain(|left| !same(left));
        self.left_hooks.push(hook.clone());
    }

    /// Whether tokens may be handed out now.
    ///
    /// # Errors
    ///
    /// The one thing that is in the way, with what to do.
    pub fn usable(&self) -> Result<(), Problem> {
        let name = self.resource();
        match self.observed.stage {
            Stage::Unlinking | Stage::Unlinked => {
                return Err(Problem::new(
                    Reason::LinkUnlinked,
                    format!("{name} is unlinked; make a new link"),
                ));
            }
            Stage::PendingAuthorization | Stage::PendingConfirmation => {
                return Err(Problem::new(
                    Reason::LinkNotBound,
                    format!("{name} is not bound yet; finish its authorization"),
                )
                .with("stage", self.observed.stage.as_str()));
            }
            Stage::NeedsReauthorization(cause) => {
                return Err(Problem::new(
                    Reason::LinkNeedsReauthorization,
                    format!("{name} must be authorized again: {}", self.observed.message),
                )
                .act(
                    self.observed.who.unwrap_or(Who::User),
                    self.observed.action_uri.clone(),
                )
                .with("cause", cause.as_str()));
            }
            Stage::Bound => {}
        }
        if let Desired::Disabled(Wish { reason, .. }) = &self.desired {
            let why = if reason.is_empty() {
                "no reason given"
            } else {
                reason
            };
            return Err(Problem::new(
                Reason::LinkDisabled,
                format!("{name} is disabled ({why}); enable it to use it"),
            ));
        }
        Ok(())
    }

    /// Its resource name: `namespaces/acme/links/abc`.
    #[must_use]
    pub fn resource(&self) -> String {
        format!("namespaces/{}/links/{}", self.namespace, self.id)
    }

    /// Whether the daemon gets a new token by itself, once it holds `grant`.
    #[must_use]
    pub fn renewable(&self, grant: &Grant) -> bool {
        self.auth_kind == AuthKind::AppInstallation || grant.refresh_token.is_some()
    }

    /// When its token ends without anybody renewing it; `None` where that never happens, or nobody knows. A rotation that failed
    /// renews nothing until it succeeds.
    #[must_use]
    pub fn ends(&self) -> Option<Timestamp> {
        let rotates = self.upkeep.rotate_token && self.upkeep.failures == 0;
        let renewed = self.refreshable || rotates;
        let bound = self.observed.stage == Stage::Bound;
        self.token_expires.filter(|_| bound && !renewed)
    }

    /// Moves to another stage.
    pub fn observe(&mut self, stage: Stage, message: impl Into<String>, now: Timestamp) {
        self.observed = Observed::new(stage, message, now);
        self.updated = now;
    }
}

impl Observed {
    /// A stage in which nobody must act.
    #[must_use]
    pub fn new(stage: Stage, message: impl Into<String>, now: Timestamp) -> Self {
        Self {
            stage,
            trouble: None,
            message: message.into(),
            action_uri: String::new(),
            who: None,
            until: None,
            since: now,
        }
    }
}
