//! Where the secret of a hook goes, and how a hook goes

use std::rc::Rc;

use anyhow::Result;
use bindery_core::provider::{HOOK_SECRET, OperationKind};
use bindery_host::manual::ManualWorker;
use bindery_plugin_proto::v1::{self, Encoding, effect, segment};

use super::verdict;
use crate::{
    Fixture, Report, Subject,
    bench::Bench,
    play::{Played, Script, play},
    show,
};

const GROUP: &str = "hooks";

pub(super) async fn check(
    subject: &Subject,
    bench: &mut Bench<'_>,
    report: &mut Report,
) -> Result<()> {
    let offers = |kind| subject.manifest.operations.contains(&kind);
    if offers(OperationKind::DeleteHook) {
        report.add(GROUP, "one that is not there is absent", absent(subject));
    }
    if offers(OperationKind::CreateHook) || offers(OperationKind::UpdateHook) {
        let mut problems = Vec::new();
        for fixture in &subject.fixtures {
            problems.extend(secret(&bench.worker().await?, fixture).await?);
        }
        report.add(
            GROUP,
            "the secret is a segment of a body",
            verdict(&problems),
        );
    }
    Ok(())
}

/// There is a recording of a hook that goes, and one of a hook that was gone.
fn absent(subject: &Subject) -> Result<String, String> {
    let about = |fixture: &&Fixture| {
        fixture
            .kind()
            .is_ok_and(|kind| kind == OperationKind::DeleteHook)
    };
    let outcomes: Vec<_> = subject
        .fixtures
        .iter()
        .filter(about)
        .map(|fixture| fixture.expect["revocation"]["outcome"].clone())
        .collect();
    let missing = ["DONE", "ALREADY_ABSENT"]
        .into_iter()
        .filter(|wanted| !outcomes.iter().any(|outcome| outcome == wanted))
        .map(|wanted| format!("no fixture of delete_hook ends in {wanted}"));
    verdict(&missing.collect::<Vec<_>>())
}

/// A hook is made and mended with its secret, in a body, quoted as the body needs it, and in no header.
async fn secret(worker: &Rc<ManualWorker>, fixture: &Fixture) -> Result<Vec<String>> {
    let sets = matches!(
        fixture.kind()?,
        OperationKind::CreateHook | OperationKind::UpdateHook
    );
    let played = play(worker, fixture.request_bytes()?, &mut Script::new(fixture)).await;
    let named = |how: String| format!("{}: {how}", fixture.name());
    let mut problems: Vec<_> = misplaced(&played).into_iter().map(named).collect();
    if sets && !fixture.expect["hook"].is_null() && !bodies(&played).any(carries) {
        problems.push(named("no request carries hook_secret".to_owned()));
    }
    Ok(problems)
}

fn requests(played: &Played) -> impl Iterator<Item = &v1::HttpRequest> {
    played
        .effects
        .iter()
        .filter_map(|effect| match &effect.kind {
            Some(effect::Kind::Http(request)) => Some(request),
            _ => None,
        })
}

fn bodies(played: &Played) -> impl Iterator<Item = &[v1::Segment]> {
    requests(played).map(|request| request.body.as_slice())
}

fn carries(segments: &[v1::Segment]) -> bool {
    encodings(segments).next().is_some()
}

/// How a value quotes the hook's secret, once for each time that it is there.
fn encodings(segments: &[v1::Segment]) -> impl Iterator<Item = Encoding> {
    segments.iter().filter_map(|segment| match &segment.kind {
        Some(segment::Kind::Secret(secret)) if secret.name == HOOK_SECRET => {
            Some(secret.encoding())
        }
        _ => None,
    })
}

fn misplaced(played: &Played) -> Vec<String> {
    let mut problems = Vec::new();
    for request in requests(played) {
        let title = format!("{} {}", request.method, request.url);
        let in_header = |header: &&v1::Header| carries(&header.value);
        if let Some(header) = request.headers.iter().find(in_header) {
            problems.push(format!(
                "{title}: header {} carries hook_secret",
                header.name
            ));
        }
        let wanted = quoting(request);
        if encodings(&request.body).any(|encoding| Some(encoding) != wanted) {
            problems.push(format!("{title}: hook_secret is not quoted as the body is"));
        }
    }
    problems
}

/// How a body quotes its texts, by its content type.
fn quoting(request: &v1::HttpRequest) -> Option<Encoding> {
    let is_type = |header: &&v1::Header| header.name.eq_ignore_ascii_case("content-type");
    let header = request.headers.iter().find(is_type)?;
    match show::segments(&header.value).split(';').next()?.trim() {
        "application/x-www-form-urlencoded" => Some(Encoding::Form),
        kind if kind == "application/json" || kind.ends_with("+json") => Some(Encoding::JsonString),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::play::End;

    fn played(headers: Vec<v1::Header>, encoding: Encoding) -> Played {
        let request = v1::HttpRequest {
            headers,
            body: vec![reference(encoding)],
            ..v1::HttpRequest::default()
        };
        Played {
            steps: Vec::new(),
            effects: vec![v1::Effect {
                id: 1,
                kind: Some(effect::Kind::Http(request)),
            }],
            pages: Vec::new(),
            end: End::Unanswered(String::new()),
        }
    }

    fn reference(encoding: Encoding) -> v1::Segment {
        v1::Segment {
            kind: Some(segment::Kind::Secret(v1::SecretRef {
                name: HOOK_SECRET.to_owned(),
                encoding: encoding.into(),
                prefix: String::new(),
            })),
        }
    }

    fn header(name: &str, value: v1::Segment) -> v1::Header {
        v1::Header {
            name: name.to_owned(),
            value: vec![value],
        }
    }

    fn content_type(text: &str) -> v1::Header {
        let literal = segment::Kind::Literal(text.into());
        header(
            "content-type",
            v1::Segment {
                kind: Some(literal),
            },
        )
    }

    /// The secret is quoted as its body is, and is found in a header.
    #[test]
    fn the_secret_has_one_place() {
        let json = || content_type("application/json; charset=utf-8");
        let form = || content_type("application/x-www-form-urlencoded");
        assert!(misplaced(&played(vec![json()], Encoding::JsonString)).is_empty());
        assert!(misplaced(&played(vec![form()], Encoding::Form)).is_empty());
        assert_eq!(misplaced(&played(vec![json()], Encoding::Raw)).len(), 1);
        assert_eq!(
            misplaced(&played(vec![form()], Encoding::JsonString)).len(),
            1
        );
        assert_eq!(misplaced(&played(Vec::new(), Encoding::Raw)).len(), 1);
        let token = header("x-token", reference(Encoding::Raw));
        let found = misplaced(&played(vec![json(), token], Encoding::JsonString));
        assert!(
            found[0].contains("header x-token carries hook_secret"),
            "{found:?}"
        );
        assert!(bodies(&played(Vec::new(), Encoding::Raw)).any(carries));
    }
}
