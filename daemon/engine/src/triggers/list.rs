//! Reading triggers. Their tokens are not part of them.

use bindery_core::{
    port::{Listing, Record},
    problem::Problem,
    source::SourceName,
    time::Timestamp,
    trigger::{Trigger, TriggerName},
};

use crate::{Engine, Versioned};

impl Engine {
    /// A trigger.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, and what the vault says.
    pub async fn trigger(&self, name: &TriggerName) -> Result<Versioned<Trigger>, Problem> {
        let found = self.find_trigger(name).await?;
        let found = found.ok_or_else(|| Problem::not_found(name))?;
        Ok(as_it_is(found, self.now()))
    }

    /// Triggers of a source, in the order of their creation.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` for the source, and what the vault says.
    pub async fn triggers_of(
        &self,
        source: &SourceName,
    ) -> Result<Vec<Versioned<Trigger>>, Problem> {
        self.known_source(source).await?;
        let (now, listing) = (self.now(), Listing::Triggers(source.namespace.clone()));
        let mut all = self.list_all(&listing, as_trigger).await?;
        all.retain(|entry| entry.record.name().source == *source);
        all.sort_by_key(|entry| (entry.record.created, entry.record.id.clone()));
        Ok(all.into_iter().map(|entry| as_it_is(entry, now)).collect())
    }
}

/// An overlap that has ended is none.
fn as_it_is(mut entry: Versioned<Trigger>, now: Timestamp) -> Versioned<Trigger> {
    let until = entry
        .record
        .previous_token_until
        .filter(|until| now < *until);
    entry.record.previous_token_until = until;
    entry
}

fn as_trigger(record: Record) -> Option<Trigger> {
    if let Record::Trigger(trigger) = record {
        Some(trigger)
    } else {
        None
    }
}
