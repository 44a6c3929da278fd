//! Each recorded exchange, as it was

use anyhow::Result;
use bindery_host::manual;
use bindery_plugin_proto::v1::{self, effect, segment};
use serde_json::Value;

use super::verdict;
use crate::{
    Fixture, Report, Subject,
    bench::Bench,
    diff, output,
    play::{End, Played, Script, play, words},
    show,
};

const GROUP: &str = "recorded";

/// Headers that carry a credential: their value is never the plugin's own. The daemon puts secrets nowhere else.
const AUTH: [&str; 2] = ["authorization", "private-token"];

pub(super) async fn check(
    subject: &Subject,
    bench: &mut Bench<'_>,
    report: &mut Report,
) -> Result<()> {
    for fixture in &subject.fixtures {
        let worker = bench.worker().await?;
        let mut script = Script::new(fixture);
        let played = play(&worker, fixture.request_bytes()?, &mut script).await;
        let (name, operation) = (fixture.name(), fixture.operation.as_str());
        report.add_of(
            operation,
            GROUP,
            format!("{name}: requests"),
            requests(&script, &played),
        );
        report.add_of(
            operation,
            GROUP,
            format!("{name}: result"),
            result(fixture, &played),
        );
        report.add_of(
            operation,
            GROUP,
            format!("{name}: allowed"),
            allowed(subject, fixture, &played)?,
        );
        report.add_of(
            operation,
            GROUP,
            format!("{name}: secrets"),
            secrets(&played),
        );
        let worker = bench.worker().await?;
        let again = play(&worker, fixture.request_bytes()?, &mut Script::new(fixture)).await;
        report.add_of(
            operation,
            GROUP,
            format!("{name}: replay"),
            same(&played, &again),
        );
    }
    Ok(())
}

/// What left is what was recorded, all of it.
fn requests(script: &Script<'_>, played: &Played) -> Result<String, String> {
    let mut problems = script.differences.clone();
    match &played.end {
        End::Unanswered(what) => problems.push(what.clone()),
        End::Broken(_) => {}
        End::Outcome(_) => {
            let unused = script.unused().into_iter();
            problems.extend(unused.map(|what| format!("it never asked for {what}")));
        }
    }
    verdict(&problems)
}

fn result(fixture: &Fixture, played: &Played) -> Result<String, String> {
    let end = match &played.end {
        End::Outcome(end) => end,
        End::Broken(how) => return Err(how.clone()),
        End::Unanswered(_) => return Err("it did not get to one".to_owned()),
    };
    if fixture.expect.is_null() {
        return Err("the fixture has no 'expect'; 'bindery-plugin-test fill' adds it".to_owned());
    }
    let actual = output::outcome(&played.pages, end);
    let difference = match (&fixture.expect["error"], end) {
        (Value::Null, Err(failure)) => Some(words(failure)),
        (Value::Null, Ok(_)) => diff::difference(&fixture.expect, &actual),
        (error, _) => diff::difference_in(error, &actual["error"]),
    };
    let acceptable = acceptable(played, end);
    difference.map_or(acceptable, Err)
}

/// The daemon would take the result.
fn acceptable(
    played: &Played,
    end: &Result<v1::output::Kind, v1::Failure>,
) -> Result<String, String> {
    let kinds = played.pages.iter().chain(end.as_ref().ok());
    let refused = kinds.filter_map(|kind| {
        let output = v1::Output {
            kind: Some(kind.clone()),
        };
        let refused = manual::check_output(output).err()?;
        Some(format!("the daemon would not accept the result: {refused}"))
    });
    verdict(&refused.collect::<Vec<_>>())
}

/// On the host, and in the manifest.
fn allowed(
    subject: &Subject,
    fixture: &Fixture,
    played: &Played,
) -> Result<Result<String, String>> {
    let (kind, request) = (fixture.kind()?, fixture.request()?);
    let refused = played.effects.iter().filter_map(|effect| {
        manual::check_effect(&subject.manifest, kind, &request, effect.clone()).err()
    });
    Ok(verdict(&refused.collect::<Vec<_>>()))
}

fn secrets(played: &Played) -> Result<String, String> {
    let mut problems = Vec::new();
    for effect in &played.effects {
        let Some(effect::Kind::Http(request)) = &effect.kind else {
            continue;
        };
        let title = show::title(&show::effect(effect));
        for header in &request.headers {
            let is_auth = AUTH.contains(&header.name.to_ascii_lowercase().as_str());
            let refers = header.value.iter().any(is_secret);
            if is_auth && !refers {
                problems.push(format!(
                    "{title}: header {} carries no secret reference",
                    header.name
                ));
            }
            if refers && !is_auth {
                problems.push(format!(
                    "{title}: header {} carries a secret, which the daemon refuses",
                    header.name
                ));
            }
        }
    }
    verdict(&problems)
}

fn is_secret(segment: &v1::Segment) -> bool {
    matches!(segment.kind, Some(segment::Kind::Secret(_)))
}

/// Two runs with the same clock and randomness give the same bytes.
fn same(first: &Played, second: &Played) -> Result<String, String> {
    if first.steps == second.steps {
        return Ok(String::new());
    }
    let pairs = first.steps.iter().zip(&second.steps);
    let at = pairs.take_while(|(left, right)| left == right).count();
    Err(format!(
        "the second run differs from the first in step {}",
        at + 1
    ))
}
