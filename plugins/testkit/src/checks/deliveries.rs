//! Deliveries that somebody made up

use anyhow::Result;
use bindery_core::provider::OperationKind;
use bindery_plugin_proto::v1::{self, Code, operation_request::Input};
use prost::Message as _;
use serde_json::{Value, json};

use super::verdict;
use crate::{
    Fixture, Report, Subject,
    bench::Bench,
    play::{Answers, End, Played, play, words},
    show,
};

const GROUP: &str = "deliveries";

/// Deeper than any stack of a recursive parser.
const NESTING: usize = 100_000;

/// Most values of one body that are replaced, and most places where it is cut off.
const PLACES: usize = 400;

/// Makes other deliveries of one.
type Make = fn(&v1::ParseDelivery) -> Vec<v1::ParseDelivery>;

/// What may come of a delivery.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    /// `MALFORMED_RESPONSE`.
    Malformed,
    /// That, or a result.
    Either,
    /// A result in which nothing happened.
    Nothing,
}

pub(super) async fn check(
    subject: &Subject,
    bench: &mut Bench<'_>,
    report: &mut Report,
) -> Result<()> {
    let fixtures = subject.fixtures.iter();
    let fixtures: Vec<_> = fixtures.filter_map(parsed).collect();
    if fixtures.is_empty() {
        return Ok(());
    }
    let cases: [(&str, Make, Wanted); 6] = [
        ("a body that is cut off", truncated, Wanted::Malformed),
        ("a body that is no JSON", no_json, Wanted::Malformed),
        ("values of another type", replaced, Wanted::Either),
        ("members that are missing", removed, Wanted::Either),
        ("headers that are missing", without_headers, Wanted::Either),
        ("an event that nobody knows", unknown, Wanted::Nothing),
    ];
    for (name, make, wanted) in cases {
        let mut problems = Vec::new();
        let mut runs = 0;
        for (fixture, delivery) in &fixtures {
            for made in make(delivery) {
                let worker = bench.worker().await?;
                let played = play(&worker, request(fixture, made)?, &mut Nobody).await;
                runs += 1;
                let problem = judge(&played, wanted).err();
                problems.extend(problem.map(|how| format!("{}: {how}", fixture.name())));
            }
        }
        problems.dedup();
        report.add(
            GROUP,
            name,
            verdict(&problems).map(|_| format!("{runs} runs")),
        );
    }
    Ok(())
}

/// A fixture with a delivery that says something, and the delivery.
fn parsed(fixture: &Fixture) -> Option<(&Fixture, v1::ParseDelivery)> {
    if fixture.kind().ok()? != OperationKind::ParseDelivery {
        return None;
    }
    let says = fixture.expect["delivered"]["happenings"].is_array();
    match fixture.request().ok()?.input {
        Some(Input::ParseDelivery(delivery)) if says => Some((fixture, delivery)),
        _ => None,
    }
}

fn request(fixture: &Fixture, delivery: v1::ParseDelivery) -> Result<Vec<u8>> {
    let request = v1::OperationRequest {
        input: Some(Input::ParseDelivery(delivery)),
        ..fixture.request()?
    };
    Ok(request.encode_to_vec())
}

/// To read a delivery needs nothing from anybody.
struct Nobody;

impl Answers for Nobody {
    fn answer(&mut self, effect: &v1::Effect) -> Result<v1::effect_result::Kind, String> {
        let title = show::title(&show::effect(effect));
        Err(format!("it asked for {title} to read a delivery"))
    }
}

fn judge(played: &Played, wanted: Wanted) -> Result<(), String> {
    match (&played.end, wanted) {
        (End::Broken(how) | End::Unanswered(how), _) => Err(how.clone()),
        (End::Outcome(Err(failure)), _) if failure.code() != Code::MalformedResponse => {
            Err(format!("{}, expected MALFORMED_RESPONSE", words(failure)))
        }
        (End::Outcome(Err(failure)), Wanted::Nothing) => Err(words(failure)),
        (End::Outcome(Ok(_)), Wanted::Malformed) => Err("it succeeded".to_owned()),
        (End::Outcome(Ok(v1::output::Kind::Delivered(said))), Wanted::Nothing)
            if !said.happenings.is_empty() || said.ping =>
        {
            Err("it made something of it".to_owned())
        }
        (End::Outcome(_), _) => Ok(()),
    }
}

fn with_body(delivery: &v1::ParseDelivery, body: impl Into<Vec<u8>>) -> v1::ParseDelivery {
    v1::ParseDelivery {
        body: body.into(),
        ..delivery.clone()
    }
}

fn truncated(delivery: &v1::ParseDelivery) -> Vec<v1::ParseDelivery> {
    let whole = delivery.body.trim_ascii();
    let step = whole.len() / PLACES + 1;
    let cuts = (1..whole.len()).step_by(step);
    cuts.map(|len| with_body(delivery, &whole[..len])).collect()
}

fn no_json(delivery: &v1::ParseDelivery) -> Vec<v1::ParseDelivery> {
    let nested = |open: &str| open.repeat(NESTING).into_bytes();
    let inside = [
        b"{\"ref\":".to_vec(),
        nested("["),
        nested("]"),
        b"}".to_vec(),
    ]
    .concat();
    let bodies = [
        Vec::new(),
        b" ".to_vec(),
        b"<!DOCTYPE html>".to_vec(),
        b"payload=%7B%7D".to_vec(),
        b"{\"ref\":\"\xff\xfe\"}".to_vec(),
        nested("["),
        nested("{\"a\":"),
        inside,
    ];
    bodies
        .into_iter()
        .map(|body| with_body(delivery, body))
        .collect()
}

/// One value after the other is another one.
fn replaced(delivery: &v1::ParseDelivery) -> Vec<v1::ParseDelivery> {
    let others = [
        Value::Null,
        json!(-1),
        json!(1e300),
        json!(""),
        json!("\u{202e}../\n\0"),
        json!([]),
        json!([[1], {"a": "b"}]),
        json!({}),
        json!(true),
    ];
    changed(delivery, |_, pointer, whole| {
        let put = |other: &Value| {
            let mut whole = whole.clone();
            *whole.pointer_mut(pointer)? = other.clone();
            Some(whole)
        };
        others.iter().filter_map(put).collect()
    })
}

/// One member after the other is not there.
fn removed(delivery: &v1::ParseDelivery) -> Vec<v1::ParseDelivery> {
    changed(delivery, |name, pointer, whole| {
        let parent = pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
        let mut whole = whole.clone();
        let holder = whole.pointer_mut(parent).and_then(Value::as_object_mut);
        let gone = holder.and_then(|members| members.remove(name));
        gone.map(|_| whole).into_iter().collect()
    })
}

fn changed(
    delivery: &v1::ParseDelivery,
    change: impl Fn(&str, &str, &Value) -> Vec<Value>,
) -> Vec<v1::ParseDelivery> {
    let Ok(whole) = serde_json::from_slice::<Value>(&delivery.body) else {
        return Vec::new();
    };
    let mut places = Vec::new();
    walk("", "", &whole, &mut places);
    let step = places.len() / PLACES + 1;
    let places = places.iter().step_by(step);
    places
        .flat_map(|(name, pointer)| change(name, pointer, &whole))
        .map(|body| with_body(delivery, body.to_string()))
        .collect()
}

/// Name and pointer (RFC 6901) of every value below `value`, and of itself.
fn walk(name: &str, pointer: &str, value: &Value, places: &mut Vec<(String, String)>) {
    places.push((name.to_owned(), pointer.to_owned()));
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let part = name.replace('~', "~0").replace('/', "~1");
                walk(name, &format!("{pointer}/{part}"), value, places);
            }
        }
        Value::Array(items) => {
            for (at, value) in items.iter().enumerate() {
                walk("", &format!("{pointer}/{at}"), value, places);
            }
        }
        _ => {}
    }
}

fn without_headers(delivery: &v1::ParseDelivery) -> Vec<v1::ParseDelivery> {
    vec![v1::ParseDelivery {
        headers: Vec::new(),
        ..delivery.clone()
    }]
}

/// A name that no provider gives to an event, in the header and wherever the body repeats it.
fn unknown(delivery: &v1::ParseDelivery) -> Vec<v1::ParseDelivery> {
    let event = "bindery_no_such_event".to_owned();
    let headers = delivery.headers.iter().map(|header| v1::PlainHeader {
        name: header.name.clone(),
        value: if header.value == delivery.event {
            event.clone()
        } else {
            header.value.clone()
        },
    });
    vec![v1::ParseDelivery {
        headers: headers.collect(),
        event: event.clone(),
        body: delivery.body.clone(),
    }]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery() -> v1::ParseDelivery {
        v1::ParseDelivery {
            event: "push".to_owned(),
            headers: vec![v1::PlainHeader {
                name: "x-event".to_owned(),
                value: "push".to_owned(),
            }],
            body: br#" {"ref":"a/b","of":[{"x~/y":1}]} "#.to_vec(),
        }
    }

    fn bodies(made: &[v1::ParseDelivery]) -> Vec<String> {
        let text = |one: &v1::ParseDelivery| String::from_utf8_lossy(&one.body).into_owned();
        made.iter().map(text).collect()
    }

    /// Every value is replaced, every member is taken away, and no cut leaves a whole body.
    #[test]
    fn every_place_is_met() {
        let replaced = bodies(&replaced(&delivery()));
        assert_eq!(replaced.len(), 5 * 9);
        assert!(replaced.contains(&r#"{"of":[{"x~/y":true}],"ref":"a/b"}"#.to_owned()));
        assert!(replaced.contains(&"null".to_owned()));
        let removed = bodies(&removed(&delivery()));
        assert_eq!(
            removed,
            [
                r#"{"ref":"a/b"}"#,
                r#"{"of":[{}],"ref":"a/b"}"#,
                r#"{"of":[{"x~/y":1}]}"#
            ]
        );
        for cut in truncated(&delivery()) {
            assert!(serde_json::from_slice::<Value>(&cut.body).is_err());
        }
        let unknown = unknown(&delivery());
        assert_eq!(unknown[0].headers[0].value, unknown[0].event);
    }
}
