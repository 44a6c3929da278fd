//! Pages and errors of Bitbucket Data Center

use serde_json::{Value, json};

use crate::http::{Request, Response};

/// Members of a page, unless asked otherwise
const USUAL: usize = 25;
/// More than that are never given
const MOST: usize = 1_000;

/// `{"errors": [{"exceptionName": ..}]}`, whose only code is the name of a Java class
pub(super) fn error(status: u16, exception: &str) -> Response {
    let body = json!({"errors": [{
        "context": null,
        "message": "An error occurred while processing the request.",
        "exceptionName": format!("com.atlassian.bitbucket.{exception}"),
    }]});
    Response::json(status, &body)
}

/// Nobody may do that
pub(super) fn anonymous() -> Response {
    error(401, "AuthorisationException")
}

/// The token is good for nothing
pub(super) fn unauthorized() -> Response {
    error(401, "auth.IncorrectPasswordAuthenticationException")
}

pub(super) fn not_found() -> Response {
    error(404, "NoSuchEntityException")
}

/// A page by `start` and `limit`
pub(super) fn page(request: &Request, all: &[Value]) -> Response {
    let number = |name| request.query(name).and_then(|text| text.parse().ok());
    let limit = number("limit").unwrap_or(USUAL).clamp(1, MOST);
    let start = number("start").unwrap_or(0).min(all.len());
    let end = (start + limit).min(all.len());
    let last = end == all.len();
    let body = json!({
        "size": end - start,
        "limit": limit,
        "start": start,
        "isLastPage": last,
        "nextPageStart": (!last).then_some(end),
        "values": all[start..end],
    });
    Response::json(200, &body)
}
