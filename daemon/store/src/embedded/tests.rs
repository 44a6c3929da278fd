//! What the store on disk promises beyond the contract of every store.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use futures_util::future::join_all;
use tempfile::TempDir;

use super::{SledConfig, SledStore};
use crate::{Batch, Health, OpenError, Store, StoreError, Tree, conformance};

/// The store on disk keeps the contract.
#[tokio::test]
async fn sled_store_conforms() {
    let mut folders = Vec::new();
    conformance::all(|| {
        folders.push(TempDir::new().unwrap());
        open(folders.last().unwrap().path())
    })
    .await;
}

/// Batches that wait together share one wait for the disk.
#[tokio::test]
async fn waiting_batches_share_one_sync() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let held = store.engine.shared();
    let waiting: Vec<_> = (0..100_u8).map(|key| store.commit(put(&[key]))).collect();
    drop(held);
    assert!(join_all(waiting).await.iter().all(Result::is_ok));
    let done = store.statistics();
    assert_eq!((done.batches, done.syncs), (100, 1));
}

/// Batches that write nothing don't wait for the disk.
#[tokio::test]
async fn a_conflict_costs_no_sync() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let refused = store
        .commit(Batch::new().replace(TREE, b"absent", b"old", b"new"))
        .await;
    assert!(matches!(refused, Err(StoreError::Conflict { index: 0 })));
    assert_eq!(store.statistics().syncs, 0);
}

/// More batches than the queue holds are all committed: callers wait, they are not refused.
#[tokio::test]
async fn a_full_queue_makes_callers_wait() {
    let folder = TempDir::new().unwrap();
    let config = SledConfig {
        queue: 2,
        ..config()
    };
    let store = SledStore::open(folder.path(), config).unwrap();
    let many = (0..50_u8).map(|key| store.commit(put(&[key])));
    assert!(
        join_all(many.collect::<Vec<_>>())
            .await
            .iter()
            .all(Result::is_ok)
    );
    assert_eq!(store.page(TREE, b"", None, 100).await.unwrap().len(), 50);
}

/// What was committed is there after closing, and the folder can be opened again at once.
#[tokio::test]
async fn a_closed_store_opens_again_at_once() {
    let folder = TempDir::new().unwrap();
    for round in 0..20_u8 {
        let store = open(folder.path());
        assert_eq!(
            store.page(TREE, b"", None, 100).await.unwrap().len(),
            usize::from(round)
        );
        store.commit(put(&[round])).await.unwrap();
    }
}

/// Long values never become sled blobs, which are neither synced nor kept until they may go.
#[tokio::test]
async fn long_values_never_become_blobs() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    for round in 0..10_u8 {
        let batch = (0..40_u8).fold(Batch::new(), |batch, key| {
            batch.put(
                TREE,
                [key; Batch::MAX_KEY],
                vec![round; 3500 + usize::from(key) * 4000],
            )
        });
        store.commit(batch).await.unwrap();
        assert_eq!(
            fs::read_dir(folder.path().join("blobs")).unwrap().count(),
            0
        );
    }
}

/// Only the owner may look: folders are 0700 and files 0600, even where the folder was open before.
#[tokio::test]
async fn files_are_private() {
    let outer = TempDir::new().unwrap();
    let folder = outer.path().join("a/store");
    fs::create_dir_all(&folder).unwrap();
    fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).unwrap();
    let config = SledConfig {
        ballast_bytes: 4096,
        free_floor: 0,
        ..config()
    };
    for _ in 0..2 {
        let store = SledStore::open(&folder, config.clone()).unwrap();
        store.commit(put(b"key")).await.unwrap();
        assert_private(&folder);
    }
}

/// K10: a snapshot that a crash left unfinished, an empty one and a damaged one are put aside, and nothing is lost.
#[tokio::test]
async fn k10_left_over_snapshots_do_not_prevent_opening() {
    for damage in [unfinished_snapshot, empty_snapshot, damaged_snapshot] {
        let folder = TempDir::new().unwrap();
        for half in [0..150_u8, 150..255] {
            let store = open(folder.path());
            join_all(half.map(|key| store.commit(put(&[key])))).await;
        }
        drop(open(folder.path()));
        damage(folder.path());
        let store = open(folder.path());
        assert_eq!(store.page(TREE, b"", None, 300).await.unwrap().len(), 255);
        assert!(
            fs::read_dir(folder.path().join("quarantine"))
                .unwrap()
                .count()
                > 0
        );
    }
}

/// K11: of two stores on one folder the second is refused, and the first goes on.
#[tokio::test]
async fn k11_a_second_store_is_locked_out() {
    let folder = TempDir::new().unwrap();
    let first = open(folder.path());
    for _ in 0..5 {
        let second = SledStore::open(folder.path(), config());
        assert!(
            matches!(second, Err(OpenError::Locked { .. })),
            "{second:?}"
        );
        first.commit(put(b"key")).await.unwrap();
    }
    // sled's own lock, held by something that ignores ours.
    fs::remove_file(folder.path().join("lock")).unwrap();
    let third = SledStore::open(folder.path(), config());
    assert!(matches!(third, Err(OpenError::Locked { .. })), "{third:?}");
}

/// K5, engine's part: whatever happened to the files, opening and reading end in a value or a typed error.
#[tokio::test]
async fn k5_damage_never_panics_into_the_caller() {
    let original = TempDir::new().unwrap();
    let store = open(original.path());
    for round in 0..6_u8 {
        let many =
            (0..50_u8).map(|key| store.commit(Batch::new().put(TREE, [key], vec![round; 2000])));
        join_all(many.collect::<Vec<_>>()).await;
    }
    drop(store);
    let mut random = Random(0x5eed);
    let mut seen = [0; 3];
    for trial in 0..90 {
        let copy = copy_of(original.path());
        damage(copy.path(), trial, &mut random);
        seen[use_damaged(copy.path()).await] += 1;
    }
    let [whole, missing, refused] = seen;
    println!(
        "90 damaged stores: {whole} complete, {missing} opened with losses, {refused} refused"
    );
    assert!(refused > 0, "no damage was noticed: the trials don't bite");
}

/// Something that is no store is refused with an error, not a panic.
#[tokio::test]
async fn a_file_instead_of_a_folder_is_an_error() {
    let outer = TempDir::new().unwrap();
    let path = outer.path().join("file");
    fs::write(&path, "no folder").unwrap();
    let refused = SledStore::open(&path, config());
    assert!(matches!(refused, Err(OpenError::Io { .. })), "{refused:?}");
}

/// Below the floor the store says how little is left, and still writes.
#[tokio::test]
async fn low_space_is_said() {
    let folder = TempDir::new().unwrap();
    let config = SledConfig {
        free_floor: u64::MAX,
        ..config()
    };
    let store = SledStore::open(folder.path(), config).unwrap();
    assert!(matches!(store.health(), Health::LowSpace { free } if free > 0));
    store.commit(put(b"key")).await.unwrap();
}

/// The ballast takes real blocks, follows the configuration, and goes when it is released.
#[tokio::test]
async fn ballast_takes_real_space() {
    use std::os::unix::fs::MetadataExt;
    let folder = TempDir::new().unwrap();
    let ballast = folder.path().join("ballast");
    for bytes in [1 << 20, 2 << 20, 0] {
        let config = SledConfig {
            ballast_bytes: bytes,
            free_floor: 0,
            ..config()
        };
        drop(SledStore::open(folder.path(), config).unwrap());
        let blocks = fs::metadata(&ballast).map_or(0, |ballast| ballast.blocks() * 512);
        assert!(
            blocks >= bytes && (bytes > 0 || blocks == 0),
            "{blocks} of {bytes} bytes"
        );
    }
}

/// The first failure makes the store read-only for good: commits are refused, reads go on, opening again repairs it.
#[tokio::test]
async fn a_failure_makes_the_store_read_only() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    store.commit(put(b"before")).await.unwrap();
    store
        .state
        .fail_with(&std::io::Error::from_raw_os_error(28).into());
    let refused = store.commit(put(b"after")).await;
    assert!(
        matches!(refused, Err(StoreError::ReadOnly { .. })),
        "{refused:?}"
    );
    assert!(matches!(store.health(), Health::ReadOnly { .. }));
    assert!(store.get(TREE, b"before").await.unwrap().is_some());
    assert!(folder.path().join("io-error").exists());
    drop(store);
    let again = open(folder.path());
    assert!(!folder.path().join("io-error").exists());
    again.commit(put(b"after")).await.unwrap();
}

/// Batches that were queued behind the failure are refused as well, whatever their callers saw before.
#[tokio::test]
async fn what_waits_behind_a_failure_is_refused() {
    let folder = TempDir::new().unwrap();
    let store = open(folder.path());
    let held = store.engine.shared();
    let waiting: Vec<_> = (0..10_u8).map(|key| store.commit(put(&[key]))).collect();
    store.state.fail("the test says so");
    drop(held);
    for outcome in join_all(waiting).await {
        assert!(
            matches!(outcome, Err(StoreError::ReadOnly { .. })),
            "{outcome:?}"
        );
    }
    assert_eq!(store.page(TREE, b"", None, 10).await.unwrap(), []);
}

/// Opens a damaged store and reads all of it. 0: complete, 1: opened, 2: refused.
async fn use_damaged(folder: &Path) -> usize {
    let Ok(store) = SledStore::open(folder, config()) else {
        return 2;
    };
    let page = store.page(TREE, b"", None, 300).await;
    _ = store.get(TREE, b"\x07").await;
    _ = store.commit(put(b"after")).await;
    let complete = page
        .is_ok_and(|page| page.len() == 50 && page.iter().all(|(_, value)| *value == [5; 2000]));
    usize::from(!complete)
}

fn damage(folder: &Path, trial: usize, random: &mut Random) {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|path| path.is_file() && path.file_name().unwrap() != "lock");
    files.sort();
    let file = match trial % 5 {
        0 => files[random.below(files.len())].clone(),
        _ => folder.join("db"),
    };
    let mut bytes = fs::read(&file).unwrap();
    let used = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(1, |last| last + 1);
    match trial % 3 {
        0 => bytes.truncate(random.below(used)),
        _ => bytes[random.below(used)] ^= 1 << random.below(8),
    }
    fs::write(&file, bytes).unwrap();
}

fn copy_of(folder: &Path) -> TempDir {
    let copy = TempDir::new().unwrap();
    fs::create_dir(copy.path().join("blobs")).unwrap();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
        }
    }
    copy
}

fn unfinished_snapshot(folder: &Path) {
    fs::write(
        folder.join("snap.FFFFFFFFFFFFFFFF.generating"),
        "cut off while it was",
    )
    .unwrap();
}

fn empty_snapshot(folder: &Path) {
    fs::write(latest_snapshot(folder), "").unwrap();
}

fn damaged_snapshot(folder: &Path) {
    let path = latest_snapshot(folder);
    let mut bytes = fs::read(&path).unwrap();
    bytes[3] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn latest_snapshot(folder: &Path) -> std::path::PathBuf {
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let snapshots = files.filter(|path| path.to_string_lossy().contains("/snap."));
    snapshots
        .max()
        .expect("sled writes a snapshot when it recovers")
}

fn assert_private(folder: &Path) {
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(folder), 0o700);
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(&path), expected, "{}", path.display());
    }
}

fn open(folder: &Path) -> SledStore {
    SledStore::open(folder, config()).unwrap()
}

fn config() -> SledConfig {
    SledConfig {
        ballast_bytes: 0,
        ..SledConfig::default()
    }
}

fn put(key: &[u8]) -> Batch {
    Batch::new().put(TREE, key, b"value")
}

/// A fixed sequence, so that a failing trial can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

const TREE: Tree = Tree::new("tree");
