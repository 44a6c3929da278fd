//! R8: jumps of the daemon's clock, each by itself.

use std::time::Duration;

use bindery_simulation::{Jumped, after_jump};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// All links after a jump when their tokens have some age: at two times, or at twelve with `BINDERY_FIGURES=full`. 101 minutes
/// between them have no common part with a token's life.
fn at_all_ages(jump: i64) -> Vec<Jumped> {
    let full = std::env::var("BINDERY_FIGURES").is_ok_and(|text| text == "full");
    let times = if full { 0..12 } else { 1..3 };
    let times = times.map(|n| Duration::from_secs(60 * (45 + 101 * n)));
    times.flat_map(|until| after_jump(jump, until)).collect()
}

/// What holds of every jump: each link works at the end, one refresh at most is early and one late, and there is no storm.
fn told(what: &str, all: &[Jumped]) {
    let early: usize = all.iter().map(|link| link.early).sum();
    let late: Vec<_> = all.iter().flat_map(|link| &link.late).collect();
    let latest = late.iter().max().map_or(0, |late| late.as_secs() / 60);
    let dead = all.iter().map(|link| link.dead).max().unwrap_or_default();
    println!(
        "figure: R8: {what}, {} links: {early} refreshes early, {} late by up to {latest} minutes, tokens handed out up to {} \
         minutes after their end, 0 links lost",
        all.len(),
        late.len(),
        dead.as_secs() / 60,
    );
    for link in all {
        assert!(link.works, "{what}: {link:?}");
        assert!(link.storm <= 1, "a storm, {what}: {link:?}");
        assert!(link.early <= 1 && link.late.len() <= 1, "{what}: {link:?}");
    }
}

/// R8: while the clock is right nothing is early or late, and every token that is handed out is good.
#[test]
fn r8_a_clock_that_is_right_refreshes_in_time() {
    let all = at_all_ages(0);
    told("no jump", &all);
    for link in &all {
        assert!(link.early == 0 && link.late.is_empty(), "{link:?}");
        assert_eq!(link.dead, Duration::ZERO, "{link:?}");
    }
}

/// R8: a clock that is set forward by an hour or a day refreshes each link at most once too early, and nothing else happens.
#[test]
fn r8_forward_costs_one_early_refresh() {
    for (what, jump) in [("an hour forward", HOUR), ("a day forward", DAY)] {
        let all = at_all_ages(jump);
        told(what, &all);
        for link in &all {
            assert!(link.late.is_empty(), "{what}: {link:?}");
            assert_eq!(link.dead, Duration::ZERO, "{what}: {link:?}");
        }
    }
}

/// R8: a clock that is set back refreshes each link at most once too late, by no more than it was set back, or once early
/// where the token was younger than that. No token is handed out longer after its end than that less what is kept as a
/// reserve, and none at all where it was set back by more than the token's life.
#[test]
fn r8_back_costs_one_late_refresh() {
    for (what, back) in [
        ("10 minutes back", 10 * MINUTE),
        ("an hour back", HOUR),
        ("a day back", DAY),
    ] {
        let all = at_all_ages(-back);
        told(what, &all);
        let back = Duration::from_millis(back.unsigned_abs());
        for link in &all {
            assert!(
                link.late.iter().all(|late| *late <= back),
                "{what}: {link:?}"
            );
            let reserve = link.life * 15 / 100;
            let longest = match back >= link.life {
                true => Duration::ZERO,
                false => back.saturating_sub(reserve),
            };
            assert!(link.dead <= longest, "{what}: {link:?}");
        }
    }
}
