//! Panics of an author's code, turned into typed failures
//!
//! A library has its own copy of the standard library, so the hook here does not touch the one of the worker. Linked
//! into a test it does share it, and passes on every panic that is not caught here.

use std::{
    any::Any,
    cell::RefCell,
    mem,
    panic::{self, AssertUnwindSafe, PanicHookInfo},
    sync::Once,
};

use bindery_plugin_proto::v1::Code;

use crate::Failure;

thread_local! {
    /// Some while a panic is to be caught; then the first one's place.
    static CAUGHT: RefCell<Option<Vec<Place>>> = const { RefCell::new(None) };
}

#[derive(Debug)]
struct Place {
    message: String,
    location: String,
}

/// Runs `body`, with a panic as a failure that says where it was.
pub(crate) fn caught<T>(body: impl FnOnce() -> T) -> Result<T, Failure> {
    install();
    let outer = CAUGHT.replace(Some(Vec::new()));
    let result = panic::catch_unwind(AssertUnwindSafe(body));
    let places = CAUGHT.replace(outer);
    result.map_err(|payload| {
        discard(payload);
        failure(places.and_then(|all| all.into_iter().next()))
    })
}

/// Drops a payload, whose own drop may panic in turn; what that one panics with is leaked.
fn discard(payload: Box<dyn Any + Send>) {
    let outer = CAUGHT.replace(Some(Vec::new()));
    if let Err(worse) = panic::catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        mem::forget(worse);
    }
    CAUGHT.set(outer);
}

fn failure(place: Option<Place>) -> Failure {
    let place = place.unwrap_or_else(|| Place {
        message: "a panic without a message".to_owned(),
        location: String::new(),
    });
    Failure::new(
        Code::Panic,
        format!("the plugin panicked: {}", place.message),
    )
    .at(place.location)
}

fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let next = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !note(info) {
                next(info);
            }
        }));
    });
}

/// Notes a panic that is going to be caught here.
fn note(info: &PanicHookInfo<'_>) -> bool {
    let place = Place {
        message: message(info.payload()),
        location: info
            .location()
            .map_or_else(String::new, |at| format!("{}:{}", at.file(), at.line())),
    };
    let noted = CAUGHT.try_with(|caught| {
        caught
            .borrow_mut()
            .as_mut()
            .map(|places| places.push(place))
    });
    matches!(noted, Ok(Some(())))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a payload that is no text".to_owned())
}
