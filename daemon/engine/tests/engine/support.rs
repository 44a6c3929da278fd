//! A world with a virtual clock: real vault, scripted forge.

#[path = "support/app.rs"]
mod app;
#[path = "support/forge.rs"]
mod forge;
#[path = "support/hooked.rs"]
mod hooked;
#[path = "support/hooks.rs"]
mod hooks;
#[path = "support/plugin.rs"]
mod plugin;
#[path = "support/reads.rs"]
mod reads;
#[path = "support/registry.rs"]
mod registry;

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bindery_core::{
    exchange::{TokenOutcome, Tokens},
    link::Link,
    name::{HostName, LinkId, NamespaceName, ProviderName},
    namespace::NamespaceKind,
    port::{BoxFuture, Clock, Entropy, Vault},
    problem::Problem,
    provider::{Identity, Output},
    secret::Secret,
    time::Timestamp,
};
use bindery_engine::{
    Engine, EngineConfig, Ports,
    credentials::{Access, Credential, Wanted},
    flows::{Shown, StarterSays},
    hosts::NewHost,
    links::{Method, NewLink},
    namespaces::NewNamespace,
};
use bindery_store::{FaultyStore, MemoryStore, SledConfig, SledStore};
use bindery_vault::{Init, InitMode, NewSlot, OpenOptions, SealedVault, Unlock};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::watch;

pub(crate) use self::{
    forge::{ScriptedForge, pair},
    hooked::{Hooked, SECRET, hook_id, incoming, signed, source_name, weakly_signed},
    hooks::{HookForge, new_source, source_of},
    plugin::{ScriptedPlugin, failure, installation, octo},
    reads::Reads,
    registry::Posted,
};

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

/// Everything a test touches.
pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) clock: Arc<VirtualClock>,
    pub(crate) forge: Arc<ScriptedForge>,
    pub(crate) plugin: Arc<ScriptedPlugin>,
    pub(crate) store: Arc<FaultyStore<MemoryStore>>,
    /// For records that a test finds there: the engine's own vault.
    pub(crate) vault: Arc<SealedVault>,
    folder: tempfile::TempDir,
}

impl World {
    /// A daemon's engine with host `forge` and the namespaces `acme` and `umbrella`.
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
        let (engine, vault) = engine(&folder, &store, &clock, &forge, &plugin).await;
        let world = Self {
            engine,
            clock,
            forge,
            plugin,
            store,
            vault,
            folder,
        };
        world.set_up().await;
        world
    }

    /// As [`Self::new`], with an engine over a store on disk. [`Self::store`] and [`Self::restart`] are those of another one.
    pub(crate) async fn on_disk() -> Self {
        let mut world = Self::new().await;
        let folder = world.folder.path().join("disk");
        let mut config = SledConfig::default();
        config.ballast_bytes = 0;
        let store = Arc::new(SledStore::open(folder.join("store"), config).expect("store"));
        let slots = vec![NewSlot::CreateKeyFile(folder.join("root.key"))];
        let init = Init::prepare(folder.join("vault"), slots, InitMode::Development).expect("init");
        init.finish(store.as_ref(), Timestamp::default())
            .await
            .expect("vault");
        let unlock = vec![Unlock::KeyFile(folder.join("root.key"))];
        let vault = SealedVault::open(folder.join("vault"), store, unlock).await;
        world.vault = Arc::new(vault.expect("vault opens"));
        world.engine = world.engine_over(Arc::clone(&world.vault) as _);
        world.set_up().await;
        world
    }

    /// What a restart leaves: a new engine on the same store.
    pub(crate) async fn restart(&mut self) {
        (self.engine, self.vault) = engine(
            &self.folder,
            &self.store,
            &self.clock,
            &self.forge,
            &self.plugin,
        )
        .await;
        self.engine.recover().await.expect("recovery");
    }

    /// Another engine, over a vault that tells what is asked of it.
    pub(crate) fn engine_over(&self, vault: Arc<dyn Vault>) -> Engine {
        engine_of(vault, &self.clock, &self.forge, &self.plugin)
    }

    async fn set_up(&self) {
        let provider = ProviderName::parse("forge").expect("name");
        let mut host = NewHost::new(host_name(), provider, "https://forge.example/");
        host.settings.client.id = Some("client".to_owned());
        host.settings.client.secrets = Some(vec![Secret::new("s3cret".to_owned())]);
        self.engine.create_host(host, None).await.expect("host");
        for (name, display_name) in [(acme(), "Acme"), (umbrella(), "Umbrella")] {
            let namespace = NewNamespace {
                display_name: display_name.to_owned(),
                ..NewNamespace::new(name, NamespaceKind::Organization)
            };
            self.engine
                .create_namespace(namespace, None)
                .await
                .expect("namespace");
        }
    }

    /// A bound link whose token expires after `seconds`; `None` for a token that never does.
    pub(crate) async fn bound(&self, seconds: Option<u64>) -> Link {
        self.bound_in(acme(), seconds).await
    }

    /// As [`Self::bound`], in another namespace: one identity is linked to one only once.
    pub(crate) async fn bound_in(&self, namespace: NamespaceName, seconds: Option<u64>) -> Link {
        let script = move |n| match seconds {
            Some(seconds) => pair(n, seconds),
            None => TokenOutcome::Granted(Tokens {
                access_token: Secret::new(format!("a{n}")),
                refresh_token: None,
                expires_in: None,
                scopes: None,
            }),
        };
        let id = self.bind(namespace.clone(), script).await;
        let link = self.engine.link(&namespace, &id).await;
        link.expect("link").record
    }

    /// As [`Self::bound`], of another identity.
    pub(crate) async fn bound_as(&self, stable_id: &str, seconds: Option<u64>) -> Link {
        let other = Identity {
            stable_id: stable_id.to_owned(),
            ..octo()
        };
        self.plugin
            .on("Identify", move |_| Ok(Output::Identity(other.clone())));
        let link = self.bound(seconds).await;
        self.plugin.forget("Identify");
        link
    }

    /// A bound link whose first tokens are as `script` says.
    pub(crate) async fn bound_with(
        &self,
        script: impl Fn(u64) -> TokenOutcome + Send + Sync + 'static,
    ) -> LinkId {
        self.bind(acme(), script).await
    }

    async fn bind(
        &self,
        namespace: NamespaceName,
        script: impl Fn(u64) -> TokenOutcome + Send + Sync + 'static,
    ) -> LinkId {
        let new = NewLink {
            namespace,
            ..oauth_link()
        };
        let created = self.engine.create_link(new, None).await.expect("link");
        let uri = created.authorization.expect("authorization").uri;
        let flow = uri.rsplit('/').next().expect("flow").to_owned();
        self.forge.answer(script);
        self.consent(&flow, "cookie").await.expect("callback");
        let view = self
            .engine
            .confirm_view(&flow, "cookie")
            .await
            .expect("confirm page");
        let confirmed = self
            .engine
            .confirm_in_browser(
                &flow,
                view.confirm_code.expose(),
                "cookie",
                Shown::default(),
            )
            .await;
        confirmed.expect("confirmed").link.record.id
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
            installation: None,
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
) -> (Engine, Arc<SealedVault>) {
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
    let vault = Arc::new(vault);
    let engine = engine_of(Arc::clone(&vault) as _, clock, forge, plugin);
    (engine, vault)
}

fn engine_of(
    vault: Arc<dyn Vault>,
    clock: &Arc<VirtualClock>,
    forge: &Arc<ScriptedForge>,
    plugin: &Arc<ScriptedPlugin>,
) -> Engine {
    let ports = Ports {
        vault,
        egress: Arc::clone(forge) as _,
        providers: Arc::clone(plugin) as _,
        clock: Arc::clone(clock) as _,
        entropy: Arc::new(RealEntropy(SystemRandom::new())),
    };
    let return_addresses = BTreeMap::from([(
        "harbor".to_owned(),
        "https://harbor.example/sources".to_owned(),
    )]);
    let config = EngineConfig {
        public_url: "https://bindery.example".to_owned(),
        return_addresses,
    };
    Engine::new(ports, config)
}

pub(crate) fn wanted(link: &LinkId) -> Wanted {
    Wanted {
        namespace: acme(),
        link: link.clone(),
        access: Access::Read,
        repository: None,
        require_narrowed: false,
        min_remaining: Duration::ZERO,
        insist: false,
        holder: "uid:1000".to_owned(),
    }
}

pub(crate) fn oauth_link() -> NewLink {
    let method = Method::OAuthCode { return_to: None };
    NewLink::new(acme(), host_name(), method, "uid:1000".to_owned())
}

/// What a principal says who confirms without having seen a page.
pub(crate) fn says(principal: &str) -> StarterSays<'_> {
    StarterSays {
        principal,
        code: None,
        identity: None,
        shown: Shown::default(),
        move_to: None,
        allow_personal_account: false,
        expect: None,
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

/// Another namespace.
pub(crate) fn umbrella() -> NamespaceName {
    NamespaceName::parse("umbrella").expect("name")
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
