//! Every recorded body of a webhook, and the requests about hooks against the official description

#![forbid(unsafe_code)]

use bindery_plugin_gitee::Gitee;
use bindery_plugin_sdk::{
    testing::{
        Corpus, Driver, Reply, Run, Sent,
        deliveries::{Compared, Recorded},
        openapi::Api,
    },
    v1::{self, happening::Kind},
};
use serde_json::{Value, json};

const API: &str = "https://gitee.test/api/v5";

fn event_of(recorded: &Recorded) -> &'static str {
    let body: Value = serde_json::from_slice(&recorded.body).expect("JSON");
    match body["hook_name"].as_str() {
        Some("push_hooks") => "Push Hook",
        Some("tag_push_hooks") => "Tag Push Hook",
        _ => "Merge Request Hook",
    }
}

/// Every body is read, and says what another parser read in it. Nothing that authenticates it is repeated.
#[test]
fn every_body_is_read_as_others_read_it() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let mut kinds = Vec::new();
    let all = corpus.deliveries("gitee/webhooks");
    for recorded in &all {
        let run = Driver::<Gitee>::new().run(recorded.ask(event_of(recorded)));
        let delivered = run.delivered();
        let compared = recorded
            .compare(delivered)
            .unwrap_or_else(|differs| panic!("{}: {differs}", recorded.name));
        let wanted = match delivered.happenings.is_empty() {
            true => Compared::Frame,
            false => Compared::Refs,
        };
        assert_eq!(compared, wanted, "{}", recorded.name);
        assert!(delivered.happened_unix_ms > 1_600_000_000_000);
        let repository = delivered.repository.as_ref().expect("a repository");
        assert_eq!(repository.stable_id, "14836026");
        let body: Value = serde_json::from_slice(&recorded.body).expect("JSON");
        let sign = body["sign"].as_str().expect("a signature");
        assert!(!format!("{delivered:?}").contains(sign));
        kinds.extend(
            delivered
                .happenings
                .iter()
                .filter_map(|one| one.kind.clone()),
        );
    }
    assert_eq!(all.len(), 4);
    let [
        Kind::Push(push),
        Kind::RefDeleted(gone),
        Kind::TagCreated(tag),
    ] = &kinds[..]
    else {
        panic!("{kinds:?}");
    };
    assert_eq!(push.changed_paths, ["modify.txt"]);
    assert!(push.changed_paths_complete);
    assert_eq!(gone.r#ref, "refs/heads/feat-3");
    assert_eq!(tag.commit, "aa9d11518a64dcd0d591a2a4eb35dfb4d91d49d5");
}

fn on(method: &str, path: &str, reply: Reply) -> Driver<Gitee> {
    let found = json!({"id": 42, "full_name": "acme/api", "html_url": "https://gitee.test/acme/api.git", "permission": {"admin": true}});
    Driver::new()
        .host("https://gitee.test", API)
        .on(
            "GET",
            &format!("{API}/repos/acme/api"),
            Reply::json(200, found),
        )
        .on(method, &format!("{API}/repos/acme/api/hooks{path}"), reply)
}

/// The last request of a run, which is the one about the hook.
fn last(run: &Run) -> &Sent {
    run.requests.last().expect("a request")
}

/// Every request is one that the description knows, with fields that it knows, but for the one that is younger than it.
#[test]
fn requests_are_as_described() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let description = corpus.json("gitee/openapi/gitee-v5.3.2-2022.trimmed.json");
    let fields = |method: &str, path: &str| -> Vec<String> {
        let parameters = description["paths"][path][method]["parameters"].as_array();
        let fields = parameters.into_iter().flatten();
        let fields = fields.filter(|one| one["in"] == "formData");
        let names = fields.filter_map(|one| one["name"].as_str());
        names
            .map(str::to_owned)
            .chain(["encryption_type".to_owned()])
            .collect()
    };
    let api = Api::new(description.clone(), "https://gitee.test/api");
    let recorded = || Reply::json(200, corpus.json("gitee/api/go-scm.hook.json"));
    let (repository, hook_id) = ("acme/api".to_owned(), "7".to_owned());
    let (url, scheme) = (
        "https://bindery.test/hooks/x".to_owned(),
        "signature".to_owned(),
    );
    let created = on("POST", "", Reply::status(401)).run(v1::CreateHook {
        repository: repository.clone(),
        url: url.clone(),
        scheme: scheme.clone(),
    });
    let updated = on("PATCH", "/7", recorded()).run(v1::UpdateHook {
        repository: repository.clone(),
        hook_id: hook_id.clone(),
        url: url.clone(),
        scheme,
    });
    assert_eq!(updated.hook().deviations, ["events"]);
    assert!(updated.hook().failing);
    for (run, method, path) in [
        (&created, "post", "/v5/repos/{owner}/{repo}/hooks"),
        (&updated, "patch", "/v5/repos/{owner}/{repo}/hooks/{id}"),
    ] {
        let known = fields(method, path);
        assert!(known.len() > 5);
        for pair in last(run).body.split('&') {
            let name = pair.split('=').next().unwrap_or(pair).to_owned();
            assert!(known.contains(&name), "{name}");
        }
    }
    let listed = on("GET", "?page=1&per_page=100", Reply::status(401)).run(v1::ListHooks {
        repository: repository.clone(),
        max_pages: 0,
    });
    let deleted = on("DELETE", "/7", Reply::status(204)).run(v1::DeleteHook {
        repository: repository.clone(),
        hook_id: hook_id.clone(),
    });
    let pinged = on("POST", "/7/tests", Reply::status(204)).run(v1::PingHook {
        repository,
        hook_id,
        url,
    });
    for run in [&created, &updated, &listed, &deleted, &pinged] {
        // A form is described by parameters, which were looked at above.
        let sent = Sent {
            body: String::new(),
            ..last(run).clone()
        };
        assert_eq!(api.check(&sent), Ok(()), "{} {}", sent.method, sent.url);
    }
}
