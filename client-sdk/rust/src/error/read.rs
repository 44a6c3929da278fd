//! Reading what a status says.

use std::{collections::BTreeMap, error::Error as _};

use tonic::{Code, ConnectError, Status, transport};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::{Facts, Failure, Violation};

/// The domain of reasons that are Bindery's.
const DOMAIN: &str = "bindery";

pub(super) fn failure(status: &Status, endpoint: Option<&str>) -> Failure {
    let details = status.get_error_details();
    let (reason, metadata) = reason(&details);
    let unsent = has_source::<ConnectError>(status);
    let in_time = !matches!(status.code(), Code::Cancelled | Code::DeadlineExceeded);
    let lost = has_source::<transport::Error>(status) && reason.is_empty() && in_time;
    Failure::of(Facts {
        code: if lost {
            Code::Unavailable
        } else {
            status.code()
        },
        message: message(status, &reason, unsent, lost, endpoint),
        url: url(&details),
        retry_after: details.retry_info().and_then(|info| info.retry_delay),
        violations: violations(&details),
        resource: details
            .resource_info()
            .map(|info| info.resource_name.clone()),
        request_id: request_id(status),
        reason,
        metadata,
        unsent,
    })
}

fn reason(details: &ErrorDetails) -> (String, BTreeMap<String, String>) {
    let Some(info) = details.error_info().filter(|info| info.domain == DOMAIN) else {
        return Default::default();
    };
    (
        info.reason.clone(),
        info.metadata.clone().into_iter().collect(),
    )
}

fn message(
    status: &Status,
    reason: &str,
    unsent: bool,
    lost: bool,
    endpoint: Option<&str>,
) -> String {
    let at = endpoint.unwrap_or("its endpoint");
    if unsent {
        return format!(
            "no daemon answers at {at}; start binderyd, or set BINDERY_ENDPOINT to where it runs ({})",
            root_cause(status)
        );
    }
    if lost {
        return format!("the connection to the daemon at {at} was lost; try again");
    }
    match status.message() {
        "" if reason.is_empty() => status.code().description().to_lowercase(),
        "" => format!("the daemon refused with {reason}"),
        message => message.to_owned(),
    }
}

/// The innermost cause, which is the one that names what the system said.
fn root_cause(status: &Status) -> String {
    let mut cause: &dyn std::error::Error = status;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

fn has_source<E: std::error::Error + 'static>(status: &Status) -> bool {
    let mut source = status.source();
    while let Some(cause) = source {
        if cause.is::<E>() {
            return true;
        }
        source = cause.source();
    }
    false
}

fn url(details: &ErrorDetails) -> Option<String> {
    let link = details.help()?.links.first()?;
    Some(link.url.clone())
}

fn violations(details: &ErrorDetails) -> Vec<Violation> {
    let Some(request) = details.bad_request() else {
        return Vec::new();
    };
    let violation = |found: &tonic_types::FieldViolation| Violation {
        field: found.field.clone(),
        description: found.description.clone(),
    };
    request.field_violations.iter().map(violation).collect()
}

fn request_id(status: &Status) -> Option<String> {
    let value = status.metadata().get("x-request-id")?;
    value.to_str().ok().map(str::to_owned)
}
