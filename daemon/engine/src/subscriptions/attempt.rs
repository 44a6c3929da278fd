//! One event to one endpoint, and what came of it.

use bindery_core::{
    event::Event,
    exchange::Post,
    port::{Change, Expect, Record},
    problem::Problem,
    trigger::{Outgoing, Subscription},
};

use super::{
    Name, SCHEDULE, absent,
    body::{self, Payload},
    outgoing_key, sign,
};
use crate::{Engine, Versioned, records::change};

/// What an endpoint said.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    /// It has the event.
    Accepted,
    /// It wants no more of them.
    Gone,
    /// It does not have the event: status, 0 where there was none, and why.
    Failed(u16, String),
}

/// What a subscription says whose endpoint wants no more.
const GONE: &str = "the endpoint answered 410 Gone, so deliveries are paused; correct the endpoint, and switch `paused` off to go on";

impl Engine {
    /// Posts an event to the endpoint of a subscription.
    pub(super) async fn post_event(
        &self,
        name: &Name,
        subscription: &Subscription,
        event: &Event,
    ) -> Result<Outcome, Problem> {
        let payload = self.payload_for(name, subscription, event).await?;
        let body = body::render(event, &payload);
        let secrets = self.find_subscription_secret(&name.0, &name.1).await?;
        let secrets = secrets.ok_or_else(|| absent(name))?.record;
        let (now, id) = (self.now(), webhook_id(event));
        let headers = [
            ("content-type", "application/json".to_owned()),
            ("webhook-id", id.clone()),
            ("webhook-timestamp", now.unix_seconds().to_string()),
            (
                "webhook-signature",
                sign::signatures(&secrets, &id, now, &body)?,
            ),
        ];
        let post = Post {
            url: &subscription.endpoint_uri,
            headers: &headers,
            body: &body,
        };
        Ok(outcome(self.ports().egress.post(post).await))
    }

    /// What a delivery carries of the provider's body. The right to it may have ended since it was asked for.
    async fn payload_for(
        &self,
        name: &Name,
        subscription: &Subscription,
        event: &Event,
    ) -> Result<Payload, Problem> {
        if !subscription.include_payload {
            return Ok(Payload::Unasked);
        }
        if self.may_see_payloads(&subscription.payload_for, &name.0) {
            return Ok(Payload::Body(self.event_payload(event).await?));
        }
        if subscription.failure != WITHHELD {
            let now = self.now();
            self.note(name, None, |subscription| {
                subscription.failed = Some(now);
                WITHHELD.clone_into(&mut subscription.failure);
            })
            .await?;
        }
        Ok(Payload::Withheld)
    }

    /// Writes what came of the first attempt for an event.
    pub(super) async fn note_first(
        &self,
        name: &Name,
        sequence: u64,
        outcome: Outcome,
    ) -> Result<(), Problem> {
        let now = self.now();
        let aside = match &outcome {
            Outcome::Failed(status, message) => {
                let failed = Outgoing {
                    namespace: name.0.clone(),
                    subscription: name.1.clone(),
                    sequence,
                    attempts: 1,
                    next: Some(now.after(SCHEDULE[1])),
                    tried: now,
                    status: *status,
                    message: message.clone(),
                };
                Some(put(name, Expect::Any, failed))
            }
            _ => None,
        };
        let taken = |subscription: &mut Subscription| {
            say(subscription, &outcome, sequence, now);
            if outcome != Outcome::Gone {
                subscription.taken = subscription.taken.max(sequence);
            }
        };
        self.note(name, aside, taken).await.map(drop)
    }

    /// Writes what came of another attempt. Where the event was asked for anew meanwhile, that stands.
    pub(super) async fn note_again(
        &self,
        name: &Name,
        entry: Versioned<Outgoing>,
        outcome: Outcome,
    ) -> Result<(), Problem> {
        let (now, sequence) = (self.now(), entry.record.sequence);
        let expect = Expect::Version(entry.version);
        let mut dead = 0;
        let aside = match &outcome {
            Outcome::Accepted => Some(change(outgoing_key(name, sequence), expect, None)),
            Outcome::Gone => None,
            Outcome::Failed(status, message) => {
                let mut failed = entry.record;
                failed.attempts += 1;
                let wait = SCHEDULE.get(failed.attempts as usize);
                failed.next = wait.map(|wait| now.after(*wait));
                dead = u32::from(failed.next.is_none());
                failed.tried = now;
                failed.status = *status;
                failed.message.clone_from(message);
                Some(put(name, expect, failed))
            }
        };
        let write = |subscription: &mut Subscription| {
            say(subscription, &outcome, sequence, now);
            subscription.dead_letters = subscription.dead_letters.saturating_add(dead);
        };
        self.note(name, aside, write).await.map(drop)
    }
}

/// What a subscription says whose deliveries carry no body any more.
const WITHHELD: &str = "deliveries carry no payload, since nobody who asked for it has the right `event:payload` any more; whoever has it sets `include_payload` again";

/// The same for every attempt and every subscription. Names have dots, and an id must have none.
fn webhook_id(event: &Event) -> String {
    let namespace = event.namespace.as_str().replace('.', "_");
    format!("evt_{namespace}_{}", event.sequence)
}

fn outcome(answer: Result<u16, Problem>) -> Outcome {
    match answer {
        Ok(200..=299) => Outcome::Accepted,
        Ok(410) => Outcome::Gone,
        Ok(status) => Outcome::Failed(status, format!("the endpoint answered {status}")),
        Err(problem) => Outcome::Failed(0, problem.message),
    }
}

fn say(
    subscription: &mut Subscription,
    outcome: &Outcome,
    sequence: u64,
    now: bindery_core::time::Timestamp,
) {
    match outcome {
        Outcome::Accepted => {
            subscription.delivered = subscription.delivered.max(sequence);
            subscription.succeeded = Some(now);
        }
        Outcome::Gone => {
            subscription.paused = true;
            subscription.updated = super::later(now, subscription.updated);
            subscription.failed = Some(now);
            GONE.clone_into(&mut subscription.failure);
        }
        Outcome::Failed(_, message) => {
            subscription.failed = Some(now);
            subscription.failure.clone_from(message);
        }
    }
}

fn put(name: &Name, expect: Expect, outgoing: Outgoing) -> Change {
    let key = outgoing_key(name, outgoing.sequence);
    change(key, expect, Some(Record::Outgoing(outgoing)))
}
