//! What the plugin says about itself, and what it does with nonsense

use anyhow::Result;
use bindery_core::provider::OperationKind;
use bindery_host::{
    manifest::{Manifest, operation_name},
    manual::{self, ManualWorker},
};
use bindery_plugin_proto::v1;
use prost::Message as _;

use super::verdict;
use crate::{
    Report, Subject,
    bench::Bench,
    input::OPERATIONS,
    play::{Answers, End, Played, Running, play},
    show,
};

const GROUP: &str = "description";

pub(super) async fn check(
    subject: &Subject,
    bench: &mut Bench<'_>,
    report: &mut Report,
) -> Result<()> {
    let worker = bench.worker().await?;
    let described =
        manual::check_description(worker.description(), &subject.manifest, &subject.library);
    let offered = described
        .as_ref()
        .map_or_else(|_| Vec::new(), |one| one.operations.clone());
    report.add(
        GROUP,
        "is acceptable, and the manifest agrees",
        described
            .map_err(|error| error.to_string())
            .and_then(|one| complete(&subject.manifest, &one.operations)),
    );
    report.add(GROUP, "every operation has a fixture", coverage(subject));
    nonsense(subject, &offered, bench, report).await?;
    answers(subject, bench, report).await
}

/// The daemon lets a manifest promise more than the plugin has; a publisher should not.
fn complete(manifest: &Manifest, offered: &[OperationKind]) -> Result<String, String> {
    let missing = manifest
        .operations
        .iter()
        .filter(|kind| !offered.contains(kind))
        .map(|kind| {
            format!(
                "the manifest has {}, the plugin does not",
                operation_name(*kind)
            )
        });
    verdict(&missing.collect::<Vec<_>>())
}

fn coverage(subject: &Subject) -> Result<String, String> {
    let declared = &subject.manifest.operations;
    let has = |kind: OperationKind| {
        let mut fixtures = subject.fixtures.iter();
        fixtures.any(|fixture| fixture.operation == operation_name(kind))
    };
    let missing = declared
        .iter()
        .filter(|kind| !has(**kind))
        .map(|kind| format!("no fixture is about {}", operation_name(*kind)));
    let foreign = subject.fixtures.iter().filter_map(|fixture| {
        let kind = fixture.kind().ok()?;
        (!declared.contains(&kind)).then(|| {
            format!(
                "{} is about {}, which the manifest lacks",
                fixture.name(),
                fixture.operation
            )
        })
    });
    verdict(&missing.chain(foreign).collect::<Vec<_>>())
}

/// Requests that make no sense end in typed failures.
async fn nonsense(
    subject: &Subject,
    offered: &[OperationKind],
    bench: &mut Bench<'_>,
    report: &mut Report,
) -> Result<()> {
    let base = v1::OperationRequest {
        schema: 1,
        random_seed: vec![7; 32],
        api_base: "https://api.test".to_owned(),
        web_base: "https://web.test".to_owned(),
        ..v1::OperationRequest::default()
    };
    let schema = |schema| {
        v1::OperationRequest {
            schema,
            input: Some(v1::operation_request::Input::Identify(v1::Identify {})),
            ..base.clone()
        }
        .encode_to_vec()
    };
    let mut cases = vec![
        (
            "an unknown operation",
            vec![base.encode_to_vec()],
            Some(v1::Code::Unsupported),
        ),
        ("unknown revisions", vec![schema(0), schema(99)], None),
        ("bytes that are no request", garbage(subject)?, None),
    ];
    let missing = OPERATIONS
        .into_iter()
        .filter(|kind| !offered.contains(kind));
    let mut undeclared = Vec::new();
    for kind in missing {
        let input = serde_json::json!({"repository": "a/b"});
        let input = crate::input::input(operation_name(kind), &serde_json::Value::Null)
            .or_else(|_| crate::input::input(operation_name(kind), &input))?;
        undeclared.push(
            v1::OperationRequest {
                input: Some(input),
                ..base.clone()
            }
            .encode_to_vec(),
        );
    }
    cases.push((
        "operations that it does not offer",
        undeclared,
        Some(v1::Code::Unsupported),
    ));
    for (name, requests, code) in cases {
        let mut problems = Vec::new();
        for request in requests {
            let worker = bench.worker().await?;
            let played = play(&worker, request, &mut Nothing).await;
            problems.extend(failure(&played, code).err());
        }
        problems.dedup();
        report.add(GROUP, format!("refuses {name}"), verdict(&problems));
    }
    Ok(())
}

/// Random bytes, and a real request cut off at every length.
fn garbage(subject: &Subject) -> Result<Vec<Vec<u8>>> {
    let mut cases = vec![vec![0xff; 64], vec![0x80; 9], (0..=255).collect()];
    if let Some(fixture) = subject.fixtures.first() {
        let whole = fixture.request_bytes()?;
        // A cut between two fields leaves a request that is valid, so the last field is cut in its middle.
        cases.push(whole[..whole.len().saturating_sub(1)].to_vec());
        cases.extend((1..whole.len().min(24)).map(|len| {
            let mut cut = whole[..len].to_vec();
            cut.push(0xff);
            cut
        }));
    }
    Ok(cases)
}

/// No request is answered.
struct Nothing;

impl Answers for Nothing {
    fn answer(&mut self, effect: &v1::Effect) -> Result<v1::effect_result::Kind, String> {
        Err(format!(
            "it asked for {}",
            show::title(&show::effect(effect))
        ))
    }
}

/// Whether an operation ended in a failure, and in this one.
fn failure(played: &Played, code: Option<v1::Code>) -> Result<(), String> {
    match &played.end {
        End::Outcome(Err(failure)) if code.is_none_or(|code| failure.code() == code) => Ok(()),
        End::Outcome(Err(failure)) => Err(format!(
            "the failure is {}, expected {}",
            show::code(failure.code()),
            show::code(code.unwrap_or_default())
        )),
        End::Outcome(Ok(_)) => Err("it succeeded".to_owned()),
        End::Broken(how) | End::Unanswered(how) => Err(how.clone()),
    }
}

/// Answers that make no sense end in typed failures.
async fn answers(subject: &Subject, bench: &mut Bench<'_>, report: &mut Report) -> Result<()> {
    let Some(fixture) = subject
        .fixtures
        .iter()
        .find(|one| !one.exchanges.is_empty())
    else {
        return Ok(());
    };
    let mut problems = Vec::new();
    for case in [
        Wrong::Garbage,
        Wrong::Id,
        Wrong::Twice,
        Wrong::Empty,
        Wrong::Late,
    ] {
        let worker = bench.worker().await?;
        let outcome = answer(&worker, fixture.request_bytes()?, case).await;
        problems.extend(outcome.err().map(|how| format!("{case:?}: {how}")));
    }
    report.add(
        GROUP,
        "refuses answers that make no sense",
        verdict(&problems),
    );
    Ok(())
}

#[derive(Clone, Copy, Debug)]
enum Wrong {
    Garbage,
    Id,
    Twice,
    Empty,
    Late,
}

/// Hands in one wrong answer, or two. What comes back has to be a failure.
async fn answer(worker: &ManualWorker, request: Vec<u8>, case: Wrong) -> Result<(), String> {
    let running = Running::start(worker, request).await;
    let Some(effect) = running.open().first() else {
        return Err("it asked for nothing".to_owned());
    };
    let result = |id, kind| v1::EffectResult { id, kind };
    let gone = || {
        Some(show::error(
            v1::Code::Transport,
            "the connection was closed",
        ))
    };
    let results = match case {
        Wrong::Garbage => Vec::new(),
        Wrong::Id => vec![result(effect.id.wrapping_add(1000), gone())],
        Wrong::Twice => vec![result(effect.id, gone()), result(effect.id, gone())],
        Wrong::Empty => vec![result(effect.id, None)],
        Wrong::Late => vec![result(effect.id, gone())],
    };
    let bytes = match case {
        Wrong::Garbage => vec![0xff; 40],
        _ => v1::Resume { results }.encode_to_vec(),
    };
    let mut reply = worker.resume(running.handle(), bytes.clone()).await;
    if matches!(case, Wrong::Late) && reply.is_ok() {
        reply = worker.resume(running.handle(), bytes).await;
    }
    let (status, bytes) = reply.map_err(|error| error.to_string())?;
    let step = v1::Step::decode(bytes.as_slice()).map_err(|_| "no step".to_owned())?;
    match step.outcome {
        Some(v1::step::Outcome::Failed(failure)) if failure.code() != v1::Code::Panic => Ok(()),
        _ if status < 0 => Ok(()),
        other => Err(format!("it went on: {other:?}")),
    }
}
