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
