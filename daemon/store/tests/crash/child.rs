//! The process that is killed: opens the store, writes, and says on its output what happened.
//!
//! Lines: `opened`, `refused <error>`, `ack <writer> <step>`, `error <writer>`, `late <writer>` (a commit
//! that began after any writer met an error, and was not refused), `read` (what nobody writes
//! to can be read), `unreadable` (it is refused, since the way to it leads over a page in the hands of the write that
//! failed), `lost` (it reads as if it had never been written).

use std::cell::Cell;
use std::env;
use std::io::{Write, stdout};

use bindery_store::{OpenError, SledStore, Store, StoreError};
use futures_util::future::join_all;

use crate::records::{self, Reads, WRITERS};

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
    match SledStore::open(folder, config) {
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

async fn write(store: &SledStore) {
    let cold = match records::cold_reads(store).await {
        Reads::Right => true,
        _ => store.commit(records::cold()).await.is_ok(),
    };
    let limit = env::var("CRASH_LIMIT").map_or(u64::MAX, |limit| limit.parse().unwrap());
    let broken = Cell::new(false);
    join_all((0..WRITERS).map(|writer| write_as(store, &broken, writer, limit))).await;
    say(match records::cold_reads(store).await {
        Reads::Right => "read",
        Reads::Refused => "unreadable",
        Reads::Missing if cold => "lost",
        Reads::Missing => "read",
    });
}

async fn write_as(store: &SledStore, broken: &Cell<bool>, writer: usize, limit: u64) {
    // If the first commit failed, the only page there is may be in its hands.
    let Ok(last) = records::last_step(store, writer).await else {
        return say(&format!("error {writer}"));
    };
    let begin = last + 1;
    for step in begin..begin.saturating_add(limit) {
        let was_broken = broken.get();
        if store.commit(records::batch(writer, step)).await.is_err() {
            broken.set(true);
            say(&format!("error {writer}"));
            return insist(store, writer, step).await;
        }
        if was_broken {
            say(&format!("late {writer}"));
        }
        say(&format!("ack {writer} {step}"));
    }
}

/// After an error every further commit has to be refused.
async fn insist(store: &SledStore, writer: usize, step: u64) {
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
