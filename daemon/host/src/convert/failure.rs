//! `Failure`: why an operation failed

use std::time::Duration;

use bindery_core::{
    name::ProviderName,
    provider::{Failure, FailureCode},
};
use bindery_plugin_proto::v1;

use super::check::{names, optional_uri};
use crate::text;

/// Longest time that a plugin can make somebody wait.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// A failure that a plugin reports. What makes no sense in it is left out, since it is a failure already.
pub(crate) fn failure(provider: &ProviderName, raw: &v1::Failure) -> Failure {
    let mut message = raw.message.clone();
    if !raw.location.is_empty() {
        message = format!("{message} (at {})", raw.location);
    }
    Failure {
        http_status: u16::try_from(raw.http_status)
            .ok()
            .filter(|status| *status < 1000)
            .unwrap_or(0),
        retry_after: wait(raw.retry_after_ms),
        missing_scopes: names("missing_scopes", raw.missing_scopes.clone(), 32).unwrap_or_default(),
        action_uri: optional_uri("action_uri", raw.action_uri.clone()).unwrap_or_default(),
        ..fail(provider, code(raw.code()), &message)
    }
}

/// A failure that the host found.
pub(crate) fn fail(provider: &ProviderName, code: FailureCode, message: &str) -> Failure {
    let message = text::clean(message, text::MESSAGE);
    Failure {
        code,
        message: format!("provider({provider}): {message}"),
        http_status: 0,
        retry_after: None,
        missing_scopes: Vec::new(),
        action_uri: String::new(),
    }
}

fn wait(ms: u64) -> Option<Duration> {
    (ms != 0).then(|| Duration::from_millis(ms).min(LONGEST_WAIT))
}

/// What only the daemon can know is not the plugin's to say.
const fn code(code: v1::Code) -> FailureCode {
    match code {
        v1::Code::Unsupported => FailureCode::Unsupported,
        v1::Code::InvalidArgument => FailureCode::InvalidArgument,
        v1::Code::Unauthenticated => FailureCode::Unauthenticated,
        v1::Code::PermissionDenied => FailureCode::PermissionDenied,
        v1::Code::NotFound => FailureCode::NotFound,
        v1::Code::Conflict => FailureCode::Conflict,
        v1::Code::RateLimited => FailureCode::RateLimited,
        v1::Code::Upstream => FailureCode::Upstream,
        v1::Code::MalformedResponse | v1::Code::BadSignature => FailureCode::MalformedResponse,
        v1::Code::Transport => FailureCode::Transport,
        v1::Code::ScopeMissing => FailureCode::ScopeMissing,
        v1::Code::OrganizationRestricted => FailureCode::OrganizationRestricted,
        v1::Code::ClientRefused => FailureCode::ClientRefused,
        v1::Code::Suspended => FailureCode::Suspended,
        v1::Code::NotInstalled => FailureCode::NotInstalled,
        v1::Code::SsoRequired => FailureCode::SsoRequired,
        v1::Code::LimitReached => FailureCode::LimitReached,
        v1::Code::Panic => FailureCode::Panic,
        v1::Code::Stuck => FailureCode::Stuck,
        // The plugin passes on what the daemon told it about one effect.
        v1::Code::RequestNotAllowed => FailureCode::RequestNotAllowed,
        v1::Code::Unspecified | v1::Code::Protocol | v1::Code::Crashed | v1::Code::Timeout => {
            FailureCode::Protocol
        }
    }
}
