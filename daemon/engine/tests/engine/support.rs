//! A world with a virtual clock: real vault, scripted forge.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bindery_core::{
    exchange::{
        Answer, Effect, EffectKind, EffectResult, Exchanged, HttpRequest, ProbeReport, Route,
        TokenCall, TokenGrant, TokenOutcome, Tokens,
    },
    host::{Host, HostNetwork},
    link::Link,
    name::{HostName, LinkId, NamespaceName, ProviderName},
    namespace::NamespaceKind,
    port::{BoxFuture, Clock, Egress, Entropy, Next, Operation, Providers, Started, Step},
    problem::Problem,
    provider::{
        AccountKind, AuthKind, AuthMethod, Call, Description, Endpoints, Failure, FailureCode,
        Identity, Input, OperationKind, Output, Permission, PermissionScopes, RateLimitHeaders,
        Revocation, RevocationOutcome, RevocationSupport, Rotation, TokenFacts, TokenKind,
    },
    secret::Secret,
    time::Timestamp,
};
use bindery_engine::{
    Engine, EngineConfig, Ports,
    credentials::{Access, Credential, Wanted},
    hosts::NewHost,
    links::{Method, NewLink},
    namespaces::NewNamespace,
};
use bindery_store::{FaultyStore, MemoryStore};
use bindery_vault::{Init, InitMode, NewSlot, OpenOptions, SealedVault, Unlock};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::{Notify, watch};

/// Time that stands still until a test moves it.
pub(crate) struct VirtualClock(watch::Sender<u64>);

impl VirtualClock {
    pub(crate) fn advance(&self, duration: Duration) {
        let ms = u64::try_from(duration.as_millis()).expect("fits");
        self.0.send_modify(|now| *now += ms);
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(*self.0.borrow())
    }

    fn sleep_until(&self, when: Timestamp) -> BoxFuture<'_, ()> {
        let mut now = self.0.subscribe();
        Box::pin(async move {
            now.wait_for(|now| *now >= when.unix_ms())
                .await
                .expect("the clock lives");
        })
    }
}

struct RealEntropy(SystemRandom);

impl Entropy for RealEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        self.0.fill(buffer).expect("randomness");
    }
}

type Script = Box<dyn Fn(u64) -> TokenOutcome + Send + Sync>;

/// The forge's token endpoint, as egress would report it.
pub(crate) struct ScriptedForge {
    script: Mutex<VecDeque<Script>>,
    pub(crate) token_calls: AtomicUsize,
    /// Refresh tokens that were presented.
    pub(crate) presented: Mutex<Vec<String>>,
    serial: AtomicU64,
    pub(crate) released: Notify,
    held: std::sync::atomic::AtomicBool,
}

impl ScriptedForge {
    fn new() -> Self {
        Self {
            script: Mutex::default(),
            token_calls: AtomicUsize::new(0),
            presented: Mutex::default(),
            serial: AtomicU64::new(1),
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
    fn send<'a>(
        &'a self,
        _: &'a HttpRequest,
        _: Route<'a>,
    ) -> BoxFuture<'a, Result<Exchanged, Problem>> {
        panic!("the scripted plugin asks for no request")
    }

    fn token<'a>(&'a self, call: TokenCall<'a>) -> BoxFuture<'a, TokenOutcome> {
        Box::pin(async move {
            self.token_calls.fetch_add(1, Ordering::SeqCst);
            if let TokenGrant::Refresh { refresh_token } = &call.grant {
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
            let script = self.script.lock().expect("lock").pop_front();
            script.map_or_else(|| pair(n, 3600), |script| script(n))
        })
    }

    fn probe<'a>(&'a self, _: &'a str, _: &'a HostNetwork) -> BoxFuture<'a, ProbeReport> {
        Box::pin(async { ProbeReport::default() })
    }

    fn admit(&self, _: &Host) -> Result<(), Problem> {
        Ok(())
    }
}

type Reply = Box<dyn Fn(&Call) -> Result<Output, Failure> + Send + Sync>;

/// A plugin that answers at once.
pub(crate) struct ScriptedPlugin {
    answers: Mutex<BTreeMap<&'static str, Reply>>,
    pub(crate) calls: Mutex<Vec<OperationKind>>,
    client_secret: Mutex<Option<&'static str>>,
    held: watch::Sender<bool>,
}

impl ScriptedPlugin {
    fn new() -> Self {
        Self {
            answers: Mutex::default(),
            calls: Mutex::default(),
            client_secret: Mutex::default(),
            held: watch::channel(false).0,
        }
    }

    /// Holds every answer until [`Self::release`].
    pub(crate) fn hold(&self) {
        self.held.send_replace(true);
    }

    pub(crate) fn release(&self) {
        self.held.send_replace(false);
    }

    /// The forge ends a token for this client secret only.
    pub(crate) fn revokes_for(&self, client_secret: &'static str) {
        *self.client_secret.lock().expect("lock") = Some(client_secret);
    }

    /// What stands between a call and its answer: the client secret is compared by the daemon, for no plugin sees one.
    fn client_check(&self, call: &Call) -> Option<Effect> {
        let expected = (*self.client_secret.lock().expect("lock"))?;
        matches!(call.input, Input::Revoke { .. }).then(|| Effect {
            id: 1,
            kind: EffectKind::VerifyMac {
                secret: "client_secret".to_owned(),
                algorithm: "equal".to_owned(),
                message: Vec::new(),
                mac: expected.as_bytes().to_vec(),
            },
        })
    }

    /// How often an operation was asked for.
    pub(crate) fn count(&self, operation: OperationKind) -> usize {
        let calls = self.calls.lock().expect("lock");
        calls.iter().filter(|kind| **kind == operation).count()
    }

    pub(crate) fn on(
        &self,
        operation: &'static str,
        answer: impl Fn(&Call) -> Result<Output, Failure> + Send + Sync + 'static,
    ) {
        self.answers().insert(operation, Box::new(answer));
    }

    /// Whatever an answer did: one may panic on purpose.
    fn answers(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, Reply>> {
        let answers = self.answers.lock();
        answers.unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn answer(&self, call: &Call) -> Result<Output, Failure> {
        let name = format!("{:?}", call.input.kind());
        if let Some(answer) = self.answers().get(name.as_str()) {
            return answer(call);
        }
        Ok(match call.input {
            Input::Identify => Output::Identity(octo()),
            Input::InspectToken => Output::TokenFacts(TokenFacts {
                scopes: None,
                expires: None,
                active: true,
            }),
            Input::Revoke { .. } => Output::Revocation(Revocation {
                outcome: RevocationOutcome::Done,
                message: "revoked".to_owned(),
                action_uri: String::new(),
            }),
            _ => Output::Empty,
        })
    }
}

pub(crate) fn octo() -> Identity {
    Identity {
        stable_id: "583231".to_owned(),
        login: "octo".to_owned(),
        display_name: "Octo".to_owned(),
        kind: AccountKind::User,
        web_uri: "https://forge.example/octo".to_owned(),
    }
}

pub(crate) fn failure(code: FailureCode) -> Failure {
    Failure {
        code,
        message: "provider(forge): no".to_owned(),
        http_status: 0,
        retry_after: None,
        missing_scopes: Vec::new(),
        action_uri: String::new(),
    }
}

impl Providers for ScriptedPlugin {
    fn list(&self) -> Vec<Arc<Description>> {
        vec![Arc::new(description())]
    }

    fn describe(&self, provider: &ProviderName) -> Option<Arc<Description>> {
        (provider.as_str() == "forge").then(|| Arc::new(description()))
    }

    fn start<'a>(
        &'a self,
        _: &'a ProviderName,
        call: Call,
    ) -> BoxFuture<'a, Result<Started, Failure>> {
        self.calls.lock().expect("lock").push(call.input.kind());
        let mut held = self.held.subscribe();
        Box::pin(async move {
            held.wait_for(|held| !held).await.expect("the plugin lives");
            let answer = self.answer(&call);
            let (last, next) = match self.client_check(&call) {
                Some(check) => (Some(answer?), Next::Effects(vec![check])),
                None => (None, Next::Done(answer?)),
            };
            Ok(Started {
                operation: Box::new(Checking(last)),
                step: step(next),
            })
        })
    }
}

fn step(next: Next) -> Step {
    Step {
        partial: Vec::new(),
        cancelled: Vec::new(),
        next,
    }
}

/// The answer of an operation that asked for a check of the client secret.
struct Checking(Option<Output>);

impl Operation for Checking {
    fn resume(&mut self, results: Vec<EffectResult>) -> BoxFuture<'_, Result<Step, Failure>> {
        let answer = self
            .0
            .take()
            .expect("the scripted plugin asks for one effect");
        let taken = results
            .iter()
            .all(|one| one.answer == Answer::Verified(true));
        let outcome = if taken {
            Ok(step(Next::Done(answer)))
        } else {
            Err(failure(FailureCode::PermissionDenied))
        };
        Box::pin(async { outcome })
    }
}

fn description() -> Description {
    let method = |kind| AuthMethod {
        kind,
        pkce: true,
        basic_client_auth: false,
        scope_separator: " ".to_owned(),
        response_scope_separator: " ".to_owned(),
        rotation: Rotation::Always,
        reuse_is_fatal: true,
        authorize_parameters: Vec::new(),
        help_uri: "{web}/tokens".to_owned(),
        dead_grant_errors: Vec::new(),
        errors_with_status_ok: false,
    };
    let needs = |permission, scope: &str| PermissionScopes {
        permission,
        scopes: vec![scope.to_owned()],
        covered_by: Vec::new(),
    };
    Description {
        provider: ProviderName::parse("forge").expect("name"),
        version: "1.0.0".to_owned(),
        display_name: "Forge".to_owned(),
        platform_versions: "All".to_owned(),
        trigger_limits: "None".to_owned(),
        operations: Vec::new(),
        endpoints: Endpoints {
            api_from_web: "{web}/api".to_owned(),
            authorize: "{web}/authorize".to_owned(),
            token: "{web}/token".to_owned(),
            ..Endpoints::default()
        },
        auth_methods: vec![method(AuthKind::OAuthCode), method(AuthKind::AccessToken)],
        token_kinds: vec![
            TokenKind {
                name: "app".to_owned(),
                prefix: "fa_".to_owned(),
                auth_kind: Some(AuthKind::OAuthCode),
                git_username: "{login}".to_owned(),
            },
            TokenKind {
                name: "any".to_owned(),
                prefix: String::new(),
                auth_kind: None,
                git_username: "{login}".to_owned(),
            },
        ],
        permissions: vec![
            needs(Permission::Identity, "user"),
            needs(Permission::ReadCode, "repo"),
        ],
        revocation: RevocationSupport {
            oauth: true,
            kills_siblings: true,
            ..RevocationSupport::default()
        },
        rate_limits: RateLimitHeaders::default(),
        isolation: "full".to_owned(),
        sha256: String::new(),
    }
}

/// Everything a test touches.
pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) clock: Arc<VirtualClock>,
    pub(crate) forge: Arc<ScriptedForge>,
    pub(crate) plugin: Arc<ScriptedPlugin>,
    pub(crate) store: Arc<FaultyStore<MemoryStore>>,
    folder: tempfile::TempDir,
}

impl World {
    /// A daemon's engine with host `forge` and namespace `acme`.
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let store = Arc::new(FaultyStore::new(MemoryStore::default()));
        let slots = vec![NewSlot::CreateKeyFile(folder.path().join("root.key"))];
        let init =
            Init::prepare(folder.path().join("vault"), slots, InitMode::Development).expect("init");
        init.finish(store.as_ref(), Timestamp::default())
            .await
            .expect("vault");
        let (clock, _) = watch::channel(1_000_000_000);
        let (clock, forge, plugin) = (
            Arc::new(VirtualClock(clock)),
            Arc::new(ScriptedForge::new()),
            Arc::new(ScriptedPlugin::new()),
        );
        let engine = engine(&folder, &store, &clock, &forge, &plugin).await;
        let world = Self {
            engine,
            clock,
            forge,
            plugin,
            store,
            folder,
        };
        world.set_up().await;
        world
    }

    /// What a restart leaves: a new engine on the same store.
    pub(crate) async fn restart(&mut self) {
        self.engine = engine(
            &self.folder,
            &self.store,
            &self.clock,
            &self.forge,
            &self.plugin,
        )
        .await;
        self.engine.recover().await.expect("recovery");
    }

    async fn set_up(&self) {
        let host = NewHost {
            name: host_name(),
            provider: ProviderName::parse("forge").expect("name"),
            display_name: String::new(),
            web_url: "https://forge.example/".to_owned(),
            api_url: String::new(),
            internal_web_url: String::new(),
            network: HostNetwork::default(),
            oauth_client_id: Some("client".to_owned()),
            client_secrets: vec![Secret::new("s3cret".to_owned())],
            settings: BTreeMap::new(),
        };
        self.engine.create_host(host, None).await.expect("host");
        let namespace = NewNamespace {
            name: acme(),
            kind: NamespaceKind::Organization,
            display_name: "Acme".to_owned(),
        };
        self.engine
            .create_namespace(namespace, None)
            .await
            .expect("namespace");
    }

    /// A bound link whose token expires after `seconds`; `None` for a token that never does.
    pub(crate) async fn bound(&self, seconds: Option<u64>) -> Link {
        let created = self
            .engine
            .create_link(oauth_link(), None)
            .await
            .expect("link");
        let uri = created.authorization.expect("authorization").uri;
        let flow = uri.rsplit('/').next().expect("flow").to_owned();
        self.forge.answer(move |n| match seconds {
            Some(seconds) => pair(n, seconds),
            None => TokenOutcome::Granted(Tokens {
                access_token: Secret::new(format!("a{n}")),
                refresh_token: None,
                expires_in: None,
                scopes: None,
            }),
        });
        self.consent(&flow, "cookie").await.expect("callback");
        let view = self
            .engine
            .confirm_view(&flow, "cookie")
            .await
            .expect("confirm page");
        let confirmed = self
            .engine
            .confirm_in_browser(&flow, view.confirm_code.expose(), "cookie")
            .await;
        confirmed.expect("confirmed").link.record
    }

    /// A pending link and the id of its flow.
    pub(crate) async fn flow(&self) -> (LinkId, String) {
        let created = self
            .engine
            .create_link(oauth_link(), None)
            .await
            .expect("link");
        let uri = created.authorization.expect("authorization").uri;
        let flow = uri.rsplit('/').next().expect("flow").to_owned();
        (created.link.record.id, flow)
    }

    /// The person's way from the start page to the callback.
    pub(crate) async fn consent(&self, flow: &str, cookie: &str) -> Result<(), Problem> {
        let url = self.engine.leave_for_forge(flow, cookie).await?;
        let state = query(&url, "state");
        self.engine
            .callback(self.returned(&state, Some(cookie)).await)
            .await
            .map(|_| ())
    }

    /// What a browser brings back.
    pub(crate) async fn returned<'a>(
        &self,
        state: &'a str,
        cookie: Option<&'a str>,
    ) -> bindery_engine::flows::Returned<'a> {
        let redirect_id = self
            .engine
            .host(&host_name())
            .await
            .expect("host")
            .record
            .redirect_id;
        bindery_engine::flows::Returned {
            redirect_id: Box::leak(redirect_id.into_boxed_str()),
            state,
            code: Some(Secret::new("code".to_owned())),
            error: None,
            issuer: None,
            browser: cookie,
        }
    }

    pub(crate) async fn fetch(&self, link: &LinkId) -> Result<Credential, Problem> {
        self.engine.fetch_credential(&wanted(link)).await
    }

    pub(crate) async fn read(&self, link: &LinkId) -> Link {
        self.engine.link(&acme(), link).await.expect("link").record
    }

    pub(crate) fn token_calls(&self) -> usize {
        self.forge.token_calls.load(Ordering::SeqCst)
    }
}

async fn engine(
    folder: &tempfile::TempDir,
    store: &Arc<FaultyStore<MemoryStore>>,
    clock: &Arc<VirtualClock>,
    forge: &Arc<ScriptedForge>,
    plugin: &Arc<ScriptedPlugin>,
) -> Engine {
    let unlock = vec![Unlock::KeyFile(folder.path().join("root.key"))];
    // A world that restarts keeps the old engine alive for a while, as a real machine never would, so each has a
    // high-water mark of its own.
    let highwater = tempfile::tempdir_in(folder.path()).expect("folder").keep();
    let vault = SealedVault::sealed(
        folder.path().join("vault"),
        highwater,
        Arc::clone(store) as _,
    );
    vault
        .unseal(unlock, OpenOptions::default())
        .await
        .expect("vault opens");
    let ports = Ports {
        vault: Arc::new(vault),
        egress: Arc::clone(forge) as _,
        providers: Arc::clone(plugin) as _,
        clock: Arc::clone(clock) as _,
        entropy: Arc::new(RealEntropy(SystemRandom::new())),
    };
    let return_addresses = BTreeMap::from([(
        "harbor".to_owned(),
        "https://harbor.example/sources".to_owned(),
    )]);
    Engine::new(
        ports,
        EngineConfig {
            public_url: "https://bindery.example".to_owned(),
            return_addresses,
        },
    )
}

pub(crate) fn wanted(link: &LinkId) -> Wanted {
    Wanted {
        namespace: acme(),
        link: link.clone(),
        access: Access::Read,
        min_remaining: Duration::ZERO,
    }
}

pub(crate) fn oauth_link() -> NewLink {
    NewLink {
        namespace: acme(),
        id: None,
        host: host_name(),
        display_name: String::new(),
        permissions: BTreeSet::new(),
        method: Method::OAuthCode { return_to: None },
        principal: "uid:1000".to_owned(),
    }
}

pub(crate) fn token_link(token: &str) -> NewLink {
    let method = Method::AccessToken {
        token: Secret::new(token.to_owned()),
        username: String::new(),
    };
    NewLink {
        method,
        ..oauth_link()
    }
}

pub(crate) fn acme() -> NamespaceName {
    NamespaceName::parse("acme").expect("name")
}

pub(crate) fn host_name() -> HostName {
    HostName::parse("forge").expect("name")
}

/// A parameter of a URL.
pub(crate) fn query(url: &str, name: &str) -> String {
    let url = url::Url::parse(url).expect("URL");
    let found = url
        .query_pairs()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned());
    found.unwrap_or_default()
}
