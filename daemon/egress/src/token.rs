//! Token endpoints. The protocol is the `oauth2` crate's; the network and all that forges do differently is in `wire`.
//!
//! The device flow (`device`) is not the crate's: that one polls until it has a token, and here every poll must be durable
//! before the next.
//!
//! Errors of `oauth2` are never printed: `RequestTokenError::Parse` carries the raw answer, tokens and all.

use std::borrow::Cow;

use bindery_core::{
    exchange::{Reach, TokenCall, TokenGrant, TokenOutcome, TokenReply, Tokens},
    origin::OriginSet,
    problem::{Problem, Reason},
    provider::AuthMethod,
    secret::Secret,
};
use oauth2::{
    AuthType, AuthorizationCode, Client, ClientId, ClientSecret, EndpointNotSet, EndpointSet,
    PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError, Scope, StandardRevocableToken,
    TokenResponse, TokenUrl,
    basic::{BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse},
};

use self::{
    reply::Reply,
    wire::{Stop, Wire},
};
use crate::{Limits, allowed, clients::Clients, failure};

mod device;
mod reply;
pub(crate) mod revoke;
mod wire;

pub(crate) use self::device::authorize as authorize_device;

/// Error codes that may mean "the client secret is wrong". `unauthorized_client` is Gitea's answer to everything.
const CLIENT_ERRORS: [&str; 3] = [
    "invalid_client",
    "incorrect_client_credentials",
    "unauthorized_client",
];

/// Error code that means "this grant is dead" everywhere (RFC 6749 section 5.2); a provider's description names others.
const DEAD_GRANT: &str = "invalid_grant";

/// Error codes that mean "the server has a bad day" (RFC 6749 section 4.1.2.1, which forges use here as well).
const SERVER_ERRORS: [&str; 2] = ["server_error", "temporarily_unavailable"];

type OAuthClient = Client<
    BasicErrorResponse,
    Reply,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// One attempt with one client secret.
enum Attempt {
    /// This is it.
    Final(TokenOutcome),
    /// The client secret may be wrong; if there is no other one, this is it.
    Client(TokenOutcome),
}

/// Calls the endpoint with each client secret until one is accepted.
pub(crate) async fn call(clients: &Clients, limits: Limits, call: TokenCall<'_>) -> TokenReply {
    let wire = match wire(clients, limits, call.endpoint, call.reach, call.origins) {
        Ok(wire) => Wire {
            errors_with_status_ok: call.method.errors_with_status_ok,
            ..wire
        },
        Err(problem) => return TokenOutcome::NotNow(problem).into(),
    };
    let secrets = &call.reach.secrets.client_secrets;
    let mut candidates: Vec<_> = secrets.iter().map(Some).collect();
    if candidates.is_empty() {
        candidates.push(None);
    }
    let mut reply = TokenReply::from(TokenOutcome::ClientRefused);
    for (place, secret) in candidates.into_iter().enumerate() {
        match attempt(&wire, &call, secret).await {
            Attempt::Final(outcome) => {
                reply.taken = (secret.is_some() && judged(&outcome)).then_some(place);
                reply.outcome = outcome;
                return reply;
            }
            // Where one secret let the server look at the grant, what it said about the grant counts. Whether it took
            // the secret or not can't be told.
            Attempt::Client(refused @ TokenOutcome::Refused { .. }) => reply.outcome = refused,
            Attempt::Client(_) => reply.refused.extend(secret.map(|_| place)),
        }
    }
    reply
}

/// The server looked at the grant, so it had taken the client.
const fn judged(outcome: &TokenOutcome) -> bool {
    matches!(
        outcome,
        TokenOutcome::Granted(_) | TokenOutcome::Refused { .. }
    )
}

fn wire(
    clients: &Clients,
    limits: Limits,
    endpoint: &str,
    reach: Reach<'_>,
    origins: &OriginSet,
) -> Result<Wire, Problem> {
    let url = allowed(endpoint, &reach.host.network, origins)?;
    Ok(Wire {
        client: clients.fresh(reach)?,
        limits,
        errors_with_status_ok: false,
        host: url.host_str().unwrap_or_default().to_owned(),
    })
}

async fn attempt(wire: &Wire, call: &TokenCall<'_>, secret: Option<&Secret>) -> Attempt {
    let client = match client(call, secret) {
        Ok(client) => client,
        Err(problem) => return Attempt::Final(TokenOutcome::NotNow(problem)),
    };
    let result = match &call.grant {
        TokenGrant::Code {
            code,
            redirect_uri,
            verifier,
        } => {
            let Ok(redirect) = RedirectUrl::new((*redirect_uri).to_owned()) else {
                return Attempt::Final(TokenOutcome::NotNow(malformed("redirect URI")));
            };
            let code = AuthorizationCode::new(code.expose().to_owned());
            let mut request = client
                .exchange_code(code)
                .set_redirect_uri(Cow::Owned(redirect));
            if let Some(verifier) = verifier {
                let verifier = PkceCodeVerifier::new(verifier.expose().to_owned());
                request = request.set_pkce_verifier(verifier);
            }
            request.request_async(wire).await
        }
        TokenGrant::Refresh {
            refresh_token,
            redirect_uri,
        } => {
            let token = RefreshToken::new(refresh_token.expose().to_owned());
            let mut request = client.exchange_refresh_token(&token);
            if let Some(redirect_uri) = redirect_uri {
                request = request.add_extra_param("redirect_uri", *redirect_uri);
            }
            request.request_async(wire).await
        }
        TokenGrant::Device { device_code } => {
            return device::poll(wire, call, secret, device_code).await;
        }
    };
    match result {
        Ok(reply) => Attempt::Final(TokenOutcome::Granted(tokens(&reply, call.method))),
        Err(error) => refused(error, call.method, &wire.host),
    }
}

fn client(call: &TokenCall<'_>, secret: Option<&Secret>) -> Result<OAuthClient, Problem> {
    let url = TokenUrl::new(call.endpoint.to_owned()).map_err(|_| malformed("token endpoint"))?;
    let client = Client::new(ClientId::new(call.client_id.to_owned()))
        .set_token_uri(url)
        .set_auth_type(if call.method.basic_client_auth {
            AuthType::BasicAuth
        } else {
            AuthType::RequestBody
        });
    Ok(match secret {
        Some(secret) => client.set_client_secret(ClientSecret::new(secret.expose().to_owned())),
        None => client,
    })
}

fn tokens(reply: &Reply, method: &AuthMethod) -> Tokens {
    let refresh_token = reply
        .refresh_token()
        .filter(|token| !token.secret().is_empty());
    Tokens {
        access_token: Secret::new(reply.access_token().secret().clone()),
        refresh_token: refresh_token.map(|token| Secret::new(token.secret().clone())),
        expires_in: reply.expires_in(),
        scopes: reply
            .scopes_in(&method.scopes_member)
            .map(|scopes| split(&scopes, &method.response_scope_separator)),
    }
}

/// Scopes come here as one text, or already split where the reply had a list.
fn split(scopes: &[Scope], separator: &str) -> Vec<String> {
    let parts = scopes.iter().flat_map(|scope| {
        let by = if separator.is_empty() { " " } else { separator };
        scope.split(by)
    });
    parts
        .map(str::trim)
        .filter(|scope| !scope.is_empty())
        .map(str::to_owned)
        .collect()
}

fn refused(
    error: RequestTokenError<Stop, BasicErrorResponse>,
    method: &AuthMethod,
    host: &str,
) -> Attempt {
    match error {
        RequestTokenError::Request(stop) => stopped(stop),
        RequestTokenError::ServerResponse(response) => {
            verdict(&clean(response.error().as_ref()), method, host)
        }
        // Success without a readable token: the host may have used up what was presented.
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
            let why = "its token endpoint answered without a token";
            Attempt::Final(TokenOutcome::Lost(failure::unusable(host, why)))
        }
    }
}

fn stopped(stop: Stop) -> Attempt {
    match stop {
        Stop::NotNow(problem) => Attempt::Final(TokenOutcome::NotNow(problem)),
        Stop::Lost(problem) => Attempt::Final(TokenOutcome::Lost(problem)),
        Stop::Client => Attempt::Client(TokenOutcome::ClientRefused),
    }
}

fn verdict(error: &str, method: &AuthMethod, host: &str) -> Attempt {
    let named = method.dead_grant_errors.iter().any(|code| code == error);
    let dead = named || error == DEAD_GRANT;
    let client = CLIENT_ERRORS.contains(&error);
    if SERVER_ERRORS.contains(&error) && !dead {
        return Attempt::Final(TokenOutcome::NotNow(wire::broken(host)));
    }
    if client && !dead {
        return Attempt::Client(TokenOutcome::ClientRefused);
    }
    let refused = TokenOutcome::Refused {
        error: error.to_owned(),
        dead,
    };
    if client {
        Attempt::Client(refused)
    } else {
        Attempt::Final(refused)
    }
}

/// An error code as it may be shown: the host chose it freely.
fn clean(code: &str) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    code.chars().filter(plain).take(64).collect()
}

fn malformed(what: &str) -> Problem {
    let message = format!("the {what} is no URL; correct the URLs of this host entry");
    Problem::new(Reason::InvalidArgument, message)
}

/// The access token in an answer, for the fuzzer.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz_reply(answer: &crate::exchange::Answer) -> Option<String> {
    let fields = wire::fields(answer)?;
    let reply: Reply = serde_json::from_value(fields.into()).ok()?;
    Some(reply.access_token().secret().clone())
}
