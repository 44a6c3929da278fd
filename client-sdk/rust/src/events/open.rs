//! Asking for a stream of events.

use std::time::Duration;

use bindery_proto::v1::{
    ListEventsRequest, WatchEventsRequest, WatchEventsResponse,
    event_service_client::EventServiceClient,
};
use futures_util::future::{BoxFuture, FutureExt as _};
use tokio::time::timeout;
use tonic::{Code, Status, Streaming};

use crate::{
    Client, Error,
    call::{LONGEST_ANSWER, Manner, call},
    random,
};

/// A stream under way: where it starts at the latest, and how opening it ended.
pub(super) type Opening = BoxFuture<'static, (Option<i64>, Opened)>;

type Opened = Result<Streaming<WatchEventsResponse>, Error>;

/// Asks for a stream. With `to_come` it starts with the events to come, after the `floor` where one is known
/// from an attempt before.
pub(super) fn open(
    client: Client,
    mut request: WatchEventsRequest,
    to_come: bool,
    mut floor: Option<i64>,
) -> Opening {
    async move {
        if to_come {
            match start(&client, &request, &mut floor).await {
                Ok(after) => request.after_sequence = after,
                Err(error) => return (floor, Err(error)),
            }
        }
        (floor, stream_of(&client, request).await)
    }
    .boxed()
}

/// Where a watch starts that wants the events to come. The daemon decides that when a stream begins; should
/// this one break before its first message, the next one must not begin later.
async fn start(
    client: &Client,
    request: &WatchEventsRequest,
    floor: &mut Option<i64>,
) -> Result<Option<i64>, Error> {
    let again = floor.is_some();
    let newest = match *floor {
        Some(newest) => newest,
        None => newest(client, &request.parent).await?,
    };
    *floor = Some(newest);
    if request.consumer_id.is_empty() {
        return Ok(Some(newest));
    }
    // The daemon knows what the consumer acknowledged; only if that is nothing, the start would move.
    if again && !has_acknowledged(client, request).await? {
        return Ok(Some(newest));
    }
    Ok(None)
}

async fn newest(client: &Client, namespace: &str) -> Result<i64, Error> {
    let request = ListEventsRequest {
        parent: namespace.to_owned(),
        page_size: 1,
        newest_first: true,
        ..ListEventsRequest::default()
    };
    let answer = call!(
        client,
        Manner::READ,
        EventServiceClient<_>,
        list_events,
        request
    )?;
    Ok(answer.events.first().map_or(0, |event| event.sequence))
}

async fn has_acknowledged(client: &Client, request: &WatchEventsRequest) -> Result<bool, Error> {
    let name = format!("{}/consumers/{}", request.parent, request.consumer_id);
    let mut consumers = client.list_consumers(&request.parent);
    while let Some(consumer) = consumers.next().await? {
        if consumer.name == name {
            return Ok(consumer.acknowledged_sequence > 0);
        }
    }
    Ok(false)
}

async fn stream_of(client: &Client, request: WatchEventsRequest) -> Opened {
    let request = client.request(request, &random::uuid()?);
    let mut service =
        EventServiceClient::new(client.channel()).max_decoding_message_size(LONGEST_ANSWER);
    let limit = client.settings().deadline;
    let answer = timeout(limit, service.watch_events(request)).await;
    let answer = answer.map_err(|_| silent(limit))?;
    let answer = answer.map_err(|status| named(client, &status))?;
    Ok(answer.into_inner())
}

pub(super) fn named(client: &Client, status: &Status) -> Error {
    Error::from_answer(status, &client.endpoint().to_string())
}

pub(super) fn silent(limit: Duration) -> Error {
    let message = format!("the daemon gave no sign of life for {limit:?}");
    Error::local(Code::Unavailable, message)
}
