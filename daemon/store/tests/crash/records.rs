//! What the child writes, and the check that it is all there.

use std::path::Path;

use bindery_store::{Batch, Expect, SledConfig, SledStore, Store, StoreError, Tree};

use crate::parent::Acknowledged;

/// Writers in one child; they share the committer's groups.
pub(crate) const WRITERS: usize = 6;

/// The batch number `step` of a writer: its counter moves on by compare-and-swap, a slot that was used before is
/// overwritten in two trees, and a record is added for good.
pub(crate) fn batch(writer: usize, step: u64) -> Batch {
    let expect = match step {
        1 => Expect::Absent,
        _ => Expect::Value(text(step - 1)),
    };
    let slot = slot(writer, step);
    Batch::new()
        .operation(
            COUNTERS,
            key(writer),
            expect,
            bindery_store::Write::Put(text(step)),
        )
        .put(LEFT, slot.clone(), value(writer, step))
        .put(RIGHT, slot, value(writer, step))
        .create(HISTORY, entry(writer, step), text(step))
}

/// Records that are written once, before all others.
pub(crate) fn cold() -> Batch {
    (0..200_u8).fold(Batch::new(), |batch, number| {
        batch.put(COLD, [number], [number; 300])
    })
}

/// Whether they are all there.
pub(crate) async fn has_cold(store: &dyn Store) -> Result<bool, StoreError> {
    let page = store.page(COLD, b"", None, usize::MAX).await?;
    let single = store.get(COLD, &[75]).await?;
    Ok(page.len() == 200 && single.is_some())
}

/// How far a writer came, as far as the store knows.
pub(crate) async fn last_step(store: &dyn Store, writer: usize) -> Result<u64, StoreError> {
    let counter = store.get(COUNTERS, &key(writer)).await?;
    Ok(counter.map_or(0, |counter| {
        String::from_utf8(counter).unwrap().parse().unwrap()
    }))
}

/// Opens a store and says what of the acknowledged batches is missing, and which batch is not whole.
pub(crate) fn check(folder: &Path, promised: &mut Acknowledged) -> Result<(), String> {
    let store = SledStore::open(folder, config()).map_err(|error| format!("{error:?}"))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        for writer in 0..WRITERS {
            let last = check_writer(&store, writer, promised.of(writer)).await?;
            promised.found(writer, last);
        }
        Ok(())
    })
}

pub(crate) fn config() -> SledConfig {
    let mut config = SledConfig::default();
    config.ballast_bytes = 0;
    config.free_floor = 0;
    config
}

/// Says how far a writer came, if that is all there and follows from what was acknowledged.
pub(crate) async fn check_writer(
    store: &dyn Store,
    writer: usize,
    acknowledged: u64,
) -> Result<u64, String> {
    let last = last_step(store, writer)
        .await
        .map_err(|error| error.to_string())?;
    // The one batch that was under way may be there.
    if last < acknowledged || last > acknowledged + 1 {
        return Err(format!(
            "writer {writer}: {acknowledged} acknowledged, {last} stored"
        ));
    }
    let history = store.page(HISTORY, &key(writer), None, usize::MAX).await;
    let history = history.map_err(|error| error.to_string())?;
    let expected = (1..=last).map(|step| (entry(writer, step), text(step)));
    if !history.into_iter().eq(expected) {
        return Err(format!(
            "writer {writer}: the history up to {last} has holes"
        ));
    }
    for step in last.saturating_sub(SLOTS - 1).max(1)..=last {
        let expected = Some(value(writer, step));
        for tree in [LEFT, RIGHT] {
            let stored = store.get(tree, &slot(writer, step)).await;
            if stored.map_err(|error| error.to_string())? != expected {
                return Err(format!("writer {writer}: batch {step} is not whole"));
            }
        }
    }
    Ok(last)
}

fn key(writer: usize) -> Vec<u8> {
    format!("writer {writer} ").into_bytes()
}

fn slot(writer: usize, step: u64) -> Vec<u8> {
    format!("writer {writer} slot {}", step % SLOTS).into_bytes()
}

fn entry(writer: usize, step: u64) -> Vec<u8> {
    format!("writer {writer} {step:08}").into_bytes()
}

fn text(step: u64) -> Vec<u8> {
    step.to_string().into_bytes()
}

/// Mostly short, sometimes so long that it is cut.
fn value(writer: usize, step: u64) -> Vec<u8> {
    let length = if step.is_multiple_of(7) {
        9000 + step % 5000
    } else {
        20 + step % 700
    };
    let seed = step * 31 + writer as u64;
    (0..length)
        .map(|at| ((at * 7 + seed) % 251).to_le_bytes()[0])
        .collect()
}

const SLOTS: u64 = 8;
// Sorts before the others.
const COLD: Tree = Tree::new("cold");
const COUNTERS: Tree = Tree::new("counters");
const LEFT: Tree = Tree::new("left");
const RIGHT: Tree = Tree::new("right");
const HISTORY: Tree = Tree::new("history");
