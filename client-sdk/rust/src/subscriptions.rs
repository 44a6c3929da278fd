//! Subscriptions: URLs of registries that events are delivered to by HTTP.

use std::{fmt::Display, time::Duration};

use bindery_proto::v1::{
    CreateSubscriptionRequest, DeadLetter, DeleteSubscriptionRequest, GetSubscriptionRequest,
    ListDeadLettersRequest, ListSubscriptionsRequest, RotateSubscriptionSecretRequest,
    Subscription, UpdateSubscriptionRequest, event_service_client::EventServiceClient,
};

use crate::{
    Change, Client, Error, Pages, Token,
    call::{Manner, call, keyed},
    page::pages,
};

/// A subscription with its new signing secret.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NewSubscription {
    /// The subscription.
    pub subscription: Subscription,
    /// The secret that its deliveries are signed with: `whsec_` and base64, as Standard Webhooks has it. It
    /// can't be had again. Empty where nothing was created.
    pub secret: Token,
}

/// Asks for a new subscription.
#[derive(Clone, Debug)]
#[must_use]
pub struct SubscriptionRequest(CreateSubscriptionRequest);

impl SubscriptionRequest {
    /// Delivers the events of `namespaces/{namespace}` to a URL.
    pub fn new(namespace: impl Display, endpoint: impl Into<String>) -> Self {
        Self(CreateSubscriptionRequest {
            parent: namespace.to_string(),
            subscription: Some(Subscription {
                endpoint_uri: endpoint.into(),
                ..Subscription::default()
            }),
            ..CreateSubscriptionRequest::default()
        })
    }

    fn subscription(&mut self) -> &mut Subscription {
        self.0.subscription.get_or_insert_default()
    }

    /// Its id: 1 to 63 of `a-z`, `0-9` and `-`; the daemon makes one unless set.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.0.subscription_id = id.into();
        self
    }

    /// Name for people.
    pub fn display_name(mut self, name: impl Into<String>) -> Self {
        self.subscription().display_name = name.into();
        self
    }

    /// Only some events, by `link`, `source`, `repository`, `change`, `ref` or `verdict`.
    pub fn filter(mut self, filter: impl Into<String>) -> Self {
        self.subscription().filter = filter.into();
        self
    }

    /// Deliveries carry what the provider sent.
    pub fn include_payload(mut self, include: bool) -> Self {
        self.subscription().include_payload = include;
        self
    }

    /// Nothing is delivered until it is resumed; events wait.
    pub fn paused(mut self, paused: bool) -> Self {
        self.subscription().paused = paused;
        self
    }

    /// Checks everything and changes nothing; there is no secret then.
    pub fn preview(mut self, preview: bool) -> Self {
        self.0.validate_only = preview;
        self
    }

    /// A UUID of the caller's own, to repeat the same intent after a crash and get the same secret.
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.0.request_id = id.into();
        self
    }
}

impl Client {
    /// Creates a subscription and its signing secret.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::AlreadyExists`], [`Error::InvalidArgument`], [`Error::Precondition`]
    /// where address or port may not be reached, and those that every call has.
    pub async fn create_subscription(
        &self,
        request: SubscriptionRequest,
    ) -> Result<NewSubscription, Error> {
        let answer = keyed!(
            self,
            Manner::KEYED_AT_FORGE,
            EventServiceClient<_>,
            create_subscription,
            request.0
        )?;
        Ok(NewSubscription {
            subscription: answer.subscription.unwrap_or_default(),
            secret: Token::from(answer.signing_secret),
        })
    }

    /// Gets a subscription, without its secret: `namespaces/{namespace}/subscriptions/{subscription}`.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], and those that every call has.
    pub async fn get_subscription(&self, name: impl Display) -> Result<Subscription, Error> {
        let name = name.to_string();
        let request = GetSubscriptionRequest { name };
        call!(
            self,
            Manner::READ,
            EventServiceClient<_>,
            get_subscription,
            request
        )
    }

    /// Lists the subscriptions of a namespace, without their secrets.
    pub fn list_subscriptions(&self, namespace: impl Display) -> Pages<Subscription> {
        let request = ListSubscriptionsRequest {
            parent: namespace.to_string(),
            ..ListSubscriptionsRequest::default()
        };
        pages!(
            self,
            Manner::READ,
            EventServiceClient<_>,
            list_subscriptions,
            request,
            subscriptions
        )
    }

    /// Changes name, endpoint, filter, payload or the pause of a subscription.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Conflict`] where `etag` is set and old, [`Error::InvalidArgument`],
    /// [`Error::Precondition`] where address or port may not be reached, and those that every call has.
    pub async fn update_subscription(
        &self,
        change: Change<Subscription>,
    ) -> Result<Subscription, Error> {
        let request = UpdateSubscriptionRequest {
            subscription: Some(change.resource),
            update_mask: Some(change.mask),
            validate_only: change.preview,
            ..UpdateSubscriptionRequest::default()
        };
        keyed!(
            self,
            Manner::KEYED_AT_FORGE,
            EventServiceClient<_>,
            update_subscription,
            request
        )
    }

    /// Gives a subscription a new signing secret. Deliveries carry two signatures during the overlap: one
    /// hour unless set, and with zero the old one ends at once.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::InvalidArgument`], and those that every call has.
    pub async fn rotate_subscription_secret(
        &self,
        name: impl Display,
        overlap: Option<Duration>,
    ) -> Result<NewSubscription, Error> {
        let request = RotateSubscriptionSecretRequest {
            name: name.to_string(),
            overlap: overlap.and_then(|time| time.try_into().ok()),
            ..RotateSubscriptionSecretRequest::default()
        };
        let answer = keyed!(
            self,
            Manner::KEYED,
            EventServiceClient<_>,
            rotate_subscription_secret,
            request
        )?;
        Ok(NewSubscription {
            subscription: answer.subscription.unwrap_or_default(),
            secret: Token::from(answer.signing_secret),
        })
    }

    /// Deletes a subscription; what was not delivered is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], and those that every call has.
    pub async fn delete_subscription(&self, name: impl Display) -> Result<(), Error> {
        let request = DeleteSubscriptionRequest {
            name: name.to_string(),
            ..DeleteSubscriptionRequest::default()
        };
        keyed!(
            self,
            Manner::KEYED,
            EventServiceClient<_>,
            delete_subscription,
            request
        )
    }

    /// Lists the events that the endpoint of a subscription did not accept, the oldest first.
    pub fn list_dead_letters(&self, subscription: impl Display) -> Pages<DeadLetter> {
        let request = ListDeadLettersRequest {
            parent: subscription.to_string(),
            ..ListDeadLettersRequest::default()
        };
        pages!(
            self,
            Manner::READ,
            EventServiceClient<_>,
            list_dead_letters,
            request,
            dead_letters
        )
    }
}
