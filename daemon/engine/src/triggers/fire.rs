//! Firing: a ref and its commit become an event, judged by the rules of the source.

use std::time::Duration;

use bindery_core::{
    event::{Event, EventChange, EventOrigin, Firing, Verdict},
    name::NamespaceName,
    port::{Change, Expect, Record},
    problem::{Problem, Reason},
    rules::{Judgement, Subject, judge},
    source::Source,
    time::Timestamp,
    trigger::{Trigger, TriggerName},
};

use super::{check_ref, goal::Goal, key};
use crate::{Engine, RequestKey, Versioned, records::change};

/// When a source has room for another trigger at the latest.
const MINUTE: Duration = Duration::from_secs(60);

/// Who fires what.
#[derive(Clone, Copy)]
struct Shot<'a> {
    name: &'a TriggerName,
    principal: &'a str,
    request: Option<&'a RequestKey>,
}

impl Engine {
    /// Fires a trigger: the event says which commit of `reference` is to be built. An empty ref is the trigger's, then the
    /// default branch. `principal` is empty for a firing by URL. The rules of the source judge it as they judge a push whose
    /// paths and message are not known.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, `TRIGGER_LIMIT_REACHED`, `INVALID_ARGUMENT` for a ref that there is not and for a trigger that is switched
    /// off, the reasons of an unusable link, `REQUEST_ID_REUSED`, and what the provider and the vault say.
    pub async fn fire_trigger(
        &self,
        name: &TriggerName,
        reference: &str,
        principal: &str,
        request: Option<&RequestKey>,
    ) -> Result<Event, Problem> {
        check_ref("ref", reference)?;
        let shot = Shot {
            name,
            principal,
            request,
        };
        if let Some(event) = self.fired_before(request).await? {
            return Ok(event);
        }
        let (trigger, source) = self.loaded(name).await?;
        self.room_of(&source, self.now())?;
        let goal = self.goal(&source, &trigger.record, reference).await?;
        // One at a time, so that the limit holds.
        let _turn = self.deliveries().turn(&source.hook).await;
        loop {
            match self.write_firing(shot, &goal).await {
                Err(problem) if problem.reason == Reason::StoreConflict => {}
                outcome => return outcome,
            }
            if let Some(event) = self.fired_before(request).await? {
                return Ok(event);
            }
        }
    }

    /// The event that this request led to before.
    async fn fired_before(&self, request: Option<&RequestKey>) -> Result<Option<Event>, Problem> {
        let Some(resource) = self.recall(request).await? else {
            return Ok(None);
        };
        let (namespace, sequence) = parse_event(&resource)
            .ok_or_else(|| Problem::new(Reason::Internal, "a remembered request names no event"))?;
        let found = self.find_event(&namespace, sequence).await?;
        let found = found.ok_or_else(|| Problem::not_found(&resource))?;
        Ok(Some(found.record))
    }

    /// A trigger that may be fired, and its source.
    async fn loaded(&self, name: &TriggerName) -> Result<(Versioned<Trigger>, Source), Problem> {
        let trigger = self.trigger(name).await?;
        if trigger.record.disabled {
            let message = "the trigger is switched off; set disabled to false to fire it";
            return Err(Problem::invalid("name", message));
        }
        Ok((trigger, self.known_source(&name.source).await?))
    }

    /// Whether the source may trigger once more. One that is paused triggers nothing, and needs no room.
    fn room_of(&self, source: &Source, now: Timestamp) -> Result<(), Problem> {
        let max = source.max_triggers_per_minute;
        if source.paused || self.deliveries().room(&source.name(), max, now) > 0 {
            return Ok(());
        }
        let message = format!(
            "the source triggers {max} times a minute at most; wait a minute, or raise max_triggers_per_minute"
        );
        Err(Problem::new(Reason::TriggerLimitReached, message).retry(Some(MINUTE)))
    }

    /// Writes the event, with the trigger's time and the request. The turn of the source's hook must be held.
    async fn write_firing(&self, shot: Shot<'_>, goal: &Goal) -> Result<Event, Problem> {
        let (trigger, source) = self.loaded(shot.name).await?;
        let now = self.now();
        self.room_of(&source, now)?;
        let mut event = event(&source, shot, goal, now);
        let mut remember = self.remember(shot.request, "").await?;
        let written = self.append_events(vec![event.clone().into()], |numbers| {
            if let Some(memory) = &mut remember {
                lead_to_event(memory, numbers);
            }
            let fired = Trigger {
                fired: trigger.record.fired.max(Some(now)),
                ..trigger.record
            };
            let expect = Expect::Version(trigger.version);
            let fired = change(key(shot.name), expect, Some(Record::Trigger(fired)));
            std::iter::once(fired).chain(remember).collect()
        });
        event.sequence = written.await?.first().map_or(0, |(_, number)| *number);
        if event.verdict == Some(Verdict::Trigger) {
            let max = source.max_triggers_per_minute;
            self.deliveries().note_triggers(&source.name(), 1, max, now);
        }
        Ok(event)
    }
}

/// What a firing tells; it has no number yet.
fn event(source: &Source, shot: Shot<'_>, goal: &Goal, now: Timestamp) -> Event {
    let subject = Subject {
        reference: &goal.reference,
        commit: &goal.commit,
        ..Subject::default()
    };
    let Judgement {
        verdict,
        rule,
        build,
    } = judge(source, &subject, true);
    Event {
        namespace: source.namespace.clone(),
        sequence: 0,
        link: source.link.clone(),
        source: Some(source.id.clone()),
        host: source.host.clone(),
        repository: source.repository.clone(),
        full_name: source.full_name.clone(),
        happened: None,
        received: now,
        origin: EventOrigin::Trigger,
        delivery: None,
        actor: None,
        change: EventChange::Trigger(Firing {
            trigger: shot.name.trigger.clone(),
            reference: goal.reference.clone(),
            commit: goal.commit.clone(),
            principal: shot.principal.to_owned(),
        }),
        verdict: Some(verdict),
        rule,
        build,
    }
}

/// Lets a request be remembered by its event, whose number is known only now.
fn lead_to_event(remember: &mut Change, numbers: &[(NamespaceName, u64)]) {
    if let (Some(Record::Request(memory)), Some((namespace, number))) =
        (&mut remember.write, numbers.first())
    {
        memory.resource = format!("namespaces/{namespace}/events/{number}");
    }
}

fn parse_event(resource: &str) -> Option<(NamespaceName, u64)> {
    let rest = resource.strip_prefix("namespaces/")?;
    let (namespace, number) = rest.split_once("/events/")?;
    Some((NamespaceName::parse(namespace).ok()?, number.parse().ok()?))
}
