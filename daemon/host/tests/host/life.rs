//! Plugins that come and go

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bindery_core::{
    port::{Next, Providers as _},
    provider::{FailureCode, Output},
};
use bindery_host::PluginHost;
use bindery_plugin_proto::v1;
use bindery_replay::figure;

use crate::{
    support::{
        API, Script, Store, ask, chmod, copy_of_worker, description, done, library, name, running,
        version,
    },
    workers::{failure, ok, probe, start, store},
};

/// P5: a hundred replacements under load, or a thousand with `BINDERY_FIGURES=full`: no call fails, no operation moves to
/// another version, no old worker is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn p5_a_hundred_swaps_under_load() {
    let store = store();
    let host = running(&store, "1.0.0").await;
    let stop = Arc::new(AtomicBool::new(false));
    let calls = Arc::new(AtomicUsize::new(0));
    let load: Vec<_> = (0..4)
        .map(|_| {
            tokio::spawn(keep_calling(
                host.clone(),
                Arc::clone(&stop),
                Arc::clone(&calls),
            ))
        })
        .collect();
    let rounds = figure(100, 1000);
    for round in 0..rounds {
        let next = if round % 2 == 0 { "1.0.1" } else { "1.0.0" };
        if round < 2 {
            store.install(next, &library(&description(next), &[]));
        }
        bindery_host::pin(&store.catalog, &name(), &version(next), true).expect("it is pinned");
        host.replace(name(), version(next))
            .await
            .expect("it is replaced");
        assert_eq!(host.describe(&name()).expect("it is loaded").version, next);
    }
    stop.store(true, Ordering::Relaxed);
    let mut failed = 0;
    for task in load {
        failed += task.await.expect("no panic");
    }
    let calls = calls.load(Ordering::Relaxed);
    println!("figure: P5: {rounds} replacements, {failed} of {calls} calls failed");
    assert_eq!(failed, 0, "failed calls");
    assert!(calls > 100);
}

async fn keep_calling(host: PluginHost, stop: Arc<AtomicBool>, calls: Arc<AtomicUsize>) -> usize {
    let mut failed = 0;
    let url = format!("{API}/version");
    while !stop.load(Ordering::Relaxed) {
        let script = Script::default()
            .step(&ask(1, "GET", &url))
            .step(&ask(2, "GET", &url))
            .step(&done("1"));
        let good = async {
            let mut started = start(&host, script.probe()).await?;
            started.operation.resume(vec![ok(1)]).await?;
            tokio::task::yield_now().await;
            started.operation.resume(vec![ok(2)]).await
        };
        failed += usize::from(good.await.is_err());
        calls.fetch_add(1, Ordering::Relaxed);
    }
    failed
}

/// P5: a worker ends with its last operation, is reaped, and a dropped host leaves no process behind.
#[tokio::test]
async fn p5_no_worker_is_left() {
    let store = store();
    // A name of its own, which a zombie shows too: other tests have workers as well.
    let program = copy_of_worker(&store, "left-behind");
    let mut config = store.config("1.0.0");
    config.worker.path = program;
    let (host, failures) = PluginHost::start(config).await.expect("a host");
    assert!(failures.is_empty(), "{failures:?}");
    assert_eq!(children("left-behind"), 1);
    let url = format!("{API}/version");
    let script = Script::default()
        .step(&ask(1, "GET", &url))
        .step(&done("old"));
    let mut old = start(&host, script.probe()).await.expect("it starts");
    store.add("1.0.1", &[]);
    host.replace(name(), version("1.0.1"))
        .await
        .expect("it is replaced");
    let step = old
        .operation
        .resume(vec![ok(1)])
        .await
        .expect("it ends where it began");
    assert!(matches!(step.next, Next::Done(Output::Server(facts)) if facts.version == "old"));
    drop(old);
    drop(host);
    let patience = Instant::now() + Duration::from_secs(60);
    while children("left-behind") > 0 {
        assert!(Instant::now() < patience, "workers are left");
        tokio::task::yield_now().await;
    }
}

/// Children of this process that run, or ran, `program`.
fn children(program: &str) -> usize {
    let list = Command::new("ps")
        .args(["--ppid", &std::process::id().to_string(), "-o", "args="])
        .output();
    let list = String::from_utf8_lossy(&list.expect("ps runs").stdout).into_owned();
    list.lines().filter(|line| line.contains(program)).count()
}

/// A plugin that is not what its manifest says, never gets ready, or can't be loaded is reported, and the others run.
#[tokio::test]
async fn a_plugin_that_fails_is_reported() {
    let wrong = |change: fn(&mut v1::Description)| {
        let mut described = description("1.0.0");
        change(&mut described);
        library(&described, &[])
    };
    for (image, message) in [
        (
            wrong(|d| d.version = "9.9.9".into()),
            "says that it is gitea 9.9.9",
        ),
        (
            wrong(|d| d.provider = "github".into()),
            "says that it is github",
        ),
        (wrong(|d| d.schema_max = 2), "speaks messages 1..=2"),
        (
            wrong(|d| d.operations.push(v1::Operation::Revoke.into())),
            "OPERATION_REVOKE",
        ),
        (
            wrong(|d| d.secrets.push("client_secret".into())),
            "client_secret",
        ),
        (wrong(|d| d.operations.push(99)), "unknown item"),
        (
            library(&description("1.0.0"), &["-DSLOW"]),
            "not ready after",
        ),
    ] {
        let store = Store::new();
        store.install("1.0.0", &image);
        store.pin("1.0.0");
        let mut config = store.config("1.0.0");
        config.limits.ready_time = Duration::from_secs(1);
        let (host, failures) = PluginHost::start(config).await.expect("a host");
        assert_eq!(failures.len(), 1, "{message}");
        let text = failures[0].to_string();
        assert!(
            text.starts_with("plugin gitea is not loaded: ") && text.contains(message),
            "{text}"
        );
        assert!(host.list().is_empty());
        let failed = failure(&host, Script::default()).await;
        assert_eq!(failed.code, FailureCode::Unsupported);
    }
}

/// A reload takes what was mended, keeps what runs unchanged, and does not stop a plugin that broke meanwhile.
#[tokio::test]
async fn a_reload_reads_the_catalog_again() {
    let store = Store::new();
    store.install("1.0.0", &library(&description("1.0.0"), &[]));
    let (host, failures) = PluginHost::start(store.config("1.0.0"))
        .await
        .expect("a host");
    assert!(failures[0].to_string().contains("is not pinned"));
    store.pin("1.0.0");
    assert!(host.reload().await.is_empty());
    let first = host.describe(&name()).expect("it is loaded");
    assert!(host.reload().await.is_empty());
    assert!(
        Arc::ptr_eq(&first, &host.describe(&name()).expect("it is loaded")),
        "an unchanged plugin stays"
    );
    chmod(&store.at("1.0.0").join("plugin.so"), 0o666);
    assert_eq!(host.reload().await.len(), 1);
    assert_eq!(probe(&host).await.expect("it runs on"), "1.21");
    assert!(host.set_enabled(Vec::new()).await.is_empty());
    assert!(host.list().is_empty());
}
