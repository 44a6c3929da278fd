//! What is printed, letter by letter.

use bindery_proto::admin::v1::{Check, check::Outcome};

use crate::support::{Scene, finish, orphan};

async fn scene() -> Scene {
    Scene::furnished().await
}

/// Tables are stable, and data goes to standard output alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_look_like_this() {
    let scene = scene().await;
    scene.bindery.add_source(&scene.link, "acme/api");
    scene.bindery.add_orphan_hook(orphan(&scene.link));
    let table = [
        (
            &["host", "list"][..],
            "HOST           PROVIDER  URL                    LINKS  STATE\n\
             forge.example  gitea     https://forge.example  0      enabled\n",
        ),
        (
            &["host", "get", "forge.example"],
            "name:     hosts/forge.example\nprovider: providers/gitea\n\
             web:      https://forge.example\nlinks:    0\nstate:    enabled\n",
        ),
        (
            &["host", "probe", "forge.example"],
            "LEG  LAYER  OUTCOME  MESSAGE\napi  dns    ok       it works\n\
             api  tcp    ok       it works\napi  tls    ok       it works\n\
             api  http   ok       it works\napi  api    ok       it works\n\
             server version: 1.24.0\n",
        ),
        (
            &["provider", "list"],
            "PROVIDER  PLATFORM  VERSIONS  METHODS      TRIGGER LIMITS  STATE\n\
             gitea     Gitea     All       Gitea OAuth  None            ready\n",
        ),
        (
            &["link", "list"],
            "LINK         HOST           IDENTITY  STATE  TOKEN EXPIRES\n\
             acme/link-1  forge.example  octo      bound\n",
        ),
        (
            &["repo", "list", "acme/link-1"],
            "REPOSITORY  ID  VISIBILITY  ACCESS  BRANCH\n\
             acme/api    3   private     write   main\n\
             acme/web    4   private     write   main\n",
        ),
        (
            &["repo", "refs", "acme/link-1", "acme/api"],
            "REF              COMMIT        NOTES\n\
             refs/heads/main  1f7a7a472abf  default\n\
             refs/tags/v1.0   1f7a7a472abf\n",
        ),
        (
            &["source", "list"],
            "SOURCE                REPOSITORY  RULES                  HOOK      LAST DELIVERY\n\
             acme/link-1/source-5  acme/api    all branches and tags  verified\n",
        ),
        (
            &["source", "list", "acme/link-1", "-o", "name"],
            "namespaces/acme/links/link-1/sources/source-5\n",
        ),
        (
            &["hooks", "orphans", "acme"],
            "LINK         REPOSITORY  HOOK  DELIVERS TO                         SEE\n\
             acme/link-1  acme/old    99    https://bindery.example/hooks/0123\n",
        ),
        (
            &["plugin", "list"],
            "PLUGIN  VERSION  STATE    SANDBOX            MESSAGE\n\
             gitea   0.1.0    running  seccomp, landlock\n",
        ),
        (
            &["link", "list", "-o", "name"],
            "namespaces/acme/links/link-1\n",
        ),
        (
            &[
                "repo",
                "list",
                "acme/link-1",
                "--query",
                "nothing",
                "-o",
                "json",
            ],
            "[]\n",
        ),
    ];
    for (arguments, expected) in table {
        let run = scene.run(arguments);
        assert_eq!((run.exit, run.words.as_str()), (0, ""), "{arguments:?}");
        assert_eq!(run.out, expected, "{arguments:?}");
    }
}

/// JSON is the API's own mapping, and the same for one and for many.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_is_the_messages_of_the_api() {
    let scene = scene().await;
    let one = scene.run(&["provider", "get", "gitea", "--output", "json"]);
    let expected = r#"{
  "authMethods": [
    {
      "displayName": "Gitea OAuth",
      "kind": "AUTH_METHOD_KIND_OAUTH_CODE",
      "pkce": true
    }
  ],
  "displayName": "Gitea",
  "name": "providers/gitea",
  "platformVersions": "All",
  "pluginVersion": "0.1.0",
  "state": "STATE_READY",
  "triggerLimits": "None"
}
"#;
    assert_eq!(one.out, expected);
    let many = scene.run(&["provider", "list", "-o", "json"]);
    let (one, many): (serde_json::Value, serde_json::Value) = (
        serde_json::from_str(&one.out).unwrap(),
        serde_json::from_str(&many.out).unwrap(),
    );
    assert_eq!(many, serde_json::json!([one]));
}

/// Not on a terminal there is no colour; it can be forced, and `NO_COLOR` wins.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn colour_is_for_those_who_want_it() {
    let scene = scene().await;
    let coloured = |variables: &[(&str, &str)]| {
        let mut command = scene.command(&["host", "list"]);
        command.envs(variables.iter().copied());
        finish(command, "").out.contains("\x1b[32menabled\x1b[0m")
    };
    assert!(!coloured(&[]));
    assert!(coloured(&[("CLICOLOR_FORCE", "1")]));
    assert!(!coloured(&[("CLICOLOR_FORCE", "0")]));
    assert!(!coloured(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
}

/// The status says how daemon, store, plugins and links do, and ends with a code that says it, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_has_an_exit_code() {
    let scene = scene().await;
    let well = scene.run(&["status"]);
    assert_eq!(well.exit, 0, "{well:?}");
    for line in [
        "seal:        unsealed",
        "plugins:     gitea 0.1.0 running",
        "links:       1 bound",
    ] {
        assert!(well.out.contains(line), "{}", well.out);
    }
    scene.bindery.set_sealed(true);
    let sealed = scene.run(&["status"]);
    assert_eq!(sealed.exit, 6, "{sealed:?}");
    assert!(sealed.words.contains("unseal"), "{}", sealed.words);
}

/// The doctor tells every check with what to do, as text and as JSON; a weakness is no failure, a broken promise is one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_fails_where_a_promise_is_broken() {
    let scene = scene().await;
    let check = |id: &str, outcome: Outcome, action: &str| Check {
        id: id.to_owned(),
        outcome: outcome.into(),
        message: "found".to_owned(),
        action: action.to_owned(),
    };
    scene
        .bindery
        .add_check(check("process.user", Outcome::Ok, ""));
    scene.bindery.add_check(check(
        "clock.synchronised",
        Outcome::Warning,
        "run a time service",
    ));
    let weak = scene.run(&["doctor"]);
    assert_eq!(weak.exit, 0, "{weak:?}");
    for text in ["process.user", "warning", "run a time service"] {
        assert!(weak.out.contains(text), "{}", weak.out);
    }
    scene
        .bindery
        .add_check(check("state.folder", Outcome::Failed, "make it 0700"));
    let broken = scene.run(&["doctor", "-o", "json"]);
    assert_eq!(broken.exit, 1, "{broken:?}");
    let told: serde_json::Value = serde_json::from_str(&broken.out).unwrap();
    assert_eq!(told[2]["id"], "state.folder");
    assert_eq!(told[2]["outcome"], "OUTCOME_FAILED");
    assert_eq!(told[2]["action"], "make it 0700");
}

/// A reader that goes away is no error.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_pipe_is_no_error() {
    use std::process::Stdio;
    let scene = scene().await;
    let mut command = scene.command(&["completions", "bash"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(ended.stderr).unwrap(), "");
    assert!(ended.status.success());
}
