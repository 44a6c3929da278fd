//! That a link lost its access, or got it back, is an event: of the link as a whole, of an organization, of a repository.
//!
//! It is read from the link before and after a write, and written with it. What a check could not find out is neither.

use std::collections::BTreeSet;

use bindery_core::{
    event::{AccessChange, Event, EventChange, EventOrigin},
    link::{Cause, Link, Note, Stage},
    problem::{Problem, Reason},
    source::Source,
    time::Timestamp,
};

use super::survey::subject;
use crate::{Engine, Versioned, events::Draft};

impl Engine {
    /// The events of a write of a link.
    pub(crate) async fn access_events(
        &self,
        before: &Link,
        after: &Link,
    ) -> Result<Vec<Draft>, Problem> {
        let mut changes: Vec<_> = whole(before, after).into_iter().map(Change::from).collect();
        if before.generation == after.generation {
            changes.extend(parts(before, after));
        }
        let about_sources = changes.iter().any(|change| !change.repository.is_empty());
        let sources = if about_sources {
            self.sources_of(&after.namespace, Some(&after.id)).await?
        } else {
            Vec::new()
        };
        let now = self.now();
        let events = changes
            .into_iter()
            .map(|change| change.event(after, &sources, now).into());
        Ok(events.collect())
    }
}

/// A change of access, and the path of the repository that it is about; empty where it is about none.
struct Change {
    access: AccessChange,
    repository: String,
}

impl From<AccessChange> for Change {
    fn from(access: AccessChange) -> Self {
        Self {
            access,
            repository: String::new(),
        }
    }
}

impl Change {
    fn event(self, link: &Link, sources: &[Versioned<Source>], now: Timestamp) -> Event {
        let mut sources = sources.iter().map(|entry| &entry.record);
        let source = sources.find(|source| source.full_name == self.repository);
        let mut seen = link.seen.repositories.iter();
        let seen = seen.find(|seen| seen.full_name == self.repository);
        let id = source.map(|source| &source.repository);
        let id = id.or_else(|| seen.map(|seen| &seen.stable_id));
        Event {
            namespace: link.namespace.clone(),
            sequence: 0,
            link: link.id.clone(),
            source: source.map(|source| source.id.clone()),
            host: link.host.clone(),
            repository: id
                .filter(|_| !self.repository.is_empty())
                .cloned()
                .unwrap_or_default(),
            full_name: self.repository,
            happened: None,
            received: now,
            origin: EventOrigin::Daemon,
            delivery: None,
            actor: None,
            change: EventChange::Access(self.access),
            verdict: None,
            rule: String::new(),
            build: None,
        }
    }
}

/// Why a link as a whole has no access; `None` where it has, and `Err` where it is not bound yet, or not any more.
const fn barred(link: &Link) -> Result<Option<Cause>, ()> {
    match (link.observed.stage, link.observed.trouble) {
        (Stage::NeedsReauthorization(cause), _) => Ok(Some(cause)),
        (Stage::Bound, Some(cause @ (Cause::AppSuspended | Cause::IdentitySuspended))) => {
            Ok(Some(cause))
        }
        (Stage::Bound, _) => Ok(None),
        _ => Err(()),
    }
}

fn whole(before: &Link, after: &Link) -> Option<AccessChange> {
    let (was, is) = (barred(before).ok()?, barred(after).ok()?);
    let cause = match (was, is) {
        (was, Some(cause)) if was != Some(cause) => cause,
        (Some(cause), None) => {
            return Some(back(String::new(), cause.as_str(), "the link works again"));
        }
        _ => return None,
    };
    Some(AccessChange {
        lost: true,
        organization: String::new(),
        reason: cause.as_str().to_owned(),
        message: after.observed.message.clone(),
        who: after.observed.who,
        action_uri: after.observed.action_uri.clone(),
    })
}

/// Organizations and repositories: what a check said, and the one before.
fn parts(before: &Link, after: &Link) -> Vec<Change> {
    let (was, is) = (losses(before), losses(after));
    let lost = is
        .iter()
        .filter(|(key, _)| !was.iter().any(|(known, _)| known == key));
    let found = was
        .iter()
        .filter(|(key, _)| !is.iter().any(|(known, _)| known == key));
    let lost = lost.map(|((reason, subject), note)| {
        part(
            *reason,
            subject,
            AccessChange {
                lost: true,
                organization: String::new(),
                reason: note.reason.clone(),
                message: note.message.clone(),
                who: note.who,
                action_uri: note.action_uri.clone(),
            },
        )
    });
    let found = found.map(|((reason, subject), note)| {
        let message = format!("{subject} is reached again");
        part(
            *reason,
            subject,
            back(String::new(), &note.reason, &message),
        )
    });
    lost.chain(found).collect()
}

/// What is lost, by reason and name.
fn losses(link: &Link) -> Vec<((Reason, &str), &Note)> {
    let mut known = BTreeSet::new();
    let notes = link.seen.notes.iter();
    let lost = notes.filter_map(|note| Some((subject(note)?, note)));
    lost.filter(|((reason, name), _)| known.insert((reason.as_str(), *name)))
        .collect()
}

fn part(reason: Reason, subject: &str, access: AccessChange) -> Change {
    if reason == Reason::OrganizationLost {
        let organization = subject.to_owned();
        return AccessChange {
            organization,
            ..access
        }
        .into();
    }
    Change {
        access,
        repository: subject.to_owned(),
    }
}

fn back(organization: String, reason: &str, message: &str) -> AccessChange {
    AccessChange {
        lost: false,
        organization,
        reason: reason.to_owned(),
        message: message.to_owned(),
        who: None,
        action_uri: String::new(),
    }
}
