//! What is on disk tells nothing, and what was moved there is not believed.

use std::{fs, path::Path, sync::Arc};

use bindery_core::{
    name::{HostName, LinkId},
    origin::{Origin, OriginSet},
    port::{Expect, Key, Listing, Record, Vault, VaultError},
};
use bindery_store::{Batch, MemoryStore, SledConfig, SledStore, Tree};

use crate::support::{
    Home, change, dump, grant, grant_key, link, namespace, put, put_link, read_link,
};

const FORGE: &str = "https://forge.example";

/// K1: of a thousand names and a thousand secrets none is in any file of a vault and its store.
#[tokio::test]
async fn k1_names_and_secrets_are_not_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = SledConfig::default();
    config.ballast_bytes = 0;
    let store = Arc::new(SledStore::open(folder.path(), config).unwrap());
    let home = Home::new(store).await;
    let vault = home.open().await;
    for tens in 0..100 {
        let mut changes = Vec::new();
        for n in tens * 10..tens * 10 + 10 {
            let link = link(&format!("canary-ns-{n}"), &format!("canary-id-{n}"));
            let key = grant_key(link.namespace.as_str(), link.id.as_str(), FORGE);
            let grant = grant(&format!("CANARY-TOKEN-{n}"));
            changes.push(put_link(&link));
            changes.push(change(key, Expect::Any, Some(grant)));
        }
        vault.commit(changes).await.unwrap();
    }
    vault.rotate_epoch(Default::default()).await.unwrap();
    while !vault.reseal_step(64).await.unwrap().done {}
    let Home {
        folder: seals,
        store,
    } = home;
    drop((vault, store));
    for folder in [folder.path(), seals.path()] {
        let found = scan(
            folder,
            &[b"canary", b"CANARY", b"acme", b"forge", b"display of"],
        );
        assert_eq!(found, Vec::<String>::new());
    }
    let control = folder.path().join("control");
    fs::write(control, "a CANARY that is found").unwrap();
    assert_eq!(scan(folder.path(), &[b"CANARY"]).len(), 1);
}

fn scan(folder: &Path, words: &[&[u8]]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(scan(&path, words));
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let holds = |word: &&&[u8]| bytes.windows(word.len()).any(|part| part == **word);
        found.extend(
            words
                .iter()
                .filter(holds)
                .map(|word| format!("{} in {}", String::from_utf8_lossy(word), path.display())),
        );
    }
    found
}

/// K2: a listing believes no record that lies in another's place, in the same namespace or another.
#[tokio::test]
async fn k2_swapped_records_are_not_listed() {
    let home = Home::new(Arc::new(MemoryStore::new())).await;
    let vault = home.open().await;
    for (name, id) in [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")] {
        vault.commit(vec![put_link(&link(name, id))]).await.unwrap();
    }
    let tree = Tree::new("links");
    let raw = home.store.page(tree, b"", None, 10).await.unwrap();
    for (from, (_, value)) in raw.iter().enumerate() {
        for (to, (key, own)) in raw.iter().enumerate() {
            let swapped = Batch::new().put(tree, key.clone(), value.clone());
            home.store.commit(swapped).await.unwrap();
            let mut refused = 0;
            for name in ["a", "b"] {
                let page = vault.page(&Listing::Links(namespace(name)), None, 10).await;
                refused += usize::from(matches!(page, Err(VaultError::Tampered)));
            }
            assert_eq!(refused, usize::from(from != to));
            let back = Batch::new().put(tree, key.clone(), own.clone());
            home.store.commit(back).await.unwrap();
        }
    }
}

/// K2: what was changed in the store under an open vault is refused when it is read.
#[tokio::test]
async fn k2_changed_records_are_not_read() {
    let home = Home::new(Arc::new(MemoryStore::new())).await;
    let vault = home.open().await;
    let link = link("acme", "a");
    vault.commit(vec![put_link(&link)]).await.unwrap();
    drop(vault);
    let vault = home.open().await;
    let tree = Tree::new("links");
    let (key, mut value) = home.store.page(tree, b"", None, 1).await.unwrap().remove(0);
    value[100] ^= 1;
    home.store
        .commit(Batch::new().put(tree, key, value))
        .await
        .unwrap();
    assert_eq!(read_link(&vault, &link).await, Err(VaultError::Tampered));
    assert!(vault.verify().await.is_err());
}

/// K3: credentials are handed out for their host and exactly their origins only.
#[tokio::test]
async fn k3_grants_are_bound_to_their_origins() {
    let home = Home::new(Arc::new(MemoryStore::new())).await;
    let vault = home.open().await;
    put(&vault, grant_key("acme", "a", FORGE), grant("token"))
        .await
        .unwrap();
    assert!(
        vault
            .get(&grant_key("acme", "a", FORGE))
            .await
            .unwrap()
            .is_some()
    );
    let moved = vault
        .get(&grant_key("acme", "a", "https://evil.example"))
        .await;
    assert_eq!(moved.unwrap_err(), VaultError::Tampered);
    let other_host = Key::Grant(
        namespace("acme"),
        LinkId::parse("a").unwrap(),
        HostName::parse("evil").unwrap(),
        OriginSet::new(vec![Origin::parse(FORGE).unwrap()]),
    );
    assert_eq!(
        vault.get(&other_host).await.unwrap_err(),
        VaultError::Tampered
    );
    assert!(
        vault
            .get(&grant_key("acme", "b", FORGE))
            .await
            .unwrap()
            .is_none()
    );
}

/// A page shows one namespace only, in a stable order, each record once, whatever the size of the pages.
#[tokio::test]
async fn pages_show_each_record_once() {
    let home = Home::new(Arc::new(MemoryStore::new())).await;
    let vault = home.open().await;
    for n in 0..25 {
        let changes = ["a", "b"].map(|name| put_link(&link(name, &format!("l{n}"))));
        vault.commit(changes.into()).await.unwrap();
    }
    for limit in [1, 7, 24, 25, 26, 1000] {
        let (mut ids, mut after) = (Vec::new(), None::<Vec<u8>>);
        loop {
            let listing = Listing::Links(namespace("a"));
            let page = vault.page(&listing, after.as_deref(), limit).await.unwrap();
            assert!(page.entries.len() <= limit && !page.entries.is_empty());
            for entry in page.entries {
                let Record::Link(link) = entry.record else {
                    panic!("a link was listed");
                };
                assert_eq!(link.namespace, namespace("a"));
                ids.push(link.id);
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 25, "pages of {limit}");
    }
}

/// After a rotation and a whole scan, every record is under the new epoch, with its version and its content.
#[tokio::test]
async fn resealing_reaches_every_record() {
    let home = Home::new(Arc::new(MemoryStore::new())).await;
    let vault = home.open().await;
    for n in 0..10 {
        let link = link("acme", &format!("l{n}"));
        vault.commit(vec![put_link(&link)]).await.unwrap();
        let key = grant_key("acme", link.id.as_str(), FORGE);
        put(&vault, key, grant("token")).await.unwrap();
    }
    vault
        .commit(vec![put_link(&link("acme", "l3"))])
        .await
        .unwrap();
    vault.rotate_epoch(Default::default()).await.unwrap();
    let mut resealed = 0;
    loop {
        let step = vault.reseal_step(3).await.unwrap();
        resealed += step.resealed;
        if step.done {
            break;
        }
    }
    assert_eq!(resealed, 20);
    for (tree, _, value) in dump(&*home.store).await {
        if value.starts_with(b"BDY1") {
            assert_eq!(value[6..10], [0, 0, 0, 2], "{}", tree.name());
        }
    }
    let again = vault.reseal_step(500).await.unwrap();
    assert_eq!((again.seen, again.resealed, again.done), (20, 0, true));
    drop(vault);
    let vault = home.open().await;
    assert_eq!(
        read_link(&vault, &link("acme", "l3"))
            .await
            .unwrap()
            .unwrap()
            .1,
        2
    );
    assert!(
        vault
            .get(&grant_key("acme", "l3", FORGE))
            .await
            .unwrap()
            .is_some()
    );
}
