//! The device flow (RFC 8628): a pair of codes, and one poll.

use std::time::Duration;

use bindery_core::{
    exchange::{DeviceAuthorization, DeviceCall, TokenCall, TokenOutcome},
    origin::{Origin, OriginSet},
    problem::{Problem, Reason},
    secret::Secret,
};
use data_encoding::BASE64;
use http::{HeaderValue, header};
use oauth2::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;

use super::{
    Attempt, CLIENT_ERRORS, clean, malformed,
    reply::Reply,
    stopped, tokens, verdict, wire,
    wire::{Stop, Wire, fields},
};
use crate::{Limits, clients::Clients};

/// RFC 8628 section 3.4.
const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Time between two polls where the endpoint names none (RFC 8628 section 3.2).
const INTERVAL: Duration = Duration::from_secs(5);

/// Longest code that is taken.
const CODE: usize = 1024;

/// Asks for a pair of codes with each client secret until one is accepted.
pub(crate) async fn authorize(
    clients: &Clients,
    limits: Limits,
    call: DeviceCall<'_>,
) -> Result<DeviceAuthorization, Problem> {
    let wire = wire(clients, limits, call.endpoint, call.reach, call.origins)?;
    let separator = match call.method.scope_separator.as_str() {
        "" => " ",
        given => given,
    };
    let scope = call.scopes.join(separator);
    let asks: &[(&str, &str)] = if scope.is_empty() {
        &[]
    } else {
        &[("scope", &scope)]
    };
    for secret in candidates(&call.reach.secrets.client_secrets) {
        let client = Client {
            id: call.client_id,
            secret,
            basic: call.method.basic_client_auth,
        };
        let request = client.request(call.endpoint, asks)?;
        let answer = wire.answer(request).await.map_err(problem)?;
        if let Some(limited) = wire.rate_limited(&answer) {
            return Err(limited);
        }
        match read(&wire, answer.status, fields(&answer)) {
            Codes::Refused => {}
            Codes::Given(given) => return checked(*given, call.origins, &wire),
            Codes::Odd(problem) => return Err(problem),
        }
    }
    let message = format!(
        "{} refused the OAuth client for the device flow; check its id and secrets, and whether it may use this flow",
        wire.host
    );
    Err(Problem::new(Reason::ClientRefused, message))
}

/// One poll with one client secret.
pub(super) async fn poll(
    wire: &Wire,
    call: &TokenCall<'_>,
    secret: Option<&Secret>,
    device_code: &Secret,
) -> Attempt {
    let client = Client {
        id: call.client_id,
        secret,
        basic: call.method.basic_client_auth,
    };
    let asks = [
        ("grant_type", GRANT_TYPE),
        ("device_code", device_code.expose()),
    ];
    let request = match client.request(call.endpoint, &asks) {
        Ok(request) => request,
        Err(problem) => return Attempt::Final(TokenOutcome::NotNow(problem)),
    };
    match wire.exchange(request).await {
        Err(stop) => stopped(stop),
        Ok(response) => told(wire, call, &response),
    }
}

/// What a poll brought.
fn told(wire: &Wire, call: &TokenCall<'_>, response: &HttpResponse) -> Attempt {
    if !response.status().is_success() {
        let code = serde_json::from_slice::<Refusal>(response.body());
        let code = code.map(|refusal| refusal.error).unwrap_or_default();
        return verdict(&clean(&code), call.method, &wire.host);
    }
    match serde_json::from_slice::<Reply>(response.body()) {
        Ok(reply) => Attempt::Final(TokenOutcome::Granted(tokens(&reply, call.method))),
        Err(_) => {
            let why = "its token endpoint answered without a token";
            Attempt::Final(TokenOutcome::Lost(wire.odd(why)))
        }
    }
}

/// Without secrets the client is asked for once, as a public one.
fn candidates(secrets: &[Secret]) -> Vec<Option<&Secret>> {
    match secrets {
        [] => vec![None],
        some => some.iter().map(Some).collect(),
    }
}

/// Who asks.
struct Client<'a> {
    id: &'a str,
    secret: Option<&'a Secret>,
    basic: bool,
}

impl Client<'_> {
    fn request(&self, endpoint: &str, asks: &[(&str, &str)]) -> Result<HttpRequest, Problem> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(asks).append_pair("client_id", self.id);
        let mut builder = http::Request::post(endpoint)
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        match self.secret {
            Some(secret) if self.basic => {
                builder = builder.header(header::AUTHORIZATION, basic(self.id, secret)?);
            }
            Some(secret) => {
                form.append_pair("client_secret", secret.expose());
            }
            None => {}
        }
        let body = form.finish().into_bytes();
        builder.body(body).map_err(|_| malformed("device endpoint"))
    }
}

/// RFC 6749 section 2.3.1: both parts are form-encoded first.
fn basic(id: &str, secret: &Secret) -> Result<HeaderValue, Problem> {
    let encoded =
        |text: &str| -> String { form_urlencoded::byte_serialize(text.as_bytes()).collect() };
    let pair = format!("{}:{}", encoded(id), encoded(secret.expose()));
    HeaderValue::try_from(format!("Basic {}", BASE64.encode(pair.as_bytes())))
        .map_err(|_| malformed("OAuth client"))
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

/// What the endpoint says to one client secret.
enum Codes {
    Given(Box<DeviceAuthorization>),
    /// Another secret may be the right one.
    Refused,
    Odd(Problem),
}

fn read(wire: &Wire, status: u16, fields: Option<Map<String, Value>>) -> Codes {
    let fields = fields.unwrap_or_default();
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    let error = clean(text("error"));
    if CLIENT_ERRORS.contains(&error.as_str()) || (status == 401 && error.is_empty()) {
        return Codes::Refused;
    }
    if !error.is_empty() {
        let why = format!("it refused the device flow ({error})");
        return Codes::Odd(wire.odd(&why));
    }
    let seconds = |name: &str| match fields.get(name) {
        Some(Value::Number(number)) => number.as_u64(),
        Some(Value::String(text)) => text.trim().parse().ok(),
        _ => None,
    };
    let secret =
        |name: &str| Some(text(name)).filter(|code| !code.is_empty() && code.len() <= CODE);
    let (Some(device_code), Some(user_code), Some(lifetime)) = (
        secret("device_code"),
        secret("user_code"),
        seconds("expires_in"),
    ) else {
        let why = format!("its device endpoint answered {status} without codes");
        return Codes::Odd(wire.odd(&why));
    };
    Codes::Given(Box::new(DeviceAuthorization {
        device_code: Secret::new(device_code.to_owned()),
        user_code: Secret::new(user_code.to_owned()),
        verification_uri: text("verification_uri").to_owned(),
        expires_in: Duration::from_secs(lifetime),
        interval: seconds("interval")
            .map_or(INTERVAL, Duration::from_secs)
            .max(INTERVAL),
    }))
}

/// O11: a person is sent to the host itself and nowhere else, whatever the endpoint says.
fn checked(
    given: DeviceAuthorization,
    origins: &OriginSet,
    wire: &Wire,
) -> Result<DeviceAuthorization, Problem> {
    let own = Url::parse(&given.verification_uri)
        .ok()
        .and_then(|url| Origin::of(&url).ok())
        .is_some_and(|origin| origins.contains(&origin));
    if own {
        return Ok(given);
    }
    Err(wire.odd("its device endpoint sends people to another origin"))
}

fn problem(stop: Stop) -> Problem {
    match stop {
        Stop::NotNow(problem) | Stop::Lost(problem) => problem,
        Stop::Client => Problem::new(Reason::ClientRefused, "the host refused the OAuth client"),
    }
}
