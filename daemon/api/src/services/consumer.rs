//! Those who follow events.

use bindery_core::name::ConsumerId;
use bindery_proto::v1 as wire;

use super::slice;
use crate::{call::Call, convert::event, fields, names, pages, status::Failure};

/// A consumer's id.
pub(super) fn id(text: &str) -> Result<ConsumerId, Failure> {
    ConsumerId::parse(text).map_err(|error| fields::wrong("consumer_id", error.to_string()))
}

pub(super) async fn acknowledge(
    call: Call,
    request: wire::AckEventsRequest,
) -> Result<wire::AckEventsResponse, Failure> {
    let (namespace, consumer) = (
        names::namespace(&request.parent)?,
        id(&request.consumer_id)?,
    );
    let sequence = u64::try_from(request.sequence)
        .map_err(|_| fields::wrong("sequence", "must not be negative"))?;
    let consumer = call
        .engine()
        .acknowledge(&namespace, &consumer, sequence)
        .await?;
    Ok(wire::AckEventsResponse {
        consumer: Some(event::consumer(&consumer)),
    })
}

pub(super) async fn list(
    call: Call,
    request: wire::ListConsumersRequest,
) -> Result<wire::ListConsumersResponse, Failure> {
    let (size, offset) = (pages::size(&request, 1000)?, call.offset(&request)?);
    let namespace = names::namespace(&request.parent)?;
    call.engine().namespace(&namespace).await?;
    let all = call.engine().consumers(&namespace).await?;
    let (consumers, next) = slice(all, offset, size);
    Ok(wire::ListConsumersResponse {
        consumers: consumers.iter().map(event::consumer).collect(),
        next_page_token: call.next_cursor(&request, &next),
    })
}

pub(super) async fn delete(
    call: Call,
    request: wire::DeleteConsumerRequest,
) -> Result<(), Failure> {
    let (namespace, consumer) = names::consumer(&request.name)?;
    match call.engine().forget_consumer(&namespace, &consumer).await {
        Err(problem)
            if request.allow_missing
                && problem.reason == bindery_core::problem::Reason::NotFound =>
        {
            Ok(())
        }
        outcome => Ok(outcome?),
    }
}
