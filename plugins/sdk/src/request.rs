//! Requests that a plugin asks the daemon to send

use bindery_plugin_proto::v1;

use crate::body::{Form, Json, Secret, Value, push_literal};

/// One HTTP request.
///
/// The daemon sends it to an origin that the operator allowed and only if the manifest allows its method and path for
/// the running operation. It follows no redirect: a plugin that wants to sends another request.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a request does nothing until it is sent"]
pub struct Request(pub(crate) v1::HttpRequest);

impl Request {
    /// A request with any method.
    pub fn new(method: &str, url: impl Into<String>) -> Self {
        Self(v1::HttpRequest {
            method: method.to_owned(),
            url: url.into(),
            ..v1::HttpRequest::default()
        })
    }

    /// GET.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// POST.
    pub fn post(url: impl Into<String>) -> Self {
        Self::new("POST", url)
    }

    /// PUT.
    pub fn put(url: impl Into<String>) -> Self {
        Self::new("PUT", url)
    }

    /// PATCH.
    pub fn patch(url: impl Into<String>) -> Self {
        Self::new("PATCH", url)
    }

    /// DELETE.
    pub fn delete(url: impl Into<String>) -> Self {
        Self::new("DELETE", url)
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.headers.push(v1::Header {
            name: name.to_ascii_lowercase(),
            value: value.into().0,
        });
        self
    }

    /// `Authorization: Bearer <secret>`.
    pub fn bearer(self, secret: Secret) -> Self {
        self.header("authorization", Value::new().text("Bearer ").secret(secret))
    }

    /// `Authorization: Basic <base64 of user:secret>`.
    pub fn basic(self, user: &str, secret: Secret) -> Self {
        let prefix = format!("{user}:");
        self.header(
            "authorization",
            Value::new().text("Basic ").base64(&prefix, secret),
        )
    }

    /// A JSON body, with its content type.
    pub fn json(mut self, body: impl Into<Json>) -> Self {
        self.0.body = body.into().into_segments();
        self.header("content-type", "application/json")
    }

    /// A form body, with its content type.
    pub fn form(mut self, form: Form) -> Self {
        self.0.body = form.0;
        self.header("content-type", "application/x-www-form-urlencoded")
    }

    /// A body of bytes.
    pub fn body(mut self, content_type: &str, bytes: &[u8]) -> Self {
        self.0.body.clear();
        push_literal(&mut self.0.body, bytes);
        self.header("content-type", content_type)
    }

    /// Has the daemon keep the value at `pointer` (RFC 6901) of the JSON response as the secret `name`. The plugin sees
    /// it blanked out.
    pub fn capture(mut self, pointer: &str, name: Secret) -> Self {
        self.0.capture.push(v1::Capture {
            pointer: pointer.to_owned(),
            secret: name.0.to_owned(),
        });
        self
    }

    /// Lowers the daemon's cap on the size of the response.
    pub fn max_response_bytes(mut self, bytes: u64) -> Self {
        self.0.max_response_bytes = bytes;
        self
    }
}
