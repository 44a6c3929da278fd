//! As an operator runs it: two slots, signed plugins, no development mode; and the day the key file is lost.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use bindery_client::proto::v1::{Namespace, namespace, provider};
use bindery_tests::{
    artifacts::{Plugin, artifacts},
    daemon::{Daemon, Options},
};

use crate::world::connected;

pub(crate) fn options() -> Options {
    Options {
        plugins: vec![Plugin::GitHub],
        production: true,
        ..Options::default()
    }
}

/// `binderyd init` with a key file and recovery shares: reads the shares from its output, and types two of them back.
pub(crate) fn init(daemon: &Daemon) -> Result<Vec<String>> {
    let mut child = Command::new(artifacts().daemon())
        .arg("--config")
        .arg(daemon.config())
        .args(["init", "--recovery-shares", "--key-file"])
        .arg(daemon.path("root.key"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
    let mut shares = Vec::new();
    while shares.len() < 3 {
        let line = lines.next().context("fewer than three shares")??;
        shares.extend(line.strip_prefix("  ").map(str::to_owned));
    }
    let mut input = child.stdin.take().context("no input")?;
    writeln!(input, "{}\n{}", shares[0], shares[2])?;
    drop(input);
    ensure!(child.wait()?.success(), "init failed");
    Ok(shares)
}

/// `binderyd recover` with two shares, into a new key file.
pub(crate) fn recover(
    daemon: &Daemon,
    shares: [&str; 2],
    key_file: &str,
) -> Result<std::process::Output> {
    let mut child = Command::new(artifacts().daemon())
        .arg("--config")
        .arg(daemon.config())
        .args(["recover", "--key-file"])
        .arg(daemon.path(key_file))
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    writeln!(
        child.stdin.take().context("no input")?,
        "{}\n{}",
        shares[0],
        shares[1]
    )?;
    Ok(child.wait_with_output()?)
}

/// K13: with two slots and a signed plugin it runs without development mode; when the key file is lost, two shares bring
/// everything back, and shares of another vault bring nothing.
#[tokio::test(flavor = "multi_thread")]
async fn k13_a_lost_key_file_is_recovered_with_shares() -> Result<()> {
    let mut daemon = Daemon::prepare(&options())?;
    let shares = init(&daemon)?;
    daemon.resume().await?;
    let providers = connected(&daemon).await?.list_providers().all().await?;
    ensure!(
        providers
            .iter()
            .all(|provider| provider.state() == provider::State::Ready),
        "{providers:?}"
    );
    ensure!(
        !daemon.log().contains("DEVELOPMENT"),
        "it runs in development mode"
    );
    let acme = Namespace {
        kind: namespace::Kind::User.into(),
        ..Default::default()
    };
    connected(&daemon)
        .await?
        .create_namespace("acme", acme)
        .await?;
    daemon.kill()?;

    std::fs::remove_file(daemon.path("root.key"))?;
    daemon.resume().await?;
    let sealed = connected(&daemon)
        .await?
        .get_namespace("namespaces/acme")
        .await;
    ensure!(
        matches!(sealed, Err(bindery_client::Error::Sealed(_))),
        "{sealed:?}"
    );
    daemon.kill()?;

    let other = Daemon::prepare(&options())?;
    let foreign = init(&other)?;
    let refused = recover(&daemon, [&foreign[0], &foreign[1]], "new.key")?;
    ensure!(
        !refused.status.success(),
        "shares of another vault opened this one"
    );
    let opened = recover(&daemon, [&shares[1], &shares[2]], "new.key")?;
    ensure!(
        opened.status.success(),
        "{}",
        String::from_utf8_lossy(&opened.stderr)
    );
    std::fs::rename(daemon.path("new.key"), daemon.path("root.key"))?;
    daemon.resume().await?;
    connected(&daemon)
        .await?
        .get_namespace("namespaces/acme")
        .await?;
    Ok(())
}

/// `binderyd init` refuses fewer than two slots, and an unsigned plugin can't be agreed to.
#[tokio::test(flavor = "multi_thread")]
async fn one_slot_is_refused() -> Result<()> {
    let daemon = Daemon::prepare(&options())?;
    let key = daemon.path("root.key").display().to_string();
    let output = daemon.binderyd(&["init", "--key-file", &key])?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(78), "{text}");
    ensure!(text.contains("two slots") || text.contains("two"), "{text}");
    ensure!(
        !daemon.path("root.key").exists(),
        "a key was made all the same"
    );
    Ok(())
}
