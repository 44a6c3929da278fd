//! The calls: each takes a message, asks the engine, and answers with a message.

mod consumer;
pub(crate) mod credential;
pub(crate) mod event;
mod expiring;
pub(crate) mod host;
mod lease;
pub(crate) mod link;
pub(crate) mod namespace;
pub(crate) mod provider;
pub(crate) mod receipt;
pub(crate) mod repository;
pub(crate) mod source;
mod subscription;
mod trigger;
mod watch;
mod watch_events;

use std::pin::Pin;

use futures_util::Stream;
use tonic::Status;

use crate::{access::Governed, call::Call, pages::Paged, status::Failure};

/// A stream of answers.
pub(crate) type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl Call {
    /// The place that a page begins at; `None` for the first one.
    fn place<M: Governed + Paged>(&self, message: &M) -> Result<Option<Vec<u8>>, Failure> {
        self.api
            .pages()
            .open(self.caller.name(), M::ROW.method, message)
    }

    /// The token of the next page; empty without a place.
    fn next<M: Governed + Paged>(&self, message: &M, place: Option<&[u8]>) -> String {
        let seal = |place| {
            self.api
                .pages()
                .seal(self.caller.name(), M::ROW.method, message, place)
        };
        place.map(seal).unwrap_or_default()
    }

    /// As [`Self::place`], for a provider's cursor.
    fn cursor<M: Governed + Paged>(&self, message: &M) -> Result<String, Failure> {
        let place = self.place(message)?.unwrap_or_default();
        // It was made from a text by `next_cursor`.
        Ok(String::from_utf8(place).unwrap_or_default())
    }

    /// As [`Self::next`], for a provider's cursor.
    fn next_cursor<M: Governed + Paged>(&self, message: &M, cursor: &str) -> String {
        self.next(message, (!cursor.is_empty()).then_some(cursor.as_bytes()))
    }

    /// A place in a list that is known as a whole.
    fn offset<M: Governed + Paged>(&self, message: &M) -> Result<usize, Failure> {
        Ok(self.cursor(message)?.parse().unwrap_or_default())
    }
}

/// One page of a list that is known as a whole, and where the next one begins.
fn slice<T>(all: Vec<T>, offset: usize, size: u32) -> (Vec<T>, String) {
    let (total, size) = (all.len(), size as usize);
    let page: Vec<T> = all.into_iter().skip(offset).take(size).collect();
    let end = offset.saturating_add(page.len());
    let next = if end < total {
        end.to_string()
    } else {
        String::new()
    };
    (page, next)
}
