//! Events, consumers, triggers and subscriptions as a service.

use std::pin::Pin;

use bindery_proto::v1::{
    self as proto, Event, Subscription, Trigger, event_service_server::EventService,
};
use futures_util::Stream;
use tonic::{Request, Response, Status};

use super::{
    consumers::{matches, received},
    refusal::not_found,
    world::{Keyed, World, keyed},
};

impl Keyed for proto::WatchEventsRequest {}
impl Keyed for proto::AckEventsRequest {}
impl Keyed for proto::GetEventRequest {}
impl Keyed for proto::ListEventsRequest {}
impl Keyed for proto::ListConsumersRequest {}
impl Keyed for proto::GetTriggerRequest {}
impl Keyed for proto::ListTriggersRequest {}
impl Keyed for proto::GetSubscriptionRequest {}
impl Keyed for proto::ListSubscriptionsRequest {}
impl Keyed for proto::ListDeadLettersRequest {}
keyed!(
    ReplayEventsRequest,
    DeleteConsumerRequest,
    CreateTriggerRequest,
    UpdateTriggerRequest,
    RotateTriggerTokenRequest,
    DeleteTriggerRequest,
    FireTriggerRequest,
    CreateSubscriptionRequest,
    UpdateSubscriptionRequest,
    RotateSubscriptionSecretRequest,
    DeleteSubscriptionRequest
);

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl EventService for World {
    type WatchEventsStream =
        Pin<Box<dyn Stream<Item = Result<proto::WatchEventsResponse, Status>> + Send>>;

    async fn watch_events(
        &self,
        request: Request<proto::WatchEventsRequest>,
    ) -> Answer<Self::WatchEventsStream> {
        self.enter("WatchEvents", &request)?;
        let feed = self.watch(request.into_inner())?;
        Ok(Response::new(Box::pin(feed)))
    }

    async fn ack_events(
        &self,
        request: Request<proto::AckEventsRequest>,
    ) -> Answer<proto::AckEventsResponse> {
        self.enter("AckEvents", &request)?;
        let consumer = self.lock().acknowledge(request.get_ref())?;
        self.changed();
        let consumer = Some(consumer);
        Ok(Response::new(proto::AckEventsResponse { consumer }))
    }

    async fn get_event(&self, request: Request<proto::GetEventRequest>) -> Answer<Event> {
        self.enter("GetEvent", &request)?;
        let request = request.into_inner();
        let event = self.lock().event(&request.name)?.clone();
        Ok(Response::new(shown(event, request.include_payload)))
    }

    async fn list_events(
        &self,
        request: Request<proto::ListEventsRequest>,
    ) -> Answer<proto::ListEventsResponse> {
        self.enter("ListEvents", &request)?;
        let request = request.into_inner();
        let state = self.lock();
        let log = state.log(&request.parent)?;
        let asked = log.events.values();
        let asked = asked.filter(|event| {
            matches(&request.filter, event)
                && received(event, request.since_time, request.until_time)
        });
        let mut all: Vec<_> = asked
            .map(|event| shown(event.clone(), request.include_payload))
            .collect();
        if request.newest_first {
            all.reverse();
        }
        let (events, next_page_token) = state.page(&all, request.page_size, &request.page_token)?;
        Ok(Response::new(proto::ListEventsResponse {
            events,
            next_page_token,
            oldest_sequence: log.events.keys().next().copied().unwrap_or_default(),
        }))
    }

    async fn replay_events(
        &self,
        request: Request<proto::ReplayEventsRequest>,
    ) -> Answer<proto::ReplayEventsResponse> {
        self.enter("ReplayEvents", &request)?;
        let answer = self.lock().replay(request.get_ref())?;
        self.changed();
        Ok(Response::new(answer))
    }

    async fn list_consumers(
        &self,
        request: Request<proto::ListConsumersRequest>,
    ) -> Answer<proto::ListConsumersResponse> {
        self.enter("ListConsumers", &request)?;
        let request = request.into_inner();
        let state = self.lock();
        let prefix = format!("{}/", request.parent);
        let all = state.feeds.followers.values();
        let all = all.map(|follower| follower.consumer.clone());
        let all: Vec<_> = all.filter(|one| one.name.starts_with(&prefix)).collect();
        let (consumers, next_page_token) =
            state.page(&all, request.page_size, &request.page_token)?;
        Ok(Response::new(proto::ListConsumersResponse {
            consumers,
            next_page_token,
        }))
    }

    async fn delete_consumer(&self, request: Request<proto::DeleteConsumerRequest>) -> Answer<()> {
        self.enter("DeleteConsumer", &request)?;
        let request = request.into_inner();
        let removed = self.lock().feeds.followers.remove(&request.name);
        if removed.is_none() && !request.allow_missing {
            return Err(not_found(&request.name));
        }
        Ok(Response::new(()))
    }

    async fn create_trigger(
        &self,
        request: Request<proto::CreateTriggerRequest>,
    ) -> Answer<proto::CreateTriggerResponse> {
        self.enter("CreateTrigger", &request)?;
        let (trigger, token) = self.lock().add_trigger(request.into_inner())?;
        let trigger = Some(trigger);
        Ok(Response::new(proto::CreateTriggerResponse {
            trigger,
            token,
        }))
    }

    async fn get_trigger(&self, request: Request<proto::GetTriggerRequest>) -> Answer<Trigger> {
        self.enter("GetTrigger", &request)?;
        let name = request.into_inner().name;
        self.lock().trigger(&name).cloned().map(Response::new)
    }

    async fn list_triggers(
        &self,
        request: Request<proto::ListTriggersRequest>,
    ) -> Answer<proto::ListTriggersResponse> {
        self.enter("ListTriggers", &request)?;
        let request = request.into_inner();
        let state = self.lock();
        state.source(&request.parent)?;
        let prefix = format!("{}/", request.parent);
        let all = state.triggers.values();
        let all: Vec<_> = all
            .filter(|one| one.name.starts_with(&prefix))
            .cloned()
            .collect();
        let (triggers, next_page_token) =
            state.page(&all, request.page_size, &request.page_token)?;
        Ok(Response::new(proto::ListTriggersResponse {
            triggers,
            next_page_token,
        }))
    }

    async fn update_trigger(
        &self,
        request: Request<proto::UpdateTriggerRequest>,
    ) -> Answer<Trigger> {
        self.enter("UpdateTrigger", &request)?;
        let trigger = self.lock().change_trigger(request.into_inner())?;
        Ok(Response::new(trigger))
    }

    async fn rotate_trigger_token(
        &self,
        request: Request<proto::RotateTriggerTokenRequest>,
    ) -> Answer<proto::RotateTriggerTokenResponse> {
        self.enter("RotateTriggerToken", &request)?;
        let (trigger, token) = self.lock().rotate_trigger(&request.into_inner())?;
        let trigger = Some(trigger);
        Ok(Response::new(proto::RotateTriggerTokenResponse {
            trigger,
            token,
        }))
    }

    async fn delete_trigger(&self, request: Request<proto::DeleteTriggerRequest>) -> Answer<()> {
        self.enter("DeleteTrigger", &request)?;
        let request = request.into_inner();
        let removed = self.lock().triggers.remove(&request.name);
        if removed.is_none() && !request.allow_missing {
            return Err(not_found(&request.name));
        }
        Ok(Response::new(()))
    }

    async fn fire_trigger(
        &self,
        request: Request<proto::FireTriggerRequest>,
    ) -> Answer<proto::FireTriggerResponse> {
        self.enter("FireTrigger", &request)?;
        let event = self.lock().fire(&request.into_inner())?;
        self.changed();
        let event = Some(event);
        Ok(Response::new(proto::FireTriggerResponse { event }))
    }

    async fn create_subscription(
        &self,
        request: Request<proto::CreateSubscriptionRequest>,
    ) -> Answer<proto::CreateSubscriptionResponse> {
        self.enter("CreateSubscription", &request)?;
        let (subscription, signing_secret) = self.lock().subscribe(request.into_inner())?;
        let subscription = Some(subscription);
        Ok(Response::new(proto::CreateSubscriptionResponse {
            subscription,
            signing_secret,
        }))
    }

    async fn get_subscription(
        &self,
        request: Request<proto::GetSubscriptionRequest>,
    ) -> Answer<Subscription> {
        self.enter("GetSubscription", &request)?;
        let name = request.into_inner().name;
        self.lock().subscription(&name).map(Response::new)
    }

    async fn list_subscriptions(
        &self,
        request: Request<proto::ListSubscriptionsRequest>,
    ) -> Answer<proto::ListSubscriptionsResponse> {
        self.enter("ListSubscriptions", &request)?;
        let request = request.into_inner();
        let state = self.lock();
        let prefix = format!("{}/", request.parent);
        let names = state.subscriptions.keys();
        let names = names.filter(|name| name.starts_with(&prefix));
        let all: Result<Vec<_>, _> = names.map(|name| state.subscription(name)).collect();
        let (subscriptions, next_page_token) =
            state.page(&all?, request.page_size, &request.page_token)?;
        Ok(Response::new(proto::ListSubscriptionsResponse {
            subscriptions,
            next_page_token,
        }))
    }

    async fn update_subscription(
        &self,
        request: Request<proto::UpdateSubscriptionRequest>,
    ) -> Answer<Subscription> {
        self.enter("UpdateSubscription", &request)?;
        let subscription = self.lock().change_subscription(request.into_inner())?;
        Ok(Response::new(subscription))
    }

    async fn rotate_subscription_secret(
        &self,
        request: Request<proto::RotateSubscriptionSecretRequest>,
    ) -> Answer<proto::RotateSubscriptionSecretResponse> {
        self.enter("RotateSubscriptionSecret", &request)?;
        let (subscription, signing_secret) =
            self.lock().rotate_subscription(&request.into_inner())?;
        let subscription = Some(subscription);
        Ok(Response::new(proto::RotateSubscriptionSecretResponse {
            subscription,
            signing_secret,
        }))
    }

    async fn delete_subscription(
        &self,
        request: Request<proto::DeleteSubscriptionRequest>,
    ) -> Answer<()> {
        self.enter("DeleteSubscription", &request)?;
        let request = request.into_inner();
        let removed = self.lock().subscriptions.remove(&request.name);
        if removed.is_none() && !request.allow_missing {
            return Err(not_found(&request.name));
        }
        Ok(Response::new(()))
    }

    async fn list_dead_letters(
        &self,
        request: Request<proto::ListDeadLettersRequest>,
    ) -> Answer<proto::ListDeadLettersResponse> {
        self.enter("ListDeadLetters", &request)?;
        let request = request.into_inner();
        let state = self.lock();
        state.subscription(&request.parent)?;
        let all = state.dead_letters.get(&request.parent);
        let all = all.map(Vec::as_slice).unwrap_or_default();
        let (dead_letters, next_page_token) =
            state.page(all, request.page_size, &request.page_token)?;
        Ok(Response::new(proto::ListDeadLettersResponse {
            dead_letters,
            next_page_token,
        }))
    }
}

fn shown(mut event: Event, with_payload: bool) -> Event {
    if !with_payload {
        event.payload.clear();
    }
    event
}
