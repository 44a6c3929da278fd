//! Triggers and subscriptions, and the secrets that are shown once.

use std::{fs, os::unix::fs::PermissionsExt as _};

use bindery_client::proto::v1::DeadLetter;

use crate::support::Scene;

async fn scene() -> (Scene, String) {
    let scene = Scene::furnished().await;
    let source = scene.bindery.add_source(&scene.link, "acme/api");
    (scene, source)
}

/// A token goes to standard output, once, in every format that has room for it, and never to standard error.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_shown_once() {
    let (scene, source) = scene().await;
    let add = |id: &str, format: &str| {
        scene.run(&[
            "trigger",
            "add",
            &source,
            "--id",
            id,
            "--ref",
            "refs/heads/main",
            "-o",
            format,
        ])
    };
    let table = add("a", "table");
    assert!(
        table.out.contains("token:   fake-trigger-token-"),
        "{}",
        table.out
    );
    let only = add("b", "token");
    assert!(only.out.starts_with("fake-trigger-token-"), "{}", only.out);
    assert_eq!(only.out.lines().count(), 1);
    let json = add("c", "json");
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert!(
        json["token"]
            .as_str()
            .unwrap()
            .starts_with("fake-trigger-token-")
    );
    for run in [&table, &only] {
        assert_eq!(run.words, "the token is not shown again; keep it\n");
    }
    for format in ["name", "env", "git"] {
        assert_eq!(add("d", format).exit, 2, "{format}");
    }
    assert_eq!(
        scene.bindery.calls("CreateTrigger").len(),
        3,
        "nothing is made in vain"
    );
    let shown = scene.run(&["trigger", "show", "acme/link-1/source-5/a"]);
    assert!(!shown.out.contains("fake-trigger-token"), "{}", shown.out);
    assert_eq!(
        scene.run(&["trigger", "list", &source, "-o", "token"]).exit,
        2
    );
    let dry = scene.run(&["trigger", "add", &source, "--dry-run"]);
    assert_eq!(dry.words, "nothing was changed\n");
    let listed = scene.run(&["trigger", "list", &source, "-o", "name"]);
    assert_eq!(listed.out.lines().count(), 3);
}

/// A token in a file is for its owner alone, takes the place of the one before, and is printed nowhere; where
/// the file can't be written, no token is made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_can_go_into_a_file() {
    let (scene, source) = scene().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nightly.token");
    let file = path.to_str().unwrap();
    fs::write(&path, "old").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let add = [
        "trigger",
        "add",
        &source,
        "--id",
        "nightly",
        "--token-file",
        file,
        "-o",
        "name",
    ];
    let added = scene.run(&add);
    assert_eq!(added.exit, 0, "{}", added.words);
    assert_eq!(added.out, format!("{source}/triggers/nightly\n"));
    let first = fs::read_to_string(&path).unwrap();
    assert!(first.starts_with("fake-trigger-token-") && first.ends_with('\n'));
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let trigger = format!("{source}/triggers/nightly");
    let rotate = [
        "trigger",
        "rotate",
        &trigger,
        "--overlap",
        "0s",
        "--token-file",
        file,
    ];
    let rotated = scene.run(&rotate);
    let second = fs::read_to_string(&path).unwrap();
    assert_ne!(first, second);
    for run in [added, rotated] {
        let printed = format!("{}{}", run.out, run.words);
        assert!(!printed.contains("fake-trigger-token"), "{printed}");
        assert!(run.words.contains("is not shown again"), "{}", run.words);
    }
    // Nothing is left of what was tried in vain.
    assert_eq!(scene.run(&add).exit, 5);
    assert_eq!(fs::read_to_string(&path).unwrap(), second);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let nowhere = [
        "trigger",
        "rotate",
        &trigger,
        "--token-file",
        "/nowhere/token",
    ];
    assert_eq!(scene.run(&nowhere).exit, 78);
    let taken = [
        "trigger",
        "rotate",
        &trigger,
        "--token-file",
        folder.path().to_str().unwrap(),
    ];
    assert_eq!(scene.run(&taken).exit, 78);
    assert_eq!(scene.bindery.calls("RotateTriggerToken").len(), 1);
}

/// A trigger is switched off and on, fired, and removed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trigger_lives() {
    let (scene, source) = scene().await;
    let add = [
        "trigger",
        "add",
        &source,
        "--id",
        "nightly",
        "--ref",
        "refs/heads/main",
    ];
    assert_eq!(scene.run(&add).exit, 0);
    let trigger = "acme/link-1/source-5/nightly";
    let off = scene.run(&["trigger", "disable", trigger]);
    assert!(off.out.contains("disabled"), "{}", off.out);
    let on = scene.run(&["trigger", "enable", trigger]);
    assert!(on.out.contains("enabled"), "{}", on.out);
    let fired = scene.run(&["trigger", "fire", trigger]);
    assert!(
        fired.out.contains("trigger nightly refs/heads/main"),
        "{}",
        fired.out
    );
    let other = scene.run(&[
        "trigger",
        "fire",
        trigger,
        "--ref",
        "refs/tags/v1",
        "-o",
        "name",
    ]);
    assert_eq!(other.out, "namespaces/acme/events/2\n");
    assert_eq!(scene.run(&["trigger", "remove", trigger]).exit, 0);
    assert_eq!(scene.run(&["trigger", "show", trigger]).exit, 3);
}

/// A subscription has a secret that is shown once, is changed, paused and resumed, and its dead letters are
/// listed and sent again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_lives() {
    let (scene, source) = scene().await;
    let url = "https://registry.example/events";
    let filter = "verdict = \"TRIGGER\"";
    let added = scene.run(&[
        "subscription",
        "add",
        "acme",
        url,
        "--id",
        "registry",
        "--filter",
        filter,
        "-o",
        "token",
    ]);
    assert!(added.out.starts_with("whsec_"), "{added:?}");
    assert_eq!(added.words, "the secret is not shown again; keep it\n");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    let file = path.to_str().unwrap();
    let rotate = [
        "subscription",
        "rotate",
        "acme/registry",
        "--secret-file",
        file,
    ];
    let rotated = scene.run(&rotate);
    assert!(
        rotated.out.contains("old secret ends: in"),
        "{}",
        rotated.out
    );
    assert!(fs::read_to_string(&path).unwrap().starts_with("whsec_"));
    let paused = scene.run(&["subscription", "pause", "acme/registry"]);
    assert!(paused.out.contains("paused"), "{}", paused.out);
    let resumed = scene.run(&["subscription", "resume", "acme/registry"]);
    assert!(resumed.out.contains("active"), "{}", resumed.out);
    let update = ["subscription", "update", "acme/registry"];
    let moved = [&update[..], &["--url", "https://registry.example/v2"]].concat();
    let dry = scene.run(&[&moved[..], &["--dry-run"]].concat());
    assert!(dry.words.contains("nothing was changed"), "{}", dry.words);
    assert_eq!(
        scene.json(&["subscription", "show", "acme/registry"])["endpointUri"],
        url
    );
    let moved = scene.json(&moved);
    assert_eq!(moved["endpointUri"], "https://registry.example/v2");
    assert_eq!(moved["filter"], filter, "what is not named stays");
    assert_eq!(scene.run(&update).exit, 2);

    scene.bindery.push(&source, "refs/heads/main", "1f7a");
    let letter = DeadLetter {
        event: "namespaces/acme/events/1".to_owned(),
        attempts: 8,
        http_status: 500,
        message: "the endpoint answers with an error".to_owned(),
        ..DeadLetter::default()
    };
    let name = "namespaces/acme/subscriptions/registry";
    scene.bindery.add_dead_letter(name, letter);
    let letters = scene.run(&["subscription", "dead-letters", "acme/registry"]);
    assert!(letters.out.contains("acme/1  8"), "{}", letters.out);
    let replay = [
        "subscription",
        "replay",
        "acme/registry",
        "--from",
        "1",
        "--missing",
    ];
    let replayed = scene.run(&replay);
    assert_eq!(
        replayed.out, "1 event is sent again: 1\n",
        "{}",
        replayed.words
    );
    let listed = scene.run(&["subscription", "list", "acme", "-o", "name"]);
    assert_eq!(listed.out, format!("{name}\n"));
    assert_eq!(
        scene.run(&["subscription", "remove", "acme/registry"]).exit,
        0
    );
    assert_eq!(
        scene.run(&["subscription", "show", "acme/registry"]).exit,
        3
    );
}

/// A URL with a password in it is refused before anything is sent, and not repeated.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_url_holds_no_password() {
    let (scene, _) = scene().await;
    let url = "https://me:hunter2@registry.example/events";
    let run = scene.run(&["subscription", "add", "acme", url]);
    assert_eq!(run.exit, 2);
    assert!(!run.words.contains("hunter2"), "{}", run.words);
    assert!(scene.bindery.calls("CreateSubscription").is_empty());
}
