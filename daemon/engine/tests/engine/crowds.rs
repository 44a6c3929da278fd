//! Attacks by number: forged callbacks, ways back, flows without end.

use std::process::Command;

use bindery_core::{link::Stage, problem::Reason};
use bindery_engine::links::{Method, NewLink};
use bindery_replay::figure;

use crate::support::{World, oauth_link, query, umbrella};

/// O2: of 10,000 forged callbacks, each a changed state, another browser's or nobody's, none is exchanged; nor is a state that
/// is used again a thousand times. The right one passes between them.
#[tokio::test]
async fn o2_ten_thousand_forged_callbacks_exchange_nothing() {
    let world = World::new().await;
    let (link, flow) = world.flow().await;
    let url = world.engine.leave_for_forge(&flow, "cookie").await;
    let state = query(&url.expect("URL"), "state");
    for number in 0..10_000 {
        let forged = changed(&state, number);
        let other = format!("cookie{number}");
        let (state, cookie) = match number % 4 {
            0 => (&state, Some(other.as_str())),
            1 => (&state, None),
            _ => (&forged, Some("cookie")),
        };
        let returned = world.returned(state, cookie).await;
        let refused = world.engine.callback(returned).await;
        assert!(refused.is_err(), "{state} {cookie:?}");
    }
    assert_eq!(world.token_calls(), 0);
    let stage = world.read(&link).await.observed.stage;
    assert_eq!(stage, Stage::PendingAuthorization);

    let right = world.returned(&state, Some("cookie")).await;
    world.engine.callback(right).await.expect("the right one");
    for _ in 0..1000 {
        let again = world.returned(&state, Some("cookie")).await;
        let refused = world.engine.callback(again).await.expect_err("used");
        assert_eq!(refused.reason, Reason::FlowExpired);
    }
    assert_eq!(world.token_calls(), 1);
}

/// The state with one character exchanged for another one that a state can have.
fn changed(state: &str, number: usize) -> String {
    let mut bytes = state.as_bytes().to_vec();
    let at = number % bytes.len();
    let letters = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    let other = letters.iter().cycle().skip(number / bytes.len());
    let other = other.copied().find(|letter| *letter != bytes[at]);
    bytes[at] = other.expect("there are others");
    String::from_utf8(bytes).expect("ASCII")
}

/// What ways back are made of that lead elsewhere. The third and the fourth together are a registered one.
const PARTS: [&str; 24] = [
    "",
    "harbor",
    "har",
    "bor",
    "HARBOR",
    "https://",
    "https:",
    "//",
    "/",
    "\\",
    "%2f",
    "%00",
    "\0",
    " ",
    "\r\n",
    "#",
    "?",
    "@",
    "..",
    ".",
    "evil.example",
    "harbor.example/sources",
    "javascript:",
    "\u{200b}",
];

/// A text out of up to three parts, another one for each number until all are through.
fn way_back(number: usize) -> String {
    let (count, mut rest) = (PARTS.len(), number);
    let mut part = || {
        let part = PARTS[rest % count];
        rest /= count;
        part
    };
    [part(), part(), part(), part(), part()].concat()
}

/// O5: whoever asks for a link says by a registered id where the person goes afterwards, or is refused: none of a million
/// other texts is taken (`BINDERY_FIGURES=full`; a share of them without).
#[tokio::test]
async fn o5_no_text_but_a_registered_id_is_a_way_back() {
    let world = World::new().await;
    let (texts, mut taken) = (figure(5_000, 1_000_000), 0);
    for number in 0..texts {
        let text = way_back(number);
        let method = match number % 2 {
            0 => Method::OAuthCode {
                return_to: Some(text.clone()),
            },
            _ => Method::Headless {
                return_to: text.clone(),
            },
        };
        let new = NewLink {
            method,
            validate_only: true,
            ..oauth_link()
        };
        let made = world.engine.create_link(new, None).await;
        assert_eq!(made.is_ok(), text == "harbor", "{text:?}");
        taken += usize::from(made.is_ok());
    }
    println!(
        "figure: O5: {texts} texts as a way back, {taken} taken, each the id of a registered address"
    );
    assert!(taken > 0, "not even the registered one is taken");
}

/// Says to a child that it is one.
const ALONE: &str = "BINDERY_TEST_ALONE";

/// How much memory a flood of refused flows may take (THREATS O9), in KiB.
const GROWTH: usize = 8 << 10;

/// O9: who has five flows with a person under way, and asks for another one 100,000 times (`BINDERY_FIGURES=full`; a share of
/// them without), is refused each time and takes no memory; others link meanwhile.
#[tokio::test]
async fn o9_refused_flows_take_no_memory() {
    if std::env::var_os(ALONE).is_none() {
        return alone("crowds::o9_refused_flows_take_no_memory");
    }
    let world = World::new().await;
    for _ in 0..5 {
        let (_, flow) = world.flow().await;
        let left = world.engine.leave_for_forge(&flow, "cookie").await;
        left.expect("at the forge");
    }
    flood(&world, 500).await;
    let before = resident();
    let asked = figure(3_000, 100_000);
    let others = flood(&world, asked).await;
    let grown = resident().saturating_sub(before);
    println!(
        "figure: O9: {asked} flows refused, {grown} KiB more in memory, {others} of {others} flows of others opened"
    );
    assert!(grown < GROWTH, "{grown} KiB more");
}

/// So many flows are asked for and refused. Between them somebody else opens and ends some; how many.
async fn flood(world: &World, asked: usize) -> usize {
    let mut others = 0;
    for number in 0..asked {
        let refused = world.engine.create_link(oauth_link(), None).await;
        let refused = refused.expect_err("too many").reason;
        assert_eq!(refused, Reason::TooManyFlows);
        if number % 500 == 0 {
            let other = NewLink {
                namespace: umbrella(),
                principal: "uid:1001".to_owned(),
                ..oauth_link()
            };
            let made = world.engine.create_link(other, None).await;
            let link = made.expect("somebody else").link.record.id;
            let ended = world
                .engine
                .cancel_link(&umbrella(), &link, None, None)
                .await;
            ended.expect("ended");
            others += 1;
        }
    }
    others
}

/// Runs one test of this program in a process of its own, where no other test takes memory.
fn alone(test: &str) {
    let program = std::env::current_exe().expect("this program");
    let mut child = Command::new(program);
    child.args(["--exact", test, "--nocapture"]).env(ALONE, "1");
    let output = child.output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for line in text.lines().filter(|line| line.starts_with("figure:")) {
        println!("{line}");
    }
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{said}");
    assert!(text.contains("1 passed"), "{text}");
}

/// KiB of this process in memory.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.expect("a number").parse().expect("a number")
}
