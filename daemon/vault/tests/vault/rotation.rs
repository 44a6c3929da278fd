//! New epochs and root keys: what they change, and what they leave as it is.

use std::{fs, sync::Arc};

use bindery_core::{port::Vault, time::Timestamp};
use bindery_store::{MemoryStore, Store, Tree};
use bindery_vault::{
    ChangeError, Init, InitMode, NewSlot, OpenError, PassphraseCost, SealedVault, SlotKind, Unlock,
};
use proptest::prelude::*;

use crate::support::{Home, dump, link, put_link, read_link, restore, text};

const PASSPHRASE: &str = "correct horse battery";

/// A vault with a key file and a passphrase.
async fn home() -> Home {
    let folder = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let slots = vec![
        NewSlot::CreateKeyFile(folder.path().join("key")),
        NewSlot::Passphrase(text(PASSPHRASE), PassphraseCost::insecure_for_tests()),
    ];
    let init = Init::prepare(folder.path(), slots, InitMode::Production).unwrap();
    init.finish(&*store, Timestamp::default()).await.unwrap();
    Home { folder, store }
}

async fn fill(vault: &SealedVault, count: usize) {
    for n in 0..count {
        vault
            .commit(vec![put_link(&link("acme", &format!("l{n}")))])
            .await
            .unwrap();
    }
}

/// An epoch's key is destroyed when no record is left under it, and not before; records keep their versions.
#[tokio::test]
async fn epochs_are_retired_when_they_are_empty() {
    let home = home().await;
    let vault = home.open().await;
    fill(&vault, 10).await;
    vault
        .rotate_epoch(Timestamp::from_unix_ms(7))
        .await
        .unwrap();
    assert_eq!(vault.retire_epochs().await.unwrap(), [0; 0]);
    let step = vault.reseal_step(4).await.unwrap();
    assert_eq!((step.seen, step.resealed, step.done), (4, 4, false));
    assert_eq!(vault.retire_epochs().await.unwrap(), [0; 0]);
    let counts = vault.count_epochs().await.unwrap();
    assert_eq!(counts.into_iter().collect::<Vec<_>>(), [(1, 6), (2, 4)]);
    assert_eq!(vault.reseal_all().await.unwrap(), 6);
    assert_eq!(vault.retire_epochs().await.unwrap(), [1]);
    let status = vault.status().await;
    assert_eq!(status.epochs.len(), 1);
    assert_eq!(
        (status.epochs[0].id, status.epochs[0].records),
        (2, Some(10))
    );
    assert_eq!(status.epochs[0].created, Timestamp::from_unix_ms(7));
    drop(vault);
    let vault = home.open().await;
    for n in 0..10 {
        let link = link("acme", &format!("l{n}"));
        assert_eq!(read_link(&vault, &link).await, Ok(Some((link, 1))));
    }
}

/// Re-sealing goes on where a daemon that died stopped, and does not look at the rest again.
#[tokio::test]
async fn resealing_goes_on_after_a_death() {
    let home = home().await;
    let vault = home.open().await;
    fill(&vault, 10).await;
    vault.rotate_epoch(Timestamp::default()).await.unwrap();
    vault.reseal_step(4).await.unwrap();
    drop(vault);
    let vault = home.open().await;
    let step = vault.reseal_step(100).await.unwrap();
    assert_eq!((step.seen, step.resealed, step.done), (6, 6, true));
    assert_eq!(vault.retire_epochs().await.unwrap(), [1]);
    // What an earlier epoch left is no place to go on from.
    vault.rotate_epoch(Timestamp::default()).await.unwrap();
    drop(vault);
    let vault = home.open().await;
    assert_eq!(vault.reseal_step(100).await.unwrap().seen, 10);
}

/// A cursor that somebody forged keeps an epoch in use; it never costs a record.
#[tokio::test]
async fn a_forged_cursor_costs_nothing() {
    let home = home().await;
    let vault = home.open().await;
    fill(&vault, 10).await;
    vault.rotate_epoch(Timestamp::default()).await.unwrap();
    vault.reseal_step(2).await.unwrap();
    drop(vault);
    let ring = Tree::new("ring");
    let mut forged = home.store.get(ring, b"cursor").await.unwrap().unwrap();
    forged[5..].fill(0xff);
    home.store
        .commit(bindery_store::Batch::new().put(ring, b"cursor", forged))
        .await
        .unwrap();
    let vault = home.open().await;
    vault.reseal_all().await.unwrap();
    assert_eq!(vault.retire_epochs().await.unwrap(), [0; 0]);
    for n in 0..10 {
        assert!(
            read_link(&vault, &link("acme", &format!("l{n}")))
                .await
                .unwrap()
                .is_some()
        );
    }
    vault.reseal_all().await.unwrap();
    assert_eq!(vault.retire_epochs().await.unwrap(), [1]);
}

/// A new root key: slots that are online open it, the others are named and gone; headers and rings of before are worth
/// nothing with it, and every record is as it was.
#[tokio::test]
async fn a_new_root_key_leaves_nothing_of_the_old_one() {
    let home = home().await;
    let vault = home.open().await;
    fill(&vault, 5).await;
    let old = fs::read(home.folder.path().join("seal.hdr.a")).unwrap();
    let online = || vec![Unlock::KeyFile(home.key())];
    let new = vault
        .rotate_root(Timestamp::default(), online())
        .await
        .unwrap();
    assert_eq!(new.epoch, 2);
    assert_eq!(new.lost.len(), 1);
    assert_eq!(new.lost[0].kind, SlotKind::Passphrase);
    fill_more(&vault).await;
    drop(vault);
    let lost = vec![Unlock::Passphrase(text(PASSPHRASE))];
    let refused = SealedVault::open(home.folder.path(), Arc::clone(&home.store), lost).await;
    assert!(matches!(refused, Err(OpenError::WrongKey { .. })));
    let vault = home.open().await;
    for id in ["l0", "l4", "later"] {
        assert!(
            read_link(&vault, &link("acme", id))
                .await
                .unwrap()
                .is_some(),
            "{id}"
        );
    }
    vault.reseal_all().await.unwrap();
    vault.retire_epochs().await.unwrap();
    drop(vault);
    // Who has the old header and its key file has the old root key and the old ring: neither opens a record of now.
    for name in ["seal.hdr.a", "seal.hdr.b"] {
        fs::write(home.folder.path().join(name), &old).unwrap();
    }
    if let Ok(vault) = home.try_open().await {
        for id in ["l0", "l4", "later"] {
            assert!(
                read_link(&vault, &link("acme", id)).await.is_err(),
                "{id} opens"
            );
        }
    }
}

async fn fill_more(vault: &SealedVault) {
    vault
        .commit(vec![put_link(&link("acme", "later"))])
        .await
        .unwrap();
}

/// With nothing online that opens a slot there is no new root key, and the old one stays.
#[tokio::test]
async fn a_root_key_that_nothing_opens_is_not_made() {
    let home = home().await;
    let vault = home.open().await;
    fill(&vault, 1).await;
    let stranger = home.folder.path().join("other");
    fs::write(&stranger, [9; 32]).unwrap();
    for online in [
        vec![],
        vec![Unlock::KeyFile(stranger)],
        vec![Unlock::KeyFile("/nowhere".into())],
    ] {
        let refused = vault.rotate_root(Timestamp::default(), online).await;
        assert!(
            matches!(refused, Err(ChangeError::NoSlotOnline)),
            "{refused:?}"
        );
    }
    let slots = vault.list_slots().await.len();
    assert_eq!(slots, 2);
    vault.rotate_epoch(Timestamp::default()).await.unwrap();
    drop(vault);
    let vault = SealedVault::open(
        home.folder.path(),
        Arc::clone(&home.store),
        vec![Unlock::Passphrase(text(PASSPHRASE))],
    );
    assert!(
        read_link(&vault.await.unwrap(), &link("acme", "l0"))
            .await
            .unwrap()
            .is_some()
    );
}

#[derive(Clone, Debug)]
enum Step {
    Write(u8),
    Rotate,
    NewRoot,
    Reseal(usize),
    Retire,
    Crash,
    /// The store of an earlier moment, with the header of that moment.
    Back,
    Keep,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u8..6).prop_map(Step::Write),
        3 => Just(Step::Rotate),
        1 => Just(Step::NewRoot),
        4 => (1usize..4).prop_map(Step::Reseal),
        3 => Just(Step::Retire),
        2 => Just(Step::Crash),
        1 => Just(Step::Back),
        1 => Just(Step::Keep),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// M2: in any interleaving of rotate, retire, crash and restore, every live record opens, and nothing is sealed under
    /// a key that is retired.
    #[test]
    fn m2_every_live_record_opens(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(steps));
    }
}

/// Everything that is on disk at one moment.
struct Image {
    stored: Vec<(Tree, Vec<u8>, Vec<u8>)>,
    header: Vec<u8>,
    written: [bool; 6],
}

async fn run(steps: Vec<Step>) {
    let home = Home::new(Arc::new(MemoryStore::new())).await;
    let mut vault = home.open().await;
    let mut written = [false; 6];
    let mut kept = image(&home, written).await;
    for step in steps {
        match step {
            Step::Write(n) => {
                vault
                    .commit(vec![put_link(&link("acme", &format!("l{n}")))])
                    .await
                    .unwrap();
                written[usize::from(n)] = true;
            }
            Step::Rotate => drop(vault.rotate_epoch(Timestamp::default()).await.unwrap()),
            Step::NewRoot => {
                let online = vec![Unlock::KeyFile(home.key())];
                drop(
                    vault
                        .rotate_root(Timestamp::default(), online)
                        .await
                        .unwrap(),
                );
            }
            Step::Reseal(limit) => drop(vault.reseal_step(limit).await.unwrap()),
            Step::Retire => drop(vault.retire_epochs().await.unwrap()),
            Step::Crash => {
                drop(vault);
                vault = home.open().await;
            }
            Step::Keep => kept = image(&home, written).await,
            Step::Back => {
                drop(vault);
                put_back(&home, &kept).await;
                written = kept.written;
                vault = home.open().await;
            }
        }
        check(&home, &vault, &written).await;
    }
}

async fn image(home: &Home, written: [bool; 6]) -> Image {
    Image {
        stored: dump(&*home.store).await,
        header: fs::read(home.folder.path().join("seal.hdr.a")).unwrap(),
        written,
    }
}

/// As an operator restores: the store, both copies of the header, and no mark of what was later.
async fn put_back(home: &Home, image: &Image) {
    restore(&*home.store, &image.stored).await;
    for name in ["seal.hdr.a", "seal.hdr.b"] {
        fs::write(home.folder.path().join(name), &image.header).unwrap();
    }
    // There is none before the first commit.
    let _ = fs::remove_file(home.folder.path().join("highwater"));
}

async fn check(home: &Home, vault: &SealedVault, written: &[bool; 6]) {
    for (n, written) in written.iter().enumerate() {
        let read = read_link(vault, &link("acme", &format!("l{n}")))
            .await
            .unwrap();
        assert_eq!(read.is_some(), *written);
    }
    let ring: Vec<u32> = vault
        .status()
        .await
        .epochs
        .iter()
        .map(|epoch| epoch.id)
        .collect();
    let links = home
        .store
        .page(Tree::new("links"), b"", None, 100)
        .await
        .unwrap();
    for (_, value) in links {
        let epoch = u32::from_be_bytes(value[6..10].try_into().unwrap());
        assert!(
            ring.contains(&epoch),
            "a record under {epoch}, and the ring has {ring:?}"
        );
    }
}
