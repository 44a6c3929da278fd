//! When to refresh, and what an answer means. Pure: time and randomness are arguments.
//!
//! The order of a refresh, which the engine keeps (DESIGN §5.1, THREATS §6):
//!
//! 1. [`plan`] says [`Plan::Send`];
//! 2. the [`Intent`] is made durable; if that fails, nothing is sent;
//! 3. the request is sent, by a task that no caller can cancel;
//! 4. [`judge`] reads the answer;
//! 5. the new pair is made durable with compare-and-swap on the generation, in the same transaction that removes the
//!    intent; only then is it used.

use std::time::Duration;

use crate::{
    exchange::{TokenOutcome, Tokens},
    link::{Cause, Grant, Link},
    name::{LinkId, NamespaceName},
    problem::Problem,
    provider::AuthKind,
    time::Timestamp,
};

/// A token is refreshed when less than this is left, or less than the caller wants.
pub const MARGIN: Duration = Duration::from_secs(60);

/// Wait before the old refresh token is tried once more after a lost answer (THREATS R4).
pub const AFTER_LOST: Duration = Duration::from_secs(5);

/// A grant is called dead only by two verdicts at least this far apart (THREATS R5).
pub const BETWEEN_VERDICTS: Duration = Duration::from_secs(60);

/// Bounds of the wait after a failed attempt (THREATS R7).
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(900));

/// The journal entry of a refresh: written before the request is sent, removed with the new pair.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Intent {
    /// Namespace of the link.
    pub namespace: NamespaceName,
    /// The link.
    pub link: LinkId,
    /// Generation that is being replaced.
    pub generation: u64,
    /// When this attempt was begun.
    pub started: Timestamp,
    /// A request is under way, or its answer was never read.
    pub in_flight: bool,
    /// An answer was lost: the provider may have rotated already.
    pub lost: bool,
    /// First verdict that the grant is dead.
    pub suspect: Option<Timestamp>,
    /// Attempts that failed.
    pub failures: u32,
    /// No request before this.
    pub not_before: Timestamp,
    /// The grant comes from a backup or a store that was rolled back: its refresh token may have been used since, so it is
    /// tried once at most, and not before its access token is refused or over (THREATS K15).
    pub restored: bool,
}

impl Intent {
    /// A first attempt.
    #[must_use]
    pub const fn new(
        namespace: NamespaceName,
        link: LinkId,
        generation: u64,
        now: Timestamp,
    ) -> Self {
        Self {
            namespace,
            link,
            generation,
            started: now,
            in_flight: true,
            lost: false,
            suspect: None,
            failures: 0,
            not_before: now,
            restored: false,
        }
    }

    /// The entry of a link that was restored; `None` where its token does not rotate.
    #[must_use]
    pub fn restored(link: &Link) -> Option<Self> {
        let by_refresh = link.refreshable && link.auth_kind != AuthKind::AppInstallation;
        let by_rotation = link.auth_kind == AuthKind::AccessToken && link.upkeep.rotate_token;
        (by_refresh || by_rotation).then(|| Self {
            in_flight: false,
            lost: true,
            restored: true,
            not_before: Timestamp::default(),
            ..Self::new(
                link.namespace.clone(),
                link.id.clone(),
                link.generation,
                link.updated,
            )
        })
    }

    /// What is left of it after a restart: a request that was under way has lost its answer.
    #[must_use]
    pub const fn recovered(mut self) -> Self {
        if self.in_flight {
            self.lost = true;
            self.in_flight = false;
        }
        self
    }
}

/// What to do for a caller that wants a token with at least `min_remaining` left.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Plan {
    /// The current token is good.
    UseCurrent,
    /// Refresh now.
    Send,
    /// The current token is still good for a while, though shorter than wanted, and no refresh may be sent before the time.
    UseShort {
        /// When a refresh may be sent.
        not_before: Timestamp,
    },
    /// There is no good token, and no refresh may be sent before the time.
    Wait {
        /// When a refresh may be sent.
        not_before: Timestamp,
    },
    /// There is no good token, and none can be had.
    Dead(Cause),
}

/// Decides between the current token and a refresh.
///
/// Nobody gets more than a new token has: a wish beyond that asks for a nearly new one, and a token that lives shorter than
/// twice [`MARGIN`] is used for half of its life, so that not every call refreshes it. `renewable` says whether a new token
/// can be had at all: by a refresh token, or because the daemon mints it.
///
/// What the clock says of the end of a token that was obtained after now, by more than [`MARGIN`], means nothing: it was set
/// back since (THREATS R8). Such a token is renewed, once, where that can be done.
#[must_use]
pub fn plan(
    grant: &Grant,
    renewable: bool,
    intent: Option<&Intent>,
    min_remaining: Duration,
    now: Timestamp,
) -> Plan {
    let Some(expires) = grant.expires else {
        return Plan::UseCurrent;
    };
    let remaining = expires.since(now);
    let good = remaining > Duration::ZERO;
    let lifetime = expires.since(grant.obtained);
    let margin = MARGIN.min(lifetime / 2);
    let wanted = min_remaining.min(lifetime - margin).max(margin);
    let known = now.after(MARGIN) >= grant.obtained;
    if good && (known && remaining >= wanted || is_restored(grant, intent)) {
        return Plan::UseCurrent;
    }
    if !renewable {
        return if good {
            Plan::UseCurrent
        } else {
            Plan::Dead(Cause::TokenExpired)
        };
    }
    match earliest(grant, intent, now) {
        Some(not_before) if good => Plan::UseShort { not_before },
        Some(not_before) => Plan::Wait { not_before },
        None => Plan::Send,
    }
}

/// Decides for a caller whose token of `generation` was refused, whatever is left of it. It is never told to use the same
/// token again while a new one can be had.
#[must_use]
pub fn plan_newer(
    grant: &Grant,
    renewable: bool,
    intent: Option<&Intent>,
    generation: u64,
    now: Timestamp,
) -> Plan {
    if grant.generation > generation || !renewable {
        return Plan::UseCurrent;
    }
    match earliest(grant, intent, now) {
        Some(not_before) => Plan::Wait { not_before },
        None => Plan::Send,
    }
}

/// Whether a refresh of this grant may be the end of it, so that it is the last thing to try.
fn is_restored(grant: &Grant, intent: Option<&Intent>) -> bool {
    intent.is_some_and(|intent| intent.restored && intent.generation == grant.generation)
}

/// When a refresh may be sent, if not now.
fn earliest(grant: &Grant, intent: Option<&Intent>, now: Timestamp) -> Option<Timestamp> {
    intent
        .filter(|intent| intent.generation == grant.generation && intent.not_before > now)
        .map(|intent| intent.not_before)
}

/// When a token is replaced by itself: between 70 and 85 % of what is left of it, or of the time after which an idle
/// refresh token dies, whichever comes first (THREATS R6). `None` where neither ends.
#[must_use]
pub fn due(
    now: Timestamp,
    expires: Option<Timestamp>,
    refresh_expires: Option<Timestamp>,
    random: u64,
) -> Option<Timestamp> {
    let ends = [expires, refresh_expires].into_iter().flatten();
    let left = ends.map(|end| end.since(now)).min()?;
    let per_mille = 700 + u32::try_from(random % 151).unwrap_or(0);
    Some(now.after(left * per_mille / 1000))
}

/// The entry to write before the next request. One that was left in flight has lost its answer: only one request of a
/// link is under way at a time, and what came of that one was never written.
#[must_use]
pub fn next_attempt(
    grant: &Grant,
    previous: Option<Intent>,
    namespace: &NamespaceName,
    link: &LinkId,
    now: Timestamp,
) -> Intent {
    match previous.filter(|intent| intent.generation == grant.generation) {
        Some(intent) => Intent {
            started: now,
            in_flight: true,
            ..intent.recovered()
        },
        None => Intent::new(namespace.clone(), link.clone(), grant.generation, now),
    }
}

/// What an answer means.
#[derive(Debug)]
pub enum Verdict {
    /// Store this pair, remove the intent, then use it.
    Store(Grant, Option<Vec<String>>),
    /// Keep the old pair and this entry; the caller gets the problem when it has no good token.
    Keep(Intent, Option<Problem>),
    /// The grant is dead.
    Dead(Cause),
}

/// Reads an answer. `random` decides the jitter of the wait.
#[must_use]
pub fn judge(
    grant: &Grant,
    intent: Intent,
    outcome: TokenOutcome,
    random: u64,
    now: Timestamp,
) -> Verdict {
    match outcome {
        TokenOutcome::Granted(tokens) => {
            let scopes = tokens.scopes.clone();
            Verdict::Store(successor(grant, tokens, now), scopes)
        }
        TokenOutcome::Refused { dead: true, .. } if intent.lost => {
            Verdict::Dead(Cause::RotationLost)
        }
        TokenOutcome::Refused { dead: true, .. } => suspect(intent, now),
        TokenOutcome::Refused { .. } | TokenOutcome::ClientRefused => {
            later(intent, None, random, now)
        }
        TokenOutcome::NotNow(problem) => later(intent, Some(problem), random, now),
        // It may have been used up now, and was perhaps before: a second try is what families are revoked for.
        TokenOutcome::Lost(_) if intent.restored => Verdict::Dead(Cause::RotationLost),
        TokenOutcome::Lost(problem) => lost(intent, problem, now),
    }
}

fn successor(old: &Grant, tokens: Tokens, now: Timestamp) -> Grant {
    let kept = || {
        old.refresh_token
            .as_ref()
            .map(crate::secret::Secret::duplicate)
    };
    Grant {
        access_token: tokens.access_token,
        refresh_token: tokens.refresh_token.or_else(kept),
        expires: tokens.expires_in.map(|lifetime| now.after(lifetime)),
        obtained: now,
        generation: old.generation + 1,
    }
}

fn suspect(intent: Intent, now: Timestamp) -> Verdict {
    match intent.suspect {
        Some(first) if now.since(first) >= BETWEEN_VERDICTS => Verdict::Dead(Cause::GrantRevoked),
        first => {
            let first = first.unwrap_or(now);
            let not_before = first.after(BETWEEN_VERDICTS);
            let failures = intent.failures + 1;
            Verdict::Keep(
                Intent {
                    suspect: Some(first),
                    in_flight: false,
                    not_before,
                    failures,
                    ..intent
                },
                None,
            )
        }
    }
}

fn later(intent: Intent, problem: Option<Problem>, random: u64, now: Timestamp) -> Verdict {
    let intent = postponed(intent, problem.as_ref(), random, now);
    Verdict::Keep(intent, problem)
}

/// The entry after an attempt that used nothing up: when the next one may be made. What the host asked for counts.
#[must_use]
pub fn postponed(intent: Intent, problem: Option<&Problem>, random: u64, now: Timestamp) -> Intent {
    let asked = problem
        .and_then(|problem| problem.retry_after)
        .unwrap_or_default();
    let wait = backoff(intent.failures, random).max(asked);
    Intent {
        in_flight: false,
        failures: intent.failures.saturating_add(1),
        not_before: now.after(wait),
        ..intent
    }
}

fn lost(intent: Intent, problem: Problem, now: Timestamp) -> Verdict {
    let failures = intent.failures.saturating_add(1);
    let not_before = now.after(AFTER_LOST);
    Verdict::Keep(
        Intent {
            lost: true,
            in_flight: false,
            failures,
            not_before,
            ..intent
        },
        Some(problem),
    )
}

/// Wait after `failures` failed attempts: exponential with full jitter between the bounds.
fn backoff(failures: u32, random: u64) -> Duration {
    let (least, most) = BACKOFF;
    let ceiling = least.saturating_mul(1 << failures.min(16)).min(most);
    let span = u64::try_from((ceiling - least).as_millis()).unwrap_or(u64::MAX);
    least + Duration::from_millis(random % (span + 1))
}

#[cfg(test)]
mod tests;
