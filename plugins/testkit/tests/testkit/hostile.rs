//! The plugin host against the hostile plugin, with another plugin beside it

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bindery_core::{
    exchange::{Answer, Effect, EffectKind, EffectResult, HttpResponse, Segment},
    name::ProviderName,
    port::{Next, Providers as _, Started, Step},
    problem::{Problem, Reason},
    provider::{Call, CredentialFacts, Failure, FailureCode, Input, Output},
    time::Timestamp,
};
use bindery_host::{Catalog, Enabled, HostConfig, Limits, PluginHost, Version, WorkerConfig, pin};
use bindery_plugin_testkit::{key, package::package};
use serde::Deserialize;
use tempfile::TempDir;

use crate::artifacts::{library, source, worker};

const API: &str = "https://git.corp/api/v1";

/// How the hostile plugin starts the message of an attack that worked.
const ESCAPED: &str = "ESCAPED";

#[derive(Deserialize)]
struct Attacks {
    attack: Vec<Attack>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Attack {
    name: String,
    code: String,
    #[serde(default)]
    says: String,
    #[serde(default)]
    slow: bool,
}

fn attacks() -> Vec<Attack> {
    let path = source("hostile").join("attacks.toml");
    let text = std::fs::read_to_string(path).expect("the list of attacks");
    toml::from_str::<Attacks>(&text).expect("TOML").attack
}

fn name(text: &str) -> ProviderName {
    ProviderName::parse(text).expect("a name")
}

fn enabled(text: &str) -> Enabled {
    Enabled {
        name: name(text),
        version: version(),
    }
}

fn version() -> Version {
    "0.1.0".parse().expect("a version")
}

/// Both plugins as an operator has them: packaged, signed, pinned.
fn install(folder: &Path) -> Catalog {
    let catalog = Catalog {
        roots: vec![folder.join("plugins")],
        lock_file: folder.join("plugins.lock"),
        keys: folder.join("keys"),
        owner: Some(rustix::process::geteuid().as_raw()),
        ..Catalog::default()
    };
    std::fs::create_dir(&catalog.keys).expect("a folder");
    let signer = folder.join("keys/tests.pk8");
    let names = ["hostile".to_owned(), "template".to_owned()];
    key::generate(&signer, "tests", &names).expect("a key");
    let public = folder.join("keys/tests.pk8.pub");
    std::fs::rename(public, folder.join("keys/tests.pub")).expect("a key file");
    for one in names {
        let manifest = source(&one).join("manifest.toml");
        package(&library(&one), &manifest, &catalog.roots[0], Some(&signer)).expect("a package");
        pin(&catalog, &name(&one), &version(), false).expect("a pin");
    }
    catalog
}

struct Scene {
    host: PluginHost,
    _folder: TempDir,
}

impl Scene {
    async fn new(step_time: Duration) -> Self {
        let folder = TempDir::new().expect("a folder");
        let config = HostConfig {
            catalog: install(folder.path()),
            enabled: vec![enabled("template"), enabled("hostile")],
            worker: WorkerConfig {
                path: worker(),
                ..WorkerConfig::default()
            },
            limits: Limits {
                step_time,
                ..Limits::default()
            },
        };
        let (host, failures) = PluginHost::start(config).await.expect("a host");
        assert!(failures.is_empty(), "{failures:?}");
        Self {
            host,
            _folder: folder,
        }
    }

    /// A fresh worker for the hostile plugin, so that no attack waits out the last one's backoff. The other plugin is
    /// not touched.
    async fn renew(&self) {
        for list in [
            vec![enabled("template")],
            vec![enabled("template"), enabled("hostile")],
        ] {
            let failures = self.host.set_enabled(list).await;
            assert!(failures.is_empty(), "{failures:?}");
        }
    }

    /// Runs one attack while an operation of the other plugin is under way; that one has to end well, and so has
    /// another one after it.
    async fn attack(&self, attack: &Attack) -> Result<Output, Failure> {
        self.renew().await;
        let meanwhile = self
            .host
            .start(&name("template"), call(Input::Identify, ""))
            .await;
        let meanwhile = meanwhile.expect("the other plugin starts");
        let outcome = run(&self.host, "hostile", &attack.name).await;
        let meanwhile = finish(meanwhile).await;
        assert!(
            is_ada(&meanwhile),
            "{}: meanwhile: {meanwhile:?}",
            attack.name
        );
        let after = run(&self.host, "template", "").await;
        assert!(is_ada(&after), "{}: after: {after:?}", attack.name);
        outcome
    }
}

fn is_ada(outcome: &Result<Output, Failure>) -> bool {
    matches!(outcome, Ok(Output::Identity(identity)) if identity.login == "ada")
}

fn call(input: Input, attack: &str) -> Call {
    Call {
        now: Timestamp::from_unix_ms(1_800_000_000_000),
        seed: [7; 32],
        api_base: API.to_owned(),
        web_base: "https://git.corp".to_owned(),
        edition: String::new(),
        settings: BTreeMap::from([("attack".to_owned(), attack.to_owned())]),
        credential: CredentialFacts::default(),
        input,
    }
}

async fn run(host: &PluginHost, plugin: &str, attack: &str) -> Result<Output, Failure> {
    let started = host
        .start(&name(plugin), call(Input::Identify, attack))
        .await?;
    finish(started).await
}

/// Answers every request with an account.
async fn finish(started: Started) -> Result<Output, Failure> {
    let Started {
        mut operation,
        mut step,
    } = started;
    loop {
        match step {
            Step {
                next: Next::Done(output),
                ..
            } => return Ok(output),
            Step {
                next: Next::Effects(effects),
                ..
            } => {
                let answers = effects.iter().map(answer).collect();
                step = operation.resume(answers).await?;
            }
        }
    }
}

/// The daemon's way out puts secrets into two headers only.
fn answer(effect: &Effect) -> EffectResult {
    let leaks =
        matches!(&effect.kind, EffectKind::Http(request) if request.headers.iter().any(leak));
    let answer = if leaks {
        let message = "a secret goes into authorization and private-token only";
        Answer::Failed(Problem::new(Reason::RequestNotAllowed, message))
    } else {
        Answer::Http(HttpResponse {
            status: 200,
            body: br#"{"id":7,"login":"ada"}"#.to_vec(),
            ..HttpResponse::default()
        })
    };
    EffectResult {
        id: effect.id,
        answer,
    }
}

fn leak((name, value): &(String, Vec<Segment>)) -> bool {
    let secret = |segment: &Segment| matches!(segment, Segment::Secret { .. });
    !["authorization", "private-token"].contains(&name.as_str()) && value.iter().any(secret)
}

fn check(attack: &Attack, outcome: &Result<Output, Failure>) -> Result<(), String> {
    let shown = format!("{}: {outcome:?}", attack.name);
    let wanted = match (attack.code.as_str(), outcome) {
        ("Harmless", outcome) => is_ada(outcome),
        ("Egress", Err(failure)) => failure.code == FailureCode::RequestNotAllowed,
        (code, Err(failure)) => {
            format!("{:?}", failure.code) == code && failure.message.contains(&attack.says)
        }
        (_, Ok(_)) => false,
    };
    let clean = |failure: &Failure| {
        let text = &failure.message;
        text.starts_with("provider(hostile): ")
            && !text.contains(ESCAPED)
            && text.len() < 2000
            && !text.chars().any(char::is_control)
    };
    let clean = outcome.as_ref().err().is_none_or(clean);
    (wanted && clean).then_some(()).ok_or(shown)
}

async fn all(attacks: Vec<Attack>, step_time: Duration) {
    let scene = Scene::new(step_time).await;
    let mut wrong = Vec::new();
    for attack in attacks {
        let outcome = scene.attack(&attack).await;
        wrong.extend(check(&attack, &outcome).err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// P1, P4, P7, P9: every attack is one failed call with a typed cause, and another plugin of the same host is served
/// meanwhile and afterwards.
#[tokio::test]
async fn p1_p4_p7_p9_every_attack_fails() {
    let attacks: Vec<_> = attacks()
        .into_iter()
        .filter(|attack| !attack.slow)
        .collect();
    assert!(attacks.len() >= 25, "{} attacks", attacks.len());
    all(attacks, Duration::from_secs(20)).await;
}

/// P7: what never ends is ended at the step's deadline.
#[tokio::test]
async fn p7_what_hangs_is_killed() {
    let attacks = attacks().into_iter().filter(|attack| attack.slow).collect();
    all(attacks, Duration::from_millis(500)).await;
}

/// P4, P7: what an operation does while it is abandoned is nobody's failure but the worker's, and a new worker serves.
#[tokio::test]
async fn p4_p7_an_abandoned_operation_takes_nothing_along() {
    let scene = Scene::new(Duration::from_millis(500)).await;
    for attack in ["panic_drop", "loop_drop"] {
        scene.renew().await;
        let (hostile, input) = (name("hostile"), call(Input::Identify, attack));
        let started = scene.host.start(&hostile, input).await;
        drop(started.expect("it starts"));
        // Waits behind the drop, and fails with it if that hangs.
        let behind = run(&scene.host, "hostile", "").await;
        let killed = |failure: &Failure| failure.code == FailureCode::Crashed;
        assert_eq!(
            behind.as_ref().is_err_and(killed),
            attack == "loop_drop",
            "{behind:?}"
        );
        assert!(is_ada(&run(&scene.host, "template", "").await), "{attack}");
        let after = run(&scene.host, "hostile", "").await;
        assert!(is_ada(&after), "{attack}: {after:?}");
    }
}

/// P7: a plugin can neither fill the daemon's log nor forge a line of it.
#[tokio::test]
async fn p7_the_log_stays_the_daemons() {
    let scene = Scene::new(Duration::from_secs(20)).await;
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _here = tracing::subscriber::set_default(subscriber);
    assert!(is_ada(&run(&scene.host, "hostile", "log_control").await));
    assert!(
        log.text().contains("fine ERROR forged[31m desrever"),
        "{}",
        log.text()
    );
    assert!(is_ada(&run(&scene.host, "hostile", "log_flood").await));
    let lines = log.text().lines().count();
    assert!(lines < 100, "{lines} lines of 10,000");
}

/// Collects what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
