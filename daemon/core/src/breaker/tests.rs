//! When a host rests, and for how long.

use proptest::prelude::*;

use super::*;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_ms(seconds * 1000)
}

fn broken() -> Breaker {
    let mut breaker = Breaker::default();
    for _ in 0..FAILURES {
        assert!(breaker.admit(at(0)).is_ok());
        breaker.failed(None, 0, at(0));
    }
    breaker
}

/// R7: after failures in a row nothing is sent, and then one call goes first.
#[test]
fn r7_one_probe_after_a_rest() {
    let mut breaker = broken();
    assert_eq!(breaker.admit(at(29)), Err(at(30)));
    assert!(breaker.admit(at(30)).is_ok());
    assert!(breaker.admit(at(30)).is_err());
    breaker.answered();
    assert!(breaker.admit(at(30)).is_ok());
    assert!(breaker.admit(at(30)).is_ok());
}

/// R7: a probe that fails makes the next rest longer, and a probe that never ends does not block for ever.
#[test]
fn r7_a_failed_probe_rests_longer() {
    let mut breaker = broken();
    assert!(breaker.admit(at(30)).is_ok());
    breaker.failed(None, 0, at(30));
    assert_eq!(breaker.admit(at(89)), Err(at(90)));
    assert!(breaker.admit(at(90)).is_ok());
    assert_eq!(breaker.admit(at(91)), Err(at(150)));
    assert!(breaker.admit(at(150)).is_ok());
}

/// R7: a host that asks for a pause gets it, at once and for all links.
#[test]
fn r7_a_pause_is_kept() {
    let mut breaker = Breaker::default();
    breaker.limited(Duration::from_secs(120), at(0));
    assert_eq!(breaker.admit(at(119)), Err(at(120)));
    assert!(breaker.admit(at(120)).is_ok());
    breaker.failed(Some(Duration::from_secs(5)), 0, at(120));
    assert_eq!(breaker.admit(at(124)), Err(at(125)));
}

/// What comes of a call that was let through.
#[derive(Clone, Debug)]
enum Came {
    Answer,
    Failure(Option<u64>),
    Limit(u64),
    /// Nothing ever.
    Nothing,
}

fn came() -> impl Strategy<Value = Came> {
    prop_oneof![
        2 => Just(Came::Answer),
        5 => prop::option::weighted(0.3, 0u64..5000).prop_map(Came::Failure),
        2 => (0u64..5000).prop_map(Came::Limit),
        1 => Just(Came::Nothing),
    ]
}

proptest! {
    /// M6: whatever a host answers, it is never called before the time that it asked for, and nobody is told to wait longer
    /// than for that or for the longest rest.
    #[test]
    fn m6_a_host_is_never_called_too_early(
        calls in prop::collection::vec((0u64..400, came(), any::<u64>()), 1..200),
    ) {
        let mut breaker = Breaker::default();
        let (mut now, mut asked_until) = (0, 0);
        for (wait, came, random) in calls {
            now += wait;
            match breaker.admit(at(now)) {
                Err(until) => {
                    prop_assert!(until > at(now));
                    prop_assert!(until <= at(asked_until).max(at(now).after(REST.1)));
                    continue;
                }
                Ok(()) => prop_assert!(now >= asked_until, "{now} is before {asked_until}"),
            }
            let asked = match came {
                Came::Answer => {
                    breaker.answered();
                    None
                }
                Came::Failure(asked) => {
                    breaker.failed(asked.map(Duration::from_secs), random, at(now));
                    asked
                }
                Came::Limit(asked) => {
                    breaker.limited(Duration::from_secs(asked), at(now));
                    Some(asked)
                }
                Came::Nothing => None,
            };
            asked_until = asked_until.max(now + asked.unwrap_or(0));
        }
        // And it is not left alone for ever.
        prop_assert!(breaker.admit(at(now.max(asked_until) + REST.1.as_secs())).is_ok());
    }
}
