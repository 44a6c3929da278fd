//! A token that a person made is replaced before it ends, where the provider can and the link asks for it.
//!
//! Providers kill the whole family of tokens when a dead one is used to rotate. So the token is looked at first, every time:
//! a lost answer is followed by a look, never by another rotation with a token that may be dead.

use std::time::Duration;

use bindery_core::{
    host::Host,
    link::{Cause, Grant, Link},
    problem::{Problem, Reason},
    provider::{AuthKind, Input, Output, ROTATED_TOKEN, TokenFacts},
    refresh::{AFTER_LOST, Intent, next_attempt, postponed},
    secret::Secret,
    time::Timestamp,
};

use super::{Pair, Stand};
use crate::{Engine, audience::Audience, flight::lock, operation::off_topic};

/// A new token lives as long as the old one did, within these bounds.
const LIFETIME: (Duration, Duration) = (
    Duration::from_secs(30 * 86_400),
    Duration::from_secs(364 * 86_400),
);

/// Wait after a refusal that does not pass by itself.
const REFUSED: Duration = Duration::from_secs(6 * 3600);

/// Whether a link's token is replaced by rotation.
pub(super) fn rotates(link: &Link) -> bool {
    link.auth_kind == AuthKind::AccessToken && link.upkeep.rotate_token
}

impl Engine {
    pub(super) async fn rotate(&self, stand: Stand) -> Result<(), Problem> {
        let (link, host) = (&stand.link.record, &stand.host);
        let lost = stand.intent.as_ref().is_some_and(|intent| {
            intent.generation == stand.grant.record.generation && (intent.lost || intent.in_flight)
        });
        match self.still_good(link, host, &stand.grant.record).await {
            Ok(true) => {}
            Ok(false) => {
                let cause = match lost {
                    true => Cause::RotationLost,
                    false => Cause::TokenRefused,
                };
                return Err(self.dead(link, cause).await);
            }
            Err(problem) => return Err(self.rotate_later(&stand, None, problem).await?),
        }
        if let Err(problem) = self.refuse_shared_token(link, &Audience::default()).await {
            let problem = problem.retry(Some(REFUSED));
            return Err(self.rotate_later(&stand, None, problem).await?);
        }
        let (namespace, id) = (&link.namespace, &link.id);
        let previous = stand.intent.clone().map(found_out);
        let intent = next_attempt(&stand.grant.record, previous, namespace, id, self.now());
        self.take_turn(host, &intent)?;
        // Not journalled means not sent.
        self.put_intent(&intent).await?;
        match self.present_rotation(link, host, &stand.grant.record).await {
            Ok((token, expires)) => self.keep_rotated(&stand, token, expires).await,
            Err(problem) if problem.reason == Reason::TokenRefused => {
                Err(self.dead(link, Cause::TokenRefused).await)
            }
            Err(problem) => Err(self.rotate_later(&stand, Some(intent), problem).await?),
        }
    }

    /// Whether the provider takes the token now.
    async fn still_good(&self, link: &Link, host: &Host, grant: &Grant) -> Result<bool, Problem> {
        if grant.expires.is_some_and(|expires| expires <= self.now()) {
            return Ok(false);
        }
        let context = self.link_context(link, host, &grant.access_token).await?;
        match self
            .run(context, Input::InspectToken)
            .await
            .map(|outcome| outcome.last)
        {
            Ok(Output::TokenFacts(TokenFacts { active, .. })) => Ok(active),
            Ok(_) => Err(off_topic(host)),
            Err(problem) if problem.reason == Reason::TokenRefused => Ok(false),
            Err(problem) => Err(problem),
        }
    }

    async fn present_rotation(
        &self,
        link: &Link,
        host: &Host,
        grant: &Grant,
    ) -> Result<(Secret, Option<Timestamp>), Problem> {
        let context = self.link_context(link, host, &grant.access_token).await?;
        let (least, most) = LIFETIME;
        let lived = grant.expires.map(|expires| expires.since(grant.obtained));
        let lifetime = lived.unwrap_or_default().clamp(least, most);
        let input = Input::RotateToken {
            expires: Some(self.now().after(lifetime)),
        };
        let outcome = self.run(context, input).await?;
        match (outcome.last, outcome.secrets.get(ROTATED_TOKEN)) {
            (Output::TokenFacts(facts), Some(token)) if !token.is_empty() => {
                Ok((token.duplicate(), facts.expires))
            }
            _ => Err(off_topic(host)),
        }
    }

    /// The new token is durable before it is used.
    async fn keep_rotated(
        &self,
        stand: &Stand,
        token: Secret,
        expires: Option<Timestamp>,
    ) -> Result<(), Problem> {
        let link = &stand.link.record;
        let pair = Pair {
            replaces: stand.grant.version,
            grant: Grant {
                access_token: token,
                refresh_token: None,
                expires,
                obtained: self.now(),
                generation: stand.grant.record.generation + 1,
            },
            scopes: None,
        };
        lock(&self.unsaved().0).insert((link.namespace.clone(), link.id.clone()), pair);
        self.save(&link.namespace, &link.id).await
    }

    /// Notes when it is tried again. `sent` is the entry of a rotation that may have been carried out.
    async fn rotate_later(
        &self,
        stand: &Stand,
        sent: Option<Intent>,
        problem: Problem,
    ) -> Result<Problem, Problem> {
        let (link, now) = (&stand.link.record, self.now());
        let random = u64::from_le_bytes(self.random());
        let intent = match sent {
            Some(intent) if may_be_done(&problem) => Intent {
                lost: true,
                in_flight: false,
                failures: intent.failures.saturating_add(1),
                not_before: now.after(AFTER_LOST),
                ..intent
            },
            Some(intent) => {
                let asked = problem.retry_after.unwrap_or(REFUSED);
                let refused = problem.clone().retry(Some(asked));
                postponed(intent, Some(&refused), random, now)
            }
            None => {
                let previous = stand.intent.clone();
                let entry = next_attempt(
                    &stand.grant.record,
                    previous,
                    &link.namespace,
                    &link.id,
                    now,
                );
                postponed(entry, Some(&problem), random, now)
            }
        };
        let next = intent.not_before;
        self.put_intent(&intent).await?;
        self.note_failure(link, &problem, next).await?;
        Ok(problem.retry(Some(next.since(now))))
    }
}

/// The provider takes the old token, so nothing was rotated: what was lost is found out.
fn found_out(intent: Intent) -> Intent {
    Intent {
        lost: false,
        in_flight: false,
        ..intent
    }
}

/// Whether a failed rotation may have been carried out.
fn may_be_done(problem: &Problem) -> bool {
    !matches!(
        problem.reason,
        Reason::ProviderUnsupported
            | Reason::ProviderDenied
            | Reason::ScopeMissing
            | Reason::ProviderRateLimited
            | Reason::InvalidArgument
            | Reason::RequestNotAllowed
            | Reason::OriginNotAllowed
            | Reason::HostNameUnresolved
            | Reason::HostAddressForbidden
            | Reason::HostPortForbidden
    )
}
