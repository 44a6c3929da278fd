//! Plugins that misbehave, in the real worker

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bindery_core::{
    exchange::{Answer, EffectResult, HttpResponse},
    port::{Next, Providers as _, Started},
    provider::{Call, Failure, FailureCode, Input, Output},
};
use bindery_host::{Limits, PluginHost, StartHostError, WorkerConfig, WorkerUser};
use bindery_plugin_proto::v1;

use crate::support::{
    API, Script, Store, ask, chmod, description, done, library, name, running, version, worker,
};

fn store() -> Store {
    let store = Store::new();
    store.add("1.0.0", &[]);
    store
}

async fn start(host: &PluginHost, call: Call) -> Result<Started, Failure> {
    host.start(&name(), call).await
}

async fn failure(host: &PluginHost, script: Script) -> Failure {
    start(host, script.probe()).await.expect_err("it fails")
}

async fn probe(host: &PluginHost) -> Result<String, Failure> {
    let started = start(host, Script::default().step(&done("1.21")).probe()).await?;
    match started.step.next {
        Next::Done(Output::Server(facts)) => Ok(facts.version),
        other => panic!("not the script: {other:?}"),
    }
}

fn ok(id: u32) -> EffectResult {
    EffectResult {
        id,
        answer: Answer::Http(HttpResponse {
            status: 200,
            ..HttpResponse::default()
        }),
    }
}

/// An operation goes from request to answer to result, and what the plugin is can be asked.
#[tokio::test]
async fn an_operation_runs() {
    let store = store();
    let host = running(&store, "1.0.0").await;
    let described = host.describe(&name()).expect("it is loaded");
    assert_eq!(
        (described.display_name.as_str(), described.version.as_str()),
        ("Gitea", "1.0.0")
    );
    assert!(
        ["full", "seccomp"].contains(&described.isolation.as_str()),
        "{}",
        described.isolation
    );
    let script = Script::default()
        .step(&ask(1, "GET", &format!("{API}/version")))
        .step(&done("1.21"));
    let mut started = start(&host, script.probe()).await.expect("it starts");
    assert!(matches!(&started.step.next, Next::Effects(effects) if effects.len() == 1));
    let step = started
        .operation
        .resume(vec![ok(1)])
        .await
        .expect("it ends");
    assert!(matches!(step.next, Next::Done(Output::Server(facts)) if facts.version == "1.21"));
    let again = started
        .operation
        .resume(vec![ok(1)])
        .await
        .expect_err("it is over");
    assert_eq!(again.code, FailureCode::Protocol);
}

/// P4, P7: each way of dying or lying is a typed failure of one call, and the next call is served.
#[tokio::test]
async fn p4_misbehaviour_is_one_failed_call() {
    let store = store();
    for (action, code, message) in [
        (
            "abort",
            FailureCode::Crashed,
            "killed by SIGABRT; it said: [31mthe last words",
        ),
        ("segv", FailureCode::Crashed, "killed by SIGSEGV"),
        ("socket", FailureCode::Crashed, "killed by SIGSYS"),
        ("exit", FailureCode::Crashed, "exited with status 0"),
        ("loop", FailureCode::Timeout, "longer than 500ms"),
        ("junk", FailureCode::Protocol, "the worker was killed"),
        (
            "forge",
            FailureCode::Protocol,
            "bytes that nobody asked for",
        ),
        ("huge", FailureCode::Protocol, "2097152 bytes"),
        ("panic", FailureCode::Panic, "it panicked"),
        ("hex:ffffff", FailureCode::Protocol, "no Step message"),
        ("nothing", FailureCode::Protocol, "status -2"),
    ] {
        // Each its own, since a plugin that dies again and again is restarted later and later.
        let host = running(&store, "1.0.0").await;
        let failed = failure(&host, Script::default().act(action)).await;
        assert_eq!(failed.code, code, "{action}: {}", failed.message);
        assert!(
            failed.message.starts_with("provider(gitea): "),
            "{}",
            failed.message
        );
        assert!(
            failed.message.contains(message),
            "{action}: {}",
            failed.message
        );
        assert_eq!(probe(&host).await.expect(action), "1.21");
    }
}

/// P4: a crash takes the operations of its worker along, each with the cause, and none hangs.
#[tokio::test]
async fn p4_a_crash_fails_all_operations_of_its_worker() {
    let store = store();
    let host = running(&store, "1.0.0").await;
    let waiting = Script::default()
        .step(&ask(1, "GET", &format!("{API}/version")))
        .step(&done("1"));
    let mut others = Vec::new();
    for _ in 0..10 {
        others.push(
            start(&host, waiting.clone().probe())
                .await
                .expect("it starts"),
        );
    }
    failure(&host, Script::default().act("segv")).await;
    for mut other in others {
        let failed = other
            .operation
            .resume(vec![ok(1)])
            .await
            .expect_err("its worker is dead");
        assert_eq!(failed.code, FailureCode::Crashed);
        assert!(failed.message.contains("SIGSEGV"), "{}", failed.message);
    }
    assert_eq!(probe(&host).await.expect("a new worker"), "1.21");
}

/// P7: a plugin that hangs when an operation is dropped, which has no reply, is noticed as well.
#[tokio::test]
async fn p7_a_hanging_drop_is_noticed() {
    let store = store();
    let host = running(&store, "1.0.0").await;
    let script = Script::default()
        .step(&ask(1, "GET", &format!("{API}/version")))
        .on_drop("loop");
    drop(start(&host, script.probe()).await.expect("it starts"));
    // The worker hangs in drop: the next operation waits behind it and fails with it, the one after is served.
    let next = probe(&host).await;
    assert!(next.is_err_and(|failed| failed.code == FailureCode::Crashed));
    assert_eq!(probe(&host).await.expect("a new worker"), "1.21");
}

/// A caller that goes away in the middle of a call leaves the worker in order.
#[tokio::test]
async fn a_lost_caller_does_no_harm() {
    let store = store();
    let host = running(&store, "1.0.0").await;
    for _ in 0..50 {
        let script = Script::default().step(&done("lost"));
        let mut call = Box::pin(start(&host, script.probe()));
        // Polled once: the request is on its way.
        let polled = futures_poll(&mut call);
        assert!(polled.is_none());
        drop(call);
        assert_eq!(probe(&host).await.expect("the same worker"), "1.21");
    }
}

fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::Pin::new(future).poll(&mut context) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}

/// P7, P8: what an operation may ask for is bounded and held against the manifest, before anybody acts on it.
#[tokio::test]
async fn p8_effects_are_checked() {
    let store = store();
    let host = running(&store, "1.0.0").await;
    let url = format!("{API}/version");
    let twice = v1::Step {
        effects: [ask(1, "GET", &url).effects, ask(1, "GET", &url).effects].concat(),
        ..v1::Step::default()
    };
    let many = v1::Step {
        effects: (0..65)
            .flat_map(|id| ask(id, "GET", &url).effects)
            .collect(),
        ..v1::Step::default()
    };
    let mut split = ask(1, "GET", &url);
    if let Some(v1::effect::Kind::Http(request)) = &mut split.effects[0].kind {
        let literal = v1::Segment {
            kind: Some(v1::segment::Kind::Literal(b"a\r\nHost: evil".to_vec())),
        };
        request.headers.push(v1::Header {
            name: "x".into(),
            value: vec![literal],
        });
    }
    let mut secret = ask(1, "GET", &url);
    if let Some(v1::effect::Kind::Http(request)) = &mut secret.effects[0].kind {
        let token = v1::SecretRef {
            name: "access_token".into(),
            ..v1::SecretRef::default()
        };
        request.body.push(v1::Segment {
            kind: Some(v1::segment::Kind::Secret(token)),
        });
    }
    for (step, code, message) in [
        (
            ask(1, "DELETE", &url),
            FailureCode::RequestNotAllowed,
            "DELETE /version",
        ),
        (
            ask(1, "GET", &format!("{API}/user/repos?q=hunter2")),
            FailureCode::RequestNotAllowed,
            "GET /user/repos,",
        ),
        (
            ask(1, "GET", "https://evil.example/version"),
            FailureCode::RequestNotAllowed,
            "outside the host's base URLs",
        ),
        (
            secret,
            FailureCode::RequestNotAllowed,
            "secret 'access_token'",
        ),
        (split, FailureCode::Protocol, "control characters"),
        (twice, FailureCode::Protocol, "one id"),
        (many, FailureCode::Protocol, "more effects"),
        (v1::Step::default(), FailureCode::Stuck, "did not ask for"),
    ] {
        let failed = failure(&host, Script::default().step(&step)).await;
        assert_eq!(failed.code, code, "{}", failed.message);
        assert!(
            failed.message.contains(message) && !failed.message.contains("hunter2"),
            "{}",
            failed.message
        );
    }
}

/// P7: a call ends with its budget of requests, however few each step asks for.
#[tokio::test]
async fn p7_a_call_has_a_budget_of_requests() {
    let store = store();
    let mut config = store.config("1.0.0");
    config.limits = Limits {
        requests_per_call: 3,
        ..config.limits
    };
    let (host, _) = PluginHost::start(config).await.expect("a host");
    let url = format!("{API}/version");
    let script = (1..=4).fold(Script::default(), |script, id| {
        script.step(&ask(id, "GET", &url))
    });
    let mut started = start(&host, script.probe()).await.expect("it starts");
    for id in 1..=2 {
        started
            .operation
            .resume(vec![ok(id)])
            .await
            .expect("within the budget");
    }
    let failed = started
        .operation
        .resume(vec![ok(3)])
        .await
        .expect_err("the fourth is too much");
    assert!(
        failed.message.contains("more than 3 requests"),
        "{}",
        failed.message
    );
}

/// P7: results of a plugin are checked and cleaned: ids, names, URLs, numbers of items, text.
#[tokio::test]
async fn p7_results_are_checked() {
    let store = store();
    let host = running(&store, "1.0.0").await;
    let good = v1::Repository {
        stable_id: "7".into(),
        full_name: "acme/api".into(),
        clone_uri: "https://git.corp/acme/api.git".into(),
        description: "a\nb\u{1b}[31m".into(),
        ..v1::Repository::default()
    };
    let with = |change: fn(&mut v1::Repository)| {
        let mut repository = good.clone();
        change(&mut repository);
        vec![repository]
    };
    for (items, accepted) in [
        (with(|_| {}), true),
        (with(|r| r.stable_id.clear()), false),
        (with(|r| r.full_name = "acme".into()), false),
        (with(|r| r.full_name = "acme/../x".into()), false),
        (with(|r| r.full_name = "acme/a\u{202e}pi".into()), false),
        (with(|r| r.clone_uri = "file:///etc/passwd".into()), false),
        (with(|r| r.web_uri = "javascript:alert(1)".into()), false),
        (with(|r| r.default_branch = "a\nb".into()), false),
        (vec![good.clone(); 1001], false),
    ] {
        let page = v1::RepositoryPage {
            items,
            ..v1::RepositoryPage::default()
        };
        let output = v1::Output {
            kind: Some(v1::output::Kind::Repositories(page)),
        };
        let step = v1::Step {
            outcome: Some(v1::step::Outcome::Done(output)),
            ..v1::Step::default()
        };
        let input = Input::ListRepositories {
            owner: String::new(),
            query: String::new(),
            cursor: String::new(),
            page_size: 100,
            max_pages: 0,
        };
        match start(&host, Script::default().step(&step).call(input)).await {
            Ok(started) => {
                assert!(accepted);
                let Next::Done(Output::Repositories { items, .. }) = started.step.next else {
                    panic!("a page")
                };
                assert_eq!(items[0].description, "a b[31m");
            }
            Err(failed) => {
                assert!(!accepted, "{}", failed.message);
                assert_eq!(failed.code, FailureCode::Protocol);
            }
        }
    }
}

/// A failure that a plugin reports arrives clean and prefixed; what only the daemon can know it can't report.
#[tokio::test]
async fn failures_are_prefixed_and_cleaned() {
    let store = store();
    let host = running(&store, "1.0.0").await;
    let failed = |code: v1::Code| v1::Step {
        outcome: Some(v1::step::Outcome::Failed(v1::Failure {
            code: code.into(),
            message: "no\nway".into(),
            http_status: 403,
            retry_after_ms: 5000,
            location: "src/lib.rs:7".into(),
            action_uri: "javascript:x".into(),
            ..v1::Failure::default()
        })),
        ..v1::Step::default()
    };
    let failure_of = |code| failure(&host, Script::default().step(&failed(code)));
    let limited = failure_of(v1::Code::RateLimited).await;
    assert_eq!(limited.code, FailureCode::RateLimited);
    assert_eq!(limited.message, "provider(gitea): no way (at src/lib.rs:7)");
    assert_eq!(
        (limited.http_status, limited.retry_after),
        (403, Some(Duration::from_secs(5)))
    );
    assert_eq!(limited.action_uri, "");
    assert_eq!(
        failure_of(v1::Code::Crashed).await.code,
        FailureCode::Protocol
    );
}

/// P5: a hundred replacements under load: no call fails, no operation moves to another version, no old worker is left.
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
    for round in 0..100 {
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
    for task in load {
        assert_eq!(task.await.expect("no panic"), 0, "failed calls");
    }
    assert!(calls.load(Ordering::Relaxed) > 100);
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
    let host = running(&store, "1.0.0").await;
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
    let marker = store.config("1.0.0").worker.path;
    while children(marker.to_str().expect("a path")) > 0 {
        tokio::task::yield_now().await;
    }
}

/// Children of this thread's process that run a worker for this test. The image of another test's worker is as good, so
/// tests of one process wait for each other here at most.
fn children(program: &str) -> usize {
    let list = Command::new("ps")
        .args(["--ppid", &std::process::id().to_string(), "-o", "args="])
        .output();
    let list = String::from_utf8_lossy(&list.expect("ps runs").stdout).into_owned();
    list.lines()
        .filter(|line| line.contains(program) || line.contains("defunct"))
        .count()
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

/// P1: workers run as the configured user when the daemon is root, and die with it in any case.
#[tokio::test]
async fn p1_workers_change_their_user() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let store = store();
    let program = store.folder.path().join("worker");
    std::fs::copy(worker(), &program).expect("a copy");
    chmod(&program, 0o755);
    chmod(store.folder.path(), 0o755);
    let mut config = store.config("1.0.0");
    config.worker = WorkerConfig {
        path: program.clone(),
        user: Some(WorkerUser {
            uid: 4321,
            gid: 4322,
        }),
        ..config.worker
    };
    let (host, failures) = PluginHost::start(config).await.expect("a host");
    assert!(failures.is_empty(), "{failures:?}");
    let list = Command::new("ps")
        .args([
            "--ppid",
            &std::process::id().to_string(),
            "-o",
            "uid=,gid=,args=",
        ])
        .output();
    let list = String::from_utf8_lossy(&list.expect("ps runs").stdout).into_owned();
    let line = list
        .lines()
        .find(|line| line.contains(program.to_str().expect("a path")))
        .expect("the worker");
    let ids: Vec<&str> = line.split_whitespace().take(2).collect();
    assert_eq!(ids, ["4321", "4322"]);
    assert_eq!(probe(&host).await.expect("it works"), "1.21");
}

/// A worker's path that depends on where the daemon was started is refused.
#[tokio::test]
async fn the_worker_path_is_absolute() {
    let store = Store::new();
    let mut config = store.config("1.0.0");
    config.worker.path = "bindery-plugin-worker".into();
    let refused = PluginHost::start(config).await.expect_err("it is relative");
    assert!(matches!(refused, StartHostError::WorkerPath(_)));
}
