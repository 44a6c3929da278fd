//! Hosts and links are made, waited for, and ended.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, Stdio},
};

use bindery_client::proto::v1::organization::AccessState;

use crate::support::Scene;

/// Starts the command and reads the page that it prints first.
fn until_page(
    scene: &Scene,
    arguments: &[&str],
) -> (Child, BufReader<std::process::ChildStdout>, String) {
    let mut command = scene.command(arguments);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut page = String::new();
    out.read_line(&mut page).unwrap();
    (child, out, page.trim_end().to_owned())
}

fn link_of(page: &str) -> String {
    format!("namespaces/acme/links/{}", page.rsplit('/').next().unwrap())
}

/// The page is printed on a line of its own, and when the person has agreed and confirmed, who it is. Not on
/// a terminal, nothing is redrawn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn creating_waits_for_the_person() {
    let scene = Scene::furnished().await;
    let (mut child, mut out, page) =
        until_page(&scene, &["link", "create", "acme", "forge.example"]);
    assert!(page.starts_with("https://bindery.example/start/"), "{page}");
    scene.bindery.consent(&link_of(&page), "octo");
    scene.bindery.confirm(&link_of(&page));
    let (mut rest, mut words) = (String::new(), String::new());
    out.read_to_string(&mut rest).unwrap();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut words)
        .unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(rest, "bound: octo (id 583231) on forge.example\n");
    assert!(words.contains("open this page to agree"), "{words}");
    assert!(!words.contains(['\r', '\x1b']), "{words:?}");
}

/// Whoever interrupts the wait is told how to go on, and the flow stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_wait_can_go_on() {
    let scene = Scene::furnished().await;
    let (mut child, _out, page) = until_page(&scene, &["link", "create", "acme", "forge.example"]);
    let mut words = BufReader::new(child.stderr.take().unwrap());
    // The first stage is said when the wait, and with it the handling of the signal, is up.
    let mut line = String::new();
    while !line.starts_with("waiting for") {
        line.clear();
        assert!(words.read_line(&mut line).unwrap() > 0);
    }
    let id = child.id().to_string();
    let killed = std::process::Command::new("kill")
        .args(["-INT", &id])
        .status();
    assert!(killed.unwrap().success());
    let mut rest = String::new();
    words.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let link = link_of(&page);
    assert!(
        rest.contains(&format!("bindery link wait {link}")),
        "{rest}"
    );
    assert!(
        rest.contains(&format!("bindery link cancel {link}")),
        "{rest}"
    );
    let left = scene.run(&["link", "get", &link]);
    assert!(left.out.contains("pending authorization"), "{}", left.out);
    assert_eq!(scene.run(&["link", "cancel", &link]).exit, 0);
}

/// With a token the link is bound at once; the token is read from a file or from standard input, and appears
/// nowhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_binds_at_once() {
    let scene = Scene::furnished().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "s3cret\n").unwrap();
    let file = file.to_str().unwrap();
    let base = ["link", "create", "acme", "forge.example"];
    let by_file = scene.run(&[&base[..], &["--token-file", file]].concat());
    let by_stdin = scene.run_with_input(&[&base[..], &["--token-stdin"]].concat(), "s3cret\n");
    for run in [by_file, by_stdin] {
        assert_eq!(
            (run.exit, run.out.as_str()),
            (0, "bound: octo (id 583231) on forge.example\n")
        );
        assert!(!run.words.contains("s3cret"));
    }
    let empty = scene.run_with_input(&[&base[..], &["--token-stdin"]].concat(), "\n");
    assert_eq!(empty.exit, 2);
}

/// Without waiting the page is all that is printed; a wait can follow, and a code confirms.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_can_be_finished_later() {
    let scene = Scene::furnished().await;
    let started = scene.run(&["link", "create", "acme", "forge.example", "--no-wait"]);
    let link = link_of(started.out.trim_end());
    let late = scene.run(&["link", "wait", &link, "--timeout", "0s"]);
    assert_eq!(late.exit, 6, "{late:?}");
    scene.bindery.consent(&link, "octo");
    let confirmed = scene.run_with_input(&["link", "confirm", &link], "123-456\n");
    assert_eq!(
        confirmed.out, "bound: octo (id 583231) on forge.example\n",
        "{confirmed:?}"
    );
    let waited = scene.run(&["link", "wait", &link]);
    assert_eq!(waited.out, "bound: octo (id 583231) on forge.example\n");
}

/// Disabling stops hand-out, enabling brings it back, unlinking says what is left for a person.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_is_switched_and_ended() {
    let scene = Scene::furnished().await;
    let link = scene.link.as_str();
    let off = scene.run(&["link", "disable", link, "--reason", "laptop lost"]);
    assert!(
        off.out.contains("disabled, bound") && off.out.contains("laptop lost"),
        "{}",
        off.out
    );
    assert_eq!(scene.run(&["credential", "read", link]).exit, 5);
    assert_eq!(scene.run(&["link", "enable", link]).exit, 0);
    assert_eq!(scene.run(&["credential", "read", link]).exit, 0);
    let preview = scene.run(&["link", "unlink", link, "--preview"]);
    assert!(preview.out.contains("nothing was done"), "{}", preview.out);
    let ended = scene.run(&["link", "unlink", link]);
    assert!(ended.out.contains("impossible"), "{}", ended.out);
    assert!(
        ended
            .words
            .contains("https://forge.example/settings/applications")
    );
    let receipt = scene.run(&["link", "receipt", link, "-o", "json"]);
    let receipt: serde_json::Value = serde_json::from_str(&receipt.out).unwrap();
    assert_eq!(receipt["steps"][1]["outcome"], "OUTCOME_IMPOSSIBLE");
}

/// An organization that keeps the link out is listed, and the list of repositories says that it is not whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_out_is_said() {
    let scene = Scene::furnished().await;
    let why = "an owner has to approve";
    scene
        .bindery
        .add_organization(&scene.link, "closed", AccessState::RestrictedByPolicy, why);
    let organizations = scene.run(&["link", "orgs", &scene.link]);
    assert!(
        organizations
            .out
            .contains("closed        restricted by policy"),
        "{}",
        organizations.out
    );
    let repositories = scene.run(&["repo", "list", &scene.link]);
    assert!(repositories.words.starts_with("note: "), "{repositories:?}");
}

/// Adding a host probes it and says what to register; the secret comes from standard input.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_is_added() {
    let scene = Scene::furnished().await;
    let arguments = [
        "host",
        "add",
        "git.corp",
        "--provider",
        "gitea",
        "--web-url",
        "https://git.corp:8443/",
        "--client-id",
        "bindery",
        "--client-secret-file",
        "-",
        "--allow-port",
        "8443",
        "--allow-network",
        "10.0.0.0/8",
    ];
    let added = scene.run_with_input(&arguments, "s3cret\n");
    assert_eq!(added.exit, 0, "{added:?}");
    assert!(
        added
            .words
            .contains("https://bindery.example/callback/git.corp"),
        "{}",
        added.words
    );
    assert!(added.words.contains("it works"));
    let shown = scene.run(&["host", "get", "git.corp", "-o", "json"]);
    let host: serde_json::Value = serde_json::from_str(&shown.out).unwrap();
    assert_eq!(host["publicUrls"]["web"], "https://git.corp:8443");
    assert_eq!(
        host["portPolicy"]["httpsPorts"][0]["first"], 443,
        "the default stays"
    );
    assert_eq!(host["portPolicy"]["httpsPorts"][1]["first"], 8443);
    assert_eq!(host["oauthClient"]["clientSecretCount"], 1);
    assert!(!format!("{added:?}{shown:?}").contains("s3cret"));
    let off = scene.run(&["host", "update", "git.corp", "--disable", "moving"]);
    assert!(
        off.out.contains("disabled") && off.out.contains("moving"),
        "{}",
        off.out
    );
    assert_eq!(scene.run(&["host", "remove", "git.corp"]).exit, 0);
    assert_eq!(scene.run(&["host", "get", "git.corp"]).exit, 3);
}

/// Plain text, and secrets in what others can see, are refused before anything is sent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn careless_addresses_are_refused() {
    let scene = Scene::furnished().await;
    for (url, hint) in [
        ("http://git.corp", "--allow-plaintext"),
        ("https://me:hunter2@git.corp", "hand secrets in as files"),
        ("ftp://git.corp", "write https://"),
    ] {
        let run = scene.run(&["host", "add", "x", "--provider", "gitea", "--web-url", url]);
        assert_eq!(run.exit, 2, "{url}");
        assert!(
            run.words.contains(hint) && !run.words.contains("hunter2"),
            "{}",
            run.words
        );
    }
    assert!(scene.bindery.calls("CreateHost").is_empty());
}

/// The webhook of a host's app is shown, and set up with a secret that is read and never shown.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_webhook_of_an_app_is_set_up() {
    let scene = Scene::furnished().await;
    let none = scene.run(&["host", "hook", "forge.example"]);
    assert_eq!(none.exit, 3, "{none:?}");
    let add = ["host", "update", "forge.example", "--app-id", "7"];
    assert_eq!(scene.run(&add).exit, 0);
    let by_hand = ["host", "hook", "forge.example", "--by-hand"];
    assert_eq!(scene.run(&by_hand).exit, 2, "it needs a secret");
    let arguments = [
        "host",
        "hook",
        "forge.example",
        "--set-up",
        "--by-hand",
        "--overlap",
        "2h",
        "--secret-file",
        "-",
    ];
    let set = scene.run_with_input(&arguments, "an0ther-s3cret-of-ours\n");
    assert_eq!(set.exit, 0, "{set:?}");
    assert!(
        set.out.contains("url: https://bindery.example/hooks/app"),
        "{}",
        set.out
    );
    assert!(!format!("{set:?}").contains("s3cret"));
    let shown = scene.run(&["host", "hook", "forge.example"]);
    assert!(shown.out.contains("state: silent"), "{}", shown.out);
}
