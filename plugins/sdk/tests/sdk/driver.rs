//! Joined, cancelled, stuck, spinning and panicking operations

use std::{future::pending, panic::panic_any, pin::pin, task::Poll};

use bindery_plugin_sdk::{
    Answer, Cx, Failure, Provider, Request, Response, Result, join_all,
    testing::{Driver, Reply, Session},
    v1::{self, Code, effect_result, step},
};
use futures_util::{
    FutureExt as _, StreamExt as _,
    future::{self, select},
    stream::FuturesUnordered,
};

/// What the one operation of this provider does is told by the query.
#[derive(Default)]
struct Play;

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

fn get(cx: &Cx, n: usize) -> Answer<Response> {
    cx.send(Request::get(format!("https://api.test/{n}")))
}

async fn number(cx: &Cx, n: usize) -> Result<usize> {
    let response = get(cx, n).await?;
    response.json()
}

impl Provider for Play {
    fn description() -> v1::Description {
        v1::Description::default()
    }

    async fn list_repositories(&self, cx: &Cx, input: v1::ListRepositories) -> Result<()> {
        match input.query.as_str() {
            "join_all" => check(join_all((0..100).map(|n| number(cx, n))).await),
            "futures join_all" => check(future::join_all((0..100).map(|n| number(cx, n))).await),
            "unordered" => {
                let all: FuturesUnordered<_> = (0..100).map(|n| number(cx, n)).collect();
                let mut all: Vec<_> = all.collect().await;
                all.sort_by_key(|result| *result.as_ref().unwrap_or(&usize::MAX));
                check(all)
            }
            "select" => {
                drop(select(pin!(get(cx, 0)), pin!(get(cx, 1))).await);
                number(cx, 2).await.map(drop)
            }
            "unsent" => {
                let _never_polled = get(cx, 0);
                number(cx, 1).await.map(drop)
            }
            "timer" => pending().await,
            "after an answer" => {
                number(cx, 0).await?;
                pending().await
            }
            "spin" => {
                future::poll_fn(|task| {
                    task.waker().wake_by_ref();
                    Poll::<()>::Pending
                })
                .map(Ok)
                .await
            }
            "panic" => panic!("at {}", "once"),
            "payload" => panic_any(7),
            "payload bomb" => panic_any(Bomb),
            "panic later" => {
                number(cx, 0).await?;
                panic!("later")
            }
            "bomb" => {
                let _bomb = Bomb;
                number(cx, 0).await.map(drop)
            }
            "random" => Err(Failure::upstream(format!("{:?}", cx.random::<8>()))),
            other => Err(Failure::invalid_argument(other)),
        }
    }

    fn probe(&self, _: &Cx, _: v1::Probe) -> impl Future<Output = Result<v1::ServerFacts>> + Send {
        explode();
        future::ready(Ok(v1::ServerFacts::default()))
    }
}

fn explode() {
    panic!("at construction");
}

fn check(all: Vec<Result<usize>>) -> Result<()> {
    let all = all.into_iter().collect::<Result<Vec<_>>>()?;
    if all == (0..100).collect::<Vec<_>>() {
        Ok(())
    } else {
        Err(Failure::upstream(format!("{all:?}")))
    }
}

fn play(query: &str) -> v1::ListRepositories {
    v1::ListRepositories {
        query: query.to_owned(),
        ..v1::ListRepositories::default()
    }
}

fn request(query: &str) -> v1::OperationRequest {
    v1::OperationRequest {
        schema: 1,
        api_base: "https://api.test".to_owned(),
        input: Some(v1::operation_request::Input::ListRepositories(play(query))),
        ..v1::OperationRequest::default()
    }
}

fn answer(id: u32) -> v1::EffectResult {
    v1::EffectResult {
        id,
        kind: Some(effect_result::Kind::Http(v1::HttpResponse {
            status: 200,
            headers: Vec::new(),
            body: b"1".to_vec(),
        })),
    }
}

#[track_caller]
fn failed(step: &v1::Step) -> &v1::Failure {
    match &step.outcome {
        Some(step::Outcome::Failed(failure)) => failure,
        other => panic!("{other:?}"),
    }
}

fn scripted(count: usize) -> Driver<Play> {
    (0..count).fold(Driver::new(), |driver, n| {
        driver.on("GET", &format!("https://api.test/{n}"), Reply::json(200, n))
    })
}

/// A hundred joined requests that are answered one at a time, the last one first, all get their own answer, with every
/// combinator that polls only what was woken.
#[test]
fn joined_requests_are_answered_in_any_order() {
    for query in ["join_all", "futures join_all", "unordered"] {
        let driver = scripted(100);
        assert!(driver.run(play(query)).outcome.is_ok(), "{query}");
        let run = driver.one_by_one_in_reverse().run(play(query));
        assert!(run.outcome.is_ok(), "{query}: {:?}", run.outcome);
        assert_eq!(run.steps, 101);
    }
}

/// P7: a step holds no more effects than the boundary allows; the rest follows.
#[test]
fn p7_effects_are_spread_over_steps() {
    let (mut session, step) = Session::start::<Play>(&request("join_all"));
    assert_eq!(step.effects.len(), 64);
    let step = session.resume(vec![answer(1)]);
    assert_eq!(step.effects.len(), 36);
}

/// A future that is dropped takes its effect back, an answer that crossed it is ignored, and a second one is not.
#[test]
fn a_dropped_effect_is_cancelled() {
    let (mut session, step) = Session::start::<Play>(&request("select"));
    assert_eq!(step.effects.len(), 2);
    let step = session.resume(vec![answer(1)]);
    assert_eq!(step.cancelled, [2]);
    assert_eq!(step.effects[0].id, 3);
    let step = session.resume(vec![answer(2)]);
    assert!(step.outcome.is_none());
    let step = session.resume(vec![answer(2)]);
    assert_eq!(failed(&step).code(), Code::Protocol);
}

/// A future that was never polled asks for nothing.
#[test]
fn an_effect_is_asked_for_when_polled() {
    let (_session, step) = Session::start::<Play>(&request("unsent"));
    assert_eq!(step.effects.len(), 1);
}

/// Waiting for a timer, at once or after an answer, and waking oneself for ever are typed failures, not hangs.
#[test]
fn a_stuck_operation_is_a_typed_failure() {
    for query in ["timer", "spin"] {
        let (_session, step) = Session::start::<Play>(&request(query));
        assert_eq!(failed(&step).code(), Code::Stuck, "{query}");
    }
    let run = scripted(1).run(play("after an answer"));
    assert_eq!(run.failure().code(), Code::Stuck);
}

/// P4: a panic anywhere is a typed failure that says where, whatever it carries.
#[test]
fn p4_a_panic_is_a_typed_failure() {
    for query in ["panic", "payload", "payload bomb"] {
        let (mut session, step) = Session::start::<Play>(&request(query));
        let failure = failed(&step);
        assert_eq!(failure.code(), Code::Panic, "{query}");
        assert!(
            failure.location.contains("driver.rs:"),
            "{query}: {}",
            failure.location
        );
        assert_eq!(failed(&session.resume(Vec::new())).code(), Code::Protocol);
    }
    for query in ["panic later", "bomb"] {
        let run = scripted(1).run(play(query));
        let failure = run.failure();
        assert_eq!(failure.code(), Code::Panic, "{query}");
        assert!(
            failure.location.contains("driver.rs:"),
            "{query}: {}",
            failure.location
        );
    }
    let failure = Driver::<Play>::new().run(v1::Probe {}).failure().clone();
    assert_eq!(failure.code(), Code::Panic);
    assert!(
        failure.message.contains("at construction"),
        "{}",
        failure.message
    );
}

/// P4: an operation that is abandoned while a part of it would panic is gone without a word.
#[test]
fn p4_an_abandoned_operation_may_panic() {
    let (session, step) = Session::start::<Play>(&request("bomb"));
    assert_eq!(step.effects.len(), 1);
    drop(session);
}

/// P6: answers to unknown effects, twice, of the wrong kind or of none, and after the end, are typed failures.
#[test]
fn p6_wrong_answers_are_typed_failures() {
    let wrong = |results: Vec<v1::EffectResult>| {
        let (mut session, _) = Session::start::<Play>(&request("unsent"));
        failed(&session.resume(results)).code()
    };
    assert_eq!(wrong(vec![answer(9)]), Code::Protocol);
    assert_eq!(wrong(vec![answer(1), answer(1)]), Code::Protocol);
    assert_eq!(
        wrong(vec![v1::EffectResult { id: 1, kind: None }]),
        Code::Protocol
    );
    let verified = Some(effect_result::Kind::Verified(true));
    assert_eq!(
        wrong(vec![v1::EffectResult {
            id: 1,
            kind: verified
        }]),
        Code::Protocol
    );
}

/// Another revision of the messages and an operation that is not known are typed failures; so is one that the provider
/// does not have.
#[test]
fn what_is_not_known_is_a_typed_failure() {
    let newer = v1::OperationRequest {
        schema: 2,
        ..request("x")
    };
    let (_session, step) = Session::start::<Play>(&newer);
    assert_eq!(failed(&step).code(), Code::Protocol);
    let unknown = v1::OperationRequest {
        input: None,
        ..request("x")
    };
    let (_session, step) = Session::start::<Play>(&unknown);
    assert_eq!(failed(&step).code(), Code::Unsupported);
    assert_eq!(
        Driver::<Play>::new().run(v1::Identify {}).failure().code(),
        Code::Unsupported
    );
}

/// Random bytes come from the seed alone.
#[test]
fn randomness_is_an_input() {
    let text = |seed: u8| {
        let request = v1::OperationRequest {
            random_seed: vec![seed; 32],
            ..request("random")
        };
        failed(&Session::start::<Play>(&request).1).message.clone()
    };
    assert_eq!(text(1), text(1));
    assert_ne!(text(1), text(2));
}
