//! What a watch waits out, and for how long.

use std::time::Duration;

use tonic::Code;

use crate::{Client, Error, RetryPolicy, retry::passes};

/// Longest pause between two attempts to connect, unless the policy of the client or the daemon asks for more.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Whether connecting again can help.
pub(super) fn will_pass(error: &Error) -> bool {
    let Some(failure) = error.failure() else {
        return false;
    };
    if failure.is_from_daemon() {
        return match failure.code {
            Code::Unavailable => passes(&failure.reason),
            Code::ResourceExhausted | Code::DeadlineExceeded => true,
            _ => false,
        };
    }
    // Something on the way said it, or a connection broke in the middle of a message.
    matches!(
        failure.code,
        Code::Unavailable
            | Code::ResourceExhausted
            | Code::DeadlineExceeded
            | Code::Cancelled
            | Code::Unknown
            | Code::Internal
            | Code::DataLoss
    )
}

/// How long to wait before connecting again: what the daemon asks for, or longer with each failure.
pub(super) fn pause(client: &Client, error: &Error, failures: u32) -> Duration {
    let asked = error.failure().and_then(|failure| failure.retry_after);
    let policy = &client.settings().retry;
    let policy = RetryPolicy {
        longest_pause: policy.longest_pause.max(LONGEST_PAUSE),
        ..policy.clone()
    };
    asked.unwrap_or_else(|| policy.pause(failures))
}
