//! What hooks delivered: listed, shown, processed again, and what was missed.

use bindery_core::{source::SourceName, time::Timestamp};
use bindery_engine::deliveries::Whose;
use bindery_proto::v1::{self as wire, ErrorReason, delivery::State};

use crate::{
    call::Call, convert::delivery as convert, fields::wrong, names, pages, services::event,
    status::Failure,
};

pub(super) async fn list(
    call: Call,
    request: wire::ListDeliveriesRequest,
) -> Result<wire::ListDeliveriesResponse, Failure> {
    let source = names::source(&request.parent)?;
    let size = pages::size(&request, 1000)? as usize;
    let state = State::try_from(request.state)
        .map_err(|_| wrong("state", "is none that there is; leave it out for all"))?;
    let before = match call.offset(&request)? {
        0 => None,
        before => u64::try_from(before).ok(),
    };
    let page = call
        .engine()
        .list_deliveries(whose(&call, &source), convert::asked(state), before, size)
        .await?;
    let next = page.next.map_or_else(String::new, |next| next.to_string());
    let shown = page.items.into_iter();
    Ok(wire::ListDeliveriesResponse {
        deliveries: shown
            .map(|(one, size)| convert::delivery(&source, one, size, false))
            .collect(),
        next_page_token: call.next_cursor(&request, &next),
    })
}

/// The operator also sees what is nobody's.
fn whose<'a>(call: &Call, source: &'a SourceName) -> Whose<'a> {
    match call.caller.omnipotent() {
        true => Whose::by_operator(source),
        false => Whose::from(source),
    }
}

pub(super) async fn get(
    call: Call,
    request: wire::GetDeliveryRequest,
) -> Result<wire::Delivery, Failure> {
    let (source, number) = names::delivery(&request.name)?;
    event::may_see_payloads(&call, &source.namespace, request.include_body)?;
    let room = match request.include_body {
        true => Some(call.room_for_payload().await?),
        false => None,
    };
    let whose = whose(&call, &source);
    let found = call.engine().delivery(whose, number).await?;
    let size = found.body.len();
    if let Some(room) = room {
        if !event::fits_answer(size) {
            return Err(too_long(size));
        }
        call.keep(room, size);
    }
    Ok(convert::delivery(
        &source,
        found,
        size,
        request.include_body,
    ))
}

fn too_long(size: usize) -> Failure {
    let message = format!(
        "the body has {size} bytes, which is more than an answer can hold; ask without include_body, and look at the provider's own list of deliveries"
    );
    Failure::new(ErrorReason::MessageTooLarge, message).with("bytes", size.to_string())
}

/// What it became before is not emitted twice, so that a repetition does no harm.
pub(super) async fn retry(
    call: Call,
    request: wire::RetryDeliveryRequest,
) -> Result<wire::Delivery, Failure> {
    let key = call.request_key(&request, &request.request_id)?;
    let (source, number) = names::delivery(&request.name)?;
    let found = call
        .engine()
        .retry_delivery(whose(&call, &source), number, key.as_ref())
        .await?;
    let size = found.body.len();
    Ok(convert::delivery(&source, found, size, false))
}

/// Emits what was missed once, so that a repetition does no harm.
pub(super) async fn catch_up(
    call: Call,
    request: wire::CatchUpSourceRequest,
) -> Result<wire::CatchUpSourceResponse, Failure> {
    let key = call.request_key(&request, &request.request_id)?;
    let source = names::source(&request.name)?;
    let since = request.since_time.map(since).transpose()?;
    let caught = call.engine().catch_up(&source, since, key.as_ref()).await?;
    let count = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    Ok(wire::CatchUpSourceResponse {
        recovered_deliveries: count(caught.recovered_deliveries),
        changed_refs: count(caught.changed_refs),
        events: caught.events.iter().map(convert::event_name).collect(),
    })
}

fn since(time: prost_types::Timestamp) -> Result<Timestamp, Failure> {
    let seconds = u64::try_from(time.seconds).ok();
    let ms = seconds.and_then(|seconds| seconds.checked_mul(1000));
    let ms = ms.ok_or_else(|| wrong("since_time", "is no time after 1970; give another one"))?;
    Ok(Timestamp::from_unix_ms(ms))
}
