//! Trigger URLs: people and scripts start a build with a token in a header.
//!
//! An unknown place, a wrong token and a trigger that is switched off are one answer. Nothing of a request is in an answer.

use std::time::Duration;

use axum::{
    Router,
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    response::{IntoResponse, Response},
    routing::post,
};
use bindery_core::{
    event::Event,
    problem::{Kind, Problem, Reason},
    secret::Secret,
};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde_json::{Value, json};

use crate::{audit, state::WebState};

/// Longest body.
const WHOLE: usize = 4 * 1024;

/// A body must be there in this time.
const BODY_TIME: Duration = Duration::from_secs(15);

pub(crate) fn routes() -> Router<WebState> {
    Router::new().route("/triggers/{place}", post(fire))
}

/// Why nothing was fired.
enum Refusal {
    /// No such place, a wrong token, or switched off.
    Unknown,
    Malformed,
    TooLarge,
    TooSlow,
    Problem(Problem),
}

async fn fire(
    State(state): State<WebState>,
    place: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let place = place.map(|Path(place)| place).unwrap_or_default();
    match fired(&state, &place, &headers, body).await {
        Ok(event) => answer(StatusCode::ACCEPTED, &json!({ "sequence": event.sequence })),
        Err(refusal) => refusal.into_response(),
    }
}

async fn fired(
    state: &WebState,
    place: &str,
    headers: &HeaderMap,
    body: Body,
) -> Result<Event, Refusal> {
    let token = bearer(headers);
    let admitted = state.engine.admit_trigger(place, &token).await;
    let name = admitted
        .map_err(Refusal::Problem)?
        .ok_or(Refusal::Unknown)?;
    let reference = reference(body).await?;
    let deed = audit::deed("trigger-url", "web/trigger", name.to_string());
    let firing = state.engine.fire_trigger(&name, &reference, "", None);
    let fired = audit::around(state, deed, firing, |_| name.to_string()).await;
    fired.map_err(|problem| match problem.reason {
        // It went, or was switched off, in between.
        Reason::NotFound => Refusal::Unknown,
        _ => Refusal::Problem(problem),
    })
}

/// The token of the one `Authorization: Bearer` header; empty without it, which is no trigger's token.
fn bearer(headers: &HeaderMap) -> Secret {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let token = match (all.next(), all.next()) {
        (Some(one), None) => one.to_str().ok().and_then(|text| {
            let (scheme, token) = text.split_once(' ')?;
            let bearer = scheme.eq_ignore_ascii_case("bearer");
            bearer.then(|| token.trim().to_owned())
        }),
        _ => None,
    };
    Secret::new(token.unwrap_or_default())
}

/// The ref of a body such as `{"ref": "refs/heads/main"}`; empty for an empty body. What is not known is refused: a misspelt
/// member must not build something else.
async fn reference(body: Body) -> Result<String, Refusal> {
    let read = axum::body::to_bytes(body, WHOLE);
    let bytes = tokio::time::timeout(BODY_TIME, read)
        .await
        .map_err(|_| Refusal::TooSlow)?
        .map_err(|_| Refusal::TooLarge)?;
    if bytes.is_empty() {
        return Ok(String::new());
    }
    let Ok(Value::Object(mut members)) = serde_json::from_slice(&bytes) else {
        return Err(Refusal::Malformed);
    };
    let reference = members.remove("ref");
    match (reference, members.is_empty()) {
        (None, true) => Ok(String::new()),
        (Some(Value::String(reference)), true) => Ok(reference),
        _ => Err(Refusal::Malformed),
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, reason) = match &self {
            Self::Unknown => (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
            Self::Malformed => (StatusCode::BAD_REQUEST, "INVALID_ARGUMENT"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "INVALID_ARGUMENT"),
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, "INVALID_ARGUMENT"),
            Self::Problem(problem) => (status(problem), problem.reason.as_str()),
        };
        let mut response = answer(status, &json!({ "reason": reason }));
        let headers = response.headers_mut();
        match &self {
            Self::Unknown => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            Self::Problem(problem) => {
                let after = problem.retry_after.map(|after| after.as_secs().max(1));
                headers.extend(after.map(|after| (RETRY_AFTER, HeaderValue::from(after))));
            }
            _ => {}
        }
        response
    }
}

fn status(problem: &Problem) -> StatusCode {
    match problem.reason.kind() {
        Kind::InvalidInput => StatusCode::BAD_REQUEST,
        Kind::Exhausted => StatusCode::TOO_MANY_REQUESTS,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        // The link, or what it may do at the provider, is in the way; the token is right.
        _ => StatusCode::CONFLICT,
    }
}

fn answer(status: StatusCode, body: &Value) -> Response {
    let kind = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
    (status, [kind], format!("{body}\n")).into_response()
}
