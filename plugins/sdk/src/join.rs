//! Several futures at once

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

/// Runs all of `futures` at once and gives their outputs in the same order.
///
/// Requests of joined futures are under way together; the daemon's limits on how many apply.
pub fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> JoinAll<F> {
    let parts = futures
        .into_iter()
        .map(|future| Part::Running(Box::pin(future)));
    JoinAll {
        parts: parts.collect(),
    }
}

/// The future of [`join_all`].
#[must_use = "futures do nothing unless they are awaited"]
pub struct JoinAll<F: Future> {
    parts: Vec<Part<F>>,
}

enum Part<F: Future> {
    Running(Pin<Box<F>>),
    Done(Option<F::Output>),
}

impl<F: Future> Part<F> {
    fn is_done(&mut self, cx: &mut Context<'_>) -> bool {
        if let Self::Running(future) = self {
            match future.as_mut().poll(cx) {
                Poll::Pending => return false,
                Poll::Ready(output) => *self = Self::Done(Some(output)),
            }
        }
        true
    }

    fn take(&mut self) -> Option<F::Output> {
        match self {
            Self::Running(_) => None,
            Self::Done(output) => output.take(),
        }
    }
}

// An output is only moved, never pinned.
impl<F: Future> Unpin for JoinAll<F> {}

impl<F: Future> Future for JoinAll<F> {
    type Output = Vec<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // Each is polled, not only the first that is open: all of their requests leave together.
        let mut all_done = true;
        for part in &mut self.parts {
            all_done &= part.is_done(cx);
        }
        if !all_done {
            return Poll::Pending;
        }
        Poll::Ready(self.parts.iter_mut().filter_map(Part::take).collect())
    }
}

impl<F: Future> fmt::Debug for JoinAll<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinAll")
            .field("parts", &self.parts.len())
            .finish()
    }
}
