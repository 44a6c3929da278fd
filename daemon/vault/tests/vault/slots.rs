//! Who can open a vault, and what happens to its header.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use bindery_core::{port::Vault, port::VaultHealth, secret::Secret, time::Timestamp};
use bindery_store::{Batch, MemoryStore, Store, Tree};
use bindery_vault::{
    ChangeError, HeaderError, Init, InitError, InitMode, KeyFileError, NewSlot, OpenError,
    PassphraseCost, SealedVault, ShareError, SlotError, SlotKind, Unlock,
};

use crate::support::{Home, link, put_link, read_link, text};

const PASSPHRASE: &str = "correct horse battery";

/// A vault with a key file, a passphrase and recovery shares.
struct Full {
    home: Home,
    shares: Vec<Secret>,
}

async fn full() -> Full {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let slots = vec![
        NewSlot::CreateKeyFile(folder.path().join("key")),
        passphrase(PASSPHRASE),
        NewSlot::Recovery,
    ];
    let mut init = Init::prepare(folder.path(), slots, InitMode::Production).unwrap();
    let shares: Vec<_> = init.shares().iter().map(Secret::duplicate).collect();
    init.confirm_shares(&shares[2], &shares[0]).unwrap();
    init.finish(&*store, Timestamp::default()).await.unwrap();
    let home = Home { folder, store };
    Full { home, shares }
}

fn passphrase(words: &str) -> NewSlot {
    NewSlot::Passphrase(text(words), PassphraseCost::insecure_for_tests())
}

async fn open(home: &Home, unlock: Unlock) -> Result<SealedVault, OpenError> {
    SealedVault::open(home.folder.path(), Arc::clone(&home.store), vec![unlock]).await
}

fn copies(folder: &Path) -> [Vec<u8>; 2] {
    ["seal.hdr.a", "seal.hdr.b"].map(|name| fs::read(folder.join(name)).unwrap())
}

/// Fewer than two kinds of slots are refused with one sentence, and nothing is written.
#[tokio::test]
async fn one_kind_of_slot_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name| NewSlot::CreateKeyFile(folder.path().join(name));
    for slots in [vec![], vec![file("a")], vec![file("a"), file("b")]] {
        let refused = Init::prepare(folder.path(), slots, InitMode::Production).unwrap_err();
        assert!(matches!(refused, InitError::TooFewSlots));
        assert!(refused.to_string().contains("two slots of different kind"));
    }
    let none = Init::prepare(folder.path(), vec![], InitMode::Development);
    assert!(none.is_err());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// The development mode takes one slot, the status says so, and a second kind of slot ends it.
#[tokio::test]
async fn development_is_remembered() {
    let home = Home::new(Arc::new(MemoryStore::new())).await;
    let vault = home.open().await;
    assert!(vault.status().await.development);
    let slot = vault.prepare_slot(passphrase(PASSPHRASE)).await.unwrap();
    vault.add_slot(slot).await.unwrap();
    drop(vault);
    let vault = open(&home, Unlock::Passphrase(text(PASSPHRASE)))
        .await
        .unwrap();
    assert!(!vault.status().await.development);
    assert!(matches!(
        vault.remove_slot(1).await,
        Err(ChangeError::TooFewSlots)
    ));
}

/// Each slot alone opens the vault, and a vault is made once.
#[tokio::test]
async fn every_slot_opens() {
    let Full { home, shares } = full().await;
    let two =
        |a: usize, b: usize| Unlock::Shares(vec![shares[a].duplicate(), shares[b].duplicate()]);
    for unlock in [
        Unlock::KeyFile(home.key()),
        Unlock::Credential(home.key()),
        Unlock::Passphrase(text(PASSPHRASE)),
        two(0, 1),
        two(2, 1),
    ] {
        let vault = open(&home, unlock).await.unwrap();
        let kinds: Vec<_> = vault
            .list_slots()
            .await
            .iter()
            .map(|slot| slot.kind)
            .collect();
        assert_eq!(
            kinds,
            [SlotKind::KeyFile, SlotKind::Passphrase, SlotKind::Recovery]
        );
        assert!(!vault.status().await.development);
    }
    let again = Init::prepare(home.folder.path(), vec![], InitMode::Development);
    assert!(matches!(again, Err(InitError::Exists)));
    let mode = fs::metadata(home.key()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o400);
}

/// Without two shares given back nothing is made; shares of something else don't count.
#[tokio::test]
async fn shares_must_be_confirmed() {
    let folder = tempfile::tempdir().unwrap();
    let store = MemoryStore::new();
    let prepare = || {
        let slots = vec![passphrase(PASSPHRASE), NewSlot::Recovery];
        Init::prepare(folder.path(), slots, InitMode::Production).unwrap()
    };
    let (mut init, other) = (prepare(), prepare());
    let shares: Vec<_> = init.shares().iter().map(Secret::duplicate).collect();
    let once = init.confirm_shares(&shares[0], &shares[0]);
    assert_eq!(once, Err(ShareError::TooFew { needed: 2 }));
    let foreign = init.confirm_shares(&other.shares()[0], &other.shares()[1]);
    assert_eq!(foreign, Err(ShareError::NotOfThisVault));
    let refused = init.finish(&store, Timestamp::default()).await;
    assert!(matches!(refused, Err(InitError::SharesNotConfirmed)));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Whatever is wrong with what somebody brings, the vault stays sealed and says what to do.
#[tokio::test]
async fn wrong_keys_are_named() {
    let Full { home, shares } = full().await;
    let other = full().await;
    let wrong = open(&home, Unlock::KeyFile(other.home.key()))
        .await
        .unwrap_err();
    assert!(matches!(&wrong, OpenError::WrongKey { slots } if slots.contains("passphrase")));
    let wrong = open(&home, Unlock::Passphrase(text("wrong horse battery"))).await;
    assert!(matches!(wrong, Err(OpenError::WrongKey { .. })));
    let one = Unlock::Shares(vec![shares[0].duplicate()]);
    let few = open(&home, one).await;
    assert!(matches!(
        few,
        Err(OpenError::Slot(SlotError::Shares(ShareError::TooFew {
            needed: 2
        })))
    ));
    let foreign = other.shares.iter().map(Secret::duplicate).collect();
    let foreign = open(&home, Unlock::Shares(foreign)).await;
    let expected = ShareError::NotOfThisVault;
    assert!(matches!(foreign, Err(OpenError::Slot(SlotError::Shares(e))) if e == expected));
    fs::set_permissions(home.key(), fs::Permissions::from_mode(0o644)).unwrap();
    let exposed = open(&home, Unlock::KeyFile(home.key())).await.unwrap_err();
    let is_exposed = matches!(
        &exposed,
        OpenError::Slot(SlotError::File(KeyFileError::Exposed { mode: 0o644, .. }))
    );
    assert!(
        is_exposed && exposed.to_string().contains("chmod 0400"),
        "{exposed}"
    );
    let nothing = SealedVault::open(home.folder.path(), Arc::clone(&home.store), vec![]).await;
    assert!(matches!(nothing, Err(OpenError::WrongKey { .. })));
}

/// A bad key among several does not keep a good one from opening.
#[tokio::test]
async fn the_first_good_key_opens() {
    let Full { home, .. } = full().await;
    let unlock = vec![
        Unlock::KeyFile(home.folder.path().join("absent")),
        Unlock::Passphrase(text("wrong horse battery")),
        Unlock::Passphrase(text(PASSPHRASE)),
    ];
    let opened = SealedVault::open(home.folder.path(), Arc::clone(&home.store), unlock).await;
    assert!(opened.is_ok());
}

/// A passphrase that is too short, and a key file path that is taken, are refused.
#[tokio::test]
async fn bad_slots_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let slots = vec![passphrase("short"), NewSlot::Recovery];
    let refused = Init::prepare(folder.path(), slots, InitMode::Production);
    assert!(matches!(
        refused,
        Err(InitError::Slot(SlotError::ShortPassphrase { .. }))
    ));
    let taken = folder.path().join("key");
    fs::write(&taken, "mine").unwrap();
    let slots = vec![NewSlot::CreateKeyFile(taken.clone())];
    let init = Init::prepare(folder.path(), slots, InitMode::Development).unwrap();
    let refused = init.finish(&MemoryStore::new(), Timestamp::default()).await;
    let exists = InitError::Slot(SlotError::File(KeyFileError::Exists(taken.clone())));
    assert_eq!(refused.unwrap_err().to_string(), exists.to_string());
    assert_eq!(fs::read(&taken).unwrap(), b"mine");
}

/// The number of a slot is given once: not again after the slot was removed, after a restart, where another slot came in
/// between, or with a new root key that it was lost with.
#[tokio::test]
async fn slot_numbers_are_given_once() {
    let Full { home, .. } = full().await;
    let key = || Unlock::KeyFile(home.key());
    let vault = open(&home, key()).await.unwrap();
    vault.remove_slot(3).await.unwrap();
    let early = vault
        .prepare_slot(passphrase("came too late"))
        .await
        .unwrap();
    assert_eq!(number_of_next(&vault).await, 4);
    vault.remove_slot(4).await.unwrap();
    let refused = vault.add_slot(early).await.unwrap_err();
    assert!(matches!(refused, ChangeError::Overtaken), "{refused}");
    vault.seal().await;
    drop(vault);

    let vault = open(&home, key()).await.unwrap();
    assert_eq!(number_of_next(&vault).await, 5);
    let rotated = vault.rotate_root(Timestamp::default(), vec![key()]).await;
    let lost = rotated.unwrap().lost;
    assert_eq!(lost.iter().map(|slot| slot.id).collect::<Vec<_>>(), [2, 5]);
    vault.seal().await;
    drop(vault);

    let vault = open(&home, key()).await.unwrap();
    // One of another kind has to stay.
    assert_eq!(number_of_next(&vault).await, 6);
    for number in 7..=255 {
        assert_eq!(number_of_next(&vault).await, number);
        vault.remove_slot(number).await.unwrap();
    }
    let refused = vault.prepare_slot(passphrase("number 256")).await;
    assert!(matches!(refused, Err(ChangeError::NumbersUsedUp)));
}

/// Adds a slot and says what number it has.
async fn number_of_next(vault: &SealedVault) -> u8 {
    let slot = vault
        .prepare_slot(passphrase("of the next slot"))
        .await
        .unwrap();
    let number = slot.info().unwrap().id;
    vault.add_slot(slot).await.unwrap();
    number
}

/// Killed between the two copies of the header, the newer one counts; a removed slot does not come back.
#[tokio::test]
async fn a_kill_between_copies_loses_nothing() {
    let Full { home, .. } = full().await;
    let folder = home.folder.path();
    let [_, old_b] = copies(folder);
    let vault = open(&home, Unlock::KeyFile(home.key())).await.unwrap();
    vault.remove_slot(2).await.unwrap();
    drop(vault);
    fs::write(folder.join("seal.hdr.b"), &old_b).unwrap();
    let removed = open(&home, Unlock::Passphrase(text(PASSPHRASE))).await;
    assert!(matches!(removed, Err(OpenError::WrongKey { .. })));
    let vault = open(&home, Unlock::KeyFile(home.key())).await.unwrap();
    assert_eq!(vault.list_slots().await.len(), 2);
    let [a, b] = copies(folder);
    assert!(a == b && b != old_b, "the older copy was not written again");
}

/// One copy gone or damaged: the vault opens and has two good ones again. Both: a clear error.
#[tokio::test]
async fn one_good_copy_is_enough() {
    let Full { home, .. } = full().await;
    let folder = home.folder.path();
    let unlock = || Unlock::KeyFile(home.key());
    for name in ["seal.hdr.a", "seal.hdr.b"] {
        let good = fs::read(folder.join(name)).unwrap();
        for spoiled in [None, Some(&good[..good.len() / 2]), Some(b"".as_slice())] {
            match spoiled {
                None => fs::remove_file(folder.join(name)).unwrap(),
                Some(bytes) => fs::write(folder.join(name), bytes).unwrap(),
            }
            open(&home, unlock()).await.unwrap();
            let [a, b] = copies(folder);
            assert_eq!(a, b);
        }
        let mut forged = fs::read(folder.join(name)).unwrap();
        let last = forged.len() - 1;
        forged[last] ^= 1;
        fs::write(folder.join(name), &forged).unwrap();
        open(&home, unlock()).await.unwrap();
    }
    for name in ["seal.hdr.a", "seal.hdr.b"] {
        fs::write(folder.join(name), "no header").unwrap();
    }
    let damaged = open(&home, unlock()).await;
    assert!(matches!(
        damaged,
        Err(OpenError::Header(HeaderError::Damaged))
    ));
    for name in ["seal.hdr.a", "seal.hdr.b"] {
        fs::remove_file(folder.join(name)).unwrap();
    }
    let absent = open(&home, unlock()).await;
    assert!(matches!(
        absent,
        Err(OpenError::Header(HeaderError::Absent))
    ));
}

/// Killed between the two copies of the ring, the newer one counts, whichever it is.
#[tokio::test]
async fn a_kill_during_rotation_loses_nothing() {
    let Full { home, .. } = full().await;
    let folder = home.folder.path();
    let ring = Tree::new("ring");
    let [old, _] = copies(folder);
    let old_ring = home.store.get(ring, b"ring").await.unwrap().unwrap();
    let vault = open(&home, Unlock::KeyFile(home.key())).await.unwrap();
    assert_eq!(vault.rotate_epoch(Timestamp::default()).await.unwrap(), 2);
    let link = link("acme", "a");
    vault.commit(vec![put_link(&link)]).await.unwrap();
    drop(vault);
    for name in ["seal.hdr.a", "seal.hdr.b"] {
        fs::write(folder.join(name), &old).unwrap();
    }
    let vault = open(&home, Unlock::KeyFile(home.key())).await.unwrap();
    assert_eq!(vault.status().await.active_epoch, 2);
    assert!(read_link(&vault, &link).await.unwrap().is_some());
    drop(vault);
    let batch = Batch::new().put(ring, b"ring", old_ring);
    home.store.commit(batch).await.unwrap();
    let vault = open(&home, Unlock::KeyFile(home.key())).await.unwrap();
    assert!(read_link(&vault, &link).await.unwrap().is_some());
}

/// A sealed vault answers nothing, says so, and opens again.
#[tokio::test]
async fn sealing_takes_the_keys_away() {
    let Full { home, .. } = full().await;
    let vault = open(&home, Unlock::KeyFile(home.key())).await.unwrap();
    let link = link("acme", "a");
    vault.commit(vec![put_link(&link)]).await.unwrap();
    assert_eq!(vault.health(), VaultHealth::Serving);
    vault.seal().await;
    assert_eq!(vault.health(), VaultHealth::Sealed);
    assert!(vault.status().await.sealed);
    let sealed = bindery_core::port::VaultError::Sealed;
    assert_eq!(read_link(&vault, &link).await, Err(sealed.clone()));
    assert_eq!(vault.commit(vec![put_link(&link)]).await, Err(sealed));
    assert!(matches!(vault.verify().await, Err(OpenError::Sealed)));
    let unlock = vec![Unlock::Passphrase(text(PASSPHRASE))];
    vault.unseal(unlock, Default::default()).await.unwrap();
    assert!(read_link(&vault, &link).await.unwrap().is_some());
}
