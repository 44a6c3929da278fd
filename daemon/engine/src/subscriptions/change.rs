//! Changes, rotates and deletes subscriptions.

use std::time::Duration;

use bindery_core::{
    event::FILTER_FIELDS,
    filter::Filter,
    name::{NamespaceName, SubscriptionId},
    port::{Change, Expect, Record},
    problem::{Problem, Reason},
    trigger::Subscription,
};

use super::{
    LONGEST_OVERLAP, Name, Signing, absent, etag, key, later, outgoing_key, resource, secret_key,
    sign,
};
use crate::{Engine, RequestKey, namespaces::check_etag, records::change};

/// How many records one transaction removes.
const AT_ONCE: usize = 200;

/// What is to change; `None` leaves it as it is.
#[derive(Clone, Debug, Default)]
pub struct SubscriptionChange {
    /// Name for people.
    pub display_name: Option<String>,
    /// Where events are posted to.
    pub endpoint_uri: Option<String>,
    /// Which events.
    pub filter: Option<String>,
    /// Deliveries carry the provider's body.
    pub include_payload: Option<bool>,
    /// All names of who answers from now on for that deliveries carry it.
    pub payload_for: Option<Vec<String>>,
    /// Nothing is delivered.
    pub paused: Option<bool>,
    /// Everything is checked, and nothing is changed.
    pub validate_only: bool,
}

impl SubscriptionChange {
    fn put_into(&self, subscription: &mut Subscription) {
        fn put<T: Clone>(new: Option<&T>, place: &mut T) {
            if let Some(new) = new {
                place.clone_from(new);
            }
        }
        put(self.display_name.as_ref(), &mut subscription.display_name);
        put(self.endpoint_uri.as_ref(), &mut subscription.endpoint_uri);
        put(self.filter.as_ref(), &mut subscription.filter);
        put(
            self.include_payload.as_ref(),
            &mut subscription.include_payload,
        );
        put(self.payload_for.as_ref(), &mut subscription.payload_for);
        put(self.paused.as_ref(), &mut subscription.paused);
    }
}

impl Engine {
    /// Changes what people say about a subscription. One that is no longer paused delivers what waited.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, `ETAG_MISMATCH`, `FILTER_INVALID`, what the rules for the endpoint say, `REQUEST_ID_REUSED`, and what
    /// the vault says.
    pub async fn update_subscription(
        &self,
        namespace: &NamespaceName,
        id: &SubscriptionId,
        wanted: &SubscriptionChange,
        expect: Option<u64>,
        request: Option<&RequestKey>,
    ) -> Result<Subscription, Problem> {
        let name = (namespace.clone(), id.clone());
        if let Some(filter) = &wanted.filter {
            Filter::parse(filter, &FILTER_FIELDS)?;
        }
        if let Some(uri) = &wanted.endpoint_uri {
            self.ports().egress.admit_post(uri)?;
        }
        loop {
            if self.recall(request).await?.is_some() {
                return Ok(self.existing(&name).await?.record);
            }
            let found = self.existing(&name).await?;
            check_etag(expect, etag(&found.record))?;
            let mut subscription = found.record.clone();
            wanted.put_into(&mut subscription);
            if wanted.validate_only || subscription == found.record {
                return Ok(subscription);
            }
            subscription.updated = later(self.now(), subscription.updated);
            let record = Record::Subscription(subscription.clone());
            let put = change(key(&name), Expect::Version(found.version), Some(record));
            let mut changes = vec![put];
            changes.extend(self.remember(request, &resource(&name)).await?);
            match self.commit(changes).await {
                Err(problem) if problem.reason == Reason::StoreConflict => {}
                outcome => {
                    outcome?;
                    self.subscriptions().stirred.notify_one();
                    return Ok(subscription);
                }
            }
        }
    }

    /// Gives a subscription a new secret. For `overlap` deliveries are signed with the one before too, and with those before it
    /// as long as they were to be; without an overlap all of them end.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, `INVALID_ARGUMENT` for an overlap of more than seven days, `REQUEST_ID_REUSED`, and what the vault says.
    pub async fn rotate_subscription_secret(
        &self,
        namespace: &NamespaceName,
        id: &SubscriptionId,
        overlap: Duration,
        request: Option<&RequestKey>,
    ) -> Result<Signing, Problem> {
        if overlap > LONGEST_OVERLAP {
            let message = "overlap: at most seven days; send a shorter one";
            return Err(Problem::invalid("overlap", message));
        }
        let name = (namespace.clone(), id.clone());
        loop {
            if let Some(resource) = self.recall(request).await? {
                return self.signing_again(&resource).await;
            }
            match self.try_rotate(&name, overlap, request).await {
                Err(problem) if problem.reason == Reason::StoreConflict => {}
                outcome => return outcome,
            }
        }
    }

    async fn try_rotate(
        &self,
        name: &Name,
        overlap: Duration,
        request: Option<&RequestKey>,
    ) -> Result<Signing, Problem> {
        let found = self.existing(name).await?;
        let secrets = self.find_subscription_secret(&name.0, &name.1).await?;
        let secrets = secrets.ok_or_else(|| absent(name))?;
        let (now, secret) = (self.now(), sign::secret(&self.random()));
        let until = (!overlap.is_zero()).then(|| now.after(overlap));
        let mut subscription = found.record;
        let kept = secrets.record.replaced(secret.duplicate(), until, now);
        subscription.secret_created = now;
        subscription.previous_secret_until = kept.overlaps_until();
        subscription.updated = later(now, subscription.updated);
        let record = Record::Subscription(subscription.clone());
        let (version, kept) = (secrets.version, Record::SubscriptionSecret(kept));
        let mut changes = vec![
            change(key(name), Expect::Version(found.version), Some(record)),
            change(secret_key(name), Expect::Version(version), Some(kept)),
        ];
        changes.extend(self.remember(request, &resource(name)).await?);
        self.commit(changes).await?;
        Ok(Signing {
            subscription,
            secret,
        })
    }

    /// Deletes a subscription with its secret and all that waits for it.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, `ETAG_MISMATCH`, and what the vault says.
    pub async fn delete_subscription(
        &self,
        namespace: &NamespaceName,
        id: &SubscriptionId,
        expect: Option<u64>,
    ) -> Result<(), Problem> {
        let name = (namespace.clone(), id.clone());
        loop {
            let found = self.existing(&name).await?;
            check_etag(expect, etag(&found.record))?;
            let changes = vec![
                change(key(&name), Expect::Version(found.version), None),
                change(secret_key(&name), Expect::Any, None),
            ];
            match self.commit(changes).await {
                Err(problem) if problem.reason == Reason::StoreConflict => {}
                outcome => {
                    outcome?;
                    return self.drop_outgoing(&name).await;
                }
            }
        }
    }

    async fn drop_outgoing(&self, name: &Name) -> Result<(), Problem> {
        let gone = |sequence| change(outgoing_key(name, sequence), Expect::Any, None);
        let waiting = self.outgoing_of(name).await?;
        for part in waiting.chunks(AT_ONCE) {
            let changes: Vec<Change> = part
                .iter()
                .map(|entry| gone(entry.record.sequence))
                .collect();
            self.commit(changes).await?;
        }
        Ok(())
    }

    /// Writes what deliveries did to a subscription, and to one event that is aside for it. False where that event's record
    /// was written by another meanwhile; then nothing is written.
    pub(super) async fn note(
        &self,
        name: &Name,
        aside: Option<Change>,
        write: impl Fn(&mut Subscription),
    ) -> Result<bool, Problem> {
        let mut aside = aside;
        loop {
            let found = self.existing(name).await?;
            let mut subscription = found.record;
            write(&mut subscription);
            let record = Record::Subscription(subscription);
            let put = change(key(name), Expect::Version(found.version), Some(record));
            let again = aside.as_ref().map(copy);
            let changes = aside.into_iter().chain([put]).collect();
            match self.commit(changes).await {
                Err(problem) if problem.reason == Reason::StoreConflict => {}
                outcome => return outcome.map(|()| true),
            }
            if self.existing(name).await?.version == found.version {
                return Ok(false);
            }
            aside = again;
        }
    }
}

/// A second copy of a change that is aside: only such records are in it.
fn copy(of: &Change) -> Change {
    let write = match &of.write {
        Some(Record::Outgoing(outgoing)) => Some(Record::Outgoing(outgoing.clone())),
        _ => None,
    };
    change(of.key.clone(), of.expect, write)
}
