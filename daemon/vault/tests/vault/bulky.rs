//! Records that grow with what a provider sends.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bindery_core::{
    delivery::{Delivery, DeliveryState},
    hook::{KnownRef, KnownRefs},
    name::{HookId, RotationId},
    port::{Expect, Key, Listing, Record, Vault, VaultError},
    rotation::HookRotation,
    time::Timestamp,
};
use bindery_store::{MemoryStore, SledConfig, SledStore};
use bindery_vault::SealedVault;

use crate::support::{Home, change, dump, link, namespace, put, put_link};

const MIB: usize = 1 << 20;

/// A delivery of 8 MiB comes back as it was, from the disk too, in one commit with the refs of a large repository.
#[tokio::test]
async fn long_deliveries_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = SledConfig::default();
    config.ballast_bytes = 0;
    let home = Home::new(Arc::new(SledStore::open(folder.path(), config).unwrap())).await;
    let vault = home.open().await;
    let sent = delivery(1, 8 * MIB);
    let refs = Key::KnownRefs(sent.hook.clone());
    let many = Record::KnownRefs(known_refs(40_000));
    vault
        .commit(vec![
            change(
                Key::Delivery(1),
                Expect::Absent,
                Some(Record::Delivery(sent.clone())),
            ),
            change(refs.clone(), Expect::Absent, Some(many)),
        ])
        .await
        .unwrap();
    drop(vault);
    let vault = home.open().await;
    assert!(read_delivery(&vault, 1).await == sent);
    let Record::KnownRefs(found) = vault.get(&refs).await.unwrap().unwrap().record else {
        panic!("refs were asked for");
    };
    assert!(found == known_refs(40_000));
}

/// What is longer than its kind may be is refused with a sentence, and nothing is written.
#[tokio::test]
async fn too_long_records_are_refused() {
    let home = Home::new(Arc::new(MemoryStore::new())).await;
    let vault = home.open().await;
    let delivery = Record::Delivery(delivery(1, 9 * MIB));
    let refused = put(&vault, Key::Delivery(1), delivery).await;
    assert!(says(refused, "longer than 8704 KiB"));
    let mut link = link("acme", "a");
    link.display_name = "a".repeat(MIB);
    let refused = vault.commit(vec![put_link(&link)]).await;
    assert!(says(refused, "longer than 512 KiB"));
    assert_eq!(vault.status().await.records, 0);
}

fn says(outcome: Result<(), VaultError>, words: &str) -> bool {
    matches!(outcome, Err(VaultError::Store(text)) if text.contains(words))
}

/// Re-sealing takes long records a few at a time, so that each step fits into a batch and into memory, and reaches all.
#[tokio::test]
async fn long_records_are_resealed_in_steps() {
    let home = Home::new(Arc::new(MemoryStore::new())).await;
    let vault = home.open().await;
    for number in 1..=9 {
        let record = Record::Delivery(delivery(number, 5 * MIB));
        put(&vault, Key::Delivery(number), record).await.unwrap();
    }
    vault.rotate_epoch(Timestamp::default()).await.unwrap();
    let (mut resealed, mut steps) = (0, 0);
    loop {
        let step = vault.reseal_step(500).await.unwrap();
        assert!(step.seen <= 2);
        (resealed, steps) = (resealed + step.resealed, steps + 1);
        if step.done {
            break;
        }
    }
    assert_eq!((resealed, steps), (9, 5));
    for (tree, _, value) in dump(&*home.store).await {
        if value.starts_with(b"BDY1") {
            assert_eq!(value[6..10], [0, 0, 0, 2], "{}", tree.name());
        }
    }
    vault.verify().await.unwrap();
}

/// Short records of a kind that may be long are re-sealed in one step, each of them once.
#[tokio::test]
async fn short_deliveries_are_resealed_at_once() {
    let home = Home::new(Arc::new(MemoryStore::new())).await;
    let vault = home.open().await;
    for number in 1..=20 {
        let record = Record::Delivery(delivery(number, 10));
        put(&vault, Key::Delivery(number), record).await.unwrap();
    }
    vault.rotate_epoch(Timestamp::default()).await.unwrap();
    let step = vault.reseal_step(500).await.unwrap();
    assert_eq!((step.seen, step.resealed, step.done), (20, 20, true));
}

/// Long records come in short pages, whatever page was asked for, and each of them once.
#[tokio::test]
async fn long_records_come_in_short_pages() {
    let home = Home::new(Arc::new(MemoryStore::new())).await;
    let vault = home.open().await;
    for number in 0..20 {
        let rotation = rotation(number);
        let key = Key::HookRotation(rotation.namespace.clone(), rotation.id.clone());
        put(&vault, key, Record::HookRotation(rotation))
            .await
            .unwrap();
    }
    let (mut seen, mut after) = (BTreeSet::new(), None::<Vec<u8>>);
    loop {
        let listing = Listing::HookRotations(namespace("acme"));
        let page = vault.page(&listing, after.as_deref(), 1000).await.unwrap();
        assert!(page.entries.len() <= 8);
        for entry in page.entries {
            let Record::HookRotation(rotation) = entry.record else {
                panic!("a rotation was listed");
            };
            assert!(seen.insert(rotation.id));
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 20);
}

async fn read_delivery(vault: &SealedVault, number: u64) -> Delivery {
    match vault.get(&Key::Delivery(number)).await.unwrap() {
        Some(entry) => match entry.record {
            Record::Delivery(delivery) => delivery,
            other => panic!("a delivery was asked for: {other:?}"),
        },
        None => panic!("the delivery is lost"),
    }
}

fn delivery(number: u64, length: usize) -> Delivery {
    let body = (0..length).map(|at| u8::try_from(at % 251).unwrap());
    Delivery {
        number,
        hook: HookId::parse("h1").unwrap(),
        stable_id: "d-1".to_owned(),
        event: "push".to_owned(),
        headers: vec![("x-event".to_owned(), "push".to_owned())],
        body: body.collect(),
        received: Timestamp::default(),
        redelivered: false,
        state: DeliveryState::Stored,
        message: String::new(),
        events: Vec::new(),
        marks: vec![[1; 32], [2; 32]],
        about: None,
    }
}

fn known_refs(count: usize) -> KnownRefs {
    let one = |number| {
        let known = KnownRef {
            commit: format!("{number:040x}"),
            before: format!("{number:040x}"),
            ..KnownRef::default()
        };
        (
            format!("refs/heads/a-branch-with-a-rather-long-name/{number:010}"),
            known,
        )
    };
    KnownRefs {
        refs: (0..count).map(one).collect(),
        complete: true,
        changed: None,
    }
}

fn rotation(number: u32) -> HookRotation {
    HookRotation {
        namespace: namespace("acme"),
        id: RotationId::parse(&format!("r{number}")).unwrap(),
        overlap: Duration::from_secs(3600),
        actor: "tester".to_owned(),
        created: Timestamp::default(),
        finished: None,
        hooks: Vec::new(),
    }
}
