//! Events for the sources of a hook.

use std::collections::BTreeMap;

use bindery_core::{
    event::{Event, EventChange, EventOrigin, Verdict},
    hook::Hook,
    link::Stage,
    name::NamespaceName,
    problem::Problem,
    provider::{Happening, Person},
    rules::{Subject, judge},
    source::{Source, SourceName},
    time::Timestamp,
};

use crate::{Engine, Versioned, events::Draft};

/// Something that happened, and how it became known.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) happening: Happening,
    pub(crate) origin: EventOrigin,
    /// By the provider's clock.
    pub(crate) happened: Option<Timestamp>,
    pub(crate) actor: Option<Person>,
    pub(crate) delivery: Option<u64>,
    pub(crate) received: Timestamp,
}

impl Told {
    /// What comparing refs found.
    pub(crate) const fn found(happening: Happening, now: Timestamp) -> Self {
        Self {
            happening,
            origin: EventOrigin::Reconciliation,
            happened: None,
            actor: None,
            delivery: None,
            received: now,
        }
    }
}

/// Events that are not numbered yet, and how often they trigger.
#[derive(Default)]
pub(super) struct Drafts {
    pub(super) all: Vec<Draft>,
    pub(super) triggers: BTreeMap<SourceName, (u32, u32)>,
}

impl Engine {
    /// The sources of a hook that deliveries are acted on for: those whose link is in use.
    pub(crate) async fn acting_sources(&self, hook: &Hook) -> Result<Vec<Source>, Problem> {
        let all = self.sources_by_use(hook).await?.into_iter();
        let acting = all.filter(|(_, in_use)| *in_use);
        Ok(acting.map(|(source, _)| source.record).collect())
    }

    /// All sources of a hook, and of each whether deliveries are acted on for it.
    pub(super) async fn sources_by_use(
        &self,
        hook: &Hook,
    ) -> Result<Vec<(Versioned<Source>, bool)>, Problem> {
        let usable = self.host(&hook.host).await?.record.usable().is_ok();
        let mut all = Vec::new();
        for name in &hook.sources {
            let source = self.find_source(name).await?;
            let link = self.find_link(&name.namespace, &name.link).await?;
            let in_use = link.is_some_and(|link| {
                let bound = matches!(
                    link.record.observed.stage,
                    Stage::Bound | Stage::NeedsReauthorization(_)
                );
                bound && link.record.desired.is_enabled()
            });
            all.extend(source.map(|source| (source, usable && in_use)));
        }
        Ok(all)
    }

    /// One event for each source, in order, judged by its rules.
    pub(super) fn draft(
        &self,
        hook: &Hook,
        sources: &[Source],
        told: &[Told],
        drafts: &mut Drafts,
    ) {
        let now = self.now();
        for one in told {
            for source in sources {
                let event = self.judged(hook, source, one, now, &mut drafts.triggers);
                drafts.all.push(event.into());
            }
        }
    }

    fn judged(
        &self,
        hook: &Hook,
        source: &Source,
        told: &Told,
        now: Timestamp,
        triggers: &mut BTreeMap<SourceName, (u32, u32)>,
    ) -> Event {
        let mut event = event(hook, source, told);
        let Some(subject) = Subject::of(&told.happening) else {
            return event;
        };
        let (name, max) = (source.name(), source.max_triggers_per_minute);
        let room = self.deliveries().room(&name, max, now);
        let used = triggers.entry(name).or_insert((0, max));
        let judgement = judge(source, &subject, used.0 < room);
        if judgement.verdict == Verdict::Trigger {
            used.0 += 1;
        }
        event.verdict = Some(judgement.verdict);
        event.rule = judgement.rule;
        event.build = judgement.build;
        event
    }
}

fn event(hook: &Hook, source: &Source, told: &Told) -> Event {
    Event {
        namespace: source.namespace.clone(),
        sequence: 0,
        link: source.link.clone(),
        source: Some(source.id.clone()),
        host: hook.host.clone(),
        repository: hook.repository.clone(),
        full_name: hook.full_name.clone(),
        happened: told.happened,
        received: told.received,
        origin: told.origin,
        delivery: told.delivery,
        actor: told.actor.clone(),
        change: EventChange::Provider(told.happening.clone()),
        verdict: None,
        rule: String::new(),
        build: None,
    }
}

/// An event, by namespace and number.
pub(super) type Numbered = (NamespaceName, u64);
