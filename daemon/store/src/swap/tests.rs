use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;
use crate::conformance;

const TREE: Tree = Tree::new("things");

fn config() -> SledConfig {
    SledConfig {
        ballast_bytes: 0,
        free_floor: 0,
        ..SledConfig::default()
    }
}

fn open(home: &TempDir) -> SwapStore {
    SwapStore::open(home.path().join("store"), config()).unwrap()
}

async fn put(store: &dyn Store, key: &str) {
    let batch = Batch::new().put(TREE, key.as_bytes(), key.as_bytes());
    store.commit(batch).await.unwrap();
}

async fn keys(store: &dyn Store) -> Vec<String> {
    let page = store.page(TREE, b"", None, 100).await.unwrap();
    let names = page
        .into_iter()
        .map(|(key, _)| String::from_utf8(key).unwrap());
    names.collect()
}

/// It keeps the contract of every store.
#[tokio::test]
async fn it_is_a_store() {
    let mut homes = Vec::new();
    conformance::all(|| {
        homes.push(TempDir::new().unwrap());
        open(homes.last().unwrap())
    })
    .await;
}

/// After an exchange the new store is read and written, its folder is the only one, and the old bytes are gone.
#[tokio::test]
async fn an_exchange_leaves_the_new_store_alone() {
    let home = TempDir::new().unwrap();
    let store = open(&home);
    put(&store, "the-old-one").await;
    let fresh = store.fresh().unwrap();
    put(&fresh, "the-new-one").await;
    store.exchange(fresh).await.unwrap();
    assert_eq!(keys(&store).await, ["the-new-one"]);
    put(&store, "a-later-one").await;
    drop(store);
    assert_eq!(keys(&open(&home)).await, ["a-later-one", "the-new-one"]);
    let names: Vec<_> = fs::read_dir(home.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(!holds(home.path(), b"the-old-one"));
    assert!(holds(home.path(), b"the-new-one"));
    let mode = fs::metadata(home.path().join("store"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
}

/// K7: whatever an exchange that was cut off left behind, the next start uses the store that was acknowledged.
#[tokio::test]
async fn k7_exchanges_that_were_cut_off_are_settled() {
    for (cut, expected) in [("copied", "old"), ("moved", "old"), ("placed", "new")] {
        let home = TempDir::new().unwrap();
        let folder = home.path().join("store");
        let store = open(&home);
        put(&store, "old").await;
        let fresh = store.fresh().unwrap();
        put(&fresh, "new").await;
        drop((store, fresh));
        if cut != "copied" {
            fs::rename(&folder, beside(&folder, OLD)).unwrap();
        }
        if cut == "placed" {
            fs::rename(beside(&folder, NEW), &folder).unwrap();
        }
        let store = open(&home);
        assert_eq!(keys(&store).await, [expected], "{cut}");
        assert!(!beside(&folder, NEW).exists() && !beside(&folder, OLD).exists());
    }
}

/// A copy that does not open leaves everything as it was.
#[tokio::test]
async fn a_copy_that_does_not_open_is_not_used() {
    let home = TempDir::new().unwrap();
    let store = open(&home);
    put(&store, "old").await;
    let fresh = store.fresh().unwrap();
    drop(fresh);
    let path = beside(&home.path().join("store"), NEW);
    fs::remove_dir_all(&path).unwrap();
    fs::create_dir(&path).unwrap();
    // A folder where sled keeps its data in a file.
    fs::create_dir(path.join("db")).unwrap();
    let elsewhere = TempDir::new().unwrap();
    let other = SledStore::open(elsewhere.path().join("store"), config()).unwrap();
    store.exchange(other).await.unwrap_err();
    assert_eq!(keys(&store).await, ["old"]);
    put(&store, "later").await;
    drop(store);
    assert_eq!(keys(&open(&home)).await, ["later", "old"]);
}

/// K11: a second daemon is kept out, also while the folders change places.
#[tokio::test]
async fn k11_a_second_daemon_is_kept_out() {
    let home = TempDir::new().unwrap();
    let store = open(&home);
    let folder = home.path().join("store");
    let second = SwapStore::open(&folder, config());
    assert!(matches!(second, Err(OpenError::Locked { .. })));
    fs::rename(&folder, beside(&folder, OLD)).unwrap();
    let second = SwapStore::open(&folder, config());
    assert!(matches!(second, Err(OpenError::Locked { .. })));
    drop(store);
}

/// K8: after a write that failed, readers wait until the store is opened anew, which happens once; writes are refused as
/// before, and nothing was lost.
#[tokio::test]
async fn k8_a_store_that_failed_is_opened_anew() {
    let home = TempDir::new().unwrap();
    let store = open(&home);
    put(&store, "before").await;
    fail(&store).await;
    let (before, first) = (store.health(), store.current.read().await.tried);
    let readers = (0..20).map(|_| keys(&store));
    for read in futures_util::future::join_all(readers).await {
        assert_eq!(read, ["before"]);
    }
    let second = store.current.read().await.tried;
    assert!(first.is_none() && second.is_some());
    assert_eq!(keys(&store).await, ["before"]);
    assert_eq!(store.current.read().await.tried, second);
    assert!(matches!(before, Health::ReadOnly { .. }) && store.health() == before);
    let refused = store.commit(Batch::new().put(TREE, b"after", b"")).await;
    assert!(matches!(refused, Err(StoreError::ReadOnly { .. })));
    assert!(home.path().join("store/io-error").exists());
    drop(store);
    put(&open(&home), "after").await;
}

/// K8: a reader that goes away does not take the store with it.
#[tokio::test]
async fn k8_a_reader_that_goes_away_leaves_a_store() {
    let home = TempDir::new().unwrap();
    let store = open(&home);
    put(&store, "before").await;
    fail(&store).await;
    let mut read = store.get(TREE, b"before");
    assert!(futures_util::FutureExt::now_or_never(&mut read).is_none());
    drop(read);
    assert_eq!(keys(&store).await, ["before"]);
}

/// K8: a store that can't be opened again is not closed for that, and goes on reading.
#[tokio::test]
async fn k8_without_room_the_store_stays_open() {
    let home = TempDir::new().unwrap();
    let store = open(&home);
    put(&store, "before").await;
    fail(&store).await;
    // Where there is no such file, none can grow.
    let (data, away) = (home.path().join("store/db"), home.path().join("db"));
    fs::rename(&data, &away).unwrap();
    assert_eq!(keys(&store).await, ["before"]);
    assert!(store.current.read().await.failure.is_none());
    fs::rename(away, data).unwrap();
}

async fn fail(store: &SwapStore) {
    let current = store.current.read().await;
    current.store.as_ref().unwrap().fill_the_disk();
}

fn holds(folder: &Path, needle: &[u8]) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return holds(&path, needle);
        }
        let bytes = fs::read(&path).unwrap();
        bytes.windows(needle.len()).any(|window| window == needle)
    })
}
