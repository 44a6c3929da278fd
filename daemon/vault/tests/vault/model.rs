//! The vault does what a map does, also through restarts and rotations.

use std::{collections::BTreeMap, sync::Arc};

use bindery_core::{
    port::{Expect, Listing, Record, Vault, VaultError},
    time::Timestamp,
};
use bindery_store::MemoryStore;
use bindery_vault::SealedVault;
use proptest::prelude::*;

use crate::support::{Home, change, link, link_key, namespace, read_link};

#[derive(Clone, Debug)]
enum Step {
    Write(Vec<Write>),
    Reopen,
    Rotate,
    Reseal(usize),
    List(u8, usize),
}

#[derive(Clone, Debug)]
struct Write {
    place: (u8, u8),
    expect: Wanted,
    text: Option<u16>,
}

#[derive(Clone, Copy, Debug)]
enum Wanted {
    Any,
    Absent,
    Current,
    Version(u64),
}

/// Namespace and id, to text and version.
type Model = BTreeMap<(u8, u8), (u16, u64)>;

fn wanted() -> impl Strategy<Value = Wanted> {
    prop_oneof![
        4 => Just(Wanted::Any),
        1 => Just(Wanted::Absent),
        3 => Just(Wanted::Current),
        1 => (0u64..4).prop_map(Wanted::Version),
    ]
}

fn write() -> impl Strategy<Value = Write> {
    let text = prop::option::weighted(0.8, any::<u16>());
    ((0u8..2, 0u8..4), wanted(), text).prop_map(|(place, expect, text)| Write {
        place,
        expect,
        text,
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => prop::collection::vec(write(), 1..4).prop_map(Step::Write),
        1 => Just(Step::Reopen),
        1 => Just(Step::Rotate),
        2 => (1usize..5).prop_map(Step::Reseal),
        2 => (0u8..2, 1usize..4).prop_map(|(of, limit)| Step::List(of, limit)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is written, deleted, listed, re-opened and rotated, the vault and a map agree.
    #[test]
    fn vault_is_a_map(steps in prop::collection::vec(step(), 1..30)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(steps));
    }
}

async fn run(steps: Vec<Step>) {
    let home = Home::new(Arc::new(MemoryStore::new())).await;
    let mut vault = home.open().await;
    let mut model = Model::new();
    for step in steps {
        match step {
            Step::Write(writes) => both(&vault, &mut model, writes).await,
            Step::Reopen => {
                drop(vault);
                vault = home.open().await;
            }
            Step::Rotate => _ = vault.rotate_epoch(Timestamp::default()).await.unwrap(),
            Step::Reseal(limit) => _ = vault.reseal_step(limit).await.unwrap(),
            Step::List(of, limit) => list(&vault, &model, of, limit).await,
        }
        compare(&vault, &model).await;
    }
    drop(vault);
    let vault = home.open().await;
    compare(&vault, &model).await;
    assert_eq!(vault.status().await.records, model.len() as u64);
}

async fn both(vault: &SealedVault, model: &mut Model, mut writes: Vec<Write>) {
    writes.sort_by_key(|write| write.place);
    writes.dedup_by_key(|write| write.place);
    let mut next = model.clone();
    let (mut changes, mut holds) = (Vec::new(), true);
    for write in writes {
        let version = model.get(&write.place).map_or(0, |(_, version)| *version);
        let expect = match write.expect {
            Wanted::Any => Expect::Any,
            Wanted::Absent => Expect::Absent,
            Wanted::Current => Expect::Version(version),
            Wanted::Version(version) => Expect::Version(version),
        };
        holds &= match expect {
            Expect::Any => true,
            Expect::Absent => version == 0,
            Expect::Version(expected) => version == expected,
        };
        let record = write.text.map(|text| {
            next.insert(write.place, (text, version + 1));
            let mut link = place(write.place);
            link.display_name = text.to_string();
            Record::Link(link)
        });
        if record.is_none() {
            next.remove(&write.place);
        }
        changes.push(change(link_key(&place(write.place)), expect, record));
    }
    let expected = if holds {
        Ok(())
    } else {
        Err(VaultError::Conflict)
    };
    assert_eq!(vault.commit(changes).await, expected);
    if holds {
        *model = next;
    }
}

async fn compare(vault: &SealedVault, model: &Model) {
    for of in 0..2 {
        for id in 0..4 {
            let read = read_link(vault, &place((of, id))).await.unwrap();
            let read = read.map(|(link, version)| (link.display_name.parse().unwrap(), version));
            assert_eq!(read, model.get(&(of, id)).copied());
        }
    }
}

async fn list(vault: &SealedVault, model: &Model, of: u8, limit: usize) {
    let listing = Listing::Links(namespace(&format!("n{of}")));
    let (mut found, mut after) = (Vec::new(), None::<Vec<u8>>);
    loop {
        let page = vault.page(&listing, after.as_deref(), limit).await.unwrap();
        for entry in page.entries {
            let Record::Link(link) = entry.record else {
                panic!("a link was listed");
            };
            found.push((link.display_name.parse::<u16>().unwrap(), entry.version));
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let mut expected: Vec<_> = model
        .range((of, 0)..(of + 1, 0))
        .map(|(_, held)| *held)
        .collect();
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected);
}

fn place((of, id): (u8, u8)) -> bindery_core::link::Link {
    link(&format!("n{of}"), &format!("l{id}"))
}
