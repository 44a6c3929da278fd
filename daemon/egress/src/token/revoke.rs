//! Revocation endpoints (RFC 7009).

use bindery_core::{
    exchange::{RevokeCall, RevokeOutcome, TokenHint},
    problem::{Problem, Reason},
    secret::Secret,
};
use data_encoding::BASE64;
use http::{HeaderValue, header};
use oauth2::HttpRequest;
use zeroize::Zeroizing;

use super::{
    CLIENT_ERRORS, clean, malformed,
    wire::{Stop, Wire, broken, fields},
};
use crate::{Limits, allowed, clients::Clients, exchange::Answer};

/// Errors that say no more than that the token is of no use, from endpoints that do not answer 200 for that.
const UNKNOWN: [&str; 2] = ["invalid_token", "invalid_grant"];

/// What one client secret led to.
enum Attempt {
    Final(RevokeOutcome),
    Client,
}

/// Calls the endpoint with each client secret until one is accepted.
pub(crate) async fn call(clients: &Clients, limits: Limits, call: RevokeCall<'_>) -> RevokeOutcome {
    let wire = match way_out(clients, limits, &call) {
        Ok(wire) => wire,
        Err(problem) => return RevokeOutcome::Failed(problem),
    };
    let secrets = &call.reach.secrets.client_secrets;
    let mut candidates: Vec<_> = secrets.iter().map(Some).collect();
    if candidates.is_empty() {
        candidates.push(None);
    }
    for secret in candidates {
        if let Attempt::Final(outcome) = attempt(&wire, &call, secret).await {
            return outcome;
        }
    }
    RevokeOutcome::ClientRefused
}

fn way_out(clients: &Clients, limits: Limits, call: &RevokeCall<'_>) -> Result<Wire, Problem> {
    let url = allowed(call.endpoint, &call.reach.host.network, call.origins)?;
    Ok(Wire {
        client: clients.fresh(call.reach)?,
        limits,
        errors_with_status_ok: false,
        host: url.host_str().unwrap_or_default().to_owned(),
    })
}

async fn attempt(wire: &Wire, call: &RevokeCall<'_>, secret: Option<&Secret>) -> Attempt {
    let request = match request(call, secret) {
        Ok(request) => request,
        Err(problem) => return Attempt::Final(RevokeOutcome::Failed(problem)),
    };
    match wire.answer(request).await {
        Ok(answer) => judge(wire, &answer),
        Err(Stop::NotNow(problem) | Stop::Lost(problem)) => {
            Attempt::Final(RevokeOutcome::Failed(problem))
        }
        Err(Stop::Client) => Attempt::Client,
    }
}

fn request(call: &RevokeCall<'_>, secret: Option<&Secret>) -> Result<HttpRequest, Problem> {
    let hint = match call.hint {
        TokenHint::Access => "access_token",
        TokenHint::Refresh => "refresh_token",
    };
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("token", call.token.expose())
        .append_pair("token_type_hint", hint);
    let mut builder = http::Request::post(call.endpoint)
        .header(header::ACCEPT, "application/json")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    if call.method.basic_client_auth {
        let secret = secret.map_or("", Secret::expose);
        builder = builder.header(header::AUTHORIZATION, basic(call.client_id, secret)?);
    } else {
        form.append_pair("client_id", call.client_id);
        if let Some(secret) = secret {
            form.append_pair("client_secret", secret.expose());
        }
    }
    let body = form.finish().into_bytes();
    builder
        .body(body)
        .map_err(|_| malformed("revocation endpoint"))
}

/// RFC 6749 section 2.3.1: both parts are form-encoded before they are joined.
fn basic(id: &str, secret: &str) -> Result<HeaderValue, Problem> {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = Zeroizing::new(format!("{}:{}", encoded(id), encoded(secret)));
    let text = Zeroizing::new(format!("Basic {}", BASE64.encode(pair.as_bytes())));
    let mut value = HeaderValue::from_str(&text).map_err(|_| malformed("OAuth client id"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn judge(wire: &Wire, answer: &Answer) -> Attempt {
    let failed = |problem| Attempt::Final(RevokeOutcome::Failed(problem));
    if let Some(problem) = wire.rate_limited(answer) {
        return failed(problem);
    }
    let fields = fields(answer);
    let code = fields
        .as_ref()
        .and_then(|fields| fields.get("error")?.as_str());
    let code = clean(code.unwrap_or_default());
    let why = format!("its revocation endpoint answered {}", answer.status);
    match (answer.status, code.as_str()) {
        (200..=299, "") => Attempt::Final(RevokeOutcome::Done),
        (500.., _) => failed(broken(&wire.host)),
        (_, code) if UNKNOWN.contains(&code) => Attempt::Final(RevokeOutcome::Done),
        (_, code) if CLIENT_ERRORS.contains(&code) => Attempt::Client,
        (401, "") => Attempt::Client,
        (404 | 405, _) | (_, "unsupported_token_type") => failed(absent(&wire.host)),
        _ => failed(wire.odd(&why)),
    }
}

fn absent(host: &str) -> Problem {
    let message = format!(
        "{host} offers no revocation of this kind of token; a person has to revoke it there"
    );
    Problem::new(Reason::ProviderUnsupported, message).with("host", host)
}
