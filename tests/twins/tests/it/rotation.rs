//! Rotation in four ways.

use bindery_twins::{
    Twin,
    oauth::{Refreshing, Reuse, Rotation, Shape},
};

use crate::scene::{HOUR, Pair, START, Scene};

fn under(rotation: Rotation, old_access_dies: bool) -> Scene {
    let mut scene = Scene::new();
    scene.twin.state_mut().oauth.rules.refreshing = Some(Refreshing {
        shape: Shape::opaque("", 64),
        idle_ms: None,
        rotation,
        old_access_dies,
    });
    scene
}

fn renewed(scene: &mut Scene, refresh: &str, now_ms: u64) -> Pair {
    Pair::of(&scene.refresh(refresh, now_ms)).expect("the refresh token is good")
}

/// GitLab: the old pair is dead at once, and a second use harms nobody.
#[test]
fn trap_1_1_without_grace() {
    let mut scene = Scene::new();
    let first = scene.link(START);
    let second = renewed(&mut scene, &first.refresh, START + HOUR);
    assert!(
        !scene.takes(&first.access, START + HOUR),
        "the old access token lives"
    );
    let again = scene.refresh(&first.refresh, START + HOUR);
    assert_eq!(
        (again.status, again.value()["error"].as_str()),
        (400, Some("invalid_grant"))
    );
    assert!(scene.takes(&second.access, START + HOUR));
    renewed(&mut scene, &second.refresh, START + HOUR);
}

/// The strict kind: a second use kills everything that came of the consent.
#[test]
fn trap_1_1_a_second_use_kills_the_family() {
    let reuse = Reuse::KillsFamily;
    let mut scene = under(Rotation::Always { reuse }, false);
    let first = scene.link(START);
    let second = renewed(&mut scene, &first.refresh, START + HOUR);
    assert!(scene.takes(&second.access, START + HOUR));
    assert_eq!(scene.refresh(&first.refresh, START + HOUR).status, 400);
    assert!(!scene.takes(&second.access, START + HOUR));
    assert_eq!(scene.refresh(&second.refresh, START + HOUR).status, 400);
}

/// Bitbucket Cloud's kind: the old one works on for a while after its first use, not after its last.
#[test]
fn trap_1_1_with_grace() {
    let reuse = Reuse::Grace { ms: 600_000 };
    let mut scene = under(Rotation::Always { reuse }, false);
    let first = scene.link(START);
    let used = START + HOUR;
    let second = renewed(&mut scene, &first.refresh, used);
    let third = renewed(&mut scene, &first.refresh, used + 599_999);
    assert_ne!(second.refresh, third.refresh);
    assert_eq!(scene.refresh(&first.refresh, used + 600_000).status, 400);
    renewed(&mut scene, &second.refresh, used + 600_000);
    renewed(&mut scene, &third.refresh, used + 600_000);
}

/// Gitea's default: the same one goes on, told again or not.
#[test]
fn trap_1_1_without_rotation() {
    for repeated in [true, false] {
        let mut scene = under(Rotation::Never { repeated }, false);
        let first = scene.link(START);
        for hour in 1..4 {
            let answer = scene.refresh(&first.refresh, START + hour * HOUR);
            assert_eq!(answer.status, 200);
            let told = answer.value()["refresh_token"].as_str().map(str::to_owned);
            assert_eq!(told, repeated.then(|| first.refresh.clone()));
        }
    }
}

/// A refresh token that nobody uses dies; each use gives it its whole time again.
#[test]
fn idle_refresh_tokens_die() {
    let mut scene = under(Rotation::Never { repeated: true }, false);
    let idle = 10 * HOUR;
    if let Some(rules) = &mut scene.twin.state_mut().oauth.rules.refreshing {
        rules.idle_ms = Some(idle);
    }
    let pair = scene.link(START);
    renewed(&mut scene, &pair.refresh, START + idle - 1);
    renewed(&mut scene, &pair.refresh, START + 2 * idle - 2);
    assert_eq!(
        scene.refresh(&pair.refresh, START + 3 * idle - 2).status,
        400
    );
}
