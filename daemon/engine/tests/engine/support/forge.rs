//! The forge's token endpoint, scripted.

use std::{
    collections::VecDeque,
    sync::{
        Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bindery_core::{
    exchange::{
        DeviceAuthorization, DeviceCall, Exchanged, HttpRequest, HttpResponse, Post, ProbeReport,
        Reach, RevokeCall, RevokeOutcome, Route, TokenCall, TokenGrant, TokenHint, TokenOutcome,
        TokenReply, Tokens,
    },
    host::{Certificates, HostNetwork},
    port::{BoxFuture, Egress},
    problem::Problem,
    secret::{Secret, SecretSet},
};
use tokio::sync::Notify;

use super::registry::Registry;

type Script = Box<dyn Fn(u64) -> TokenOutcome + Send + Sync>;

type Model = Box<dyn Fn(&TokenGrant<'_>) -> TokenOutcome + Send + Sync>;

/// The forge's token endpoint, as egress would report it.
pub(crate) struct ScriptedForge {
    script: Mutex<VecDeque<Script>>,
    model: Mutex<Option<Model>>,
    pub(crate) token_calls: AtomicUsize,
    /// Refresh tokens that were presented.
    pub(crate) presented: Mutex<Vec<String>>,
    /// What the certificates of any host say of themselves.
    pub(crate) certificates: Mutex<Certificates>,
    /// What a probe of any URL finds.
    pub(crate) probed: Mutex<ProbeReport>,
    /// Places of the client secrets that the token endpoint takes and refuses.
    pub(crate) judges: Mutex<(Option<usize>, Vec<usize>)>,
    serial: AtomicU64,
    /// Tokens that were presented at the revocation endpoint.
    pub(crate) ended: Mutex<Vec<(TokenHint, String)>>,
    /// Answers of the revocation endpoint; without one, it is done.
    pub(crate) revocations: Mutex<VecDeque<RevokeOutcome>>,
    /// Tokens that were minted or rotated.
    pub(crate) minted: AtomicU64,
    /// Names of the secrets that each request could use.
    pub(crate) named: Mutex<Vec<Vec<String>>>,
    /// The secrets of hooks that requests brought, in order.
    pub(crate) hook_secrets: Mutex<Vec<String>>,
    /// What events are posted to.
    pub(crate) registry: Registry,
    pub(crate) released: Notify,
    held: std::sync::atomic::AtomicBool,
}

impl ScriptedForge {
    pub(super) fn new() -> Self {
        Self {
            script: Mutex::default(),
            model: Mutex::default(),
            token_calls: AtomicUsize::new(0),
            presented: Mutex::default(),
            certificates: Mutex::default(),
            probed: Mutex::default(),
            registry: Registry::default(),
            judges: Mutex::default(),
            serial: AtomicU64::new(1),
            ended: Mutex::default(),
            revocations: Mutex::default(),
            minted: AtomicU64::new(0),
            named: Mutex::default(),
            hook_secrets: Mutex::default(),
            released: Notify::new(),
            held: false.into(),
        }
    }

    /// The next answer; without one, tokens that live an hour.
    pub(crate) fn answer(&self, script: impl Fn(u64) -> TokenOutcome + Send + Sync + 'static) {
        self.script
            .lock()
            .expect("lock")
            .push_back(Box::new(script));
    }

    /// From now on every grant that is presented is judged by a model, where no other answer waits.
    pub(crate) fn judge_by(
        &self,
        model: impl Fn(&TokenGrant<'_>) -> TokenOutcome + Send + Sync + 'static,
    ) {
        *self.model.lock().expect("lock") = Some(Box::new(model));
    }

    /// The answer to a grant, when it is the `n`th.
    fn judge(&self, grant: &TokenGrant<'_>, n: u64) -> TokenOutcome {
        if let Some(script) = self.script.lock().expect("lock").pop_front() {
            return script(n);
        }
        let model = self.model.lock().expect("lock");
        model
            .as_ref()
            .map_or_else(|| pair(n, 3600), |model| model(grant))
    }

    /// Holds every answer until [`Self::release`].
    pub(crate) fn hold(&self) {
        self.held.store(true, Ordering::SeqCst);
    }

    pub(crate) fn release(&self) {
        self.held.store(false, Ordering::SeqCst);
        self.released.notify_waiters();
    }
}

/// Tokens `a{n}` and `r{n}` that live for `seconds`.
pub(crate) fn pair(n: u64, seconds: u64) -> TokenOutcome {
    TokenOutcome::Granted(Tokens {
        access_token: Secret::new(format!("a{n}")),
        refresh_token: Some(Secret::new(format!("r{n}"))),
        expires_in: Some(Duration::from_secs(seconds)),
        scopes: Some(vec!["repo".to_owned(), "user".to_owned()]),
    })
}

impl Egress for ScriptedForge {
    /// The scripted plugin asks for nothing but new tokens: each is `m{n}`, captured as the request says.
    fn send<'a>(
        &'a self,
        request: &'a HttpRequest,
        route: Route<'a>,
    ) -> BoxFuture<'a, Result<Exchanged, Problem>> {
        let used = route.secrets.iter().map(|(name, _)| name.to_owned());
        self.named.lock().expect("lock").push(used.collect());
        if let Some(secret) = route.secrets.get("hook_secret") {
            let secret = secret.expose().to_owned();
            self.hook_secrets.lock().expect("lock").push(secret);
            let response = HttpResponse::default();
            let captured = SecretSet::new();
            return Box::pin(async { Ok(Exchanged { response, captured }) });
        }
        let n = self.minted.fetch_add(1, Ordering::SeqCst) + 1;
        let mut captured = SecretSet::new();
        for capture in &request.capture {
            captured.insert(&capture.secret, Secret::new(format!("m{n}")));
        }
        let response = HttpResponse::default();
        Box::pin(async { Ok(Exchanged { response, captured }) })
    }

    fn token<'a>(&'a self, call: TokenCall<'a>) -> BoxFuture<'a, TokenReply> {
        Box::pin(async move {
            self.token_calls.fetch_add(1, Ordering::SeqCst);
            if let TokenGrant::Refresh { refresh_token, .. } = &call.grant {
                self.presented
                    .lock()
                    .expect("lock")
                    .push(refresh_token.expose().to_owned());
            }
            loop {
                let released = self.released.notified();
                if !self.held.load(Ordering::SeqCst) {
                    break;
                }
                released.await;
            }
            let n = self.serial.fetch_add(1, Ordering::SeqCst);
            let (taken, refused) = self.judges.lock().expect("lock").clone();
            TokenReply {
                outcome: self.judge(&call.grant, n),
                taken,
                refused,
            }
        })
    }

    fn revoke<'a>(&'a self, call: RevokeCall<'a>) -> BoxFuture<'a, RevokeOutcome> {
        let token = call.token.expose().to_owned();
        self.ended.lock().expect("lock").push((call.hint, token));
        let script = self.revocations.lock().expect("lock").pop_front();
        Box::pin(async { script.unwrap_or(RevokeOutcome::Done) })
    }

    fn authorize_device<'a>(
        &'a self,
        call: DeviceCall<'a>,
    ) -> BoxFuture<'a, Result<DeviceAuthorization, Problem>> {
        let given = DeviceAuthorization {
            device_code: Secret::new("device-code".to_owned()),
            user_code: Secret::new("WDJB-MJHT".to_owned()),
            verification_uri: call.endpoint.replace("/code", ""),
            expires_in: Duration::from_secs(900),
            interval: Duration::from_secs(5),
        };
        Box::pin(async { Ok(given) })
    }

    fn probe<'a>(&'a self, _: &'a str, _: Reach<'a>) -> BoxFuture<'a, ProbeReport> {
        let report = self.probed.lock().expect("lock").clone();
        Box::pin(async { report })
    }

    fn admit(&self, _: Reach<'_>) -> Result<(), Problem> {
        Ok(())
    }

    fn certificates(&self, _: &HostNetwork) -> Certificates {
        self.certificates.lock().expect("lock").clone()
    }

    fn admit_post(&self, url: &str) -> Result<(), Problem> {
        match url.starts_with("https://") {
            true => Ok(()),
            false => Err(Problem::invalid("endpoint_uri", "no https")),
        }
    }

    fn post<'a>(&'a self, post: Post<'a>) -> BoxFuture<'a, Result<u16, Problem>> {
        self.registry.post(post)
    }
}
