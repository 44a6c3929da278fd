//! Deliveries of hooks.

use bindery_core::{
    delivery::{Delivery, DeliveryState},
    name::NamespaceName,
    source::SourceName,
};
use bindery_proto::v1::{self as wire, delivery::State};

use super::common::time;

/// A delivery of a source's hook. `size` is that of its body.
pub(crate) fn delivery(
    source: &SourceName,
    record: Delivery,
    size: usize,
    with_body: bool,
) -> wire::Delivery {
    wire::Delivery {
        name: format!("{source}/deliveries/{}", record.number),
        stable_id: record.stable_id,
        provider_event: record.event,
        receive_time: Some(time(record.received)),
        state: state(record.state).into(),
        message: record.message,
        events: record.events.iter().map(event_name).collect(),
        body_size: i64::try_from(size).unwrap_or(i64::MAX),
        body: if with_body { record.body } else { Vec::new() },
    }
}

/// The name of an event.
pub(crate) fn event_name((namespace, sequence): &(NamespaceName, u64)) -> String {
    format!("namespaces/{namespace}/events/{sequence}")
}

const fn state(state: DeliveryState) -> State {
    match state {
        DeliveryState::Stored => State::Stored,
        DeliveryState::Processed => State::Processed,
        DeliveryState::Ignored => State::Ignored,
        DeliveryState::Duplicate => State::Duplicate,
        DeliveryState::Unparsed => State::Unparsed,
    }
}

/// The state that is asked for; `None` for all.
pub(crate) const fn asked(wanted: State) -> Option<DeliveryState> {
    Some(match wanted {
        State::Unspecified => return None,
        State::Stored => DeliveryState::Stored,
        State::Processed => DeliveryState::Processed,
        State::Ignored => DeliveryState::Ignored,
        State::Duplicate => DeliveryState::Duplicate,
        State::Unparsed => DeliveryState::Unparsed,
    })
}
