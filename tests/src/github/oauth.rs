//! The token endpoint: errors come with status 200, and the answer is a form unless JSON is asked

use std::collections::HashMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use data_encoding::BASE64URL_NOPAD;
use http::{HeaderMap, header};
use hyper::body::Bytes;
use ring::digest;
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::issue::Issued;
use super::redirect::redirect_matches;
use super::world::{Code, World};
use super::{Inner, device};

pub(super) const TOKEN_PATH: &str = "/login/oauth/access_token";

const DOCS: &str = "https://docs.github.com/apps/managing-oauth-apps/\
    troubleshooting-oauth-app-access-token-request-errors/";

/// Why no token is given
#[derive(Clone, Copy)]
struct Refused(&'static str, &'static str);

const WRONG_CLIENT: Refused = Refused(
    "incorrect_client_credentials",
    "The client_id and/or client_secret passed are incorrect.",
);
const WRONG_REDIRECT: Refused = Refused(
    "redirect_uri_mismatch",
    "The redirect_uri MUST match the registered callback URL for this application.",
);
const WRONG_CODE: Refused = Refused(
    "bad_verification_code",
    "The code passed is incorrect or expired.",
);
const WRONG_REFRESH: Refused = Refused(
    "bad_refresh_token",
    "The refresh token passed is incorrect or expired.",
);
const WRONG_GRANT: Refused = Refused(
    "unsupported_grant_type",
    "The grant type passed is not supported by this authorization server.",
);

pub(super) type Fields = HashMap<String, String>;

pub(super) async fn token(
    State(inner): State<Arc<Inner>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    Extension(body): Extension<Bytes>,
) -> Response {
    let fields = fields(query.as_deref(), &headers, &body);
    if field(&fields, "grant_type") == device::GRANT {
        return written(device::poll(&inner, &fields), &headers);
    }
    let pairs = match exchange(&inner, &fields) {
        Ok(issued) => issued.pairs(),
        Err(Refused(error, description)) => vec![
            ("error", error.into()),
            ("error_description", description.into()),
            (
                "error_uri",
                format!("{DOCS}#{}", error.replace('_', "-")).into(),
            ),
        ],
    };
    written(pairs, &headers)
}

fn exchange(inner: &Inner, fields: &Fields) -> Result<Issued, Refused> {
    let now = inner.now();
    let mut world = inner.world();
    let client_id = client(&world, fields)?;
    match field(fields, "grant_type") {
        "" | "authorization_code" => {
            let code = spend_code(&mut world, &client_id, fields, now)?;
            Ok(world.issue(code, now))
        }
        "refresh_token" => {
            let secret = field(fields, "refresh_token");
            world.refresh(&client_id, secret, now).ok_or(WRONG_REFRESH)
        }
        _ => Err(WRONG_GRANT),
    }
}

/// The app that asks, by its id and one of its secrets
fn client(world: &World, fields: &Fields) -> Result<String, Refused> {
    let app = world.app(field(fields, "client_id")).ok_or(WRONG_CLIENT)?;
    let secret = field(fields, "client_secret");
    if app.secrets.iter().any(|known| known == secret) {
        Ok(app.client_id.clone())
    } else {
        Err(WRONG_CLIENT)
    }
}

/// Take a code out of the world if everything about it fits
///
/// GitHub doesn't say whether a wrong verifier or redirect burns the code. Here it does, which is
/// the harder case for a client.
fn spend_code(
    world: &mut World,
    client_id: &str,
    fields: &Fields,
    now: i64,
) -> Result<Code, Refused> {
    world.codes.retain(|code| now < code.expires);
    if let Some(verifier) = fields.get("code_verifier") {
        world.mint.note(verifier);
    }
    let secret = field(fields, "code");
    let mut codes = world.codes.iter();
    let known = codes.position(|code| code.secret == secret && code.client_id == client_id);
    let code = world.codes.swap_remove(known.ok_or(WRONG_CODE)?);
    if let Some(redirect) = fields.get("redirect_uri") {
        let registered = world.app(client_id).map(|app| app.callbacks.clone());
        let matches = redirect_matches(&registered.unwrap_or_default(), redirect);
        if !matches || *redirect != code.redirect_uri {
            return Err(WRONG_REDIRECT);
        }
    }
    match &code.challenge {
        Some(challenge) if *challenge != challenge_of(field(fields, "code_verifier")) => {
            Err(WRONG_CODE)
        }
        _ => Ok(code),
    }
}

fn challenge_of(verifier: &str) -> String {
    let digest = digest::digest(&digest::SHA256, verifier.as_bytes());
    BASE64URL_NOPAD.encode(digest.as_ref())
}

pub(super) fn field<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.get(name).map_or("", String::as_str)
}

/// Parameters from the query, and a form or a JSON object in the body
pub(super) fn fields(query: Option<&str>, headers: &HeaderMap, body: &Bytes) -> Fields {
    let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let mut fields: Fields = pairs.into_owned().collect();
    if mentions(headers, &header::CONTENT_TYPE, "json") {
        let parsed: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
        let texts = parsed.into_iter();
        fields.extend(texts.filter_map(|(name, value)| Some((name, value.as_str()?.to_owned()))));
    } else {
        fields.extend(form_urlencoded::parse(body).into_owned());
    }
    fields
}

/// The answer as a form, or as JSON where that is asked for
pub(super) fn written(pairs: Vec<(&'static str, Value)>, headers: &HeaderMap) -> Response {
    let (kind, body) = if mentions(headers, &header::ACCEPT, "json") {
        let object: Map<_, _> = pairs
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        (
            "application/json; charset=utf-8",
            Value::Object(object).to_string(),
        )
    } else {
        let mut form = form_urlencoded::Serializer::new(String::new());
        for (name, value) in &pairs {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            form.append_pair(name, &text);
        }
        (
            "application/x-www-form-urlencoded; charset=utf-8",
            form.finish(),
        )
    };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, body).into_response()
}

fn mentions(headers: &HeaderMap, name: &header::HeaderName, what: &str) -> bool {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.is_some_and(|value| value.contains(what))
}
