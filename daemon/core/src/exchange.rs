//! Requests in which secrets are named, not written, and what comes back.

use std::{net::IpAddr, time::Duration};

use crate::{
    host::{Host, HostSecrets},
    origin::OriginSet,
    problem::Problem,
    provider::AuthMethod,
    secret::{Secret, SecretSet},
    time::Timestamp,
};

/// What a plugin wants done.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    /// Unique within the operation.
    pub id: u32,
    /// What.
    pub kind: EffectKind,
}

/// Kinds of effects.
#[derive(Clone, Debug, PartialEq)]
pub enum EffectKind {
    /// Send a request.
    Http(HttpRequest),
    /// Check a MAC in constant time.
    VerifyMac {
        /// Name of the key.
        secret: String,
        /// `hmac-sha256`, `hmac-sha1` or `equal`.
        algorithm: String,
        /// What was signed.
        message: Vec<u8>,
        /// The MAC.
        mac: Vec<u8>,
    },
    /// Sign a JWT and keep it as a secret.
    SignJwt {
        /// Name of the private key.
        secret: String,
        /// `RS256`.
        algorithm: String,
        /// Claims.
        claims_json: Vec<u8>,
        /// Name under which it is kept.
        store_as: String,
    },
}

/// A request to a host.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpRequest {
    /// Method, upper case.
    pub method: String,
    /// Absolute URL.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(String, Vec<Segment>)>,
    /// Body.
    pub body: Vec<Segment>,
    /// Secrets to take out of the response.
    pub capture: Vec<Capture>,
    /// Lowers the cap on the response; 0 for the cap itself.
    pub max_response_bytes: u64,
}

/// A part of a header value or of a body.
#[derive(Clone, Debug, PartialEq)]
pub enum Segment {
    /// Bytes as they are.
    Literal(Vec<u8>),
    /// A secret, put in by egress.
    Secret {
        /// Its name.
        name: String,
        /// How it is written.
        encoding: Encoding,
        /// Text before it, encoded with it.
        prefix: String,
    },
}

/// How a secret is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Encoding {
    /// As it is.
    Raw,
    /// Base64 of prefix and secret.
    Base64,
    /// A JSON string with its quotes.
    JsonString,
    /// application/x-www-form-urlencoded.
    Form,
}

/// A secret in a response.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Capture {
    /// JSON pointer (RFC 6901).
    pub pointer: String,
    /// Name under which it is kept.
    pub secret: String,
}

/// The answer to an effect.
#[derive(Clone, Debug, PartialEq)]
pub struct EffectResult {
    /// Id of the effect.
    pub id: u32,
    /// The answer.
    pub answer: Answer,
}

/// Answers to effects.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// A response, whatever its status.
    Http(HttpResponse),
    /// The MAC was right or wrong.
    Verified(bool),
    /// The JWT is signed.
    Signed,
    /// It could not be done.
    Failed(Problem),
}

/// A response in which every known secret is blanked out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HttpResponse {
    /// Status.
    pub status: u16,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

/// How a host is reached: by its network rules, with the keys that they need.
#[derive(Clone, Copy, Debug)]
pub struct Reach<'a> {
    /// The host.
    pub host: &'a Host,
    /// Its secrets; the key of the client certificate and the proxy's password are used on every leg.
    pub secrets: &'a HostSecrets,
}

/// Where a request may go, and with what.
#[derive(Debug)]
pub struct Route<'a> {
    /// How the host is reached.
    pub reach: Reach<'a>,
    /// The only origins that may be called.
    pub origins: &'a OriginSet,
    /// The secrets that the request may name.
    pub secrets: &'a SecretSet,
}

/// What a request brought.
#[derive(Debug)]
pub struct Exchanged {
    /// The response, scrubbed.
    pub response: HttpResponse,
    /// Secrets that were captured from it.
    pub captured: SecretSet,
}

/// Bytes that are posted to a registry. They hold no secret but what their receiver may see.
#[derive(Clone, Copy, Debug)]
pub struct Post<'a> {
    /// Where to.
    pub url: &'a str,
    /// Headers beside those that every request has.
    pub headers: &'a [(&'static str, String)],
    /// The body.
    pub body: &'a [u8],
}

/// A call to a token endpoint.
#[derive(Debug)]
pub struct TokenCall<'a> {
    /// URL of the token endpoint.
    pub endpoint: &'a str,
    /// OAuth client id.
    pub client_id: &'a str,
    /// How this provider does OAuth.
    pub method: &'a AuthMethod,
    /// How the host is reached. Its client secrets are tried in their order.
    pub reach: Reach<'a>,
    /// The only origins that may be called.
    pub origins: &'a OriginSet,
    /// What is presented.
    pub grant: TokenGrant<'a>,
}

/// What is presented at a token endpoint.
#[derive(Debug)]
pub enum TokenGrant<'a> {
    /// A code (RFC 6749 section 4.1.3).
    Code {
        /// The code.
        code: &'a Secret,
        /// The redirect URI of the authorization request.
        redirect_uri: &'a str,
        /// PKCE verifier.
        verifier: Option<&'a Secret>,
    },
    /// A refresh token (RFC 6749 section 6).
    Refresh {
        /// The token.
        refresh_token: &'a Secret,
        /// The redirect URI of the authorization request, where the provider wants it again.
        redirect_uri: Option<&'a str>,
    },
    /// A device code (RFC 8628 section 3.4). `authorization_pending` and `slow_down` come back as refusals.
    Device {
        /// The code.
        device_code: &'a Secret,
    },
}

/// A call to a device authorization endpoint (RFC 8628 section 3.1).
#[derive(Debug)]
pub struct DeviceCall<'a> {
    /// URL of the endpoint.
    pub endpoint: &'a str,
    /// OAuth client id.
    pub client_id: &'a str,
    /// How this provider does OAuth.
    pub method: &'a AuthMethod,
    /// Scopes that are asked for.
    pub scopes: &'a [String],
    /// How the host is reached. Its client secrets are tried in their order.
    pub reach: Reach<'a>,
    /// The only origins that may be called, and that a person may be sent to.
    pub origins: &'a OriginSet,
}

/// What a device authorization endpoint answered (RFC 8628 section 3.2).
#[derive(Debug)]
pub struct DeviceAuthorization {
    /// What the daemon polls with.
    pub device_code: Secret,
    /// What the person enters.
    pub user_code: Secret,
    /// Where the person enters it.
    pub verification_uri: String,
    /// How long both codes are good for.
    pub expires_in: Duration,
    /// Least time between two polls.
    pub interval: Duration,
}

/// What came of a call to a token endpoint.
#[derive(Debug)]
pub struct TokenReply {
    /// The answer.
    pub outcome: TokenOutcome,
    /// Place of the client secret that the endpoint took; `None` where it took none, or it can't be told.
    pub taken: Option<usize>,
    /// Places of the client secrets that it refused.
    pub refused: Vec<usize>,
}

impl From<TokenOutcome> for TokenReply {
    /// An answer that tells nothing about client secrets.
    fn from(outcome: TokenOutcome) -> Self {
        Self {
            outcome,
            taken: None,
            refused: Vec::new(),
        }
    }
}

/// What a token endpoint answered.
#[derive(Debug)]
pub enum TokenOutcome {
    /// New tokens.
    Granted(Tokens),
    /// The grant was refused.
    Refused {
        /// The OAuth error code, cleaned: `invalid_grant`.
        error: String,
        /// The code means that the grant is dead.
        dead: bool,
    },
    /// The client was refused with every secret.
    ClientRefused,
    /// Not now; nothing was used up.
    NotNow(Problem),
    /// The request was sent and its answer lost: it may have been carried out.
    Lost(Problem),
}

/// A call to a revocation endpoint (RFC 7009).
#[derive(Debug)]
pub struct RevokeCall<'a> {
    /// URL of the endpoint.
    pub endpoint: &'a str,
    /// OAuth client id.
    pub client_id: &'a str,
    /// How this provider does OAuth.
    pub method: &'a AuthMethod,
    /// How the host is reached. Its client secrets are tried in their order.
    pub reach: Reach<'a>,
    /// The only origins that may be called.
    pub origins: &'a OriginSet,
    /// The token that is to end.
    pub token: &'a Secret,
    /// What it is.
    pub hint: TokenHint,
}

/// What a token is that is to end (RFC 7009 section 2.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TokenHint {
    /// An access token.
    Access,
    /// A refresh token.
    Refresh,
}

/// What a revocation endpoint answered.
#[derive(Clone, Debug, PartialEq)]
pub enum RevokeOutcome {
    /// The token is of no use any more: it was ended, or the endpoint does not know it.
    Done,
    /// The client was refused with every secret.
    ClientRefused,
    /// It is not known to be ended.
    Failed(Problem),
}

/// Tokens from a token endpoint.
#[derive(Debug)]
pub struct Tokens {
    /// Access token.
    pub access_token: Secret,
    /// Refresh token; an absent one keeps the old.
    pub refresh_token: Option<Secret>,
    /// Lifetime.
    pub expires_in: Option<Duration>,
    /// Granted scopes; `None` when the reply has none.
    pub scopes: Option<Vec<String>>,
}

/// A certificate that a server showed, as it describes itself.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ServerCertificate {
    /// Subject, as text.
    pub subject: String,
    /// Issuer, as text.
    pub issuer: String,
    /// DNS names and addresses that it is for.
    pub names: Vec<String>,
    /// SHA-256, hexadecimal.
    pub sha256: String,
    /// When it ends.
    pub expires: Option<Timestamp>,
}

/// What a probe of a URL found, step by step. A step after a failed one was not tried.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProbeReport {
    /// Name resolution.
    pub dns: Option<Result<String, Problem>>,
    /// Connection.
    pub tcp: Option<Result<String, Problem>>,
    /// TLS; `None` for plain http.
    pub tls: Option<Result<String, Problem>>,
    /// An answer in HTTP.
    pub http: Option<Result<String, Problem>>,
    /// `Date` of the answer, seconds since the epoch.
    pub date_unix: Option<u64>,
    /// Addresses that were found, refused ones included.
    pub addresses: Vec<IpAddr>,
    /// The certificate that the server showed, accepted or not.
    pub certificate: Option<ServerCertificate>,
    /// Status of the answer; 0 where there was none.
    pub http_status: u16,
    /// How long each step took.
    pub took: ProbeTimes,
}

/// How long the steps of a probe took; `None` for those that were not tried.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ProbeTimes {
    /// Name resolution.
    pub dns: Option<Duration>,
    /// Connection.
    pub tcp: Option<Duration>,
    /// TLS handshake.
    pub tls: Option<Duration>,
    /// Request and answer.
    pub http: Option<Duration>,
}
