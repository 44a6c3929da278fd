//! Makes a subscription and its secret.

use bindery_core::{
    event::FILTER_FIELDS,
    filter::Filter,
    name::{NamespaceName, SubscriptionId},
    port::{Expect, Record},
    problem::{Problem, Reason},
    secret::Secret,
    trigger::{OverlappingSecret, Subscription},
};

use super::{Name, Signing, key, resource, secret_key, sign};
use crate::{Engine, RequestKey, records::change};

/// Most subscriptions of a namespace: each is looked at with every event.
const MOST: usize = 100;

/// A subscription that is to be made.
#[derive(Clone, Debug)]
pub struct NewSubscription {
    /// Its namespace.
    pub namespace: NamespaceName,
    /// Its id; `None` lets the daemon make one.
    pub id: Option<SubscriptionId>,
    /// Name for people; may be empty.
    pub display_name: String,
    /// Where events are posted to.
    pub endpoint_uri: String,
    /// Which events; empty for all.
    pub filter: String,
    /// Deliveries carry the provider's body.
    pub include_payload: bool,
    /// All names of who asks, as the policy has them: deliveries carry a body as long as one of them has the right to it.
    pub payload_for: Vec<String>,
    /// Nothing is delivered at first.
    pub paused: bool,
    /// Everything is checked, and nothing is made.
    pub validate_only: bool,
}

impl Engine {
    /// Makes a subscription to the events that come from now on.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` for the namespace, `ALREADY_EXISTS`, `FILTER_INVALID`, what the rules for the endpoint say,
    /// `INVALID_ARGUMENT` where the namespace has as many as it may, `REQUEST_ID_REUSED`, and what the vault says.
    pub async fn create_subscription(
        &self,
        new: NewSubscription,
        request: Option<&RequestKey>,
    ) -> Result<Signing, Problem> {
        loop {
            if let Some(resource) = self.recall(request).await? {
                return self.signing_again(&resource).await;
            }
            match self.try_create(&new, request).await {
                Err(problem) if problem.reason == Reason::StoreConflict => {}
                outcome => return outcome,
            }
        }
    }

    async fn try_create(
        &self,
        new: &NewSubscription,
        request: Option<&RequestKey>,
    ) -> Result<Signing, Problem> {
        // The namespace is not taken away between the look and the write.
        let _stays = self.gates().ground.read().await;
        self.namespace(&new.namespace).await?;
        Filter::parse(&new.filter, &FILTER_FIELDS)?;
        self.ports().egress.admit_post(&new.endpoint_uri)?;
        let (name, subscription) = self.drafted(new).await?;
        self.room_for(&name).await?;
        if new.validate_only {
            let secret = Secret::new(String::new());
            return Ok(Signing {
                subscription,
                secret,
            });
        }
        let secret = sign::secret(&self.random());
        let secrets = OverlappingSecret::first(secret.duplicate());
        let secrets = Record::SubscriptionSecret(secrets);
        let record = Record::Subscription(subscription.clone());
        let mut changes = vec![
            change(key(&name), Expect::Absent, Some(record)),
            change(secret_key(&name), Expect::Any, Some(secrets)),
        ];
        changes.extend(self.remember(request, &resource(&name)).await?);
        self.commit(changes).await?;
        self.subscriptions().lives_in(&new.namespace).await;
        self.subscriptions().stirred.notify_one();
        Ok(Signing {
            subscription,
            secret,
        })
    }

    async fn drafted(&self, new: &NewSubscription) -> Result<(Name, Subscription), Problem> {
        let id = match &new.id {
            Some(id) => id.clone(),
            None => self.fresh_subscription_id()?,
        };
        let (now, numbers) = (self.now(), self.event_numbers(&new.namespace).await?);
        let subscription = Subscription {
            namespace: new.namespace.clone(),
            id: id.clone(),
            display_name: new.display_name.clone(),
            endpoint_uri: new.endpoint_uri.clone(),
            filter: new.filter.clone(),
            include_payload: new.include_payload,
            payload_for: new.payload_for.clone(),
            paused: new.paused,
            secret_created: now,
            previous_secret_until: None,
            taken: numbers.last,
            delivered: 0,
            dead_letters: 0,
            succeeded: None,
            failed: None,
            failure: String::new(),
            created: now,
            updated: now,
        };
        Ok(((new.namespace.clone(), id), subscription))
    }

    fn fresh_subscription_id(&self) -> Result<SubscriptionId, Problem> {
        let text = data_encoding::BASE32_NOPAD.encode(&self.random::<16>());
        SubscriptionId::parse(&text.to_lowercase())
            .map_err(|error| Problem::new(Reason::Internal, error.to_string()))
    }

    /// The name must be free, and the namespace have room.
    async fn room_for(&self, name: &Name) -> Result<(), Problem> {
        if self.find_subscription(&name.0, &name.1).await?.is_some() {
            let message = format!("{} exists already; choose another id", resource(name));
            return Err(Problem::new(Reason::AlreadyExists, message));
        }
        if self.subscriptions_of(&name.0).await?.len() >= MOST {
            let message = format!(
                "namespaces/{} has {MOST} subscriptions already; delete one that nobody needs",
                name.0
            );
            return Err(Problem::invalid("parent", message));
        }
        Ok(())
    }
}
