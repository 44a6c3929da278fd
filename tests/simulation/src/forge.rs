//! The forges, as egress reports them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use bindery_core::{
    exchange::{
        DeviceAuthorization, DeviceCall, Exchanged, HttpRequest, HttpResponse, ProbeReport, Reach,
        RevokeCall, RevokeOutcome, Route, TokenCall, TokenGrant, TokenOutcome, TokenReply, Tokens,
    },
    host::{Certificates, HostNetwork},
    port::{BoxFuture, Egress},
    problem::{Problem, Reason},
    secret::{Secret, SecretSet},
};
use bindery_twins::{
    State,
    http::{Request, Response},
    oauth::{Client, Consent},
    world::Refused,
};
use serde_json::Value;

use crate::{
    fate::{Fate, lock},
    rules::Kind,
};

/// What goes wrong with the next call to a token endpoint.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// It was carried out, and nobody learns of it.
    ReplyLost,
    /// It may have been carried out, and was not.
    RequestLost,
    /// The forge has an error of its own.
    ServerError,
    /// The rate limit is used up, for so many seconds.
    RateLimited(u64),
    /// The answer is half a document, after the work was done.
    Garbage,
}

/// One forge, with one person and one application.
pub(crate) struct Forge {
    state: State,
    client: Client,
    person: u64,
    fault: Option<Fault>,
    /// Every request fails until then, on the forge's own clock.
    away_until: u64,
}

/// All of them, under the names of their kinds.
pub(crate) struct Forges {
    all: Mutex<BTreeMap<&'static str, Forge>>,
    /// The real time; the daemon's clock may say something else.
    now_ms: Mutex<u64>,
}

impl Forges {
    pub(crate) fn new(kinds: &[Kind], seed: u64, now_ms: u64) -> Self {
        let forge = |kind: &Kind| (kind.name, Forge::new(kind, seed));
        Self {
            all: Mutex::new(kinds.iter().map(forge).collect()),
            now_ms: Mutex::new(now_ms),
        }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        *lock(&self.now_ms)
    }

    pub(crate) fn advance(&self, by_ms: u64) {
        *lock(&self.now_ms) += by_ms;
    }

    /// Changes or asks one forge.
    pub(crate) fn with<T>(&self, name: &str, work: impl FnOnce(&mut Forge, u64) -> T) -> T {
        let now = self.now_ms();
        let mut all = lock(&self.all);
        work(all.get_mut(name).expect("a known forge"), now)
    }
}

impl Forge {
    fn new(kind: &Kind, seed: u64) -> Self {
        let mut state = State::new(kind.rules.clone(), seed);
        let person = state.world.add_person("octo", 0);
        let client = {
            let (oauth, cx) = state.oauth(0);
            oauth.register(
                cx.mint,
                "Bindery",
                &["https://bindery.example/callback"],
                &["all"],
            )
        };
        Self {
            state,
            client,
            person,
            fault: None,
            away_until: 0,
        }
    }

    /// The application at it.
    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    /// A person consents, and the code is exchanged: the first pair of a link.
    pub(crate) fn first_pair(&mut self, now_ms: u64) -> Tokens {
        let redirect_uri = "https://bindery.example/callback";
        let code = self.consent(redirect_uri, now_ms);
        match self.exchange(&code, redirect_uri, now_ms) {
            TokenOutcome::Granted(tokens) => tokens,
            other => panic!("the first code is refused: {other:?}"),
        }
    }

    /// A person consents: the code that they come back with.
    pub(crate) fn consent(&mut self, redirect_uri: &str, now_ms: u64) -> String {
        let (client, person) = (self.client.clone(), self.person);
        let (oauth, mut cx) = self.state.oauth(now_ms);
        let consent = Consent {
            client: &client.id,
            person,
            redirect_uri,
            scopes: &client.scopes,
            challenge: None,
        };
        oauth.consent(&mut cx, &consent)
    }

    /// Gives tokens for a code, unless something goes wrong.
    fn exchange(&mut self, code: &str, redirect_uri: &str, now_ms: u64) -> TokenOutcome {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri),
        ];
        self.asked(&fields, &[], now_ms)
    }

    /// Ends a token, and its pair.
    fn end(&mut self, token: &str, now_ms: u64) -> RevokeOutcome {
        if now_ms < self.away_until {
            return RevokeOutcome::Failed(problem(Reason::HostUnreachable));
        }
        let client = &self.client;
        let fields = [
            ("token", token),
            ("client_id", client.id.as_str()),
            ("client_secret", client.secrets[0].as_str()),
        ];
        let (oauth, _) = self.state.oauth(now_ms);
        match oauth.revoke(&Request::form("/revoke", &fields)) {
            Some(answer) if answer.status == 200 => RevokeOutcome::Done,
            _ => RevokeOutcome::Failed(problem(Reason::ProviderUnsupported)),
        }
    }

    /// Every token of the person for the application dies.
    pub(crate) fn revoke(&mut self) {
        let client = self.client.id.clone();
        self.state.oauth.revoke_authorization(self.person, &client);
    }

    pub(crate) const fn fail_next(&mut self, fault: Fault) {
        self.fault = Some(fault);
    }

    pub(crate) const fn leave_until(&mut self, until_ms: u64) {
        self.away_until = until_ms;
    }

    /// A new token is refused so many milliseconds, until every replica knows it.
    pub(crate) const fn lag(&mut self, ms: u64) {
        self.state.knobs.replica_lag.ms = ms;
    }

    pub(crate) fn heal(&mut self) {
        self.fault = None;
        self.away_until = 0;
        self.lag(0);
    }

    /// Whether an access token is good, for one who looks.
    pub(crate) fn accepts(&self, token: &str, now_ms: u64) -> bool {
        self.refusal(token, now_ms).is_none()
    }

    /// Why an access token is not good, for one who looks.
    pub(crate) fn refusal(&self, token: &str, now_ms: u64) -> Option<Refused> {
        self.state.oauth.bearer(token, now_ms).err()
    }

    /// Whether a refresh token is good, for one who looks.
    pub(crate) fn renews(&self, token: &str, now_ms: u64) -> bool {
        self.state.oauth.renews(token, now_ms)
    }

    /// Refreshes that it carried out.
    pub(crate) const fn refreshes(&self) -> usize {
        self.state.oauth.refreshes()
    }

    fn token(&mut self, fields: &[(&str, &str)], now_ms: u64) -> Response {
        let (id, secret) = (self.client.id.clone(), self.client.secrets[0].clone());
        let mut all = fields.to_vec();
        all.extend([
            ("client_id", id.as_str()),
            ("client_secret", secret.as_str()),
        ]);
        let request = Request::form("/token", &all).with("accept", "application/json");
        let (oauth, mut cx) = self.state.oauth(now_ms);
        oauth.token(&mut cx, &request)
    }

    fn refresh(&mut self, refresh_token: &str, dead: &[String], now_ms: u64) -> TokenOutcome {
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
        ];
        self.asked(&fields, dead, now_ms)
    }

    /// The token endpoint, with what goes wrong with it.
    fn asked(&mut self, fields: &[(&str, &str)], dead: &[String], now_ms: u64) -> TokenOutcome {
        if now_ms < self.away_until {
            return TokenOutcome::NotNow(problem(Reason::HostUnreachable));
        }
        match self.fault.take() {
            None => parsed(&self.token(fields, now_ms), dead),
            Some(Fault::ReplyLost | Fault::Garbage) => {
                self.token(fields, now_ms);
                TokenOutcome::Lost(problem(Reason::HostAnswerUnusable))
            }
            Some(Fault::RequestLost) => TokenOutcome::Lost(problem(Reason::HostUnreachable)),
            Some(Fault::ServerError) => TokenOutcome::NotNow(problem(Reason::ProviderUnavailable)),
            Some(Fault::RateLimited(seconds)) => {
                let limited = problem(Reason::ProviderRateLimited);
                TokenOutcome::NotNow(limited.retry(Some(Duration::from_secs(seconds))))
            }
        }
    }

    fn status(&mut self, token: &str, now_ms: u64) -> Result<u16, Problem> {
        if now_ms < self.away_until {
            return Err(problem(Reason::HostUnreachable));
        }
        let taken = self.state.oauth.present(token, now_ms).is_ok();
        Ok(if taken { 200 } else { 401 })
    }
}

/// The answer of a token endpoint, as egress reads it.
fn parsed(answer: &Response, dead: &[String]) -> TokenOutcome {
    let body = answer.value();
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    if let Some(error) = text("error") {
        let dead = error == "invalid_grant" || dead.contains(&error);
        return TokenOutcome::Refused { error, dead };
    }
    match text("access_token") {
        Some(access_token) => TokenOutcome::Granted(Tokens {
            access_token: Secret::new(access_token),
            refresh_token: text("refresh_token").map(Secret::new),
            expires_in: body
                .get("expires_in")
                .and_then(Value::as_u64)
                .map(Duration::from_secs),
            scopes: None,
        }),
        None => TokenOutcome::Lost(problem(Reason::HostAnswerUnusable)),
    }
}

fn problem(reason: Reason) -> Problem {
    Problem::new(reason, reason.as_str().to_ascii_lowercase())
}

/// The forges as one life of the daemon reaches them.
pub(crate) struct Reached {
    pub(crate) forges: Arc<Forges>,
    pub(crate) fate: Arc<Fate>,
}

impl Reached {
    /// The forge that a URL is on: `https://gitlab/...`.
    fn name(url: &str) -> &str {
        let rest = url.strip_prefix("https://").unwrap_or(url);
        rest.split('.').next().unwrap_or_default()
    }
}

impl Egress for Reached {
    fn send<'a>(
        &'a self,
        request: &'a HttpRequest,
        route: Route<'a>,
    ) -> BoxFuture<'a, Result<Exchanged, Problem>> {
        Box::pin(async move {
            self.fate.step().await;
            let token = route.secrets.get("access_token").map_or("", Secret::expose);
            let status = self.forges.with(Self::name(&request.url), |forge, now| {
                forge.status(token, now)
            })?;
            self.fate.step().await;
            Ok(Exchanged {
                response: HttpResponse {
                    status,
                    ..HttpResponse::default()
                },
                captured: SecretSet::new(),
            })
        })
    }

    /// A death after it leaves the forge with what it did.
    fn token<'a>(&'a self, call: TokenCall<'a>) -> BoxFuture<'a, TokenReply> {
        Box::pin(async move {
            self.fate.step().await;
            let dead = &call.method.dead_grant_errors;
            let outcome =
                self.forges
                    .with(Self::name(call.endpoint), |forge, now| match &call.grant {
                        TokenGrant::Refresh { refresh_token, .. } => {
                            forge.refresh(refresh_token.expose(), dead, now)
                        }
                        TokenGrant::Code {
                            code, redirect_uri, ..
                        } => forge.exchange(code.expose(), redirect_uri, now),
                        TokenGrant::Device { .. } => {
                            TokenOutcome::NotNow(problem(Reason::ProviderUnsupported))
                        }
                    });
            self.fate.step().await;
            outcome.into()
        })
    }

    /// A death after it leaves the token ended, and nobody who knows.
    fn revoke<'a>(&'a self, call: RevokeCall<'a>) -> BoxFuture<'a, RevokeOutcome> {
        Box::pin(async move {
            self.fate.step().await;
            let outcome = self.forges.with(Self::name(call.endpoint), |forge, now| {
                forge.end(call.token.expose(), now)
            });
            self.fate.step().await;
            outcome
        })
    }

    /// No link of a run is made by a device.
    fn authorize_device<'a>(
        &'a self,
        _: DeviceCall<'a>,
    ) -> BoxFuture<'a, Result<DeviceAuthorization, Problem>> {
        let refused = Err(problem(Reason::ProviderUnsupported));
        Box::pin(std::future::ready(refused))
    }

    fn probe<'a>(&'a self, _: &'a str, _: Reach<'a>) -> BoxFuture<'a, ProbeReport> {
        Box::pin(std::future::ready(ProbeReport::default()))
    }

    fn admit(&self, _: Reach<'_>) -> Result<(), Problem> {
        Ok(())
    }

    fn certificates(&self, _: &HostNetwork) -> Certificates {
        Certificates::default()
    }
}
