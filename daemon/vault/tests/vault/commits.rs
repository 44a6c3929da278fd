//! Changes happen whole, once, and in an order, whatever the store does.

use std::sync::Arc;

use bindery_core::port::{Expect, Record, Vault, VaultError, VaultHealth};
use bindery_store::{Call, Fault, FaultyStore, Health, MemoryStore, SledConfig, SledStore, Store};
use bindery_vault::{OpenError, SealedVault};

use crate::support::{Home, change, grant, grant_key, link, link_key, put_link, read_link};

async fn faulty() -> (Arc<FaultyStore<MemoryStore>>, Home, SealedVault) {
    let store = Arc::new(FaultyStore::new(MemoryStore::new()));
    let home = Home::new(Arc::clone(&store) as Arc<dyn Store>).await;
    let vault = home.open().await;
    (store, home, vault)
}

/// Versions begin at 1 and are raised by every write; each expectation holds or stops the whole change.
#[tokio::test]
async fn expectations_hold_or_stop_everything() {
    let home = Home::new(Arc::new(MemoryStore::new())).await;
    let vault = home.open().await;
    let (a, b) = (link("acme", "a"), link("acme", "b"));
    let expect =
        |link: &_, expect| change(link_key(link), expect, Some(Record::Link(link.clone())));
    vault
        .commit(vec![expect(&a, Expect::Absent)])
        .await
        .unwrap();
    vault
        .commit(vec![expect(&a, Expect::Version(1))])
        .await
        .unwrap();
    for wrong in [Expect::Absent, Expect::Version(1), Expect::Version(3)] {
        let refused = vault.commit(vec![put_link(&b), expect(&a, wrong)]).await;
        assert_eq!(refused, Err(VaultError::Conflict), "{wrong:?}");
    }
    assert_eq!(read_link(&vault, &a).await.unwrap().unwrap().1, 2);
    assert_eq!(read_link(&vault, &b).await, Ok(None));
    let delete = change(link_key(&a), Expect::Version(2), None);
    vault
        .commit(vec![delete, expect(&b, Expect::Absent)])
        .await
        .unwrap();
    assert_eq!(read_link(&vault, &a).await, Ok(None));
    assert!(read_link(&vault, &b).await.unwrap().is_some());
    assert_eq!(vault.status().await.records, 1);
    vault.commit(vec![]).await.unwrap();
    drop(vault);
    home.open().await.verify().await.unwrap();
}

/// A change that makes no sense is refused, and nothing of it is done.
#[tokio::test]
async fn senseless_changes_are_refused() {
    let home = Home::new(Arc::new(MemoryStore::new())).await;
    let vault = home.open().await;
    let (a, b) = (link("acme", "a"), link("acme", "b"));
    let mut long = link("acme", "c");
    long.display_name = "x".repeat(600_000);
    for changes in [
        vec![put_link(&a), put_link(&a)],
        vec![
            put_link(&a),
            change(link_key(&b), Expect::Any, Some(Record::Link(a.clone()))),
        ],
        vec![
            put_link(&a),
            change(link_key(&b), Expect::Any, Some(grant("token"))),
        ],
        vec![put_link(&a), put_link(&long)],
    ] {
        let refused = vault.commit(changes).await;
        assert!(matches!(refused, Err(VaultError::Store(_))), "{refused:?}");
    }
    assert_eq!(vault.status().await.records, 0);
}

/// Of many writers that expect the same version, exactly one wins.
#[tokio::test]
async fn one_of_many_writers_wins() {
    let home = Home::new(Arc::new(MemoryStore::new())).await;
    let vault = home.open().await;
    let link = link("acme", "a");
    vault.commit(vec![put_link(&link)]).await.unwrap();
    let record = || Some(Record::Link(link.clone()));
    let racing =
        (0..50).map(|_| vault.commit(vec![change(link_key(&link), Expect::Version(1), record())]));
    let outcomes = futures_util::future::join_all(racing).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!(read_link(&vault, &link).await.unwrap().unwrap().1, 2);
}

/// Many writers at once share waits for the disk, and all of them are there after a restart.
#[tokio::test]
async fn writers_share_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = SledConfig::default();
    config.ballast_bytes = 0;
    let store = Arc::new(SledStore::open(folder.path(), config.clone()).unwrap());
    let mut home = Home::new(Arc::clone(&store) as Arc<dyn Store>).await;
    let vault = home.open().await;
    let before = store.statistics();
    let links: Vec<_> = (0..200).map(|n| link("acme", &format!("l{n}"))).collect();
    let commits = links.iter().map(|link| vault.commit(vec![put_link(link)]));
    for outcome in futures_util::future::join_all(commits).await {
        outcome.unwrap();
    }
    let after = store.statistics();
    assert_eq!(after.batches - before.batches, 200);
    assert!(after.syncs - before.syncs < 200, "{after:?}");
    drop((vault, store));
    home.store = Arc::new(MemoryStore::new());
    home.store = Arc::new(SledStore::open(folder.path(), config).unwrap());
    let vault = home.open().await;
    for link in &links {
        assert!(read_link(&vault, link).await.unwrap().is_some());
    }
}

/// A commit that the store refuses leaves the old record, in memory and on disk, and the next one works.
#[tokio::test]
async fn failed_commits_leave_nothing() {
    let (store, home, vault) = faulty().await;
    let mut link = link("acme", "a");
    vault.commit(vec![put_link(&link)]).await.unwrap();
    let before = vault.status().await;
    link.display_name = "new".to_owned();
    store.inject(Call::Commit, 1, Fault::Fail);
    let failed = vault.commit(vec![put_link(&link)]).await;
    assert!(matches!(failed, Err(VaultError::Store(_))));
    let (read, version) = read_link(&vault, &link).await.unwrap().unwrap();
    assert_eq!((read.display_name.as_str(), version), ("display of a", 1));
    vault.verify().await.unwrap();
    assert_eq!(vault.status().await, before);
    vault.commit(vec![put_link(&link)]).await.unwrap();
    assert_eq!(
        read_link(&vault, &link).await.unwrap().unwrap(),
        (link.clone(), 2)
    );
    drop(vault);
    assert_eq!(
        read_link(&home.open().await, &link).await.unwrap(),
        Some((link, 2))
    );
}

/// A commit that was applied though it reported a failure is found, not repeated, and not lost.
#[tokio::test]
async fn applied_failures_are_found() {
    let (store, home, vault) = faulty().await;
    let link = link("acme", "a");
    store.inject(Call::Commit, 1, Fault::ApplyThenFail);
    assert!(vault.commit(vec![put_link(&link)]).await.is_err());
    assert_eq!(read_link(&vault, &link).await.unwrap().unwrap().1, 1);
    vault.commit(vec![put_link(&link)]).await.unwrap();
    vault.verify().await.unwrap();
    drop(vault);
    assert_eq!(
        read_link(&home.open().await, &link)
            .await
            .unwrap()
            .unwrap()
            .1,
        2
    );
}

/// K5: a commit that the store acknowledged and lost stops all writing, and is noticed at open.
#[tokio::test]
async fn k5_lost_commits_are_noticed() {
    let (store, home, vault) = faulty().await;
    let link = link("acme", "a");
    store.inject(Call::Commit, 1, Fault::Lose);
    vault.commit(vec![put_link(&link)]).await.unwrap();
    for _ in 0..3 {
        let refused = vault.commit(vec![put_link(&link)]).await;
        assert_eq!(refused, Err(VaultError::Tampered));
    }
    drop(vault);
    assert!(matches!(
        home.try_open().await,
        Err(OpenError::RolledBack { .. })
    ));
}

/// While one commit hangs, others that were planned on it wait; when it fails, they are planned anew and succeed.
#[tokio::test]
async fn commits_outlive_the_one_before() {
    let (store, home, vault) = faulty().await;
    let links: Vec<_> = (0..5).map(|n| link("acme", &format!("l{n}"))).collect();
    let mut stall = store.stall(Call::Commit, 1);
    store.inject(Call::Commit, 3, Fault::Fail);
    let commits = links.iter().map(|link| vault.commit(vec![put_link(link)]));
    let commits: Vec<_> = commits.collect();
    stall.reached().await;
    stall.release();
    let outcomes = futures_util::future::join_all(commits).await;
    let failed = outcomes.iter().filter(|outcome| outcome.is_err()).count();
    assert_eq!(failed, 1, "{outcomes:?}");
    for (link, outcome) in links.iter().zip(&outcomes) {
        let read = read_link(&vault, link).await.unwrap();
        assert_eq!(read.is_some(), outcome.is_ok());
    }
    vault.verify().await.unwrap();
    drop(vault);
    home.open().await;
}

/// A commit goes on when nobody waits for it any more, even if nobody ever did.
#[tokio::test]
async fn dropped_commits_go_on() {
    let (store, _home, vault) = faulty().await;
    let (a, b) = (link("acme", "a"), link("acme", "b"));
    let mut stall = store.stall(Call::Commit, 1);
    drop(vault.commit(vec![put_link(&a)]));
    stall.reached().await;
    stall.release();
    vault.commit(vec![put_link(&b)]).await.unwrap();
    vault.seal().await;
    assert_eq!(
        store
            .inner()
            .page(bindery_store::Tree::new("links"), b"", None, 9)
            .await
            .unwrap()
            .len(),
        2
    );
}

/// Reads fail when the store fails, and are right again afterwards.
#[tokio::test]
async fn failed_reads_are_not_kept() {
    let (store, home, vault) = faulty().await;
    let link = link("acme", "a");
    vault.commit(vec![put_link(&link)]).await.unwrap();
    drop(vault);
    let vault = home.open().await;
    store.inject(Call::Get, 1, Fault::Fail);
    assert!(matches!(
        read_link(&vault, &link).await,
        Err(VaultError::Store(_))
    ));
    assert!(read_link(&vault, &link).await.unwrap().is_some());
    let calls = store.calls(Call::Get);
    let again = read_link(&vault, &link).await.unwrap();
    assert!(
        again.is_some() && store.calls(Call::Get) == calls,
        "it was not kept"
    );
    let key = grant_key("acme", "a", "https://forge.example");
    assert!(vault.get(&key).await.unwrap().is_none());
}

/// A read that is on its way while an epoch begins opens what was sealed under the new epoch.
#[tokio::test]
async fn reads_outlive_a_rotation() {
    let (store, home, vault) = faulty().await;
    let link = link("acme", "a");
    vault.commit(vec![put_link(&link)]).await.unwrap();
    drop(vault);
    let vault = home.open().await;
    let mut stall = store.stall(Call::Get, 1);
    let rotate = async {
        stall.reached().await;
        vault.rotate_epoch(Default::default()).await.unwrap();
        vault.commit(vec![put_link(&link)]).await.unwrap();
        stall.release();
    };
    let (read, ()) = tokio::join!(read_link(&vault, &link), rotate);
    assert_eq!(read.unwrap().unwrap().1, 2);
}

/// The store's health is the vault's.
#[tokio::test]
async fn health_is_passed_on() {
    let (store, _home, vault) = faulty().await;
    let reason = "test".to_owned();
    for (of_store, of_vault) in [
        (Health::Writable, VaultHealth::Serving),
        (Health::LowSpace { free: 1 }, VaultHealth::LowSpace),
        (Health::ReadOnly { reason }, VaultHealth::ReadOnly),
    ] {
        store.set_health(Some(of_store));
        assert_eq!(vault.health(), of_vault);
    }
}
