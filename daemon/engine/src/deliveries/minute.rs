//! How often sources triggered in the last minute is counted in memory. A restart counts it again by the events, so that no source
//! triggers more often than it may because the daemon stopped in between.

use std::time::Duration;

use bindery_core::{
    event::{Event, Verdict},
    name::NamespaceName,
    problem::Problem,
    source::SourceName,
    time::Timestamp,
};

use crate::Engine;

const MINUTE: Duration = Duration::from_secs(60);

/// Events that are looked at in each namespace: after a jump of the clock all of them may look new.
const LOOKED_AT: u64 = 10_000;

impl Engine {
    /// Counts what triggered in the minute before the start.
    pub(crate) async fn recover_minutes(&self) -> Result<(), Problem> {
        for namespace in self.namespace_names().await? {
            for (source, at) in self.last_triggers(&namespace).await? {
                if let Some(found) = self.find_source(&source).await? {
                    let max = found.record.max_triggers_per_minute;
                    self.deliveries().note_triggers(&source, 1, max, at);
                }
            }
        }
        Ok(())
    }

    /// Which sources of a namespace triggered in the last minute, and when, the earliest first.
    async fn last_triggers(
        &self,
        namespace: &NamespaceName,
    ) -> Result<Vec<(SourceName, Timestamp)>, Problem> {
        let (now, numbers) = (self.now(), self.event_numbers(namespace).await?);
        let first = numbers.first.max(numbers.last.saturating_sub(LOOKED_AT));
        let mut triggers = Vec::new();
        for number in (first..=numbers.last).rev() {
            let Some(event) = self.find_event(namespace, number).await? else {
                break;
            };
            let event = event.record;
            if now.since(event.received) >= MINUTE {
                break;
            }
            if event.verdict == Some(Verdict::Trigger) {
                triggers.extend(source_of(&event).map(|source| (source, event.received)));
            }
        }
        triggers.reverse();
        Ok(triggers)
    }
}

fn source_of(event: &Event) -> Option<SourceName> {
    Some(SourceName {
        namespace: event.namespace.clone(),
        link: event.link.clone(),
        source: event.source.clone()?,
    })
}
