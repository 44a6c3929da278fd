//! What the store on disk keeps when its process is killed, the power fails, the disk fills or breaks.
//!
//! The tests start this same program again as a child (`child`), which writes and says what was acknowledged, and look
//! at what it left behind. `shim.c` is the model of a disk that loses what was not synced.
//!
//! `BINDERY_FIGURES=full` runs the numbers that THREATS §10 asks for: 1,000 kills, 1,000 power cuts, a full disk at each
//! of 500 writes, an error at each of 500 calls, 100 double starts. Without it a share of them runs.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, where a panic is the finding"
)]

mod child;
mod disk;
mod parent;
mod records;

use std::path::Path;

use tempfile::TempDir;

use crate::disk::{Home, Shim};
use crate::parent::{Acknowledged, Random, Report, Run};

/// How often something is tried: `full` times where the figures are asked for.
fn figure(share: usize, full: usize) -> usize {
    match std::env::var("BINDERY_FIGURES") {
        Ok(text) if text == "full" => full,
        _ => share,
    }
}

/// Not a test of its own: the body of the child processes. Does nothing unless a test started it.
#[test]
fn child() {
    child::run();
}

/// K6: after a power cut before any write or sync, every acknowledged batch is there, and every batch is whole.
#[test]
fn k6_power_cuts_lose_nothing_acknowledged() {
    let shim = Shim::compile();
    let mut random = Random(6);
    let (mut cuts, mut acknowledged) = (0, 0);
    for _ in 0..figure(6, 125) {
        let mut live = Home::new();
        let mut promised = Acknowledged::default();
        for _ in 0..8 {
            let kill = random.within(1..=250);
            let (image, run) = cut_power(&shim, live.path(), &[("SHIM_KILL", &kill.to_string())]);
            promised.extend(&run);
            records::check(image.path(), &mut promised).unwrap();
            live = image;
            cuts += 1;
        }
        acknowledged += promised.total();
    }
    println!("figure: K6: {cuts} power cuts, {acknowledged} acknowledged batches, 0 lost");
    assert!(acknowledged > 500, "too little was written to say anything");
}

/// K6, control: without our own sync of the data file the same cuts lose acknowledged batches, so the model bites.
#[test]
fn k6_control_without_sync_data_loses() {
    let shim = Shim::compile();
    let mut lost = 0;
    for kill in (100..300).step_by(20) {
        let live = Home::new();
        let plan = [
            ("SHIM_KILL", &*kill.to_string()),
            ("SHIM_DROP", "fdatasync"),
        ];
        let (image, run) = cut_power(&shim, live.path(), &plan);
        let mut promised = Acknowledged::default();
        promised.extend(&run);
        lost += usize::from(records::check(image.path(), &mut promised).is_err());
    }
    println!("figure: K6 control: {lost} of 10 power cuts lost acknowledged batches");
    assert!(lost >= 8, "only {lost} of 10 cuts lost anything");
}

/// K7: after kill -9 at any moment, every acknowledged batch is there, and the store opens.
#[test]
fn k7_kills_lose_nothing_acknowledged() {
    let mut random = Random(7);
    let (mut kills, mut acknowledged) = (0, 0);
    for _ in 0..figure(4, 20) {
        let live = Home::new();
        let mut promised = Acknowledged::default();
        for _ in 0..50 {
            let run = Run::of(live.path()).kill_after(random.within(1..=40)).go();
            assert!(run.was_killed(), "{run:?}");
            promised.extend(&run);
            records::check(live.path(), &mut promised).unwrap();
            kills += 1;
        }
        acknowledged += promised.total();
    }
    println!("figure: K7: {kills} kills, {acknowledged} acknowledged batches, 0 lost");
    assert!(kills >= 200 && acknowledged > 2000);
}

/// K7, exhaustive: a kill before each of the first 80 writes and syncs, opening included.
#[test]
fn k7_kill_before_each_write_and_sync() {
    let shim = Shim::compile();
    let live = Home::new();
    let mut promised = Acknowledged::default();
    for kill in 1..=80_u32 {
        let run = Run::of(live.path())
            .shim(&shim, &[("SHIM_KILL", &kill.to_string())])
            .go();
        assert!(run.was_killed(), "{run:?}");
        promised.extend(&run);
        records::check(live.path(), &mut promised).unwrap();
    }
    println!(
        "figure: K7: killed before each of 80 operations, {} acknowledged, 0 lost",
        promised.total()
    );
}

/// K8: a file that may not grow any further fails commits cleanly: read-only, and all is there once it may. Since it
/// could not be opened anew, it stays open, and goes on reading.
#[test]
fn k8_a_size_limit_fails_cleanly() {
    for blocks in [1100, 2100, 4200] {
        let live = Home::new();
        let run = Run::of(live.path()).file_limit(blocks).go();
        assert_read_only(&run);
        let mut promised = Acknowledged::default();
        promised.extend(&run);
        println!(
            "figure: K8: limit of {blocks} blocks met after {} batches",
            promised.total()
        );
        records::check(live.path(), &mut promised).unwrap();
    }
}

/// K8: a full disk makes the store read-only and releases the ballast. Everything acknowledged is still read, also from
/// the store opened anew, and while the disk is full the store can be restarted.
#[test]
fn k8_a_full_disk_does_not_prevent_a_restart() {
    let shim = Shim::compile();
    let (mut met, mut acknowledged) = (0, 0);
    // The first writes are those of opening, which releases the ballast and goes on.
    for full in (1..=500).step_by(figure(29, 1)) {
        let live = Home::new();
        let full = full.to_string();
        let run = Run::of(live.path())
            .shim(&shim, &[("SHIM_FULL", &full)])
            .ballast()
            .limit(400)
            .go();
        if run.has_failed() {
            met += 1;
            assert_read_only(&run);
            assert!(run.read_right(), "{full}: {run:?}");
            assert!(
                !live.path().join("ballast").exists(),
                "the ballast was not released"
            );
        }
        assert!(run.has_opened() && run.succeeded(), "{full}: {run:?}");
        let mut promised = Acknowledged::default();
        promised.extend(&run);
        acknowledged += promised.total();
        std::fs::write(live.path().join("ballast"), "some").unwrap();
        let again = Run::of(live.path())
            .shim(&shim, &[("SHIM_FULL", "1")])
            .limit(5)
            .go();
        assert!(again.has_opened() && again.succeeded(), "{again:?}");
        promised.extend(&again);
        records::check(live.path(), &mut promised).unwrap();
    }
    println!(
        "figure: K8: {met} disks full in use, {acknowledged} acknowledged batches, 0 lost, 0 reads refused or wrong, all \
         opened anew and restarted while full"
    );
    assert!(met >= figure(12, 400), "only {met} disks were full in use");
}

/// K8: without ballast a full disk is a typed refusal, and the store opens once there is room.
#[test]
fn k8_a_full_disk_without_ballast_is_a_typed_refusal() {
    let shim = Shim::compile();
    let live = Home::new();
    let written = Run::of(live.path()).kill_after(20).go();
    let mut promised = Acknowledged::default();
    promised.extend(&written);
    let stubborn = live.path().join("ballast");
    std::fs::create_dir(&stubborn).unwrap();
    let refused = Run::of(live.path()).shim(&shim, &[("SHIM_FULL", "1")]).go();
    assert!(refused.was_refused("NoSpace"), "{refused:?}");
    std::fs::remove_dir(&stubborn).unwrap();
    records::check(live.path(), &mut promised).unwrap();
}

/// K9: after the first I/O error, whichever call meets it, nothing is acknowledged, reads go on, and nothing panics.
#[test]
fn k9_nothing_is_acknowledged_after_an_io_error() {
    let shim = Shim::compile();
    let (mut runs, mut met, mut acknowledged) = (0, 0, 0);
    for call in ["fdatasync", "fsync", "pwrite", "sync_file_range", "write"] {
        for nth in (1..=100).filter(|nth| [1, 2, 3, 4, 5, 8, 13].contains(nth) || figure(0, 1) > 0)
        {
            let live = Home::new();
            let plan = format!("{call}:{nth}:5");
            let run = Run::of(live.path())
                .shim(&shim, &[("SHIM_FAIL", &plan)])
                .limit(30)
                .go();
            assert!(run.succeeded(), "{plan}: {run:?}");
            assert_eq!(run.acknowledged_after_error(), 0, "{plan}: {run:?}");
            assert!(run.read_right() || !run.has_opened(), "{plan}: {run:?}");
            let surely = call == "fdatasync" && nth <= 13;
            assert!(!surely || run.has_failed(), "{plan}: {run:?}");
            runs += 1;
            met += usize::from(run.has_failed() || !run.has_opened());
            let mut promised = Acknowledged::default();
            promised.extend(&run);
            records::check(live.path(), &mut promised)
                .unwrap_or_else(|why| panic!("{plan}: {why}, {run:?}"));
            acknowledged += promised.total();
        }
    }
    println!(
        "figure: K9: {met} of {runs} runs met their error, {acknowledged} acknowledged in all, 0 after the error, 0 reads \
         refused or wrong"
    );
    assert!(met >= 18, "only {met} of {runs} errors were met");
}

/// K11: of many processes that open a folder which one holds exactly one gets it.
#[test]
fn k11_one_of_many_processes_wins() {
    let live = Home::new();
    let holder = Run::of(live.path()).start();
    let starts = figure(20, 100);
    for _ in 0..starts {
        let second = Run::of(live.path()).go();
        assert!(second.was_refused("Locked"), "{second:?}");
    }
    let run = holder.kill();
    let mut promised = Acknowledged::default();
    promised.extend(&run);
    records::check(live.path(), &mut promised).unwrap();
    println!("figure: K11: {starts} double starts, {starts} refused, 0 damaged");
}

/// Runs a child on the model disk until it is killed, and returns what the disk holds then.
fn cut_power(shim: &Shim, live: &Path, plan: &[(&str, &str)]) -> (Home, Report) {
    let shadow = TempDir::new().unwrap();
    let mut plan = plan.to_vec();
    let kept = shadow.path().to_string_lossy().into_owned();
    plan.push(("SHIM_SHADOW", &kept));
    let run = Run::of(live).shim(shim, &plan).go();
    assert!(run.was_killed(), "{run:?}");
    (disk::after_power_cut(shadow.path()), run)
}

/// Nothing is acknowledged after the error, and nothing that was before it reads as if it had not been.
fn assert_read_only(run: &Report) {
    assert!(run.succeeded() && run.has_failed(), "{run:?}");
    assert_eq!(run.acknowledged_after_error(), 0, "{run:?}");
    assert!(!run.has_lost(), "{run:?}");
}
