//! Frames in, frames out

#![expect(
    unsafe_code,
    reason = "takes over the descriptors that the daemon left here"
)]

use std::{
    fs::File,
    io::{self, BufReader, Read as _, Write as _},
    os::fd::FromRawFd as _,
};

use bindery_plugin_abi::{
    OK,
    frame::{FD_IN, FD_OUT, Frame, HEADER_LEN, Header, Isolation, Kind},
    limits,
};

use crate::error::Fatal;

/// Small frames are read with one call.
const READ_AHEAD: usize = 32 * 1024;

/// A buffer that one large frame needed is not kept for all the small ones.
const KEEP: usize = 1024 * 1024;

/// Both directions, with a buffer each.
pub(crate) struct Wire {
    input: BufReader<File>,
    output: File,
    request: Vec<u8>,
    reply: Vec<u8>,
}

impl Wire {
    /// The wire on the descriptors that the worker was started with. To be called once.
    pub(crate) fn inherited() -> Self {
        // SAFETY: by the worker's contract this descriptor is for requests; nothing else here uses it.
        let input = unsafe { File::from_raw_fd(FD_IN) };
        // SAFETY: by the worker's contract this descriptor is for replies; nothing else here uses it.
        let output = unsafe { File::from_raw_fd(FD_OUT) };
        let input = BufReader::with_capacity(READ_AHEAD, input);
        Self {
            input,
            output,
            request: Vec::new(),
            reply: Vec::new(),
        }
    }

    /// Waits for the next request. None when the host is gone, be it in the middle of one.
    pub(crate) fn receive(&mut self) -> Result<Option<Header>, Fatal> {
        let mut bytes = [0; HEADER_LEN];
        if !whole(self.input.read_exact(&mut bytes))? {
            return Ok(None);
        }
        let header = Header::decode(&bytes, limits::REQUEST_LEN)?;
        let len = header.len as usize;
        if self.request.len() > KEEP && len <= KEEP {
            self.request = Vec::new();
        }
        if self.request.len() < len {
            self.request.resize(len, 0);
        }
        Ok(whole(self.input.read_exact(&mut self.request[..len]))?.then_some(header))
    }

    /// The body of the request that [`receive`](Self::receive) gave.
    pub(crate) fn body(&self, header: &Header) -> &[u8] {
        &self.request[..header.len as usize]
    }

    /// Says that the plugin is loaded.
    pub(crate) fn ready(&mut self, isolation: Isolation, description: &[u8]) -> Result<(), Fatal> {
        let body = [&isolation.encode()[..], description].concat();
        self.send(&Frame {
            kind: Kind::Ready,
            handle: 0,
            status: OK,
            body: &body,
        })
    }

    /// Says why the worker ends. Nobody may be there to read it, and then there is nobody to tell.
    pub(crate) fn fatal(&mut self, fatal: &Fatal) {
        let text = fatal.to_string();
        let frame = Frame {
            kind: Kind::Fatal,
            handle: 0,
            status: OK,
            body: text.as_bytes(),
        };
        let _ = self.send(&frame);
    }

    /// Writes a frame with one call, so that it is never seen in halves.
    pub(crate) fn send(&mut self, frame: &Frame<'_>) -> Result<(), Fatal> {
        self.reply.clear();
        self.reply.shrink_to(KEEP);
        frame.encode(&mut self.reply)?;
        Ok(self.output.write_all(&self.reply)?)
    }
}

/// Whether all bytes came, or the host is gone.
fn whole(read: io::Result<()>) -> io::Result<bool> {
    match read {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
