//! From reason and code to a case of [`Error`].

use bindery_proto::v1::ErrorReason;
use tonic::Code;

use super::{Error, Failure};

pub(super) fn classify(failure: Failure) -> Error {
    match ErrorReason::from_str_name(&failure.reason) {
        Some(reason) => by_reason(reason, failure),
        None => by_code(failure),
    }
}

fn by_reason(reason: ErrorReason, failure: Failure) -> Error {
    let url = failure.url.clone();
    match reason {
        ErrorReason::LinkDisabled | ErrorReason::HostDisabled => Error::LinkDisabled(failure),
        ErrorReason::LinkNotBound => Error::NotBound {
            stage: fact(&failure, "stage"),
            failure,
        },
        ErrorReason::LinkNeedsReauthorization => Error::NeedsReauthorization {
            url,
            cause: fact(&failure, "cause"),
            failure,
        },
        ErrorReason::ScopeMissing => Error::ScopeMissing {
            scopes: listed(&failure, "missing"),
            url,
            failure,
        },
        ErrorReason::OrganizationRestricted
        | ErrorReason::SsoRequired
        | ErrorReason::AppNotInstalled => Error::OrganizationNotGranted { url, failure },
        ErrorReason::Sealed => Error::Sealed(failure),
        // The disk of the daemon is full; slowing down does not help.
        ErrorReason::StoreLowSpace => Error::Unavailable(failure),
        _ => by_code(failure),
    }
}

fn by_code(failure: Failure) -> Error {
    match failure.code {
        Code::NotFound => Error::NotFound(failure),
        Code::AlreadyExists => Error::AlreadyExists(failure),
        Code::Aborted => Error::Conflict(failure),
        Code::InvalidArgument | Code::OutOfRange => Error::InvalidArgument(failure),
        Code::Unauthenticated => Error::Unauthenticated(failure),
        Code::PermissionDenied => Error::PermissionDenied(failure),
        Code::FailedPrecondition => Error::Precondition(failure),
        Code::ResourceExhausted => Error::RateLimited {
            retry_after: failure.retry_after,
            failure,
        },
        Code::Unavailable => Error::Unavailable(failure),
        // A deadline that passes at the daemon cancels the call there.
        Code::DeadlineExceeded | Code::Cancelled => Error::DeadlineExceeded(failure),
        Code::Unimplemented => Error::Unsupported(failure),
        _ => Error::Other(failure),
    }
}

fn fact(failure: &Failure, key: &str) -> String {
    failure.metadata.get(key).cloned().unwrap_or_default()
}

fn listed(failure: &Failure, key: &str) -> Vec<String> {
    let listed = fact(failure, key);
    let parts = listed
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}
