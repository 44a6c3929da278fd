//! Events: what changed at the providers.

use std::{fmt::Display, time::SystemTime};

use bindery_proto::v1::{
    Consumer, DeleteConsumerRequest, Event, GetEventRequest, ListConsumersRequest,
    ListEventsRequest, ReplayEventsRequest, ReplayEventsResponse,
    event_service_client::EventServiceClient, replay_events_request::Target,
};

use crate::{
    Client, Error, Pages,
    call::{Manner, call, keyed},
    page::pages,
};

mod acks;
mod builder;
mod open;
mod passing;
mod place;
mod watch;

pub use acks::{Ack, Acker};
pub use builder::Events;
pub use watch::EventWatch;

/// Which events.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[must_use]
pub struct EventQuery {
    /// Comparisons of `link`, `source`, `repository`, `change`, `ref` or `verdict`, joined by `AND`; empty
    /// means all.
    pub filter: String,
    /// Only those that were received at this time or later.
    pub since: Option<SystemTime>,
    /// Only those that were received before this time.
    pub until: Option<SystemTime>,
    /// The newest first instead of the oldest.
    pub newest_first: bool,
    /// With what the provider sent, for which the caller needs a right of its own.
    pub include_payload: bool,
}

/// Asks to send events again. It needs a start: [`since`](Self::since) or
/// [`since_sequence`](Self::since_sequence).
#[derive(Clone, Debug)]
#[must_use]
pub struct ReplayRequest(ReplayEventsRequest);

impl ReplayRequest {
    /// To a consumer of `namespaces/{namespace}`: its acknowledgement is set back, and its watcher gets all
    /// that follow again.
    pub fn to_consumer(namespace: impl Display, consumer: impl Into<String>) -> Self {
        Self::new(&namespace, Target::ConsumerId(consumer.into()))
    }

    /// To the endpoint of a subscription of `namespaces/{namespace}`, by the subscription's name.
    pub fn to_subscription(namespace: impl Display, subscription: impl Display) -> Self {
        Self::new(&namespace, Target::Subscription(subscription.to_string()))
    }

    fn new(namespace: &dyn Display, target: Target) -> Self {
        Self(ReplayEventsRequest {
            parent: namespace.to_string(),
            target: Some(target),
            ..ReplayEventsRequest::default()
        })
    }

    /// From events that were received at this time on.
    pub fn since(mut self, time: SystemTime) -> Self {
        self.0.since_time = Some(time.into());
        self
    }

    /// Up to events that were received before this time; for a subscription only, since consumers get all that follow.
    pub fn until(mut self, time: SystemTime) -> Self {
        self.0.until_time = Some(time.into());
        self
    }

    /// From this event on.
    pub fn since_sequence(mut self, sequence: i64) -> Self {
        self.0.since_sequence = sequence;
        self
    }

    /// For a subscription: only events that its endpoint did not accept.
    pub fn missing_only(mut self, missing: bool) -> Self {
        self.0.missing_only = missing;
        self
    }

    /// Counts the events and changes nothing.
    pub fn preview(mut self, preview: bool) -> Self {
        self.0.validate_only = preview;
        self
    }

    /// A UUID of the caller's own, to repeat the same intent after a crash.
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.0.request_id = id.into();
        self
    }
}

impl Client {
    /// Gets an event, `namespaces/{namespace}/events/{event}`; with `include_payload` also what the provider
    /// sent, for which the caller needs a right of its own.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], and those that every call has.
    pub async fn get_event(
        &self,
        name: impl Display,
        include_payload: bool,
    ) -> Result<Event, Error> {
        let request = GetEventRequest {
            name: name.to_string(),
            include_payload,
        };
        call!(
            self,
            Manner::READ,
            EventServiceClient<_>,
            get_event,
            request
        )
    }

    /// Lists the events of a namespace that are kept.
    pub fn list_events(&self, namespace: impl Display, query: EventQuery) -> Pages<Event> {
        let request = ListEventsRequest {
            parent: namespace.to_string(),
            filter: query.filter,
            since_time: query.since.map(Into::into),
            until_time: query.until.map(Into::into),
            newest_first: query.newest_first,
            include_payload: query.include_payload,
            ..ListEventsRequest::default()
        };
        pages!(
            self,
            Manner::READ,
            EventServiceClient<_>,
            list_events,
            request,
            events
        )
    }

    /// Sends events again, to a consumer or to a subscription, and says which those are.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::InvalidArgument`] also where they are no longer kept, and those that
    /// every call has.
    pub async fn replay_events(
        &self,
        request: ReplayRequest,
    ) -> Result<ReplayEventsResponse, Error> {
        keyed!(
            self,
            Manner::KEYED,
            EventServiceClient<_>,
            replay_events,
            request.0
        )
    }

    /// Lists who follows the events of a namespace, and how far they are.
    pub fn list_consumers(&self, namespace: impl Display) -> Pages<Consumer> {
        let request = ListConsumersRequest {
            parent: namespace.to_string(),
            ..ListConsumersRequest::default()
        };
        pages!(
            self,
            Manner::READ,
            EventServiceClient<_>,
            list_consumers,
            request,
            consumers
        )
    }

    /// Forgets a consumer and its place: `namespaces/{namespace}/consumers/{consumer}`.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], and those that every call has.
    pub async fn delete_consumer(&self, name: impl Display) -> Result<(), Error> {
        let request = DeleteConsumerRequest {
            name: name.to_string(),
            ..DeleteConsumerRequest::default()
        };
        keyed!(
            self,
            Manner::KEYED,
            EventServiceClient<_>,
            delete_consumer,
            request
        )
    }
}
