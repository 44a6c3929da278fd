//! `POST /hooks/{id}`: deliveries of providers' webhooks.
//!
//! The body is handed on byte for byte. Nothing that came in gets into an answer, and there is no cookie. An unknown hook and a
//! wrong signature have the same answer; 2xx is answered once the delivery is durable. What is too long or too slow is not kept,
//! and refs are compared in its place; where its provider would switch the hook off for a refusal, who proves to have the
//! hook's secret is told yes.

mod room;

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, BodyDataStream},
    extract::{Extension, Path, State},
    response::{IntoResponse, Response},
    routing::post,
};
use bindery_engine::{
    Engine,
    intake::{End, Incoming, Passing, Refused, Taken},
};
use futures_util::StreamExt;
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use tokio::time::{Instant, sleep_until, timeout_at};

use self::room::Held;
pub(crate) use self::room::Room;
use crate::{
    client::{Peer, address},
    state::WebState,
};

/// When a delivery is answered whose body came soon. Gitea and Forgejo give up five seconds after they began to connect
/// (`webhook.DELIVER_TIMEOUT`), the shortest time of all providers; of Gitee none is known. The rest is for the way.
const TIME: Duration = Duration::from_secs(4);

/// Time for the body. Who still sends after [`TIME`] has more time than Gitea, or gave up: GitHub, GitLab and Bitbucket Cloud
/// wait for ten seconds.
const BODY_TIME: Duration = Duration::from_secs(8);

/// Time that the store has at least, after a body that came late.
const STORE_TIME: Duration = Duration::from_secs(1);

/// How long the answer waits that is no yes, from when the engine was asked: who proves nothing is not to see what was read, and
/// whose secret a body was held against (THREATS W6).
const WITHHELD: Duration = Duration::from_millis(1);

/// For each KiB of the body: MACs with all secrets that a hook can have take less.
const WITHHELD_KIB: Duration = Duration::from_micros(16);

/// Most bytes that are waited for of a body that is too long: GitHub and GitLab send up to 25 MiB.
const LONGEST: usize = 32 << 20;

/// When to come again where there is no room for a body, or the store fails.
const WAIT: Duration = Duration::from_secs(5);

pub(crate) fn routes() -> Router<WebState> {
    Router::new().route("/hooks/{id}", post(deliver))
}

async fn deliver(
    State(state): State<WebState>,
    Path(hook): Path<String>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let start = Instant::now();
    let room = state.room.for_body(caller(&state, peer, &headers));
    let taken = take(&state, hook, &headers, (body, room), start).await;
    taken.map_or_else(|refused| refused, |_| Answer::Accepted)
}

/// What the engine says, or that the delivery is to come again where that is not there in time: to its provider, 2xx is a
/// failure once it gave up.
async fn in_time<T>(
    start: Instant,
    asked: impl Future<Output = Result<T, Refused>>,
) -> Result<T, Answer> {
    let late = Instant::now().min(start + BODY_TIME) + STORE_TIME;
    match timeout_at(late.max(start + TIME), asked).await {
        Ok(answer) => answer.map_err(Answer::from),
        Err(_) => Err(Answer::Later(WAIT)),
    }
}

/// Withholds an answer about a body of this length that is no yes. Whatever the engine does is done before it goes out, so that
/// its time is not seen. What is proven, and told so, has nothing to hide.
async fn withheld<T>(
    bytes: usize,
    asked: impl Future<Output = Result<T, Answer>>,
) -> Result<T, Answer> {
    let due = withheld_until(bytes);
    let answer = asked.await;
    if answer.is_err() {
        sleep_until(due).await;
    }
    answer
}

fn withheld_until(bytes: usize) -> Instant {
    let kib = u32::try_from(bytes >> 10).unwrap_or(u32::MAX);
    Instant::now() + WITHHELD + WITHHELD_KIB * kib
}

async fn take(
    state: &WebState,
    hook: String,
    headers: &HeaderMap,
    (body, room): (Body, Held),
    start: Instant,
) -> Result<Taken, Answer> {
    let mut incoming = Incoming {
        hook,
        headers: plain(headers),
        body: Vec::new(),
    };
    let limit = state.engine.intake_limits().body_bytes;
    let announced = announced(headers);
    let mut pieces = body.into_data_stream();
    let read = match announced > limit {
        true => Ok(Ok(Read::TooLong(Vec::new(), None))),
        false => timeout_at(start + BODY_TIME, read(room, &mut pieces, limit)).await,
    };
    // Of a body the room is given back when it is gone.
    let (end, _room) = match read {
        Ok(Ok(Read::Whole(body, room))) => {
            incoming.body = body;
            let bytes = incoming.body.len();
            // What is being stored then is stored to its end: when it comes again it is known.
            let kept = in_time(start, keep(&state.engine, incoming, room));
            return withheld(bytes, kept).await;
        }
        Ok(Ok(Read::TooLong(start, room))) => {
            incoming.body = start;
            ((announced > LONGEST).then_some(End::TooLong), room)
        }
        Ok(Err(answer)) => return Err(answer),
        Err(_) => (Some(End::TooSlow), None),
    };
    pass(&state.engine, incoming, &mut pieces, start, end).await
}

/// The address that a delivery comes from; of one that nobody knows, none in particular.
fn caller(state: &WebState, peer: Option<Extension<Peer>>, headers: &HeaderMap) -> IpAddr {
    let unknown = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let peer = peer.map_or(unknown, |Extension(Peer(peer))| peer.ip());
    address(peer, headers, &state.trusted_proxies)
}

/// Length of the body as announced; nothing where it is not.
fn announced(headers: &HeaderMap) -> usize {
    let announced = headers.get(CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse().ok());
    announced.unwrap_or_default()
}

/// What came of a body.
enum Read {
    /// All of it, and the room that it takes.
    Whole(Vec<u8>, Held),
    /// More than the limit: what came so far, and its room.
    TooLong(Vec<u8>, Option<Held>),
}

async fn read(mut room: Held, pieces: &mut BodyDataStream, limit: usize) -> Result<Read, Answer> {
    let mut all = Vec::new();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| Answer::Malformed)?;
        if !room.take(piece.len()) {
            return Err(Answer::Later(WAIT));
        }
        all.extend_from_slice(&piece);
        if all.len() > limit {
            return Ok(Read::TooLong(all, Some(room)));
        }
    }
    Ok(Read::Whole(all, room))
}

/// A task of its own: what is being stored takes its room for as long, also when nobody waits for it any more.
async fn keep(engine: &Engine, incoming: Incoming, room: Held) -> Result<Taken, Refused> {
    let engine = engine.clone();
    let taking = tokio::spawn(async move {
        let taken = engine.take_delivery(incoming).await;
        drop(room);
        taken
    });
    taking.await.unwrap_or(Err(Refused::Full(WAIT)))
}

/// A delivery that is not kept passes by; `end` where nothing more is waited for.
async fn pass(
    engine: &Engine,
    incoming: Incoming,
    pieces: &mut BodyDataStream,
    start: Instant,
    end: Option<End>,
) -> Result<Taken, Answer> {
    let seen = incoming.body.len();
    let due = withheld_until(seen);
    let passing = in_time(start, engine.pass_delivery(incoming)).await;
    sleep_until(due).await;
    let mut passing = passing?;
    let end = match end {
        Some(end) => end,
        None => {
            let rest = follow(&mut passing, pieces, seen);
            let followed = timeout_at(start + BODY_TIME, rest).await;
            followed.unwrap_or(End::TooSlow)
        }
    };
    withheld(0, in_time(start, engine.end_passing(passing, end))).await
}

/// Follows a body to its end; one that breaks off is not there in time.
async fn follow(passing: &mut Passing, pieces: &mut BodyDataStream, mut seen: usize) -> End {
    while let Some(piece) = pieces.next().await {
        let Ok(piece) = piece else {
            return End::TooSlow;
        };
        seen += piece.len();
        if seen > LONGEST {
            return End::TooLong;
        }
        passing.update(&piece);
    }
    End::Whole
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
            Refused::TooLong => Self::TooLarge,
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
                "the delivery is larger than the operator allows with hooks.max_body_mib, which is 8 at most; if it is genuine, refs are compared in its place\n",
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
