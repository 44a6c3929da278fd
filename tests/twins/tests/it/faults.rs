//! What goes wrong on purpose.

use bindery_twins::{
    Exchange, Twin,
    http::Request,
    knobs::{Fault, ReplicaLag},
};

use crate::scene::{HOUR, Pair, START, Scene};

/// A reply that is lost leaves the rotation done: the old refresh token is dead, and nobody has the new one.
#[test]
fn a_reply_is_lost_after_the_rotation() {
    let mut scene = Scene::new();
    let pair = scene.link(START);
    scene
        .twin
        .state_mut()
        .knobs
        .fail_next("/root/oauth/token", Fault::CommitThenClose);
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", pair.refresh.as_str()),
    ];
    let request = scene.by_client("/root/oauth/token", &fields);
    let lost = scene.twin.exchange(&request, START);
    assert!(matches!(lost, Exchange::Closed { done: true }));
    assert_eq!(scene.twin.state().oauth.refreshes(), 1);
    assert_eq!(scene.refresh(&pair.refresh, START).status, 400);
}

/// A connection that closes before the work leaves everything as it was.
#[test]
fn a_request_is_lost() {
    let mut scene = Scene::new();
    let pair = scene.link(START);
    scene
        .twin
        .state_mut()
        .knobs
        .fail_next("/root/oauth/token", Fault::Close);
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", pair.refresh.as_str()),
    ];
    let request = scene.by_client("/root/oauth/token", &fields);
    let lost = scene.twin.exchange(&request, START);
    assert!(matches!(lost, Exchange::Closed { done: false }));
    assert_eq!(scene.refresh(&pair.refresh, START).status, 200);
}

/// A new token is refused until every replica knows it, by calls and by time.
#[test]
fn trap_1_12_replicas_lag_after_a_refresh() {
    let mut scene = Scene::new();
    scene.twin.state_mut().knobs.replica_lag = ReplicaLag { calls: 2, ms: 0 };
    let pair = scene.link(START);
    assert!(
        scene.takes(&pair.access, START),
        "only refreshed tokens lag"
    );
    let second = Pair::of(&scene.refresh(&pair.refresh, START)).expect("renewed");
    let taken: Vec<_> = (0..3).map(|_| scene.takes(&second.access, START)).collect();
    assert_eq!(taken, [false, false, true]);
    scene.twin.state_mut().knobs.replica_lag = ReplicaLag { calls: 0, ms: 500 };
    let third = Pair::of(&scene.refresh(&second.refresh, START)).expect("renewed");
    assert!(!scene.takes(&third.access, START + 499));
    assert!(scene.takes(&third.access, START + 500));
}

/// An outage closes every connection, and ends.
#[test]
fn outages_end() {
    let mut scene = Scene::new();
    let pair = scene.link(START);
    scene.twin.state_mut().knobs.outage_until = Some(START + HOUR);
    let request = Request::new("GET", "/root/api/v4/user").bearer(&pair.access);
    let during = scene.twin.exchange(&request, START + HOUR - 1);
    assert!(matches!(during, Exchange::Closed { done: false }));
    assert!(scene.takes(&pair.access, START + HOUR));
}

/// The forge's clock is its own: its tokens end by it, and `Date` says it.
#[test]
fn the_clock_is_ahead() {
    let mut scene = Scene::new();
    let pair = scene.link(START);
    scene.twin.state_mut().knobs.clock_offset_ms = 7_200_000;
    let answer = scene.api(&pair.access, "/user", START);
    assert_eq!(answer.status, 401);
    let date = bindery_twins::time::http_date(START + 7_200_000);
    assert_eq!(answer.header("date"), Some(date.as_str()));
}

/// What is forbidden may be said not to be there.
#[test]
fn trap_2_not_found_instead_of_forbidden() {
    let mut scene = Scene::new();
    let pair = scene.link(START);
    let octo = scene.octo;
    scene.twin.state_mut().world.suspend(octo, true);
    assert_eq!(scene.api(&pair.access, "/user", START).status, 403);
    scene.twin.state_mut().knobs.hides_forbidden = true;
    assert_eq!(scene.api(&pair.access, "/user", START).status, 404);
}

/// Nothing that is secret is written down.
#[test]
fn the_log_has_names_only() {
    let mut scene = Scene::new();
    let pair = scene.link(START);
    scene.api(&pair.access, "/projects?search=hidden", START);
    let log = format!("{:?}", scene.twin.state().log);
    assert!(
        log.contains("search") && log.contains("authorization"),
        "{log}"
    );
    assert!(
        !log.contains("hidden") && !log.contains(&pair.access),
        "{log}"
    );
    assert!(!format!("{:?}", scene.twin).contains(&pair.access));
}
