//! Events and triggers. They come with a later release.

use bindery_proto::v1::{self as wire, event_service_server::EventService};

use super::Nothing;
use crate::call::service;

service! {
    EventService, run;
    later watch_events(wire::WatchEventsRequest) -> Self::WatchEventsStream;
    later ack_events(wire::AckEventsRequest) -> wire::AckEventsResponse;
    later get_event(wire::GetEventRequest) -> wire::Event;
    later list_events(wire::ListEventsRequest) -> wire::ListEventsResponse;
    later replay_events(wire::ReplayEventsRequest) -> wire::ReplayEventsResponse;
    later list_consumers(wire::ListConsumersRequest) -> wire::ListConsumersResponse;
    later delete_consumer(wire::DeleteConsumerRequest) -> ();
    later create_trigger(wire::CreateTriggerRequest) -> wire::CreateTriggerResponse;
    later get_trigger(wire::GetTriggerRequest) -> wire::Trigger;
    later list_triggers(wire::ListTriggersRequest) -> wire::ListTriggersResponse;
    later update_trigger(wire::UpdateTriggerRequest) -> wire::Trigger;
    later rotate_trigger_token(wire::RotateTriggerTokenRequest) -> wire::RotateTriggerTokenResponse;
    later delete_trigger(wire::DeleteTriggerRequest) -> ();
    later fire_trigger(wire::FireTriggerRequest) -> wire::FireTriggerResponse;
    later create_subscription(wire::CreateSubscriptionRequest) -> wire::CreateSubscriptionResponse;
    later get_subscription(wire::GetSubscriptionRequest) -> wire::Subscription;
    later list_subscriptions(wire::ListSubscriptionsRequest) -> wire::ListSubscriptionsResponse;
    later update_subscription(wire::UpdateSubscriptionRequest) -> wire::Subscription;
    later rotate_subscription_secret(wire::RotateSubscriptionSecretRequest) -> wire::RotateSubscriptionSecretResponse;
    later delete_subscription(wire::DeleteSubscriptionRequest) -> ();
    later list_dead_letters(wire::ListDeadLettersRequest) -> wire::ListDeadLettersResponse;
    also {
        type WatchEventsStream = Nothing<wire::WatchEventsResponse>;
    }
}
