//! Deliveries for people: those of a source's hook, the newest first, and one of them once more.

use bindery_core::{
    delivery::{Delivery, DeliveryState},
    port::{Expect, Key, Record},
    problem::Problem,
    source::{Source, SourceName},
};

use crate::{Engine, Versioned, records::change};

/// Numbers that one page looks at: deliveries of all hooks are numbered together.
const LOOKED_AT: u64 = 20_000;

/// A page of deliveries.
#[derive(Debug)]
pub struct ListedDeliveries {
    /// The deliveries, the newest first, without their bodies, each with the length of its body.
    pub items: Vec<(Delivery, usize)>,
    /// Where to go on: the number before which the next page begins. `None` at the end.
    pub next: Option<u64>,
}

impl Engine {
    /// Deliveries of a source's hook since the source was made, the newest first. `before` is where the page before ended, and
    /// a page may hold fewer than `limit` although more follow.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, and what the vault says.
    pub async fn list_deliveries(
        &self,
        source: &SourceName,
        state: Option<DeliveryState>,
        before: Option<u64>,
        limit: usize,
    ) -> Result<ListedDeliveries, Problem> {
        let source = self.source_of(source).await?;
        let (head, next) = self.delivery_numbers().await?;
        let start = before.unwrap_or(next).min(next);
        let kept = self.find_hook(&source.hook).await?;
        let kept = kept.map_or(0, |hook| hook.record.deliveries.0);
        let end = head.first.max(kept).max(1);
        let mut items = Vec::new();
        for number in (end..start).rev() {
            if items.len() >= limit || start - number > LOOKED_AT {
                return Ok(ListedDeliveries {
                    items,
                    next: Some(number + 1),
                });
            }
            let found = self.find_delivery(number).await?;
            let shown = found.and_then(|found| shown(&source, found.record));
            let wanted = shown.filter(|one| state.is_none_or(|state| one.state == state));
            items.extend(wanted.map(without_body));
        }
        Ok(ListedDeliveries { items, next: None })
    }

    /// One delivery of a source's hook, with its body.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, and what the vault says.
    pub async fn delivery(&self, source: &SourceName, number: u64) -> Result<Delivery, Problem> {
        self.delivery_of(source, number)
            .await
            .map(|found| found.record)
    }

    /// Processes a delivery again. What it became before is not emitted twice. Returns it as it is afterwards.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, and what the vault says. That it still can't be read is in the answer.
    pub async fn retry_delivery(
        &self,
        source: &SourceName,
        number: u64,
    ) -> Result<Delivery, Problem> {
        // As it is stored, not as it is shown: what other namespaces got stays.
        self.delivery_of(source, number).await?;
        let Some(found) = self.find_delivery(number).await? else {
            return Err(gone(source, number));
        };
        let mut delivery = found.record;
        if delivery.state != DeliveryState::Stored {
            delivery.state = DeliveryState::Stored;
            delivery.message.clear();
            let hook = delivery.hook.clone();
            let put = Some(Record::Delivery(delivery));
            let put = change(Key::Delivery(number), Expect::Version(found.version), put);
            self.open_number(number);
            self.commit(vec![put]).await?;
            self.deliveries().push(&hook, number);
        }
        self.process_deliveries().await;
        self.delivery(source, number).await
    }

    async fn delivery_of(
        &self,
        name: &SourceName,
        number: u64,
    ) -> Result<Versioned<Delivery>, Problem> {
        let source = self.source_of(name).await?;
        let found = self.find_delivery(number).await?;
        let found = found.and_then(|found| {
            let record = shown(&source, found.record)?;
            let version = found.version;
            Some(Versioned { record, version })
        });
        found.ok_or_else(|| gone(name, number))
    }

    async fn source_of(&self, name: &SourceName) -> Result<Source, Problem> {
        let found = self.find_source(name).await?;
        let found = found.ok_or_else(|| Problem::not_found(name))?;
        Ok(found.record)
    }
}

fn gone(source: &SourceName, number: u64) -> Problem {
    Problem::not_found(format!("{source}/deliveries/{number}"))
}

/// What a source may see of a delivery: one hook serves sources of several namespaces, and each sees its own events, and
/// nothing from before it was made.
fn shown(source: &Source, mut delivery: Delivery) -> Option<Delivery> {
    let own = *delivery.subject() == source.hook && delivery.received >= source.created;
    delivery
        .events
        .retain(|(namespace, _)| *namespace == source.namespace);
    own.then_some(delivery)
}

fn without_body(mut delivery: Delivery) -> (Delivery, usize) {
    let size = delivery.body.len();
    delivery.body.clear();
    (delivery, size)
}
