//! The HTTP client of the `oauth2` crate: the same client and filters as everywhere, and answers put into the form of
//! RFC 6749 before the crate reads them.

use std::{
    future::Future,
    pin::Pin,
    time::{Duration, SystemTime},
};

use bindery_core::problem::{Problem, Reason};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse};
use reqwest::{Client, Request};
use serde_json::{Map, Value};
use thiserror::Error;
use url::Url;
use zeroize::Zeroizing;

use crate::{
    Limits,
    exchange::{self, Answer},
    failure::{self, Failure},
};

/// Wait that is assumed when a host limits requests without saying for how long.
const RATE_LIMIT_WAIT: Duration = Duration::from_secs(60);

/// No host may silence a link for longer than this by one header.
const WAIT_MOST: Duration = Duration::from_secs(3600);

/// One token call's way out.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) client: Client,
    pub(super) limits: Limits,
    pub(super) errors_with_status_ok: bool,
    pub(super) host: String,
}

/// An end of a call of which the `oauth2` crate need not know more.
#[derive(Debug, Error)]
pub(super) enum Stop {
    /// Nothing was used up.
    #[error("not now")]
    NotNow(Problem),
    /// It may have been carried out.
    #[error("the answer was lost")]
    Lost(Problem),
    /// The client was refused without a code.
    #[error("the client was refused")]
    Client,
}

impl<'c> AsyncHttpClient<'c> for Wire {
    type Error = Stop;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Stop>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.exchange(request))
    }
}

impl Wire {
    pub(super) async fn exchange(&self, request: HttpRequest) -> Result<HttpResponse, Stop> {
        let answer = self.answer(request).await?;
        self.judge(&answer)
    }

    /// Sends a request, and says whether one without an answer may have been carried out.
    pub(super) async fn answer(&self, request: HttpRequest) -> Result<Answer, Stop> {
        let request = outgoing(request).ok_or_else(|| Stop::NotNow(unsendable()))?;
        exchange::run(&self.client, request, &self.limits, self.limits.token_body)
            .await
            .map_err(|Failure { problem, sent }| {
                if sent {
                    Stop::Lost(problem)
                } else {
                    Stop::NotNow(problem)
                }
            })
    }

    /// Hands on two kinds of answers only: a success with a token, and an error with a code.
    fn judge(&self, answer: &Answer) -> Result<HttpResponse, Stop> {
        let fields = fields(answer);
        let text = |name: &str| {
            fields
                .as_ref()?
                .get(name)?
                .as_str()
                .filter(|text| !text.is_empty())
        };
        if let Some(problem) = self.rate_limited(answer) {
            return Err(Stop::NotNow(problem));
        }
        match (answer.status, text("error"), text("access_token")) {
            (500.., ..) => {
                let wait = retry_after(&answer.headers).map(|wait| wait.min(WAIT_MOST));
                Err(Stop::NotNow(broken(&self.host).retry(wait)))
            }
            (200..=299, Some(error), None) => Ok(error_reply(error)),
            (200..=299, Some(error), Some(_)) if self.errors_with_status_ok => {
                Ok(error_reply(error))
            }
            (200..=299, _, Some(_)) => Ok(reply(StatusCode::OK, &fields.into())),
            (200..=299, _, None) => Err(Stop::Lost(
                self.odd("its token endpoint answered without a token"),
            )),
            (_, Some(error), _) => Ok(error_reply(error)),
            (401, None, _) => Err(Stop::Client),
            (300..=399, ..) => Err(Stop::NotNow(
                self.odd("its token endpoint redirects elsewhere"),
            )),
            (status, ..) => {
                let why = format!("its token endpoint answered {status} without an OAuth error");
                Err(Stop::NotNow(self.odd(&why)))
            }
        }
    }

    pub(super) fn odd(&self, why: &str) -> Problem {
        failure::unusable(&self.host, why)
    }

    /// A 403 is a limit only when its headers say so; otherwise somebody forbids the call.
    pub(super) fn rate_limited(&self, answer: &Answer) -> Option<Problem> {
        let used_up = text(&answer.headers, "x-ratelimit-remaining") == Some("0");
        let wait = retry_after(&answer.headers);
        let limited = match answer.status {
            429 => true,
            403 => used_up || wait.is_some(),
            _ => false,
        };
        limited.then(|| {
            let wait = wait
                .or_else(|| reset(&answer.headers))
                .unwrap_or(RATE_LIMIT_WAIT);
            let message = format!(
                "{} limits requests; it is tried again later by itself",
                self.host
            );
            Problem::new(Reason::ProviderRateLimited, message)
                .retry(Some(wait.min(WAIT_MOST)))
                .with("host", &self.host)
        })
    }
}

/// The provider is broken or away.
pub(super) fn broken(host: &str) -> Problem {
    let message =
        format!("the token endpoint of {host} is out of order; it is tried again later by itself");
    Problem::new(Reason::ProviderUnavailable, message).with("host", host)
}

fn unsendable() -> Problem {
    let message = "the token request can't be written; check the OAuth client id and the URLs of this host entry";
    Problem::new(Reason::InvalidArgument, message)
}

fn outgoing(request: HttpRequest) -> Option<Request> {
    let (parts, body) = request.into_parts();
    let body = Bytes::from_owner(Zeroizing::new(body));
    let mut request = Request::new(parts.method, Url::parse(&parts.uri.to_string()).ok()?);
    *request.headers_mut() = parts.headers;
    if let Some(value) = request.headers_mut().get_mut(header::AUTHORIZATION) {
        value.set_sensitive(true);
    }
    *request.body_mut() = Some(body.into());
    Some(request)
}

/// The fields of an answer in JSON, or in form encoding, which is GitHub's default.
pub(super) fn fields(answer: &Answer) -> Option<Map<String, Value>> {
    if let Ok(Value::Object(fields)) = serde_json::from_slice(&answer.body) {
        return Some(fields);
    }
    let form = text(&answer.headers, "content-type")?
        .to_ascii_lowercase()
        .starts_with("application/x-www-form-urlencoded");
    form.then(|| {
        form_urlencoded::parse(&answer.body)
            .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
            .collect()
    })
}

/// Only the code: descriptions are the host's words, and may echo what was sent.
fn error_reply(code: &str) -> HttpResponse {
    reply(
        StatusCode::BAD_REQUEST,
        &serde_json::json!({ "error": code }),
    )
}

fn reply(status: StatusCode, fields: &Value) -> HttpResponse {
    let mut response = HttpResponse::new(fields.to_string().into_bytes());
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// `Retry-After` as seconds or as a date, measured on the host's clock where it tells it.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = text(headers, "retry-after")?;
    value.parse().map(Duration::from_secs).ok().or_else(|| {
        let when = httpdate::parse_http_date(value).ok()?;
        Some(when.duration_since(now(headers)).unwrap_or_default())
    })
}

fn reset(headers: &HeaderMap) -> Option<Duration> {
    let seconds = text(headers, "x-ratelimit-reset")?.parse().ok()?;
    let when = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?;
    Some(when.duration_since(now(headers)).unwrap_or_default())
}

fn now(headers: &HeaderMap) -> SystemTime {
    let date = text(headers, "date").and_then(|date| httpdate::parse_http_date(date).ok());
    date.unwrap_or_else(SystemTime::now)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}
