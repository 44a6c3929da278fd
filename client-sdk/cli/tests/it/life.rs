//! A link's life: other ways to make it, more rights, moves, what expires, and its end.

use std::time::{Duration, SystemTime};

use bindery_client::proto::v1::{
    Expiring, Finding, Principal, Severity, WhoMustAct, expiring::Kind,
};

use crate::support::Scene;

/// With a device flow the page and the code are printed, and the command waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_flow_prints_its_code() {
    let scene = Scene::furnished().await;
    let base = ["link", "create", "acme", "forge.example"];
    let run = scene.run(&[&base[..], &["--device", "--no-wait"]].concat());
    assert_eq!(run.exit, 0, "{}", run.words);
    assert!(
        run.words.contains("enter this code there: WDJB-MJHT"),
        "{}",
        run.words
    );
    assert!(
        run.out.starts_with("https://bindery.example/start/"),
        "{}",
        run.out
    );
}

/// Ways exclude each other, and a token is taken from a file, from `-`, and with its user name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ways_are_chosen() {
    let scene = Scene::furnished().await;
    let base = ["link", "create", "acme", "forge.example"];
    let token = [&base[..], &["--token-file", "-", "--username", "octo"]].concat();
    assert_eq!(scene.run_with_input(&token, "s3cret\n").exit, 0);
    let installed = scene.run(&[&base[..], &["--app-installation", "42"]].concat());
    assert_eq!(installed.exit, 0, "{}", installed.words);
    assert!(installed.out.starts_with("bound: "), "{}", installed.out);
    let two = scene.run(&[&base[..], &["--device", "--app"]].concat());
    assert_eq!(two.exit, 2);
}

/// A registry with a page of its own starts the link, hands in what comes back, and confirms without a code.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_ones_own_completes_a_link() {
    let scene = Scene::furnished().await;
    let base = [
        "link",
        "create",
        "acme",
        "forge.example",
        "--headless",
        "harbor",
    ];
    let started = scene.run(&base);
    assert_eq!(started.exit, 0, "{}", started.words);
    assert!(
        started.words.contains("bindery link complete"),
        "{}",
        started.words
    );
    let id = started
        .out
        .trim_end()
        .rsplit('/')
        .next()
        .unwrap()
        .to_owned();
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    std::fs::write(&state, "state\n").unwrap();
    let link = format!("acme/{id}");
    let complete = [
        "link",
        "complete",
        &link,
        "--code-file",
        "-",
        "--state-file",
    ];
    let state = [state.to_str().unwrap()];
    let completed = scene.run_with_input(&[&complete[..], &state].concat(), "code\n");
    assert_eq!(completed.exit, 0, "{}", completed.words);
    assert!(
        completed.out.contains("pending confirmation"),
        "{}",
        completed.out
    );
}

/// At the confirmation the person's choice of namespace moves the link; its id stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_confirmed_link_goes_where_the_person_chose() {
    let scene = Scene::furnished().await;
    scene.bindery.add_namespace("team");
    let base = [
        "link",
        "create",
        "acme",
        "forge.example",
        "--no-wait",
        "-o",
        "name",
    ];
    let name = scene.run(&base).out.trim_end().to_owned();
    scene.bindery.consent(&name, "octo");
    let confirm = [
        "link",
        "confirm",
        &name,
        "--namespace",
        "team",
        "-o",
        "name",
    ];
    let confirmed = scene.run_with_input(&confirm, "code\n");
    assert_eq!(confirmed.exit, 0, "{}", confirmed.words);
    let id = name.rsplit('/').next().unwrap();
    let moved = scene.run(&["link", "get", &format!("team/{id}")]);
    assert_eq!(moved.exit, 0, "{}", moved.words);
}

/// More permissions are asked for besides those that the link has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn permissions_are_added() {
    let scene = Scene::furnished().await;
    let base = ["link", "reauthorize", &scene.link, "--no-wait"];
    let more = scene.run(&[&base[..], &["--add-permission", "webhooks"]].concat());
    assert_eq!(more.exit, 0, "{}", more.words);
    let shown = scene.run(&["link", "get", &scene.link]);
    assert!(shown.out.contains("webhooks"), "{}", shown.out);
}

/// A link's name and labels change, and a label with an empty value is taken away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_are_labelled() {
    let scene = Scene::furnished().await;
    let base = ["link", "update", &scene.link, "-o", "json"];
    let set = scene.run(&[&base[..], &["--label", "team=build"]].concat());
    assert!(set.out.contains("\"team\": \"build\""), "{}", set.out);
    let gone = scene.run(&[&base[..], &["--label", "team="]].concat());
    assert!(!gone.out.contains("\"team\""), "{}", gone.out);
    assert_eq!(scene.run(&base).exit, 2, "nothing to change");
}

/// A link shows who wanted what, since when it is so, until when somebody must act, and what the last check found.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_tells_who_when_and_what() {
    let scene = Scene::furnished().await;
    let from_now =
        |hours: u64| Some((SystemTime::now() + Duration::from_secs(hours * 3600)).into());
    scene.bindery.change_link(&scene.link, |link| {
        let desired = link.desired.get_or_insert_default();
        desired.actor = Some(Principal {
            id: "uid:1000".to_owned(),
        });
        desired.set_time = Some((SystemTime::now() - Duration::from_secs(7200)).into());
        let observed = link.observed.get_or_insert_default();
        observed.since_time = Some((SystemTime::now() - Duration::from_secs(10_800)).into());
        observed.until_time = from_now(5);
        observed.who_must_act = WhoMustAct::OrganizationOwner.into();
        link.findings = vec![Finding {
            severity: Severity::Error.into(),
            reason: "ORGANIZATION_LOST".to_owned(),
            message: "acme is not reached any more".to_owned(),
            who_must_act: WhoMustAct::OrganizationOwner.into(),
            until_time: from_now(4),
            ..Finding::default()
        }];
    });
    let shown = scene.run(&["link", "get", &scene.link]);
    for line in [
        "who must act: organization owner\n",
        "until:        in 5 h\n",
        "since:        3 h ago\n",
        "wanted by:    uid:1000\n",
        "wanted since: 2 h ago\n",
        "\n\nSEVERITY  REASON             WHO MUST ACT        UNTIL   MESSAGE\n\
         error     ORGANIZATION_LOST  organization owner  in 4 h  acme is not reached any more\n",
    ] {
        assert!(shown.out.contains(line), "{line:?} is not in {}", shown.out);
    }
}

/// What expires is a table with who must act and where.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_expires_is_listed() {
    let scene = Scene::furnished().await;
    scene.bindery.add_expiring(Expiring {
        kind: Kind::ClientSecret.into(),
        resource: "hosts/forge.example".to_owned(),
        message: "the client secret ends; make another".to_owned(),
        who_must_act: WhoMustAct::HostOperator.into(),
        ..Expiring::default()
    });
    let run = scene.run(&["link", "expiring", "--within", "14d"]);
    for text in [
        "client secret",
        "hosts/forge.example",
        "host operator",
        "make another",
    ] {
        assert!(run.out.contains(text), "{text}: {}", run.out);
    }
    assert_eq!(scene.run(&["link", "expiring", "--within", "soon"]).exit, 2);
}

/// Leases are listed and given back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_are_given_back() {
    let scene = Scene::furnished().await;
    let fetch = [
        "credential",
        "read",
        &scene.link,
        "acme/api",
        "--min-remaining",
        "30m",
    ];
    let lease = scene.run(&[&fetch[..], &["-o", "name"]].concat());
    let lease = lease.out.trim_end();
    let listed = scene.run(&["lease", "list", "acme", "-o", "name"]);
    assert_eq!(listed.out.trim_end(), lease);
    let revoked = scene.run(&["lease", "revoke", lease]);
    assert_eq!(revoked.exit, 0, "{}", revoked.words);
    assert_eq!(scene.run(&["lease", "list", "acme", "-o", "name"]).out, "");
    assert_eq!(
        scene
            .run(&["lease", "list", "acme", "--all", "-o", "name"])
            .out
            .trim_end(),
        lease
    );
}

/// A grant that other links share is left to them, if that is said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_grant_is_left_to_the_links_that_share_it() {
    let scene = Scene::furnished().await;
    scene.bindery.share_grants();
    let other = scene
        .bindery
        .add_bound_link("acme", "forge.example", "octo");
    let both = ["--keep-shared-grant", "--accept-shared-grant"];
    let refused = scene.run(&["link", "unlink", &scene.link, both[0], both[1]]);
    assert_eq!(refused.exit, 2, "{}", refused.words);
    let done = scene.run(&["link", "unlink", &scene.link, both[0]]);
    assert_eq!(done.exit, 0, "{}", done.words);
    assert!(!done.words.contains(&other), "{}", done.words);
    let ended = scene.run(&["link", "get", &scene.link]);
    assert!(ended.out.contains("unlinked"), "{}", ended.out);
    let kept = scene.run(&["link", "get", &other]);
    assert!(kept.out.contains("bound"), "{}", kept.out);
}

/// "Every token of this identity dies with the grant" is said before it is done, with the links that end as well; nothing
/// is done before somebody accepts it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shared_grant_is_said_before_it_ends() {
    let scene = Scene::furnished().await;
    scene.bindery.share_grants();
    let other = scene
        .bindery
        .add_bound_link("acme", "forge.example", "octo");
    let held = scene.run(&["link", "unlink", &scene.link]);
    assert_eq!(held.exit, 5, "{}", held.words);
    assert!(
        held.words.contains("dies with the grant") && held.words.contains(&other),
        "{}",
        held.words
    );
    assert!(
        scene
            .run(&["link", "get", &scene.link])
            .out
            .contains("bound")
    );
    let preview = scene.run(&["link", "unlink", &scene.link, "--dry-run"]);
    assert!(
        preview.out.contains("nothing was done") && preview.out.contains(&other),
        "{}",
        preview.out
    );
    let done = scene.run(&[
        "link",
        "unlink",
        &scene.link,
        "--accept-shared-grant",
        "--force",
    ]);
    assert_eq!(done.exit, 0, "{}", done.words);
    assert!(
        scene
            .run(&["link", "get", &scene.link])
            .out
            .contains("unlinked")
    );
}
