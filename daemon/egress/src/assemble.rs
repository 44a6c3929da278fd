//! Segments become headers and a body. No other module writes a secret into a request.
//!
//! A secret has three places: the value of `Authorization`, the value of `PRIVATE-TOKEN`, and the body. Never the URL,
//! because servers and proxies write URLs down, and never another header, because those are passed on and logged.

use bindery_core::{
    exchange::{Encoding, HttpRequest, Segment},
    problem::{Problem, Reason},
    secret::{Secret, SecretSet},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use reqwest::Request;
use url::Url;
use zeroize::Zeroizing;

/// Headers that a plugin may set. Everything that frames the message or names the host is the client's own.
const HEADERS: [&str; 11] = [
    "accept",
    "accept-language",
    "authorization",
    "content-type",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "prefer",
    "private-token",
    "x-atlassian-token",
    "x-requested-with",
];

/// Beginnings of further headers that a plugin may set: the forges' own.
const FAMILIES: [&str; 6] = [
    "x-github-",
    "x-gitlab-",
    "x-gitea-",
    "x-forgejo-",
    "x-gogs-",
    "x-bitbucket-",
];

/// Headers that may hold a secret.
const SECRET_HEADERS: [&str; 2] = ["authorization", "private-token"];

/// The request that goes out to `url`, which has passed all checks.
pub(crate) fn request(
    wanted: &HttpRequest,
    mut url: Url,
    secrets: &SecretSet,
) -> Result<Request, Problem> {
    url.set_fragment(None);
    let mut request = Request::new(method(&wanted.method)?, url);
    let headers = request.headers_mut();
    // Asked for here and undone in `body`, where both sizes are seen.
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    for (name, value) in &wanted.headers {
        insert(headers, name, value, secrets)?;
    }
    if !wanted.body.is_empty() {
        let body = Bytes::from_owner(join(&wanted.body, secrets)?);
        *request.body_mut() = Some(body.into());
    }
    Ok(request)
}

fn method(text: &str) -> Result<Method, Problem> {
    match text {
        "GET" => Ok(Method::GET),
        "HEAD" => Ok(Method::HEAD),
        "POST" => Ok(Method::POST),
        "PUT" => Ok(Method::PUT),
        "PATCH" => Ok(Method::PATCH),
        "DELETE" => Ok(Method::DELETE),
        _ => Err(refused(
            "the method is not GET, HEAD, POST, PUT, PATCH or DELETE",
        )),
    }
}

fn insert(
    headers: &mut HeaderMap,
    name: &str,
    value: &[Segment],
    secrets: &SecretSet,
) -> Result<(), Problem> {
    let name = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| refused("the name of a header is malformed"))?;
    let known = HEADERS.contains(&name.as_str())
        || FAMILIES
            .iter()
            .any(|family| name.as_str().starts_with(family));
    if !known {
        return Err(refused(&format!(
            "the header {name} is not one that a plugin may set"
        )));
    }
    if headers.contains_key(&name) {
        return Err(refused(&format!("the header {name} is there twice")));
    }
    let may_be_secret = SECRET_HEADERS.contains(&name.as_str());
    let secret = value
        .iter()
        .any(|part| matches!(part, Segment::Secret { .. }));
    if secret && !may_be_secret {
        return Err(refused(&format!(
            "the header {name} must not hold a secret"
        )));
    }
    let mut value = header_value(&name, join(value, secrets)?)?;
    value.set_sensitive(may_be_secret);
    headers.insert(name, value);
    Ok(())
}

fn header_value(name: &HeaderName, value: Zeroizing<Vec<u8>>) -> Result<HeaderValue, Problem> {
    // Narrower than the HTTP library: no byte that any parser might take for the end of the line.
    let plain = value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
    let wrong = || {
        refused(&format!(
            "the header {name} holds a character that a header can't hold"
        ))
    };
    if !plain {
        return Err(wrong());
    }
    HeaderValue::from_maybe_shared(Bytes::from_owner(value)).map_err(|_| wrong())
}

/// All segments in order. Allocated once at its largest possible size, so that no copy is left behind by growing.
fn join(segments: &[Segment], secrets: &SecretSet) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let mut joined = Zeroizing::new(Vec::with_capacity(bound(segments, secrets)));
    for segment in segments {
        match segment {
            Segment::Literal(bytes) => joined.extend_from_slice(bytes),
            Segment::Secret {
                name,
                encoding,
                prefix,
            } => {
                encode(&mut joined, *encoding, prefix, find(secrets, name)?)?;
            }
        }
    }
    Ok(joined)
}

fn bound(segments: &[Segment], secrets: &SecretSet) -> usize {
    let size = |segment: &Segment| match segment {
        Segment::Literal(bytes) => bytes.len(),
        Segment::Secret { name, prefix, .. } => {
            let secret = secrets.get(name).map_or(0, |secret| secret.expose().len());
            // JSON is the widest: six bytes for one.
            6 * (secret + prefix.len()) + 4
        }
    };
    segments.iter().map(size).sum()
}

fn find<'a>(secrets: &'a SecretSet, name: &str) -> Result<&'a Secret, Problem> {
    secrets
        .get(name)
        .ok_or_else(|| refused("it names a secret that this operation may not use"))
}

fn encode(
    into: &mut Vec<u8>,
    encoding: Encoding,
    prefix: &str,
    secret: &Secret,
) -> Result<(), Problem> {
    let mut plain = Zeroizing::new(String::with_capacity(prefix.len() + secret.expose().len()));
    plain.push_str(prefix);
    plain.push_str(secret.expose());
    match encoding {
        Encoding::Raw => into.extend_from_slice(plain.as_bytes()),
        Encoding::Base64 => {
            let text = Zeroizing::new(data_encoding::BASE64.encode(plain.as_bytes()));
            into.extend_from_slice(text.as_bytes());
        }
        Encoding::JsonString => serde_json::to_writer(into, plain.as_str())
            .map_err(|_| Problem::new(Reason::Internal, "a secret could not be written as JSON"))?,
        Encoding::Form => {
            let parts = form_urlencoded::byte_serialize(plain.as_bytes());
            parts.for_each(|part| into.extend_from_slice(part.as_bytes()));
        }
    }
    Ok(())
}

fn refused(why: &str) -> Problem {
    let message =
        format!("a request of the plugin was refused: {why}; this is a defect of the plugin");
    Problem::new(Reason::RequestNotAllowed, message)
}
