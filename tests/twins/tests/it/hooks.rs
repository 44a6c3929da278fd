//! What is the same for hooks of all forges, without any forge

use bindery_twins::{
    hooks::{
        Alert, Delivery, Disabling, Hook, Hooks, Outcome, Outgoing, RefChange, Rules, Target, Why,
        sign,
    },
    world::{Ref, World},
};

use crate::scene::{COMMIT, START};

fn hooks(rules: Rules) -> Hooks {
    let mut hooks = Hooks::new(rules);
    hooks.plant(Hook::new(
        1,
        7,
        "https://bindery.example.com/hooks/a",
        START,
    ));
    hooks
}

fn delivery(body: &str) -> Delivery {
    let request = Outgoing::payload("https://bindery.example.com/hooks/a", false, body);
    let request = request.with([("X-Attempt-Number", "1")]);
    Delivery::first((1, 7), "push".to_owned(), "guid".to_owned(), request)
}

/// Sends what is due and answers all of it
pub(crate) fn answer(hooks: &mut Hooks, outcome: Outcome, now_ms: u64) -> Vec<Delivery> {
    let due = hooks.due(now_ms);
    for delivery in &due {
        let _again = hooks.settle(delivery.clone(), outcome, now_ms);
    }
    due
}

/// The published vectors of GitHub and Standard Webhooks come out.
#[test]
fn signatures_are_those_of_the_published_vectors() {
    let github = sign::sha256_hex("It's a Secret to Everybody", b"Hello, World!");
    assert_eq!(
        github,
        "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    );
    let standard = sign::standard(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1_614_265_330,
        br#"{"test": 2432232314}"#,
    );
    let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    assert_eq!(standard.as_deref(), Some(expected));
    assert_eq!(sign::standard("no prefix", "a", 1, b""), None);
    // A genuine one of gitee.com.
    assert_eq!(
        sign::gitee("bBg5lrt03VixkX85CNqYIcecC0SIGASE", 1_633_686_799_688),
        "OyjGt7PDU9xXl5khawx5APOUmODD+SaulKYnS/Nifew="
    );
}

/// A failed delivery comes again under the same name as often as the rules say, and a refused one does not.
#[test]
fn failures_are_tried_again_as_the_rules_say() {
    let mut hooks = hooks(Rules {
        attempts: 3,
        retry_ms: 60_000,
        ..Rules::default()
    });
    hooks.queue(delivery("{}"), START);
    let mut attempts = Vec::new();
    for minute in 0..5 {
        let now = START + minute * 60_000;
        let due = answer(&mut hooks, Outcome::Unreachable, now);
        attempts.extend(due.into_iter().map(|one| {
            let number = one.request.header("x-attempt-number").map(str::to_owned);
            (one.attempt, one.guid, number)
        }));
    }
    let expected: Vec<_> = (1..=3)
        .map(|number: u32| (number, "guid".to_owned(), Some(number.to_string())))
        .collect();
    assert_eq!(attempts, expected);
    hooks.queue(delivery("{}"), START);
    answer(&mut hooks, Outcome::Answered(404), START);
    assert_eq!(hooks.waiting(), (0, None));
}

/// A hook that fails rests longer and longer, and then for good; only a test that succeeds wakes it.
#[test]
fn hooks_that_fail_rest() {
    let mut hooks = hooks(Rules {
        disabling: Some(Disabling {
            after: 2,
            first_ms: 1_000,
            most_ms: 4_000,
            for_good_after: 6,
        }),
        ..Rules::default()
    });
    let mut now = START;
    let mut rests = Vec::new();
    for _ in 0..6 {
        hooks.queue(delivery("{}"), now);
        answer(&mut hooks, Outcome::Answered(400), now);
        let hook = hooks.get(1).expect("there");
        let until = hook.disabled_until.unwrap_or(now);
        rests.push((until - now, hooks.alert(hook, now)));
        now = until + 1;
    }
    use Alert::{Disabled, Executable, TemporarilyDisabled as Rests};
    let expected = [
        (0, Executable),
        (1_000, Rests),
        (2_000, Rests),
        (4_000, Rests),
        (4_000, Rests),
        (4_000, Disabled),
    ];
    assert_eq!(rests, expected);
    hooks.queue(delivery("{}"), now);
    assert_eq!(hooks.due(now).len(), 0);
    assert_eq!(
        hooks.dropped().last().map(|one| one.why),
        Some(Why::Disabled)
    );
    let mut test = delivery("{}");
    test.forced = true;
    hooks.queue(test, now);
    answer(&mut hooks, Outcome::Answered(200), now);
    let hook = hooks.get(1).expect("there");
    assert_eq!(hooks.alert(hook, now), Executable);
}

/// Too large bodies, and those that a test takes away, are never sent; those that fail on their way are noted.
#[test]
fn deliveries_are_lost_as_a_test_wants() {
    let mut hooks = hooks(Rules {
        payload_limit: 4,
        ..Rules::default()
    });
    hooks.queue(delivery("{\"a\": 1}"), START);
    hooks.drop_next(1);
    hooks.queue(delivery("{}"), START);
    hooks.fail_next(1);
    hooks.queue(delivery("{}"), START);
    hooks.queue(delivery("[]"), START);
    let due = hooks.due(START);
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].request.body, b"[]");
    let why: Vec<_> = hooks.dropped().iter().map(|one| one.why).collect();
    assert_eq!(why, [Why::TooLarge, Why::Test]);
    assert_eq!(hooks.sent().len(), 1);
    assert_eq!(hooks.sent()[0].outcome, Outcome::Unreachable);
}

/// Two lists of branches and tags differ by what is new, what moved and what is gone.
#[test]
fn lists_of_refs_are_compared() {
    let of = |name: &str, commit: &str, tag: Option<&str>| Ref {
        name: name.to_owned(),
        commit: commit.to_owned(),
        tag_object: tag.map(str::to_owned),
    };
    let old = [
        of("refs/heads/main", "1", None),
        of("refs/tags/a", "1", None),
    ];
    let new = [
        of("refs/heads/main", "2", None),
        of("refs/tags/b", "1", Some("t")),
    ];
    let expected = [
        RefChange::updated("refs/heads/main", "1", "2"),
        RefChange::created("refs/tags/b", Target::tag("t", "1")),
        RefChange::deleted("refs/tags/a", Target::commit("1")),
    ];
    assert_eq!(World::difference(&old, &new), expected);
    assert_eq!(World::difference(&new, &new), []);
    assert_eq!(expected[1].after(), "t");
    assert_eq!(expected[1].short(), "b");
    assert_ne!(expected[0].after(), COMMIT);
}
