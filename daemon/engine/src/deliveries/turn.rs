//! What the changes of a repository become: events, what is known of its refs, and its hook, in one commit.

use bindery_core::{
    delivery::{Delivery, DeliveryState},
    event::EventOrigin,
    hook::{Hook, HookStep, KnownRefs},
    name::HookId,
    port::{Change, Expect, Key, Record},
    problem::Problem,
    provider::{DeliveredRepository, Happening, RepositoryChange, RepositoryChanged},
    refs::{admit, compare, with_before},
    source::Source,
    time::Timestamp,
};

use super::{
    draft::{Drafts, Numbered, Told},
    hint::Hint,
    process::{note_delivery, put_delivery},
    read::Said,
};
use crate::{
    Engine, Versioned,
    hooks::{is_known_gone, put_name, state_events},
    records::change,
};

/// What is to be written at once.
pub(crate) struct Changes {
    /// The hook as it was read.
    pub(crate) before: Versioned<Hook>,
    /// The hook afterwards.
    pub(crate) after: Hook,
    /// What is known of its refs, and the version that was read.
    pub(crate) known: KnownRefs,
    pub(crate) known_before: KnownRefs,
    pub(crate) expect: Expect,
    /// What happened, in order.
    pub(crate) told: Vec<Told>,
    /// Sources that it is told to.
    pub(crate) sources: Vec<Source>,
    /// Sources in use that must be told first what they missed; what deliveries say comes to them by comparing refs.
    pub(crate) behind: Vec<Versioned<Source>>,
    /// Sources that are not in use, and that have missed nothing so far.
    pub(crate) resting: Vec<Versioned<Source>>,
    /// What sources missed and are told now.
    pub(crate) caught_up: Vec<(Versioned<Source>, Vec<Told>)>,
}

impl Engine {
    /// What is to be written for a hook, while it is as it was read; `None` where it is gone.
    pub(crate) async fn changes(&self, hook: &HookId) -> Result<Option<Changes>, Problem> {
        let Some(before) = self.find_hook(hook).await? else {
            return Ok(None);
        };
        let (known, expect) = match self.find_known_refs(hook).await? {
            Some(entry) => (entry.record, Expect::Version(entry.version)),
            None => (KnownRefs::default(), Expect::Absent),
        };
        let (mut sources, mut behind, mut resting) = (Vec::new(), Vec::new(), Vec::new());
        for (source, in_use) in self.sources_by_use(&before.record).await? {
            match (in_use, &source.record.behind) {
                (true, None) => sources.push(source.record),
                (true, Some(_)) => behind.push(source),
                (false, None) => resting.push(source),
                (false, Some(_)) => {}
            }
        }
        Ok(Some(Changes {
            after: before.record.clone(),
            before,
            known_before: known.clone(),
            known,
            expect,
            told: Vec::new(),
            sources,
            behind,
            resting,
            caught_up: Vec::new(),
        }))
    }

    /// Writes it, with what else becomes true, and returns the events.
    pub(crate) async fn write_changes(
        &self,
        changes: Changes,
        others: impl FnOnce(&[Numbered]) -> Vec<Change>,
    ) -> Result<Vec<Numbered>, Problem> {
        let now = self.now();
        let mut drafts = Drafts::default();
        self.draft(&changes.after, &changes.sources, &changes.told, &mut drafts);
        for (source, told) in &changes.caught_up {
            let source = std::slice::from_ref(&source.record);
            self.draft(&changes.after, source, told, &mut drafts);
        }
        let Drafts { mut all, triggers } = drafts;
        let own = all.len();
        let left = self.left_behind(&changes)?;
        all.extend(state_events(&changes.before.record, &changes.after, now));
        let after = changes.after.clone();
        let written = self.append_events(all, |numbers| {
            let own = numbers.get(..own).unwrap_or_default();
            let mut writes = others(own);
            writes.extend(left);
            writes.extend(changes.writes());
            writes
        });
        let mut numbers = written.await?;
        numbers.truncate(own);
        for (source, (times, max)) in triggers {
            self.deliveries().note_triggers(&source, times, max, now);
        }
        self.hook_written(&after);
        Ok(numbers)
    }

    /// Decides what becomes of a delivery about the repository of a hook, and writes it. The hook's turn must be held.
    pub(super) async fn conclude(
        &self,
        hook: &HookId,
        number: u64,
        said: &Said,
    ) -> Result<(), Problem> {
        let Some(found) = self.find_delivery(number).await? else {
            return Ok(());
        };
        let Some(mut changes) = self.changes(hook).await? else {
            return Ok(());
        };
        let Versioned {
            record: mut delivery,
            version,
        } = found;
        // What an app's hook brought belongs to the repository from here on.
        delivery.about = (delivery.hook != *hook).then(|| hook.clone());
        let why = decide(&mut changes, &delivery, said, self.now());
        let sources = changes.sources.clone();
        // Of what nobody is told nothing is looked at either.
        let hint = if said.own && !sources.is_empty() {
            said.hint
        } else {
            Hint::default()
        };
        let renamed = changes.after.full_name != changes.before.record.full_name;
        let name = changes.after.full_name.clone();
        note_delivery(&mut changes.after, &delivery);
        hint.put_into(&mut changes.after, said.weak);
        let written = self.write_changes(changes, |numbers| {
            let told = !numbers.is_empty();
            delivery.state = if told {
                DeliveryState::Processed
            } else {
                DeliveryState::Ignored
            };
            why.clone_into(&mut delivery.message);
            // What a delivery became before stays, where it is processed again.
            delivery.events.extend_from_slice(numbers);
            vec![put_delivery(delivery, version)]
        });
        written.await?;
        if hint.links {
            self.check_links_soon(&sources).await;
        }
        if renamed {
            self.rename_hook(hook, &name).await?;
        }
        Ok(())
    }
}

impl Engine {
    /// Those who rest are told later what they miss from now on: where they stand is kept.
    fn left_behind(&self, changes: &Changes) -> Result<Vec<Change>, Problem> {
        let mut writes = Vec::new();
        if changes.known == changes.known_before {
            return Ok(writes);
        }
        for Versioned { record, version } in &changes.resting {
            let id = self.new_hook_id()?;
            let refs = Some(Record::KnownRefs(changes.known_before.clone()));
            writes.push(change(Key::KnownRefs(id.clone()), Expect::Absent, refs));
            let mut source = record.clone();
            source.behind = Some(id);
            writes.push(put_source(source, *version));
        }
        Ok(writes)
    }
}

fn put_source(source: Source, version: u64) -> Change {
    let name = source.name();
    let key = Key::Source(name.namespace, name.link, name.source);
    change(key, Expect::Version(version), Some(Record::Source(source)))
}

/// The source was told all.
fn caught_up(Versioned { record, version }: Versioned<Source>) -> Vec<Change> {
    let mut source = record;
    let refs = source.behind.take();
    let refs = refs.map(|id| change(Key::KnownRefs(id), Expect::Any, None));
    let mut writes: Vec<_> = refs.into_iter().collect();
    writes.push(put_source(source, version));
    writes
}

impl Changes {
    fn writes(self) -> Vec<Change> {
        let id = self.after.id.clone();
        let hook = Key::Hook(id.clone());
        let hook = change(
            hook,
            Expect::Version(self.before.version),
            Some(Record::Hook(self.after)),
        );
        let mut writes = vec![hook];
        let told = self.caught_up.into_iter();
        writes.extend(told.flat_map(|(source, _)| caught_up(source)));
        if self.known != self.known_before {
            let known = Some(Record::KnownRefs(self.known));
            writes.push(change(Key::KnownRefs(id), self.expect, known));
        }
        writes
    }
}

/// Holds what a delivery says against what is known. Returns why nothing became of it, or of a part; empty where all did.
fn decide(changes: &mut Changes, delivery: &Delivery, said: &Said, now: Timestamp) -> &'static str {
    if !said.own {
        return "it is about another repository than the hook's";
    }
    if changes.after.step == Some(HookStep::Delete) {
        return "its hook is being deleted";
    }
    if !changes.behind.is_empty() {
        // They are told all of it in one go.
        changes.after.reconcile_due |= !said.delivered.ping;
        if changes.sources.is_empty() {
            return "its sources are told once refs are compared: they were not in use for a while";
        }
    }
    if changes.sources.is_empty() {
        // Refs are compared once a link is in use again: until then nothing is acted on.
        changes.after.reconcile_due |= !said.delivered.ping;
        return "no source acts on it: their links, or the host, are disabled or unlinked";
    }
    changes.after.reconcile_due |= said.delivered.truncated;
    note_name(changes, delivery, said, now);
    let known_only = tell(changes, delivery, said);
    tell_differences(changes, said, now);
    if said.delivered.ping {
        "it only shows that the hook works"
    } else if said.delivered.happenings.is_empty() && said.unconfirmed {
        "the provider does not say the same, and the signature does not cover the body"
    } else if said.delivered.happenings.is_empty() {
        "it tells of nothing that becomes an event"
    } else if known_only {
        "what it tells is known already"
    } else {
        ""
    }
}

/// Tells what is new. Says whether nothing was.
fn tell(changes: &mut Changes, delivery: &Delivery, said: &Said) -> bool {
    let before = changes.told.len();
    for happening in &said.delivered.happenings {
        // It has no place among the refs, so the delivery itself knows whether it was told.
        if !delivery.events.is_empty() && matches!(happening, Happening::RepositoryChanged(_)) {
            continue;
        }
        let hook = &changes.before.record;
        if is_known(hook, happening) {
            continue;
        }
        let told = with_before(&changes.known, with_path(happening, hook));
        let admission = admit(&mut changes.known, happening);
        changes.after.reconcile_due |= admission.wants_comparison();
        if admission.is_told() {
            changes.told.push(Told {
                happening: told,
                origin: if delivery.redelivered {
                    EventOrigin::Redelivery
                } else {
                    EventOrigin::Delivery
                },
                happened: said.delivered.happened,
                actor: said.delivered.actor.clone(),
                delivery: Some(delivery.number),
                received: delivery.received,
            });
        }
    }
    changes.told.len() == before
}

/// A delivery that proves nothing but that something changed: all that changed is told, as the provider has it.
fn tell_differences(changes: &mut Changes, said: &Said, now: Timestamp) {
    if let Some(refs) = said.refs.as_ref().filter(|_| said.weak) {
        let found = compare(&mut changes.known, refs);
        let found = found
            .into_iter()
            .map(|happening| Told::found(happening, now));
        changes.told.extend(found);
    }
}

/// The repository may have a new path. What no signature covers says nothing of it, nor does what was sent long ago.
fn note_name(changes: &mut Changes, delivery: &Delivery, said: &Said, now: Timestamp) {
    let named = said.delivered.repository.as_ref();
    let told = |one: &&DeliveredRepository| !said.weak && !one.full_name.is_empty();
    let Some(named) = named.filter(told) else {
        return;
    };
    if said
        .delivered
        .happenings
        .iter()
        .any(|one| moved(one).is_some())
    {
        changes.after.full_name.clone_from(&named.full_name);
    } else if !delivery.redelivered && delivery.number >= changes.before.record.deliveries.1 {
        put_name(changes, &named.full_name, now);
    }
}

/// A rename or a transfer.
fn moved(happening: &Happening) -> Option<&RepositoryChanged> {
    match happening {
        Happening::RepositoryChanged(changed)
            if matches!(
                changed.kind,
                RepositoryChange::Renamed | RepositoryChange::Transferred
            ) =>
        {
            Some(changed)
        }
        _ => None,
    }
}

/// Whether a look at the provider, or another delivery, told it before.
fn is_known(hook: &Hook, happening: &Happening) -> bool {
    let Happening::RepositoryChanged(changed) = happening else {
        return false;
    };
    match moved(happening) {
        Some(moved) => !moved.after.is_empty() && moved.after == hook.full_name,
        None => changed.kind == RepositoryChange::Deleted && is_known_gone(hook),
    }
}

/// Not every provider tells the path that a repository had.
fn with_path(happening: &Happening, hook: &Hook) -> Happening {
    let mut happening = happening.clone();
    if let Happening::RepositoryChanged(changed) = &mut happening
        && changed.before.is_empty()
    {
        changed.before.clone_from(&hook.full_name);
    }
    happening
}
