//! One identity on one host, bound to one namespace. Two axes, never one enum.

use crate::{
    name::{HostName, LinkId, NamespaceName},
    problem::{Problem, Reason, Who},
    provider::{AuthKind, Identity},
    secret::Secret,
    time::Timestamp,
};

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
    /// When it was last changed.
    pub updated: Timestamp,
}

/// What people want.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Desired {
    /// In use.
    Enabled,
    /// Kept, not used, not revoked.
    Disabled {
        /// Why, in the person's words.
        reason: String,
        /// Who did it.
        actor: String,
        /// When.
        since: Timestamp,
    },
}

/// What the daemon sees.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Observed {
    /// The stage.
    pub stage: Stage,
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

/// Stages of a link's life.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Stage {
    /// A person must go to the provider.
    PendingAuthorization,
    /// The grant is there; the one who started it must confirm.
    PendingConfirmation,
    /// In order.
    Bound,
    /// The grant is dead.
    NeedsReauthorization(Cause),
    /// The unlink saga runs.
    Unlinking,
    /// Over; only the receipt remains.
    Unlinked,
}

/// Why a link must be authorized again.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Cause {
    /// The provider says that the grant is invalid.
    GrantRevoked,
    /// The token ended and can't be refreshed.
    TokenExpired,
    /// A refresh was sent, its answer was lost, and the old token is dead.
    RotationLost,
    /// The provider refuses the token.
    TokenRefused,
    /// The pending grant was not confirmed in time.
    NotConfirmed,
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

impl Link {
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
                ));
            }
            Stage::NeedsReauthorization(_) => {
                return Err(Problem::new(
                    Reason::LinkNeedsReauthorization,
                    format!("{name} must be authorized again: {}", self.observed.message),
                )
                .act(
                    self.observed.who.unwrap_or(Who::User),
                    self.observed.action_uri.clone(),
                ));
            }
            Stage::Bound => {}
        }
        if let Desired::Disabled { reason, .. } = &self.desired {
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

    /// Moves to another stage.
    pub fn observe(&mut self, stage: Stage, message: impl Into<String>, now: Timestamp) {
        self.observed = Observed {
            stage,
            message: message.into(),
            action_uri: String::new(),
            who: None,
            until: None,
            since: now,
        };
        self.updated = now;
    }
}
