//! M1, M2: the vault does what a map does, also through restarts, crashes, rotations, destroyed keys, rollbacks, and backups
//! that are restored.
//!
//! `BINDERY_FIGURES=full` runs 2,000 cases of up to 50 steps; without it 48 of up to 30.

use std::{collections::BTreeMap, sync::Arc};

use bindery_core::{
    port::{Change, Expect, Listing, Record, Vault, VaultError},
    time::Timestamp,
};
use bindery_store::{MemoryStore, Store, Tree};
use bindery_vault::{OpenError, OpenOptions, Opening, SealedVault, Target, Unlock};
use proptest::prelude::*;
use tokio::sync::mpsc;

use crate::support::{Home, change, dump, link, link_key, namespace, read_link, restore};

#[derive(Clone, Debug)]
enum Step {
    Write(Vec<Write>),
    Reopen,
    Rotate,
    Reseal(usize),
    /// All that is left under old keys is sealed again, and these are destroyed.
    Retire,
    List(u8, usize),
    /// The process ends while a commit is on its way.
    Crash(Vec<Write>, bool),
    /// The store goes back to what it was some steps before.
    RollBack(usize),
    /// A backup is made, and the vault goes on with what was restored from it.
    Restore,
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
        1 => Just(Step::Retire),
        2 => (0u8..2, 1usize..4).prop_map(|(of, limit)| Step::List(of, limit)),
        1 => (prop::collection::vec(write(), 1..4), any::<bool>())
            .prop_map(|(writes, durable)| Step::Crash(writes, durable)),
        1 => (1usize..6).prop_map(Step::RollBack),
        1 => Just(Step::Restore),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(figure(48, 2000)))]

    /// Whatever is written, deleted, listed, re-opened and rotated, the vault and a map agree.
    #[test]
    fn vault_is_a_map(steps in prop::collection::vec(step(), 1..figure(30, 50) as usize)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(steps));
    }
}

fn figure(share: u32, full: u32) -> u32 {
    match std::env::var("BINDERY_FIGURES") {
        Ok(text) if text == "full" => full,
        _ => share,
    }
}

/// What was stored, and what the map held then.
type Past = (Vec<(Tree, Vec<u8>, Vec<u8>)>, Model);

async fn run(steps: Vec<Step>) {
    let mut home = Home::new(Arc::new(MemoryStore::new())).await;
    let mut vault = home.open().await;
    let mut model = Model::new();
    let mut history: Vec<Past> = Vec::new();
    for step in steps {
        history.push((dump(&*home.store).await, model.clone()));
        match step {
            Step::Write(writes) => both(&vault, &mut model, writes).await,
            Step::Reopen => {
                drop(vault);
                vault = home.open().await;
            }
            Step::Rotate => _ = vault.rotate_epoch(Timestamp::default()).await.unwrap(),
            Step::Reseal(limit) => _ = vault.reseal_step(limit).await.unwrap(),
            Step::Retire => {
                retire(&vault).await;
                // Nothing opens what was stored under a key that is destroyed.
                history.clear();
            }
            Step::List(of, limit) => list(&vault, &model, of, limit).await,
            Step::Crash(writes, durable) => {
                vault = crash(&home, vault, &mut model, (writes, durable)).await;
            }
            Step::RollBack(steps) => {
                let at = history.len().saturating_sub(steps);
                history.truncate(at + 1);
                let past = history.last().unwrap();
                vault = roll_back(&home, vault, past).await;
                model.clone_from(&past.1);
            }
            Step::Restore => {
                home.store = restored(&home, &vault).await;
                drop(vault);
                vault = home.open().await;
                history.clear();
            }
        }
        compare(&vault, &model).await;
    }
    drop(vault);
    let vault = home.open().await;
    compare(&vault, &model).await;
    assert_eq!(vault.status().await.records, model.len() as u64);
}

/// M2: afterwards every record is under the one key that is left.
async fn retire(vault: &SealedVault) {
    let epochs = vault.status().await.epochs.len();
    vault.reseal_all().await.unwrap();
    assert_eq!(vault.retire_epochs().await.unwrap().len(), epochs - 1);
    let left = vault.status().await.epochs;
    let used = vault.count_epochs().await.unwrap();
    assert_eq!(left.len(), 1);
    assert!(used.keys().all(|id| *id == left[0].id), "{used:?}");
}

/// The process ends with a commit on its way, which is on the disk or is not, and with a mark that is not written yet.
async fn crash(
    home: &Home,
    vault: SealedVault,
    model: &mut Model,
    (writes, durable): (Vec<Write>, bool),
) -> SealedVault {
    let mark = home.folder.path().join("highwater");
    let old_mark = std::fs::read(&mark).unwrap();
    let before = dump(&*home.store).await;
    let mut after = model.clone();
    both(&vault, &mut after, writes).await;
    drop(vault);
    std::fs::write(&mark, old_mark).unwrap();
    if durable {
        *model = after;
    } else {
        restore(&*home.store, &before).await;
    }
    home.open().await
}

/// A store that is older than the mark is refused until exactly its generation is accepted.
async fn roll_back(home: &Home, vault: SealedVault, past: &Past) -> SealedVault {
    let known = vault.status().await.generation;
    drop(vault);
    restore(&*home.store, &past.0).await;
    let folder = home.folder.path();
    let vault = SealedVault::sealed(folder, folder, Arc::clone(&home.store));
    let unlock = || vec![Unlock::KeyFile(home.key())];
    match vault.unseal(unlock(), OpenOptions::default()).await {
        Ok(()) => assert_eq!(
            vault.status().await.generation,
            known,
            "nothing was rolled back"
        ),
        Err(OpenError::RolledBack { found, known: mark }) => {
            assert!(found < mark && mark == known, "{found} {mark} {known}");
            let accept = |generation| OpenOptions {
                accept_rollback: Some(generation),
            };
            let other = vault.unseal(unlock(), accept(found + 1)).await;
            assert!(matches!(other, Err(OpenError::RolledBack { .. })));
            vault.unseal(unlock(), accept(found)).await.unwrap();
        }
        Err(error) => panic!("{error}"),
    }
    vault
}

/// The store that a backup of the vault is restored into.
async fn restored(home: &Home, vault: &SealedVault) -> Arc<dyn Store> {
    let (out, pieces) = mpsc::channel(1000);
    vault.backup(None, Timestamp::default(), out).await.unwrap();
    let new = tempfile::tempdir().unwrap();
    let target = Target {
        folder: new.path().join("vault"),
        store: Arc::new(MemoryStore::new()),
    };
    let opening = Opening::slots(vec![Unlock::KeyFile(home.key())]);
    bindery_vault::restore(pieces, opening, None, &target)
        .await
        .unwrap();
    target.store
}

async fn both(vault: &SealedVault, model: &mut Model, writes: Vec<Write>) {
    let (changes, next) = planned(model, writes);
    let expected = match next {
        Some(_) => Ok(()),
        None => Err(VaultError::Conflict),
    };
    assert_eq!(vault.commit(changes).await, expected);
    if let Some(next) = next {
        *model = next;
    }
}

/// The changes, and the map after them; `None` where they are refused.
fn planned(model: &Model, mut writes: Vec<Write>) -> (Vec<Change>, Option<Model>) {
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
    (changes, holds.then_some(next))
}

async fn compare(vault: &SealedVault, model: &Model) {
    for of in 0..2 {
        for id in 0..4 {
            let expected = model.get(&(of, id)).copied();
            assert_eq!(shown(vault, (of, id)).await, expected);
        }
    }
}

async fn shown(vault: &SealedVault, at: (u8, u8)) -> Option<(u16, u64)> {
    let read = read_link(vault, &place(at)).await.unwrap();
    read.map(|(link, version)| (link.display_name.parse().unwrap(), version))
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
