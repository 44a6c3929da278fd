//! Many seeds, each weeks or months of links at every kind of forge.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use bindery_simulation::{Broken, History, run};

/// Seeds where nobody asks for more: enough for a normal edit. `BINDERY_SIMULATION_SEEDS` asks for more,
/// `BINDERY_SIMULATION_SEED` for one alone.
const SEEDS: u64 = 100;

/// R1 to R9: 0 live grants are said to be dead, 0 refresh tokens are lost without a statement, and no token is handed out
/// that the forge refuses, whatever dies, is lost, goes away or jumps.
#[test]
fn no_seed_breaks_a_promise() {
    if let Some(seed) = number("BINDERY_SIMULATION_SEED") {
        println!(
            "seed {seed}: {}",
            run(seed).unwrap_or_else(|broken| panic!("{broken}"))
        );
        return;
    }
    let seeds = number("BINDERY_SIMULATION_SEEDS").unwrap_or(SEEDS);
    let (history, broken) = run_all(seeds);
    println!("figure: {seeds} seeds: {history}");
    for one in &broken {
        println!("seed {}: {}", one.seed, one.what);
    }
    if let Some(first) = broken.first() {
        println!("{first}");
    }
    assert!(
        broken.is_empty(),
        "{} of {seeds} seeds break a promise",
        broken.len()
    );
}

/// Everything that can go wrong does: a run in which nothing happens proves nothing.
#[test]
fn things_go_wrong() {
    let (history, _) = run_all(20);
    for count in [
        history.refreshes,
        history.deaths,
        history.lost,
        history.outages,
        history.jumps,
        history.revoked,
        history.reauthorized,
        history.unlinked,
        history.stated,
        history.works,
    ] {
        assert!(count > 0, "{history}");
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// All seeds below `seeds`, on all processors.
fn run_all(seeds: u64) -> (History, Vec<Broken>) {
    let next = AtomicU64::new(0);
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        let (mut history, mut broken) = (History::default(), Vec::new());
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return (history, broken);
            }
            match run(seed) {
                Ok(one) => history.add(&one),
                Err(one) => broken.push(one),
            }
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let mut all = (History::default(), Vec::new());
        for worker in workers {
            let (history, broken) = worker.join().expect("a worker ends");
            all.0.add(&history);
            all.1.extend(broken);
        }
        all
    })
}
