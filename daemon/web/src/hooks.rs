//! `POST /hooks/{id}`: deliveries of providers' webhooks.
//!
//! The body is handed on byte for byte. Nothing that came in gets into an answer, and there is no cookie. An unknown hook and a
//! wrong signature have the same answer; 2xx is answered once the delivery is durable.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::post,
};
use bindery_engine::intake::{Incoming, Refused, Taken};
use futures_util::StreamExt;
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::state::WebState;

/// Time for a body: GitHub and GitLab give up on the whole after ten seconds.
const BODY_TIME: Duration = Duration::from_secs(8);

/// Bytes of bodies that are in memory at once (THREATS W5): what is sent is counted, not what is announced.
const BODIES: u32 = 64 << 20;

/// When to come again where there is no room for a body, or the store fails.
const WAIT: Duration = Duration::from_secs(5);

/// Room for the bodies of all deliveries that are being taken.
#[derive(Clone, Debug)]
pub(crate) struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        let bytes = usize::try_from(BODIES).unwrap_or(usize::MAX);
        Self(Arc::new(Semaphore::new(bytes)))
    }
}

pub(crate) fn routes() -> Router<WebState> {
    Router::new().route("/hooks/{id}", post(deliver))
}

async fn deliver(
    State(state): State<WebState>,
    Path(hook): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let limit = state.engine.intake_limits().body_bytes;
    let read = timeout(BODY_TIME, read(&state.room, &headers, body, limit));
    let (body, _permit) = match read.await {
        Ok(Ok(read)) => read,
        Ok(Err(answer)) => return answer,
        Err(_) => return Answer::TooSlow,
    };
    let incoming = Incoming {
        hook,
        headers: plain(&headers),
        body,
    };
    match state.engine.take_delivery(incoming).await {
        Ok(Taken::Stored(_) | Taken::Repeated | Taken::Dropped) => Answer::Accepted,
        Err(refused) => refused.into(),
    }
}

/// The whole body, and the room that it takes.
async fn read(
    room: &Room,
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> Result<(Vec<u8>, Option<OwnedSemaphorePermit>), Answer> {
    let announced = headers.get(CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(Answer::TooLarge);
    }
    let (mut all, mut permit) = (Vec::new(), None);
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Answer::Malformed)?;
        if all.len() + chunk.len() > limit {
            return Err(Answer::TooLarge);
        }
        let more = u32::try_from(chunk.len()).unwrap_or(BODIES);
        let more = Arc::clone(&room.0).try_acquire_many_owned(more);
        let more = more.map_err(|_| Answer::Later(WAIT))?;
        match &mut permit {
            None => permit = Some(more),
            Some(permit) => permit.merge(more),
        }
        all.extend_from_slice(&chunk);
    }
    Ok((all, permit))
}

/// Names are in lower case here already.
fn plain(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    let all = headers.iter();
    all.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect()
}

/// What a provider is answered: a status, and a fixed text for whoever looks at the provider's list of deliveries.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Answer {
    Accepted,
    Unproven,
    TooLarge,
    TooSlow,
    Malformed,
    TooMany(Duration),
    Later(Duration),
}

impl From<Refused> for Answer {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Forged => Self::Unproven,
            Refused::TooMany(wait) => Self::TooMany(wait),
            Refused::Full(wait) => Self::Later(wait),
            Refused::Failed(problem) => {
                tracing::warn!(reason = problem.reason.as_str(), error = %problem, "A delivery could not be stored; its sender is to come again");
                Self::Later(problem.retry_after.unwrap_or(WAIT))
            }
        }
    }
}

impl Answer {
    const fn words(self) -> (StatusCode, &'static str) {
        match self {
            Self::Accepted => (StatusCode::ACCEPTED, "accepted\n"),
            Self::Unproven => (
                StatusCode::UNAUTHORIZED,
                "there is no such webhook, or its signature is not right; repair the source at Bindery\n",
            ),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "the delivery is too large; the operator can raise hooks.max_body_mib\n",
            ),
            Self::TooSlow => (
                StatusCode::REQUEST_TIMEOUT,
                "the delivery did not come in time\n",
            ),
            Self::Malformed => (StatusCode::BAD_REQUEST, "the delivery is not whole\n"),
            Self::TooMany(_) => (
                StatusCode::TOO_MANY_REQUESTS,
                "too many deliveries; send it again later\n",
            ),
            Self::Later(_) => (
                StatusCode::SERVICE_UNAVAILABLE,
                "it can't be taken now; send it again later\n",
            ),
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let (status, text) = self.words();
        let kind = HeaderValue::from_static("text/plain; charset=utf-8");
        let mut response = (status, [(CONTENT_TYPE, kind)], text).into_response();
        let headers = response.headers_mut();
        if self == Self::Unproven {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Webhook"));
        }
        if let Self::TooMany(wait) | Self::Later(wait) = self {
            let seconds = wait.as_millis().div_ceil(1000).max(1);
            let value = HeaderValue::try_from(seconds.to_string());
            headers.extend(value.ok().map(|value| (RETRY_AFTER, value)));
        }
        response
    }
}
