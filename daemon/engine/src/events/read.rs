//! Reads events by their numbers.

use bindery_core::{
    delivery::Delivery,
    event::{Event, EventHead},
    name::NamespaceName,
    port::{Entry, Key, Record, VaultError},
    problem::{Problem, Reason},
    time::Timestamp,
};

use crate::{Engine, records::problem};

impl Engine {
    /// One event.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, also for one that is not kept any more, and what the vault says.
    pub async fn event(&self, namespace: &NamespaceName, sequence: u64) -> Result<Event, Problem> {
        let found = self.find_event(namespace, sequence).await?;
        let found = found.map(|entry| entry.record);
        found.ok_or_else(|| Problem::not_found(format!("namespaces/{namespace}/events/{sequence}")))
    }

    /// Which numbers the events of a namespace have that are kept.
    ///
    /// # Errors
    ///
    /// What the vault says.
    pub async fn event_numbers(&self, namespace: &NamespaceName) -> Result<EventHead, Problem> {
        let head = self.find_event_head(namespace).await?;
        Ok(head.map_or(EventHead::EMPTY, |entry| entry.record))
    }

    /// The event after `sequence`; `None` where there is none yet.
    ///
    /// # Errors
    ///
    /// `CURSOR_TOO_OLD` where it is not kept any more, and what the vault says.
    pub async fn event_after(
        &self,
        namespace: &NamespaceName,
        sequence: u64,
    ) -> Result<Option<Event>, Problem> {
        let next = sequence.saturating_add(1);
        if let Some(found) = self.find_event(namespace, next).await? {
            return Ok(Some(found.record));
        }
        let numbers = self.event_numbers(namespace).await?;
        match next < numbers.first {
            true => Err(too_old(namespace, numbers.first)),
            // It may have come in between.
            false if next <= numbers.last => self.event(namespace, next).await.map(Some),
            false => Ok(None),
        }
    }

    /// The first event that was received at `time` or later: its number, or the one that the next event will have.
    ///
    /// # Errors
    ///
    /// What the vault says.
    pub async fn event_at(
        &self,
        namespace: &NamespaceName,
        time: Timestamp,
    ) -> Result<u64, Problem> {
        let numbers = self.event_numbers(namespace).await?;
        let (mut low, mut high) = (numbers.first, numbers.last.saturating_add(1));
        while low < high {
            let middle = low + (high - low) / 2;
            let event = self.find_event(namespace, middle).await?;
            // One that was removed meanwhile was earlier than all that are kept.
            match event.is_none_or(|event| event.record.received < time) {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        Ok(low)
    }

    /// The body of the delivery that an event came from, as the provider signed it; empty where it came from none, or the
    /// delivery is not kept any more.
    ///
    /// # Errors
    ///
    /// What the vault says.
    pub async fn event_payload(&self, event: &Event) -> Result<Vec<u8>, Problem> {
        let Some(number) = event.delivery else {
            return Ok(Vec::new());
        };
        let found = self.ports().vault.get(&Key::Delivery(number)).await;
        match found.map_err(problem)? {
            Some(Entry {
                record: Record::Delivery(Delivery { body, .. }),
                ..
            }) => Ok(body),
            Some(_) => Err(problem(VaultError::Tampered)),
            None => Ok(Vec::new()),
        }
    }
}

/// The events after a cursor are not kept any more.
pub(crate) fn too_old(namespace: &NamespaceName, oldest: u64) -> Problem {
    let message = format!(
        "the events of namespaces/{namespace} before number {oldest} are not kept any more; start with after_sequence 0, or with {} to know what you skip",
        oldest.saturating_sub(1)
    );
    Problem::new(Reason::CursorTooOld, message).with("oldest_sequence", oldest.to_string())
}
