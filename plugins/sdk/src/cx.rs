//! What an operation knows and can do

use std::{collections::BTreeMap, sync::Arc};

use bindery_plugin_proto::v1::{self, effect, output};

use crate::{
    Response, Result,
    body::Secret,
    exchange::{Answer, Exchange, read_response, read_signed, read_verified},
    request::Request,
    url::Url,
};

/// The context of one running operation.
#[derive(Debug)]
pub struct Cx {
    exchange: Arc<Exchange>,
    now_unix_ms: u64,
    api_base: String,
    web_base: String,
    settings: BTreeMap<String, String>,
    edition: String,
    credential: v1::Credential,
}

/// A MAC to check.
#[derive(Clone, Copy, Debug)]
pub struct Mac<'a> {
    /// Name of the key.
    pub secret: Secret,
    /// `hmac-sha256`, `hmac-sha1` or `equal`.
    pub algorithm: &'a str,
    /// What was signed.
    pub message: &'a [u8],
    /// The MAC that came with it.
    pub mac: &'a [u8],
}

impl Cx {
    pub(crate) fn new(exchange: Arc<Exchange>, request: &v1::OperationRequest) -> Self {
        Self {
            exchange,
            now_unix_ms: request.now_unix_ms,
            api_base: request.api_base.trim_end_matches('/').to_owned(),
            web_base: request.web_base.trim_end_matches('/').to_owned(),
            settings: request.settings.clone(),
            edition: request.edition.clone(),
            credential: request.credential.clone().unwrap_or_default(),
        }
    }

    /// API base URL of the host, without a trailing slash.
    pub fn api_base(&self) -> &str {
        &self.api_base
    }

    /// Web base URL of the host, without a trailing slash.
    pub fn web_base(&self) -> &str {
        &self.web_base
    }

    /// A URL below the API base; each segment is encoded. `cx.api(&["repos", owner, name])?`.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` if a segment would name another resource: empty, `.` or `..`.
    #[track_caller]
    pub fn api(&self, segments: &[&str]) -> Result<Url> {
        Url::below(&self.api_base, segments)
    }

    /// A URL below the web base; each segment is encoded.
    ///
    /// # Errors
    ///
    /// As [`Cx::api`].
    #[track_caller]
    pub fn web(&self, segments: &[&str]) -> Result<Url> {
        Url::below(&self.web_base, segments)
    }

    /// A URL that the API gave (`Link`, `Location`), if it stays on the API's origin.
    ///
    /// # Errors
    ///
    /// `MALFORMED_RESPONSE` if it leads elsewhere.
    #[track_caller]
    pub fn follow(&self, given: &str) -> Result<Url> {
        Url::on_origin_of(&self.api_base, given)
    }

    /// Wall clock at the start of the operation, in milliseconds since the epoch.
    pub fn now_unix_ms(&self) -> u64 {
        self.now_unix_ms
    }

    /// A free setting of the host.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }

    /// Name of the edition that the daemon chose for the host; empty for the description itself.
    pub fn edition(&self) -> &str {
        &self.edition
    }

    /// What is known about the credential. Never the credential.
    pub fn credential(&self) -> &v1::Credential {
        &self.credential
    }

    /// Random bytes, the same ones in a replay.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.exchange.fill_random(&mut bytes);
        bytes
    }

    /// Sends a request. Several of these may be joined: they are then under way at once.
    ///
    /// The future fails with `TRANSPORT` if nothing came back, and with a code of the daemon if it refused to send.
    pub fn send(&self, request: Request) -> Answer<Response> {
        Answer::new(&self.exchange, effect::Kind::Http(request.0), read_response)
    }

    /// Has the daemon check a MAC in constant time.
    pub fn verify_mac(&self, mac: Mac<'_>) -> Answer<bool> {
        let message = v1::VerifyMac {
            secret: mac.secret.0.to_owned(),
            algorithm: mac.algorithm.to_owned(),
            message: mac.message.to_vec(),
            mac: mac.mac.to_vec(),
        };
        Answer::new(
            &self.exchange,
            effect::Kind::VerifyMac(message),
            read_verified,
        )
    }

    /// Has the daemon sign `claims` (a JSON object) with RS256 under the key `secret`, and keep the JWT as `store_as`.
    pub fn sign_jwt(
        &self,
        secret: Secret,
        claims: &serde_json::Value,
        store_as: Secret,
    ) -> Answer<()> {
        let message = v1::SignJwt {
            secret: secret.0.to_owned(),
            algorithm: "RS256".to_owned(),
            claims_json: claims.to_string().into_bytes(),
            store_as: store_as.0.to_owned(),
        };
        Answer::new(&self.exchange, effect::Kind::SignJwt(message), read_signed)
    }

    /// Hands over a page of results. It leaves with the next step, so nothing has to be held until the end.
    pub fn emit(&self, page: impl Page) {
        self.exchange.emit(v1::Output {
            kind: Some(page.into_output()),
        });
    }

    /// Writes a line for the plugin's author to the daemon's log.
    pub fn debug(&self, message: impl Into<String>) {
        self.exchange.log(v1::LogLevel::Debug, message.into());
    }

    /// Writes a line about the life cycle to the daemon's log.
    pub fn info(&self, message: impl Into<String>) {
        self.exchange.log(v1::LogLevel::Info, message.into());
    }

    /// Writes a line about something degraded to the daemon's log.
    pub fn warn(&self, message: impl Into<String>) {
        self.exchange.log(v1::LogLevel::Warn, message.into());
    }
}

/// A page of results that an operation can hand over as it goes.
pub trait Page: sealed::Sealed {
    /// As it crosses the boundary.
    fn into_output(self) -> output::Kind;
}

impl Page for v1::OrganizationPage {
    fn into_output(self) -> output::Kind {
        output::Kind::Organizations(self)
    }
}

impl Page for v1::RepositoryPage {
    fn into_output(self) -> output::Kind {
        output::Kind::Repositories(self)
    }
}

impl Page for v1::RefPage {
    fn into_output(self) -> output::Kind {
        output::Kind::Refs(self)
    }
}

impl Page for v1::HookPage {
    fn into_output(self) -> output::Kind {
        output::Kind::Hooks(self)
    }
}

impl Page for v1::SentDeliveryPage {
    fn into_output(self) -> output::Kind {
        output::Kind::SentDeliveries(self)
    }
}

mod sealed {
    use bindery_plugin_proto::v1;

    pub trait Sealed {}
    impl Sealed for v1::OrganizationPage {}
    impl Sealed for v1::RepositoryPage {}
    impl Sealed for v1::RefPage {}
    impl Sealed for v1::HookPage {}
    impl Sealed for v1::SentDeliveryPage {}
}
