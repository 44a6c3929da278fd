//! Backups: made while the vault is in use, read back, refused when damaged, restored into a new folder only.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bindery_core::{
    link::Link,
    port::{Expect, Key, Listing, Record, Vault},
    secret::Secret,
    time::Timestamp,
};
use bindery_store::MemoryStore;
use bindery_vault::{
    BackupError, BackupFacts, ChangeError, NewSlot, OpenError, OpenOptions, Opening,
    PassphraseCost, SealedVault, Target, Unlock, restore, verify,
};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::support::{
    Home, change, dump, grant, grant_key, link, link_key, put, put_link, read_link,
};

const WORDS: &str = "correct horse battery";

/// A vault with links and grants in it.
async fn home(count: usize) -> (Home, SealedVault) {
    let home = Home::new(Arc::new(MemoryStore::new())).await;
    let vault = home.open().await;
    for chunk in (0..count).collect::<Vec<_>>().chunks(400) {
        let changes = chunk.iter().map(|n| put_link(&numbered(*n)));
        vault.commit(changes.collect()).await.unwrap();
    }
    let key = grant_key("acme", "l0", "https://forge.example");
    put(&vault, key, grant("token")).await.unwrap();
    (home, vault)
}

fn numbered(n: usize) -> Link {
    link("acme", &format!("l{n}"))
}

/// A whole backup in memory.
async fn backup(
    vault: &SealedVault,
    passphrase: Option<&str>,
) -> Result<(Vec<u8>, BackupFacts), BackupError> {
    let (out, mut pieces) = mpsc::channel(4);
    let passphrase = passphrase.map(|words| {
        let cost = PassphraseCost::insecure_for_tests();
        (Secret::new(words.to_owned()), cost)
    });
    let reading = async {
        let mut bytes = Vec::new();
        while let Some(piece) = pieces.recv().await {
            bytes.extend(piece);
        }
        bytes
    };
    let made = vault.backup(passphrase, Timestamp::from_unix_ms(77), out);
    let (made, bytes) = tokio::join!(made, reading);
    made.map(|facts| (bytes, facts))
}

/// Bytes as they come over a connection.
fn pieces(bytes: &[u8]) -> mpsc::Receiver<Vec<u8>> {
    let (sink, source) = mpsc::channel(4);
    let pieces: Vec<Vec<u8>> = bytes.chunks(100_000).map(<[u8]>::to_vec).collect();
    tokio::spawn(async move {
        for piece in pieces {
            if sink.send(piece).await.is_err() {
                return;
            }
        }
    });
    source
}

fn with_key_file(home: &Home) -> Opening {
    Opening::slots(vec![Unlock::KeyFile(home.key())])
}

fn words(text: &str) -> Option<Secret> {
    Some(Secret::new(text.to_owned()))
}

/// A place to restore to.
struct Fresh {
    folder: TempDir,
    target: Target,
}

impl Fresh {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let target = Target {
            folder: folder.path().join("vault"),
            store: Arc::new(MemoryStore::new()),
        };
        Self { folder, target }
    }

    async fn open(&self, home: &Home) -> Result<SealedVault, OpenError> {
        let store = Arc::clone(&self.target.store);
        let unlock = vec![Unlock::KeyFile(home.key())];
        SealedVault::open(&self.target.folder, store, unlock).await
    }
}

/// What is in a backup is in the restored vault, which opens with the slots that it had; the old one is as it was.
#[tokio::test]
async fn backups_are_restored_into_a_new_folder() {
    let (home, vault) = home(30).await;
    let before = dump(&*home.store).await;
    for passphrase in [None, Some(WORDS)] {
        let (bytes, facts) = backup(&vault, passphrase).await.unwrap();
        assert_eq!(facts.records, 31);
        assert_eq!(facts.size, bytes.len() as u64);
        assert_eq!(facts.created, Timestamp::from_unix_ms(77));
        let given = || passphrase.and_then(words);
        let read = verify(pieces(&bytes), with_key_file(&home), given()).await;
        assert_eq!(read.unwrap(), facts);
        let own = vault.verify_backup(pieces(&bytes), given()).await;
        assert_eq!(own.unwrap(), facts);
        let new = Fresh::new();
        let opening = with_key_file(&home);
        let restored = restore(pieces(&bytes), opening, given(), &new.target).await;
        assert_eq!(restored.unwrap(), facts);
        assert!(!new.target.folder.join("highwater").exists());
        let opened = new.open(&home).await.unwrap();
        for n in 0..30 {
            let link = numbered(n);
            assert_eq!(read_link(&opened, &link).await.unwrap().unwrap().0, link);
        }
        let key = grant_key("acme", "l0", "https://forge.example");
        assert!(opened.get(&key).await.unwrap().is_some());
        assert!(opened.inspect().await.unwrap().is_intact());
    }
    assert!(dump(&*home.store).await == before, "the live store changed");
}

/// A folder or a store that holds something is never written over.
#[tokio::test]
async fn backups_are_never_restored_over_anything() {
    let (home, vault) = home(3).await;
    let (bytes, _) = backup(&vault, None).await.unwrap();
    let live = Target {
        folder: home.folder.path().to_owned(),
        store: Arc::new(MemoryStore::new()),
    };
    let refused = restore(pieces(&bytes), with_key_file(&home), None, &live).await;
    assert!(matches!(refused, Err(BackupError::NotEmpty)), "{refused:?}");
    let new = Fresh::new();
    let live = Target {
        folder: new.target.folder.clone(),
        store: Arc::clone(&home.store),
    };
    let before = dump(&*home.store).await;
    let refused = restore(pieces(&bytes), with_key_file(&home), None, &live).await;
    assert!(matches!(refused, Err(BackupError::NotEmpty)), "{refused:?}");
    assert!(dump(&*home.store).await == before);
    assert!(!new.folder.path().join("vault").exists());
}

/// K1: without the passphrase, the key file or with those of another vault nothing opens, and no name or secret shows.
#[tokio::test]
async fn k1_backups_open_with_their_keys_only() {
    let (home, vault) = home(5).await;
    let (plain, _) = backup(&vault, None).await.unwrap();
    let (locked, _) = backup(&vault, Some(WORDS)).await.unwrap();
    let foreign = Home::new(Arc::new(MemoryStore::new())).await;
    let foreign_vault = foreign.open().await;
    let refused = |outcome: Result<BackupFacts, BackupError>, what: &str| {
        assert!(
            matches!(outcome, Err(BackupError::Key(_))),
            "{what}: {outcome:?}"
        );
    };
    let open = |bytes: &[u8], home: &Home, given| verify(pieces(bytes), with_key_file(home), given);
    refused(open(&plain, &foreign, None).await, "another key file");
    refused(
        open(&plain, &home, words(WORDS)).await,
        "a passphrase too many",
    );
    refused(open(&locked, &home, None).await, "no passphrase");
    refused(
        open(&locked, &home, words("another horse battery")).await,
        "wrong passphrase",
    );
    refused(
        open(&locked, &foreign, words(WORDS)).await,
        "passphrase, other root key",
    );
    refused(
        foreign_vault.verify_backup(pieces(&plain), None).await,
        "another vault",
    );
    for bytes in [&plain, &locked] {
        for hidden in ["acme", "display of", "token", "forge.example"] {
            let found = bytes
                .windows(hidden.len())
                .any(|part| part == hidden.as_bytes());
            assert!(!found, "{hidden} shows in a backup");
        }
    }
    let short = backup(&vault, Some("short")).await;
    assert!(matches!(short, Err(BackupError::Slot(_))), "{short:?}");
    vault.seal().await;
    assert!(matches!(
        backup(&vault, None).await,
        Err(BackupError::Sealed)
    ));
}

/// A backup that is made while records are written, deleted and made anew holds the store as it is at its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backups_of_a_busy_vault_are_consistent() {
    let (home, vault) = home(1200).await;
    let vault = Arc::new(vault);
    for round in 0..4_u64 {
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let busy = tokio::spawn(churn(Arc::clone(&vault), round, stopped));
        let (bytes, facts) = backup(&vault, None).await.unwrap();
        stop.send_replace(true);
        let changed = busy.await.unwrap();
        assert!(changed > 0, "nothing changed meanwhile");
        let new = Fresh::new();
        let restored = restore(pieces(&bytes), with_key_file(&home), None, &new.target).await;
        assert_eq!(restored.unwrap(), facts);
        assert_eq!(
            new.open(&home).await.unwrap().status().await.records,
            facts.records
        );
    }
}

async fn churn(
    vault: Arc<SealedVault>,
    round: u64,
    stopped: tokio::sync::watch::Receiver<bool>,
) -> u64 {
    let mut count = 0;
    while !*stopped.borrow() {
        // A fixed walk that jumps over all keys.
        let n = usize::try_from((round * 7919 + count * 104_729) % 1500).unwrap();
        let link = numbered(n);
        let write = (!count.is_multiple_of(3)).then(|| Record::Link(link.clone()));
        let changes = vec![change(link_key(&link), Expect::Any, write)];
        vault.commit(changes).await.unwrap();
        if count == 40 {
            vault.rotate_epoch(Timestamp::default()).await.unwrap();
        }
        count += 1;
    }
    count
}

/// One backup at a time; one whose reader went away is none, and the next one can begin.
#[tokio::test]
async fn backups_end_with_their_reader() {
    let (_home, vault) = home(2000).await;
    let (out, mut pieces) = mpsc::channel(1);
    let now = Timestamp::default();
    let first = vault.backup(None, now, out);
    tokio::pin!(first);
    tokio::select! {
        _ = &mut first => panic!("it ended although nobody read it"),
        piece = pieces.recv() => assert!(piece.is_some()),
    }
    assert!(matches!(backup(&vault, None).await, Err(BackupError::Busy)));
    assert!(matches!(vault.inspect().await, Err(BackupError::Busy)));
    drop(pieces);
    assert!(matches!(first.await, Err(BackupError::ReaderGone)));
    backup(&vault, None).await.unwrap();
}

/// K5: of backups with flipped bits, cuts, zeros and exchanged parts, each is refused; none panics, none restores.
#[tokio::test]
async fn k5_damaged_backups_are_refused() {
    let (home, vault) = home(40).await;
    let (good, _) = backup(&vault, None).await.unwrap();
    let mut trials = 0;
    for trial in 0..60 {
        let at = good.len() * trial / 60;
        for kind in 0..5 {
            let mut bytes = good.clone();
            match kind {
                0 => bytes[at] ^= 1 << (trial % 8),
                1 => bytes.truncate(at),
                2 => bytes[at..].iter_mut().take(512).for_each(|byte| *byte = 0),
                3 => {
                    let half = (good.len() - at) / 2;
                    bytes[at..].rotate_left(half);
                }
                _ => {
                    bytes.remove(at);
                }
            }
            if bytes == good {
                continue;
            }
            trials += 1;
            let read = verify(pieces(&bytes), with_key_file(&home), None).await;
            assert!(read.is_err(), "damage {kind} at {at} was taken");
            if trial % 20 == 0 {
                let new = Fresh::new();
                let restored = restore(pieces(&bytes), with_key_file(&home), None, &new.target);
                assert!(restored.await.is_err());
                assert!(
                    !new.target.folder.exists(),
                    "damage {kind} at {at} left a vault"
                );
            }
        }
    }
    println!("figure: K5: {trials} damaged backups, {trials} refused");
    assert!(trials >= 280);
}

/// A record that was damaged in the store can't hide in a backup.
#[tokio::test]
async fn k5_damaged_records_are_not_backed_up() {
    let (home, vault) = home(10).await;
    let good = dump(&*home.store).await;
    for (tree, key, value) in good.iter().take(5) {
        let mut damaged = value.clone();
        *damaged.last_mut().unwrap() ^= 1;
        let spoil = bindery_store::Batch::new().put(*tree, key.clone(), damaged);
        home.store.commit(spoil).await.unwrap();
        let made = backup(&vault, None).await;
        assert!(matches!(made, Err(BackupError::Tampered)), "{made:?}");
        let found = vault.inspect().await.unwrap();
        assert!(!found.is_intact());
        assert!(found.damage[0].contains(tree.name()), "{:?}", found.damage);
        let mend = bindery_store::Batch::new().put(*tree, key.clone(), value.clone());
        home.store.commit(mend).await.unwrap();
    }
    let gone = bindery_store::Batch::new().delete(good[0].0, good[0].1.clone());
    home.store.commit(gone).await.unwrap();
    assert!(matches!(
        backup(&vault, None).await,
        Err(BackupError::Tampered)
    ));
    assert_eq!(vault.inspect().await.unwrap().damage.len(), 1);
}

/// A backup is opened with what its slots were when it was made, whatever was rotated or removed since.
#[tokio::test]
async fn old_backups_open_with_their_old_slots() {
    let (home, vault) = home(4).await;
    let shares = vault.prepare_slot(NewSlot::Recovery).await.unwrap();
    let printed: Vec<Secret> = shares.shares().iter().map(Secret::duplicate).collect();
    let mut shares = shares;
    shares.confirm_shares(&printed[0], &printed[1]).unwrap();
    vault.add_slot(shares).await.unwrap();
    let (bytes, facts) = backup(&vault, None).await.unwrap();
    vault.rotate_epoch(Timestamp::default()).await.unwrap();
    while !vault.reseal_step(500).await.unwrap().done {}
    put(&vault, link_key(&numbered(0)), Record::Link(numbered(0)))
        .await
        .unwrap();
    let opening = Opening::slots(vec![Unlock::Shares(vec![
        printed[0].duplicate(),
        printed[2].duplicate(),
    ])]);
    let new = Fresh::new();
    let restored = restore(pieces(&bytes), opening, None, &new.target).await;
    assert_eq!(restored.unwrap(), facts);
    assert!(
        new.open(&home)
            .await
            .unwrap()
            .inspect()
            .await
            .unwrap()
            .is_intact()
    );
}

/// K4: a restored store is older than the mark of the daemon that made it, so it is refused until that is accepted.
#[tokio::test]
async fn k4_a_restored_store_is_a_rollback_to_the_old_daemon() {
    let (home, vault) = home(4).await;
    let (bytes, facts) = backup(&vault, None).await.unwrap();
    put(&vault, link_key(&numbered(0)), Record::Link(numbered(0)))
        .await
        .unwrap();
    let known = vault.status().await.generation;
    vault.seal().await;
    let new = Fresh::new();
    restore(pieces(&bytes), with_key_file(&home), None, &new.target)
        .await
        .unwrap();
    let store = Arc::clone(&new.target.store);
    // The mark stays where it was: beside the header of the old vault.
    let again = SealedVault::sealed(&new.target.folder, home.folder.path(), store);
    let unlock = || vec![Unlock::KeyFile(home.key())];
    let refused = again.unseal(unlock(), OpenOptions::default()).await;
    let Err(OpenError::RolledBack { found, known: mark }) = refused else {
        panic!("{refused:?}");
    };
    assert!(found >= facts.generation && mark == known);
    let told = again.status().await.rollback.unwrap();
    assert_eq!((told.found, told.known), (found, known));
    let phrase = || Secret::new(WORDS.to_owned());
    let cost = PassphraseCost::insecure_for_tests();
    let added = again.recover_slot(unlock(), NewSlot::Passphrase(phrase(), cost));
    added.await.unwrap();
    assert!(again.status().await.sealed, "a new slot opened it");
    let refused = again.unseal(vec![Unlock::Passphrase(phrase())], OpenOptions::default());
    let refused = refused.await.unwrap_err();
    assert!(matches!(refused, OpenError::RolledBack { .. }), "{refused}");
    let accept = OpenOptions {
        accept_rollback: Some(found),
    };
    let by_new_slot = vec![Unlock::Passphrase(phrase())];
    again.unseal(by_new_slot, accept).await.unwrap();
    assert_eq!(again.status().await.rollback, None);
}

/// A slot is made only by what opens another one, and only where both copies of the header agree.
#[tokio::test]
async fn slots_of_a_sealed_vault_need_a_slot() {
    let (home, vault) = home(1).await;
    vault.seal().await;
    let new = || NewSlot::CreateKeyFile(home.folder.path().join("new.key"));
    let wrong = vec![Unlock::Passphrase(Secret::new(
        "anything at all".to_owned(),
    ))];
    let refused = vault.recover_slot(wrong, new()).await.unwrap_err();
    assert!(matches!(refused, ChangeError::Open(_)), "{refused}");
    assert!(!home.folder.path().join("new.key").exists());
    let copy = home.folder.path().join("seal.hdr.b");
    let good = std::fs::read(&copy).unwrap();
    std::fs::write(&copy, b"torn").unwrap();
    let unlock = || vec![Unlock::KeyFile(home.key())];
    let refused = vault.recover_slot(unlock(), new()).await.unwrap_err();
    assert!(matches!(refused, ChangeError::NotDurable), "{refused}");
    std::fs::write(&copy, good).unwrap();
    vault.recover_slot(unlock(), new()).await.unwrap();
    let by_new = vec![Unlock::KeyFile(home.folder.path().join("new.key"))];
    vault.unseal(by_new, OpenOptions::default()).await.unwrap();
}

/// K15: every grant that rotates is marked by a restore and by an accepted rollback, and no other.
#[tokio::test]
async fn k15_restored_grants_are_marked() {
    let (home, vault) = home(3).await;
    let mut rotating = numbered(1);
    rotating.refreshable = true;
    rotating.generation = 7;
    rotating.token_expires = Some(Timestamp::from_unix_ms(5000));
    vault.commit(vec![put_link(&rotating)]).await.unwrap();
    let (bytes, _) = backup(&vault, None).await.unwrap();
    let new = Fresh::new();
    restore(pieces(&bytes), with_key_file(&home), None, &new.target)
        .await
        .unwrap();
    assert_marked(&new.open(&home).await.unwrap(), &rotating).await;

    let old = dump(&*home.store).await;
    vault.commit(vec![put_link(&numbered(2))]).await.unwrap();
    vault.seal().await;
    crate::support::restore(&*home.store, &old).await;
    let folder = home.folder.path();
    let again = SealedVault::sealed(folder, folder, Arc::clone(&home.store));
    let unlock = || vec![Unlock::KeyFile(home.key())];
    let refused = again.unseal(unlock(), OpenOptions::default()).await;
    let Err(OpenError::RolledBack { found, .. }) = refused else {
        panic!("{refused:?}");
    };
    let accept = OpenOptions {
        accept_rollback: Some(found),
    };
    again.unseal(unlock(), accept).await.unwrap();
    assert_marked(&again, &rotating).await;
    drop(again);
    home.open().await;
}

async fn assert_marked(vault: &SealedVault, rotating: &Link) {
    let page = vault.page(&Listing::Intents, None, 100).await.unwrap();
    assert_eq!(page.entries.len(), 1);
    let Record::Intent(intent) = &page.entries[0].record else {
        panic!("an intent was listed");
    };
    assert_eq!((&intent.link, intent.generation), (&rotating.id, 7));
    assert!(intent.restored && intent.lost && !intent.in_flight);
    let key = Key::Link(rotating.namespace.clone(), rotating.id.clone());
    let Some(Record::Link(link)) = vault.get(&key).await.unwrap().map(|entry| entry.record) else {
        panic!("the link is there");
    };
    assert_eq!(
        link.upkeep.next_refresh,
        Some(Timestamp::from_unix_ms(5000))
    );
}

/// 100,000 records each way, in at most a minute each. Set `BINDERY_MANY=1` for all of them; 2,000 without.
#[tokio::test]
async fn many_records_take_a_minute_at_most() {
    let count = if std::env::var_os("BINDERY_MANY").is_some() {
        100_000
    } else {
        2_000
    };
    let (home, vault) = home(count).await;
    let begun = Instant::now();
    let (bytes, facts) = backup(&vault, None).await.unwrap();
    let made = begun.elapsed();
    let begun = Instant::now();
    let new = Fresh::new();
    restore(pieces(&bytes), with_key_file(&home), None, &new.target)
        .await
        .unwrap();
    let restored = begun.elapsed();
    println!(
        "figure: backup: {} records, {} bytes: made and read back in {made:?}, restored and read back in {restored:?}",
        facts.records, facts.size
    );
    assert!(made.max(restored) < Duration::from_secs(60));
}
