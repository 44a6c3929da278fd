//! Deleting a namespace: what people made in it is in the way, and what came into being by itself goes with it.

use bindery_core::{
    name::NamespaceName,
    port::{Change, Expect, Key, Listing, Record},
    problem::{Problem, Reason},
};

use super::check_etag;
use crate::{Engine, LinkFilter, records::change};

/// How many records one transaction removes.
const AT_ONCE: usize = 200;

impl Engine {
    /// Removes a namespace without links and subscriptions, with its events, consumers, rotations, leases and the traces of its
    /// sources. Records of unlinked links and their receipts stay, and keep the name from being used again.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, `HAS_CHILDREN`, `ETAG_MISMATCH`, and what the vault says.
    pub async fn delete_namespace(
        &self,
        name: &NamespaceName,
        expect: Option<u64>,
    ) -> Result<(), Problem> {
        check_etag(expect, self.namespace(name).await?.version)?;
        let _alone = self.gates().ground.write().await;
        loop {
            let version = self.namespace(name).await?.version;
            check_etag(expect, version)?;
            self.refuse_children(name).await?;
            self.empty_namespace(name).await?;
            match self.take_namespace(name, version).await {
                // Changed, or told of something, meanwhile.
                Err(problem) if problem.reason == Reason::StoreConflict => {}
                outcome => break outcome?,
            }
        }
        self.subscriptions().left(name).await;
        // Whoever watches it looks, and finds it gone.
        self.heads().of(name).stir();
        Ok(())
    }

    /// What people made in a namespace acts on the world outside: they take it away, and see what becomes of it.
    async fn refuse_children(&self, name: &NamespaceName) -> Result<(), Problem> {
        let mut after = None;
        loop {
            let page = self
                .list_links(name, &LinkFilter::default(), after.as_deref(), 256)
                .await?;
            if !page.items.is_empty() {
                return Err(held(name, "links; unlink them first"));
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        match self.subscriptions_of(name).await?.is_empty() {
            true => Ok(()),
            false => Err(held(name, "subscriptions; delete them first")),
        }
    }

    /// Removes what came into being by itself. Where it stops half way the namespace is there, in order, and with less in it.
    async fn empty_namespace(&self, name: &NamespaceName) -> Result<(), Problem> {
        for consumer in self.consumers(name).await? {
            self.forget_consumer(name, &consumer.consumer.id).await?;
        }
        self.forget_all_leases(name).await?;
        let listings = [
            Listing::Sources(name.clone()),
            Listing::HookRotations(name.clone()),
            // What a subscription left that was deleted when the daemon stopped.
            Listing::Outgoing(name.clone()),
        ];
        for listing in listings {
            let keys = self.list_all(&listing, key_of).await?;
            for part in keys.chunks(AT_ONCE) {
                let gone = part.iter().map(|entry| gone(&entry.record));
                self.commit(gone.collect()).await?;
            }
        }
        self.forget_all_events(name).await
    }

    /// The namespace, and how far its events were numbered.
    async fn take_namespace(&self, name: &NamespaceName, version: u64) -> Result<(), Problem> {
        let key = Key::Namespace(name.clone());
        let mut changes = vec![change(key, Expect::Version(version), None)];
        if let Some(head) = self.find_event_head(name).await? {
            if head.record.first <= head.record.last {
                return Err(Problem::new(Reason::StoreConflict, "an event came"));
            }
            let key = Key::EventHead(name.clone());
            changes.push(change(key, Expect::Version(head.version), None));
        }
        self.commit(changes).await
    }
}

fn held(name: &NamespaceName, what: &str) -> Problem {
    let message = format!("namespaces/{name} still has {what}");
    Problem::new(Reason::HasChildren, message)
}

/// Where a record is kept that goes with its namespace.
fn key_of(record: Record) -> Option<Key> {
    match record {
        Record::Source(source) => Some(Key::Source(source.namespace, source.link, source.id)),
        Record::HookRotation(rotation) => Some(Key::HookRotation(rotation.namespace, rotation.id)),
        Record::Outgoing(one) => Some(Key::Outgoing(one.namespace, one.subscription, one.sequence)),
        _ => None,
    }
}

fn gone(key: &Key) -> Change {
    change(key.clone(), Expect::Any, None)
}
