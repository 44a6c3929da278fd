//! The daemon as systemd's service: passed sockets, what it says of itself, and the watchdog.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::fd::OwnedFd,
    os::unix::net::UnixListener,
    path::PathBuf,
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use bindery_client::{Client, Code};
use bindery_tests::{
    browser::Browser,
    daemon::{Daemon, Options, TlsFiles},
    manager::Manager,
    not_run,
};
use url::Url;

use crate::{
    mtls::{Authority, dns},
    policies::own_user,
};

/// How often signs of life are asked for. A third of it lies between two.
const PATIENCE: Duration = Duration::from_millis(1500);

fn options() -> Options {
    Options {
        plugins: Vec::new(),
        ..Options::default()
    }
}

/// The own user may do everything, the caller with a certificate may read.
fn policy() -> String {
    format!(
        "admins = [\"uid:{uid}\"]\n\
         [[allow]]\nprincipals = [\"uid:{uid}\", \"dns:caller.example.org\"]\nnamespaces = [\"*\"]\nactions = [\"read\", \"provider\"]\n",
        uid = own_user(),
    )
}

/// Sockets as socket units make them, none where the configuration would put one.
struct Sockets {
    api: (PathBuf, UnixListener),
    admin: (PathBuf, UnixListener),
    mtls: TcpListener,
    http: TcpListener,
    ops: TcpListener,
}

impl Sockets {
    fn new(manager: &Manager) -> Result<Self> {
        let unix = |name: &str| -> Result<_> {
            let path = manager.path(name);
            Ok((path.clone(), UnixListener::bind(path)?))
        };
        let tcp = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        Ok(Self {
            api: unix("api")?,
            admin: unix("admin")?,
            mtls: tcp()?,
            http: tcp()?,
            ops: tcp()?,
        })
    }

    /// All of them, beginning with the one at `first`.
    fn from(&self, first: usize) -> Result<Vec<(&'static str, OwnedFd)>> {
        let mut all: Vec<(&str, OwnedFd)> = vec![
            ("http", self.http.try_clone()?.into()),
            ("api", self.api.1.try_clone()?.into()),
            ("ops", self.ops.try_clone()?.into()),
            ("mtls", self.mtls.try_clone()?.into()),
            ("admin", self.admin.1.try_clone()?.into()),
        ];
        all.rotate_left(first);
        Ok(all)
    }
}

async fn client(socket: &std::path::Path) -> Result<Client> {
    let endpoint = format!("unix://{}", socket.display());
    Ok(Client::builder().endpoint(endpoint).connect().await?)
}

async fn get(address: SocketAddr, path: &str) -> Result<String> {
    let url = Url::parse(&format!("http://{address}{path}"))?;
    Ok(Browser::new()?.open(&url).await?.body)
}

/// Sockets are told apart by name in whatever order they come, each one serves what its name says, and nothing is bound beside
/// them.
#[tokio::test(flavor = "multi_thread")]
async fn passed_sockets_are_told_apart_by_name() -> Result<()> {
    let authority = Authority::new()?;
    let server = authority.identity("server", dns("localhost")?)?;
    let caller = authority.identity("caller", dns("caller.example.org")?)?;
    let tls = TlsFiles {
        certificate: server.certificate,
        key: server.key,
        client_ca: authority.file(),
    };
    let mut daemon = Daemon::prepare(&Options {
        tls: Some(tls),
        policy: Some(policy()),
        ..options()
    })?;
    for first in 0..5 {
        let manager = Manager::new(None)?;
        let sockets = Sockets::new(&manager)?;
        let passed = sockets.from(first)?;
        daemon.spawn(|binary| manager.command(binary, passed))?;
        manager
            .wait_for("READY=1")
            .await
            .with_context(|| daemon.log())?;

        let public = client(&sockets.api.0).await?;
        public.list_providers().all().await?;
        let refused = public
            .list_plugins()
            .await
            .expect_err("an operator's call on the public socket");
        ensure!(refused.code() == Code::Unimplemented, "{refused}");
        client(&sockets.admin.0).await?.list_plugins().await?;
        ensure!(
            get(sockets.ops.local_addr()?, "/version")
                .await?
                .contains("bindery")
        );
        ensure!(
            !get(sockets.http.local_addr()?, "/version")
                .await?
                .contains("\"version\"")
        );
        let over_tls = Client::builder()
            .endpoint(format!(
                "https://localhost:{}",
                sockets.mtls.local_addr()?.port()
            ))
            .ca_file(authority.file())
            .identity_files(&caller.certificate, &caller.key)
            .connect()
            .await?;
        over_tls.list_providers().all().await?;
        ensure!(
            !daemon.socket().exists(),
            "the configured socket was made as well"
        );
        daemon.kill()?;
    }
    Ok(())
}

/// A socket of an unknown name, of the wrong kind, or for a listener that is not configured ends the start with what to do:
/// a guess could put the operator's calls on a public socket.
#[tokio::test(flavor = "multi_thread")]
async fn sockets_that_make_no_sense_end_the_start() -> Result<()> {
    let mut daemon = Daemon::prepare(&options())?;
    let manager = Manager::new(None)?;
    let tcp = || -> Result<OwnedFd> { Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.into()) };
    let cases = [
        ("unknown", tcp()?, "FileDescriptorName="),
        ("admin", tcp()?, "not a listening Unix socket"),
        ("mtls", tcp()?, "disable binderyd-mtls.socket"),
        (
            "http",
            std::fs::File::open(daemon.config())?.into(),
            "not a listening TCP socket",
        ),
    ];
    for (name, socket, told) in cases {
        daemon.spawn(|binary| manager.command(binary, vec![(name, socket)]))?;
        daemon.ended().await?;
        let log = daemon.log();
        ensure!(log.contains(told), "{name}: {log}");
    }
    Ok(())
}

/// READY=1 comes when everything is served, and again after a reload; the end is announced.
#[tokio::test(flavor = "multi_thread")]
async fn systemd_is_told_how_the_daemon_is() -> Result<()> {
    let mut daemon = Daemon::prepare(&options())?;
    let manager = Manager::new(None)?;
    daemon.spawn(|binary| manager.command(binary, Vec::new()))?;
    let first = manager.next().await.with_context(|| daemon.log())?;
    ensure!(first == ["STATUS=serving"], "{first:?}");
    let second = manager.next().await?;
    ensure!(second == ["READY=1"], "{second:?}");
    // It was no promise: everything answers now.
    client(&daemon.socket())
        .await?
        .list_providers()
        .all()
        .await?;
    signal(&daemon, "HUP")?;
    let reloading = manager.next().await?;
    ensure!(
        reloading.first().is_some_and(|line| line == "RELOADING=1"),
        "{reloading:?}"
    );
    ensure!(
        reloading
            .iter()
            .any(|line| line.starts_with("MONOTONIC_USEC=")),
        "{reloading:?}"
    );
    manager.wait_for("READY=1").await?;
    signal(&daemon, "TERM")?;
    manager.wait_for("STOPPING=1").await?;
    ensure!(daemon.ended().await?.success(), "it did not end well");
    Ok(())
}

/// A daemon that can't start never says that it is ready; one whose keys are missing says that it is sealed before it does.
#[tokio::test(flavor = "multi_thread")]
async fn readiness_is_said_only_where_it_is_true() -> Result<()> {
    let mut daemon = Daemon::prepare(&Options {
        production: true,
        // Here is no unit that confines it.
        extra: "unconfined = true\n".to_owned(),
        ..options()
    })?;
    let manager = Manager::new(None)?;
    daemon.spawn(|binary| manager.command(binary, Vec::new()))?;
    daemon.ended().await?;
    let said = tokio::time::timeout(Duration::ZERO, manager.next()).await;
    ensure!(said.is_err(), "it said {said:?}");

    let (key, elsewhere) = (daemon.path("root.key"), daemon.path("elsewhere.key"));
    let made = daemon.binderyd(&[
        "init",
        "--development",
        "--key-file",
        &key.display().to_string(),
    ])?;
    ensure!(made.status.success(), "{made:?}");
    std::fs::rename(key, elsewhere)?;
    daemon.spawn(|binary| manager.command(binary, Vec::new()))?;
    let first = manager.next().await.with_context(|| daemon.log())?;
    ensure!(first == ["STATUS=sealed"], "{first:?}");
    let second = manager.next().await?;
    ensure!(second == ["READY=1"], "{second:?}");
    Ok(())
}

/// Under systemd the confinement of the unit is due: without it the daemon does not start, and says which promise is broken.
#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_not_confined_does_not_start_under_systemd() -> Result<()> {
    let own = std::fs::read_to_string("/proc/self/status")?;
    if own
        .lines()
        .any(|line| line.starts_with("Seccomp:") && line.ends_with('2'))
    {
        not_run("not run: a daemon without a filter for system calls (this test runs under one)");
        return Ok(());
    }
    let mut daemon = Daemon::prepare(&Options {
        production: true,
        ..options()
    })?;
    let key = daemon.path("root.key").display().to_string();
    let made = daemon.binderyd(&["init", "--development", "--key-file", &key])?;
    ensure!(made.status.success(), "{made:?}");
    let manager = Manager::new(None)?;
    daemon.spawn(|binary| manager.command(binary, Vec::new()))?;
    ensure!(daemon.ended().await?.code() == Some(78), "{}", daemon.log());
    for told in [
        "PROMISE_BROKEN",
        "process.system_calls",
        "dangerous.unconfined",
    ] {
        ensure!(daemon.log().contains(told), "{}", daemon.log());
    }
    Ok(())
}

/// The doctor asks the daemon itself: what holds is in order, and what somebody opened meanwhile is found, by the command line.
#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_tells_what_holds() -> Result<()> {
    let daemon = Daemon::start(&options()).await?;
    let outcomes = || -> Result<(bool, Vec<(String, String)>)> {
        let output = daemon.cli(&["doctor", "-o", "json"]).output()?;
        let told: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout)?;
        let text = |check: &serde_json::Value, key: &str| {
            check[key].as_str().unwrap_or_default().to_owned()
        };
        let checks = told
            .iter()
            .map(|check| (text(check, "id"), text(check, "outcome")));
        Ok((output.status.success(), checks.collect()))
    };
    let (_, found) = outcomes()?;
    ensure!(found.len() == 16, "{found:?}");
    for id in [
        "process.no_new_privileges",
        "process.dumpable",
        "process.core_limit",
        "state.folder",
        "state.files",
        "network.metadata",
    ] {
        let ok = (id.to_owned(), "OUTCOME_OK".to_owned());
        ensure!(found.contains(&ok), "{id} does not hold: {found:?}");
    }
    let file = daemon.path("data/store/open");
    std::fs::write(&file, "")?;
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    let (well, found) = outcomes()?;
    let failed = ("state.files".to_owned(), "OUTCOME_FAILED".to_owned());
    ensure!(!well && found.contains(&failed), "{found:?}");
    Ok(())
}

/// D8: signs of life end while the thread that writes the store hangs, though all other threads go on and pages answer; the
/// watchdog's SIGABRT ends the process, and the next one serves.
#[tokio::test(flavor = "multi_thread")]
async fn d8_a_frozen_store_ends_the_signs_of_life() -> Result<()> {
    let mut daemon = Daemon::prepare(&options())?;
    let manager = Manager::new(Some(PATIENCE))?;
    let frost = Frost::new(&manager)?;
    daemon.spawn(|binary| frost.on(manager.command(binary, Vec::new())))?;
    manager
        .wait_for("READY=1")
        .await
        .with_context(|| daemon.log())?;
    for _ in 0..3 {
        manager.wait_for("WATCHDOG=1").await?;
    }
    frost.freeze()?;
    manager.watchdog_bites().await?;
    let ops = Url::parse(&daemon.ops_url())?;
    let address = ops
        .socket_addrs(|| None)?
        .first()
        .copied()
        .context("no address")?;
    ensure!(
        get(address, "/healthz").await? == "ok\n",
        "it was not the store that hung"
    );
    // Not for ever: what was frozen and goes on is alive.
    frost.thaw()?;
    manager.wait_for("WATCHDOG=1").await?;

    frost.freeze()?;
    manager.watchdog_bites().await?;
    signal(&daemon, "ABRT")?;
    daemon.ended().await?;
    frost.thaw()?;
    daemon.spawn(|binary| frost.on(manager.command(binary, Vec::new())))?;
    manager.wait_for("READY=1").await?;
    manager.wait_for("WATCHDOG=1").await
}

pub(crate) fn signal(daemon: &Daemon, name: &str) -> Result<()> {
    let id = daemon.id().context("no process")?.to_string();
    let sent = Command::new("kill").args(["-s", name, &id]).status()?;
    ensure!(sent.success(), "no signal was sent");
    Ok(())
}

/// A library that is preloaded: `fdatasync` of the store's committer waits as long as a file is there.
struct Frost {
    library: PathBuf,
    file: PathBuf,
}

const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int fdatasync(int fd)
{
	char name[16] = "";
	const char *file = getenv("FROST");

	pthread_getname_np(pthread_self(), name, sizeof(name));
	while (file && !strcmp(name, "store-committer") && !access(file, F_OK))
		usleep(1000);
	return syscall(SYS_fdatasync, fd);
}
"#;

impl Frost {
    fn new(manager: &Manager) -> Result<Self> {
        let (source, library) = (manager.path("frost.c"), manager.path("frost.so"));
        std::fs::write(&source, SOURCE)?;
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .args([&library, &source])
            .status()?;
        ensure!(built.success(), "the library does not build");
        let file = manager.path("frost");
        Ok(Self { library, file })
    }

    fn on(&self, mut command: Command) -> Command {
        command
            .env("LD_PRELOAD", &self.library)
            .env("FROST", &self.file);
        command
    }

    fn freeze(&self) -> Result<()> {
        Ok(std::fs::write(&self.file, "")?)
    }

    fn thaw(&self) -> Result<()> {
        Ok(std::fs::remove_file(&self.file)?)
    }
}
