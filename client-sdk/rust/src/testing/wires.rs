//! Connections that can be cut.

use std::{
    io,
    net::Shutdown,
    os::unix::net::UnixStream as Wire,
    sync::{Arc, Mutex, PoisonError},
};

use futures_util::{Stream, StreamExt as _};
use tokio::net::UnixStream;
use tokio_stream::wrappers::UnixListenerStream;

/// A second handle of each connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Wires(Arc<Mutex<Vec<Wire>>>);

impl Wires {
    /// Keeps a handle of every connection that comes in.
    pub(super) fn tapped(
        &self,
        incoming: UnixListenerStream,
    ) -> impl Stream<Item = io::Result<UnixStream>> + use<> {
        let wires = self.clone();
        incoming.map(move |stream| wires.tap(stream?))
    }

    fn tap(&self, stream: UnixStream) -> io::Result<UnixStream> {
        let stream = stream.into_std()?;
        let wire = stream.try_clone()?;
        let mut wires = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        wires.push(wire);
        UnixStream::from_std(stream)
    }

    pub(super) fn cut(&self) {
        let mut wires = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for wire in wires.drain(..) {
            // One that is closed already needs no cut.
            let _ = wire.shutdown(Shutdown::Both);
        }
    }
}
