//! The refresh rules under a virtual clock.

use proptest::prelude::*;

use super::*;
use crate::{problem::Reason, secret::Secret};

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_ms(seconds * 1000)
}

fn grant(expires: Option<u64>, refreshable: bool) -> Grant {
    Grant {
        access_token: Secret::new("a1".to_owned()),
        refresh_token: refreshable.then(|| Secret::new("r1".to_owned())),
        expires: expires.map(at),
        obtained: at(0),
        generation: 7,
    }
}

fn intent() -> Intent {
    Intent::new(
        NamespaceName::parse("acme").expect("name"),
        LinkId::parse("l").expect("name"),
        7,
        at(1000),
    )
}

fn refused() -> TokenOutcome {
    TokenOutcome::Refused {
        error: "invalid_grant".to_owned(),
        dead: true,
    }
}

fn kept(verdict: Verdict) -> Intent {
    match verdict {
        Verdict::Keep(intent, _) => intent,
        other => panic!("expected Keep, got {other:?}"),
    }
}

/// A token is refreshed exactly when the caller would get less than it wants.
#[test]
fn plan_follows_what_is_left() {
    let minute = Duration::from_secs(60);
    let hour = Duration::from_secs(3600);
    for (expires, refreshable, wanted, expected) in [
        (None, false, hour, Plan::UseCurrent),
        (Some(1061), true, Duration::ZERO, Plan::UseCurrent),
        (Some(1059), true, Duration::ZERO, Plan::Send),
        (Some(2000), true, hour, Plan::Send),
        (Some(900), true, minute, Plan::Send),
        (Some(1030), false, minute, Plan::UseCurrent),
        (Some(900), false, minute, Plan::Dead(Cause::TokenExpired)),
    ] {
        assert_eq!(
            plan(
                &grant(expires, refreshable),
                refreshable,
                None,
                wanted,
                at(1000)
            ),
            expected
        );
    }
}

/// R8: a token that was obtained after now, since the clock was set back, is renewed whatever seems to be left of it; a minute
/// is no such jump, and where nothing can be had, or not yet, it is used.
#[test]
fn r8_a_clock_that_was_set_back_is_not_believed() {
    let from = |obtained| Grant {
        obtained: at(obtained),
        ..grant(Some(obtained + 7200), true)
    };
    let ask = |grant: &Grant, renewable, intent: Option<&Intent>| {
        plan(grant, renewable, intent, Duration::ZERO, at(1000))
    };
    assert_eq!(ask(&from(1061), true, None), Plan::Send);
    assert_eq!(ask(&from(1060), true, None), Plan::UseCurrent);
    assert_eq!(ask(&from(1061), false, None), Plan::UseCurrent);
    let not_before = at(1005);
    let intent = Intent {
        not_before,
        ..intent()
    };
    let waits = ask(&from(1061), true, Some(&intent));
    assert_eq!(waits, Plan::UseShort { not_before });
    let restored = Intent {
        restored: true,
        ..intent
    };
    assert_eq!(ask(&from(1061), true, Some(&restored)), Plan::UseCurrent);
}

/// R6: a token is replaced between 70 and 85 % of its life, spread over all of that; the end of an idle refresh token counts
/// as well, also where the access token has none.
#[test]
fn r6_tokens_are_replaced_before_they_end() {
    let all: Vec<_> = (0..1000)
        .map(|random| due(at(0), Some(at(1000)), Some(at(90_000)), random))
        .map(|when| when.expect("ends").unix_seconds())
        .collect();
    assert_eq!(
        (all.iter().min(), all.iter().max()),
        (Some(&700), Some(&850))
    );
    assert_eq!(due(at(0), None, Some(at(1000)), 0), Some(at(700)));
    assert_eq!(due(at(0), Some(at(9000)), Some(at(1000)), 0), Some(at(700)));
    assert_eq!(due(at(0), None, None, 0), None);
    assert_eq!(due(at(10), Some(at(5)), None, 7), Some(at(10)));
}

/// R7: nothing is sent before the journal allows it, and a token that is still good is used meanwhile.
#[test]
fn r7_waits_are_kept() {
    let waiting = Intent {
        not_before: at(1100),
        ..intent()
    };
    let short = plan(
        &grant(Some(1010), true),
        true,
        Some(&waiting),
        Duration::ZERO,
        at(1000),
    );
    assert_eq!(
        short,
        Plan::UseShort {
            not_before: at(1100)
        }
    );
    let none = plan(
        &grant(Some(1000), true),
        true,
        Some(&waiting),
        Duration::ZERO,
        at(1000),
    );
    assert_eq!(
        none,
        Plan::Wait {
            not_before: at(1100)
        }
    );
    let over = plan(
        &grant(Some(1000), true),
        true,
        Some(&waiting),
        Duration::ZERO,
        at(1100),
    );
    assert_eq!(over, Plan::Send);
}

/// R9: a reply without a refresh token keeps the old one, and the generation rises.
#[test]
fn r9_absent_refresh_token_keeps_the_old() {
    let tokens = Tokens {
        access_token: Secret::new("a2".to_owned()),
        refresh_token: None,
        expires_in: Some(Duration::from_secs(10)),
        scopes: None,
    };
    let Verdict::Store(new, _) = judge(
        &grant(Some(0), true),
        intent(),
        TokenOutcome::Granted(tokens),
        0,
        at(1000),
    ) else {
        panic!("expected Store");
    };
    assert_eq!(new.refresh_token.as_ref().map(Secret::expose), Some("r1"));
    assert_eq!((new.generation, new.expires), (8, Some(at(1010))));
}

/// R4: a lost answer is unknown, not invalid: one more try after five seconds, and only its refusal is the end.
#[test]
fn r4_lost_answer_is_unknown() {
    let problem = Problem::new(Reason::HostUnreachable, "no answer");
    let lost = kept(judge(
        &grant(Some(0), true),
        intent(),
        TokenOutcome::Lost(problem),
        0,
        at(1000),
    ));
    assert!(lost.lost);
    assert_eq!(lost.not_before, at(1005));
    let again = judge(&grant(Some(0), true), lost, refused(), 0, at(1005));
    assert!(matches!(again, Verdict::Dead(Cause::RotationLost)));
}

/// R2: a restart while a request was under way counts as a lost answer; without one it does not.
#[test]
fn r2_restart_makes_an_open_intent_unknown() {
    assert!(intent().recovered().lost);
    let idle = Intent {
        in_flight: false,
        ..intent()
    };
    assert!(!idle.recovered().lost);
}

/// R5: one refusal marks nothing dead; two of them need a minute between.
#[test]
fn r5_two_verdicts_a_minute_apart() {
    let first = kept(judge(
        &grant(Some(0), true),
        intent(),
        refused(),
        0,
        at(1000),
    ));
    assert_eq!(first.not_before, at(1060));
    let early = kept(judge(
        &grant(Some(0), true),
        first.clone(),
        refused(),
        0,
        at(1030),
    ));
    assert_eq!(early.suspect, Some(at(1000)));
    let second = judge(&grant(Some(0), true), first, refused(), 0, at(1060));
    assert!(matches!(second, Verdict::Dead(Cause::GrantRevoked)));
}

/// R7: a rate limit is no revocation, and `Retry-After` is the least wait whatever the jitter says.
#[test]
fn r7_rate_limit_is_kept_and_waited_for() {
    for random in [0, 1, u64::MAX] {
        let problem = Problem::new(Reason::ProviderRateLimited, "slow down")
            .retry(Some(Duration::from_secs(120)));
        let next = kept(judge(
            &grant(Some(0), true),
            intent(),
            TokenOutcome::NotNow(problem),
            random,
            at(1000),
        ));
        assert!(next.not_before >= at(1120));
        assert_eq!(next.suspect, None);
    }
}

/// R7: waits stay between one second and a quarter of an hour for any number of failures.
#[test]
fn r7_backoff_is_bounded() {
    for failures in [0, 1, 5, 16, 40, u32::MAX] {
        for random in [0, 12345, u64::MAX] {
            let wait = backoff(failures, random);
            assert!(
                wait >= BACKOFF.0 && wait <= BACKOFF.1,
                "{failures} {random} {wait:?}"
            );
        }
    }
}

/// A journal entry of an older generation does not hold back the next refresh.
#[test]
fn stale_intent_is_replaced() {
    let stale = Intent {
        generation: 6,
        lost: true,
        failures: 9,
        ..intent()
    };
    let next = next_attempt(
        &grant(Some(0), true),
        Some(stale),
        &intent().namespace,
        &intent().link,
        at(1),
    );
    assert!(!next.lost);
    assert_eq!((next.generation, next.failures), (7, 0));
}

/// What a provider answers that is no grant and no verdict. `None`: it refuses the client.
fn answer(limit: Option<Option<u64>>) -> TokenOutcome {
    let Some(asked) = limit else {
        return TokenOutcome::ClientRefused;
    };
    let problem = Problem::new(Reason::ProviderRateLimited, "later");
    TokenOutcome::NotNow(problem.retry(asked.map(Duration::from_secs)))
}

proptest! {
    /// M6: after any row of failures nothing is sent before the time that the provider asked for; no wait is longer than
    /// that, or than twice the longest so far, or than a quarter of an hour; and so the sum of all is bounded.
    #[test]
    fn m6_waits_are_kept_and_bounded(
        limits in prop::collection::vec(
            (prop::option::weighted(0.8, prop::option::of(0u64..5000)), any::<u64>()),
            1..40,
        ),
    ) {
        let (dead, mut now, mut journal) = (grant(Some(0), true), at(1000), None);
        let (mut most, mut ceiling) = (Duration::ZERO, BACKOFF.0);
        for (limit, random) in limits {
            let attempt = next_attempt(&dead, journal, &intent().namespace, &intent().link, now);
            let next = kept(judge(&dead, attempt, answer(limit), random, now));
            let asked = Duration::from_secs(limit.flatten().unwrap_or(0));
            prop_assert!(next.not_before >= now.after(asked.max(BACKOFF.0)));
            prop_assert!(next.not_before <= now.after(asked.max(ceiling)));
            let wait = Plan::Wait { not_before: next.not_before };
            let early = Timestamp::from_unix_ms(next.not_before.unix_ms() - 1);
            prop_assert_eq!(plan(&dead, true, Some(&next), Duration::ZERO, now), wait);
            prop_assert_eq!(plan(&dead, true, Some(&next), Duration::ZERO, early), wait);
            prop_assert_eq!(plan_newer(&dead, true, Some(&next), 7, early), wait);
            now = next.not_before;
            prop_assert_eq!(plan(&dead, true, Some(&next), Duration::ZERO, now), Plan::Send);
            most += asked.max(ceiling);
            ceiling = (ceiling * 2).min(BACKOFF.1);
            journal = Some(next);
        }
        prop_assert!(now.since(at(1000)) <= most);
    }
}
