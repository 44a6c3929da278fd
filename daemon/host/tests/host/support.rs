//! Plugins that are compiled for a test, and folders to put them in

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::Duration,
};

use bindery_core::{
    name::ProviderName,
    provider::{Call, CredentialFacts, Input},
    time::Timestamp,
};
use bindery_host::{
    Catalog, Digest, Enabled, HostConfig, Limits, PluginHost, Version, WorkerConfig, pin,
};
use bindery_plugin_proto::v1;
use prost::Message as _;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use tempfile::TempDir;

pub(crate) const API: &str = "https://git.corp/api/v1";

/// The worker, built once.
pub(crate) fn worker() -> &'static Path {
    static WORKER: OnceLock<PathBuf> = OnceLock::new();
    WORKER.get_or_init(|| {
        let cargo = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "-p", "bindery-worker"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status();
        assert!(cargo.expect("cargo runs").success(), "the worker builds");
        let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .parent()
            .expect("the target folder");
        target.join("debug/bindery-plugin-worker")
    })
}

/// A copy of the worker with a name of its own. Made by another process: a writer in this one would be inherited by
/// whatever is started meanwhile, and a program that somebody writes can't be run.
pub(crate) fn copy_of_worker(store: &Store, name: &str) -> PathBuf {
    let program = store.folder.path().join(name);
    let copied = Command::new("cp").arg(worker()).arg(&program).status();
    assert!(copied.expect("cp runs").success());
    chmod(&program, 0o755);
    program
}

/// Name and version of the plugin in most tests.
pub(crate) fn name() -> ProviderName {
    ProviderName::parse("gitea").expect("a name")
}

pub(crate) fn version(text: &str) -> Version {
    text.parse().expect("a version")
}

/// A library in C. Compiled once for the same description and options.
pub(crate) fn library(description: &v1::Description, options: &[&str]) -> Vec<u8> {
    let folder = TempDir::new().expect("a folder");
    compile(description, options, folder.path());
    fs::read(folder.path().join("plugin.so")).expect("the library")
}

pub(crate) fn compile(description: &v1::Description, options: &[&str], folder: &Path) {
    let bytes: Vec<String> = description
        .encode_to_vec()
        .iter()
        .map(u8::to_string)
        .collect();
    fs::write(folder.join("description.inc"), bytes.join(",")).expect("the description");
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built = Command::new("cc")
        .args([
            "-shared",
            "-fPIC",
            "-O1",
            "-Wall",
            "-o",
            "plugin.so",
            "-I",
            ".",
        ])
        .arg("-I")
        .arg(here.join("../../plugins/abi/include"))
        .arg(here.join("tests/plugins/scripted.c"))
        .args(options)
        .current_dir(folder)
        .status();
    assert!(built.expect("cc runs").success(), "cc compiles {options:?}");
}

pub(crate) fn description(version: &str) -> v1::Description {
    v1::Description {
        provider: "gitea".into(),
        version: version.into(),
        schema_min: 1,
        schema_max: 1,
        operations: vec![
            v1::Operation::Probe.into(),
            v1::Operation::ListRepositories.into(),
        ],
        secrets: vec!["access_token".into()],
        display_name: "Gitea\u{202e}".into(),
        ..v1::Description::default()
    }
}

/// A root of plugins, keys and a lock file, all in order.
pub(crate) struct Store {
    pub(crate) folder: TempDir,
    pub(crate) catalog: Catalog,
    key: Ed25519KeyPair,
}

impl Store {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let catalog = Catalog {
            roots: vec![at("etc"), at("plugins")],
            lock_file: at("plugins.lock"),
            keys: at("keys"),
            owner: Some(rustix::process::geteuid().as_raw()),
            ..Catalog::default()
        };
        let random = ring::rand::SystemRandom::new();
        let key = Ed25519KeyPair::generate_pkcs8(&random).expect("a key");
        let key = Ed25519KeyPair::from_pkcs8(key.as_ref()).expect("a key");
        let store = Self {
            folder,
            catalog,
            key,
        };
        store.allow_key("maker", &store.key, "gitea");
        store
    }

    pub(crate) fn allow_key(&self, file: &str, key: &Ed25519KeyPair, may_sign: &str) {
        let public = data_encoding::BASE64.encode(key.public_key().as_ref());
        let text =
            format!("name = \"{file}\"\npublic_key = \"{public}\"\nmay_sign = [\"{may_sign}\"]\n");
        write(
            &self.catalog.keys.join(format!("{file}.pub")),
            text.as_bytes(),
        );
    }

    /// Folder of a version.
    pub(crate) fn at(&self, version: &str) -> PathBuf {
        self.folder.path().join("plugins/gitea").join(version)
    }

    /// Puts a library there with a signed manifest.
    pub(crate) fn install(&self, version: &str, library: &[u8]) {
        let folder = self.at(version);
        write(&folder.join("plugin.so"), library);
        self.sign(version, &manifest(version, library), &self.key);
    }

    pub(crate) fn sign(&self, version: &str, manifest: &str, key: &Ed25519KeyPair) {
        let folder = self.at(version);
        write(&folder.join("manifest.toml"), manifest.as_bytes());
        write(
            &folder.join("manifest.toml.sig"),
            key.sign(manifest.as_bytes()).as_ref(),
        );
    }

    pub(crate) fn resign(&self, version: &str, manifest: &str) {
        self.sign(version, manifest, &self.key);
    }

    /// Installs a compiled plugin and pins it.
    pub(crate) fn add(&self, version_text: &str, options: &[&str]) {
        self.install(version_text, &library(&description(version_text), options));
        self.pin(version_text);
    }

    pub(crate) fn pin(&self, version_text: &str) {
        pin(&self.catalog, &name(), &version(version_text), false).expect("it can be pinned");
    }

    pub(crate) fn config(&self, version_text: &str) -> HostConfig {
        HostConfig {
            catalog: self.catalog.clone(),
            enabled: vec![Enabled {
                name: name(),
                version: version(version_text),
            }],
            worker: WorkerConfig {
                path: worker().to_owned(),
                ..WorkerConfig::default()
            },
            limits: Limits::default(),
        }
    }
}

pub(crate) fn manifest(version: &str, library: &[u8]) -> String {
    format!(
        r#"
manifest = 1
name = "gitea"
version = "{version}"
abi = "1.0"
schema = [1, 1]
publisher = "Example Ltd"
operations = ["probe", "list_repositories"]
secrets = ["access_token"]

[[requests]]
operation = "probe"
allow = ["GET /version"]

[[requests]]
operation = "list_repositories"
allow = ["GET /user/repos", "GET /orgs/{{owner}}/repos"]
secrets = ["access_token"]

[[artifacts]]
target = "{}"
file = "plugin.so"
size = {}
sha256 = "{}"
"#,
        bindery_host::manifest::TARGET,
        library.len(),
        Digest::of(library)
    )
}

/// Writes a file that nobody else can write, whatever the umask.
pub(crate) fn write(path: &Path, bytes: &[u8]) {
    let folder = path.parent().expect("a folder");
    fs::create_dir_all(folder).expect("the folder");
    chmod(folder, 0o755);
    fs::write(path, bytes).expect("the file");
    chmod(path, 0o644);
}

pub(crate) fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("the mode");
}

/// A host with one plugin that is loaded.
pub(crate) async fn running(store: &Store, version: &str) -> PluginHost {
    let (host, failures) = PluginHost::start(store.config(version))
        .await
        .expect("a host");
    assert!(failures.is_empty(), "{failures:?}");
    host
}

/// The same, with little patience for a step.
pub(crate) async fn impatient(store: &Store, version: &str) -> PluginHost {
    let mut config = store.config(version);
    config.limits.step_time = Duration::from_millis(500);
    let (host, failures) = PluginHost::start(config).await.expect("a host");
    assert!(failures.is_empty(), "{failures:?}");
    host
}

/// What a scripted plugin is to do.
#[derive(Clone, Default)]
pub(crate) struct Script(String, usize);

impl Script {
    /// Next: answer with this step.
    pub(crate) fn step(self, step: &v1::Step) -> Self {
        let hex = data_encoding::HEXLOWER.encode(&step.encode_to_vec());
        self.act(&format!("hex:{hex}"))
    }

    /// Next: misbehave.
    pub(crate) fn act(self, action: &str) -> Self {
        Self(format!("{}@{}={action};", self.0, self.1), self.1 + 1)
    }

    pub(crate) fn on_drop(self, action: &str) -> Self {
        Self(format!("{}@drop={action};", self.0), self.1)
    }

    pub(crate) fn probe(self) -> Call {
        self.call(Input::Probe)
    }

    pub(crate) fn call(self, input: Input) -> Call {
        Call {
            now: Timestamp::from_unix_ms(1),
            seed: [7; 32],
            api_base: API.into(),
            web_base: "https://git.corp".into(),
            edition: String::new(),
            settings: BTreeMap::from([("script".into(), self.0)]),
            credential: CredentialFacts::default(),
            input,
        }
    }
}

/// A step that ends an operation.
pub(crate) fn done(version: &str) -> v1::Step {
    let server = v1::ServerFacts {
        version: version.into(),
        ..v1::ServerFacts::default()
    };
    let output = v1::Output {
        kind: Some(v1::output::Kind::Server(server)),
    };
    v1::Step {
        outcome: Some(v1::step::Outcome::Done(output)),
        ..v1::Step::default()
    }
}

/// A step that asks for one request.
pub(crate) fn ask(id: u32, method: &str, url: &str) -> v1::Step {
    let request = v1::HttpRequest {
        method: method.into(),
        url: url.into(),
        ..v1::HttpRequest::default()
    };
    let effect = v1::Effect {
        id,
        kind: Some(v1::effect::Kind::Http(request)),
    };
    v1::Step {
        effects: vec![effect],
        ..v1::Step::default()
    }
}
