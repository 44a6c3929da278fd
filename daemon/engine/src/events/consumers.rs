//! Those who follow events and acknowledge them.

use bindery_core::{
    event::Consumer,
    name::{ConsumerId, NamespaceName},
    port::{Entry, Expect, Key, Listing, Record},
    problem::{Problem, Reason},
};
use tokio::sync::watch;

use super::Following;
use crate::{Engine, RequestKey, records::change, subscriptions::Replayed};

/// A consumer as it is at this moment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConsumerNow {
    /// What is written down.
    pub consumer: Consumer,
    /// The last event that was sent to it.
    pub sent: u64,
    /// How many events it has not acknowledged.
    pub backlog: u64,
    /// Somebody follows as it.
    pub connected: bool,
}

impl Engine {
    /// Wakes whoever follows the events of a namespace. Subscribe before reading, so that none is missed.
    #[must_use]
    pub fn event_calls(&self, namespace: &NamespaceName) -> watch::Receiver<()> {
        self.heads().of(namespace).stirred()
    }

    /// Begins to follow as a consumer, which comes into being with it and then gets what comes after `started`. Whoever
    /// followed as it before is told to end.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` for the namespace, and what the vault says.
    pub async fn follow_as(
        &self,
        namespace: &NamespaceName,
        id: &ConsumerId,
        principal: &str,
        started: u64,
    ) -> Result<(Consumer, Following), Problem> {
        // The namespace is not taken away between the look and the write.
        let _stays = self.gates().ground.read().await;
        self.namespace(namespace).await?;
        let now = self.now();
        let consumer = self
            .change_consumer(namespace, id, Some(started), |consumer| {
                principal.clone_into(&mut consumer.principal);
                consumer.active = now;
            })
            .await?;
        let name = (namespace.clone(), id.clone());
        let following = self.followers().take_over(name, consumer.settled());
        Ok((consumer, following))
    }

    /// Acknowledges all events up to one. Durable when it returns; a smaller number than before changes nothing.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` for a consumer that never followed, `INVALID_ARGUMENT` for an event that does not exist yet, and what
    /// the vault says.
    pub async fn acknowledge(
        &self,
        namespace: &NamespaceName,
        id: &ConsumerId,
        sequence: u64,
    ) -> Result<ConsumerNow, Problem> {
        let last = self.event_numbers(namespace).await?.last;
        if sequence > last {
            let message =
                format!("sequence: {sequence} does not exist yet; the last event is {last}");
            return Err(Problem::invalid("sequence", message));
        }
        let now = self.now();
        let consumer = self
            .change_consumer(namespace, id, None, |consumer| {
                consumer.acknowledged = consumer.acknowledged.max(Some(sequence));
                consumer.sent = consumer.sent.max(sequence);
                consumer.active = now;
            })
            .await?;
        self.tell_follower(&consumer);
        self.consumer_now(consumer).await
    }

    /// Sets the acknowledgement of a consumer back before `first`, so that whoever follows gets the events from there on
    /// again. Says which those are. A repetition of the request answers the same, and sets nothing back.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, `REQUEST_ID_REUSED`, and what the vault says.
    pub async fn rewind(
        &self,
        namespace: &NamespaceName,
        id: &ConsumerId,
        first: u64,
        request: Option<&RequestKey>,
    ) -> Result<Replayed, Problem> {
        loop {
            if let Some(text) = self.recall(request).await? {
                return Replayed::recalled(&text);
            }
            let last = self.event_numbers(namespace).await?.last;
            let replayed = Replayed::range(first, last);
            let found = self.find_consumer(namespace, id).await?;
            let Entry {
                record: mut consumer,
                version,
            } = found.ok_or_else(|| absent(namespace, id))?;
            let before = first.saturating_sub(1);
            consumer.acknowledged = Some(consumer.settled().min(before));
            let key = Key::Consumer(namespace.clone(), id.clone());
            let put = Some(Record::Consumer(consumer.clone()));
            let mut changes = vec![change(key, Expect::Version(version), put)];
            changes.extend(self.remember(request, &replayed.told()).await?);
            match self.commit(changes).await {
                Err(problem) if problem.reason == Reason::StoreConflict => {}
                outcome => {
                    outcome?;
                    self.tell_follower(&consumer);
                    return Ok(replayed);
                }
            }
        }
    }

    /// A consumer.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, and what the vault says.
    pub async fn consumer(
        &self,
        namespace: &NamespaceName,
        id: &ConsumerId,
    ) -> Result<ConsumerNow, Problem> {
        let found = self.find_consumer(namespace, id).await?;
        let consumer = found.ok_or_else(|| absent(namespace, id))?.record;
        self.consumer_now(consumer).await
    }

    /// All consumers of a namespace, in the order of their names.
    ///
    /// # Errors
    ///
    /// What the vault says.
    pub async fn consumers(&self, namespace: &NamespaceName) -> Result<Vec<ConsumerNow>, Problem> {
        let listing = Listing::Consumers(namespace.clone());
        let mut all = Vec::new();
        for entry in self.list_all(&listing, as_consumer).await? {
            all.push(self.consumer_now(entry.record).await?);
        }
        all.sort_by(|one, other| one.consumer.id.cmp(&other.consumer.id));
        Ok(all)
    }

    /// Forgets a consumer and its place. Whoever follows as it is told to end.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, and what the vault says.
    pub async fn forget_consumer(
        &self,
        namespace: &NamespaceName,
        id: &ConsumerId,
    ) -> Result<(), Problem> {
        if self.find_consumer(namespace, id).await?.is_none() {
            return Err(absent(namespace, id));
        }
        let key = Key::Consumer(namespace.clone(), id.clone());
        self.commit(vec![change(key, Expect::Any, None)]).await?;
        self.followers().end(&(namespace.clone(), id.clone()));
        Ok(())
    }

    fn tell_follower(&self, consumer: &Consumer) {
        let name = (consumer.namespace.clone(), consumer.id.clone());
        self.followers().acknowledged(&name, consumer.settled());
    }

    async fn consumer_now(&self, consumer: Consumer) -> Result<ConsumerNow, Problem> {
        let last = self.event_numbers(&consumer.namespace).await?.last;
        let name = (consumer.namespace.clone(), consumer.id.clone());
        let sent = self.followers().sent(&name);
        Ok(ConsumerNow {
            backlog: last.saturating_sub(consumer.settled()),
            sent: sent.unwrap_or_default().max(consumer.sent),
            connected: sent.is_some(),
            consumer,
        })
    }

    /// Changes a consumer, again and again until no other writer is in between. One that is not there is made where `started`
    /// says what it gets.
    async fn change_consumer(
        &self,
        namespace: &NamespaceName,
        id: &ConsumerId,
        started: Option<u64>,
        write: impl Fn(&mut Consumer),
    ) -> Result<Consumer, Problem> {
        loop {
            let found = self.find_consumer(namespace, id).await?;
            let (expect, mut consumer) = match found {
                Some(Entry { record, version }) => (Expect::Version(version), record),
                None => {
                    let started = started.ok_or_else(|| absent(namespace, id))?;
                    (Expect::Absent, new(namespace, id, started))
                }
            };
            write(&mut consumer);
            let key = Key::Consumer(namespace.clone(), id.clone());
            let put = change(key, expect, Some(Record::Consumer(consumer.clone())));
            match self.commit(vec![put]).await {
                Err(problem) if problem.reason == Reason::StoreConflict => {}
                outcome => return outcome.map(|()| consumer),
            }
        }
    }
}

fn new(namespace: &NamespaceName, id: &ConsumerId, started: u64) -> Consumer {
    Consumer {
        namespace: namespace.clone(),
        id: id.clone(),
        acknowledged: None,
        started,
        sent: 0,
        principal: String::new(),
        active: bindery_core::time::Timestamp::default(),
    }
}

fn absent(namespace: &NamespaceName, id: &ConsumerId) -> Problem {
    Problem::not_found(format!("namespaces/{namespace}/consumers/{id}"))
}

fn as_consumer(record: Record) -> Option<Consumer> {
    match record {
        Record::Consumer(consumer) => Some(consumer),
        _ => None,
    }
}
