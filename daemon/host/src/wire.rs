//! Frames over a socket, with a cap before anything is allocated

use std::io;

use bindery_plugin_abi::{
    OK,
    frame::{Frame, FrameError, HEADER_LEN, Header, Kind},
};
use thiserror::Error;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
};

/// The daemon's end.
#[derive(Debug)]
pub(crate) struct Wire {
    socket: UnixStream,
    out: Vec<u8>,
}

/// What went wrong on a wire. After it the worker is of no use any more.
#[derive(Debug, Error)]
pub(crate) enum WireError {
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    #[error("it sent {0}")]
    Frame(#[from] FrameError),
    #[error("it sent bytes that nobody asked for")]
    Unasked,
    #[error("it gave up: {0}")]
    Fatal(String),
}

/// A buffer that one large frame needed is not kept for all the small ones.
const KEEP: usize = 64 * 1024;

impl Wire {
    pub(crate) fn new(socket: UnixStream) -> Self {
        Self {
            socket,
            out: Vec::new(),
        }
    }

    /// Sends a request. Whatever lies on the wire before it is no answer to it.
    pub(crate) async fn send(
        &mut self,
        kind: Kind,
        handle: u64,
        body: &[u8],
    ) -> Result<(), WireError> {
        match self.socket.try_read(&mut [0]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Ok(_) => return Err(WireError::Unasked),
            Err(error) => return Err(error.into()),
        }
        self.out.clear();
        self.out.shrink_to(KEEP);
        Frame {
            kind,
            handle,
            status: OK,
            body,
        }
        .encode(&mut self.out)?;
        Ok(self.socket.write_all(&self.out).await?)
    }

    /// Waits for a frame with a body of at most `limit` bytes.
    pub(crate) async fn receive(&mut self, limit: usize) -> Result<(Header, Vec<u8>), WireError> {
        let mut header = [0; HEADER_LEN];
        self.socket.read_exact(&mut header).await?;
        let header = Header::decode(&header, limit)?;
        let mut body = vec![0; header.len as usize];
        self.socket.read_exact(&mut body).await?;
        Ok((header, body))
    }
}
