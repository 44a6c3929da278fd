//! Deliveries for people: those of a source's hook, the newest first, and one of them once more.
//!
//! What the hook of an app brings is everybody's. Of what could not be read nobody knows whose it is, so that only the operator
//! sees it.

use bindery_core::{
    delivery::{Delivery, DeliveryState},
    name::HookId,
    port::{Change, Expect, Key, Record},
    problem::{Problem, Reason},
    source::{Source, SourceName},
};

use crate::{Engine, RequestKey, Versioned, records::change};

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

/// Whose deliveries are looked at, and by whom.
#[derive(Clone, Copy, Debug)]
pub struct Whose<'a> {
    source: &'a SourceName,
    operator: bool,
}

impl<'a> From<&'a SourceName> for Whose<'a> {
    fn from(source: &'a SourceName) -> Self {
        Self {
            source,
            operator: false,
        }
    }
}

impl<'a> Whose<'a> {
    /// Those of a source as the operator sees them: where the hook of the host's app serves it also what that brought and of
    /// which nobody could tell whose it is.
    #[must_use]
    pub const fn by_operator(source: &'a SourceName) -> Self {
        Self {
            source,
            operator: true,
        }
    }
}

/// What may be seen.
struct View {
    source: Source,
    /// The app's hook, whose deliveries may be seen that are nobody's.
    app: Option<HookId>,
}

impl View {
    /// Whether a delivery that may be seen is about the source, or about nobody.
    fn lists(&self, delivery: &Delivery) -> bool {
        let subject = delivery.subject();
        *subject == self.source.hook || self.app.as_ref() == Some(subject)
    }
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
        whose: impl Into<Whose<'_>> + Send,
        state: Option<DeliveryState>,
        before: Option<u64>,
        limit: usize,
    ) -> Result<ListedDeliveries, Problem> {
        let view = self.view(whose.into()).await?;
        let (head, next) = self.delivery_numbers().await?;
        let start = before.unwrap_or(next).min(next);
        let hook = self.find_hook(&view.source.hook).await?;
        // What is nobody's is not known by number.
        let hook = hook.filter(|_| view.app.is_none());
        let (oldest, newest) = hook.map_or((0, 0), |hook| hook.record.deliveries);
        let end = head.first.max(oldest).max(1);
        let (mut items, mut looked_at, mut before) = (Vec::new(), 0, start);
        while before > end {
            if items.len() >= limit || looked_at >= LOOKED_AT {
                return Ok(ListedDeliveries {
                    items,
                    next: Some(before),
                });
            }
            // What the hook brought is known as far as it is processed, so that the others' deliveries need no look.
            let last = before - 1;
            let skips = newest > 0 && last > newest && last < head.processed;
            let number = if skips { newest } else { last };
            if number < end {
                break;
            }
            (before, looked_at) = (number, looked_at + 1);
            let found = self.find_delivery(number).await?;
            let shown = found.and_then(|found| shown(&view, found.record));
            let wanted = shown.filter(|one| view.lists(one));
            let wanted = wanted.filter(|one| state.is_none_or(|state| one.state == state));
            items.extend(wanted.map(without_body));
        }
        Ok(ListedDeliveries { items, next: None })
    }

    /// One delivery of a source's hook, with its body.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, and what the vault says.
    pub async fn delivery(
        &self,
        whose: impl Into<Whose<'_>> + Send,
        number: u64,
    ) -> Result<Delivery, Problem> {
        let found = self.delivery_of(whose.into(), number).await;
        found.map(|found| found.record)
    }

    /// Processes a delivery again. What it became before is not emitted twice. Returns it as it is afterwards; a repetition of the
    /// request looks only.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, and what the vault says. That it still can't be read is in the answer.
    pub async fn retry_delivery(
        &self,
        whose: impl Into<Whose<'_>> + Send,
        number: u64,
        request: Option<&RequestKey>,
    ) -> Result<Delivery, Problem> {
        let whose = whose.into();
        if self.recall(request).await?.is_some() {
            return self.delivery(whose, number).await;
        }
        // As it is stored, not as it is shown: what other namespaces got stays.
        self.delivery_of(whose, number).await?;
        let Some(found) = self.find_delivery(number).await? else {
            return Err(gone(whose.source, number));
        };
        let name = format!("{}/deliveries/{number}", whose.source);
        let remember = self.remember(request, &name).await?;
        self.store_again(found, remember).await?;
        self.process_deliveries().await;
        self.delivery(whose, number).await
    }

    /// Lets a delivery wait again, in one transaction with what remembers the request.
    async fn store_again(
        &self,
        found: Versioned<Delivery>,
        remember: Option<Change>,
    ) -> Result<(), Problem> {
        let mut delivery = found.record;
        let (number, hook) = (delivery.number, delivery.hook.clone());
        let mut changes: Vec<_> = remember.into_iter().collect();
        let waits = delivery.state == DeliveryState::Stored;
        if !waits {
            delivery.state = DeliveryState::Stored;
            delivery.message.clear();
            let put = Some(Record::Delivery(delivery));
            let key = Key::Delivery(number);
            changes.push(change(key, Expect::Version(found.version), put));
            self.open_number(number);
        }
        let stored = self.commit(changes).await;
        if !waits {
            // Also where another was faster: its number is open until it is looked at.
            self.deliveries().push(&hook, number);
        }
        match stored {
            // The same was asked for at the same time, or it is being processed.
            Err(problem) if problem.reason == Reason::StoreConflict => Ok(()),
            outcome => outcome,
        }
    }

    async fn delivery_of(
        &self,
        whose: Whose<'_>,
        number: u64,
    ) -> Result<Versioned<Delivery>, Problem> {
        let view = self.view(whose).await?;
        let found = self.find_delivery(number).await?;
        let found = found.and_then(|found| {
            let record = shown(&view, found.record)?;
            let version = found.version;
            Some(Versioned { record, version })
        });
        found.ok_or_else(|| gone(whose.source, number))
    }

    async fn view(&self, whose: Whose<'_>) -> Result<View, Problem> {
        let source = self.source_of(whose.source).await?;
        let hook = self.find_hook(&source.hook).await?;
        let served = hook.is_some_and(|hook| hook.record.by_app);
        let app = match served && whose.operator {
            true => self.app_hook(&source.host).await?.map(|app| app.id),
            false => None,
        };
        Ok(View { source, app })
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
fn shown(View { source, app }: &View, mut delivery: Delivery) -> Option<Delivery> {
    if app.as_ref() == Some(&delivery.hook) {
        return Some(delivery);
    }
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
