//! Kill -9 at every durable step of a rotation, of a new root key and of an exchange of stores: nothing is lost.
//!
//! A test starts this program again as a child, which does one of them and kills itself at a chosen step. The parent opens
//! what is left, reads everything, has the work finished, and reads everything again. Then the same with the next step,
//! until a round ends before its step comes.

use std::{
    env, fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use bindery_core::{port::Vault, time::Timestamp};
use bindery_store::{SledConfig, Store, SwapStore};
use bindery_vault::{Init, InitMode, NewSlot, PassphraseCost, SealedVault, Unlock, mortal};
use rustix::process::{Signal, getpid, kill_process};
use tempfile::TempDir;

use crate::support::{link, put_link, read_link, text};

/// Records of the vault that is killed.
const RECORDS: usize = 25;
/// No deed has more steps than this, or it never ends.
const MOST_STEPS: usize = 200;

/// The folder of a vault and its store, which opens with a key file.
pub(crate) struct Disk(TempDir);

impl Disk {
    pub(crate) async fn new() -> Self {
        let disk = Self(tempfile::tempdir().unwrap());
        let store = open_store(disk.path());
        let slots = vec![
            NewSlot::CreateKeyFile(disk.path().join("key")),
            NewSlot::Passphrase(text(PASSPHRASE), PassphraseCost::insecure_for_tests()),
        ];
        let init = Init::prepare(disk.path(), slots, InitMode::Production).unwrap();
        init.finish(&store, Timestamp::default()).await.unwrap();
        disk
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn unlock(&self) -> Vec<Unlock> {
        unlock(self.path())
    }

    pub(crate) async fn open(&self, store: Arc<dyn Store>) -> SealedVault {
        SealedVault::open(self.path(), store, self.unlock())
            .await
            .unwrap()
    }
}

pub(crate) fn open_store(folder: &Path) -> SwapStore {
    let mut config = SledConfig::default();
    config.ballast_bytes = 0;
    config.free_floor = 0;
    SwapStore::open(folder.join("store"), config).unwrap()
}

pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn unlock(folder: &Path) -> Vec<Unlock> {
    vec![Unlock::KeyFile(folder.join("key"))]
}

/// A new epoch, sealed again under it, and the old key destroyed: a kill at any step loses nothing.
#[tokio::test(flavor = "multi_thread")]
async fn k7_a_kill_at_any_step_of_a_rotation_loses_nothing() {
    let steps = kill_at_every_step("epoch").await;
    assert!(steps >= 30, "only {steps} steps");
}

/// A new root key: a kill at any step leaves a vault that opens with what is online, and loses nothing.
#[tokio::test(flavor = "multi_thread")]
async fn k7_a_kill_at_any_step_of_a_new_root_key_loses_nothing() {
    let steps = kill_at_every_step("root").await;
    assert!(steps >= 10, "only {steps} steps");
}

/// A copy of the store and its exchange: a kill at any step loses nothing.
#[tokio::test(flavor = "multi_thread")]
async fn k7_a_kill_at_any_step_of_an_exchange_loses_nothing() {
    let steps = kill_at_every_step("exchange").await;
    assert!(steps >= 5, "only {steps} steps");
}

/// Not a test of its own: the body of the child processes. Does nothing unless a test started it.
#[test]
fn child() {
    let (Ok(folder), Ok(deed), Ok(at)) = (
        env::var("KILL_FOLDER"),
        env::var("KILL_DEED"),
        env::var("KILL_AT"),
    ) else {
        return;
    };
    LEFT.store(at.parse().unwrap(), SeqCst);
    let folder = PathBuf::from(folder);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = Arc::new(open_store(&folder).told(step));
        let opened = SealedVault::open(
            &folder,
            Arc::clone(&store) as Arc<dyn Store>,
            unlock(&folder),
        );
        let vault = opened.await.unwrap();
        // Counted from here: opening has its own tests.
        mortal::install(step);
        act(&deed, &folder, &vault, &store).await;
    });
}

/// Steps that are left to live.
static LEFT: AtomicUsize = AtomicUsize::new(usize::MAX);

/// As `kill -9` does: nothing is written, closed or told.
fn step(_: &'static str) {
    if LEFT.fetch_sub(1, SeqCst) == 0 {
        kill_process(getpid(), Signal::KILL).unwrap();
    }
}

async fn act(deed: &str, folder: &Path, vault: &SealedVault, store: &SwapStore) {
    let now = Timestamp::from_unix_ms(1);
    match deed {
        "epoch" => {
            vault.rotate_epoch(now).await.unwrap();
            while !vault.reseal_step(4).await.unwrap().done {}
            vault.retire_epochs().await.unwrap();
        }
        "root" => drop(vault.rotate_root(now, unlock(folder)).await.unwrap()),
        _ => {
            let fresh = store.fresh().unwrap();
            let copied = vault.copy_to(&fresh).await.unwrap();
            let hold = vault.complete(copied, &fresh).await.unwrap();
            store.exchange(fresh).await.unwrap();
            drop(hold);
        }
    }
}

/// Returns how many steps there were.
async fn kill_at_every_step(deed: &str) -> usize {
    let good = Disk::new().await;
    let vault = good.open(Arc::new(open_store(good.path()))).await;
    for n in 0..RECORDS {
        vault
            .commit(vec![put_link(&link("acme", &format!("l{n}")))])
            .await
            .unwrap();
    }
    drop(vault);
    for step in 0..MOST_STEPS {
        let folder = tempfile::tempdir().unwrap();
        copy_folder(good.path(), folder.path());
        let killed = killed(folder.path(), deed, step);
        judge(folder.path(), deed, &format!("{deed}, step {step}")).await;
        if !killed {
            println!("{deed}: killed at each of {step} steps, nothing lost");
            return step;
        }
    }
    panic!("{deed} does not end");
}

fn killed(folder: &Path, deed: &str, step: usize) -> bool {
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["--exact", "kills::child", "--test-threads=1"]);
    child
        .env("KILL_FOLDER", folder)
        .env("KILL_DEED", deed)
        .env("KILL_AT", step.to_string());
    let output = child.output().unwrap();
    let by_signal = output.status.signal() == Some(Signal::KILL.as_raw());
    assert!(
        by_signal || output.status.success(),
        "{deed}, step {step}: {output:?}"
    );
    by_signal
}

/// Everything is there; the deed can be finished; everything is there still.
async fn judge(folder: &Path, deed: &str, what: &str) {
    let store = Arc::new(open_store(folder));
    let opened =
        SealedVault::open(folder, Arc::clone(&store) as Arc<dyn Store>, unlock(folder)).await;
    let vault = opened.unwrap_or_else(|error| panic!("{what}: {error}"));
    read_all(&vault, what).await;
    vault.verify().await.unwrap();
    act(deed, folder, &vault, &store).await;
    vault.reseal_all().await.unwrap();
    vault.retire_epochs().await.unwrap();
    read_all(&vault, what).await;
    assert_eq!(
        vault.status().await.epochs.len(),
        1,
        "{what}: an old epoch is left"
    );
    drop((vault, store));
    let vault = SealedVault::open(folder, Arc::new(open_store(folder)), unlock(folder)).await;
    read_all(&vault.unwrap(), what).await;
}

async fn read_all(vault: &SealedVault, what: &str) {
    for n in 0..RECORDS {
        let link = link("acme", &format!("l{n}"));
        let read = read_link(vault, &link).await;
        assert_eq!(read, Ok(Some((link, 1))), "{what}: l{n}");
    }
    assert_eq!(vault.status().await.records, RECORDS as u64);
}

const PASSPHRASE: &str = "correct horse battery";
