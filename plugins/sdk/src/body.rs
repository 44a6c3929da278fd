//! Bodies and header values in which a secret is a segment of its own, never a placeholder in a text

use bindery_plugin_proto::v1::{self, Encoding, segment};

use crate::url::encode_to;

/// The name of a secret. The daemon puts the secret itself in, after the plugin is done with the request.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Secret(
    /// One of the names in the manifest: `access_token`.
    pub &'static str,
);

/// A header value: text with secrets in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Value(pub(crate) Vec<v1::Segment>);

impl Value {
    /// An empty value.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends text.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        push_literal(&mut self.0, text.as_bytes());
        self
    }

    /// Appends a secret as it is.
    #[must_use]
    pub fn secret(self, secret: Secret) -> Self {
        self.encoded(secret, Encoding::Raw, "")
    }

    /// Appends the base64 of `prefix` and the secret.
    #[must_use]
    pub fn base64(self, prefix: &str, secret: Secret) -> Self {
        self.encoded(secret, Encoding::Base64, prefix)
    }

    fn encoded(mut self, secret: Secret, encoding: Encoding, prefix: &str) -> Self {
        push_secret(&mut self.0, secret, encoding, prefix);
        self
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::new().text(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::new().text(&text)
    }
}

impl From<Secret> for Value {
    fn from(secret: Secret) -> Self {
        Self::new().secret(secret)
    }
}

/// A JSON body.
///
/// ```
/// use bindery_plugin_sdk::{Json, Secret};
///
/// let body = Json::object()
///     .field("active", true)
///     .field("config", Json::object().field("content_type", "json").secret("secret", Secret("webhook_secret")));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Json(Node);

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Plain(serde_json::Value),
    Secret(Secret),
    Object(Vec<(String, Json)>),
    Array(Vec<Json>),
}

impl Json {
    /// An object without members.
    pub fn object() -> Self {
        Self(Node::Object(Vec::new()))
    }

    /// An array.
    pub fn array(items: impl IntoIterator<Item = Self>) -> Self {
        Self(Node::Array(items.into_iter().collect()))
    }

    /// Adds a member to an object; anything else becomes an object first.
    #[must_use]
    pub fn field(self, name: &str, value: impl Into<Self>) -> Self {
        let mut members = match self.0 {
            Node::Object(members) => members,
            Node::Plain(_) | Node::Secret(_) | Node::Array(_) => Vec::new(),
        };
        members.push((name.to_owned(), value.into()));
        Self(Node::Object(members))
    }

    /// Adds a member whose value is a secret.
    #[must_use]
    pub fn secret(self, name: &str, secret: Secret) -> Self {
        self.field(name, secret)
    }

    pub(crate) fn into_segments(self) -> Vec<v1::Segment> {
        let mut out = Vec::new();
        self.write(&mut out);
        out
    }

    fn write(self, out: &mut Vec<v1::Segment>) {
        match self.0 {
            Node::Plain(value) => push_literal(out, value.to_string().as_bytes()),
            Node::Secret(secret) => push_secret(out, secret, Encoding::JsonString, ""),
            Node::Object(members) => {
                push_literal(out, b"{");
                for (n, (name, value)) in members.into_iter().enumerate() {
                    push_literal(out, if n == 0 { b"" } else { b"," });
                    push_literal(out, serde_json::Value::from(name).to_string().as_bytes());
                    push_literal(out, b":");
                    value.write(out);
                }
                push_literal(out, b"}");
            }
            Node::Array(items) => {
                push_literal(out, b"[");
                for (n, item) in items.into_iter().enumerate() {
                    push_literal(out, if n == 0 { b"" } else { b"," });
                    item.write(out);
                }
                push_literal(out, b"]");
            }
        }
    }
}

impl From<serde_json::Value> for Json {
    fn from(value: serde_json::Value) -> Self {
        Self(Node::Plain(value))
    }
}

impl From<&str> for Json {
    fn from(value: &str) -> Self {
        Self(Node::Plain(value.into()))
    }
}

impl From<String> for Json {
    fn from(value: String) -> Self {
        Self(Node::Plain(value.into()))
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Self(Node::Plain(value.into()))
    }
}

impl From<i64> for Json {
    fn from(value: i64) -> Self {
        Self(Node::Plain(value.into()))
    }
}

impl From<Secret> for Json {
    fn from(secret: Secret) -> Self {
        Self(Node::Secret(secret))
    }
}

/// A body of type `application/x-www-form-urlencoded`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Form(pub(crate) Vec<v1::Segment>);

impl Form {
    /// A form without fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field.
    #[must_use]
    pub fn field(mut self, name: &str, value: &str) -> Self {
        let mut text = self.start(name);
        encode_to(&mut text, value);
        push_literal(&mut self.0, text.as_bytes());
        self
    }

    /// Adds a field whose value is a secret.
    #[must_use]
    pub fn secret(mut self, name: &str, secret: Secret) -> Self {
        let text = self.start(name);
        push_literal(&mut self.0, text.as_bytes());
        push_secret(&mut self.0, secret, Encoding::Form, "");
        self
    }

    fn start(&self, name: &str) -> String {
        let mut text = if self.0.is_empty() {
            String::new()
        } else {
            "&".to_owned()
        };
        encode_to(&mut text, name);
        text.push('=');
        text
    }
}

pub(crate) fn push_literal(out: &mut Vec<v1::Segment>, bytes: &[u8]) {
    if let Some(v1::Segment {
        kind: Some(segment::Kind::Literal(last)),
    }) = out.last_mut()
    {
        last.extend_from_slice(bytes);
    } else {
        out.push(v1::Segment {
            kind: Some(segment::Kind::Literal(bytes.to_vec())),
        });
    }
}

fn push_secret(out: &mut Vec<v1::Segment>, secret: Secret, encoding: Encoding, prefix: &str) {
    out.push(v1::Segment {
        kind: Some(segment::Kind::Secret(v1::SecretRef {
            name: secret.0.to_owned(),
            encoding: encoding.into(),
            prefix: prefix.to_owned(),
        })),
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::show_segments;

    /// P9: a text that looks like a placeholder is a text; the secret is a segment of its own, and is quoted by the
    /// daemon.
    #[test]
    fn p9_a_secret_in_json_is_a_segment() {
        let body = Json::object()
            .field("name", "{access_token}<secret:x>\"")
            .field("list", Json::array([Json::from(1), Secret("two").into()]))
            .field("empty", Json::array([]))
            .secret("token", Secret("access_token"))
            .into_segments();
        assert_eq!(body.len(), 5);
        assert_eq!(
            show_segments(&body),
            r#"{"name":"{access_token}<secret:x>\"","list":[1,<secret:two json>],"empty":[],"token":<secret:access_token json>}"#
        );
    }

    /// Form fields are encoded, and a secret is encoded by the daemon.
    #[test]
    fn a_form_is_encoded() {
        let form = Form::new()
            .field("a b", "c&d=e")
            .secret("s", Secret("client_secret"));
        assert_eq!(
            show_segments(&form.0),
            "a%20b=c%26d%3De&s=<secret:client_secret form>"
        );
    }
}
