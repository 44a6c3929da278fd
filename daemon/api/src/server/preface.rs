//! Notices whether a connection has sent its HTTP/2 preface.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Length of the client's preface (RFC 9113 section 3.4).
const PREFACE: usize = 24;

/// A stream that counts what is read from it.
pub(super) struct Counted<S> {
    inner: S,
    read: Arc<AtomicUsize>,
}

/// What a [`Counted`] has read.
#[derive(Clone)]
pub(super) struct Progress(Arc<AtomicUsize>);

impl Progress {
    /// Whether the preface has come.
    pub(super) fn has_preface(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= PREFACE
    }
}

impl<S> Counted<S> {
    pub(super) fn new(inner: S) -> (Self, Progress) {
        let read = Arc::<AtomicUsize>::default();
        let progress = Progress(Arc::clone(&read));
        (Self { inner, read }, progress)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.inner).poll_read(cx, buffer);
        let come = buffer.filled().len() - before;
        if come > 0 && self.read.load(Ordering::Relaxed) < PREFACE {
            self.read.fetch_add(come, Ordering::Relaxed);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}
