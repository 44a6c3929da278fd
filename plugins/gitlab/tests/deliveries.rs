//! Every recorded body of a webhook, and recorded hooks

#![forbid(unsafe_code)]

use bindery_plugin_gitlab::GitLab;
use bindery_plugin_sdk::{
    testing::{
        Corpus, Driver, Reply,
        deliveries::{Compared, Recorded},
    },
    v1::{self, happening::Kind},
};
use serde_json::{Map, Value, json};

const API: &str = "https://git.test/gitlab/api/v4";

/// The event that a body came with. Bodies of system hooks are no project's.
fn event_of(recorded: &Recorded) -> String {
    let body: Value = serde_json::from_slice(&recorded.body).expect("JSON");
    if recorded.name.contains(".system.") {
        return "System Hook".to_owned();
    }
    match body["object_kind"].as_str() {
        Some("push") => "Push Hook".to_owned(),
        Some("tag_push") => "Tag Push Hook".to_owned(),
        other => format!("{} Hook", other.unwrap_or("Member")),
    }
}

fn all() -> Option<Vec<(Recorded, v1::Delivered)>> {
    let recorded = Corpus::from_env()?.deliveries("gitlab/webhooks");
    let parsed = recorded.into_iter().map(|one| {
        let run = Driver::<GitLab>::new().run(one.ask(&event_of(&one)));
        let delivered = run.delivered().clone();
        (one, delivered)
    });
    Some(parsed.collect())
}

/// Every body is read, and says what another parser read in it; what is no push of a project says nothing.
#[test]
fn every_body_is_read_as_others_read_it() {
    let Some(all) = all() else {
        return;
    };
    let (mut happened, mut compared) = (Vec::new(), Vec::new());
    for (recorded, delivered) in &all {
        let name = recorded.name.as_str();
        let said = recorded.compare(delivered);
        compared.push(said.unwrap_or_else(|differs| panic!("{name}: {differs}")));
        assert!(!delivered.ping && !delivered.access_changed, "{name}");
        if delivered.happenings.is_empty() {
            continue;
        }
        assert!(delivered.repository.is_some(), "{name}");
        assert!(delivered.actor.is_some(), "{name}");
        happened.push(name);
    }
    let refs = compared.iter().filter(|one| **one == Compared::Refs);
    assert_eq!((all.len(), refs.count()), (15, 2));
    assert_eq!(
        happened,
        [
            "go-gitlab.push.json",
            "go-gitlab.tag_push.json",
            "go-scm.branch_delete.json",
            "go-scm.push_merge.json",
            "go-scm.tag_delete_subgroup.json",
            "woodpecker.HookPush.json",
            "woodpecker.HookTag.json",
        ]
    );
}

/// A genuine annotated tag is peeled, and a push says how much of it is left out.
#[test]
fn what_happened_is_of_the_right_kind() {
    let Some(all) = all() else {
        return;
    };
    let told = |name: &str| {
        let found = all.iter().find(|(one, _)| one.name == name);
        let (_, delivered) = found.unwrap_or_else(|| panic!("{name} is not there"));
        let kind = delivered.happenings[0].kind.clone().expect("a kind");
        (delivered.truncated, kind)
    };
    let (_, Kind::TagCreated(tag)) = told("woodpecker.HookTag.json") else {
        panic!("no tag");
    };
    assert_eq!(tag.commit, "16862e368d8ab812e48833b741dad720d6e2cb7f");
    assert_eq!(tag.tag_object, "fabed3d94cd03e6c2b7958afa9569c18a24d301f");
    assert_eq!(
        (tag.message.as_str(), tag.commit_message.as_str()),
        ("hi", "Update main.go")
    );
    let (_, Kind::TagCreated(light)) = told("go-gitlab.tag_push.json") else {
        panic!("no tag");
    };
    assert_eq!(
        (light.tag_object.as_str(), light.message.as_str()),
        ("", "")
    );
    let (true, Kind::Push(cut)) = told("go-gitlab.push.json") else {
        panic!("no push that was cut");
    };
    assert_eq!((cut.commits.len(), cut.commit_count), (2, 4));
    let (false, Kind::Push(whole)) = told("woodpecker.HookPush.json") else {
        panic!("no whole push");
    };
    assert_eq!(whole.commits.len(), 1);
    assert!(!whole.changed_paths_complete);
}

fn list(hooks: &Value) -> Vec<v1::HookFacts> {
    let project = json!({"id": 3, "name": "api", "path": "api", "path_with_namespace": "acme/api"});
    let run = Driver::<GitLab>::new()
        .host("https://git.test/gitlab", API)
        .on(
            "GET",
            &format!("{API}/projects/acme%2Fapi"),
            Reply::json(200, project),
        )
        .on(
            "GET",
            &format!("{API}/projects/3/hooks?per_page=100"),
            Reply::json(200, hooks),
        )
        .run(v1::ListHooks {
            repository: "acme/api".to_owned(),
            max_pages: 0,
        });
    run.hooks().into_iter().cloned().collect()
}

/// A recorded hook of an old server is read: it is told of everything, and does not say whether it has a secret.
#[test]
fn the_recorded_hook_is_read() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let hooks = list(&corpus.json("gitlab/api/go-scm.hooks.json"));
    assert_eq!(hooks[0].url, "http://example.com/hook");
    assert_eq!(hooks[0].deviations, ["events"]);
    assert_eq!(hooks[0].scheme, "");
}

/// What the server's own tests demand of a hook is enough, with every member that they name, null where that is allowed.
#[test]
fn a_hook_of_the_servers_own_schema_is_read() {
    let Some(corpus) = Corpus::from_env() else {
        return;
    };
    let schema = corpus.json("gitlab/openapi/schema.project_hook.json");
    let mut hook = Map::new();
    for (name, property) in schema["properties"].as_object().expect("properties") {
        let value = match &property["type"] {
            Value::Array(_) => Value::Null,
            Value::String(kind) if kind == "integer" => 7.into(),
            Value::String(kind) if kind == "boolean" => true.into(),
            Value::String(kind) if kind == "array" => json!([]),
            _ => property["enum"].get(1).cloned().unwrap_or("text".into()),
        };
        hook.insert(name.clone(), value);
    }
    let hooks = list(&json!([hook]));
    assert_eq!(
        (hooks[0].hook_id.as_str(), hooks[0].url.as_str()),
        ("7", "text")
    );
    assert!(hooks[0].disabled, "alert_status is disabled");
}
