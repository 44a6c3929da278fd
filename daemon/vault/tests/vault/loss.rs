//! What the store lost, or was made to forget, is noticed when the vault opens.

use std::{fs, path::Path, sync::Arc};

use bindery_core::port::{Expect, Vault};
use bindery_store::{Batch, MemoryStore, SledConfig, SledStore, Tree};
use bindery_vault::{OpenError, OpenOptions, SealedVault, Unlock};
use tempfile::TempDir;

use crate::support::{Home, change, dump, link, link_key, put_link, read_link, restore};

const LINKS: Tree = Tree::new("links");

async fn with_links(count: usize) -> Home {
    let home = Home::new(Arc::new(MemoryStore::new())).await;
    let vault = home.open().await;
    for n in 0..count {
        let link = link("acme", &format!("l{n}"));
        vault.commit(vec![put_link(&link)]).await.unwrap();
    }
    home
}

/// K5: missing records are counted, and a store that lost everything is no new store.
#[tokio::test]
async fn k5_missing_records_are_counted() {
    let home = with_links(5).await;
    let all = dump(&*home.store).await;
    for tree in ["links", "manifest"] {
        for (at, key, _) in all.iter().filter(|(at, ..)| at.name() == tree) {
            home.store
                .commit(Batch::new().delete(*at, key.clone()))
                .await
                .unwrap();
        }
        let refused = home.try_open().await.unwrap_err();
        match tree {
            "links" => assert!(matches!(
                refused,
                OpenError::MissingRecords {
                    expected: 5,
                    found: 0
                }
            )),
            _ => assert!(matches!(refused, OpenError::MissingManifest)),
        }
    }
    restore(&*home.store, &all).await;
    home.open().await;
}

/// K5: a record that was added, copied, moved or changed in the store is noticed at open.
#[tokio::test]
async fn k5_foreign_records_are_noticed() {
    let home = with_links(3).await;
    let all = dump(&*home.store).await;
    let (first, second) = (all[0].clone(), all[1].clone());
    let flipped: Vec<u8> = first.2.iter().map(|byte| !byte).collect();
    let put = |key: &[u8], value: &[u8]| Batch::new().put(LINKS, key, value);
    for batch in [
        put(b"new", b"value"),
        put(&[9; 32], &first.2),
        put(&first.1, &second.2),
        put(&first.1, &flipped),
        put(&first.1, b""),
        put(&first.1, &second.2).put(LINKS, second.1.clone(), first.2.clone()),
        Batch::new().delete(LINKS, first.1.clone()).put(
            Tree::new("flows"),
            first.1.clone(),
            first.2.clone(),
        ),
    ] {
        home.store.commit(batch).await.unwrap();
        assert!(matches!(home.try_open().await, Err(OpenError::Tampered)));
        restore(&*home.store, &all).await;
    }
    home.open().await;
}

/// K4: one record that was rolled back is noticed at open, from every version to every later one.
#[tokio::test]
async fn k4_rolled_back_records_are_noticed() {
    let home = with_links(2).await;
    let vault = home.open().await;
    let changed = link("acme", "l0");
    let mut history = Vec::new();
    for _ in 0..10 {
        history.push(home.store.page(LINKS, b"", None, 10).await.unwrap());
        vault.commit(vec![put_link(&changed)]).await.unwrap();
    }
    drop(vault);
    let now = dump(&*home.store).await;
    for old in history {
        for (key, value) in old {
            home.store
                .commit(Batch::new().put(LINKS, key, value))
                .await
                .unwrap();
        }
        assert!(matches!(home.try_open().await, Err(OpenError::Tampered)));
        restore(&*home.store, &now).await;
    }
    home.open().await;
}

/// K4: the whole store rolled back by 1 to 50 generations is noticed by the mark beside it, and taken when accepted.
#[tokio::test]
async fn k4_rolled_back_stores_are_noticed() {
    let home = with_links(1).await;
    let vault = home.open().await;
    let link = link("acme", "l0");
    let mut history = Vec::new();
    for _ in 0..50 {
        history.push(dump(&*home.store).await);
        vault.commit(vec![put_link(&link)]).await.unwrap();
    }
    let newest = vault.status().await.generation;
    drop(vault);
    for (at, old) in history.iter().enumerate() {
        restore(&*home.store, old).await;
        let refused = home.try_open().await.unwrap_err();
        let expected = newest - 50 + at as u64;
        assert!(
            matches!(refused, OpenError::RolledBack { found, known } if found == expected && known == newest),
            "{refused:?}"
        );
    }
    let accept = |generation| OpenOptions {
        accept_rollback: Some(generation),
    };
    let folder = home.folder.path();
    let vault = SealedVault::sealed(folder, folder, Arc::clone(&home.store));
    let unlock = || vec![Unlock::KeyFile(home.key())];
    let other = vault.unseal(unlock(), accept(newest - 2)).await;
    assert!(matches!(other, Err(OpenError::RolledBack { .. })));
    vault.unseal(unlock(), accept(newest - 1)).await.unwrap();
    assert_eq!(read_link(&vault, &link).await.unwrap().unwrap().1, 50);
    drop(vault);
    home.open().await;
}

/// K5: of flipped bits, cuts, zeroed pages, exchanged blocks and deleted files, all over store, header and high-water mark,
/// each is reported, or changes nothing that is read.
#[tokio::test]
async fn k5_corrupt_files_are_reported() {
    let lab = Lab::new().await;
    let (mut reported, mut harmless) = (0, 0);
    let mut count = |outcome| match outcome {
        Outcome::Reported => reported += 1,
        Outcome::Harmless => harmless += 1,
    };
    for (name, length) in lab.files() {
        let trials = if name.starts_with("store") { 36 } else { 10 };
        for trial in 0..trials {
            // Spread over the whole file, in a fixed order.
            let at = length * trial / trials + (trial * 7919) % (length / trials).max(1);
            for kind in [Damage::Flip, Damage::Cut, Damage::Zeros, Damage::Exchange] {
                count(lab.trial(&name, at.min(length - 1), kind).await);
            }
        }
        count(lab.trial(&name, 0, Damage::Delete).await);
    }
    println!(
        "figure: K5: {} corruptions of files: {reported} reported, {harmless} harmless, 0 silent, 0 panics",
        reported + harmless
    );
    assert!(reported + harmless >= 350, "{reported} + {harmless}");
    assert!(
        reported >= 50,
        "only {reported} of the trials did any damage"
    );
}

#[derive(Clone, Copy, Debug)]
enum Damage {
    Flip,
    Cut,
    /// A page of zeros.
    Zeros,
    /// The block changes places with the next one.
    Exchange,
    Delete,
}

enum Outcome {
    Reported,
    Harmless,
}

/// A closed vault on disk with known content: `store`, and `vault` with header and mark.
struct Lab {
    keys: TempDir,
    good: TempDir,
}

impl Lab {
    async fn new() -> Self {
        let good = tempfile::tempdir().unwrap();
        let home = Home::new(Arc::new(sled(&good.path().join("store")).unwrap())).await;
        let vault = home.open().await;
        for n in 0..20 {
            vault
                .commit(vec![put_link(&link("acme", &format!("l{n}")))])
                .await
                .unwrap();
        }
        let gone = change(link_key(&link("acme", "l19")), Expect::Version(1), None);
        vault.commit(vec![gone]).await.unwrap();
        drop(vault);
        let Home {
            folder: keys,
            store,
        } = home;
        drop(store);
        fs::create_dir(good.path().join("vault")).unwrap();
        for name in ["seal.hdr.a", "seal.hdr.b", "highwater"] {
            let from = keys.path().join(name);
            fs::rename(from, good.path().join("vault").join(name)).unwrap();
        }
        Self { keys, good }
    }

    /// Files that hold data, and the part of them that is in use.
    fn files(&self) -> Vec<(String, usize)> {
        let mut files = Vec::new();
        for path in walk(self.good.path()) {
            let bytes = fs::read(&path).unwrap();
            let used = bytes
                .iter()
                .rposition(|byte| *byte != 0)
                .map_or(0, |at| at + 1);
            let name = path.strip_prefix(self.good.path()).unwrap();
            if used > 48 {
                files.push((name.to_str().unwrap().to_owned(), used));
            }
        }
        assert!(files.len() >= 4, "{files:?}");
        files
    }

    /// Damages a copy, then opens it. Panics when something is wrong and nobody says so.
    async fn trial(&self, name: &str, at: usize, damage: Damage) -> Outcome {
        let folder = tempfile::tempdir().unwrap();
        for path in walk(self.good.path()) {
            let target = folder
                .path()
                .join(path.strip_prefix(self.good.path()).unwrap());
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            fs::copy(&path, target).unwrap();
        }
        spoil(&folder.path().join(name), at, damage);
        self.judge(folder.path(), &format!("{damage:?} of {name} at {at}"))
            .await
    }

    async fn judge(&self, folder: &Path, what: &str) -> Outcome {
        let Ok(store) = sled(&folder.join("store")) else {
            return Outcome::Reported;
        };
        let unlock = vec![Unlock::KeyFile(self.keys.path().join("key"))];
        let opened = SealedVault::open(folder.join("vault"), Arc::new(store), unlock).await;
        let Ok(vault) = opened else {
            return Outcome::Reported;
        };
        for n in 0..20 {
            let link = link("acme", &format!("l{n}"));
            let read = read_link(&vault, &link).await;
            let expected = (n < 19).then_some((link, 1));
            assert_eq!(read, Ok(expected), "{what} was opened, but not whole");
        }
        assert!(vault.inspect().await.unwrap().is_intact(), "{what}");
        Outcome::Harmless
    }
}

fn spoil(path: &Path, at: usize, damage: Damage) {
    if let Damage::Delete = damage {
        return fs::remove_file(path).unwrap();
    }
    let mut bytes = fs::read(path).unwrap();
    let block = 64.min(bytes.len() / 2);
    match damage {
        Damage::Flip => bytes[at] ^= 1 << (at % 8),
        Damage::Cut => bytes.truncate(at),
        Damage::Zeros => bytes[at..].iter_mut().take(4096).for_each(|byte| *byte = 0),
        Damage::Exchange => {
            let at = at.min(bytes.len() - 2 * block);
            let (left, right) = bytes[at..at + 2 * block].split_at_mut(block);
            left.swap_with_slice(right);
        }
        Damage::Delete => {}
    }
    fs::write(path, bytes).unwrap();
}

fn sled(folder: &Path) -> Result<SledStore, bindery_store::OpenError> {
    let mut config = SledConfig::default();
    config.ballast_bytes = 0;
    SledStore::open(folder, config)
}

fn walk(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(walk(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}
