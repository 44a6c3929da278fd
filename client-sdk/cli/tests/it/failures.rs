//! Errors and exit codes.

use bindery_client::{Code, testing::Refusal};

use crate::support::{Scene, bare, finish};

/// An error is one sentence, its reason, and the page where a person acts; nothing goes to standard output.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_say_what_is_wrong_and_where_to_go() {
    let scene = Scene::furnished().await;
    let page = "https://forge.example/authorize";
    let refusal = || {
        let message = "the provider no longer accepts the grant; authorize the link again";
        Refusal::new(
            Code::FailedPrecondition,
            "LINK_NEEDS_REAUTHORIZATION",
            message,
        )
        .help(page)
    };
    scene.bindery.fail_next("GetLink", refusal());
    let run = scene.run(&["link", "get", "acme/link-1"]);
    assert_eq!((run.exit, run.out.as_str()), (7, ""));
    let expected = "error: the provider no longer accepts the grant; authorize the link again\n\
                    reason: LINK_NEEDS_REAUTHORIZATION\n\
                    see: https://forge.example/authorize\n";
    assert_eq!(run.words, expected);
    scene.bindery.fail_next("GetLink", refusal());
    let run = scene.run(&["link", "get", "acme/link-1", "-o", "json"]);
    let error: serde_json::Value = serde_json::from_str(&run.words).unwrap();
    assert_eq!(error["reason"], "LINK_NEEDS_REAUTHORIZATION");
    assert_eq!(
        (&error["url"], &error["exitCode"]),
        (&page.into(), &7.into())
    );
}

/// Each kind of failure has its exit code.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exit_codes_mean_something() {
    let scene = Scene::furnished().await;
    let codes = [
        (&["link", "get", "acme/none"][..], 3),
        (&["link", "get", "nonsense"], 2),
        (&["link", "nonsense"], 2),
        (&["host", "list", "-o", "env"], 2),
        (&["namespace", "add", "acme"], 5),
        (&["namespace", "remove", "acme"], 5),
        (&["host", "add", "x", "--provider", "gitea"], 2),
        (
            &[
                "link",
                "create",
                "acme",
                "forge.example",
                "--token-file",
                "/nowhere",
            ],
            78,
        ),
    ];
    for (arguments, exit) in codes {
        let run = scene.run(arguments);
        assert_eq!(run.exit, exit, "{arguments:?}: {}", run.words);
        assert!(run.words.contains("error: "), "{}", run.words);
    }
    let denied = Refusal::new(Code::PermissionDenied, "PERMISSION_DENIED", "you may not");
    scene.bindery.fail_next("ListHosts", denied);
    assert_eq!(scene.run(&["host", "list"]).exit, 4);
}

/// No daemon, and an endpoint that can't be used, are two things; both say what to do.
#[test]
fn a_missing_daemon_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = bare(&["host", "list"]);
    command.env(
        "BINDERY_ENDPOINT",
        format!("unix://{}/none.sock", folder.path().display()),
    );
    let run = finish(command, "");
    assert_eq!(run.exit, 6);
    assert!(
        run.words
            .contains("start binderyd, or set BINDERY_ENDPOINT"),
        "{}",
        run.words
    );
    for endpoint in ["http://bindery.example.org:7443", "https://localhost:7443"] {
        let run = finish(bare(&["host", "list", "--endpoint", endpoint]), "");
        assert_eq!(run.exit, 78, "{}", run.words);
    }
}
