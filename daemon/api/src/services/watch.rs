//! Following one link.

use bindery_core::{
    link::Stage,
    name::{LinkId, NamespaceName},
};
use bindery_engine::LinkChanged;
use bindery_proto::v1::{self as wire, ErrorReason};
use tokio::{
    sync::{broadcast, mpsc, watch},
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{Answers, link};
use crate::{call::Call, names, status::Failure};

/// Messages that wait for a slow caller; states that follow each other are then sent as one.
const WAITING: usize = 4;

type Sink = mpsc::Sender<Result<wire::WatchLinkResponse, Status>>;

/// Sends the link now and after every change.
pub(super) async fn watch(
    call: Call,
    request: wire::WatchLinkRequest,
) -> Result<Answers<wire::WatchLinkResponse>, Failure> {
    let (namespace, id) = names::link(&request.name)?;
    let place = call.api.place_for_stream(call.caller.name())?;
    // Subscribed before it is read, so that no change is lost in between.
    let changes = call.engine().subscribe();
    let first = look(&call, &request, &namespace, &id).await?;
    let (sink, answers) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        let _place = place;
        follow(&call, &request, &(namespace, id), first, changes, sink).await;
    });
    Ok(Box::pin(ReceiverStream::new(answers)))
}

async fn follow(
    call: &Call,
    request: &wire::WatchLinkRequest,
    (namespace, id): &(NamespaceName, LinkId),
    first: wire::WatchLinkResponse,
    mut changes: broadcast::Receiver<LinkChanged>,
    sink: Sink,
) {
    let mut stopping = call.api.stopping();
    let mut next = Ok(first);
    loop {
        let over = next.as_ref().map_or(true, |answer| {
            answer.link.as_ref().is_none_or(link::is_final)
        });
        let answer = next.map_err(|failure: Failure| failure.into_status(""));
        // Who reads nothing for so long keeps no place.
        let sent = timeout(call.api.watch_patience(), sink.send(answer)).await;
        if !matches!(sent, Ok(Ok(()))) || over {
            return;
        }
        tokio::select! {
            () = sink.closed() => return,
            () = stop(&mut stopping) => next = Err(stopped()),
            more = change(&mut changes, namespace, id) => {
                if !more {
                    return;
                }
                next = look(call, request, namespace, id).await;
            }
        }
    }
}

/// Resolves when the daemon stops.
pub(super) async fn stop(stopping: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a stop as well.
    let _ = stopping.wait_for(|stop| *stop).await;
}

pub(super) fn stopped() -> Failure {
    Failure::new(ErrorReason::ShuttingDown, "the daemon stops; connect again")
}

/// Waits until the link may have changed; false when nothing will change any more.
async fn change(
    changes: &mut broadcast::Receiver<LinkChanged>,
    namespace: &NamespaceName,
    id: &LinkId,
) -> bool {
    loop {
        match changes.recv().await {
            Ok(changed) if changed.link == *id && changed.namespace == *namespace => return true,
            Ok(_) => {}
            // What was missed may have been about this link.
            Err(broadcast::error::RecvError::Lagged(_)) => return true,
            Err(broadcast::error::RecvError::Closed) => return false,
        }
    }
}

/// The link as it is now, if the caller may still see it.
async fn look(
    call: &Call,
    request: &wire::WatchLinkRequest,
    namespace: &NamespaceName,
    id: &LinkId,
) -> Result<wire::WatchLinkResponse, Failure> {
    call.authorize(request)?;
    let entry = call.engine().link(namespace, id).await?;
    let waits = entry.record.observed.stage == Stage::PendingConfirmation;
    Ok(wire::WatchLinkResponse {
        confirmable: waits && entry.record.created_by == call.caller.name(),
        link: Some(link::shown(call, &entry).await?),
    })
}
