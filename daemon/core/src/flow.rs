//! Pending authorizations: single-use tickets, bound to who started them.

mod room;

use std::time::Duration;

pub use self::room::{FLOWS_IN_ALL, FLOWS_PER_NAMESPACE, FLOWS_PER_PRINCIPAL, Room, room};
use crate::{
    exchange::{TokenOutcome, Tokens},
    link::Cause,
    name::{FlowId, HostName, LinkId, NamespaceName},
    problem::{Problem, Reason, Who},
    provider::{AuthKind, Identity, Permission},
    secret::Secret,
    time::Timestamp,
};

/// How long a person has to consent, and again to confirm (THREATS O1, O9).
pub const FLOW_LIFETIME: Duration = Duration::from_secs(600);

/// A pending authorization.
///
/// Only digests of what the browser holds are kept: whoever reads the store can't finish a flow.
#[derive(Debug)]
pub struct Flow {
    /// Its id; part of the start page's URL.
    pub id: FlowId,
    /// Namespace of the link.
    pub namespace: NamespaceName,
    /// The link that it authorizes.
    pub link: LinkId,
    /// Host that it goes to.
    pub host: HostName,
    /// Principal that started it; only that one may confirm by API.
    pub principal: String,
    /// Where the person is sent afterwards: id of a registered return address, never a URL.
    pub return_to: Option<String>,
    /// SHA-256 of the `state` parameter (256 random bits), once the person has left for the forge.
    pub state_digest: Option<[u8; 32]>,
    /// SHA-256 of the browser's cookie, once the start page was opened.
    pub browser_digest: Option<[u8; 32]>,
    /// SHA-256 of the code that confirms; it reaches only the browser.
    pub confirm_digest: Option<[u8; 32]>,
    /// PKCE code verifier (RFC 7636).
    pub pkce_verifier: Option<Secret>,
    /// Where it stands.
    pub stage: FlowStage,
    /// How a person goes through it.
    pub way: Way,
    /// The link was bound before, and its grant works on until this one is bound.
    pub reauthorization: bool,
    /// Of a reauthorization: another identity than before is accepted.
    pub allow_identity_change: bool,
    /// A personal account is accepted where the namespace asks for a service account.
    pub allow_personal_account: bool,
    /// Login or stable id that is expected; empty for any.
    pub expected_identity: String,
    /// What the link is meant to be used for afterwards.
    pub permissions: Vec<Permission>,
    /// Scopes that are asked for.
    pub requested_scopes: Vec<String>,
    /// Of a reauthorization: what is known of the grant that it holds beside that of its link.
    pub pending: Option<Pending>,
    /// Other namespaces that the person may choose: those that whoever started it may link in.
    pub offered: Vec<NamespaceName>,
    /// When it was started.
    pub created: Timestamp,
    /// When it ends by itself.
    pub expires: Timestamp,
}

/// How a person goes through a flow.
#[derive(Debug)]
pub enum Way {
    /// By Bindery's pages, in one browser.
    Browser,
    /// By the registry's own page, which hands in what the provider sent.
    Headless,
    /// By a code on another device (RFC 8628).
    Device(Device),
    /// By the provider's page on which the app is installed.
    Installation,
}

/// A device authorization (RFC 8628 section 3.2).
#[derive(Debug)]
pub struct Device {
    /// What the daemon polls with.
    pub device_code: Secret,
    /// What the person enters; whoever has it can bind an account.
    pub user_code: Secret,
    /// Where the person enters it.
    pub verification_uri: String,
    /// Time between two polls.
    pub interval: Duration,
    /// No poll before this.
    pub next_poll: Timestamp,
}

/// What is known of a grant that waits to be bound in the place of another, or was replaced and waits to be revoked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pending {
    /// How it was authorized.
    pub auth_kind: AuthKind,
    /// Name of the token's kind.
    pub token_kind: String,
    /// Granted scopes; `None` when the provider does not tell.
    pub granted_scopes: Option<Vec<String>>,
    /// Who consented, once known.
    pub identity: Option<Identity>,
    /// Id of the installation; empty for other ways.
    pub installation_id: String,
    /// User name that goes with the token; empty where it needs none.
    pub username: String,
}

/// Where a flow stands. It never goes back.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum FlowStage {
    /// The URL was handed out.
    Started,
    /// The person has left for the forge; `state` is out.
    AtForge,
    /// The code was taken and is being exchanged: a second callback finds this.
    Exchanging,
    /// The grant is kept, pending; the starter must confirm.
    Granted,
    /// Confirmed, refused or over.
    Finished,
}

/// What the browser brings back.
#[derive(Debug)]
pub struct Callback<'a> {
    /// SHA-256 of `state`.
    pub state_digest: [u8; 32],
    /// Who brings it; `None` for a browser without our cookie.
    pub bearer: Option<Bearer<'a>>,
    /// Host whose redirect path was called.
    pub host: &'a HostName,
}

/// Who brings back what the forge sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Bearer<'a> {
    /// A browser, by the SHA-256 of its cookie.
    Browser([u8; 32]),
    /// A principal, by API.
    Principal(&'a str),
}

impl Flow {
    /// A flow that has just been started by `principal`.
    #[must_use]
    pub fn new(
        id: FlowId,
        namespace: NamespaceName,
        link: LinkId,
        host: HostName,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            namespace,
            link,
            host,
            principal: String::new(),
            return_to: None,
            state_digest: None,
            browser_digest: None,
            confirm_digest: None,
            pkce_verifier: None,
            stage: FlowStage::Started,
            way: Way::Browser,
            reauthorization: false,
            allow_identity_change: false,
            allow_personal_account: false,
            expected_identity: String::new(),
            permissions: Vec::new(),
            requested_scopes: Vec::new(),
            pending: None,
            offered: Vec::new(),
            created: now,
            expires: now.after(FLOW_LIFETIME),
        }
    }

    /// A second copy, for a write that may have to be repeated.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self {
            id: self.id.clone(),
            namespace: self.namespace.clone(),
            link: self.link.clone(),
            host: self.host.clone(),
            principal: self.principal.clone(),
            return_to: self.return_to.clone(),
            pkce_verifier: self.pkce_verifier.as_ref().map(Secret::duplicate),
            way: self.way.duplicate(),
            expected_identity: self.expected_identity.clone(),
            permissions: self.permissions.clone(),
            requested_scopes: self.requested_scopes.clone(),
            pending: self.pending.clone(),
            offered: self.offered.clone(),
            ..*self
        }
    }

    /// Whether it is still open at `now`.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.stage != FlowStage::Finished && now < self.expires
    }

    /// Lets the first callback of the one who started through, once: of the right browser, or of the starter where the
    /// registry's own page was called.
    ///
    /// # Errors
    ///
    /// [`Reason::FlowExpired`] for a flow that is over or was used, [`Reason::FlowMismatch`] for another browser, caller,
    /// way or host. In both cases no code may be exchanged.
    pub fn accept(&mut self, callback: &Callback<'_>, now: Timestamp) -> Result<(), Problem> {
        if !self.is_open(now) || self.stage != FlowStage::AtForge {
            return Err(expired());
        }
        let state = self.state_digest == Some(callback.state_digest);
        if !(state && self.is_brought_by(callback.bearer) && &self.host == callback.host) {
            return Err(mismatch());
        }
        self.stage = FlowStage::Exchanging;
        self.state_digest = None;
        Ok(())
    }

    /// What goes by Bindery's pages is brought by their browser and by nobody else; what goes by the registry's page, by
    /// the registry.
    fn is_brought_by(&self, bearer: Option<Bearer<'_>>) -> bool {
        match (&self.way, bearer) {
            (Way::Browser | Way::Installation, Some(Bearer::Browser(digest))) => {
                self.browser_digest == Some(digest)
            }
            (Way::Headless, Some(Bearer::Principal(principal))) => self.principal == principal,
            _ => false,
        }
    }

    /// Whether a page of Bindery shows who consented, and the code that confirms it.
    #[must_use]
    pub const fn has_page(&self) -> bool {
        matches!(self.way, Way::Browser | Way::Installation)
    }

    /// Lets the starter, or the browser that holds the confirm code, confirm once.
    ///
    /// # Errors
    ///
    /// [`Reason::FlowPending`] before anybody has consented, else as for [`Self::accept`].
    pub fn confirm(&mut self, proof: &ConfirmProof<'_>, now: Timestamp) -> Result<(), Problem> {
        if !self.is_open(now) {
            return Err(expired());
        }
        if self.stage != FlowStage::Granted {
            return Err(waiting());
        }
        let proven = match proof {
            ConfirmProof::Browser {
                confirm_digest,
                browser_digest,
            } => {
                self.confirm_digest.as_ref() == Some(*confirm_digest)
                    && self.browser_digest.as_ref() == Some(*browser_digest)
            }
            ConfirmProof::Starter {
                principal,
                confirm_digest,
            } => {
                let shown = self.confirm_digest.as_ref();
                let coded = shown.is_some() && shown == *confirm_digest;
                (coded || !self.has_page()) && self.principal == *principal
            }
        };
        if !proven {
            return Err(mismatch());
        }
        self.stage = FlowStage::Finished;
        Ok(())
    }
}

/// After what time a device flow is looked at again that could not be followed for reasons on this side.
pub const RETRY: Duration = Duration::from_secs(30);

/// RFC 8628 section 3.5: how much longer to wait after `slow_down`.
const SLOW_DOWN: Duration = Duration::from_secs(5);

/// What follows from a poll of a device flow.
#[derive(Debug)]
pub enum Polled {
    /// A person agreed.
    Granted(Tokens),
    /// It is asked again, not before [`Device::next_poll`].
    Again,
    /// It is over, for this reason.
    Over(Problem),
}

impl Device {
    /// A second copy.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self {
            device_code: self.device_code.duplicate(),
            user_code: self.user_code.duplicate(),
            verification_uri: self.verification_uri.clone(),
            ..*self
        }
    }

    /// Judges the answer to a poll that was sent at `now` (RFC 8628 section 3.5).
    pub fn judge(&mut self, outcome: TokenOutcome, now: Timestamp) -> Polled {
        match outcome {
            TokenOutcome::Granted(tokens) => return Polled::Granted(tokens),
            TokenOutcome::Refused { error, .. } => match error.as_str() {
                "authorization_pending" => {}
                "slow_down" => self.interval += SLOW_DOWN,
                other => return Polled::Over(device_refused(other)),
            },
            TokenOutcome::ClientRefused => {
                let message = "the provider refuses the OAuth client for the device flow; check its id and secrets";
                let problem = Problem::new(Reason::ClientRefused, message);
                return Polled::Over(problem.act(Who::HostOperator, ""));
            }
            TokenOutcome::NotNow(problem) | TokenOutcome::Lost(problem) => {
                // Less and less often while the provider is away.
                self.interval = (self.interval * 2).min(FLOW_LIFETIME);
                let wait = problem.retry_after.unwrap_or_default();
                self.next_poll = now.after(self.interval.max(wait));
                return Polled::Again;
            }
        }
        self.next_poll = now.after(self.interval);
        Polled::Again
    }
}

/// O6: fixed texts by error code.
fn device_refused(error: &str) -> Problem {
    let (reason, message) = match error {
        "access_denied" => (
            Reason::ConsentDenied,
            "the person did not agree at the provider; start the link again if that was a mistake",
        ),
        "expired_token" => (
            Reason::FlowExpired,
            "the code was not entered in time; start the link again",
        ),
        _ => (
            Reason::TokenRefused,
            "the provider ended the device flow with an error; start the link again",
        ),
    };
    Problem::new(reason, message)
}

impl Way {
    /// A second copy.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        match self {
            Self::Browser => Self::Browser,
            Self::Headless => Self::Headless,
            Self::Installation => Self::Installation,
            Self::Device(device) => Self::Device(device.duplicate()),
        }
    }
}

/// Who says that the grant is the one that was meant.
#[derive(Debug)]
pub enum ConfirmProof<'a> {
    /// The browser that started, with the code of its page.
    Browser {
        /// SHA-256 of the confirm code.
        confirm_digest: &'a [u8; 32],
        /// SHA-256 of the cookie.
        browser_digest: &'a [u8; 32],
    },
    /// The principal that started, by API, with the code that only the browser was shown, where there was a browser.
    Starter {
        /// The principal.
        principal: &'a str,
        /// SHA-256 of the confirm code; `None` where no page showed one.
        confirm_digest: Option<&'a [u8; 32]>,
    },
}

/// Why a link whose flow ends unconfirmed needs authorization again.
pub const UNCONFIRMED: Cause = Cause::NotConfirmed;

fn expired() -> Problem {
    Problem::new(
        Reason::FlowExpired,
        "this authorization is over, was used before, or does not exist; start the link again",
    )
}

fn waiting() -> Problem {
    Problem::new(
        Reason::FlowPending,
        "nobody has agreed at the provider yet; wait, or watch the link",
    )
    .retry(Some(Duration::from_secs(5)))
}

fn mismatch() -> Problem {
    Problem::new(
        Reason::FlowMismatch,
        "this authorization was started elsewhere; finish it in the browser or with the client that started it",
    )
}

#[cfg(test)]
mod tests;
