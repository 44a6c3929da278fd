//! L8: where a panic happened is told, what it says is not: it may hold a value.

use std::panic::PanicHookInfo;

/// From now on a panic tells its place only: to the log, or to standard error where there is none yet.
pub(crate) fn hide_values() {
    std::panic::set_hook(Box::new(tell));
}

/// Neither the message nor the thread's name is told: both are text that somebody put together.
fn tell(panic: &PanicHookInfo<'_>) {
    let place = panic
        .location()
        .map(ToString::to_string)
        .unwrap_or_default();
    if tracing::dispatcher::has_been_set() {
        tracing::error!(place, "Panic; report it with this place");
    } else {
        eprintln!("binderyd: panic at {place}; report it with this place");
    }
}

#[cfg(test)]
mod tests;
