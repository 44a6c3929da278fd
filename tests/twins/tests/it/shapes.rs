//! Token shapes and token endpoints' answers.

use bindery_twins::{
    Twin,
    oauth::{Coding, Refusal, Refusals, Reply, Rotation, Shape},
};

use crate::scene::{Pair, START, Scene};

/// Tokens may be longer than 2,500 characters.
#[test]
fn trap_1_2_long_tokens() {
    let mut scene = Scene::new();
    scene.twin.state_mut().oauth.rules.access_shape = Shape::opaque("", 2_600);
    let pair = scene.link(START);
    assert!(pair.access.len() > 2_500);
    assert!(scene.takes(&pair.access, START));
}

/// Errors may come with status 200, and as a form unless JSON is asked for.
#[test]
fn trap_1_3_errors_with_status_200() {
    let mut scene = Scene::new();
    scene.twin.state_mut().oauth.rules.reply = Reply {
        errors_with_200: true,
        coding: Coding::FormByDefault,
        ..Reply::rfc()
    };
    let refused = scene.refresh("wrong", START);
    assert_eq!(refused.status, 200);
    let body = String::from_utf8(refused.body).expect("text");
    assert!(body.starts_with("error=invalid_grant&"), "{body}");
    let fields = [("grant_type", "refresh_token"), ("refresh_token", "wrong")];
    let request = scene.by_client("/root/oauth/token", &fields);
    let refused = scene.ask(&request.with("accept", "application/json"), START);
    assert_eq!(
        (refused.status, refused.value()["error"].as_str()),
        (200, Some("invalid_grant"))
    );
}

/// Two access tokens of one second may be the same, and both are good.
#[test]
fn trap_1_12_the_same_token_in_the_same_second() {
    let mut scene = Scene::new();
    let rules = &mut scene.twin.state_mut().oauth.rules;
    rules.access_shape = Shape::Jwt;
    if let Some(refreshing) = &mut rules.refreshing {
        refreshing.rotation = Rotation::Never { repeated: true };
        refreshing.old_access_dies = false;
    }
    let first = scene.link(START);
    let same = Pair::of(&scene.refresh(&first.refresh, START + 999)).expect("renewed");
    assert_eq!(first.access, same.access);
    assert!(scene.takes(&same.access, START + 999));
    let other = Pair::of(&scene.refresh(&first.refresh, START + 1_000)).expect("renewed");
    assert_ne!(first.access, other.access);
}

/// One word for everything, as Gitea has it.
#[test]
fn one_word_for_everything() {
    let mut scene = Scene::new();
    let word = Refusal::new(400, "unauthorized_client", "client is not authorized");
    scene.twin.state_mut().oauth.rules.refusals = Refusals::all(word);
    let code = [("grant_type", "authorization_code"), ("code", "wrong")];
    for answer in [scene.refresh("wrong", START), scene.token(&code, START)] {
        assert_eq!(answer.status, 400);
        assert_eq!(answer.value()["error"], "unauthorized_client");
    }
}

/// A code is good once and for ten minutes; Bitbucket Data Center's for ten seconds.
#[test]
fn codes_end() {
    let mut scene = Scene::new();
    scene.twin.state_mut().oauth.rules.code_ms = 10_000;
    let scopes = scene.client.scopes.clone();
    let (client, person) = (scene.client.id.clone(), scene.octo);
    let mut code = || {
        let (server, mut cx) = scene.twin.state_mut().oauth(START);
        let consent = bindery_twins::oauth::Consent {
            client: &client,
            person,
            redirect_uri: crate::scene::REDIRECT,
            scopes: &scopes,
            challenge: None,
        };
        server.consent(&mut cx, &consent)
    };
    let (one, two) = (code(), code());
    let mut exchange = |code: &str, now_ms| {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", crate::scene::REDIRECT),
        ];
        scene.token(&fields, now_ms).status
    };
    assert_eq!(exchange(&one, START + 10_000), 400);
    assert_eq!(exchange(&two, START + 9_999), 200);
    assert_eq!(exchange(&two, START + 9_999), 400);
}

/// The same seed and the same requests give the same secrets, and another seed others.
#[test]
fn a_seed_is_all_the_chance_there_is() {
    let secrets = |seed| {
        let mut mint = bindery_twins::mint::Mint::new(seed);
        (mint.secret("a-", 40), mint.secret("a-", 40))
    };
    assert_eq!(secrets(1), secrets(1));
    assert_ne!(secrets(1), secrets(2));
    assert_ne!(secrets(1).0, secrets(1).1);
}
