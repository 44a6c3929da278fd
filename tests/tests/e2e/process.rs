//! What others may learn from the daemon's process: nothing by looking into it, and nothing from its corpse.

use std::{
    os::unix::{
        fs::chown,
        process::{CommandExt, ExitStatusExt},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use bindery_tests::{
    artifacts::artifacts,
    daemon::{Daemon, Options},
    manager::Manager,
    not_run,
};

/// A user that owns nothing. Root sees everything, so as root the daemon and those who look at it run as this one.
const USER: u32 = 47_110;

/// A daemon that runs as a user without privileges, and others of the same user.
struct Scene {
    daemon: Daemon,
    manager: Manager,
}

impl Scene {
    async fn new() -> Result<Self> {
        // The folder of the build may be closed to other users.
        let folder = tempfile::Builder::new().prefix("bindery-").tempdir()?;
        let readable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder.path(), readable)?;
        let binary = folder.path().join("binderyd");
        std::fs::copy(artifacts().daemon(), &binary)?;
        let mut daemon = Daemon::prepare(&Options {
            plugins: Vec::new(),
            binary: Some(binary),
            ..Options::default()
        })?;
        let manager = Manager::new(None)?;
        let corpse = corpse(&daemon);
        std::fs::create_dir(&corpse)?;
        for path in [
            daemon.path(""),
            corpse.clone(),
            manager.path(""),
            manager.path("notify"),
        ] {
            give(&path)?;
        }
        daemon.spawn(|binary| {
            let inner = manager.command(binary, Vec::new());
            unlimited(inner, &corpse)
        })?;
        manager
            .wait_for("READY=1")
            .await
            .with_context(|| daemon.log())?;
        Ok(Self { daemon, manager })
    }
}

/// Where a core would fall.
fn corpse(daemon: &Daemon) -> PathBuf {
    daemon.path("corpse")
}

fn root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// Makes a path the user's.
fn give(path: &Path) -> Result<()> {
    if root() {
        chown(path, Some(USER), Some(USER))?;
    }
    Ok(())
}

fn as_user(command: &mut Command) -> &mut Command {
    if root() {
        command.uid(USER).gid(USER);
    }
    command
}

/// The same command without a limit for core dumps, in a folder where one may be written.
fn unlimited(inner: Command, folder: &Path) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", r#"ulimit -c unlimited; exec "$0" "$@""#])
        .arg(inner.get_program())
        .args(inner.get_args())
        .envs(
            inner
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .current_dir(folder);
    as_user(&mut command);
    command
}

/// What of `/proc/<id>` somebody of the same user reads.
fn readable(id: u32) -> Result<Vec<&'static str>> {
    let files = [
        "environ", "mem", "maps", "auxv", "fd/0", "io", "stack", "syscall",
    ];
    let reads = |name: &&str| {
        // The start of a mapping, since the memory at 0 is nobody's.
        let script = match *name {
            "mem" => format!(
                "start=$(head -n 1 /proc/{id}/maps | cut -d - -f 1) && exec dd if=/proc/{id}/mem bs=4096 count=1 skip=$((0x$start / 4096))"
            ),
            "fd/0" => format!("readlink /proc/{id}/fd/0"),
            name => format!("head -c 1 /proc/{id}/{name}"),
        };
        let mut command = Command::new("sh");
        let command = command
            .args(["-c", &script])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        as_user(command)
            .status()
            .is_ok_and(|status| status.success())
    };
    Ok(files.into_iter().filter(reads).collect())
}

/// L3: another process of the same user reads neither memory nor environment nor descriptors; of a usual process it does.
#[tokio::test(flavor = "multi_thread")]
async fn l3_the_same_user_can_not_look_into_the_process() -> Result<()> {
    let scene = Scene::new().await?;
    let id = scene.daemon.id().context("no process")?;
    let read = readable(id)?;
    ensure!(read.is_empty(), "it could read {read:?}");

    let mut sleep = Command::new("sleep");
    let mut usual = Usual(as_user(sleep.arg("600").stdin(Stdio::null())).spawn()?);
    let control = readable(usual.0.id())?;
    usual.0.kill()?;
    if !control.contains(&"mem") {
        not_run(
            "not run: the control of l3_the_same_user_can_not_look_into_the_process (this system hides every process)",
        );
        return Ok(());
    }
    ensure!(
        control.contains(&"environ"),
        "the control reads {control:?} only"
    );
    Ok(())
}

/// L2: a crash leaves no core, although the limit that it was started with allows one; of a usual process it does.
#[tokio::test(flavor = "multi_thread")]
async fn l2_a_crash_leaves_no_core() -> Result<()> {
    let mut scene = Scene::new().await?;
    let id = scene.daemon.id().context("no process")?;
    let limits = std::fs::read_to_string(format!("/proc/{id}/limits"))?;
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let core: Vec<&str> = core.context("no limit")?.split_whitespace().collect();
    ensure!(core.get(4..6) == Some(&["0", "0"]), "{core:?}");
    // As an abort and the watchdog end it; Rust's own handler takes the first SIGSEGV that is sent.
    ensure!(
        Command::new("kill")
            .args(["-s", "ABRT", &id.to_string()])
            .status()?
            .success()
    );
    let status = scene.daemon.ended().await?;
    ensure!(status.signal() == Some(6), "it ended with {status}");
    ensure!(!status.core_dumped(), "a core was written");
    let folder = corpse(&scene.daemon);
    ensure!(
        std::fs::read_dir(&folder)?.next().is_none(),
        "something was left in {}",
        folder.display()
    );

    let mut usual = Command::new("sh");
    usual.args(["-c", "kill -s ABRT $$"]);
    let status = unlimited(usual, &folder).status()?;
    drop(scene.manager);
    if !status.core_dumped() {
        not_run("not run: the control of l2_a_crash_leaves_no_core (this system writes no cores)");
    }
    Ok(())
}

/// A process that does not outlive the test.
struct Usual(Child);

impl Drop for Usual {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
