//! What an operator says about the webhook of an app.

use std::time::Duration;

use bindery_core::secret::Secret;
use bindery_engine::hooks::AppHookSetUp;
use bindery_proto::v1 as wire;

use crate::{convert::common::duration, fields::wrong, status::Failure};

/// How long an old secret is accepted at most.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);

/// Lengths of a secret, in bytes.
const LENGTHS: std::ops::RangeInclusive<usize> = 16..=100;

pub(crate) fn app_hook(request: wire::SetUpAppHookRequest) -> Result<AppHookSetUp, Failure> {
    let overlap = match request.overlap {
        None => None,
        Some(given) => match duration(given) {
            Some(wait) if wait <= LONGEST => Some(wait),
            _ => return Err(wrong("overlap", "is not between 0s and seven days")),
        },
    };
    let secret = Secret::new(request.secret);
    Ok(AppHookSetUp {
        secret: (!secret.is_empty()).then(|| checked(secret)).transpose()?,
        overlap,
        by_hand: request.by_hand,
    })
}

fn checked(secret: Secret) -> Result<Secret, Failure> {
    let text = secret.expose();
    if LENGTHS.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(secret);
    }
    let why = "is not of 16 to 100 printable characters without spaces";
    Err(wrong("secret", why))
}
