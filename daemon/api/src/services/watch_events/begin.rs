//! What a watch is asked for, and where it begins.

use std::time::Duration;

use bindery_core::name::{ConsumerId, NamespaceName};
use bindery_engine::events::Following;
use bindery_proto::v1 as wire;

use crate::{call::Call, convert::common, fields, status::Failure};

const USUAL_HEARTBEAT: Duration = Duration::from_secs(30);
const SHORTEST_HEARTBEAT: Duration = Duration::from_secs(1);
/// Longer than anything between the two ends keeps a silent connection.
const LONGEST_HEARTBEAT: Duration = Duration::from_secs(3600);
const USUAL_WINDOW: usize = 1_000;
const LARGEST_WINDOW: i32 = 10_000;

pub(super) fn heartbeat(request: &wire::WatchEventsRequest) -> Result<Duration, Failure> {
    let Some(asked) = request.heartbeat_interval else {
        return Ok(USUAL_HEARTBEAT);
    };
    common::duration(asked)
        .filter(|interval| (SHORTEST_HEARTBEAT..=LONGEST_HEARTBEAT).contains(interval))
        .ok_or_else(|| fields::wrong("heartbeat_interval", "must be one second to one hour"))
}

pub(super) fn window(request: &wire::WatchEventsRequest) -> Result<usize, Failure> {
    match request.max_unacknowledged {
        0 => Ok(USUAL_WINDOW),
        asked if (1..=LARGEST_WINDOW).contains(&asked) => {
            Ok(usize::try_from(asked).unwrap_or(USUAL_WINDOW))
        }
        _ => Err(fields::wrong("max_unacknowledged", "must be 0 to 10,000")),
    }
}

/// Where the watch begins, and the right to follow as a consumer.
pub(super) async fn place(
    call: &Call,
    request: &wire::WatchEventsRequest,
    namespace: &NamespaceName,
    id: Option<ConsumerId>,
) -> Result<(u64, Option<Following>), Failure> {
    let engine = call.engine();
    let numbers = engine.event_numbers(namespace).await?;
    let asked = match request.after_sequence {
        Some(0) => Some(numbers.first.saturating_sub(1)),
        Some(number) => Some(given(number, numbers.last)?),
        None => None,
    };
    // What is not kept any more is said at once, before another watcher is told to end.
    engine
        .event_after(namespace, asked.unwrap_or(numbers.last))
        .await?;
    let Some(id) = &id else {
        return Ok((asked.unwrap_or(numbers.last), None));
    };
    let start = asked.unwrap_or(numbers.last);
    let who = call.caller.name();
    let (consumer, following) = engine.follow_as(namespace, id, who, start).await?;
    let position = asked.unwrap_or_else(|| consumer.settled());
    engine.event_after(namespace, position).await?;
    Ok((position, Some(following)))
}

fn given(number: i64, last: u64) -> Result<u64, Failure> {
    let wrong = |why: String| fields::wrong("after_sequence", why);
    match u64::try_from(number) {
        Err(_) => Err(wrong("must not be negative".to_owned())),
        Ok(number) if number > last => Err(wrong(format!(
            "does not exist yet; the last event is {last}"
        ))),
        Ok(number) => Ok(number),
    }
}
