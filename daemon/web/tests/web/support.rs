//! The ports in memory, and a listener over the real engine.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bindery_core::{
    exchange::{Exchanged, HttpRequest, ProbeReport, Route, TokenCall, TokenOutcome, Tokens},
    flow::Flow,
    host::{Host, HostNetwork, HostSecrets},
    link::{Grant, Link},
    name::{HostName, LinkId, NamespaceName, ProviderName},
    namespace::NamespaceKind,
    port::{
        BoxFuture, Change, Clock, Egress, Entropy, Entry, Expect, Key, Listing, Next, Operation,
        Page, Providers, Record, Started, Step, Vault, VaultError, VaultHealth,
    },
    problem::{Problem, Reason},
    provider::{
        AccountKind, AuthKind, AuthMethod, Call, Description, Endpoints, Failure, Identity, Input,
        OperationKind, Output, Permission, PermissionScopes, RateLimitHeaders, Revocation,
        RevocationOutcome, RevocationSupport, Rotation, TokenFacts, TokenKind,
    },
    secret::Secret,
    time::Timestamp,
};
use bindery_engine::{
    Engine, EngineConfig, Ports,
    hosts::NewHost,
    links::{Method, NewLink, PermissionKey},
    namespaces::NewNamespace,
};
use bindery_web::{EngineReadiness, Limits, Rates, WebState};
use prometheus_client::registry::Registry;
use ring::rand::SecureRandom;
use tokio::net::TcpListener;

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("lock")
}

// ---- vault ----------------------------------------------------------------------------------------------------------

/// Records in memory, with the versions that the real vault keeps.
#[derive(Default)]
pub struct MemoryVault(Mutex<BTreeMap<String, (u64, Record)>>);

fn name_of(key: &Key) -> String {
    format!("{key:?}")
}

fn copy(record: &Record) -> Record {
    match record {
        Record::Host(host) => Record::Host(host.clone()),
        Record::HostSecrets(secrets) => Record::HostSecrets(HostSecrets {
            client_secrets: secrets
                .client_secrets
                .iter()
                .map(Secret::duplicate)
                .collect(),
        }),
        Record::Namespace(namespace) => Record::Namespace(namespace.clone()),
        Record::Link(link) => Record::Link(link.clone()),
        Record::Grant(grant) => Record::Grant(Grant {
            access_token: grant.access_token.duplicate(),
            refresh_token: grant.refresh_token.as_ref().map(Secret::duplicate),
            ..*grant
        }),
        Record::Flow(flow) => Record::Flow(copy_flow(flow)),
        Record::Receipt(receipt) => Record::Receipt(receipt.clone()),
        Record::Request(memory) => Record::Request(memory.clone()),
        Record::Intent(_) => unreachable!("no refresh runs in these tests"),
    }
}

fn copy_flow(flow: &Flow) -> Flow {
    Flow {
        id: flow.id.clone(),
        namespace: flow.namespace.clone(),
        link: flow.link.clone(),
        host: flow.host.clone(),
        principal: flow.principal.clone(),
        return_to: flow.return_to.clone(),
        pkce_verifier: flow.pkce_verifier.as_ref().map(Secret::duplicate),
        ..*flow
    }
}

fn listed(listing: &Listing, record: &Record) -> bool {
    match (listing, record) {
        (Listing::Hosts, Record::Host(_))
        | (Listing::Namespaces, Record::Namespace(_))
        | (Listing::Flows, Record::Flow(_))
        | (Listing::Intents, Record::Intent(_))
        | (Listing::Requests, Record::Request(_)) => true,
        (Listing::Links(namespace), Record::Link(link)) => *namespace == link.namespace,
        (Listing::Receipts(namespace), Record::Receipt(receipt)) => *namespace == receipt.namespace,
        _ => false,
    }
}

impl Vault for MemoryVault {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Entry<Record>>, VaultError>> {
        let found = lock(&self.0)
            .get(&name_of(key))
            .map(|(version, record)| Entry {
                record: copy(record),
                version: *version,
            });
        Box::pin(async { Ok(found) })
    }

    fn page<'a>(
        &'a self,
        listing: &'a Listing,
        _after: Option<&'a [u8]>,
        _limit: usize,
    ) -> BoxFuture<'a, Result<Page, VaultError>> {
        let records = lock(&self.0);
        let found = records
            .values()
            .filter(|(_, record)| listed(listing, record));
        let entries = found
            .map(|(version, record)| Entry {
                record: copy(record),
                version: *version,
            })
            .collect();
        Box::pin(async {
            Ok(Page {
                entries,
                next: None,
            })
        })
    }

    fn commit(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<(), VaultError>> {
        let mut records = lock(&self.0);
        let holds = |change: &Change| {
            let version = records
                .get(&name_of(&change.key))
                .map(|(version, _)| *version);
            match change.expect {
                Expect::Any => true,
                Expect::Absent => version.is_none(),
                Expect::Version(expected) => version == Some(expected),
            }
        };
        if !changes.iter().all(holds) {
            return Box::pin(async { Err(VaultError::Conflict) });
        }
        for change in changes {
            let name = name_of(&change.key);
            let version = records.get(&name).map_or(0, |(version, _)| *version);
            match change.write {
                Some(record) => drop(records.insert(name, (version + 1, record))),
                None => drop(records.remove(&name)),
            }
        }
        Box::pin(async { Ok(()) })
    }

    fn health(&self) -> VaultHealth {
        VaultHealth::Serving
    }
}

// ---- the other ports ------------------------------------------------------------------------------------------------

/// A clock that stands still until it is moved.
pub struct FixedClock(AtomicU64);

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.0.load(Ordering::SeqCst))
    }

    fn sleep_until(&self, _when: Timestamp) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }
}

struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        ring::rand::SystemRandom::new()
            .fill(buffer)
            .expect("randomness");
    }
}

/// The forge behind egress and the plugin.
pub struct Forge {
    /// How often a token endpoint was called.
    pub exchanges: AtomicU64,
    /// How often access was taken back.
    pub revocations: AtomicU64,
    /// Why the token endpoint refuses.
    pub refuses: Mutex<Option<Reason>>,
    /// Whose token it is.
    pub identity: Mutex<Identity>,
    /// Granted scopes.
    pub granted: Mutex<Option<Vec<String>>>,
    description: Arc<Description>,
}

impl Egress for Forge {
    fn send<'a>(
        &'a self,
        _request: &'a HttpRequest,
        _route: Route<'a>,
    ) -> BoxFuture<'a, Result<Exchanged, Problem>> {
        unreachable!("the plugin of these tests asks for nothing")
    }

    fn token<'a>(&'a self, _call: TokenCall<'a>) -> BoxFuture<'a, TokenOutcome> {
        self.exchanges.fetch_add(1, Ordering::SeqCst);
        let outcome = match *lock(&self.refuses) {
            Some(Reason::ClientRefused) => TokenOutcome::ClientRefused,
            Some(Reason::TokenRefused) => TokenOutcome::Refused {
                error: "bad_verification_code".to_owned(),
                dead: false,
            },
            Some(other) => TokenOutcome::NotNow(Problem::new(other, "SENTENCE FOR THE LOG")),
            None => TokenOutcome::Granted(Tokens {
                access_token: Secret::new("gho_BNDRYCANARY".to_owned()),
                refresh_token: None,
                expires_in: None,
                scopes: lock(&self.granted).clone(),
            }),
        };
        Box::pin(async { outcome })
    }

    fn probe<'a>(&'a self, _url: &'a str, _network: &'a HostNetwork) -> BoxFuture<'a, ProbeReport> {
        Box::pin(async { ProbeReport::default() })
    }

    fn admit(&self, _host: &Host) -> Result<(), Problem> {
        Ok(())
    }
}

struct Finished;

impl Operation for Finished {
    fn resume(
        &mut self,
        _results: Vec<bindery_core::exchange::EffectResult>,
    ) -> BoxFuture<'_, Result<Step, Failure>> {
        unreachable!("the first step was the last")
    }
}

impl Providers for Forge {
    fn list(&self) -> Vec<Arc<Description>> {
        vec![self.description.clone()]
    }

    fn describe(&self, provider: &ProviderName) -> Option<Arc<Description>> {
        (*provider == self.description.provider).then(|| self.description.clone())
    }

    fn start<'a>(
        &'a self,
        _provider: &'a ProviderName,
        call: Call,
    ) -> BoxFuture<'a, Result<Started, Failure>> {
        let output = match call.input {
            Input::Identify => Output::Identity(lock(&self.identity).clone()),
            Input::InspectToken => Output::TokenFacts(TokenFacts {
                scopes: lock(&self.granted).clone(),
                expires: None,
                active: true,
            }),
            Input::Revoke { .. } => {
                self.revocations.fetch_add(1, Ordering::SeqCst);
                Output::Revocation(Revocation {
                    outcome: RevocationOutcome::Done,
                    message: "revoked".to_owned(),
                    action_uri: String::new(),
                })
            }
            _ => Output::Empty,
        };
        let step = Step {
            partial: Vec::new(),
            cancelled: Vec::new(),
            next: Next::Done(output),
        };
        let operation = Box::new(Finished);
        Box::pin(async { Ok(Started { operation, step }) })
    }
}

fn description() -> Description {
    let needs = |permission, scopes: &[&str]| PermissionScopes {
        permission,
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        covered_by: Vec::new(),
    };
    Description {
        provider: ProviderName::parse("github").expect("name"),
        version: "1.0.0".to_owned(),
        display_name: "GitHub".to_owned(),
        platform_versions: String::new(),
        trigger_limits: String::new(),
        operations: vec![
            OperationKind::Identify,
            OperationKind::InspectToken,
            OperationKind::Revoke,
        ],
        endpoints: Endpoints {
            api_from_web: "{web}/api/v3".to_owned(),
            authorize: "{web}/login/oauth/authorize".to_owned(),
            token: "{web}/login/oauth/access_token".to_owned(),
            ..Endpoints::default()
        },
        auth_methods: vec![oauth()],
        token_kinds: vec![TokenKind {
            name: "oauth".to_owned(),
            prefix: String::new(),
            auth_kind: None,
            git_username: "x-access-token".to_owned(),
        }],
        permissions: vec![
            needs(Permission::Identity, &[]),
            needs(Permission::Organizations, &["read:org"]),
            needs(Permission::ReadCode, &["repo"]),
            needs(Permission::Webhooks, &["admin:repo_hook"]),
        ],
        revocation: RevocationSupport {
            oauth: true,
            ..RevocationSupport::default()
        },
        rate_limits: RateLimitHeaders::default(),
        isolation: "full".to_owned(),
        sha256: "0".repeat(64),
    }
}

fn oauth() -> AuthMethod {
    AuthMethod {
        kind: AuthKind::OAuthCode,
        pkce: true,
        basic_client_auth: false,
        scope_separator: " ".to_owned(),
        response_scope_separator: ",".to_owned(),
        rotation: Rotation::Never,
        reuse_is_fatal: false,
        authorize_parameters: Vec::new(),
        help_uri: String::new(),
        dead_grant_errors: Vec::new(),
        errors_with_status_ok: true,
    }
}

// ---- the world ------------------------------------------------------------------------------------------------------

/// What is different about a world.
pub struct Setting {
    pub public_url: &'static str,
    pub namespace: &'static str,
    pub principal: &'static str,
    pub identity: &'static str,
    pub issuer: Option<&'static str>,
    pub return_to: Option<&'static str>,
    pub rates: Rates,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            public_url: "http://localhost:8080",
            namespace: "Acme Registry",
            principal: "registry.acme.example",
            identity: "octo",
            issuer: None,
            return_to: None,
            rates: Rates::default(),
        }
    }
}

/// A listener over the real engine with one pending link.
pub struct World {
    pub address: SocketAddr,
    pub engine: Engine,
    pub forge: Arc<Forge>,
    pub clock: Arc<FixedClock>,
    /// Path of the start page.
    pub start: String,
    /// Redirect path of the host.
    pub callback: String,
}

impl World {
    pub async fn new() -> Self {
        Self::with(Setting::default()).await
    }

    pub async fn with(setting: Setting) -> Self {
        let vault = Arc::new(MemoryVault::default());
        let forge = Arc::new(forge(setting.identity));
        let clock = Arc::new(FixedClock(AtomicU64::new(1_790_000_000_000)));
        let ports = Ports {
            vault: vault.clone(),
            egress: forge.clone(),
            providers: forge.clone(),
            clock: clock.clone(),
            entropy: Arc::new(SystemEntropy),
        };
        let registered = (
            "portal".to_owned(),
            "https://registry.example/links?tab=1".to_owned(),
        );
        let config = EngineConfig {
            public_url: setting.public_url.to_owned(),
            return_addresses: BTreeMap::from([registered]),
        };
        let engine = Engine::new(ports, config);
        let callback = prepare(&engine, &vault, &setting).await;
        let start = new_link(&engine, &setting).await;
        let address = listen(&engine, setting.rates).await;
        Self {
            address,
            engine,
            forge,
            clock,
            start: start.trim_start_matches(setting.public_url).to_owned(),
            callback,
        }
    }

    pub fn pass(&self, time: Duration) {
        let ms = u64::try_from(time.as_millis()).expect("short");
        self.clock.0.fetch_add(ms, Ordering::SeqCst);
    }

    pub fn exchanges(&self) -> u64 {
        self.forge.exchanges.load(Ordering::SeqCst)
    }

    pub async fn link(&self) -> Link {
        let (namespace, id) = names();
        self.engine
            .link(&namespace, &id)
            .await
            .expect("link")
            .record
    }
}

fn names() -> (NamespaceName, LinkId) {
    let namespace = NamespaceName::parse("acme").expect("name");
    (namespace, LinkId::parse("builds").expect("name"))
}

fn forge(login: &str) -> Forge {
    let identity = Identity {
        stable_id: "583231".to_owned(),
        login: login.to_owned(),
        display_name: format!("{login} the person"),
        kind: AccountKind::User,
        web_uri: String::new(),
    };
    let granted = ["read:org", "repo"].map(str::to_owned).to_vec();
    Forge {
        exchanges: AtomicU64::new(0),
        revocations: AtomicU64::new(0),
        refuses: Mutex::new(None),
        identity: Mutex::new(identity),
        granted: Mutex::new(Some(granted)),
        description: Arc::new(description()),
    }
}

/// A namespace and a host; returns the host's redirect path.
async fn prepare(engine: &Engine, vault: &MemoryVault, setting: &Setting) -> String {
    let namespace = NewNamespace {
        name: names().0,
        kind: NamespaceKind::Organization,
        display_name: setting.namespace.to_owned(),
    };
    engine
        .create_namespace(namespace, None)
        .await
        .expect("namespace");
    let host = NewHost {
        name: HostName::parse("github.com").expect("name"),
        provider: ProviderName::parse("github").expect("name"),
        display_name: String::new(),
        web_url: "https://github.com".to_owned(),
        api_url: String::new(),
        internal_web_url: String::new(),
        network: HostNetwork::default(),
        oauth_client_id: Some("Iv1.client".to_owned()),
        client_secrets: vec![Secret::new("client-secret-BNDRYCANARY".to_owned())],
        settings: BTreeMap::new(),
    };
    let mut host = engine.create_host(host, None).await.expect("host").record;
    host.issuer = setting.issuer.map(str::to_owned);
    let callback = format!("/oauth/{}/callback", host.redirect_id);
    let change = Change {
        key: Key::Host(host.name.clone()),
        expect: Expect::Any,
        write: Some(Record::Host(host)),
    };
    vault.commit(vec![change]).await.expect("commit");
    callback
}

/// Starts a link as a registry does; returns the URL of its start page.
async fn new_link(engine: &Engine, setting: &Setting) -> String {
    let (namespace, id) = names();
    let permissions = [
        PermissionKey::Identity,
        PermissionKey::Organizations,
        PermissionKey::ReadCode,
        PermissionKey::Webhooks,
    ];
    let new = NewLink {
        namespace,
        id: Some(id),
        host: HostName::parse("github.com").expect("name"),
        display_name: String::new(),
        permissions: permissions.into(),
        method: Method::OAuthCode {
            return_to: setting.return_to.map(str::to_owned),
        },
        principal: setting.principal.to_owned(),
    };
    let created = engine.create_link(new, None).await.expect("link");
    created.authorization.expect("a flow").uri
}

async fn listen(engine: &Engine, rates: Rates) -> SocketAddr {
    let metrics = Arc::new(Mutex::new(Registry::default()));
    let readiness = Arc::new(EngineReadiness(engine.clone()));
    let state = WebState::new(engine.clone(), metrics, readiness).expect("public URL");
    let router = bindery_web::router(state.with_rates(rates));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    tokio::spawn(bindery_web::serve(
        listener,
        router,
        Limits::default(),
        std::future::pending(),
    ));
    address
}
