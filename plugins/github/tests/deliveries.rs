//! Every recorded body of a webhook, and the requests about hooks against the official description

#![forbid(unsafe_code)]

use bindery_plugin_github::GitHub;
use bindery_plugin_sdk::{
    testing::{
        Corpus, Driver, Fixtures, Reply, Run,
        deliveries::{Compared, Recorded},
        openapi::{Api, Extent},
    },
    v1::{self, happening::Kind},
};
use serde_json::Value;

const API: &str = "https://api.github.com";

/// The event that a body came with, by the name of its file: it is in no body.
fn event_of(name: &str) -> &str {
    let by_name = [
        ("go-scm.push", "push"),
        ("go-scm.branch_delete", "delete"),
        ("go-scm.tag_delete", "delete"),
        ("go-scm.pr_", "pull_request"),
        ("go-scm.release", "release"),
        ("woodpecker.HookPushForced", "push"),
        ("woodpecker.HookTag", "push"),
        ("woodpecker.HookRelease", "release"),
        ("woodpecker.HookDeploy", "deployment"),
        ("woodpecker.HookPullRequest", "pull_request"),
    ];
    let known = by_name.iter().find(|(start, _)| name.starts_with(start));
    let of_octokit = name
        .strip_prefix("octokit.api.github.com.")
        .or_else(|| name.strip_prefix("octokit.ghes-35."));
    known
        .map(|(_, event)| *event)
        .or_else(|| of_octokit?.split('.').next())
        .unwrap_or_else(|| panic!("{name}: which event?"))
}

fn parse(recorded: &Recorded) -> v1::Delivered {
    let run = Driver::<GitHub>::new().run(recorded.ask(event_of(&recorded.name)));
    run.delivered().clone()
}

fn all() -> Option<Vec<(Recorded, v1::Delivered)>> {
    let recorded = Corpus::from_env()?.deliveries("github/webhooks");
    let parsed = recorded.into_iter().map(|one| {
        let delivered = parse(&one);
        (one, delivered)
    });
    Some(parsed.collect())
}

/// Every body is read, and says what another parser read in it. What happened is told for the events that are of interest,
/// and for those only.
#[test]
fn every_body_is_read_as_others_read_it() {
    let Some(all) = all() else {
        return;
    };
    let (mut happened, mut compared) = (0, Vec::new());
    for (recorded, delivered) in &all {
        let name = recorded.name.as_str();
        let said = recorded.compare(delivered);
        compared.push(said.unwrap_or_else(|differs| panic!("{name}: {differs}")));
        let event = event_of(name);
        let wanted = event == "push"
            || ["renamed", "transferred", "privatized", "publicized"]
                .iter()
                .any(|action| name.contains(&format!("repository.{action}")));
        assert_eq!(delivered.happenings.len(), usize::from(wanted), "{name}");
        assert_eq!(delivered.ping, event == "ping", "{name}");
        assert!(!delivered.truncated, "{name}");
        let of_repository = !event.starts_with("installation") && event != "organization";
        assert_eq!(delivered.repository.is_some(), of_repository, "{name}");
        assert!(delivered.actor.is_some(), "{name}");
        happened += delivered.happenings.len();
    }
    let count = |what| compared.iter().filter(|one| **one == what).count();
    // A deletion is told by a push, and what is of interest to nobody is not told.
    assert_eq!((count(Compared::Refs), count(Compared::Frame)), (3, 6));
    assert_eq!((all.len(), happened), (50, 14));
}

/// The one kind of every happening in the recordings, by file.
#[test]
fn what_happened_is_of_the_right_kind() {
    let Some(all) = all() else {
        return;
    };
    let kind = |name: &str| {
        let found = all.iter().find(|(one, _)| one.name.contains(name));
        let (_, delivered) = found.unwrap_or_else(|| panic!("{name} is not there"));
        delivered.happenings[0].kind.clone().expect("a kind")
    };
    let Kind::Push(forced) = kind("HookPushForced") else {
        panic!("no push");
    };
    assert!(forced.forced && !forced.changed_paths_complete);
    assert_eq!(forced.commits.len(), 1);
    let Kind::Push(pushed) = kind("go-scm.push.json") else {
        panic!("no push");
    };
    assert_eq!(pushed.changed_paths, ["README.md"]);
    assert!(pushed.changed_paths_complete && !pushed.forced);
    let Kind::TagCreated(tag) = kind("woodpecker.HookTag") else {
        panic!("no tag");
    };
    assert_eq!(tag.commit, "67012991d6c69b1c58378346fca366b864d8d1a1");
    assert_eq!((tag.tag_object.as_str(), tag.before.as_str()), ("", ""));
    assert_eq!(tag.commit_message, "Update .woodpecker.yml");
    let Kind::RefDeleted(gone) = kind("octokit.api.github.com.push.1.json") else {
        panic!("no deletion");
    };
    assert_eq!(gone.r#ref, "refs/tags/simple-tag");
    let Kind::RepositoryChanged(renamed) = kind("repository.renamed") else {
        panic!("no change");
    };
    assert_eq!(renamed.kind(), v1::RepositoryChange::Renamed);
    assert_eq!(renamed.before, "Octocoders/Hello-World");
}

/// An installation that ends, or covers other repositories, is a reason to look at the link; one that begins is none.
#[test]
fn an_end_of_access_is_noticed() {
    let Some(all) = all() else {
        return;
    };
    let noticed = all.iter().filter(|(_, delivered)| delivered.access_changed);
    let names: Vec<_> = noticed.map(|(one, _)| one.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "octokit.api.github.com.installation.deleted.json",
            "octokit.api.github.com.installation.suspend.json",
            "octokit.api.github.com.installation_repositories.added.json",
            "octokit.ghes-35.installation_repositories.added.json.json",
        ]
    );
}

/// Members that the description of today demands, and that no body had yet when it was recorded.
const YOUNGER: [&str; 8] = [
    "app_slug",
    "disabled",
    "has_discussions",
    "requester",
    "suspended_at",
    "suspended_by",
    "topics",
    "visibility",
];

/// Takes what is younger out of all that is demanded. An installation's times are described as text, and are numbers in each
/// body that was recorded.
fn forget_younger(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::Array(required)) = members.get_mut("required") {
                required.retain(|name| name.as_str().is_none_or(|name| !YOUNGER.contains(&name)));
            }
            if members.contains_key("access_tokens_url") {
                for time in ["created_at", "updated_at"] {
                    members.insert(time.to_owned(), serde_json::json!({}));
                }
            }
            members.values_mut().for_each(forget_younger);
        }
        Value::Array(all) => all.iter_mut().for_each(forget_younger),
        _ => {}
    }
}

/// Each body of a delivery is as the official description has it: one that GitHub sent, at least what is described; one that
/// somebody wrote down for a fixture, nothing that is made up.
#[test]
fn bodies_are_as_described() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let mut document = corpus.json("github/openapi/webhooks.api.github.com.trimmed.json");
    forget_younger(&mut document);
    let api = Api::new(document, API);
    let (mut checked, mut wrong) = (0, Vec::new());
    for (name, event, body) in Fixtures::of(env!("CARGO_MANIFEST_DIR")).deliveries() {
        match api.check_delivery(&event, &body, Extent::Parts) {
            Some(Ok(())) => checked += 1,
            Some(Err(why)) => wrong.push(format!("{name}: {why}")),
            None => wrong.push(format!("{name}: {event} is not described")),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(checked, 6);
    let mut described = 0;
    for recorded in corpus.deliveries("github/webhooks") {
        let body: Value = serde_json::from_slice(&recorded.body).expect("JSON");
        let said = api.check_delivery(event_of(&recorded.name), &body, Extent::Whole);
        described += usize::from(said.is_some());
        if let Some(Err(why)) = said {
            wrong.push(format!("{}: {why}", recorded.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(described, 32);
}

fn driver(method: &str, path: &str, reply: Reply) -> Driver<GitHub> {
    Driver::new()
        .host("https://github.com", API)
        .edition("cloud")
        .on(method, &format!("{API}{path}"), reply)
}

struct Official {
    api: Api,
    examples: Value,
}

impl Official {
    fn read() -> Option<Self> {
        let description = Corpus::from_env()?.json("github/openapi/api.github.com.trimmed.json");
        let examples = description["components"]["examples"].clone();
        Some(Self {
            api: Api::new(description, API),
            examples,
        })
    }

    fn example(&self, status: u16, name: &str) -> Reply {
        let value = &self.examples[name]["value"];
        assert!(!value.is_null(), "the description has no example {name}");
        Reply::json(status, value)
    }

    fn check(&self, run: &Run) {
        assert!(!run.requests.is_empty());
        for sent in &run.requests {
            let checked = self.api.check(sent);
            checked.unwrap_or_else(|wrong| panic!("{} {}: {wrong}", sent.method, sent.url));
        }
    }
}

const HELLO: &str = "octocat/Hello-World";
const HOOKS: &str = "/repos/octocat/Hello-World/hooks";

/// The example hook is read by all that give one, and what was asked for is as described, body and all.
#[test]
fn the_example_hook_is_read() {
    let Some(official) = Official::read() else {
        return;
    };
    let listed = driver(
        "GET",
        &format!("{HOOKS}?per_page=100"),
        official.example(200, "hook-items"),
    )
    .run(v1::ListHooks {
        repository: HELLO.to_owned(),
        ..v1::ListHooks::default()
    });
    let created = driver("POST", HOOKS, official.example(201, "hook")).run(v1::CreateHook {
        repository: HELLO.to_owned(),
        url: "https://example.com/webhook".to_owned(),
        scheme: "hmac-sha256".to_owned(),
    });
    let hook = format!("{HOOKS}/12345678");
    let updated = driver("PATCH", &hook, official.example(200, "hook")).run(v1::UpdateHook {
        repository: HELLO.to_owned(),
        hook_id: "12345678".to_owned(),
        url: "https://example.com/webhook".to_owned(),
        scheme: "hmac-sha256".to_owned(),
    });
    for run in [&listed, &created, &updated] {
        official.check(run);
    }
    for facts in [listed.hooks()[0], created.hook(), updated.hook()] {
        assert_eq!(facts.hook_id, "12345678");
        assert_eq!(facts.url, "https://example.com/webhook");
        // The example has no secret, and other events.
        assert_eq!(facts.deviations, ["events", "secret"]);
        assert!(facts.active && !facts.failing && facts.scheme.is_empty());
    }
}

/// The example deliveries are listed, and all other requests are as described.
#[test]
fn the_example_deliveries_are_read() {
    let Some(official) = Official::read() else {
        return;
    };
    let hook = format!("{HOOKS}/1");
    let listed = driver(
        "GET",
        &format!("{hook}/deliveries?per_page=100"),
        official.example(200, "hook-delivery-items"),
    )
    .run(v1::ListDeliveries {
        repository: HELLO.to_owned(),
        hook_id: "1".to_owned(),
        since_unix_ms: 0,
    });
    official.check(&listed);
    let first = listed.sent_deliveries()[0];
    assert_eq!(first.sent_id, "12345678");
    assert_eq!(first.stable_id, "0b989ba4-242f-11e5-81e1-c7b6966d2516");
    assert_eq!((first.event.as_str(), first.status), ("issues", 200));
    assert_eq!(first.sent_unix_ms, 1_559_523_436_000);
    let (repository, hook_id) = (HELLO.to_owned(), "1".to_owned());
    official.check(
        &driver("POST", &format!("{hook}/pings"), Reply::status(204)).run(v1::PingHook {
            repository: repository.clone(),
            hook_id: hook_id.clone(),
            url: String::new(),
        }),
    );
    official.check(
        &driver("DELETE", &hook, Reply::status(204)).run(v1::DeleteHook {
            repository: repository.clone(),
            hook_id: hook_id.clone(),
        }),
    );
    let again = format!("{hook}/deliveries/12345678/attempts");
    official.check(
        &driver("POST", &again, Reply::status(202)).run(v1::Redeliver {
            repository,
            hook_id,
            sent_id: "12345678".to_owned(),
        }),
    );
}

/// A recorded hook of another service's days is read as far as it goes.
#[test]
fn the_recorded_hook_is_read() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let reply = Reply::json(
        200,
        Value::Array(vec![corpus.json("github/api/go-scm.hook.json")]),
    );
    let run = driver("GET", &format!("{HOOKS}?per_page=100"), reply).run(v1::ListHooks {
        repository: HELLO.to_owned(),
        ..v1::ListHooks::default()
    });
    assert_eq!(run.hooks()[0].url, "http://example.com/webhook");
    assert_eq!(run.hooks()[0].deviations, ["events", "secret"]);
}
