//! Every recorded body of a webhook, and the requests about hooks against the official descriptions

#![forbid(unsafe_code)]

use bindery_plugin_bitbucket::Bitbucket;
use bindery_plugin_sdk::{
    testing::{
        Corpus, Driver, Reply, Run, Sent,
        deliveries::{Compared, Recorded},
        openapi::Api,
    },
    v1::{self, happening::Kind},
};
use serde_json::{Value, json};

const CLOUD: &str = "https://api.bitbucket.org/2.0";
const WEB: &str = "https://git.test/bitbucket";
const DATA_CENTER: &str = "https://git.test/bitbucket/rest/api/latest";
const OURS: &str = "https://bindery.test/hooks/x";

fn cloud() -> Driver<Bitbucket> {
    Driver::new()
        .edition("cloud")
        .host("https://bitbucket.org", CLOUD)
}

fn data_center() -> Driver<Bitbucket> {
    Driver::new().host(WEB, DATA_CENTER)
}

fn read(
    driver: &Driver<Bitbucket>,
    recorded: Vec<Recorded>,
    event: impl Fn(&Recorded) -> String,
) -> Vec<(Recorded, v1::Delivered)> {
    let parsed = recorded.into_iter().map(|one| {
        let delivered = driver.run(one.ask(&event(&one))).delivered().clone();
        let compared = one
            .compare(&delivered)
            .unwrap_or_else(|differs| panic!("{}: {differs}", one.name));
        let told = one.expected.is_some() && !delivered.happenings.is_empty();
        assert_eq!(compared == Compared::Refs, told, "{}", one.name);
        (one, delivered)
    });
    parsed.collect()
}

/// Names and number of happenings of the bodies that say something.
fn said(all: &[(Recorded, v1::Delivered)]) -> Vec<(&str, usize)> {
    let told = all.iter().filter(|(_, told)| !told.happenings.is_empty());
    told.map(|(one, told)| (one.name.as_str(), told.happenings.len()))
        .collect()
}

fn kind(all: &[(Recorded, v1::Delivered)], name: &str) -> Kind {
    let found = all.iter().find(|(one, _)| one.name == name);
    let (_, delivered) = found.unwrap_or_else(|| panic!("{name} is not there"));
    delivered.happenings[0].kind.clone().expect("a kind")
}

/// Every body of Cloud is read, and says what another parser read in it.
#[test]
fn every_body_of_cloud_is_read_as_others_read_it() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let event = |one: &Recorded| match one.name.contains("push") {
        true => "repo:push".to_owned(),
        false => "pullrequest:fulfilled".to_owned(),
    };
    let all = read(&cloud(), corpus.deliveries("bitbucket/webhooks"), event);
    assert_eq!(
        said(&all),
        [
            ("go-scm.push.json", 1),
            ("go-scm.push_branch_delete.json", 1),
            ("go-scm.push_tag_create.json", 1),
        ]
    );
    let compared = all.iter().filter(|(one, _)| one.expected.is_some());
    assert_eq!((all.len(), compared.count()), (5, 4));
    for (one, delivered) in &all {
        // One example of another tool leaves the id out.
        let has_id = !one.name.starts_with("woodpecker");
        assert_eq!(delivered.repository.is_some(), has_id, "{}", one.name);
        assert!(delivered.actor.is_some(), "{}", one.name);
    }
    let Kind::Push(push) = kind(&all, "go-scm.push.json") else {
        panic!("no push");
    };
    assert_eq!((push.commits.len(), push.commit_count), (1, 1));
    assert_eq!(push.commits[0].author_name, "Brad Rydzewski");
    assert_eq!(push.commits[0].time_unix_ms, 1_530_563_216_000);
    let Kind::TagCreated(tag) = kind(&all, "go-scm.push_tag_create.json") else {
        panic!("no tag");
    };
    assert_eq!(tag.r#ref, "refs/tags/feature/x");
    assert_eq!(tag.commit_message, "Update README\n");
}

/// Every body of Data Center is read, old ones and new ones, and says what another parser read in it.
#[test]
fn every_body_of_data_center_is_read_as_others_read_it() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let event = |one: &Recorded| {
        let body: Value = serde_json::from_slice(&one.body).expect("JSON");
        body["eventKey"].as_str().expect("an event").to_owned()
    };
    let recorded = corpus.deliveries("bitbucket-dc/webhooks");
    let all = read(&data_center(), recorded, event);
    assert_eq!(
        said(&all),
        [
            ("go-scm.fnb_push_update.json", 1),
            ("go-scm.push_branch_create.json", 1),
            ("go-scm.push_branch_delete.json", 1),
            ("go-scm.push_tag_create.json", 1),
            ("go-scm.push_v5.json", 1),
        ]
    );
    let compared = all.iter().filter(|(one, _)| one.expected.is_some());
    assert_eq!((all.len(), compared.count()), (7, 7));
    for (one, delivered) in &all {
        assert!(delivered.happened_unix_ms > 0, "{}", one.name);
        assert!(delivered.actor.is_some(), "{}", one.name);
    }
    let Kind::Push(push) = kind(&all, "go-scm.fnb_push_update.json") else {
        panic!("no push");
    };
    let last = push.commits.last().expect("commits");
    assert_eq!(
        (last.id.as_str(), last.time_unix_ms),
        (push.after.as_str(), 1_779_631_864_000)
    );
    let Kind::TagCreated(tag) = kind(&all, "go-scm.push_tag_create.json") else {
        panic!("no tag");
    };
    assert_eq!((tag.commit.as_str(), tag.tag_object.as_str()), ("", ""));
}

/// The last request of a run, which is the one about the hook.
fn last(run: &Run) -> &Sent {
    run.requests.last().expect("a request")
}

fn body(sent: &Sent) -> Value {
    let quoted = sent.body.replace("<secret:hook_secret json>", "\"S\"");
    serde_json::from_str(&quoted).expect("JSON")
}

/// Requests about hooks of Cloud are as described: paths, and bodies by the description of a hook, events and all.
#[test]
fn requests_of_cloud_are_as_described() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let description = corpus.json("bitbucket/openapi/bitbucket-cloud.trimmed.json");
    let hook = description["components"]["schemas"]["webhook_subscription"]["allOf"][1].clone();
    let api = Api::new(description, CLOUD);
    let repository = "/repositories/acme/api";
    let on = |method: &str, path: &str| {
        let found = json!({"uuid": "{r}", "full_name": "acme/api"});
        cloud()
            .on(
                "GET",
                &format!("{CLOUD}{repository}"),
                Reply::json(200, found),
            )
            .on(
                method,
                &format!("{CLOUD}{repository}/hooks{path}"),
                Reply::status(401),
            )
    };
    let (name, hook_id) = ("acme/api".to_owned(), "{h}".to_owned());
    let (url, scheme) = (OURS.to_owned(), "hmac-sha256".to_owned());
    let one = "/%7Bh%7D";
    let written = [
        on("POST", "").run(v1::CreateHook {
            repository: name.clone(),
            url: url.clone(),
            scheme: scheme.clone(),
        }),
        on("PUT", one).run(v1::UpdateHook {
            repository: name.clone(),
            hook_id: hook_id.clone(),
            url,
            scheme,
        }),
    ];
    for run in &written {
        // The description shows the body by an example only.
        let sent = last(run);
        let described = Sent {
            body: String::new(),
            ..sent.clone()
        };
        assert_eq!(api.check(&described), Ok(()));
        for (member, value) in body(sent).as_object().expect("members") {
            let known = &hook["properties"][member];
            let is_more = member == "skip_cert_verification";
            assert!(known.is_object() || is_more, "{member}");
            let events = known["items"]["enum"].as_array();
            for event in value.as_array().into_iter().flatten() {
                assert!(events.is_some_and(|all| all.contains(event)), "{event}");
            }
        }
    }
    let others = [
        cloud()
            .on(
                "GET",
                &format!("{CLOUD}{repository}"),
                Reply::json(200, json!({"uuid": "{r}", "full_name": "acme/api"})),
            )
            .on(
                "GET",
                &format!("{CLOUD}{repository}/hooks?pagelen=100"),
                Reply::json(200, corpus.json("bitbucket/api/go-scm.hooks.json")),
            )
            .run(v1::ListHooks {
                repository: name.clone(),
                max_pages: 0,
            }),
        on("DELETE", one).run(v1::DeleteHook {
            repository: name,
            hook_id,
        }),
    ];
    let hooks = others[0].hooks();
    assert_eq!(hooks[0].hook_id, "{d53603cc-3f67-45ea-b310-aaa5ef6ec061}");
    assert_eq!(hooks[0].deviations, ["events"]);
    let path = &last(&others[1]).url;
    assert!(path.ends_with(one), "{path}");
    assert_eq!(api.check(last(&others[1])), Ok(()));
}

/// Requests about hooks of Data Center are as described, bodies and parameters as well. A recorded hook's secret, which the
/// server shows in clear, is not repeated.
#[test]
fn requests_of_data_center_are_as_described() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let description = corpus.json("bitbucket-dc/openapi/bitbucket-dc-9.2.trimmed.json");
    let api = Api::new(description, &format!("{WEB}/rest"));
    let repository = "/projects/PRJ/repos/api";
    let on = |method: &str, path: &str, reply: Reply| {
        let found = json!({"id": 9, "slug": "api", "project": {"key": "PRJ"}});
        data_center()
            .on(
                "GET",
                &format!("{DATA_CENTER}{repository}"),
                Reply::json(200, found),
            )
            .on(
                method,
                &format!("{DATA_CENTER}{repository}/webhooks{path}"),
                reply,
            )
    };
    let (name, hook_id) = ("PRJ/api".to_owned(), "1".to_owned());
    let (url, scheme) = (OURS.to_owned(), "hmac-sha256".to_owned());
    let refused = || Reply::status(401);
    let recorded = Reply::json(200, corpus.json("bitbucket-dc/api/go-scm.webhooks.json"));
    let tested =
        "/test?webhookId=1&url=https%3A%2F%2Fbindery.test%2Fhooks%2Fx&sslVerificationRequired=true";
    let runs = [
        on("GET", "?statistics=true", recorded).run(v1::ListHooks {
            repository: name.clone(),
            max_pages: 0,
        }),
        on("POST", "", refused()).run(v1::CreateHook {
            repository: name.clone(),
            url: url.clone(),
            scheme: scheme.clone(),
        }),
        on("PUT", "/1", refused()).run(v1::UpdateHook {
            repository: name.clone(),
            hook_id: hook_id.clone(),
            url: url.clone(),
            scheme,
        }),
        on("DELETE", "/1", refused()).run(v1::DeleteHook {
            repository: name.clone(),
            hook_id: hook_id.clone(),
        }),
        on("POST", tested, refused()).run(v1::PingHook {
            repository: name,
            hook_id,
            url,
        }),
    ];
    for run in &runs {
        let sent = last(run);
        assert_eq!(api.check(sent), Ok(()), "{} {}", sent.method, sent.url);
    }
    let hook = runs[0].hooks()[0];
    assert_eq!(
        (hook.hook_id.as_str(), hook.scheme.as_str()),
        ("1", "hmac-sha256")
    );
    assert_eq!(hook.deviations, ["events"]);
    assert!(!format!("{:?}", runs[0]).contains("12345"));
}
