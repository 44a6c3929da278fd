//! What comes back from a plugin is checked

use std::time::Duration;

use bindery_core::{
    port::Next,
    provider::{FailureCode, Input, Output},
};
use bindery_host::{Limits, PluginHost};
use bindery_plugin_proto::v1;

use crate::{
    support::{API, Script, ask, running},
    workers::{failure, ok, start, store},
};

/// P7, P8: what an operation may ask for is bounded and held against the manifest, before anybody acts on it.
#[tokio::test]
async fn p8_effects_are_checked() {
    let store = store();
    let host = running(&store, "1.0.0").await;
    let url = format!("{API}/version");
    let twice = v1::Step {
        effects: [ask(1, "GET", &url).effects, ask(1, "GET", &url).effects].concat(),
        ..v1::Step::default()
    };
    let many = v1::Step {
        effects: (0..65)
            .flat_map(|id| ask(id, "GET", &url).effects)
            .collect(),
        ..v1::Step::default()
    };
    let mut split = ask(1, "GET", &url);
    if let Some(v1::effect::Kind::Http(request)) = &mut split.effects[0].kind {
        let literal = v1::Segment {
            kind: Some(v1::segment::Kind::Literal(b"a\r\nHost: evil".to_vec())),
        };
        request.headers.push(v1::Header {
            name: "x".into(),
            value: vec![literal],
        });
    }
    let mut secret = ask(1, "GET", &url);
    if let Some(v1::effect::Kind::Http(request)) = &mut secret.effects[0].kind {
        let token = v1::SecretRef {
            name: "access_token".into(),
            ..v1::SecretRef::default()
        };
        request.body.push(v1::Segment {
            kind: Some(v1::segment::Kind::Secret(token)),
        });
    }
    for (step, code, message) in [
        (
            ask(1, "DELETE", &url),
            FailureCode::RequestNotAllowed,
            "DELETE /version",
        ),
        (
            ask(1, "GET", &format!("{API}/user/repos?q=hunter2")),
            FailureCode::RequestNotAllowed,
            "GET /user/repos,",
        ),
        (
            ask(1, "GET", "https://evil.example/version"),
            FailureCode::RequestNotAllowed,
            "outside the host's base URLs",
        ),
        (
            secret,
            FailureCode::RequestNotAllowed,
            "secret 'access_token'",
        ),
        (split, FailureCode::Protocol, "control characters"),
        (twice, FailureCode::Protocol, "one id"),
        (many, FailureCode::Protocol, "more effects"),
        (v1::Step::default(), FailureCode::Stuck, "did not ask for"),
    ] {
        let failed = failure(&host, Script::default().step(&step)).await;
        assert_eq!(failed.code, code, "{}", failed.message);
        assert!(
            failed.message.contains(message) && !failed.message.contains("hunter2"),
            "{}",
            failed.message
        );
    }
}

/// P7: a call ends with its budget of requests, however few each step asks for.
#[tokio::test]
async fn p7_a_call_has_a_budget_of_requests() {
    let store = store();
    let mut config = store.config("1.0.0");
    config.limits = Limits {
        requests_per_call: 3,
        ..config.limits
    };
    let (host, _) = PluginHost::start(config).await.expect("a host");
    let url = format!("{API}/version");
    let script = (1..=4).fold(Script::default(), |script, id| {
        script.step(&ask(id, "GET", &url))
    });
    let mut started = start(&host, script.probe()).await.expect("it starts");
    for id in 1..=2 {
        started
            .operation
            .resume(vec![ok(id)])
            .await
            .expect("within the budget");
    }
    let failed = started
        .operation
        .resume(vec![ok(3)])
        .await
        .expect_err("the fourth is too much");
    assert!(
        failed.message.contains("more than 3 requests"),
        "{}",
        failed.message
    );
}

/// P7: results of a plugin are checked and cleaned: ids, names, URLs, numbers of items, text.
#[tokio::test]
async fn p7_results_are_checked() {
    let store = store();
    let host = running(&store, "1.0.0").await;
    let good = v1::Repository {
        stable_id: "7".into(),
        full_name: "acme/api".into(),
        clone_uri: "https://git.corp/acme/api.git".into(),
        description: "a\nb\u{1b}[31m".into(),
        ..v1::Repository::default()
    };
    let with = |change: fn(&mut v1::Repository)| {
        let mut repository = good.clone();
        change(&mut repository);
        vec![repository]
    };
    for (items, accepted) in [
        (with(|_| {}), true),
        (with(|r| r.stable_id.clear()), false),
        (with(|r| r.full_name = "acme".into()), false),
        (with(|r| r.full_name = "acme/../x".into()), false),
        (with(|r| r.full_name = "acme/a\u{202e}pi".into()), false),
        (with(|r| r.clone_uri = "file:///etc/passwd".into()), false),
        (with(|r| r.web_uri = "javascript:alert(1)".into()), false),
        (with(|r| r.default_branch = "a\nb".into()), false),
        (vec![good.clone(); 1001], false),
    ] {
        let page = v1::RepositoryPage {
            items,
            ..v1::RepositoryPage::default()
        };
        let output = v1::Output {
            kind: Some(v1::output::Kind::Repositories(page)),
        };
        let step = v1::Step {
            outcome: Some(v1::step::Outcome::Done(output)),
            ..v1::Step::default()
        };
        let input = Input::ListRepositories {
            owner: String::new(),
            query: String::new(),
            cursor: String::new(),
            page_size: 100,
            max_pages: 0,
        };
        match start(&host, Script::default().step(&step).call(input)).await {
            Ok(started) => {
                assert!(accepted);
                let Next::Done(Output::Repositories { items, .. }) = started.step.next else {
                    panic!("a page")
                };
                assert_eq!(items[0].description, "a b[31m");
            }
            Err(failed) => {
                assert!(!accepted, "{}", failed.message);
                assert_eq!(failed.code, FailureCode::Protocol);
            }
        }
    }
}

/// A failure that a plugin reports arrives clean and prefixed; what only the daemon can know it can't report.
#[tokio::test]
async fn failures_are_prefixed_and_cleaned() {
    let store = store();
    let host = running(&store, "1.0.0").await;
    let failed = |code: v1::Code| v1::Step {
        outcome: Some(v1::step::Outcome::Failed(v1::Failure {
            code: code.into(),
            message: "no\nway".into(),
            http_status: 403,
            retry_after_ms: 5000,
            location: "src/lib.rs:7".into(),
            action_uri: "javascript:x".into(),
            ..v1::Failure::default()
        })),
        ..v1::Step::default()
    };
    let failure_of = |code| failure(&host, Script::default().step(&failed(code)));
    let limited = failure_of(v1::Code::RateLimited).await;
    assert_eq!(limited.code, FailureCode::RateLimited);
    assert_eq!(limited.message, "provider(gitea): no way (at src/lib.rs:7)");
    assert_eq!(
        (limited.http_status, limited.retry_after),
        (403, Some(Duration::from_secs(5)))
    );
    assert_eq!(limited.action_uri, "");
    assert_eq!(
        failure_of(v1::Code::Crashed).await.code,
        FailureCode::Protocol
    );
}
