//! A token reply as forges really write it.

use std::time::Duration;

use oauth2::{AccessToken, RefreshToken, Scope, TokenResponse, basic::BasicTokenType};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::{Map, Value};

/// RFC 6749 section 5.1, with the differences that occur: no `token_type` or one in capitals, a lifetime as text, scopes
/// with other separators or as a list, `null` for absent.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Reply {
    #[serde(deserialize_with = "present")]
    access_token: AccessToken,
    // Every supported forge issues bearer tokens, whatever it writes here.
    #[serde(default = "bearer", skip)]
    token_type: BasicTokenType,
    #[serde(default, deserialize_with = "seconds")]
    expires_in: Option<u64>,
    #[serde(default)]
    refresh_token: Option<RefreshToken>,
    #[serde(default, rename = "scope", deserialize_with = "scopes")]
    scopes: Option<Vec<Scope>>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

impl Reply {
    /// The scopes in the member where this provider writes them.
    pub(super) fn scopes_in(&self, member: &str) -> Option<Vec<Scope>> {
        match member {
            "" | "scope" => self.scopes.clone(),
            other => read(self.others.get(other)?),
        }
    }
}

impl TokenResponse for Reply {
    type TokenType = BasicTokenType;

    fn access_token(&self) -> &AccessToken {
        &self.access_token
    }

    fn token_type(&self) -> &BasicTokenType {
        &self.token_type
    }

    fn expires_in(&self) -> Option<Duration> {
        self.expires_in.map(Duration::from_secs)
    }

    fn refresh_token(&self) -> Option<&RefreshToken> {
        self.refresh_token.as_ref()
    }

    fn scopes(&self) -> Option<&Vec<Scope>> {
        self.scopes.as_ref()
    }
}

fn bearer() -> BasicTokenType {
    BasicTokenType::Bearer
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<AccessToken, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Err(D::Error::custom("the access token is empty"));
    }
    Ok(AccessToken::new(text))
}

/// Zero and what is no number mean "not told".
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let seconds = match Value::deserialize(deserializer)? {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    Ok(seconds.filter(|seconds| *seconds > 0))
}

fn scopes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Scope>>, D::Error> {
    Ok(read(&Value::deserialize(deserializer)?))
}

fn read(value: &Value) -> Option<Vec<Scope>> {
    match value {
        Value::String(text) => Some(vec![Scope::new(text.clone())]),
        Value::Array(items) => {
            let texts = items.iter().filter_map(Value::as_str);
            Some(texts.map(|text| Scope::new(text.to_owned())).collect())
        }
        _ => None,
    }
}
