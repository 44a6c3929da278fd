//! Many watchers at once: HTTP/2 frames and nothing else. Events are counted and not decoded, since a thousand decoders would
//! be measured in the place of the daemon.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use bindery_proto::v1::WatchEventsRequest;
use bytes::{Buf, Bytes, BytesMut};
use h2::client::SendRequest;
use http::Request;
use prost::Message;
use tokio::{net::UnixStream, sync::watch, task::JoinSet};

use crate::servers::NAMESPACE;

/// A connection has room for 128 calls.
const PER_CONNECTION: usize = 100;
/// What stands before each message: a flag and its length.
const PREFIX: usize = 5;
/// The first byte of a message with an event: field 1, with a length.
const EVENT: u8 = 0x0a;

/// Watchers that are there, until this is dropped.
pub(crate) struct Watchers {
    receipts: Arc<Receipts>,
    tasks: JoinSet<Result<()>>,
}

/// When each event came, and at how many.
struct Receipts {
    watchers: usize,
    each: Mutex<Vec<Receipt>>,
    /// Events that all have.
    complete: watch::Sender<usize>,
}

/// When an event came to the first and to the last watcher.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Receipt {
    pub(crate) first: Instant,
    pub(crate) last: Instant,
    count: usize,
}

impl Watchers {
    /// Lets so many watch what comes after an event. Returns when all of them do.
    pub(crate) async fn open(socket: &Path, watchers: usize, after: i64) -> Result<Self> {
        let receipts = Arc::new(Receipts {
            watchers,
            each: Mutex::default(),
            complete: watch::Sender::new(0),
        });
        let mut tasks = JoinSet::new();
        let mut connection = connect(socket).await?;
        for watcher in 0..watchers {
            if watcher > 0 && watcher % PER_CONNECTION == 0 {
                connection = connect(socket).await?;
            }
            let stream = follow(&mut connection, after).await?;
            tasks.spawn(count(stream, Arc::clone(&receipts), connection.clone()));
        }
        Ok(Self { receipts, tasks })
    }

    /// Waits until all have so many events, and says when this one came.
    pub(crate) async fn reach(&mut self, events: usize) -> Result<Receipt> {
        let mut complete = self.receipts.complete.subscribe();
        let all = complete.wait_for(|complete| *complete >= events);
        tokio::select! {
            all = all => drop(all?),
            Some(ended) = self.tasks.join_next() => ended??,
        }
        let each = self.receipts.each.lock();
        let each = each.unwrap_or_else(PoisonError::into_inner);
        let receipt = events.checked_sub(1).and_then(|index| each.get(index));
        receipt.copied().context("a watcher ended early")
    }
}

impl Receipts {
    fn note(&self, index: usize) {
        let now = Instant::now();
        let each = self.each.lock();
        let mut each = each.unwrap_or_else(PoisonError::into_inner);
        if index == each.len() {
            each.push(Receipt {
                first: now,
                last: now,
                count: 0,
            });
        }
        if let Some(receipt) = each.get_mut(index) {
            receipt.last = now;
            receipt.count += 1;
            if receipt.count == self.watchers {
                self.complete.send_replace(index + 1);
            }
        }
    }
}

async fn connect(socket: &Path) -> Result<SendRequest<Bytes>> {
    let mut builder = h2::client::Builder::new();
    builder
        .initial_window_size(1 << 20)
        .initial_connection_window_size(8 << 20);
    let stream = UnixStream::connect(socket).await?;
    let (sender, connection) = builder.handshake(stream).await?;
    // A connection that breaks shows in the calls on it.
    tokio::spawn(connection);
    Ok(sender)
}

async fn follow(connection: &mut SendRequest<Bytes>, after: i64) -> Result<h2::RecvStream> {
    let message = WatchEventsRequest {
        parent: NAMESPACE.to_owned(),
        after_sequence: Some(after),
        ..WatchEventsRequest::default()
    };
    let message = message.encode_to_vec();
    let mut body = vec![0];
    body.extend_from_slice(&u32::try_from(message.len())?.to_be_bytes());
    body.extend_from_slice(&message);
    let request = Request::post("http://localhost/bindery.v1.EventService/WatchEvents")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())?;
    *connection = connection.clone().ready().await?;
    let (response, mut sending) = connection.send_request(request, false)?;
    sending.send_data(body.into(), true)?;
    let response = response.await?;
    let failed = response.headers().get("grpc-message");
    ensure!(failed.is_none(), "the watch was refused: {failed:?}");
    Ok(response.into_body())
}

/// The connection is held, since it ends with its last handle.
async fn count(
    mut stream: h2::RecvStream,
    receipts: Arc<Receipts>,
    _connection: SendRequest<Bytes>,
) -> Result<()> {
    let (mut held, mut events) = (BytesMut::new(), 0);
    while let Some(part) = stream.data().await {
        let part = part?;
        stream.flow_control().release_capacity(part.len())?;
        held.extend_from_slice(&part);
        while let Some(message) = next_message(&mut held)? {
            if message.first() == Some(&EVENT) {
                receipts.note(events);
                events += 1;
            }
        }
    }
    anyhow::bail!("a watch has ended")
}

fn next_message(held: &mut BytesMut) -> Result<Option<BytesMut>> {
    let Some((prefix, _)) = held.split_first_chunk::<PREFIX>() else {
        return Ok(None);
    };
    let [_, length @ ..] = *prefix;
    let length = usize::try_from(u32::from_be_bytes(length))?;
    if held.len() < PREFIX + length {
        return Ok(None);
    }
    held.advance(PREFIX);
    Ok(Some(held.split_to(length)))
}
