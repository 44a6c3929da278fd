//! The checks, group by group

use std::collections::BTreeMap;

use anyhow::Result;
use bindery_host::manifest::operation_name;

use crate::{Report, Subject, Tally, bench::Bench, input::OPERATIONS};

mod deliveries;
mod description;
mod faults;
mod hooks;
mod image;
mod lives;
mod recorded;

/// Runs all of them. A plugin that can't be loaded ends the run early, and the report says so.
pub(crate) async fn run(subject: &Subject) -> Result<Report> {
    let mut report = Report {
        plugin: format!("{} {}", subject.manifest.name, subject.manifest.version),
        operations: operations(subject),
        ..Report::default()
    };
    image::check(subject, &mut report);
    let mut bench = match Bench::start(subject).await {
        Ok(bench) => bench,
        Err(error) => {
            report.add(
                "image",
                "loads in a worker",
                Err::<&str, _>(format!("{error:#}")),
            );
            return Ok(report);
        }
    };
    report.isolation = bench.worker().await?.isolation().to_owned();
    report.add("image", "loads in a worker", Ok(&*report.isolation.clone()));
    description::check(subject, &mut bench, &mut report).await?;
    recorded::check(subject, &mut bench, &mut report).await?;
    faults::check(subject, &mut bench, &mut report).await?;
    hooks::check(subject, &mut bench, &mut report).await?;
    deliveries::check(subject, &mut bench, &mut report).await?;
    lives::check(subject, &mut bench, &mut report).await?;
    Ok(report)
}

/// Every operation that there is, and whether the plugin offers it.
fn operations(subject: &Subject) -> BTreeMap<String, Tally> {
    let tally = |kind| Tally {
        offered: subject.manifest.operations.contains(&kind),
        ..Tally::default()
    };
    OPERATIONS
        .into_iter()
        .map(|kind| (operation_name(kind).to_owned(), tally(kind)))
        .collect()
}

/// No words on success, all problems on one line otherwise.
fn verdict(problems: &[String]) -> Result<String, String> {
    const SHOWN: usize = 5;
    if problems.is_empty() {
        return Ok(String::new());
    }
    let mut line = problems[..problems.len().min(SHOWN)].join("; ");
    if problems.len() > SHOWN {
        line.push_str(&format!("; and {} more", problems.len() - SHOWN));
    }
    Err(line)
}
