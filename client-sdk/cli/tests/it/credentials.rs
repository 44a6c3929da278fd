//! Credentials for shells, and for git.

use std::{os::unix::fs::symlink, process::Command};

use bindery_client::testing::TokenLife;

use crate::support::{Run, Scene, finish};

/// A shell can evaluate what is printed, and git can read it; a table shows no token.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_have_formats() {
    let scene = Scene::furnished().await;
    scene.bindery.set_token_life(TokenLife::Endless);
    let fetch =
        |format: &str| scene.run(&["credential", "read", &scene.link, "acme/api", "-o", format]);
    let git = fetch("git").out;
    assert!(
        git.starts_with("username=octo\npassword=fake-token-"),
        "{git}"
    );
    assert!(!git.contains("password_expiry_utc"));
    let environment = fetch("env").out;
    let script = format!("{environment}printf %s \"$BINDERY_GIT_USERNAME $BINDERY_TOKEN\"");
    let shell = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert!(
        String::from_utf8(shell.stdout)
            .unwrap()
            .starts_with("octo fake-token-")
    );
    let json: serde_json::Value = serde_json::from_str(&fetch("json").out).unwrap();
    assert_eq!(json["cloneUri"], "https://forge.example/acme/api.git");
    assert!(fetch("token").out.starts_with("fake-token-"));
    assert!(!fetch("table").out.contains("fake-token-"));
}

/// Runs `git credential` with the helper as its only one.
fn git(scene: &Scene, helper: &str, action: &str, input: &str) -> Run {
    let folder = tempfile::tempdir().unwrap();
    symlink(
        env!("CARGO_BIN_EXE_bindery"),
        folder.path().join("git-credential-bindery"),
    )
    .unwrap();
    let path = format!(
        "{}:{}",
        folder.path().display(),
        std::env::var("PATH").unwrap()
    );
    let mut command = Command::new("git");
    command
        .args([
            "-c",
            "credential.helper=",
            "-c",
            &format!("credential.helper={helper}"),
        ])
        .args(["-c", "credential.useHttpPath=true", "credential", action])
        .env("PATH", path)
        .env("HOME", folder.path())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env_remove("GIT_ASKPASS")
        .env_remove("SSH_ASKPASS")
        .env_remove("BINDERY_LINK")
        .env("BINDERY_ENDPOINT", scene.bindery.endpoint());
    finish(command, input)
}

const WANTED: &str = "protocol=https\nhost=forge.example\npath=acme/api.git\n\n";

/// git itself gets user name and token, for the repository that it asks for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn git_is_served() {
    let scene = Scene::furnished().await;
    for helper in [
        "bindery".to_owned(),
        format!("bindery --link {}", scene.link),
    ] {
        let filled = git(&scene, &helper, "fill", WANTED);
        assert_eq!(filled.exit, 0, "{filled:?}");
        assert!(
            filled.out.contains("username=octo\npassword=fake-token-"),
            "{}",
            filled.out
        );
    }
    assert_eq!(scene.bindery.calls("FetchReadCredential").len(), 2);
}

/// The helper says when the token expires; git before 2.40 does not repeat it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_helper_tells_the_expiry() {
    let scene = Scene::furnished().await;
    let told = scene.run_with_input(&["credential", "helper", "get"], WANTED);
    let lines: Vec<_> = told
        .out
        .lines()
        .map(|line| line.split('=').next().unwrap())
        .collect();
    assert_eq!(lines, ["username", "password", "password_expiry_utc"]);
}

/// A host that no link leads to gets nothing, also where the link is named: git asks about every host.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_hosts_get_nothing() {
    let scene = Scene::furnished().await;
    let wanted = WANTED.replace("forge.example", "evil.example");
    for helper in [
        "bindery".to_owned(),
        format!("bindery --link {}", scene.link),
    ] {
        let filled = git(&scene, &helper, "fill", &wanted);
        assert!(!filled.out.contains("password="), "{filled:?}");
    }
    assert!(scene.bindery.calls("FetchReadCredential").is_empty());
}

/// A token that was refused has its link checked; one that was accepted is not stored anywhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_token_has_its_link_checked() {
    let scene = Scene::furnished().await;
    let used = WANTED.replace("\n\n", "\nusername=octo\npassword=fake-token-9\n\n");
    assert_eq!(git(&scene, "bindery", "approve", &used).exit, 0);
    assert!(scene.bindery.calls("CheckLink").is_empty());
    assert_eq!(git(&scene, "bindery", "reject", &used).exit, 0);
    assert_eq!(scene.bindery.calls("CheckLink").len(), 1);
}

/// Where two links lead to one host, nothing is guessed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_guessed() {
    let scene = Scene::furnished().await;
    scene
        .bindery
        .add_bound_link("acme", "forge.example", "other");
    let filled = git(&scene, "bindery", "fill", WANTED);
    assert!(!filled.out.contains("password="), "{filled:?}");
    assert!(
        filled.words.contains("choose one with BINDERY_LINK"),
        "{}",
        filled.words
    );
}
