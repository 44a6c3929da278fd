//! Hosts are set up with all that they need, and secrets come from files and standard input only.

use crate::support::Scene;

/// A file with a text, in a folder of the test.
fn file(folder: &tempfile::TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Every setting has an option, what was set is shown, and no secret is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_setting_has_an_option() {
    let scene = Scene::furnished().await;
    let folder = tempfile::tempdir().unwrap();
    let secret = file(&folder, "secret", "BNDRYCANARY-client\n");
    let key = file(&folder, "key", "BNDRYCANARY-app-key\n");
    let certificate = file(&folder, "certificate", "a chain\n");
    let run = scene.run_with_input(
        &[
            "host",
            "add",
            "git.corp",
            "--provider",
            "gitea",
            "--web-url",
            "https://git.corp.example",
            "--git-url",
            "https://code.corp.example",
            "--internal-api-url",
            "https://inside.corp.example/api",
            "--client-id",
            "bindery",
            "--client-secret-file",
            &secret,
            "--app-id",
            "77",
            "--app-key-file",
            &key,
            "--client-cert-file",
            &certificate,
            "--client-key-file",
            "-",
            "--proxy",
            "http://proxy.corp.example:3128",
            "--proxy-username",
            "daemon",
            "--proxy-password-file",
            &secret,
            "--allow-method",
            "oauth,app",
            "--requests-per-hour",
            "4000",
            "--requests-at-once",
            "4",
            "--no-probe",
            "-o",
            "json",
        ],
        "BNDRYCANARY-client-key\n",
    );
    assert_eq!(run.exit, 0, "{}", run.words);
    let host: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(host["publicUrls"]["git"], "https://code.corp.example");
    assert_eq!(
        host["internalUrls"]["api"],
        "https://inside.corp.example/api"
    );
    assert_eq!(host["app"]["appId"], "77");
    assert_eq!(host["proxy"]["username"], "daemon");
    assert_eq!(host["rateBudget"]["requestsPerHour"], 4000);
    assert_eq!(
        host["allowedMethods"][1],
        "AUTH_METHOD_KIND_APP_INSTALLATION"
    );
    assert!(!run.out.contains("BNDRYCANARY") && !run.words.contains("BNDRYCANARY"));
    let shown = scene.run(&["host", "get", "git.corp"]);
    for text in [
        "4000 an hour, 4 at once",
        "oauth code, app installation",
        "77",
    ] {
        assert!(shown.out.contains(text), "{text}: {}", shown.out);
    }
}

/// A client secret is exchanged in two steps, and is never an argument.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_secrets_are_exchanged() {
    let scene = Scene::furnished().await;
    let base = ["host", "update", "forge.example"];
    let add = [
        &base[..],
        &["--client-id", "bindery", "--add-client-secret-file", "-"],
    ]
    .concat();
    let added = scene.run_with_input(&add, "s3cret\n");
    assert_eq!(added.exit, 0, "{}", added.words);
    assert!(added.out.contains("0000000000000006"), "{}", added.out);
    let remove = [&base[..], &["--remove-client-secret", "0000000000000006"]].concat();
    let removed = scene.run(&remove);
    assert_eq!(removed.exit, 0, "{}", removed.words);
    assert!(!removed.out.contains("0000000000000006"), "{}", removed.out);
    assert_eq!(scene.run(&remove).exit, 2, "it is gone already");
    assert_eq!(scene.run(&base).exit, 2, "nothing to change");
}

/// Settings are tried before there is a host.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_are_tried_first() {
    let scene = Scene::furnished().await;
    let base = ["host", "add", "new.example", "--provider", "gitea"];
    let url = ["--web-url", "https://new.example", "--dry-run"];
    let tried = scene.run(&[&base[..], &url].concat());
    assert_eq!(tried.exit, 0, "{}", tried.words);
    assert!(tried.out.contains("it works"), "{}", tried.out);
    assert_eq!(scene.run(&["host", "get", "new.example"]).exit, 3);
}

/// The table of providers has what a person chooses by: platform, versions, methods and limits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn providers_are_a_table() {
    let scene = Scene::furnished().await;
    let run = scene.run(&["provider", "list"]);
    let mut lines = run.out.lines();
    let header = lines.next().unwrap();
    for column in [
        "PROVIDER",
        "PLATFORM",
        "VERSIONS",
        "METHODS",
        "TRIGGER LIMITS",
        "STATE",
    ] {
        assert!(header.contains(column), "{header}");
    }
    let row = lines.next().unwrap();
    for cell in ["gitea", "Gitea", "All", "Gitea OAuth", "None", "ready"] {
        assert!(row.contains(cell), "{row}");
    }
}
