//! Plugins that misbehave, in the real worker

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use bindery_core::{
    exchange::{Answer, EffectResult, HttpResponse},
    port::{Next, Providers as _, Started},
    provider::{Call, Failure, FailureCode, Output},
};
use bindery_host::{PluginHost, StartHostError, WorkerConfig, WorkerUser};

use crate::support::{
    API, Script, Store, ask, chmod, copy_of_worker, done, impatient, name, running,
};

pub(crate) fn store() -> Store {
    let store = Store::new();
    store.add("1.0.0", &[]);
    store
}

pub(crate) async fn start(host: &PluginHost, call: Call) -> Result<Started, Failure> {
    host.start(&name(), call).await
}

pub(crate) async fn failure(host: &PluginHost, script: Script) -> Failure {
    start(host, script.probe()).await.expect_err("it fails")
}

pub(crate) async fn probe(host: &PluginHost) -> Result<String, Failure> {
    let started = start(host, Script::default().step(&done("1.21")).probe()).await?;
    match started.step.next {
        Next::Done(Output::Server(facts)) => Ok(facts.version),
        other => panic!("not the script: {other:?}"),
    }
}

pub(crate) fn ok(id: u32) -> EffectResult {
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
        let host = impatient(&store, "1.0.0").await;
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
    let host = impatient(&store, "1.0.0").await;
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

/// P1: workers run as the configured user when the daemon is root, and die with it in any case.
#[tokio::test]
async fn p1_workers_change_their_user() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let store = store();
    let program = copy_of_worker(&store, "worker");
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

/// P1: workers die with a daemon that is killed, also one that is busy and runs as another user.
#[test]
fn p1_workers_die_with_the_daemon() {
    let daemon = Command::new(std::env::current_exe().expect("this program"))
        .args([
            "--exact",
            "workers::stand_in_for_a_daemon",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(STAND_IN, "1")
        .stdout(Stdio::piped())
        .spawn();
    let mut daemon = daemon.expect("it starts");
    let lines = BufReader::new(daemon.stdout.take().expect("a pipe")).lines();
    let pid = lines
        .map(|line| line.expect("text"))
        .find_map(|line| Some(line.strip_prefix("busy worker ")?.to_owned()));
    let pid = pid.expect("a worker");
    while state(&pid) != Some('R') {
        std::thread::yield_now();
    }
    daemon.kill().expect("it is killed");
    daemon.wait().expect("it ends");
    // Where nobody reaps orphans, a zombie is as dead as can be.
    let dead = || matches!(state(&pid), None | Some('Z' | 'X'));
    let patience = Instant::now() + Duration::from_secs(20);
    while !dead() && Instant::now() < patience {
        std::thread::yield_now();
    }
    let died = dead();
    let _ = Command::new("kill")
        .args(["-9", &pid])
        .stderr(Stdio::null())
        .status();
    assert!(died, "the worker outlived its daemon");
}

const STAND_IN: &str = "BINDERY_TEST_STAND_IN";

/// Does nothing by itself: the other half of the test above.
#[tokio::test]
async fn stand_in_for_a_daemon() {
    if std::env::var_os(STAND_IN).is_none() {
        return;
    }
    let store = store();
    let program = copy_of_worker(&store, "worker");
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
    config.limits.step_time = Duration::from_secs(3600);
    let (host, failures) = PluginHost::start(config).await.expect("a host");
    assert!(failures.is_empty(), "{failures:?}");
    let mut call = Box::pin(start(&host, Script::default().act("loop").probe()));
    assert!(futures_poll(&mut call).is_none());
    let list = Command::new("ps")
        .args([
            "--ppid",
            &std::process::id().to_string(),
            "-o",
            "pid=,args=",
        ])
        .output();
    let list = String::from_utf8_lossy(&list.expect("ps runs").stdout).into_owned();
    let line = list
        .lines()
        .find(|line| line.contains(program.to_str().expect("a path")))
        .expect("the worker");
    println!(
        "\nbusy worker {}",
        line.split_whitespace().next().expect("a pid")
    );
    let never = call.await;
    panic!("the worker ended: {never:?}");
}

fn state(pid: &str) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}
