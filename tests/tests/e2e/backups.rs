//! Backups as an operator makes, checks and restores them: by the commands of `daemon/docs/operations.md`.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};

use anyhow::{Context as _, Result, ensure};
use bindery_client::{
    Client, Error, UnlinkRequest,
    proto::v1::{Namespace, namespace, observed_state::Stage},
};
use bindery_tests::{
    artifacts::artifacts,
    canary::{MARKER, Scanner},
    forge::{Forge as _, GitHubForge, outlive},
};

use crate::{
    keys::{bindery, fed},
    production::recover,
    world::World,
};

use self::scene::{Scene, failed, is_empty};

#[path = "backups/scene.rs"]
mod scene;

/// A backup is whole when the command ends: only its owner reads it, no part of it is left over, `bindery status` tells of
/// it, and it is never written over another file.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_whole_private_and_never_over_a_file() -> Result<()> {
    let scene = Scene::new().await?;
    let before = bindery(&scene.world.daemon, &["status"], "")?;
    let before = String::from_utf8_lossy(&before.stdout).into_owned();
    ensure!(before.contains("none yet"), "{before}");
    let backup = scene.back_up("one.bdyb", &[])?;
    let mode = fs::metadata(&backup)?.permissions().mode();
    ensure!(mode.trailing_zeros() >= 6, "mode {mode:o}");
    ensure!(!scene.path("one.bdyb.part").exists(), "a part is left over");
    let told = scene.done(&["status"])?;
    let told = told.lines().find(|line| line.contains("last backup"));
    ensure!(told.is_some_and(|line| line.contains("ago")), "{told:?}");
    let summary = scene.done(&["admin", "verify", &scene.text("one.bdyb"), "-o", "json"])?;
    let summary: serde_json::Value = serde_json::from_str(&summary)?;
    let digest = ring::digest::digest(&ring::digest::SHA256, &fs::read(&backup)?);
    let digest = data_encoding::HEXLOWER.encode(digest.as_ref());
    ensure!(summary["sha256"] == *digest, "{summary} and {digest}");

    let bytes = fs::read(&backup)?;
    let again = scene.refused(&["admin", "backup", "--out", &scene.text("one.bdyb")])?;
    ensure!(again.contains("exists"), "{again}");
    ensure!(fs::read(&backup)? == bytes, "it was written over");
    Ok(())
}

/// The quarterly drill: a backup goes into a new directory while the daemon serves on; a daemon on that directory serves
/// the links of then. A link that was unlinked since is back, what was made since is absent.
#[tokio::test(flavor = "multi_thread")]
async fn a_restored_directory_serves_the_links_of_the_backup() -> Result<()> {
    let mut scene = Scene::new().await?;
    let tokens = scene.tokens().await?;
    scene.back_up("one.bdyb", &[])?;
    changes(&scene).await?;

    let (backup, drill) = (scene.text("one.bdyb"), scene.text("drill"));
    let said = bindery(
        &scene.world.daemon,
        &["admin", "restore", &backup, "--into", &drill, "--yes"],
        "",
    )?;
    let plan = String::from_utf8_lossy(&said.stderr).into_owned();
    ensure!(said.status.success(), "{plan}");
    for promise in [
        "links ended since are back",
        "tried once",
        "accept-rollback",
    ] {
        ensure!(plan.contains(promise), "{promise}: {plan}");
    }
    let mode = fs::metadata(&drill)?.permissions().mode();
    ensure!(mode.trailing_zeros() >= 6, "mode {mode:o}");
    has_changed(&scene, &tokens).await?;

    let asked = scene.token_requests();
    scene.replace_data(&scene.path("drill")).await?;
    scene.forget_the_mark()?;
    scene.start().await?;
    ensure!(
        scene.world.token(&scene.links[0]).await? == tokens[0],
        "another token"
    );
    let absent = scene.world.client.get_namespace("namespaces/initech").await;
    ensure!(matches!(absent, Err(Error::NotFound(_))), "{absent:?}");
    ensure!(
        scene.token_requests() == asked,
        "a token that is good was replaced"
    );
    is_back(&scene).await?;
    let verdict = scene.done(&["admin", "verify"]);
    verdict.context("the restored store is not whole")?;
    Ok(())
}

/// One link ends, and a namespace is made.
async fn changes(scene: &Scene) -> Result<()> {
    let client = &scene.world.client;
    let request = UnlinkRequest::new(&scene.links[1]);
    client
        .unlink(request.force(true).keep_shared_grant(true))
        .await?;
    let user = Namespace {
        kind: namespace::Kind::User.into(),
        ..Default::default()
    };
    client.create_namespace("initech", user).await?;
    Ok(())
}

/// The link that was ended since the backup is there, and says that its grant is gone.
async fn is_back(scene: &Scene) -> Result<()> {
    let link = scene.world.get(&scene.links[1]).await?;
    let stage = link.observed.unwrap_or_default().stage();
    ensure!(
        matches!(stage, Stage::Bound | Stage::NeedsReauthorization),
        "{stage:?}"
    );
    let fetched = scene.world.fetch(&scene.links[1]).await;
    ensure!(
        matches!(fetched, Err(Error::NeedsReauthorization { .. })),
        "{fetched:?}"
    );
    Ok(())
}

/// The running store is as [`changes`] left it.
async fn has_changed(scene: &Scene, tokens: &[String; 2]) -> Result<()> {
    let world = &scene.world;
    ensure!(world.token(&scene.links[0]).await? == tokens[0]);
    ensure!(
        world.fetch(&scene.links[1]).await.is_err(),
        "the running daemon has an ended link back"
    );
    world.client.get_namespace("namespaces/initech").await?;
    Ok(())
}

/// K1: no token, client secret, name or key of the daemon can be read in a backup, in a file or in what standard output got.
#[tokio::test(flavor = "multi_thread")]
async fn k1_backups_show_no_secret_and_no_name() -> Result<()> {
    let forge = GitHubForge::start(false, Some(MARKER)).await?;
    let mut world = World::new(forge).await?;
    let link = world.link().await?;
    let token = world.token(&link).await?;
    let client_secret = world.forge.client_secret().context("no client secret")?;
    let key = fs::read(world.daemon.path("data/development-root.key"))?;
    let secrets: [&[u8]; 5] = [
        MARKER.as_bytes(),
        token.as_bytes(),
        client_secret.as_bytes(),
        &key,
        b"namespaces/acme",
    ];
    let scanner = Scanner::new(secrets);
    ensure!(
        !scanner.search("control", token.as_bytes()).is_empty(),
        "the control finds nothing"
    );
    let output = bindery(&world.daemon, &["admin", "backup", "--out", "-"], "")?;
    ensure!(output.status.success(), "{output:?}");
    let piped = output.stdout;
    ensure!(piped.len() > 1_000, "{} bytes", piped.len());
    let file = world.daemon.path("one.bdyb").display().to_string();
    crate::keys::done(&world.daemon, &["admin", "backup", "--out", &file], "")?;
    for (name, bytes) in [("piped", piped), ("file", fs::read(&file)?)] {
        let leaks = scanner.search(name, &bytes);
        ensure!(leaks.is_empty(), "{leaks:?}");
    }
    Ok(())
}

/// K5: a backup in which a byte was changed, that was cut, or to which something was added, is refused with a reason by the
/// daemon and by `binderyd restore`, and nothing of it stays on the disk.
#[tokio::test(flavor = "multi_thread")]
async fn k5_tampered_backups_leave_nothing() -> Result<()> {
    let mut scene = Scene::new().await?;
    let good = fs::read(scene.back_up("one.bdyb", &[])?)?;
    let damaged = damages(&good);
    for (what, bytes) in &damaged {
        fs::write(scene.path("bad.bdyb"), bytes)?;
        let refused = by_the_daemon(&scene).await;
        refused.context(*what)?;
    }
    scene.world.daemon.kill()?;
    fs::rename(scene.path("data"), scene.path("data-of-before"))?;
    for (what, bytes) in &damaged {
        fs::write(scene.path("bad.bdyb"), bytes)?;
        let said = failed(&restored_by_hand(&scene, "bad.bdyb", &[], "")?)?;
        ensure!(said.contains("BACKUP_INVALID"), "{what}: {said}");
        ensure!(is_empty(&scene.path("data")), "{what}: something is left");
    }
    Ok(())
}

/// What somebody may do to a backup.
fn damages(good: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let flipped = |at: usize| {
        let mut bytes = good.to_vec();
        bytes[at] ^= 1;
        bytes
    };
    let middle = good.len() / 2;
    vec![
        ("magic", flipped(0)),
        ("lead", flipped(20)),
        ("first record", flipped(good.len() / 8)),
        ("middle", flipped(middle)),
        ("last byte", flipped(good.len() - 1)),
        ("cut in half", good[..middle].to_vec()),
        ("without its last byte", good[..good.len() - 1].to_vec()),
        ("with a byte more", [good, &[0]].concat()),
        ("nothing", Vec::new()),
    ]
}

/// `verify` and `restore` refuse `bad.bdyb`, also where nobody verifies it first.
async fn by_the_daemon(scene: &Scene) -> Result<()> {
    let (bad, into) = (scene.text("bad.bdyb"), scene.path("drill"));
    let directory = into.display().to_string();
    for command in [
        &["admin", "verify", &bad][..],
        &["admin", "restore", &bad, "--into", &directory, "--yes"],
    ] {
        let said = scene.refused(command)?;
        ensure!(said.contains("BACKUP_INVALID"), "{command:?}: {said}");
    }
    let file = fs::File::open(&bad)?;
    let endpoint = scene.world.daemon.admin_endpoint();
    let admin = Client::builder().endpoint(endpoint).connect().await?;
    let restored = admin.restore(directory, None, file).await;
    ensure!(
        matches!(&restored, Err(Error::Precondition(_))),
        "{restored:?}"
    );
    ensure!(!into.exists(), "the directory is left");
    Ok(())
}

/// A restoration writes over nothing: not into a directory that holds something, not into the running daemon's, and
/// `binderyd restore` not where a store is. Without a yes it does nothing.
#[tokio::test(flavor = "multi_thread")]
async fn backups_are_restored_into_new_directories_only() -> Result<()> {
    let mut scene = Scene::new().await?;
    let tokens = scene.tokens().await?;
    scene.back_up("one.bdyb", &[])?;
    let (backup, used, drill) = (
        scene.text("one.bdyb"),
        scene.text("used"),
        scene.text("drill"),
    );
    fs::create_dir(&used)?;
    fs::write(Path::new(&used).join("note"), "mine")?;
    for existing in [used.as_str(), &scene.text("data")] {
        let restore = ["admin", "restore", &backup, "--into", existing, "--yes"];
        let said = scene.refused(&restore)?;
        ensure!(said.contains("not empty"), "{said}");
    }
    ensure!(fs::read_to_string(Path::new(&used).join("note"))? == "mine");
    ensure!(fs::read_dir(&used)?.count() == 1, "something was added");
    let restore = ["admin", "restore", &backup, "--into", &drill];
    scene.refused(&restore)?;
    ensure!(!Path::new(&drill).exists(), "nobody said yes");
    scene.refused(&["admin", "restore", &backup, "--into", "drill", "--yes"])?;
    scene.serves(&tokens).await?;

    scene.world.daemon.kill()?;
    let said = failed(&restored_by_hand(&scene, "one.bdyb", &[], "")?)?;
    ensure!(
        said.contains("NOT_EMPTY") && said.contains("holds a store"),
        "{said}"
    );
    scene.start().await?;
    scene.serves(&tokens).await
}

/// A backup under a passphrase opens with that passphrase alone, and with a slot besides.
#[tokio::test(flavor = "multi_thread")]
async fn k1_a_backup_under_a_passphrase_needs_it() -> Result<()> {
    let mut scene = Scene::new().await?;
    let tokens = scene.tokens().await?;
    private(&scene.path("right"), "correct horse battery staple\n")?;
    private(&scene.path("wrong"), "correct horse battery stable\n")?;
    let (right, wrong) = (scene.text("right"), scene.text("wrong"));
    scene.back_up("one.bdyb", &["--passphrase-file", &right])?;
    let backup = scene.text("one.bdyb");
    let verify = ["admin", "verify", &backup];
    scene.refused(&verify)?;
    scene.refused(&[&verify[..], &["--passphrase-file", &wrong]].concat())?;
    scene.done(&[&verify[..], &["--passphrase-file", &right]].concat())?;

    scene.world.daemon.kill()?;
    fs::rename(scene.path("data"), scene.path("data-of-before"))?;
    let given = ["--yes", "--passphrase-file", &right];
    fs::rename(scene.path("root.key"), scene.path("elsewhere.key"))?;
    let without_slot = restored_by_hand(&scene, "one.bdyb", &given, "")?;
    failed(&without_slot).context("a passphrase alone opened it")?;
    ensure!(is_empty(&scene.path("data")), "something is left");
    fs::rename(scene.path("elsewhere.key"), scene.path("root.key"))?;
    let without_it = restored_by_hand(&scene, "one.bdyb", &["--yes"], "")?;
    failed(&without_it).context("a slot alone opened it")?;
    let both = restored_by_hand(&scene, "one.bdyb", &given, "")?;
    ensure!(both.status.success(), "{both:?}");
    scene.forget_the_mark()?;
    scene.start().await?;
    scene.serves(&tokens).await
}

/// K4, K13: the machine is gone with its key file. Two recovery shares restore the backup and make a new key file; the mark
/// that survived says that the store is older, the daemon stays sealed until that is accepted, and then it serves.
#[tokio::test(flavor = "multi_thread")]
async fn k13_a_lost_machine_comes_back_from_backup_and_shares() -> Result<()> {
    let mut scene = Scene::new().await?;
    let tokens = scene.tokens().await?;
    scene.back_up("one.bdyb", &[])?;
    changes(&scene).await?;
    scene.stop().await?;
    fs::remove_dir_all(scene.path("data"))?;
    fs::remove_file(scene.path("root.key"))?;

    let shares = scene.shares.clone();
    let typed = format!("{}\n{}\n\n", shares[1], shares[2]);
    let one = format!("{}\n\n", shares[1]);
    let given = ["--recovery-shares", "--yes"];
    failed(&restored_by_hand(&scene, "one.bdyb", &given, &one)?).context("one share was enough")?;
    ensure!(is_empty(&scene.path("data")), "something is left");
    let restored = restored_by_hand(&scene, "one.bdyb", &given, &typed)?;
    let plan = String::from_utf8_lossy(&restored.stderr).into_owned();
    ensure!(
        restored.status.success() && plan.contains("The backup is whole"),
        "{plan}"
    );
    let opened = recover(&scene.world.daemon, [&shares[0], &shares[2]], "root.key")?;
    let told = String::from_utf8_lossy(&opened.stderr).into_owned();
    ensure!(
        opened.status.success() && told.contains("accept-rollback"),
        "{told}"
    );
    scene.agree_to_plugins()?;

    scene.world.daemon.resume().await?;
    let client = Client::builder().retry(bindery_client::RetryPolicy::never());
    let client = client.endpoint(scene.world.daemon.endpoint()).connect();
    let sealed = client.await?.get_link(&scene.links[0]).await;
    ensure!(matches!(sealed, Err(Error::Sealed(_))), "{sealed:?}");
    let etag = scene.done(&["admin", "accept-rollback"])?;
    let accept = ["admin", "accept-rollback", "--reason", "a new machine"];
    scene.refused(&[&accept[..], &["--etag", "0-0"]].concat())?;
    scene.done(&[&accept[..], &["--etag", etag.trim()]].concat())?;
    scene.world.connect().await?;
    ensure!(
        scene.world.token(&scene.links[0]).await? == tokens[0],
        "another token"
    );
    is_back(&scene).await
}

/// K15: tokens that were rotated after the backup are dead. The daemon on the restored directory presents each of them once,
/// whoever asks and however often, also after a restart, and says that a person must authorize the link again.
#[tokio::test(flavor = "multi_thread")]
async fn k15_a_restored_refresh_token_is_tried_once() -> Result<()> {
    let mut scene = Scene::short_lived().await?;
    let old = scene.tokens().await?;
    scene.back_up("one.bdyb", &[])?;
    for token in &old {
        outlive(&mut scene.world.forge, token).await?;
    }
    scene.world.forge.lengthen()?;
    let new = rotated(&scene, &old).await?;
    let (backup, drill) = (scene.text("one.bdyb"), scene.text("drill"));
    scene.done(&["admin", "restore", &backup, "--into", &drill, "--yes"])?;
    scene.replace_data(Path::new(&drill)).await?;
    scene.forget_the_mark()?;

    let asked = scene.token_requests();
    scene.start().await?;
    for link in scene.links.clone() {
        gives_up(&scene, &link).await?;
    }
    scene.world.crash().await?;
    for link in &scene.links {
        let fetched = scene.world.fetch(link).await;
        ensure!(fetched.is_err(), "a dead grant gave {fetched:?}");
        let listed = scene.done(&["link", "list", parent(link)])?;
        ensure!(listed.contains("needs reauthorization"), "{listed}");
    }
    let tried = scene.token_requests() - asked;
    ensure!(tried == scene.links.len(), "{tried} refreshes for 2 grants");
    for token in &new {
        ensure!(
            scene.world.forge.accepts(token).await?,
            "what was rotated since is dead"
        );
    }
    Ok(())
}

/// Waits until both links have new tokens.
async fn rotated(scene: &Scene, old: &[String; 2]) -> Result<[String; 2]> {
    let new = scene.tokens().await?;
    ensure!(
        new.iter().zip(old).all(|(new, old)| new != old),
        "nothing was refreshed"
    );
    Ok(new)
}

/// Asks for a credential until a person is asked for.
async fn gives_up(scene: &Scene, link: &str) -> Result<()> {
    let started = std::time::Instant::now();
    loop {
        let fetched = scene.world.fetch(link).await;
        if matches!(fetched, Err(Error::NeedsReauthorization { .. })) {
            return Ok(());
        }
        ensure!(fetched.is_err(), "a dead grant gave {fetched:?}");
        ensure!(
            started.elapsed().as_secs() < 60,
            "no person is asked for: {fetched:?}"
        );
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// Writes a file that only its owner reads, as `binderyd` asks for.
fn private(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text)?;
    Ok(fs::set_permissions(
        path,
        fs::Permissions::from_mode(0o600),
    )?)
}

fn parent(link: &str) -> &str {
    link.split("/links/").next().unwrap_or_default()
}

/// `binderyd restore` of a file in the daemon's folder, with something on its standard input.
fn restored_by_hand(scene: &Scene, name: &str, more: &[&str], input: &str) -> Result<Output> {
    let mut restore = Command::new(artifacts().daemon());
    restore
        .arg("--config")
        .arg(scene.world.daemon.config())
        .args(["restore", "--backup"])
        .arg(scene.path(name))
        .args(more);
    fed(&mut restore, input)
}
