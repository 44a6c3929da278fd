//! Sources, their rules and their deliveries.

use bindery_client::proto::v1::{Delivery, delivery, hook};
use serde_json::json;

use crate::support::Scene;

/// A source is added with rules that a person types: what is excluded comes first, since the first match
/// counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_can_be_typed() {
    let scene = Scene::furnished().await;
    let arguments = [
        "source",
        "add",
        "acme/link-1",
        "acme/api",
        "--id",
        "api",
        "--branch",
        "main",
        "--branch",
        "release/*",
        "--branch-regex",
        "hotfix-(\\d+)",
        "--tag",
        "v*",
        "--path",
        "src/**",
        "--exclude-branch",
        "wip/*",
        "--image",
        "acme/api",
        "--tag-template",
        "{short_commit}",
        "--context",
        "docker",
        "--file",
        "Dockerfile",
        "--build-arg",
        "LEVEL=2",
        "--max-triggers-per-minute",
        "5",
        "--reconcile",
        "15m",
        "--label",
        "team=build",
    ];
    let added = scene.run(&arguments);
    assert_eq!(added.exit, 0, "{}", added.words);
    let table = "RULE     ACTION   BRANCHES                       TAGS  PATHS   BUILD\n\
                 exclude  exclude  wip/*\n\
                 build    include  main release/* /hotfix-(\\d+)/  v*    src/**  \
                 acme/api:{short_commit} from docker/Dockerfile\n";
    assert!(added.out.ends_with(table), "{}", added.out);
    assert!(
        added.out.contains("reconciled:        every 15 min\n"),
        "{}",
        added.out
    );
    let source = scene.json(&["source", "show", "acme/link-1/api"]);
    let build = json!({
        "imageRepository": "acme/api", "tagTemplate": "{short_commit}", "contextPath": "docker",
        "filePath": "Dockerfile", "arguments": {"LEVEL": "2"},
    });
    let rules = json!([
        {"id": "exclude", "action": "ACTION_EXCLUDE", "branches": [{"glob": "wip/*"}]},
        {
            "id": "build", "action": "ACTION_INCLUDE",
            "branches": [{"glob": "main"}, {"glob": "release/*"}, {"regex": "hotfix-(\\d+)"}],
            "tags": [{"glob": "v*"}], "paths": [{"glob": "src/**"}], "build": build,
        },
    ]);
    assert_eq!(source["rules"], rules);
    assert_eq!(source["maxTriggersPerMinute"], 5);
    assert_eq!(source["reconcileInterval"], "900s");
    let twice = scene.run(&["source", "add", "acme/link-1", "acme/api"]);
    assert_eq!(twice.exit, 5);
    assert!(
        twice.words.contains("reason: SOURCE_EXISTS"),
        "{}",
        twice.words
    );
}

/// Where only something is excluded, all the rest is still built.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn excluding_keeps_the_rest() {
    let scene = Scene::furnished().await;
    let add = [
        "source",
        "add",
        "acme/link-1",
        "acme/api",
        "--exclude-tag",
        "nightly-*",
    ];
    let source = scene.json(&add);
    let rules = json!([
        {"id": "exclude", "action": "ACTION_EXCLUDE", "tags": [{"glob": "nightly-*"}]},
        {"id": "build", "action": "ACTION_INCLUDE"},
    ]);
    assert_eq!(source["rules"], rules);
}

/// Several rules come from a file; what a source prints can be handed in again, also from standard input.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_can_be_in_a_file() {
    let scene = Scene::furnished().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rules.toml");
    std::fs::write(&file, "[[rules]]\nid = \"main\"\nbranches = [\"main\"]\n").unwrap();
    let file = file.to_str().unwrap();
    let add = [
        "source",
        "add",
        "acme/link-1",
        "acme/api",
        "--id",
        "api",
        "--rules-file",
        file,
    ];
    let source = scene.json(&add);
    let rules = json!([{"id": "main", "branches": [{"glob": "main"}]}]);
    assert_eq!(source["rules"], rules);
    let source = source.to_string().replace("\"main\"", "\"trunk\"");
    let update = ["source", "update", "acme/link-1/api", "--rules-file", "-"];
    let updated = scene.run_with_input(&update, &source);
    assert_eq!(updated.exit, 0, "{}", updated.words);
    let rules = json!([{"id": "trunk", "branches": [{"glob": "trunk"}]}]);
    let kept = scene.json(&["source", "get", "acme/link-1/api"]);
    assert_eq!(kept["rules"], rules);
    let both = scene.run(&[&update[..], &["--branch", "main"]].concat());
    assert_eq!(both.exit, 2, "{}", both.words);
    let wrong = scene.run_with_input(&update, "[{\"ID\": \"main\"}]");
    assert_eq!(wrong.exit, 2);
    assert!(wrong.words.contains("rule 1: "), "{}", wrong.words);
}

/// What is not named stays; a dry run changes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_is_changed_in_part() {
    let scene = Scene::furnished().await;
    let add = ["source", "add", "acme/link-1", "acme/api", "--id", "api"];
    let dry = scene.run(&[&add[..], &["--dry-run"]].concat());
    assert!(dry.words.contains("nothing was changed"), "{}", dry.words);
    assert_eq!(scene.run(&["source", "show", "acme/link-1/api"]).exit, 3);
    let limits = [
        "--branch",
        "main",
        "--max-triggers-per-minute",
        "7",
        "--pause",
    ];
    assert_eq!(scene.run(&[&add[..], &limits].concat()).exit, 0);
    let change = |settings: &[&str]| {
        let update = ["source", "update", "acme/link-1/api"];
        scene.run(&[&update[..], settings].concat())
    };
    assert_eq!(change(&["--reconcile", "never", "--dry-run"]).exit, 0);
    let source = scene.json(&["source", "show", "acme/link-1/api"]);
    assert_eq!(source["reconcileInterval"], serde_json::Value::Null);
    assert_eq!(
        (&source["paused"], &source["maxTriggersPerMinute"]),
        (&true.into(), &7.into())
    );
    assert_eq!(change(&["--resume", "--reconcile", "never"]).exit, 0);
    let source = scene.json(&["source", "show", "acme/link-1/api"]);
    assert_eq!(source["reconcileInterval"], "0s");
    assert_eq!(source["paused"], serde_json::Value::Null);
    assert_eq!(source["rules"].as_array().unwrap().len(), 1);
    assert_eq!(change(&["--no-rules"]).exit, 0);
    let source = scene.json(&["source", "show", "acme/link-1/api"]);
    assert_eq!(source["rules"], serde_json::Value::Null);
    for wrong in [
        &[][..],
        &["--no-rules", "--branch", "main"],
        &["--reconcile", "5s"],
    ] {
        assert_eq!(change(wrong).exit, 2, "{wrong:?}");
    }
}

/// A hook that is not verified has an exit code; repairing it puts that right.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hook_is_verified_and_repaired() {
    let scene = Scene::furnished().await;
    let source = scene.bindery.add_source(&scene.link, "acme/api");
    assert_eq!(scene.run(&["source", "verify", &source]).exit, 0);
    let message = "somebody removed it; repair it";
    scene
        .bindery
        .set_hook_state(&source, hook::State::Missing, message);
    let missing = scene.run(&["source", "verify", &source]);
    assert_eq!(missing.exit, 6);
    assert!(missing.out.contains("missing"), "{}", missing.out);
    assert!(missing.words.contains(message), "{}", missing.words);
    let filter = "hook.state = \"MISSING\"";
    let listed = scene.run(&["source", "list", "acme", "--filter", filter, "-o", "name"]);
    assert_eq!(listed.out, format!("{source}\n"));
    assert_eq!(scene.run(&["source", "repair", &source]).exit, 0);
    assert_eq!(scene.run(&["source", "verify", &source]).exit, 0);
    scene.bindery.deny_hook(&source, "PROVIDER_DENIED");
    assert_eq!(scene.run(&["source", "repair", &source]).exit, 5);
}

/// Removing a source says what was done, and on which page a person does the rest.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stays_at_the_provider_is_said() {
    let scene = Scene::furnished().await;
    let source = scene.bindery.add_source(&scene.link, "acme/api");
    let preview = scene.run(&["source", "remove", &source, "--dry-run"]);
    assert!(
        preview.out.contains("delete hook acme/api  done"),
        "{}",
        preview.out
    );
    assert!(
        preview.words.contains("nothing was changed"),
        "{}",
        preview.words
    );
    scene.bindery.deny_hook(&source, "PROVIDER_DENIED");
    let removed = scene.run(&["source", "remove", &source]);
    assert_eq!(removed.exit, 0, "{}", removed.words);
    assert!(removed.out.contains("impossible"), "{}", removed.out);
    let page = "https://forge.example/acme/api/hooks";
    assert!(removed.words.contains(page), "{}", removed.words);
    assert_eq!(scene.run(&["source", "remove", &source]).exit, 3);
}

/// Deliveries are listed, shown, printed as they were signed, and processed again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliveries_are_looked_at() {
    let scene = Scene::furnished().await;
    let source = scene.bindery.add_source(&scene.link, "acme/api");
    let delivery = Delivery {
        provider_event: "push".to_owned(),
        state: delivery::State::Unparsed.into(),
        message: "the plugin does not know it".to_owned(),
        body: b"{\"ref\":1}".to_vec(),
        ..Delivery::default()
    };
    let name = scene.bindery.add_delivery(&source, delivery);
    let short = name.replace("namespaces/", "").replace("/links", "");
    let short = short.replace("/sources", "").replace("/deliveries", "");
    let listed = scene.run(&["source", "deliveries", &source, "--state", "unparsed"]);
    assert!(listed.out.contains(&short), "{}", listed.out);
    assert!(listed.out.contains("the plugin does not know it"));
    let none = scene.run(&["source", "deliveries", &source, "--state", "ignored"]);
    assert_eq!(
        (none.out.as_str(), none.words.as_str()),
        ("", "nothing found\n")
    );
    let shown = scene.run(&["source", "delivery", "show", &short]);
    assert!(shown.out.contains("size:     9 bytes"), "{}", shown.out);
    let body = scene.run(&["source", "delivery", "show", &short, "--body"]);
    assert_eq!(body.out, "{\"ref\":1}");
    let again = scene.run(&["source", "delivery", "retry", &short]);
    assert!(again.out.contains("processed"), "{}", again.out);
    let caught = scene.run(&["source", "catch-up", &source, "--since", "2d"]);
    let expected = "recovered deliveries: 0\nchanged refs: 0\nevents: 0\n";
    assert_eq!((caught.exit, caught.out.as_str()), (0, expected));
    let wrong = scene.run(&["source", "catch-up", &source, "--since", "yesterday"]);
    assert_eq!(wrong.exit, 2);
}
