//! Reads subscriptions and dead letters.

use std::collections::BTreeSet;

use bindery_core::{
    name::{NamespaceName, SubscriptionId},
    port::Listing,
    problem::Problem,
    trigger::{Outgoing, Subscription},
};

use super::{Name, Signing, absent, as_outgoing, as_subscription, parse_name};
use crate::{Engine, Versioned};

impl Engine {
    /// A subscription.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, and what the vault says.
    pub async fn subscription(
        &self,
        namespace: &NamespaceName,
        id: &SubscriptionId,
    ) -> Result<Subscription, Problem> {
        let name = (namespace.clone(), id.clone());
        Ok(self.existing(&name).await?.record)
    }

    /// All subscriptions of a namespace, in the order of their names.
    ///
    /// # Errors
    ///
    /// What the vault says.
    pub async fn subscriptions_of(
        &self,
        namespace: &NamespaceName,
    ) -> Result<Vec<Subscription>, Problem> {
        let listing = Listing::Subscriptions(namespace.clone());
        let all = self.list_all(&listing, as_subscription).await?;
        let mut all: Vec<_> = all.into_iter().map(|entry| entry.record).collect();
        all.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(all)
    }

    /// The events that the endpoint of a subscription never accepted, the oldest first.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, and what the vault says.
    pub async fn dead_letters(
        &self,
        namespace: &NamespaceName,
        id: &SubscriptionId,
    ) -> Result<Vec<Outgoing>, Problem> {
        let name = (namespace.clone(), id.clone());
        self.existing(&name).await?;
        let all = self.outgoing_of(&name).await?.into_iter();
        let dead = all
            .map(|entry| entry.record)
            .filter(|outgoing| outgoing.next.is_none());
        Ok(dead.collect())
    }

    /// The namespaces that have subscriptions, or had some since the start. All are looked through once.
    pub(super) async fn subscribed(&self) -> Result<Vec<NamespaceName>, Problem> {
        // Held while it looks: one that is stored meanwhile is either seen, or noted afterwards.
        let mut places = self.subscriptions().places.lock().await;
        if let Some(known) = &*places {
            return Ok(known.iter().cloned().collect());
        }
        let mut known = BTreeSet::new();
        for namespace in self.namespace_names().await? {
            let listing = Listing::Subscriptions(namespace.clone());
            let some = self.list(&listing, None, 1, as_subscription).await?;
            if !some.items.is_empty() {
                known.insert(namespace);
            }
        }
        let all = known.iter().cloned().collect();
        *places = Some(known);
        Ok(all)
    }

    pub(super) async fn existing(&self, name: &Name) -> Result<Versioned<Subscription>, Problem> {
        let found = self.find_subscription(&name.0, &name.1).await?;
        found.ok_or_else(|| absent(name))
    }

    /// What is aside for a subscription, in the order of the events.
    pub(super) async fn outgoing_of(
        &self,
        name: &Name,
    ) -> Result<Vec<Versioned<Outgoing>>, Problem> {
        let listing = Listing::Outgoing(name.0.clone());
        let mut all = self.list_all(&listing, as_outgoing).await?;
        all.retain(|entry| entry.record.subscription == name.1);
        all.sort_by_key(|entry| entry.record.sequence);
        Ok(all)
    }

    /// A subscription with what it signs with now, for a repetition of the request that made it.
    pub(super) async fn signing_again(&self, resource: &str) -> Result<Signing, Problem> {
        let name = parse_name(resource).ok_or_else(|| Problem::not_found(resource))?;
        let subscription = self.existing(&name).await?.record;
        let secrets = self.find_subscription_secret(&name.0, &name.1).await?;
        let secrets = secrets.ok_or_else(|| absent(&name))?.record;
        Ok(Signing {
            subscription,
            secret: secrets.current,
        })
    }
}
