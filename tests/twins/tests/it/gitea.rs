//! What Gitea is known for.

use bindery_twins::{
    Exchange, Twin,
    gitea::Gitea,
    http::{Request, Response},
    oauth::{Client, Consent},
    world::{NewToken, Owner, Role},
};

use crate::scene::{HOUR, Pair, REDIRECT, START};

struct Scene {
    twin: Gitea,
    octo: u64,
    client: Client,
}

impl Scene {
    /// `octo` owns the private repository `octo/hello`
    fn new(invalidates: bool) -> Self {
        let mut twin = Gitea::new("https://gitea.example.com", 1);
        twin.set_invalidates_refresh_tokens(invalidates);
        let state = twin.state_mut();
        let octo = state.world.add_person("octo", START);
        state
            .world
            .add_repository(Owner::Person(octo), "hello", START);
        let client = state
            .oauth
            .register(&mut state.mint, "Bindery", &[REDIRECT], &[]);
        Self { twin, octo, client }
    }

    fn ask(&mut self, request: &Request, now_ms: u64) -> Response {
        match self.twin.exchange(request, now_ms) {
            Exchange::Answered(answer) => answer,
            other => panic!("no answer: {other:?}"),
        }
    }

    fn api(&mut self, token: &str, path: &str, now_ms: u64) -> Response {
        let request = Request::new("GET", &format!("/api/v1{path}"));
        self.ask(&request.bearer(token), now_ms)
    }

    fn token(&mut self, fields: &[(&str, &str)], now_ms: u64) -> Response {
        let (id, secret) = (self.client.id.clone(), self.client.secrets[0].clone());
        let own = [("client_id", id.as_str()), ("client_secret", &secret)];
        let fields: Vec<_> = own.iter().chain(fields).copied().collect();
        self.ask(&Request::form("/login/oauth/access_token", &fields), now_ms)
    }

    fn code(&mut self) -> String {
        let (client, person) = (self.client.id.clone(), self.octo);
        let (server, mut cx) = self.twin.state_mut().oauth(START);
        let consent = Consent {
            client: &client,
            person,
            redirect_uri: REDIRECT,
            scopes: &Default::default(),
            challenge: None,
        };
        server.consent(&mut cx, &consent)
    }

    fn exchange(&mut self, code: &str) -> Response {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT),
        ];
        self.token(&fields, START)
    }

    fn link(&mut self) -> Pair {
        let code = self.code();
        Pair::of(&self.exchange(&code)).expect("the code is good")
    }

    fn refresh(&mut self, refresh: &str, now_ms: u64) -> Response {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
        self.token(&fields, now_ms)
    }

    fn personal(&mut self, scopes: &[&str]) -> String {
        let new = NewToken {
            person: self.octo,
            name: "registry",
            scopes,
            expires: None,
        };
        self.twin.make_token(&new, START)
    }
}

/// By default the old refresh token goes on working, beside the new one.
#[test]
fn trap_1_1_the_old_refresh_token_goes_on_working() {
    let mut scene = Scene::new(false);
    let first = scene.link();
    let second = Pair::of(&scene.refresh(&first.refresh, START + HOUR)).expect("a pair");
    for refresh in [&first.refresh, &second.refresh, &first.refresh] {
        assert_eq!(scene.refresh(refresh, START + 2 * HOUR).status, 200);
    }
    assert_eq!(scene.api(&second.access, "/user", START + HOUR).status, 200);
}

/// With `INVALIDATE_REFRESH_TOKENS` a second use is refused in words of its own, and the new pair lives on.
#[test]
fn trap_1_1_a_used_refresh_token_is_refused() {
    let mut scene = Scene::new(true);
    let first = scene.link();
    let second = Pair::of(&scene.refresh(&first.refresh, START + HOUR)).expect("a pair");
    let again = scene.refresh(&first.refresh, START + HOUR);
    assert_eq!(again.status, 400);
    assert_eq!(again.value()["error"], "unauthorized_client");
    assert_eq!(again.value()["error_description"], "token was already used");
    assert_eq!(scene.refresh(&second.refresh, START + HOUR).status, 200);
}

/// Every mistake with a code is 400 `unauthorized_client`; a grant that was taken back is `invalid_grant`.
#[test]
fn trap_7_error_codes_are_not_the_rfcs() {
    let mut scene = Scene::new(false);
    let pair = scene.link();
    let code = scene.code();
    scene.exchange(&code);
    for code in [code.as_str(), "unknown"] {
        let answer = scene.exchange(code);
        assert_eq!(answer.status, 400);
        assert_eq!(answer.value()["error"], "unauthorized_client");
    }
    let (person, client) = (scene.octo, scene.client.id.clone());
    scene
        .twin
        .state_mut()
        .oauth
        .revoke_authorization(person, &client);
    let answer = scene.refresh(&pair.refresh, START + HOUR);
    assert_eq!(answer.value()["error"], "invalid_grant");
    assert_eq!(scene.api(&pair.access, "/user", START + HOUR).status, 401);
    let revoke = Request::form("/login/oauth/revoke", &[("token", "x")]);
    assert_eq!(scene.ask(&revoke, START).status, 404);
}

/// Two refreshes within a second give the same access token, byte for byte; one of the next second does not.
#[test]
fn trap_1_12_the_same_token_within_a_second() {
    let mut scene = Scene::new(false);
    let first = scene.link();
    let mut at = |now_ms| {
        Pair::of(&scene.refresh(&first.refresh, now_ms))
            .expect("a pair")
            .access
    };
    let begin = START + HOUR;
    assert_eq!(at(begin), at(begin + 999));
    assert_ne!(at(begin), at(begin + 1_000));
}

/// A reply has no scopes, and a grant without any may do everything; a token with some may do those.
#[test]
fn scopes_narrow_only_where_there_are_some() {
    let mut scene = Scene::new(false);
    let code = scene.code();
    let answer = scene.exchange(&code);
    assert!(answer.value().get("scope").is_none());
    let pair = Pair::of(&answer).expect("a pair");
    assert_eq!(
        scene.api(&pair.access, "/repos/octo/hello", START).status,
        200
    );
    let narrow = scene.personal(&["read:user"]);
    assert_eq!(scene.api(&narrow, "/user", START).status, 200);
    let refused = scene.api(&narrow, "/user/repos", START);
    assert_eq!(refused.status, 403);
    let text = refused.value()["message"].to_string();
    assert!(text.contains("required=[read:repository]"), "{text}");
}

/// A token with `public-only` gets shorter lists, and a refusal only where it asks for the private thing itself.
#[test]
fn trap_7_public_only_shortens_lists_silently() {
    let mut scene = Scene::new(false);
    let token = scene.personal(&["read:repository", "public-only"]);
    let list = scene.api(&token, "/user/repos", START);
    assert_eq!((list.status, list.body.as_slice()), (200, b"[]".as_slice()));
    assert_eq!(list.header("x-total-count"), Some("0"));
    assert_eq!(scene.api(&token, "/repos/octo/hello", START).status, 403);
}

/// An account that was shut out is a 403 with its sentence, and not a 401.
#[test]
fn a_shut_out_account_is_forbidden() {
    let mut scene = Scene::new(false);
    let pair = scene.link();
    let octo = scene.octo;
    scene.twin.state_mut().world.suspend(octo, true);
    let answer = scene.api(&pair.access, "/user", START);
    assert_eq!(answer.status, 403);
    let text = answer.value()["message"].to_string();
    assert!(text.contains("prohibited from signing in"), "{text}");
}

/// A renamed repository redirects to its new path with all that was asked of it, and keeps its id.
#[test]
fn a_renamed_repository_redirects() {
    let mut scene = Scene::new(false);
    let pair = scene.link();
    let repositories = &scene.twin.state().world.repositories;
    let id = *repositories.keys().next().expect("a repository");
    scene
        .twin
        .state_mut()
        .world
        .rename_repository(id, "bonjour");
    let answer = scene.api(&pair.access, "/repos/octo/hello/branches", START);
    assert_eq!(
        (answer.status, answer.header("location")),
        (307, Some("/api/v1/repos/octo/bonjour/branches"))
    );
    let found = scene.api(&pair.access, &format!("/repositories/{id}"), START);
    assert_eq!(found.value()["full_name"], "octo/bonjour");
}

/// A member's role is told; pages end with the total and lead on by `Link`.
#[test]
fn organizations_and_pages() {
    let mut scene = Scene::new(false);
    let pair = scene.link();
    let octo = scene.octo;
    let world = &mut scene.twin.state_mut().world;
    let acme = world.add_group("acme", None, START);
    world.join(octo, acme, Role::Owner);
    world.add_repository(Owner::Group(acme), "web", START);
    let permissions = "/users/octo/orgs/acme/permissions";
    let answer = scene.api(&pair.access, permissions, START);
    assert_eq!(answer.value()["is_owner"], true);
    let first = scene.api(&pair.access, "/user/repos?page=1&limit=1", START);
    assert_eq!(first.header("x-total-count"), Some("2"));
    assert!(first.header("link").expect("a link").contains("page=2"));
    let last = scene.api(&pair.access, "/user/repos?page=2&limit=1", START);
    let back = last.header("link").expect("a way back");
    assert!(back.contains("rel=\"prev\"") && !back.contains("rel=\"next\""));
}
