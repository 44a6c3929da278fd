//! Operations that are abandoned, and many at a time

use std::{fs, path::Path, rc::Rc};

use anyhow::{Context as _, Result};
use bindery_host::manual::ManualWorker;

use super::verdict;
use crate::{
    Fixture, Report, Subject,
    bench::Bench,
    play::{End, Played, Running, Script, play},
};

const GROUP: &str = "lives";

/// How many times each fixture runs side by side.
const COPIES: usize = 8;

/// What a worker may grow by without a leak: allocators keep some pages.
const SLACK_KIB: u64 = 512;

const DIED: &str = "the worker died";

pub(super) async fn check(
    subject: &Subject,
    bench: &mut Bench<'_>,
    report: &mut Report,
) -> Result<()> {
    report.add(
        GROUP,
        "abandoned after every step",
        after_every_step(subject, bench).await?,
    );
    report.add(
        GROUP,
        "operations side by side",
        side_by_side(subject, bench).await?,
    );
    report.add(
        GROUP,
        "abandoned operations leave nothing",
        growth(subject, bench).await?,
    );
    Ok(())
}

/// Runs `steps` steps and walks away.
async fn abandon(worker: &ManualWorker, fixture: &Fixture, steps: usize) -> Result<Option<String>> {
    let mut script = Script::new(fixture);
    let mut running = Running::start(worker, fixture.request_bytes()?).await;
    for _ in 1..steps {
        if running.is_over() {
            break;
        }
        running.advance(&mut script).await;
    }
    drop(running);
    Ok((!worker.is_alive()).then(|| format!("{}: the worker died", fixture.name())))
}

async fn after_every_step(
    subject: &Subject,
    bench: &mut Bench<'_>,
) -> Result<Result<String, String>> {
    let mut problems = Vec::new();
    for fixture in &subject.fixtures {
        let worker = bench.worker().await?;
        let whole = play(&worker, fixture.request_bytes()?, &mut Script::new(fixture)).await;
        for steps in 1..=whole.steps.len() {
            let worker = bench.worker().await?;
            problems.extend(abandon(&worker, fixture, steps).await?);
        }
        let worker = bench.worker().await?;
        let again = play(&worker, fixture.request_bytes()?, &mut Script::new(fixture)).await;
        problems.extend(compare(fixture, &whole, &again));
    }
    Ok(verdict(&problems))
}

fn compare(fixture: &Fixture, alone: &Played, other: &Played) -> Option<String> {
    if let End::Broken(how) = &other.end {
        return Some(format!("{}: {how}", fixture.name()));
    }
    let differs = alone.steps != other.steps;
    differs.then(|| {
        format!(
            "{}: it ran differently from when it was alone",
            fixture.name()
        )
    })
}

/// All fixtures at once, a step of each in turn.
async fn side_by_side(subject: &Subject, bench: &mut Bench<'_>) -> Result<Result<String, String>> {
    let worker = bench.worker().await?;
    let mut alone = Vec::new();
    for fixture in &subject.fixtures {
        alone.push(play(&worker, fixture.request_bytes()?, &mut Script::new(fixture)).await);
    }
    let worker = bench.worker().await?;
    let mut together = Vec::new();
    for fixture in &subject.fixtures {
        for _ in 0..COPIES {
            let running = Running::start(&worker, fixture.request_bytes()?).await;
            together.push((running, Script::new(fixture)));
        }
    }
    while take_turns(&mut together).await {}
    let each = alone
        .iter()
        .flat_map(|one| std::iter::repeat_n(one, COPIES));
    let fixtures = subject
        .fixtures
        .iter()
        .flat_map(|one| std::iter::repeat_n(one, COPIES));
    let pairs = together.into_iter().zip(each).zip(fixtures);
    let problems = pairs
        .filter_map(|(((running, _), alone), fixture)| compare(fixture, alone, running.played()));
    let problems: Vec<_> = problems.collect();
    let count = subject.fixtures.len() * COPIES;
    Ok(verdict(&problems).map(|_| format!("{count} at once")))
}

/// A step of each that is not over. False when all are.
async fn take_turns(all: &mut [(Running<'_>, Script<'_>)]) -> bool {
    let mut moved = false;
    for (running, script) in all {
        if !running.is_over() {
            running.advance(script).await;
            moved = true;
        }
    }
    moved
}

/// Thousands of operations that are started and dropped.
async fn growth(subject: &Subject, bench: &mut Bench<'_>) -> Result<Result<String, String>> {
    let worker = bench.worker().await?;
    churn(subject, &worker, subject.abandoned / 4 + 1).await?;
    if !worker.is_alive() {
        return Ok(Err(DIED.to_owned()));
    }
    let before = resident_kib(&worker)?;
    churn(subject, &worker, subject.abandoned).await?;
    if !worker.is_alive() {
        return Ok(Err(DIED.to_owned()));
    }
    let grown = resident_kib(&worker)?.saturating_sub(before);
    let words = format!("{} operations, {grown} KiB more", subject.abandoned);
    Ok(if grown > SLACK_KIB {
        Err(words)
    } else {
        Ok(words)
    })
}

async fn churn(subject: &Subject, worker: &Rc<ManualWorker>, count: usize) -> Result<()> {
    for fixture in subject.fixtures.iter().cycle().take(count) {
        abandon(worker, fixture, 1).await?;
    }
    Ok(())
}

/// Resident memory of a worker.
fn resident_kib(worker: &ManualWorker) -> Result<u64> {
    let path = format!("/proc/{}/status", worker.pid());
    let status =
        fs::read_to_string(Path::new(&path)).context("the worker's memory is not known")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.context("the worker's memory is not known")
}
