//! Errors as people and scripts see them, and exit codes.

use std::{io, process::ExitCode};

use bindery_client::Error;
use serde_json::json;

use crate::session::Session;

/// Why a command ended without success.
#[derive(Debug)]
pub(crate) struct Problem {
    message: String,
    reason: String,
    url: Option<String>,
    request_id: Option<String>,
    exit: Exit,
}

/// Exit codes; the help of the command documents them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Exit {
    Failure = 1,
    Usage = 2,
    NotFound = 3,
    Denied = 4,
    Conflict = 5,
    Unavailable = 6,
    NeedsPerson = 7,
    Configuration = 78,
    Interrupted = 130,
    /// Whoever read the output went away; that is not an error.
    ReaderGone = 0,
}

impl Problem {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        let (message, reason) = (message.into(), String::new());
        Self {
            message,
            reason,
            url: None,
            request_id: None,
            exit,
        }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    pub(crate) fn writing(error: io::Error) -> Self {
        let gone = error.kind() == io::ErrorKind::BrokenPipe;
        let exit = if gone {
            Exit::ReaderGone
        } else {
            Exit::Failure
        };
        Self::new(exit, format!("the output can't be written ({error})"))
    }

    pub(crate) fn words(&self) -> &str {
        &self.message
    }

    /// Prints it on standard error.
    pub(crate) fn report(&self, session: &Session) -> ExitCode {
        if self.exit != Exit::ReaderGone {
            if session.is_json() {
                eprintln!("{}", self.as_json());
            } else {
                self.print(session);
            }
        }
        ExitCode::from(self.exit as u8)
    }

    fn print(&self, session: &Session) {
        eprintln!("{} {}", session.errors.red("error:"), self.message);
        if !self.reason.is_empty() {
            eprintln!("reason: {}", self.reason);
        }
        if let Some(url) = &self.url {
            eprintln!("see: {url}");
        }
    }

    fn as_json(&self) -> serde_json::Value {
        json!({
            "error": self.message,
            "reason": self.reason,
            "url": self.url,
            "requestId": self.request_id,
            "exitCode": self.exit as u8,
        })
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let failure = error.failure();
        let wrong = failure
            .map(|failure| failure.violations.as_slice())
            .unwrap_or_default();
        let mut message = error.to_string();
        // What the sentence says already is not said twice.
        let wrong: Vec<_> = wrong
            .iter()
            .filter(|one| !message.contains(&one.description))
            .map(|one| format!("{}: {}", one.field, one.description))
            .collect();
        if !wrong.is_empty() {
            message = format!("{message} ({})", wrong.join("; "));
        }
        Self {
            message,
            reason: error.reason().to_owned(),
            url: error.url().map(str::to_owned),
            request_id: failure.and_then(|failure| failure.request_id.clone()),
            exit: exit(&error),
        }
    }
}

fn exit(error: &Error) -> Exit {
    match error {
        Error::Configuration(_) => Exit::Configuration,
        Error::InvalidArgument(_) => Exit::Usage,
        Error::NotFound(_) => Exit::NotFound,
        Error::PermissionDenied(_) | Error::Unauthenticated(_) => Exit::Denied,
        Error::NotBound { .. }
        | Error::NeedsReauthorization { .. }
        | Error::ScopeMissing { .. }
        | Error::OrganizationNotGranted { .. } => Exit::NeedsPerson,
        Error::Precondition(failure) => match failure.reason.as_str() {
            "CONSENT_DENIED" | "FLOW_EXPIRED" | "FLOW_PENDING" | "TOKEN_REFUSED" => {
                Exit::NeedsPerson
            }
            _ => Exit::Conflict,
        },
        Error::AlreadyExists(_) | Error::Conflict(_) | Error::LinkDisabled(_) => Exit::Conflict,
        Error::Unavailable(_)
        | Error::DeadlineExceeded(_)
        | Error::RateLimited { .. }
        | Error::Sealed(_) => Exit::Unavailable,
        _ => Exit::Failure,
    }
}

#[cfg(test)]
mod tests {
    use bindery_client::{Code, Error, testing::Refusal};

    use super::{Exit, Problem};

    /// Each kind of failure has its exit code, as the help documents.
    #[test]
    fn failures_have_their_exit_codes() {
        for (code, reason, exit) in [
            (Code::NotFound, "NOT_FOUND", Exit::NotFound),
            (Code::PermissionDenied, "PERMISSION_DENIED", Exit::Denied),
            (Code::Unauthenticated, "UNAUTHENTICATED", Exit::Denied),
            (Code::AlreadyExists, "ALREADY_EXISTS", Exit::Conflict),
            (Code::Aborted, "ETAG_MISMATCH", Exit::Conflict),
            (Code::FailedPrecondition, "LINK_DISABLED", Exit::Conflict),
            (Code::FailedPrecondition, "HAS_CHILDREN", Exit::Conflict),
            (
                Code::FailedPrecondition,
                "LINK_NEEDS_REAUTHORIZATION",
                Exit::NeedsPerson,
            ),
            (Code::FailedPrecondition, "SCOPE_MISSING", Exit::NeedsPerson),
            (Code::FailedPrecondition, "SSO_REQUIRED", Exit::NeedsPerson),
            (Code::FailedPrecondition, "FLOW_EXPIRED", Exit::NeedsPerson),
            (Code::InvalidArgument, "INVALID_ARGUMENT", Exit::Usage),
            (Code::Unavailable, "SEALED", Exit::Unavailable),
            (Code::Unavailable, "HOST_UNREACHABLE", Exit::Unavailable),
            (Code::ResourceExhausted, "OVERLOADED", Exit::Unavailable),
            (Code::Internal, "INTERNAL", Exit::Failure),
            (Code::Unimplemented, "NOT_SERVED_YET", Exit::Failure),
        ] {
            let error = Error::from_status(&Refusal::new(code, reason, "no").into());
            assert_eq!(Problem::from(error).exit, exit, "{reason}");
        }
        let error = Error::Configuration("no".to_owned());
        assert_eq!(Problem::from(error).exit, Exit::Configuration);
    }
}
