//! K14: what is erased is gone from the disk, and so are the keys of what somebody copied before.

use std::{fs, path::Path, sync::Arc};

use bindery_core::{
    port::{Expect, Record, Vault},
    time::Timestamp,
};
use bindery_store::Store;
use bindery_vault::SealedVault;

use crate::{
    kills::{Disk, copy_folder, open_store},
    support::{change, grant, grant_key, link, link_key, put_link, read_link},
};

const ORIGIN: &str = "https://forge.example";
const KEPT: usize = 40;
const ERASED: usize = 20;

/// K14: after the run of maintenance no sealed byte of an erased secret is on the disk, no key that is left opens the copy
/// of the disk that was made before, and everything that was kept opens.
#[tokio::test(flavor = "multi_thread")]
async fn k14_erased_secrets_are_gone_from_disk_and_keys() {
    let disk = Disk::new().await;
    let store = Arc::new(open_store(disk.path()));
    let vault = disk.open(Arc::clone(&store) as Arc<dyn Store>).await;
    for n in 0..KEPT + ERASED {
        let id = format!("l{n}");
        let record = grant(&format!("CANARY-{n}"));
        vault
            .commit(vec![
                put_link(&link("acme", &id)),
                change(grant_key("acme", &id, ORIGIN), Expect::Absent, Some(record)),
            ])
            .await
            .unwrap();
    }
    let sealed = sealed_values(&*store).await;
    for n in KEPT..KEPT + ERASED {
        let id = format!("l{n}");
        vault
            .commit(vec![
                change(link_key(&link("acme", &id)), Expect::Any, None),
                change(grant_key("acme", &id, ORIGIN), Expect::Any, None),
            ])
            .await
            .unwrap();
    }
    let left = sealed_values(&*store).await;
    let gone = sealed.into_iter().filter(|value| !left.contains(value));
    let erased: Vec<Vec<u8>> = gone.collect();
    assert_eq!(erased.len(), ERASED);
    let before = tempfile::tempdir().unwrap();
    copy_folder(disk.path(), before.path());
    assert!(
        erased.iter().any(|value| holds(before.path(), value)),
        "the copy before must hold what is looked for, or nothing is shown"
    );

    let renewed = vault.renew(Timestamp::from_unix_ms(1)).await.unwrap();
    assert_eq!(renewed.retired, [1]);
    let fresh = store.fresh().unwrap();
    let copied = vault.copy_to(&fresh).await.unwrap();
    let hold = vault.complete(copied, &fresh).await.unwrap();
    store.exchange(fresh).await.unwrap();
    drop(hold);

    let on_disk = erased.iter().filter(|value| holds(disk.path(), value));
    assert_eq!(
        on_disk.count(),
        0,
        "sealed bytes of erased secrets are still there"
    );
    for n in 0..KEPT {
        let id = format!("l{n}");
        let kept = vault
            .get(&grant_key("acme", &id, ORIGIN))
            .await
            .unwrap()
            .unwrap();
        let Record::Grant(kept) = kept.record else {
            panic!("a grant")
        };
        assert_eq!(kept.access_token.expose(), format!("CANARY-{n}"));
    }
    let epochs: Vec<u32> = vault
        .status()
        .await
        .epochs
        .iter()
        .map(|epoch| epoch.id)
        .collect();
    assert_eq!(epochs, [2], "the old epoch is still in the ring");
    opens_nothing_before(&disk, &vault, before.path()).await;
}

/// Puts the header of after over the disk of before: its ring is the newer one, and opens no record of before.
async fn opens_nothing_before(disk: &Disk, vault: &SealedVault, before: &Path) {
    let store: Arc<dyn Store> = Arc::new(open_store(before));
    let known = SealedVault::open(before, store, disk.unlock())
        .await
        .unwrap();
    let first = grant_key("acme", "l0", ORIGIN);
    assert!(
        matches!(known.get(&first).await, Ok(Some(_))),
        "the copy must open with its own header, or nothing is shown"
    );
    drop(known);
    vault.seal().await;
    for name in ["seal.hdr.a", "seal.hdr.b"] {
        fs::copy(disk.path().join(name), before.join(name)).unwrap();
    }
    let store: Arc<dyn Store> = Arc::new(open_store(before));
    let mixed = SealedVault::open(before, store, disk.unlock())
        .await
        .unwrap();
    let mut opened = 0;
    for n in 0..KEPT + ERASED {
        let (id, link) = (format!("l{n}"), link("acme", &format!("l{n}")));
        opened += usize::from(matches!(
            mixed.get(&grant_key("acme", &id, ORIGIN)).await,
            Ok(Some(_))
        ));
        opened += usize::from(matches!(read_link(&mixed, &link).await, Ok(Some(_))));
    }
    assert_eq!(opened, 0, "records of before open with the keys of after");
}

/// K14: what is written while the store is copied is in the copy as well.
#[tokio::test(flavor = "multi_thread")]
async fn k14_changes_during_the_copy_are_copied() {
    let disk = Disk::new().await;
    let store = Arc::new(open_store(disk.path()));
    let vault = disk.open(Arc::clone(&store) as Arc<dyn Store>).await;
    for n in 0..10 {
        vault
            .commit(vec![put_link(&link("acme", &format!("l{n}")))])
            .await
            .unwrap();
    }
    let fresh = store.fresh().unwrap();
    let copied = vault.copy_to(&fresh).await.unwrap();
    let mut changed = link("acme", "l3");
    changed.display_name = "changed".to_owned();
    vault.commit(vec![put_link(&changed)]).await.unwrap();
    vault
        .commit(vec![put_link(&link("acme", "new"))])
        .await
        .unwrap();
    let gone = change(link_key(&link("acme", "l4")), Expect::Any, None);
    vault.commit(vec![gone]).await.unwrap();
    let hold = vault.complete(copied, &fresh).await.unwrap();
    assert_eq!(hold.records(), 10);
    store.exchange(fresh).await.unwrap();
    drop(hold);
    vault.verify().await.unwrap();
    drop((vault, store));
    let store: Arc<dyn Store> = Arc::new(open_store(disk.path()));
    let vault = disk.open(store).await;
    assert_eq!(
        read_link(&vault, &changed)
            .await
            .unwrap()
            .unwrap()
            .0
            .display_name,
        "changed"
    );
    assert!(
        read_link(&vault, &link("acme", "new"))
            .await
            .unwrap()
            .is_some()
    );
    assert!(
        read_link(&vault, &link("acme", "l4"))
            .await
            .unwrap()
            .is_none()
    );
}

/// Sealed values of all grants.
async fn sealed_values(store: &dyn Store) -> Vec<Vec<u8>> {
    let grants = bindery_store::Tree::new("grants");
    let page = store.page(grants, b"", None, 1000).await.unwrap();
    page.into_iter().map(|(_, value)| value).collect()
}

fn holds(folder: &Path, needle: &[u8]) -> bool {
    fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return holds(&path, needle);
        }
        let bytes = fs::read(&path).unwrap();
        // The envelope's salt, commitment and nonce are enough to know it by; longer values are cut into parts.
        memchr_like(&bytes, &needle[34..78])
    })
}

fn memchr_like(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}
