//! D6: a daemon that has no file descriptor left, by a limit that is real.

use std::{
    os::unix::net::UnixStream,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use bindery_client::{
    Client, RetryPolicy,
    proto::v1::{Namespace, namespace},
};
use bindery_tests::{
    artifacts::Plugin,
    daemon::{Daemon, Options},
};

use crate::systemd::signal;

/// Descriptors beyond those that it has when it does nothing.
const ROOM: usize = 12;

/// Nothing here takes longer, or it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// D6: connections take every descriptor; who is connected already is served meanwhile, also with a change. When they are
/// gone, new callers are served again, without a restart.
#[tokio::test(flavor = "multi_thread")]
async fn d6_out_of_descriptors_it_serves_again() -> Result<()> {
    let options = Options {
        plugins: vec![Plugin::GitHub],
        ..Options::default()
    };
    let mut daemon = Daemon::start(&options).await?;
    client(&daemon).await?;
    let limit = descriptors(&daemon)? + ROOM;
    signal(&daemon, "TERM")?;
    daemon.ended().await?;
    daemon.spawn(|binary| {
        let mut command = Command::new("sh");
        let script = format!(r#"ulimit -n {limit}; exec "$0" "$@""#);
        command.args(["-c", &script]).arg(binary);
        command
    })?;
    let early = client(&daemon).await?;

    let flood = exhaust(&daemon, limit)?;
    early.list_providers().all().await?;
    let user = Namespace {
        kind: namespace::Kind::User.into(),
        ..Default::default()
    };
    early.create_namespace("acme", user).await?;
    ensure!(
        daemon.log().contains("Connection not accepted"),
        "nothing was refused"
    );
    drop(flood);
    let late = client(&daemon).await?;
    late.get_namespace("namespaces/acme").await?;
    ensure!(daemon.id().is_some(), "it was started again");
    Ok(())
}

/// A client that is served, as soon as one can be.
async fn client(daemon: &Daemon) -> Result<Client> {
    let started = Instant::now();
    loop {
        let client = Client::builder()
            .retry(RetryPolicy::never())
            .endpoint(daemon.endpoint())
            .connect()
            .await;
        if let Ok(client) = client
            && client.list_providers().all().await.is_ok()
        {
            return Ok(client);
        }
        ensure!(started.elapsed() < PATIENCE, "nobody is served");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Opens connections that say nothing until the daemon could not take one.
fn exhaust(daemon: &Daemon, limit: usize) -> Result<Vec<UnixStream>> {
    let started = Instant::now();
    let mut flood = Vec::new();
    loop {
        let full = descriptors(daemon)? >= limit;
        if full && daemon.log().contains("Connection not accepted") {
            return Ok(flood);
        }
        flood.push(UnixStream::connect(daemon.socket())?);
        ensure!(
            started.elapsed() < PATIENCE,
            "there are descriptors left after {} connections",
            flood.len()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// How many descriptors the daemon has open.
fn descriptors(daemon: &Daemon) -> Result<usize> {
    let id = daemon.id().context("no process")?;
    Ok(std::fs::read_dir(format!("/proc/{id}/fd"))?.count())
}
