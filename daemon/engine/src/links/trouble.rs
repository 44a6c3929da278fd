//! What a failure says about a link: that its grant is dead, that something outside is in the way, or nothing.
//!
//! A link that fails for reasons outside stays bound and enabled. It says what is wrong, and who must act, until it works
//! again.

use std::time::Duration;

use bindery_core::{
    link::{Cause, Link, Note, Stage},
    problem::{Problem, Reason, Who},
    provider::AuthKind,
    time::Timestamp,
};

use super::explain;
use crate::Engine;

/// Waits that end so close to each other are one.
const SAME_WAIT: Duration = Duration::from_secs(10);

/// What a failure says about a link.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Sign {
    /// A person must authorize it again.
    Dead(Cause),
    /// Something outside is in the way.
    Trouble(Cause),
    /// Nothing about the link as a whole.
    Nothing,
}

/// Reads a failure. A refused token is no sign by itself: a refresh may have replaced it, and two verdicts make a dead
/// grant (THREATS R5).
pub(crate) fn sign(link: &Link, problem: &Problem) -> Sign {
    let installed = link.auth_kind == AuthKind::AppInstallation;
    match problem.reason {
        Reason::AppNotInstalled if installed => Sign::Dead(Cause::AppUninstalled),
        Reason::IdentitySuspended if installed => Sign::Trouble(Cause::AppSuspended),
        Reason::IdentitySuspended => Sign::Trouble(Cause::IdentitySuspended),
        Reason::ClientRefused => Sign::Trouble(Cause::ClientRefused),
        Reason::HostUnreachable
        | Reason::HostNameUnresolved
        | Reason::HostAddressForbidden
        | Reason::HostPortForbidden
        | Reason::HostCertificateUnknown
        | Reason::HostAnswerUnusable => Sign::Trouble(Cause::HostUnreachable),
        Reason::ProviderRateLimited => Sign::Trouble(Cause::RateLimited),
        Reason::ProviderUnavailable => Sign::Trouble(Cause::ProviderUnavailable),
        Reason::PluginFailed
        | Reason::PluginCrashed
        | Reason::PluginTimeout
        | Reason::ProviderNotLoaded
        | Reason::RequestNotAllowed
        | Reason::OriginNotAllowed => Sign::Trouble(Cause::PluginFailed),
        Reason::RefreshOutcomeUnknown => Sign::Trouble(Cause::RefreshOutcomeUnknown),
        Reason::HostDisabled => Sign::Trouble(Cause::HostDisabled),
        _ => Sign::Nothing,
    }
}

/// Who can do something about a trouble; `None` where it passes by itself.
pub(crate) const fn who(cause: Cause) -> Option<Who> {
    match cause {
        Cause::ClientRefused
        | Cause::HostUnreachable
        | Cause::HostOriginChanged
        | Cause::HostDisabled
        | Cause::PluginFailed => Some(Who::HostOperator),
        Cause::AppUninstalled | Cause::AppSuspended => Some(Who::OrganizationOwner),
        Cause::RateLimited | Cause::ProviderUnavailable | Cause::RefreshOutcomeUnknown => None,
        _ => Some(Who::User),
    }
}

impl Engine {
    /// What a failure in use means: the link says so at once. Gives back what the caller is told.
    pub(crate) async fn use_failed(&self, link: &Link, problem: Problem) -> Problem {
        if let Sign::Dead(cause) = sign(link, &problem) {
            return self.dead_at(link, cause, &problem.action_uri).await;
        }
        match self.note_trouble(link, &problem).await {
            Ok(()) => problem,
            Err(other) => other,
        }
    }

    /// Shows in a bound link what is in its way, if the failure says so.
    pub(crate) async fn note_trouble(&self, link: &Link, problem: &Problem) -> Result<(), Problem> {
        let now = self.now();
        self.change_link(&link.namespace, &link.id, |link| {
            troubled(link, problem, now);
            Ok(())
        })
        .await
        .map(drop)
    }
}

/// Shows in a bound link what is in its way, if the failure says so.
pub(crate) fn troubled(link: &mut Link, problem: &Problem, now: Timestamp) {
    let Sign::Trouble(cause) = sign(link, problem) else {
        return;
    };
    if link.observed.stage != Stage::Bound {
        return;
    }
    let passes = problem.retry_after.map(|wait| now.after(wait));
    if link.observed.trouble != Some(cause) {
        link.observed.trouble = Some(cause);
        link.observed.message = format!("{}: {}", explain(cause), problem.message);
        link.observed.who = who(cause).or(problem.who);
        link.observed.action_uri.clone_from(&problem.action_uri);
        link.observed.until = passes;
    } else if is_later(passes, link.observed.until) {
        link.observed.until = passes;
    }
}

/// Whether a wait is worth a write: each refused call tells its own, and most of them mean the same moment.
fn is_later(passes: Option<Timestamp>, known: Option<Timestamp>) -> bool {
    passes.is_some_and(|passes| known.is_none_or(|known| passes > known.after(SAME_WAIT)))
}

/// The link works: nothing is in its way any more.
pub(crate) fn recovered(link: &mut Link) {
    if link.observed.stage == Stage::Bound && link.observed.trouble.take().is_some() {
        link.observed.message.clear();
        link.observed.action_uri.clear();
        (link.observed.who, link.observed.until) = (None, None);
        let mut notes = std::mem::take(&mut link.seen.notes);
        notes.retain(|note| !tells_trouble(link, note));
        link.seen.notes = notes;
    }
}

/// Whether a note of the last check says what was in the way, and not what is lost or ends.
fn tells_trouble(link: &Link, note: &Note) -> bool {
    let mut reasons = Reason::ALL.iter().copied();
    let reason = reasons.find(|reason| reason.as_str() == note.reason);
    reason.is_some_and(|reason| {
        let problem = Problem::new(reason, "");
        matches!(sign(link, &problem), Sign::Trouble(_))
    })
}
