//! Requests and answers as plain values

use data_encoding::BASE64;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use url::form_urlencoded;

/// One request, as far as a forge looks at it
#[derive(Clone, Default)]
pub struct Request {
    /// Upper case
    pub method: String,
    /// Path as it was sent, percent-encoded, with any relative root: `/root/api/v4/projects/a%2Fb`
    pub path: String,
    /// Query parameters, decoded, in their order
    pub query: Vec<(String, String)>,
    /// Headers, names in lower case
    pub headers: Vec<(String, String)>,
    /// Body
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Who presents what, from `Authorization: Basic` (RFC 7617)
#[derive(Clone, Eq, PartialEq)]
pub struct Basic {
    /// Before the first colon
    pub user: String,
    /// After it
    pub password: String,
}

impl std::fmt::Debug for Basic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Basic")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl Request {
    /// A request to a path that may have a query
    #[must_use]
    pub fn new(method: &str, target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: pairs(query.as_bytes()),
            ..Self::default()
        }
    }

    /// A POST of form fields
    #[must_use]
    pub fn form(target: &str, fields: &[(&str, &str)]) -> Self {
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(fields);
        let mut request =
            Self::new("POST", target).with("content-type", "application/x-www-form-urlencoded");
        request.body = body.finish().into_bytes();
        request
    }

    /// With one more header; the name is given in lower case
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With `Authorization: Bearer`
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.with("authorization", &format!("Bearer {token}"))
    }

    /// With `Authorization: Basic`
    #[must_use]
    pub fn basic(self, user: &str, password: &str) -> Self {
        let both = BASE64.encode(format!("{user}:{password}").as_bytes());
        self.with("authorization", &format!("Basic {both}"))
    }

    /// The first header of that name (lower case)
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        first(&self.headers, name)
    }

    /// The first query parameter of that name
    #[must_use]
    pub fn query(&self, name: &str) -> Option<&str> {
        first(&self.query, name)
    }

    /// The token in `Authorization`, under any of these schemes, which are compared without case
    #[must_use]
    pub fn authorization(&self, schemes: &[&str]) -> Option<&str> {
        let (scheme, rest) = self.header("authorization")?.split_once(' ')?;
        let known = schemes
            .iter()
            .any(|known| known.eq_ignore_ascii_case(scheme));
        known.then(|| rest.trim())
    }

    /// User and password of `Authorization: Basic`
    #[must_use]
    pub fn basic_credentials(&self) -> Option<Basic> {
        let decoded = BASE64
            .decode(self.authorization(&["Basic"])?.as_bytes())
            .ok()?;
        let text = String::from_utf8(decoded).ok()?;
        let (user, password) = text.split_once(':')?;
        Some(Basic {
            user: user.to_owned(),
            password: password.to_owned(),
        })
    }

    /// Fields of a form or of a JSON object of strings, whichever the body is
    #[must_use]
    pub fn fields(&self) -> Vec<(String, String)> {
        let kind = self.header("content-type").unwrap_or_default();
        if !kind.contains("json") {
            return pairs(&self.body);
        }
        let object: Map<String, Value> = serde_json::from_slice(&self.body).unwrap_or_default();
        let texts = object.into_iter();
        texts
            .filter_map(|(name, value)| Some((name, value.as_str()?.to_owned())))
            .collect()
    }

    /// Members of a JSON object, or fields of a form as texts
    #[must_use]
    pub fn object(&self) -> Map<String, Value> {
        let kind = self.header("content-type").unwrap_or_default();
        if kind.contains("form-urlencoded") {
            let fields = pairs(&self.body).into_iter();
            return fields.map(|(name, text)| (name, text.into())).collect();
        }
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Whether the client asks for JSON
    #[must_use]
    pub fn wants_json(&self) -> bool {
        self.header("accept")
            .is_some_and(|accept| accept.contains("json"))
    }

    /// Segments of the path below a prefix, each one percent-decoded; `None` where it is not below
    ///
    /// `/root/api/v4/projects/a%2Fb` below `/root/api/v4` is `projects`, `a/b`.
    #[must_use]
    pub fn segments(&self, prefix: &str) -> Option<Vec<String>> {
        let rest = self.path.strip_prefix(prefix)?;
        if !rest.is_empty() && !rest.starts_with('/') {
            return None;
        }
        let segments = rest
            .trim_matches('/')
            .split('/')
            .filter(|one| !one.is_empty());
        segments
            .map(|one| Some(percent_decode_str(one).decode_utf8().ok()?.into_owned()))
            .collect()
    }
}

/// Finds the first pair of that name
#[must_use]
pub fn first<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = pairs.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value.as_str())
}

fn pairs(encoded: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(encoded).into_owned().collect()
}

/// One answer
#[derive(Clone, Default)]
pub struct Response {
    /// Status
    pub status: u16,
    /// Headers, names in lower case
    pub headers: Vec<(String, String)>,
    /// Body
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl Response {
    /// An answer without a body
    #[must_use]
    pub fn empty(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    /// A JSON document
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        Self::body(status, "application/json", body.to_string())
    }

    /// Plain text
    #[must_use]
    pub fn text(status: u16, body: &str) -> Self {
        Self::body(status, "text/plain", body.to_owned())
    }

    /// A document of some type
    #[must_use]
    pub fn body(status: u16, kind: &str, body: String) -> Self {
        let mut response = Self::empty(status).with("content-type", kind);
        response.body = body.into_bytes();
        response
    }

    /// A redirect
    #[must_use]
    pub fn redirect(status: u16, to: &str) -> Self {
        Self::empty(status).with("location", to)
    }

    /// With one more header; the name is given in lower case
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The first header of that name (lower case)
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        first(&self.headers, name)
    }

    /// The body as JSON; `null` where it is none
    #[must_use]
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// A member that is a text, and not empty
#[must_use]
pub fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    let value = members.get(name).and_then(Value::as_str);
    value.filter(|text| !text.is_empty())
}

/// A member that is a truth value, which forms write in several ways
#[must_use]
pub fn truth(members: &Map<String, Value>, name: &str) -> Option<bool> {
    match members.get(name)? {
        Value::Bool(truth) => Some(*truth),
        Value::Number(number) => Some(number.as_i64() != Some(0)),
        Value::String(text) => Some(matches!(text.as_str(), "true" | "1" | "on" | "yes")),
        _ => None,
    }
}
