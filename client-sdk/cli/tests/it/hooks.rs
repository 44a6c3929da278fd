//! Hooks of many sources.

use crate::support::{Scene, orphan};

/// Hooks of nobody are removed on request only, and what could not be looked through is said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orphans_are_removed_on_request() {
    let scene = Scene::furnished().await;
    scene.bindery.add_orphan_hook(orphan(&scene.link));
    scene
        .bindery
        .add_unreachable_link("namespaces/acme/links/away");
    let found = scene.run(&["hooks", "orphans"]);
    assert!(found.out.contains("acme/old"), "{}", found.out);
    assert!(
        found.words.contains("namespaces/acme/links/away"),
        "{}",
        found.words
    );
    let dry = scene.run(&["hooks", "orphans", "acme", "--remove", "--dry-run"]);
    assert!(
        dry.out.contains("delete hook acme/old  done"),
        "{}",
        dry.out
    );
    assert!(dry.words.contains("nothing was changed"), "{}", dry.words);
    assert_eq!(
        scene
            .json(&["hooks", "orphans", "acme"])
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let removed = scene.json(&["hooks", "orphans", &scene.link, "--remove"]);
    assert_eq!(removed[0]["outcome"], "OUTCOME_DONE");
    let none = scene.run(&["hook", "orphans", "acme", "--remove"]);
    assert!(none.words.contains("nothing found"), "{}", none.words);
    assert_eq!(scene.run(&["hooks", "orphans", "--dry-run"]).exit, 2);
}

/// A rotation goes on by itself; whoever waits sees what it did, and has an exit code for what it could not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_rotated() {
    let scene = Scene::furnished().await;
    scene.bindery.add_source(&scene.link, "acme/api");
    let web = scene.bindery.add_source(&scene.link, "acme/web");
    let dry = scene.run(&["hooks", "rotate", "acme", "--dry-run"]);
    assert!(dry.out.contains("hooks:   2"), "{}", dry.out);
    let started = scene.run(&["hooks", "rotate", "acme", "--overlap", "1d"]);
    assert!(started.out.contains("overlap: 24 h"), "{}", started.out);
    let name = started.words.trim_end().rsplit(' ').next().unwrap();
    let waited = scene.run(&["hooks", "rotation", name, "--wait"]);
    assert_eq!(waited.exit, 0, "{}", waited.words);
    assert!(waited.words.contains("0 of 2 hooks"), "{}", waited.words);
    assert_eq!(waited.out.matches("  done  ").count(), 2, "{}", waited.out);
    scene.bindery.deny_hook(&web, "PROVIDER_DENIED");
    let failed = scene.run(&["hooks", "rotate", "acme", "--wait"]);
    assert_eq!(failed.exit, 1);
    assert!(failed.out.contains("PROVIDER_DENIED"), "{}", failed.out);
    assert!(
        failed.words.contains("1 of 2 hooks could not"),
        "{}",
        failed.words
    );
    let filter = "repository = \"acme/api\"";
    let some = [
        "hooks", "rotate", "--filter", filter, "--wait", "-o", "json",
    ];
    let some = scene.run(&some);
    let some: serde_json::Value = serde_json::from_str(&some.out).unwrap();
    assert_eq!(some["totalCount"], 1);
    assert_eq!(some["reports"][0]["state"], "STATE_DONE");
}
