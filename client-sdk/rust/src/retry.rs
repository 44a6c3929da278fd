//! When a call is sent again, and after how long.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tonic::{Code, Status};

use crate::{Error, error::Failure, random};

/// How often and how fast calls are sent again.
///
/// A call is sent again only where that can't act twice:
///
/// | Call | The request never left | `UNAVAILABLE` from the daemon | the answer was lost | rate limit with `RetryInfo` |
/// |---|---|---|---|---|
/// | reads | yes | yes | yes | yes |
/// | calls with a `request_id` | yes | yes, same id | yes, same id | yes, same id |
/// | handing out a credential | yes | yes | no: it may have been handed out | yes |
/// | other calls that act | yes | no | no | no |
///
/// `UNAVAILABLE` for a reason that waiting does not cure (`STORE_READ_ONLY`,
/// `PROVIDER_ANSWER_MALFORMED`) is final. A pause that does not fit into the call's deadline is final,
/// too; [`Error::RateLimited`] then says how long it would have been.
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    /// How often a call is sent at most, the first time included.
    pub max_attempts: u32,
    /// Pause after the first failure; each further one is twice as long.
    pub first_pause: Duration,
    /// Longest pause that the client chooses by itself.
    pub longest_pause: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 4,
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(2),
        }
    }
}

impl RetryPolicy {
    /// Never sends a call twice.
    #[must_use]
    pub fn never() -> Self {
        Self {
            max_attempts: 1,
            ..Self::default()
        }
    }

    /// Half of the pause is certain, the other half is random, so that callers spread.
    pub(crate) fn pause(&self, attempt: u32) -> Duration {
        let doubled = self
            .first_pause
            .saturating_mul(1 << attempt.saturating_sub(1).min(16));
        let pause = doubled.min(self.longest_pause);
        pause.mul_f64(0.5 + random::part() / 2.0)
    }
}

/// What a call leaves behind.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Effect {
    /// Nothing.
    None,
    /// Something, once for one `request_id`.
    Keyed,
    /// A lease for each answer.
    HandOut,
    /// Something, each time.
    Once,
}

/// Sends until there is an answer, or until sending again could do harm or no good.
pub(crate) async fn run<T, A, F>(
    policy: &RetryPolicy,
    effect: Effect,
    limit: Duration,
    endpoint: &str,
    mut send: A,
) -> Result<T, Error>
where
    A: FnMut(Duration) -> F,
    F: Future<Output = Result<T, Status>>,
{
    let until = Instant::now() + limit;
    let mut attempt = 1;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let Ok(answer) = timeout_at(until, send(left)).await else {
            return Err(too_late(limit, endpoint));
        };
        let error = match answer {
            Ok(answer) => return Ok(answer),
            Err(status) => named(Error::from_answer(&status, endpoint), limit, endpoint),
        };
        let pause = match error.failure() {
            Some(failure) if attempt < policy.max_attempts => {
                wait_before_next(policy, effect, failure, attempt)
            }
            _ => None,
        };
        match pause {
            Some(pause) if Instant::now() + pause < until => sleep(pause).await,
            _ => return Err(error),
        }
        attempt += 1;
    }
}

/// A deadline that passed on the way has no words of the daemon.
fn named(error: Error, limit: Duration, endpoint: &str) -> Error {
    match &error {
        Error::DeadlineExceeded(failure) if !failure.is_from_daemon() => too_late(limit, endpoint),
        _ => error,
    }
}

fn too_late(limit: Duration, endpoint: &str) -> Error {
    let message = format!("the daemon at {endpoint} did not answer within {limit:?}; try again");
    Error::local(Code::DeadlineExceeded, message)
}

/// How long to wait before sending again; `None` where it must not be sent again.
fn wait_before_next(
    policy: &RetryPolicy,
    effect: Effect,
    failure: &Failure,
    attempt: u32,
) -> Option<Duration> {
    if failure.unsent {
        return Some(policy.pause(attempt));
    }
    let harmless = match effect {
        Effect::None | Effect::Keyed => true,
        // The daemon itself says that it handed nothing out.
        Effect::HandOut => failure.is_from_daemon(),
        Effect::Once => false,
    };
    match failure.code {
        _ if !harmless => None,
        Code::Unavailable if passes(&failure.reason) => {
            Some(failure.retry_after.unwrap_or_else(|| policy.pause(attempt)))
        }
        Code::ResourceExhausted => failure.retry_after,
        _ => None,
    }
}

/// Whether something that is unavailable for this reason can come back by itself.
pub(crate) fn passes(reason: &str) -> bool {
    !matches!(reason, "STORE_READ_ONLY" | "PROVIDER_ANSWER_MALFORMED")
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, time::Duration};

    use tonic::{Code, Status};
    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::{Effect, RetryPolicy, run};

    async fn attempts(effect: Effect, status: &dyn Fn() -> Status) -> u32 {
        let count = Cell::new(0);
        let send = |_| {
            count.set(count.get() + 1);
            let answer: Result<(), Status> = Err(status());
            async { answer }
        };
        let policy = RetryPolicy::default();
        let answer = run(&policy, effect, Duration::from_secs(60), "test", send).await;
        assert!(answer.is_err());
        count.get()
    }

    fn from_daemon(code: Code, reason: &str, pause: Option<Duration>) -> Status {
        let mut details =
            ErrorDetails::with_error_info(reason, "bindery", std::collections::HashMap::new());
        if let Some(pause) = pause {
            details.set_retry_info(Some(pause));
        }
        Status::with_error_details(code, "no", details)
    }

    /// The table in the documentation of `RetryPolicy`, row by row.
    #[tokio::test(start_paused = true)]
    async fn only_harmless_calls_are_sent_again() {
        let lost = || Status::unavailable("lost");
        let busy = || from_daemon(Code::Unavailable, "SHUTTING_DOWN", None);
        let slow = || {
            let pause = Some(Duration::from_secs(1));
            from_daemon(Code::ResourceExhausted, "PROVIDER_RATE_LIMITED", pause)
        };
        let table = [
            (Effect::None, [4, 4, 4]),
            (Effect::Keyed, [4, 4, 4]),
            (Effect::HandOut, [4, 1, 4]),
            (Effect::Once, [1, 1, 1]),
        ];
        for (effect, expected) in table {
            let seen = [
                attempts(effect, &busy).await,
                attempts(effect, &lost).await,
                attempts(effect, &slow).await,
            ];
            assert_eq!(seen, expected, "{effect:?}");
        }
    }

    /// What waiting does not cure is not sent again: final reasons, and limits without a time.
    #[tokio::test(start_paused = true)]
    async fn final_failures_are_final() {
        for (code, reason) in [
            (Code::Unavailable, "STORE_READ_ONLY"),
            (Code::Unavailable, "PROVIDER_ANSWER_MALFORMED"),
            (Code::ResourceExhausted, "TOO_MANY_FLOWS"),
            (Code::Internal, "INTERNAL"),
            (Code::Aborted, "STORE_CONFLICT"),
        ] {
            let seen = attempts(Effect::None, &|| from_daemon(code, reason, None)).await;
            assert_eq!(seen, 1, "{reason}");
        }
    }
}
