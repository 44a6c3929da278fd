//! The process that is killed: opens the store, writes, and says on its output what happened.
//!
//! Lines: `opened`, `refused <error>`, `ack <writer> <step>`, `error <writer>`, `late <writer>` (a commit
//! that began after any writer met an error, and was not refused), and at the end how reading all of it went: `right`,
//! `wrong <why>`, or `lost` (what was written first and never again reads as if it had not been).

use std::cell::Cell;
use std::env;
use std::io::{Write, stdout};

use bindery_store::{OpenError, Store, StoreError, SwapStore};
use futures_util::future::join_all;

use crate::records::{self, WRITERS};

pub(crate) fn run() {
    let Ok(folder) = env::var("CRASH_FOLDER") else {
        return;
    };
    let mut config = records::config();
    config.ballast_bytes = if env::var("CRASH_BALLAST").is_ok() {
        1 << 20
    } else {
        0
    };
    // The harness leaves an unfinished line.
    say("");
    match SwapStore::open(folder, config) {
        Ok(store) => {
            say("opened");
            let runtime = tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap();
            runtime.block_on(write(&store));
        }
        Err(OpenError::Locked { .. }) => say("refused Locked"),
        Err(OpenError::NoSpace { .. }) => say("refused NoSpace"),
        Err(error) => say(&format!("refused {error:?}")),
    }
}

async fn write(store: &SwapStore) {
    let cold = records::has_cold(store).await.unwrap_or(false)
        || store.commit(records::cold()).await.is_ok();
    let limit = env::var("CRASH_LIMIT").map_or(u64::MAX, |limit| limit.parse().unwrap());
    let broken = Cell::new(!cold);
    let written = (0..WRITERS).map(|writer| write_as(store, &broken, writer, limit));
    let acknowledged = join_all(written).await;
    match judge(store, cold, &acknowledged).await {
        Ok(()) => say("right"),
        Err(why) => say(&why),
    }
}

/// Reads everything that was acknowledged.
async fn judge(store: &SwapStore, cold: bool, acknowledged: &[u64]) -> Result<(), String> {
    let found = records::has_cold(store).await;
    if cold && !found.map_err(|why| format!("wrong {why}"))? {
        return Err("lost".to_owned());
    }
    for (writer, step) in acknowledged.iter().enumerate() {
        let found = records::check_writer(store, writer, *step).await;
        found.map_err(|why| format!("wrong {why}"))?;
    }
    Ok(())
}

/// Writes until something fails; the last step that was acknowledged.
async fn write_as(store: &SwapStore, broken: &Cell<bool>, writer: usize, limit: u64) -> u64 {
    let last = match records::last_step(store, writer).await {
        Ok(last) => last,
        Err(why) => {
            say(&format!("wrong {why}"));
            return 0;
        }
    };
    for step in last + 1..(last + 1).saturating_add(limit) {
        let was_broken = broken.get();
        if store.commit(records::batch(writer, step)).await.is_err() {
            broken.set(true);
            say(&format!("error {writer}"));
            insist(store, writer, step).await;
            return step - 1;
        }
        if was_broken {
            say(&format!("late {writer}"));
        }
        say(&format!("ack {writer} {step}"));
    }
    last.saturating_add(limit)
}

/// After an error every further commit has to be refused.
async fn insist(store: &SwapStore, writer: usize, step: u64) {
    for step in step..step + 5 {
        let again = store.commit(records::batch(writer, step)).await;
        if !matches!(again, Err(StoreError::ReadOnly { .. })) {
            say(&format!("late {writer} {again:?}"));
        }
    }
}

fn say(line: &str) {
    let mut out = stdout().lock();
    out.write_all(format!("{line}\n").as_bytes())
        .and_then(|()| out.flush())
        .unwrap();
}
