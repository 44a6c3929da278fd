//! Following, listing and replaying events.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, ChildStdout, Stdio},
    time::SystemTime,
};

use bindery_client::{
    Code, Status,
    proto::v1::{Event, RepositoryChange, event::Change, repository_change::Kind},
    testing::Refusal,
};

use crate::support::Scene;

async fn scene(pushes: usize) -> (Scene, String) {
    let scene = Scene::furnished().await;
    let source = scene.bindery.add_source(&scene.link, "acme/api");
    for _ in 0..pushes {
        scene
            .bindery
            .push(&source, "refs/heads/main", "1f7a7a472abf3dd9643f");
    }
    (scene, source)
}

/// A watch that runs, and what it has printed.
struct Watch {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Watch {
    fn start(scene: &Scene, arguments: &[&str]) -> Self {
        let mut command = scene.command(&[&["events", "watch", "acme"], arguments].concat());
        command.stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line
    }

    /// Ends it as Ctrl-C does; its exit code, and what it said.
    fn interrupt(mut self) -> (Option<i32>, String) {
        let kill = std::process::Command::new("kill")
            .args(["-INT", &self.child.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
        let code = self.child.wait().unwrap().code();
        let mut words = String::new();
        let mut errors = self.child.stderr.take().unwrap();
        errors.read_to_string(&mut words).unwrap();
        (code, words)
    }
}

/// A line for each event, with when, where and what; and after Ctrl-C a good end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_prints_lines_and_ends_cleanly() {
    let (scene, source) = scene(1).await;
    let mut watch = Watch::start(&scene, &["--oldest"]);
    let line = watch.line();
    let words: Vec<_> = line.trim_end().split("  ").collect();
    assert_eq!(words[0], "1");
    assert!(words[1].ends_with('Z'), "{line}");
    assert_eq!(
        words[2..],
        ["acme/api", "push refs/heads/main 1f7a7a472abf", "trigger"]
    );
    scene.bindery.push(&source, "refs/heads/next", "2b");
    assert!(watch.line().contains("push refs/heads/next 2b"));
    assert_eq!(watch.interrupt(), (Some(0), String::new()));
}

/// JSON lines are the messages of the API, one on a line; names are names.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_has_formats() {
    let (scene, source) = scene(2).await;
    let watch = ["events", "watch", "acme", "--oldest", "--count", "2"];
    let json = scene.run(&[&watch[..], &["-o", "json"]].concat());
    assert_eq!((json.exit, json.words.as_str()), (0, ""));
    let events: Vec<serde_json::Value> = json
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(events.len(), 2);
    assert_eq!(events[1]["sequence"], "2");
    assert_eq!(events[1]["push"]["ref"], "refs/heads/main");
    assert_eq!(events[1]["source"], source);
    let names = scene.run(&[&watch[..], &["-o", "name"]].concat());
    assert_eq!(
        names.out,
        "namespaces/acme/events/1\nnamespaces/acme/events/2\n"
    );
}

/// A consumer goes on where it stopped: what was printed is acknowledged before the command ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_acknowledges() {
    let (scene, _) = scene(5).await;
    let watch = [
        "events",
        "watch",
        "acme",
        "--consumer",
        "builder",
        "-o",
        "name",
    ];
    let count = |more: &[&str]| scene.run(&[&watch[..], more].concat());
    let first = count(&["--oldest", "--count", "3", "--ack"]);
    assert_eq!(first.exit, 0, "{}", first.words);
    assert_eq!(scene.bindery.acknowledged("acme", "builder"), 3);
    let unheard = count(&["--count", "1"]);
    assert_eq!(unheard.out, "namespaces/acme/events/4\n");
    assert_eq!(scene.bindery.acknowledged("acme", "builder"), 3);
    let second = count(&["--count", "2", "--ack"]);
    assert_eq!(
        second.out,
        "namespaces/acme/events/4\nnamespaces/acme/events/5\n"
    );
    assert_eq!(scene.bindery.acknowledged("acme", "builder"), 5);
    let consumers = scene.run(&["events", "consumers", "acme"]);
    assert!(
        consumers.out.contains("acme/builder  5"),
        "{}",
        consumers.out
    );
    let mut running = Watch::start(
        &scene,
        &[
            "--consumer",
            "builder",
            "--after",
            "3",
            "--ack",
            "-o",
            "name",
        ],
    );
    assert_eq!(running.line(), "namespaces/acme/events/4\n");
    running.interrupt();
    assert_eq!(scene.run(&["events", "watch", "acme", "--ack"]).exit, 2);
    assert_eq!(scene.run(&["events", "forget", "acme/builder"]).exit, 0);
    assert_eq!(scene.run(&["events", "forget", "acme/builder"]).exit, 3);
}

/// A broken stream is said and connected again; nothing is missed or printed twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_survives_a_broken_stream() {
    let (scene, _) = scene(4).await;
    scene
        .bindery
        .end_watch_after(2, Status::unavailable("gone"));
    let watch = [
        "events", "watch", "acme", "--oldest", "--count", "4", "-o", "name",
    ];
    let run = scene.run(&watch);
    let names: Vec<_> = (1..=4)
        .map(|n| format!("namespaces/acme/events/{n}\n"))
        .collect();
    assert_eq!((run.exit, run.out), (0, names.concat()));
    assert_eq!(run.words, "note: gone; connecting again\n");
    scene
        .bindery
        .end_watch_after(2, Status::unavailable("gone"));
    let quiet = scene.run(&[&watch[..], &["-q"]].concat());
    assert_eq!((quiet.exit, quiet.words.as_str()), (0, ""));
}

/// What does not pass ends a watch with its exit code.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_ends_with_a_reason() {
    let (scene, _) = scene(3).await;
    for (code, reason, exit) in [
        (Code::Aborted, "CONSUMER_TAKEN_OVER", 5),
        (Code::PermissionDenied, "PERMISSION_DENIED", 4),
        (Code::InvalidArgument, "FILTER_INVALID", 2),
    ] {
        let refusal = Refusal::new(code, reason, "no");
        scene.bindery.end_watch_after(1, refusal);
        let run = scene.run(&["events", "watch", "acme", "--oldest", "-o", "name"]);
        assert_eq!((run.exit, run.out.lines().count()), (exit, 1), "{reason}");
        assert!(run.words.contains(reason), "{}", run.words);
    }
    assert_eq!(scene.run(&["events", "watch", "nobody"]).exit, 3);
    scene.bindery.forget_events("acme", 2);
    let old = scene.run(&["events", "watch", "acme", "--after", "1"]);
    assert!(old.words.contains("CURSOR_TOO_OLD"), "{}", old.words);
}

/// Events are listed in both directions, since a time, by filter, and not more than wanted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_listed_and_shown() {
    let (scene, _) = scene(3).await;
    let renamed = Event {
        change: Some(Change::RepositoryChanged(RepositoryChange {
            kind: Kind::Renamed.into(),
            before_full_name: "acme/old".to_owned(),
            after_full_name: "acme/new".to_owned(),
        })),
        payload: b"{\"signed\": true}".to_vec(),
        ..Event::default()
    };
    scene.bindery.publish("acme", renamed);
    let names = |more: &[&str]| {
        let list = ["events", "list", "acme", "-o", "name"];
        let run = scene.run(&[&list[..], more].concat());
        assert_eq!(run.exit, 0, "{}", run.words);
        run.out
            .replace("namespaces/acme/events/", "")
            .replace('\n', " ")
    };
    assert_eq!(names(&[]), "1 2 3 4 ");
    assert_eq!(names(&["--newest-first", "--limit", "2"]), "4 3 ");
    assert_eq!(names(&["--filter", "repository = \"acme/api\""]), "1 2 3 ");
    let table = scene.run(&["events", "list", "acme", "--newest-first", "--limit", "1"]);
    assert!(
        table
            .out
            .contains("repository renamed acme/old to acme/new"),
        "{}",
        table.out
    );
    let shown = scene.run(&["events", "show", "acme/1"]);
    assert!(
        shown.out.contains("learned by:    delivery"),
        "{}",
        shown.out
    );
    let payload = scene.run(&["events", "show", "acme/4", "--payload"]);
    assert_eq!(payload.out, "{\"signed\": true}");
    assert_eq!(scene.run(&["events", "show", "acme/9"]).exit, 3);
}

/// A start in time is the first event that came then, also for a consumer with a later place; where none
/// came, it is what comes next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_is_a_time() {
    let (scene, source) = scene(0).await;
    let old = Event {
        receive_time: Some(SystemTime::UNIX_EPOCH.into()),
        ..Event::default()
    };
    scene.bindery.publish("acme", old.clone());
    scene.bindery.publish("acme", old);
    for _ in 0..2 {
        scene.bindery.push(&source, "refs/heads/main", "1f7a");
    }
    let names = |more: &[&str]| scene.run(&[more, &["-o", "name"]].concat()).out;
    let list = ["events", "list", "acme"];
    let (third, fourth) = ("namespaces/acme/events/3\n", "namespaces/acme/events/4\n");
    let recent = names(&[&list[..], &["--since", "1h"]].concat());
    assert_eq!(recent, format!("{third}{fourth}"));
    let early = names(&[&list[..], &["--until", "1970-01-01T00:00:01Z"]].concat());
    assert_eq!(early.lines().count(), 2);
    let watch = [
        "events",
        "watch",
        "acme",
        "--consumer",
        "builder",
        "--count",
        "1",
    ];
    assert_eq!(
        names(&[&watch[..], &["--since", "1h", "--ack"]].concat()),
        third
    );
    assert_eq!(names(&[&watch[..], &["--ack"]].concat()), fourth);
    assert_eq!(names(&[&watch[..], &["--since", "1h"]].concat()), third);
    let mut later = Watch::start(&scene, &["--since", "2999-01-01T00:00:00Z", "-o", "name"]);
    while scene.bindery.calls("WatchEvents").len() < 4 {
        tokio::task::yield_now().await;
    }
    scene.bindery.push(&source, "refs/heads/main", "1f7a");
    assert_eq!(later.line(), "namespaces/acme/events/5\n");
    later.interrupt();
}

/// A replay says how much it sends again, and a dry run sends nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_replayed() {
    let (scene, _) = scene(5).await;
    let watch = [
        "events",
        "watch",
        "acme",
        "--consumer",
        "builder",
        "--ack",
        "-o",
        "name",
    ];
    let drain = scene.run(&[&watch[..], &["--oldest", "--count", "5"]].concat());
    assert_eq!(drain.exit, 0, "{}", drain.words);
    let replay = [
        "events",
        "replay",
        "acme",
        "--consumer",
        "builder",
        "--from",
        "3",
    ];
    let dry = scene.run(&[&replay[..], &["--dry-run"]].concat());
    assert_eq!(dry.out, "3 events would be sent again: 3 to 5\n");
    assert_eq!(scene.bindery.acknowledged("acme", "builder"), 5);
    assert_eq!(scene.json(&replay)["eventCount"], "3");
    let again = scene.run(&[&watch[..], &["--count", "1"]].concat());
    assert_eq!(again.out, "namespaces/acme/events/3\n");
    for wrong in [
        &["events", "replay", "acme", "--from", "1"][..],
        &["events", "replay", "acme", "--consumer", "builder"],
        &[
            "events",
            "replay",
            "acme",
            "--consumer",
            "builder",
            "--from",
            "1",
            "--missing",
        ],
    ] {
        assert_eq!(scene.run(wrong).exit, 2, "{wrong:?}");
    }
    let none = scene.run(&[
        "events",
        "replay",
        "acme",
        "--consumer",
        "nobody",
        "--since",
        "1h",
    ]);
    assert_eq!(none.exit, 3);
}
