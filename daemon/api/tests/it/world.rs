//! A daemon's API over a real vault, with all three listeners.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use bindery_api::{Api, Limits, PolicyHandle, Surface, TlsHandle, serve_tls, serve_unix};
use bindery_audit::{AuditConfig, AuditLog, Disk, RealDisk};
use bindery_core::{
    audit::{Audit, AuditPage, AuditQuery},
    lease::{Access, Lease},
    name::{HostName, LeaseId, LinkId, NamespaceName, ProviderName},
    namespace::NamespaceKind,
    port::{Change, Expect, Key, Record, Vault},
    receipt::Receipt,
    secret::Secret,
    time::Timestamp,
};
use bindery_engine::{
    Engine, EngineConfig, Ports,
    hosts::NewHost,
    links::{Method, NewLink, PermissionKey},
    namespaces::NewNamespace,
};
use bindery_store::{MemoryStore, Store};
use bindery_vault::{Init, InitMode, NewSlot, SealedVault, Unlock};
use prometheus_client::registry::Registry;
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, UnixListener},
    sync::watch,
    task::JoinHandle,
};
use tonic::transport::Channel;

use crate::{
    certs::{self, Identity, spiffe},
    client,
    ports::{FixedClock, Forge, Operator, SystemEntropy},
};

/// The token of the link; it must never be where it does not belong.
pub(crate) const TOKEN: &str = "BNDRYCANARYtoken";

/// Who may do what in the tests.
pub(crate) const POLICY: &str = r#"
[[allow]]
principals = ["spiffe://test.example/owner", "spiffe://test.example/revoked"]
namespaces = ["acme", "fresh"]
actions = [
  "read", "link", "credential:read", "credential:write", "source", "event", "event:payload", "namespace", "provider",
  "host:read", "host",
]

[[allow]]
principals = ["spiffe://test.example/other"]
namespaces = ["umbrella"]
actions = ["read", "link", "credential:read", "credential:write", "source", "event", "namespace"]

[[allow]]
principals = ["spiffe://test.example/reader"]
namespaces = ["acme"]
actions = ["read", "provider", "host:read"]

[[allow]]
principals = ["spiffe://test.example/builder"]
namespaces = ["acme"]
actions = ["credential:read"]
repositories = ["acme/api"]
wide_tokens = true

[[allow]]
principals = ["spiffe://test.example/builder"]
namespaces = ["acme"]
actions = ["credential:read"]
repositories = ["tools/narrow"]

[[allow]]
principals = ["dns:registry.test.example"]
namespaces = ["acme"]
actions = ["read"]
"#;

pub(crate) struct World {
    pub(crate) vault: Arc<SealedVault>,
    pub(crate) engine: Engine,
    pub(crate) api: Api,
    pub(crate) policy: PolicyHandle,
    pub(crate) registry: Registry,
    pub(crate) port: u16,
    pub(crate) audit: Arc<AuditLog>,
    pub(crate) tls: TlsHandle,
    folder: TempDir,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<std::io::Result<()>>>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Limits::default()).await
    }

    /// A daemon with `limits` on all listeners.
    pub(crate) async fn with(limits: Limits) -> Self {
        Self::on(limits, Arc::new(RealDisk)).await
    }

    /// A daemon whose audit log is on `disk`.
    pub(crate) async fn on(limits: Limits, disk: Arc<dyn Disk>) -> Self {
        Self::over(limits, disk, Arc::new(MemoryStore::default())).await
    }

    /// A daemon over `store`, whose audit log is on `disk`.
    pub(crate) async fn over(limits: Limits, disk: Arc<dyn Disk>, store: Arc<dyn Store>) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let vault = vault(&folder, store).await;
        let engine = engine(&vault);
        seed(&engine, &vault).await;
        std::fs::write(folder.path().join("policy.toml"), POLICY).expect("policy");
        let policy = PolicyHandle::load(folder.path().join("policy.toml")).expect("policy");
        let mut log = AuditConfig::new(folder.path().join("audit"));
        // Long enough for a machine that is busy with other tests: who breaks the disk waits it out.
        log.deadline = std::time::Duration::from_secs(10);
        // Whoever breaks the disk is told by the next call, whenever it comes.
        log.trust = std::time::Duration::ZERO;
        let clock = Arc::new(FixedClock::new());
        let audit = Arc::new(AuditLog::on(log, vault.clone(), clock, disk));
        let mut registry = Registry::default();
        let api = Api::new(
            engine.clone(),
            policy.clone(),
            Arc::new(Operator),
            audit.clone(),
            &mut registry,
        );
        let (stop, stopped) = watch::channel(false);
        let until = || {
            let mut stopped = stopped.clone();
            async move {
                let _ = stopped.wait_for(|stop| *stop).await;
            }
        };
        let socket = |name: &str| UnixListener::bind(folder.path().join(name)).expect("socket");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let port = listener.local_addr().expect("address").port();
        let tls = certificates(&folder);
        let (public, admin) = (socket("public"), socket("admin"));
        let tasks = vec![
            tokio::spawn(serve_unix(
                api.clone(),
                Surface::Public,
                public,
                limits.clone(),
                until(),
            )),
            tokio::spawn(serve_unix(
                api.clone(),
                Surface::Admin,
                admin,
                limits.clone(),
                until(),
            )),
            tokio::spawn(serve_tls(
                api.clone(),
                listener,
                tls.clone(),
                limits,
                until(),
            )),
        ];
        Self {
            vault,
            engine,
            api,
            policy,
            registry,
            port,
            audit,
            tls,
            folder,
            stop,
            tasks,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The process of the test, on the public socket.
    pub(crate) fn public(&self) -> Channel {
        client::unix(self.path("public"))
    }

    /// The process of the test, on the admin socket: it runs as the daemon's own user.
    pub(crate) fn admin(&self) -> Channel {
        client::unix(self.path("admin"))
    }

    /// The caller `spiffe://test.example/{name}`.
    pub(crate) async fn caller(&self, name: &str) -> Channel {
        client::tls(self.port, Some(&known(name)))
            .await
            .expect("connected")
    }

    /// Lets every user of this machine connect.
    pub(crate) fn open_to_all(&self) {
        use std::os::unix::fs::PermissionsExt;
        let open = |path: &std::path::Path, mode| {
            std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("mode");
        };
        open(self.folder.path(), 0o755);
        open(&self.path("public"), 0o666);
        open(&self.path("admin"), 0o666);
    }

    /// All that stands in the audit log, the newest first.
    pub(crate) async fn audited(&self) -> AuditPage {
        let query = AuditQuery {
            limit: 1000,
            ..AuditQuery::default()
        };
        self.audit.list(query).await.expect("records")
    }

    /// Changes the policy file and reads it again.
    pub(crate) fn set_policy(&self, text: &str) {
        std::fs::write(self.path("policy.toml"), text).expect("policy");
        self.policy.reload().expect("policy");
    }

    /// Stops all listeners, and waits for their end.
    pub(crate) async fn stop(&mut self) {
        self.stop.send_replace(true);
        for task in std::mem::take(&mut self.tasks) {
            task.await.expect("no panic").expect("no error");
        }
    }
}

/// The identity of a caller.
pub(crate) fn known(name: &str) -> Identity {
    use std::{collections::HashMap, sync::Mutex};
    static KNOWN: Mutex<Option<HashMap<String, Identity>>> = Mutex::new(None);
    let mut known = KNOWN.lock().expect("lock");
    let known = known.get_or_insert_default();
    let made = known
        .entry(name.to_owned())
        .or_insert_with(|| certs::authority().client(vec![spiffe(name)]));
    made.clone()
}

async fn vault(folder: &TempDir, store: Arc<dyn Store>) -> Arc<SealedVault> {
    let home = folder.path().join("vault");
    let key = folder.path().join("key");
    let slots = vec![NewSlot::CreateKeyFile(key.clone())];
    let init = Init::prepare(&home, slots, InitMode::Development).expect("init");
    init.finish(&*store, Timestamp::default())
        .await
        .expect("init");
    let vault = SealedVault::open(&home, store, vec![Unlock::KeyFile(key)]).await;
    Arc::new(vault.expect("vault"))
}

fn engine(vault: &Arc<SealedVault>) -> Engine {
    let forge = Arc::new(Forge::default());
    let ports = Ports {
        vault: Arc::<SealedVault>::clone(vault),
        egress: forge.clone(),
        providers: forge,
        clock: Arc::new(FixedClock::new()),
        entropy: Arc::new(SystemEntropy),
    };
    let config = EngineConfig {
        public_url: "https://bindery.example".into(),
        return_addresses: BTreeMap::new(),
    };
    Engine::new(ports, config)
}

/// Host `forge`, namespaces `acme` and `umbrella`, the bound link `acme/bound` and a receipt.
async fn seed(engine: &Engine, vault: &SealedVault) {
    for name in ["acme", "umbrella"] {
        let name = NamespaceName::parse(name).expect("name");
        let new = NewNamespace::new(name, NamespaceKind::Organization);
        engine.create_namespace(new, None).await.expect("namespace");
    }
    engine.create_host(host(), None).await.expect("host");
    let (namespace, link) = (
        NamespaceName::parse("acme").expect("name"),
        LinkId::parse("bound").expect("name"),
    );
    let method = Method::AccessToken {
        token: Secret::new(TOKEN.into()),
        username: String::new(),
    };
    let forge = HostName::parse("forge").expect("name");
    let owner = "spiffe://test.example/owner".to_owned();
    let new = NewLink {
        id: Some(link),
        display_name: "Builds".into(),
        permissions: [PermissionKey::ReadCode, PermissionKey::WriteCode].into(),
        ..NewLink::new(namespace.clone(), forge, method, owner)
    };
    engine.create_link(new, None).await.expect("link");
    let old = LinkId::parse("old").expect("name");
    let forge = HostName::parse("forge").expect("name");
    let receipt = Receipt::open(
        namespace.clone(),
        old.clone(),
        forge,
        "octo".into(),
        Timestamp::default(),
    );
    let write = Some(Record::Receipt(receipt));
    let put = |key, write| Change {
        key,
        expect: Expect::Absent,
        write,
    };
    let held = lease(&namespace);
    let changes = vec![
        put(Key::Receipt(namespace.clone(), old), write),
        put(
            Key::Lease(namespace, held.id.clone()),
            Some(Record::Lease(held)),
        ),
    ];
    vault.commit(changes).await.expect("records");
}

/// Lease `held` of a shared token, which somebody else got.
fn lease(namespace: &NamespaceName) -> Lease {
    Lease {
        namespace: namespace.clone(),
        id: LeaseId::parse("held").expect("name"),
        link: LinkId::parse("bound").expect("name"),
        repository: "acme/api".into(),
        access: Access::Read,
        narrowed: false,
        minted: false,
        holder: "spiffe://test.example/builder".into(),
        created: Timestamp::default(),
        expires: None,
        revoked: None,
    }
}

fn host() -> NewHost {
    let (name, provider) = (
        HostName::parse("forge").expect("name"),
        ProviderName::parse("gitea").expect("name"),
    );
    let mut host = NewHost::new(name, provider, "https://forge.example");
    host.settings.client.id = Some("client".into());
    host.settings.client.secrets = Some(vec![Secret::new("BNDRYCANARYclient".into())]);
    host
}

fn certificates(folder: &TempDir) -> TlsHandle {
    use std::os::unix::fs::PermissionsExt;
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("server.pem"), &certs::server().certificate).expect("write");
    std::fs::write(path("server.key"), &certs::server().key).expect("write");
    std::fs::set_permissions(path("server.key"), PermissionsExt::from_mode(0o600)).expect("mode");
    std::fs::write(path("clients.pem"), certs::authority().pem()).expect("write");
    std::fs::write(path("denied"), denied(&known("revoked"))).expect("write");
    let deny_list = path("denied");
    let handle = TlsHandle::load_with_deny_list(
        path("server.pem"),
        path("server.key"),
        path("clients.pem"),
        Some(&deny_list),
    );
    handle.expect("certificates")
}

/// A line of the deny list: the key of an identity.
pub(crate) fn denied(identity: &Identity) -> String {
    use rustls_pki_types::{CertificateDer, pem::PemObject};
    use x509_parser::prelude::{FromDer, X509Certificate};
    let der = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).expect("certificate");
    let (_, certificate) = X509Certificate::from_der(&der).expect("certificate");
    let hash = bindery_engine::sha256(certificate.public_key().raw);
    format!("{} # revoked\n", data_encoding::HEXLOWER.encode(&hash))
}
