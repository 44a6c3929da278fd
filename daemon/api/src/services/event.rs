//! Events: one by one, by pages, and again.

use bindery_core::{event::Event, name::NamespaceName, problem::Reason, time::Timestamp};
use bindery_engine::{
    RequestKey,
    subscriptions::{Replay, Replayed},
};
use bindery_proto::v1::{
    self as wire, ErrorReason, event_service_server::EventService, replay_events_request::Target,
};

use prost::Message;

use super::{Answers, consumer, subscription, trigger, watch_events};
use crate::{
    call::{Call, service},
    convert, fields,
    filter::Filter,
    names, pages,
    status::Failure,
};

/// Bytes of events in one page: well below what an answer may hold. A page has one event at least, whose body is no longer than
/// this.
const PAGE_BYTES: usize = 3 << 20;

/// What a filter of events can ask for.
pub(super) use bindery_core::event::FILTER_FIELDS as FIELDS;

/// How many events are looked at for one page; a page may be short, and says where the next one begins.
const LOOKED_AT: usize = 5_000;

service! {
    EventService, run;
    serve watch_events(wire::WatchEventsRequest) -> Self::WatchEventsStream = watch_events::watch;
    serve ack_events(wire::AckEventsRequest) -> wire::AckEventsResponse = consumer::acknowledge;
    serve get_event(wire::GetEventRequest) -> wire::Event = get;
    serve list_events(wire::ListEventsRequest) -> wire::ListEventsResponse = list;
    serve replay_events(wire::ReplayEventsRequest) -> wire::ReplayEventsResponse = replay;
    serve list_consumers(wire::ListConsumersRequest) -> wire::ListConsumersResponse = consumer::list;
    serve delete_consumer(wire::DeleteConsumerRequest) -> () = consumer::delete;
    serve create_subscription(wire::CreateSubscriptionRequest) -> wire::CreateSubscriptionResponse = subscription::create;
    serve get_subscription(wire::GetSubscriptionRequest) -> wire::Subscription = subscription::get;
    serve list_subscriptions(wire::ListSubscriptionsRequest) -> wire::ListSubscriptionsResponse = subscription::list;
    serve update_subscription(wire::UpdateSubscriptionRequest) -> wire::Subscription = subscription::update;
    serve rotate_subscription_secret(wire::RotateSubscriptionSecretRequest) -> wire::RotateSubscriptionSecretResponse = subscription::rotate;
    serve delete_subscription(wire::DeleteSubscriptionRequest) -> () = subscription::delete;
    serve list_dead_letters(wire::ListDeadLettersRequest) -> wire::ListDeadLettersResponse = subscription::dead_letters;
    serve create_trigger(wire::CreateTriggerRequest) -> wire::CreateTriggerResponse = trigger::create;
    serve get_trigger(wire::GetTriggerRequest) -> wire::Trigger = trigger::get;
    serve list_triggers(wire::ListTriggersRequest) -> wire::ListTriggersResponse = trigger::list;
    serve update_trigger(wire::UpdateTriggerRequest) -> wire::Trigger = trigger::update;
    serve rotate_trigger_token(wire::RotateTriggerTokenRequest) -> wire::RotateTriggerTokenResponse = trigger::rotate;
    serve delete_trigger(wire::DeleteTriggerRequest) -> () = trigger::delete;
    serve fire_trigger(wire::FireTriggerRequest) -> wire::FireTriggerResponse = trigger::fire;
    also {
        type WatchEventsStream = Answers<wire::WatchEventsResponse>;
    }
}

/// An event as it is shown, with the provider's body where it is asked for. A body that no answer can hold is left out.
pub(super) async fn shown(
    call: &Call,
    event: &Event,
    payload: bool,
) -> Result<wire::Event, Failure> {
    let mut shown = convert::event::event(event);
    if payload {
        let body = call.engine().event_payload(event).await?;
        if fits_answer(body.len()) {
            shown.payload = body;
        }
    }
    Ok(shown)
}

/// Whether an answer can hold a body of so many bytes.
pub(super) const fn fits_answer(bytes: usize) -> bool {
    bytes <= PAGE_BYTES
}

/// The provider's body tells more than the event does, so it needs a right of its own.
pub(super) fn may_see_payloads(
    call: &Call,
    namespace: &NamespaceName,
    asked: bool,
) -> Result<(), Failure> {
    let right = crate::policy::Action::EventPayload;
    if !asked || call.has_right(right, namespace) {
        return Ok(());
    }
    Err(crate::access::denied(right))
}

async fn get(call: Call, request: wire::GetEventRequest) -> Result<wire::Event, Failure> {
    let (namespace, sequence) = names::event(&request.name)?;
    may_see_payloads(&call, &namespace, request.include_payload)?;
    let event = call.engine().event(&namespace, sequence).await?;
    if !request.include_payload {
        return shown(&call, &event, false).await;
    }
    let room = call.room_for_payload().await?;
    let shown = shown(&call, &event, true).await?;
    call.keep(room, shown.payload.len());
    Ok(shown)
}

async fn list(
    call: Call,
    request: wire::ListEventsRequest,
) -> Result<wire::ListEventsResponse, Failure> {
    let (namespace, size) = (
        names::namespace(&request.parent)?,
        pages::size(&request, 1000)?,
    );
    call.engine().namespace(&namespace).await?;
    may_see_payloads(&call, &namespace, request.include_payload)?;
    let filter = Filter::parse(&request.filter, &FIELDS)?;
    let range = range(&call, &request, &namespace).await?;
    let room = match request.include_payload {
        true => Some(call.room_for_payload().await?),
        false => None,
    };
    let (mut events, mut bytes) = (Vec::new(), 0);
    let (mut next, mut looked_at) = (range.start(&call, &request)?, 0);
    while let Some(number) = next.filter(|number| range.holds(*number)) {
        if events.len() >= size as usize || looked_at >= LOOKED_AT {
            break;
        }
        looked_at += 1;
        let event = match call.engine().event(&namespace, number).await {
            Ok(event) => event,
            // One that was forgotten meanwhile is left out.
            Err(problem) if problem.reason == Reason::NotFound => {
                next = range.after(number);
                continue;
            }
            Err(problem) => return Err(problem.into()),
        };
        if filter.admits(|field| event.field(field)) {
            let shown = shown(&call, &event, request.include_payload).await?;
            bytes += shown.encoded_len();
            if bytes > PAGE_BYTES && !events.is_empty() {
                break;
            }
            events.push(shown);
        }
        next = range.after(number);
    }
    if let Some(room) = room {
        call.keep(room, bytes);
    }
    let next = next.filter(|number| range.holds(*number));
    let next = next.map(|number| number.to_string()).unwrap_or_default();
    Ok(wire::ListEventsResponse {
        events,
        next_page_token: call.next_cursor(&request, &next),
        oldest_sequence: convert::event::number(range.oldest),
    })
}

/// Which numbers a listing goes through.
struct Range {
    first: u64,
    last: u64,
    oldest: u64,
    backwards: bool,
}

impl Range {
    const fn holds(&self, number: u64) -> bool {
        self.first <= number && number <= self.last
    }

    const fn after(&self, number: u64) -> Option<u64> {
        match self.backwards {
            true => number.checked_sub(1),
            false => number.checked_add(1),
        }
    }

    fn start(
        &self,
        call: &Call,
        request: &wire::ListEventsRequest,
    ) -> Result<Option<u64>, Failure> {
        let place = call.cursor(request)?;
        let place: Option<u64> = place.parse().ok();
        // What was forgotten since the page before is no end.
        Ok(Some(match self.backwards {
            true => place.unwrap_or(self.last),
            false => place.unwrap_or(self.first).max(self.first),
        }))
    }
}

async fn range(
    call: &Call,
    request: &wire::ListEventsRequest,
    namespace: &NamespaceName,
) -> Result<Range, Failure> {
    let numbers = call.engine().event_numbers(namespace).await?;
    let (mut first, mut last) = (numbers.first, numbers.last);
    if let Some(since) = time(request.since_time, "since_time")? {
        first = first.max(call.engine().event_at(namespace, since).await?);
    }
    if let Some(until) = time(request.until_time, "until_time")? {
        last = last.min(
            call.engine()
                .event_at(namespace, until)
                .await?
                .saturating_sub(1),
        );
    }
    let oldest = if numbers.first <= numbers.last {
        numbers.first
    } else {
        0
    };
    Ok(Range {
        first,
        last,
        oldest,
        backwards: request.newest_first,
    })
}

fn time(
    time: Option<prost_types::Timestamp>,
    field: &'static str,
) -> Result<Option<Timestamp>, Failure> {
    time.map(|time| convert::common::moment(&time))
        .map(|time| time.ok_or_else(|| fields::wrong(field, "is no time")))
        .transpose()
}

/// Sets a consumer back. What its watcher gets again is told.
async fn replay(
    call: Call,
    request: wire::ReplayEventsRequest,
) -> Result<wire::ReplayEventsResponse, Failure> {
    let key = call.request_key(&request, &request.request_id)?;
    let namespace = names::namespace(&request.parent)?;
    let id = match &request.target {
        Some(Target::ConsumerId(id)) => id,
        Some(Target::Subscription(name)) => {
            return replay_to_subscription(&call, &request, &namespace, (name, key.as_ref())).await;
        }
        None => {
            let why = "is missing; name a consumer_id or a subscription";
            return Err(fields::wrong("target", why));
        }
    };
    let consumer = consumer::id(id)?;
    fits_consumer(&request)?;
    call.engine().consumer(&namespace, &consumer).await?;
    let first = replay_from(&call, &request, &namespace).await?;
    let replayed = match request.validate_only {
        true => {
            let last = call.engine().event_numbers(&namespace).await?.last;
            Replayed::range(first, last)
        }
        false => {
            let engine = call.engine();
            let set_back = engine.rewind(&namespace, &consumer, first, key.as_ref());
            set_back.await?
        }
    };
    Ok(convert::event::replayed(replayed))
}

/// A consumer's place is one number: it can't be given a part of what follows.
fn fits_consumer(request: &wire::ReplayEventsRequest) -> Result<(), Failure> {
    if request.until_time.is_some() {
        let why = "is for subscriptions; a consumer gets all events that follow, so leave it out";
        return Err(fields::wrong("until_time", why));
    }
    if request.missing_only {
        let why = "is for subscriptions; a consumer gets all events that follow, so leave it out";
        return Err(fields::wrong("missing_only", why));
    }
    Ok(())
}

async fn replay_to_subscription(
    call: &Call,
    request: &wire::ReplayEventsRequest,
    namespace: &NamespaceName,
    (name, key): (&str, Option<&RequestKey>),
) -> Result<wire::ReplayEventsResponse, Failure> {
    let first = replay_from(call, request, namespace).await?;
    let last = match time(request.until_time, "until_time")? {
        Some(until) => call
            .engine()
            .event_at(namespace, until)
            .await?
            .saturating_sub(1),
        None => call.engine().event_numbers(namespace).await?.last,
    };
    let wanted = Replay {
        first,
        last,
        missing_only: request.missing_only,
        validate_only: request.validate_only,
    };
    subscription::replay(call, name, namespace, wanted, key).await
}

async fn replay_from(
    call: &Call,
    request: &wire::ReplayEventsRequest,
    namespace: &NamespaceName,
) -> Result<u64, Failure> {
    let oldest = call.engine().event_numbers(namespace).await?.first;
    let first = match (
        time(request.since_time, "since_time")?,
        request.since_sequence,
    ) {
        (Some(since), _) => call.engine().event_at(namespace, since).await?,
        (None, 0) => {
            return Err(fields::wrong(
                "since_sequence",
                "is required, or since_time",
            ));
        }
        (None, number) => u64::try_from(number)
            .map_err(|_| fields::wrong("since_sequence", "must not be negative"))?,
    };
    if first < oldest {
        let message = format!("the oldest event that is kept is {oldest}; begin there");
        return Err(Failure::new(ErrorReason::CursorTooOld, message)
            .with("oldest_sequence", oldest.to_string()));
    }
    Ok(first)
}
