//! Recorded exchanges, as JSON that is safe to commit
//!
//! ```json
//! {
//!   "operation": "identify",
//!   "input": {},
//!   "credential": {"auth_kind": "oauth_code", "token_kind": "oauth", "login": "ada"},
//!   "exchanges": [{
//!     "request": {"method": "GET", "url": "https://api.test/user",
//!                 "headers": {"authorization": "Bearer <secret:access_token>"}},
//!     "response": {"status": 200, "headers": {}, "body": {"id": 7, "login": "ada"}}
//!   }],
//!   "expect": {"identity": {"stable_id": "7", "login": "ada", "kind": "USER"}}
//! }
//! ```
//!
//! A body that is a string is sent as it is, anything else as JSON; `body_file` names a file beside the fixture. In
//! place of a response, `{"error": "TRANSPORT"}` is a request that did not get through. What is empty, false or zero may
//! be left out on both sides. An expected error is compared in the members that are written down.
//!
//! A delivery of a webhook is an operation without exchanges, whose body may be in a file of a folder below:
//!
//! ```json
//! {
//!   "operation": "parse_delivery",
//!   "input": {"event": "push", "headers": {"x-gitea-event-type": "push"}, "body_file": "deliveries/push.json"},
//!   "expect": {"delivered": {"repository": {"stable_id": "7", "full_name": "acme/api"}}}
//! }
//! ```

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use bindery_core::provider::OperationKind;
use bindery_plugin_proto::v1::{self, effect_result, operation_request::Input};
use prost::Message as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{input, show};

/// One operation, its exchanges, and what has to come of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Fixture {
    /// Where it was read.
    #[serde(skip)]
    pub path: PathBuf,
    /// The operation as manifests name it: `list_refs`.
    pub operation: String,
    /// Its input, by the names of the message.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub input: Value,
    /// API base of the host.
    #[serde(default = "api_base")]
    pub api_base: String,
    /// Web base of the host.
    #[serde(default = "web_base")]
    pub web_base: String,
    /// Now, in milliseconds since the epoch.
    #[serde(default = "now")]
    pub now_unix_ms: u64,
    /// Free settings of the host.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
    /// Edition that the daemon chose for the host.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub edition: String,
    /// Facts about the credential; none where there is no link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<Credential>,
    /// What goes out and what comes back.
    #[serde(default)]
    pub exchanges: Vec<Exchange>,
    /// The body of a delivery that is in a file of its own.
    #[serde(skip)]
    pub(crate) body: Option<Vec<u8>>,
    /// What has to come of it; see [`fill`](crate::fill) for where it is not known yet.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub expect: Value,
}

/// Facts about a credential, never the credential.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Credential {
    /// `oauth_code`, `device`, `access_token` or `app_installation`.
    pub auth_kind: String,
    /// Name of the token kind.
    pub token_kind: String,
    /// Scopes that were granted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// OAuth client id of the host.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub client_id: String,
    /// Login of the identity.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub login: String,
    /// User name or e-mail that was handed over with the token.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub username: String,
    /// Id of the host's app.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub app_id: String,
    /// Id of the installation.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub installation_id: String,
}

/// One request and what comes back.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// Method, URL, headers, body and capture of a request; or `verify_mac` or `sign_jwt` with its members.
    pub request: Value,
    /// What comes back.
    pub response: Reply,
}

/// What comes back. One of `status`, `error`, `verified` and `signed` is set.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reply {
    /// Status of a response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Its headers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Its body: a string as it is, anything else as JSON.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub body: Value,
    /// A file beside the fixture with the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_file: Option<PathBuf>,
    /// The code of an effect that could not be done: `TRANSPORT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whether a MAC was right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<bool>,
    /// Whether a JWT was signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed: Option<bool>,
}

fn api_base() -> String {
    "https://api.test".to_owned()
}

fn web_base() -> String {
    "https://web.test".to_owned()
}

fn now() -> u64 {
    1_800_000_000_000
}

/// All fixtures of a folder, by name.
pub(crate) fn read_folder(folder: &Path) -> Result<Vec<Fixture>> {
    let unreadable = || format!("the fixtures in {} can't be listed", folder.display());
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).with_context(unreadable)? {
        paths.push(entry.with_context(unreadable)?.path());
    }
    paths.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "json")
    });
    paths.sort();
    paths.into_iter().map(Fixture::read).collect()
}

/// A file that a fixture names.
fn beside(fixture: &Path, file: &Path) -> PathBuf {
    fixture.parent().unwrap_or(Path::new("")).join(file)
}

impl Fixture {
    /// Reads a fixture.
    ///
    /// # Errors
    ///
    /// It can't be read, or something in it makes no sense.
    pub fn read(path: PathBuf) -> Result<Self> {
        let bytes = crate::read(&path)?;
        let wrong = || format!("{} is no fixture", path.display());
        let mut fixture: Self = serde_json::from_slice(&bytes).with_context(wrong)?;
        for exchange in &mut fixture.exchanges {
            exchange.response.load(&path).with_context(wrong)?;
        }
        if let Some(file) = input::body_file(&fixture.operation, &fixture.input) {
            fixture.body = Some(crate::read(&beside(&path, &file))?);
        }
        fixture.kind().with_context(wrong)?;
        fixture.request().with_context(wrong)?;
        fixture.path = path;
        Ok(fixture)
    }

    /// Its file's name.
    #[must_use]
    pub fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    pub(crate) fn kind(&self) -> Result<OperationKind> {
        input::operation(&self.operation)
    }

    /// The message that starts the operation.
    pub(crate) fn request(&self) -> Result<v1::OperationRequest> {
        let credential = self.credential.as_ref().map(Credential::message);
        let mut input = input::input(&self.operation, &self.input)?;
        if let (Input::ParseDelivery(delivery), Some(body)) = (&mut input, &self.body) {
            delivery.body.clone_from(body);
        }
        Ok(v1::OperationRequest {
            schema: 1,
            now_unix_ms: self.now_unix_ms,
            random_seed: vec![7; 32],
            api_base: self.api_base.clone(),
            web_base: self.web_base.clone(),
            settings: self.settings.clone().into_iter().collect(),
            edition: self.edition.clone(),
            credential: credential.transpose()?,
            input: Some(input),
        })
    }

    /// The bytes of that message.
    pub(crate) fn request_bytes(&self) -> Result<Vec<u8>> {
        Ok(self.request()?.encode_to_vec())
    }
}

impl Credential {
    fn message(&self) -> Result<v1::Credential> {
        Ok(v1::Credential {
            auth_kind: input::auth_kind(&self.auth_kind)?.into(),
            token_kind: self.token_kind.clone(),
            scopes: self.scopes.clone(),
            client_id: self.client_id.clone(),
            login: self.login.clone(),
            username: self.username.clone(),
            app_id: self.app_id.clone(),
            installation_id: self.installation_id.clone(),
        })
    }
}

impl Exchange {
    /// Takes out what was read from another file, before this one is written.
    pub(crate) fn unload(&mut self) {
        if self.response.body_file.is_some() {
            self.response.body = Value::Null;
        }
    }
}

impl Reply {
    /// Checks that it is one thing, and reads the body's file.
    fn load(&mut self, fixture: &Path) -> Result<()> {
        let kinds = [
            self.status.is_some(),
            self.error.is_some(),
            self.verified.is_some(),
            self.signed.is_some(),
        ];
        ensure!(
            kinds.into_iter().filter(|set| *set).count() == 1,
            "a response has one of 'status', 'error', 'verified' and 'signed'"
        );
        if let Some(error) = &self.error {
            input::code(error)?;
        }
        if let Some(file) = &self.body_file {
            let bytes = crate::read(&beside(fixture, file))?;
            self.body = Value::String(String::from_utf8(bytes).context("a body file is text")?);
        }
        Ok(())
    }

    /// The bytes of the body.
    pub(crate) fn body(&self) -> Vec<u8> {
        match &self.body {
            Value::Null => Vec::new(),
            Value::String(text) => text.clone().into_bytes(),
            other => other.to_string().into_bytes(),
        }
    }

    /// The answer that the plugin gets.
    pub(crate) fn answer(&self) -> effect_result::Kind {
        if let Some(error) = &self.error {
            let code = input::code(error).unwrap_or(v1::Code::Transport);
            return show::error(code, "the request did not get through");
        }
        match (self.verified, self.signed) {
            (Some(verified), _) => effect_result::Kind::Verified(verified),
            (_, Some(signed)) => effect_result::Kind::Signed(signed),
            _ => effect_result::Kind::Http(self.response()),
        }
    }

    fn response(&self) -> v1::HttpResponse {
        let header = |(name, value): (&String, &String)| v1::PlainHeader {
            name: name.to_ascii_lowercase(),
            value: value.clone(),
        };
        v1::HttpResponse {
            status: self.status.unwrap_or_default().into(),
            headers: self.headers.iter().map(header).collect(),
            body: self.body(),
        }
    }
}
