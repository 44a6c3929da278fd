//! Errors in GitLab's words

use serde_json::json;

use crate::{http::Response, world::Refused};

/// `{"message": "404 Not Found"}`
pub(super) fn error(status: u16, message: &str) -> Response {
    Response::json(status, &json!({"message": message}))
}

pub(super) fn unauthorized() -> Response {
    error(401, "401 Unauthorized")
}

/// A token that is not accepted; of an unknown one nothing is said
pub(super) fn refused(refused: Refused) -> Response {
    let why = match refused {
        Refused::Unknown => return unauthorized(),
        Refused::Revoked => "Token was revoked. You have to re-authorize from the user.",
        Refused::Expired => {
            "Token is expired. You can either do re-authorization or token refresh."
        }
    };
    let body = json!({"error": "invalid_token", "error_description": why});
    Response::json(401, &body).with(
        "www-authenticate",
        &format!("Bearer realm=\"Protected by OAuth 2.0\", error=\"invalid_token\", error_description=\"{why}\""),
    )
}

/// The token may not do that
pub(super) fn insufficient(scopes: &[&str]) -> Response {
    let body = json!({
        "error": "insufficient_scope",
        "error_description": "The request requires higher privileges than provided by the access token.",
        "scope": scopes.join(" "),
    });
    Response::json(403, &body)
}
