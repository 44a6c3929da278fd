//! The seal and its keys, by the commands that an operator types.

use std::{
    io::Write,
    process::{Command, Output, Stdio},
};

use anyhow::{Context, Result, ensure};
use bindery_client::{Client, Error, RetryPolicy, proto::v1::Namespace, proto::v1::namespace};
use bindery_tests::{daemon::Daemon, forge::GitHubForge};

use crate::{
    production::{init, options},
    world::World,
};

/// Runs `bindery` with something on its standard input.
pub(crate) fn bindery(daemon: &Daemon, arguments: &[&str], input: &str) -> Result<Output> {
    fed(&mut daemon.cli(arguments), input)
}

/// Runs a command with something on its standard input.
pub(crate) fn fed(command: &mut Command, input: &str) -> Result<Output> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().context("no input")?;
    // One that reads nothing may be gone already.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    Ok(child.wait_with_output()?)
}

/// Runs `bindery`, which has to succeed, and returns what it printed.
pub(crate) fn done(daemon: &Daemon, arguments: &[&str], input: &str) -> Result<String> {
    let output = bindery(daemon, arguments, input)?;
    ensure!(output.status.success(), "{arguments:?}: {output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

async fn impatient(daemon: &Daemon) -> Result<Client> {
    let builder = Client::builder().retry(RetryPolicy::never());
    Ok(builder.endpoint(daemon.endpoint()).connect().await?)
}

fn is_sealed<T>(answer: &Result<T, Error>) -> bool {
    matches!(answer, Err(Error::Sealed(_)))
}

/// L5: after `bindery admin seal` every public call answers SEALED and health says so, also after a wrong key; after
/// `unseal` the link hands out as before.
#[tokio::test(flavor = "multi_thread")]
async fn l5_a_sealed_daemon_hands_nothing_out() -> Result<()> {
    let mut world = World::new(GitHubForge::start(false, None).await?).await?;
    let link = world.link().await?;
    let before = world.token(&link).await?;
    let daemon = &world.daemon;
    done(daemon, &["admin", "seal", "--reason", "a drill"], "")?;

    let client = impatient(daemon).await?;
    let request = bindery_client::CredentialRequest::new(&link);
    ensure!(is_sealed(&client.read_credential(&request).await));
    ensure!(is_sealed(&client.get_link(&link).await));
    ensure!(is_sealed(&client.list_hosts("").all().await));
    ensure!(is_sealed(&client.list_providers().all().await));
    let status = bindery(daemon, &["status"], "")?;
    let told = String::from_utf8_lossy(&status.stdout);
    ensure!(
        status.status.code() == Some(6) && told.contains("sealed: a drill"),
        "{status:?}"
    );

    let wrong = daemon.path("wrong.key");
    std::fs::write(&wrong, [7; 32])?;
    let wrong = wrong.display().to_string();
    let refused = bindery(daemon, &["admin", "unseal", "--key-file", &wrong], "")?;
    let told = String::from_utf8_lossy(&refused.stderr);
    ensure!(
        !refused.status.success() && told.contains("UNSEAL_REJECTED"),
        "{refused:?}"
    );
    ensure!(is_sealed(&client.get_link(&link).await));

    let key = daemon.path("data/development-root.key");
    let key = key.display().to_string();
    done(daemon, &["admin", "unseal", "--key-file", &key], "")?;
    ensure!(world.token(&link).await? == before);
    Ok(())
}

/// K13: the primary slot is gone, and the daemon starts sealed; two of three recovery shares open it, each handed in by
/// another person, and a new key file takes the place of the lost one.
#[tokio::test(flavor = "multi_thread")]
async fn k13_two_people_open_a_daemon_whose_key_file_is_lost() -> Result<()> {
    let mut daemon = Daemon::prepare(&options())?;
    let shares = init(&daemon)?;
    daemon.resume().await?;
    let acme = Namespace {
        kind: namespace::Kind::User.into(),
        ..Default::default()
    };
    let client = impatient(&daemon).await?;
    client.create_namespace("acme", acme).await?;
    let verified = done(
        &daemon,
        &["admin", "slot", "verify", "--shares", "-"],
        &lines(&shares, [0, 2]),
    )?;
    ensure!(verified.contains("recovery shares"), "{verified}");
    daemon.kill()?;
    std::fs::remove_file(daemon.path("root.key"))?;

    daemon.resume().await?;
    let unseal = ["admin", "unseal", "--shares", "-"];
    let first = bindery(&daemon, &unseal, &shares[1])?;
    let told = String::from_utf8_lossy(&first.stderr);
    ensure!(
        first.status.code() == Some(6) && told.contains("1 of 2"),
        "{first:?}"
    );
    let again = bindery(&daemon, &unseal, &shares[1])?;
    ensure!(again.status.code() == Some(6), "one share counted twice");
    done(&daemon, &unseal, &shares[2])?;
    let client = impatient(&daemon).await?;
    client.get_namespace("namespaces/acme").await?;

    let new = daemon.path("root.key").display().to_string();
    std::fs::write(&new, ring_random()?)?;
    let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o400);
    std::fs::set_permissions(&new, mode)?;
    done(
        &daemon,
        &["admin", "slot", "add", "key-file", "--key-file", &new],
        "",
    )?;
    done(&daemon, &["admin", "slot", "remove", "1"], "")?;
    daemon.kill()?;
    daemon.resume().await?;
    let client = impatient(&daemon).await?;
    client.get_namespace("namespaces/acme").await?;
    Ok(())
}

fn lines(shares: &[String], which: [usize; 2]) -> String {
    format!("{}\n{}\n", shares[which[0]], shares[which[1]])
}

fn ring_random() -> Result<[u8; 32]> {
    use ring::rand::{SecureRandom, SystemRandom};
    let mut bytes = [0; 32];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| anyhow::anyhow!("no randomness"))?;
    Ok(bytes)
}

/// New keys by command: an epoch, then a root key, with which the recovery shares are lost and said so; a link works on all
/// the while, and the old keys are destroyed by themselves.
#[tokio::test(flavor = "multi_thread")]
async fn k7_new_keys_lose_no_link() -> Result<()> {
    let mut world = World::new(GitHubForge::start(false, None).await?).await?;
    let link = world.link().await?;
    let token = world.token(&link).await?;
    let daemon = &world.daemon;
    done(daemon, &["admin", "slot", "add", "recovery-shares"], "")?;
    let epochs = done(daemon, &["admin", "rotate", "epoch"], "")?;
    ensure!(
        epochs.contains("active") && epochs.contains("open only"),
        "{epochs}"
    );
    let rotated = bindery(daemon, &["admin", "rotate", "root-key"], "")?;
    let told = String::from_utf8_lossy(&rotated.stderr).into_owned();
    ensure!(
        rotated.status.success() && told.contains("recovery shares"),
        "{rotated:?}"
    );
    ensure!(world.token(&link).await? == token);
    settled(daemon).await?;
    ensure!(deeds_of_the_daemon(daemon)?.contains("daemon/destroy-epochs"));
    world.crash().await?;
    ensure!(world.token(&link).await? == token);
    settled(&world.daemon).await
}

/// What the audit log says of the daemon's own deeds.
fn deeds_of_the_daemon(daemon: &Daemon) -> Result<String> {
    let own = [
        "admin",
        "audit",
        "list",
        "--limit",
        "0",
        "--filter",
        "actor = daemon",
    ];
    done(daemon, &own, "")
}

/// Waits until one epoch is left: all records are sealed again, and the old keys destroyed.
async fn settled(daemon: &Daemon) -> Result<()> {
    let started = std::time::Instant::now();
    loop {
        let epochs = done(daemon, &["admin", "keys", "-o", "json"], "")?;
        let epochs: serde_json::Value = serde_json::from_str(&epochs)?;
        if epochs.as_array().is_some_and(|epochs| epochs.len() == 1) {
            return Ok(());
        }
        ensure!(started.elapsed().as_secs() < 120, "old keys stay: {epochs}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// K14: after an unlink and `bindery admin compact` the files of the daemon hold no sealed byte of before, and the link
/// that stays hands out as before, also after a crash.
#[tokio::test(flavor = "multi_thread")]
async fn k14_an_unlinked_secret_is_erased_by_command() -> Result<()> {
    let mut world = World::new(GitHubForge::start(false, None).await?).await?;
    let kept = world.link().await?;
    let token = world.token(&kept).await?;
    let (gone, uri) = world.start_link_in("namespaces/globex").await?;
    world.person_links(&uri).await?;
    world.token(&gone).await?;
    let request = bindery_client::UnlinkRequest::new(&gone)
        .force(true)
        .keep_shared_grant(true);
    world.client.unlink(request).await?;
    let store = world.daemon.path("data/store");
    let before = sealed_blocks(&store)?;
    ensure!(!before.is_empty());
    let said = done(&world.daemon, &["admin", "compact"], "")?;
    ensure!(said.contains("bytes"), "{said}");
    let after = sealed_blocks(&store)?;
    let left = before.iter().filter(|block| after.contains(*block));
    ensure!(left.count() == 0, "sealed bytes of before are still there");
    let epochs = done(&world.daemon, &["admin", "keys", "-o", "json"], "")?;
    let epochs: serde_json::Value = serde_json::from_str(&epochs)?;
    ensure!(
        epochs.as_array().is_some_and(|epochs| epochs.len() == 1),
        "{epochs}"
    );
    let deeds = deeds_of_the_daemon(&world.daemon)?;
    for deed in ["begin-epoch", "destroy-epochs", "compact-store"] {
        ensure!(deeds.contains(&format!("daemon/{deed}")), "{deed}: {deeds}");
    }
    ensure!(deeds.matches("cause=asked").count() == 2, "{deeds}");
    ensure!(world.token(&kept).await? == token);
    world.crash().await?;
    ensure!(world.token(&kept).await? == token);
    Ok(())
}

/// Salts and commitments of all sealed records that the files of a folder hold.
fn sealed_blocks(folder: &std::path::Path) -> Result<std::collections::HashSet<Vec<u8>>> {
    let mut blocks = std::collections::HashSet::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            blocks.extend(sealed_blocks(&path)?);
            continue;
        }
        let bytes = std::fs::read(&path)?;
        for at in memchr::memmem::find_iter(&bytes, b"BDY1\x01\x01") {
            // Epoch, version and binding are between.
            blocks.extend(bytes.get(at + 34..at + 66).map(<[u8]>::to_vec));
        }
    }
    Ok(blocks)
}
