//! The ports in memory, and a listener over the real engine.

mod forge;
mod log;
mod vault;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::Router;
use bindery_audit::AuditLog;
use bindery_core::{
    link::Link,
    name::{HostName, LinkId, NamespaceName, ProviderName},
    namespace::NamespaceKind,
    port::{Change, Expect, Key, Record, Vault},
    secret::Secret,
};
use bindery_engine::{
    Engine, EngineConfig, Ports,
    hosts::NewHost,
    links::{Method, NewLink, PermissionKey},
    namespaces::NewNamespace,
};
use bindery_web::{EngineReadiness, Limits, Rates, WebState};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

use self::{
    forge::{FixedClock, Forge, SystemEntropy, forge},
    log::Log,
    vault::MemoryVault,
};

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("lock")
}

/// What is different about a world.
pub struct Setting {
    pub public_url: &'static str,
    pub namespace: &'static str,
    pub kind: NamespaceKind,
    pub principal: &'static str,
    pub identity: &'static str,
    pub issuer: Option<&'static str>,
    pub return_to: Option<&'static str>,
    /// Another namespace, an instance, that the person may choose.
    pub offered: Option<&'static str>,
    pub rates: Rates,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            public_url: "http://localhost:8080",
            namespace: "Acme Registry",
            kind: NamespaceKind::Organization,
            principal: "registry.acme.example",
            identity: "octo",
            issuer: None,
            return_to: None,
            offered: None,
            rates: Rates::default(),
        }
    }
}

/// A listener over the real engine with one pending link.
pub struct World {
    pub address: SocketAddr,
    /// What serves behind the listener.
    pub router: Router,
    pub engine: Engine,
    pub forge: Arc<Forge>,
    pub vault: Arc<MemoryVault>,
    pub clock: Arc<FixedClock>,
    pub log: Arc<Log>,
    /// Path of the start page.
    pub start: String,
    /// Redirect path of the host.
    pub callback: String,
}

impl World {
    pub async fn new() -> Self {
        Self::with(Setting::default()).await
    }

    /// With other limits of connections.
    pub async fn listening(limits: Limits) -> Self {
        Self::made(Setting::default(), limits).await
    }

    pub async fn with(setting: Setting) -> Self {
        Self::made(setting, Limits::default()).await
    }

    async fn made(setting: Setting, limits: Limits) -> Self {
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
        let log = Arc::new(Log::new(vault.clone(), clock.clone()).await);
        let router = router(&engine, log.audit.clone(), setting.rates);
        let address = listen(router.clone(), limits).await;
        Self {
            address,
            router,
            engine,
            forge,
            vault,
            log,
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

fn offered(setting: &Setting) -> Option<NamespaceName> {
    let name = setting.offered?;
    Some(NamespaceName::parse(name).expect("name"))
}

/// A namespace and a host; returns the host's redirect path.
async fn prepare(engine: &Engine, vault: &MemoryVault, setting: &Setting) -> String {
    let namespace = NewNamespace {
        display_name: setting.namespace.to_owned(),
        ..NewNamespace::new(names().0, setting.kind.clone())
    };
    engine
        .create_namespace(namespace, None)
        .await
        .expect("namespace");
    if let Some(name) = offered(setting) {
        let kind = NamespaceKind::Instance {
            instance_type: "enterprise".to_owned(),
            region: "eu & us".to_owned(),
        };
        let other = engine.create_namespace(NewNamespace::new(name, kind), None);
        other.await.expect("namespace");
    }
    let (name, provider) = (
        HostName::parse("github.com").expect("name"),
        ProviderName::parse("github").expect("name"),
    );
    let mut host = NewHost::new(name, provider, "https://github.com");
    host.settings.client.id = Some("Iv1.client".to_owned());
    let secret = Secret::new("client-secret-BNDRYCANARY".to_owned());
    host.settings.client.secrets = Some(vec![secret]);
    let mut host = engine.create_host(host, None).await.expect("host").record;
    host.issuer = setting.issuer.unwrap_or_default().to_owned();
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
    let method = Method::OAuthCode {
        return_to: setting.return_to.map(str::to_owned),
    };
    let host = HostName::parse("github.com").expect("name");
    let new = NewLink {
        id: Some(id),
        permissions: permissions.into(),
        offered: offered(setting).into_iter().collect(),
        ..NewLink::new(namespace, host, method, setting.principal.to_owned())
    };
    let created = engine.create_link(new, None).await.expect("link");
    created.authorization.expect("a flow").uri
}

fn router(engine: &Engine, log: Arc<AuditLog>, rates: Rates) -> Router {
    let metrics = Arc::new(Mutex::new(Registry::default()));
    let readiness = Arc::new(EngineReadiness(engine.clone()));
    let state = WebState::new(engine.clone(), log, metrics, readiness).expect("public URL");
    bindery_web::router(state.with_rates(rates))
}

async fn listen(router: Router, limits: Limits) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    tokio::spawn(bindery_web::serve(
        listener,
        router,
        limits,
        std::future::pending(),
    ));
    address
}
