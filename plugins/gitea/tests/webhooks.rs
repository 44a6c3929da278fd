//! Every recorded delivery of Gitea, Forgejo and Gogs, against what another reader made of it; and hooks as they were recorded

#![forbid(unsafe_code)]

use bindery_plugin_gitea::Gitea;
use bindery_plugin_sdk::{
    testing::{Corpus, Driver, Reply, deliveries::Compared, openapi::Api},
    v1::{self, happening::Kind},
};
use serde_json::{Value, json};

const API: &str = "https://git.test/api/v1";

fn driver() -> Driver<Gitea> {
    Driver::new().host("https://git.test", API)
}

fn parse(event: &str, body: &Value) -> v1::Delivered {
    let run = driver().run(v1::ParseDelivery {
        event: event.to_owned(),
        headers: Vec::new(),
        body: body.to_string().into_bytes(),
    });
    run.delivered().clone()
}

/// Bodies without their headers, and the event that each was sent as.
const BODIES: [(&str, &str); 19] = [
    (
        "forgejo/webhooks/woodpecker.HookPullRequest",
        "pull_request",
    ),
    (
        "forgejo/webhooks/woodpecker.HookPullRequestMerged",
        "pull_request",
    ),
    ("forgejo/webhooks/woodpecker.HookPush", "push"),
    ("forgejo/webhooks/woodpecker.HookRelease", "release"),
    ("forgejo/webhooks/woodpecker.HookTag", "create"),
    ("gitea/webhooks/go-scm.branch_delete", "delete"),
    ("gitea/webhooks/go-scm.pull_request_closed", "pull_request"),
    ("gitea/webhooks/go-scm.pull_request_merged", "pull_request"),
    ("gitea/webhooks/go-scm.push", "push"),
    ("gitea/webhooks/go-scm.tag_create", "create"),
    (
        "gitea/webhooks/woodpecker.HookPullRequestClosed",
        "pull_request",
    ),
    ("gitea/webhooks/woodpecker.HookPushBranch", "push"),
    ("gitea/webhooks/woodpecker.HookPushMulti", "push"),
    ("gitea/webhooks/woodpecker.HookRelease", "release"),
    ("gogs/webhooks/go-scm.branch_delete", "delete"),
    ("gogs/webhooks/go-scm.pull_request_closed", "pull_request"),
    ("gogs/webhooks/go-scm.pull_request_opened", "pull_request"),
    ("gogs/webhooks/go-scm.push", "push"),
    ("gogs/webhooks/go-scm.tag_create", "create"),
];

/// Every body is read under its own event; what is wanted of it comes out, and the rest says nothing.
#[test]
fn every_body_is_read() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let mut met: Vec<String> = Vec::new();
    for (file, event) in BODIES {
        let said = parse(event, &corpus.json(&format!("{file}.json")));
        let wanted = usize::from(matches!(event, "push" | "delete"));
        assert_eq!(said.happenings.len(), wanted, "{file}");
        assert!(!said.ping, "{file}");
        met.push(format!("{file}.json"));
    }
    // No file of these folders is left out: each is a body, another reader's result, or a request of its own.
    for provider in ["forgejo", "gitea", "gogs"] {
        for (name, _) in corpus.replies(&format!("{provider}/webhooks")) {
            let file = format!("{provider}/webhooks/{name}");
            let other = name.ends_with(".expected.json") || name.ends_with(".request.json");
            assert!(other || met.contains(&file), "{file}");
        }
    }
}

/// Wherever go-scm read the same body, it found the same repository, person and ref: of a push and a deletion all of it, of
/// what is told by another delivery, or is of no interest, the repository and the person.
#[test]
fn another_reader_found_the_same() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let mut compared = Vec::new();
    for provider in ["gitea", "gogs"] {
        for recorded in corpus.deliveries(&format!("{provider}/webhooks")) {
            let Some(expected) = &recorded.expected else {
                continue;
            };
            let name = format!("{provider}/webhooks/{}", recorded.name);
            let known = |(file, _): &&(&str, &str)| name == format!("{file}.json");
            let (_, event) = BODIES.iter().find(known).expect("its event is known");
            let run = driver().run(recorded.ask(event));
            let said = recorded.compare(run.delivered());
            compared.push(said.unwrap_or_else(|differs| panic!("{name}: {differs}")));
            for happening in &run.delivered().happenings {
                if let Some(Kind::Push(push)) = &happening.kind {
                    same_commits(&name, push, expected);
                }
            }
        }
    }
    let refs = compared.iter().filter(|one| **one == Compared::Refs);
    assert_eq!((compared.len(), refs.count()), (10, 4));
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn same_commits(file: &str, push: &v1::Push, expected: &Value) {
    let commits = expected["Commits"].as_array().expect("commits");
    assert_eq!(push.commits.len(), commits.len(), "{file}");
    for (ours, theirs) in push.commits.iter().rev().zip(commits) {
        assert_eq!(ours.id, text(&theirs["Sha"]), "{file}");
        assert_eq!(ours.author_name, text(&theirs["Author"]["Name"]), "{file}");
        assert_eq!(
            ours.author_email,
            text(&theirs["Author"]["Email"]),
            "{file}"
        );
        assert_eq!(ours.web_uri, text(&theirs["Link"]), "{file}");
    }
}

/// The JSON of a recorded request: the body, or the member `payload` of a form.
fn payload(request: &Value) -> Value {
    let body = text(&request["body"]);
    let json = match body.strip_prefix("payload=") {
        Some(form) => percent_decoded(form.split('&').next().unwrap_or(form)),
        None => body.as_bytes().to_vec(),
    };
    serde_json::from_slice(&json).expect("a JSON payload")
}

fn percent_decoded(form: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = form.bytes();
    while let Some(byte) = rest.next() {
        let mut digit = || rest.next().and_then(|c| char::from(c).to_digit(16));
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let (high, low) = (digit().expect("a digit"), digit().expect("a digit"));
                out.push(u8::try_from(high * 16 + low).expect("a byte"));
            }
            other => out.push(other),
        }
    }
    out
}

fn header<'a>(request: &'a Value, name: &str) -> &'a str {
    let list = request["headers"].as_array().expect("headers");
    let found = list.iter().find(|pair| {
        let known = pair[0].as_str().unwrap_or_default();
        known.eq_ignore_ascii_case(name)
    });
    found.map_or("", |pair| text(&pair[1]))
}

/// What a real 1.14.2 sent, as JSON and as a form: each push of a branch or tag, and each deletion, is told by exactly one of
/// its deliveries to one hook, the test by none, and the secret in the body by nobody.
#[test]
fn trap_7_recorded_requests_are_told_once() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let mut told = 0;
    for (name, says) in [
        ("01.push-branch.json", "ping"),
        ("05.push-branch.json", "push refs/heads/feature/x"),
        ("06.push-branch.form", "push refs/heads/feature/x"),
        ("07.push-tag.json", "tag refs/tags/v1.0.0"),
        ("08.push-tag.form", "tag refs/tags/v1.0.0"),
        ("09.create-tag.json", ""),
        ("13.push-tag.json", "tag refs/tags/v1.0.1-rc+1"),
        ("14.push-tag.form", "tag refs/tags/v1.0.1-rc+1"),
        ("15.create-tag.json", ""),
        ("19.create-tag.json", ""),
        ("21.push-delete.form", ""),
        ("22.delete-tag.json", "gone refs/tags/v1.0.0"),
    ] {
        let file = format!("gitea/webhooks/recorded-1.14.2.{name}.request.json");
        let request = corpus.json(&file)["request"].clone();
        let said = parse(header(&request, "x-gitea-event"), &payload(&request));
        assert_eq!(words(&said), says, "{name}");
        assert!(!format!("{said:?}").contains("s3cr3t-hook"), "{name}");
        told += 1;
    }
    let files = corpus.replies("gitea/webhooks").into_iter();
    let requests = files.filter(|(name, _)| name.ends_with(".request.json"));
    assert_eq!(told, requests.count());
}

fn words(said: &v1::Delivered) -> String {
    let one = |happening: &v1::Happening| match &happening.kind {
        Some(Kind::Push(push)) => format!("push {}", push.r#ref),
        // 1.14 does not tell what a tag points to.
        Some(Kind::TagCreated(tag)) if tag.commit.is_empty() => format!("tag {}", tag.r#ref),
        Some(Kind::RefDeleted(gone)) => format!("gone {}", gone.r#ref),
        other => format!("{other:?}"),
    };
    if said.ping {
        return "ping".to_owned();
    }
    said.happenings.iter().map(one).collect()
}

fn recorded(corpus: &Corpus, name: &str) -> Value {
    let file = format!("gitea/api/recorded-1.14.2.{name}.exchange.json");
    corpus.json(&file)["response"]["body"].clone()
}

fn with_repository(repository: &Value) -> Driver<Gitea> {
    let found = Reply::json(200, repository);
    driver().on("GET", &format!("{API}/repositories/1"), found)
}

/// Recorded hooks are read: those of 1.14, and the ones that Gitea's and Gogs' own clients are tested with.
#[test]
fn recorded_hooks() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let gitea = json!([corpus.json("gitea/api/go-scm.hook.json")]);
    let gogs = corpus.json("gogs/api/go-scm.hooks.json");
    for (hooks, urls) in [
        (
            recorded(&corpus, "20-hooks"),
            vec![
                "http://127.0.0.1:3199/hook/a",
                "http://127.0.0.1:3199/hook/form",
            ],
        ),
        (gitea, vec!["http://gogs.io"]),
        (gogs, vec!["http://gogs.io"]),
    ] {
        let reply = Reply::json(200, hooks).header("x-total-count", &urls.len().to_string());
        let list = format!("{API}/repos/alice/app0/hooks?page=1&limit=50");
        let run = with_repository(&recorded(&corpus, "07-repo_create_0"))
            .on("GET", &list, reply)
            .run(v1::ListHooks {
                repository: "id:1".to_owned(),
                max_pages: 0,
            });
        let found = run.hooks();
        let found: Vec<_> = found.iter().map(|hook| hook.url.as_str()).collect();
        assert_eq!(found, urls);
        assert!(run.hooks().iter().all(|hook| hook.active));
    }
}

/// Section 7: the answer to a new hook holds no secret, and each request about hooks is one that the server's own description
/// knows.
#[test]
fn trap_7_hooks_are_as_described() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let api = Api::new(corpus.json("gitea/openapi/gitea-1.14.2.trimmed.json"), API);
    let made = recorded(&corpus, "18-hook_create");
    assert!(made["config"].get("secret").is_none());
    let repository = recorded(&corpus, "07-repo_create_0");
    let hooks = format!("{API}/repos/alice/app0/hooks");
    let page = format!("{hooks}?page=1&limit=50");
    let old = json!([{"id": 9, "type": "gitea", "config": {"url": "https://b.test/h"}}]);
    let list = Reply::json(200, old).header("x-total-count", "1");
    let known = || with_repository(&repository);
    let (repository, hook_id, url) = (
        "id:1".to_owned(),
        "9".to_owned(),
        "https://b.test/h".to_owned(),
    );
    let scheme = "hmac-sha256".to_owned();
    let runs = [
        known().on("GET", &page, list.clone()).run(v1::ListHooks {
            repository: repository.clone(),
            max_pages: 0,
        }),
        known()
            .on("POST", &hooks, Reply::json(201, made.clone()))
            .run(v1::CreateHook {
                repository: repository.clone(),
                url: url.clone(),
                scheme: scheme.clone(),
            }),
        known()
            .on("POST", &hooks, Reply::json(201, made))
            .on("GET", &page, list)
            .on("DELETE", &format!("{hooks}/9"), Reply::status(204))
            .run(v1::UpdateHook {
                repository: repository.clone(),
                hook_id: hook_id.clone(),
                url: url.clone(),
                scheme,
            }),
        known()
            .on("DELETE", &format!("{hooks}/9"), Reply::status(204))
            .run(v1::DeleteHook {
                repository: repository.clone(),
                hook_id: hook_id.clone(),
            }),
        known()
            .on("POST", &format!("{hooks}/9/tests"), Reply::status(204))
            .run(v1::PingHook {
                repository,
                hook_id,
                url,
            }),
    ];
    for run in runs {
        assert!(run.outcome.is_ok(), "{:?}", run.outcome);
        // The first one asks for the repository by its id, which the description at hand lacks.
        for sent in &run.requests[1..] {
            api.check(sent)
                .unwrap_or_else(|wrong| panic!("{} {}: {wrong}", sent.method, sent.url));
        }
    }
}
