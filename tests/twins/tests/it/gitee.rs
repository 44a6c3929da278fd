//! What Gitee is known for.

use bindery_twins::{
    Exchange, Twin,
    gitee::Gitee,
    http::{Request, Response},
    oauth::{Client, Consent},
    time::DAY,
    world::{NewToken, Owner, Ref, Role},
};

use crate::scene::{COMMIT, HOUR, Pair, REDIRECT, START};

struct Scene {
    twin: Gitee,
    octo: u64,
    hello: u64,
    client: Client,
}

const SCOPES: [&str; 4] = ["user_info", "projects", "groups", "enterprises"];

impl Scene {
    /// `octo` administers `acme`, which has the private repository `acme/hello`
    fn new() -> Self {
        let mut twin = Gitee::new("https://gitee.example.com", 1);
        let state = twin.state_mut();
        let octo = state.world.add_person("octo", START);
        let acme = state.world.add_group("acme", None, START);
        state.world.join(octo, acme, Role::Admin);
        let hello = state
            .world
            .add_repository(Owner::Group(acme), "hello", START);
        let tag = Ref {
            name: "refs/tags/v1".to_owned(),
            commit: COMMIT.to_owned(),
            tag_object: Some("7f01".to_owned()),
        };
        state.world.set_refs(hello, vec![tag]);
        let client = state
            .oauth
            .register(&mut state.mint, "Bindery", &[REDIRECT], &SCOPES);
        Self {
            twin,
            octo,
            hello,
            client,
        }
    }

    fn ask(&mut self, request: &Request, now_ms: u64) -> Response {
        match self.twin.exchange(request, now_ms) {
            Exchange::Answered(answer) => answer,
            other => panic!("no answer: {other:?}"),
        }
    }

    fn api(&mut self, token: &str, path: &str, now_ms: u64) -> Response {
        let request = Request::new("GET", &format!("/api/v5{path}"));
        let header = format!("token {token}");
        self.ask(&request.with("authorization", &header), now_ms)
    }

    fn token(&mut self, fields: &[(&str, &str)], now_ms: u64) -> Response {
        let (id, secret) = (self.client.id.clone(), self.client.secrets[0].clone());
        let own = [("client_id", id.as_str()), ("client_secret", &secret)];
        let fields: Vec<_> = own.iter().chain(fields).copied().collect();
        self.ask(&Request::form("/oauth/token", &fields), now_ms)
    }

    fn link(&mut self) -> Response {
        let (client, person) = (self.client.id.clone(), self.octo);
        let scopes = self.client.scopes.clone();
        let (server, mut cx) = self.twin.state_mut().oauth(START);
        let consent = Consent {
            client: &client,
            person,
            redirect_uri: REDIRECT,
            scopes: &scopes,
            challenge: None,
        };
        let code = server.consent(&mut cx, &consent);
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", REDIRECT),
        ];
        self.token(&fields, START)
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

/// A reply is in Doorkeeper's shape, and lasts a day.
#[test]
fn a_reply_is_doorkeepers() {
    let mut scene = Scene::new();
    let reply = scene.link().value();
    assert_eq!(
        (reply["token_type"].as_str(), reply["expires_in"].as_u64()),
        (Some("bearer"), Some(86_400))
    );
    assert_eq!(reply["created_at"].as_u64(), Some(START / 1_000));
    assert!(
        reply["scope"]
            .as_str()
            .expect("scopes")
            .contains("user_info")
    );
    let access = reply["access_token"].as_str().expect("a token");
    assert_eq!(access.len(), 32);
    assert_eq!(scene.api(access, "/user", START + DAY - 1).status, 200);
    let over = scene.api(access, "/user", START + DAY);
    let text = over.value()["message"].to_string();
    assert!(over.status == 401 && text.contains("expired"), "{text}");
}

/// A refresh brings both tokens anew; what is not documented about the old ones is taken as the worse.
#[test]
fn trap_1_1_the_old_pair_is_dead() {
    let mut scene = Scene::new();
    let first = Pair::of(&scene.link()).expect("a pair");
    let second = Pair::of(&scene.refresh(&first.refresh, START + HOUR)).expect("a pair");
    let again = scene.refresh(&first.refresh, START + HOUR);
    assert_eq!(
        (again.status, again.value()["error"].as_str()),
        (401, Some("invalid_grant"))
    );
    assert_eq!(scene.api(&first.access, "/user", START + HOUR).status, 401);
    assert_eq!(scene.api(&second.access, "/user", START + HOUR).status, 200);
    let idle = START + HOUR + 30 * DAY;
    assert_eq!(scene.refresh(&second.refresh, idle).status, 401);
}

/// A missing scope is a 401 that names it, as a refused token is one that does not; nothing can be revoked.
#[test]
fn trap_6_a_missing_scope_is_a_401() {
    let mut scene = Scene::new();
    let token = scene.personal(&["user_info"]);
    assert_eq!(scene.api(&token, "/user", START).status, 200);
    let refused = scene.api(&token, "/user/repos", START);
    assert_eq!(refused.status, 401);
    assert_eq!(
        refused.value()["message"],
        "401 Unauthorized: no 'projects' scope"
    );
    let unknown = scene.api("unknown", "/user", START);
    assert_eq!(
        unknown.value()["message"],
        "401 Unauthorized: Access token does not exist"
    );
    let revoke = Request::form("/oauth/revoke", &[("token", "x")]);
    assert_eq!(scene.ask(&revoke, START).status, 404);
}

/// A token in the query is not looked at.
#[test]
fn trap_6_a_token_in_a_url_is_no_token() {
    let mut scene = Scene::new();
    let token = scene.personal(&SCOPES);
    let request = Request::new("GET", &format!("/api/v5/user?access_token={token}"));
    assert_eq!(scene.ask(&request, START).status, 401);
}

/// `path` is in URLs, `name` is for people, `html_url` is the clone URL, and a hidden repository is not there.
#[test]
fn trap_6_a_path_is_not_a_name() {
    let mut scene = Scene::new();
    let token = scene.personal(&SCOPES);
    let hello = scene.hello;
    let world = &mut scene.twin.state_mut().world;
    "你好".clone_into(&mut world.repositories.get_mut(&hello).expect("hello").name);
    let found = scene.api(&token, "/repos/acme/hello", START).value();
    assert_eq!(
        (found["full_name"].as_str(), found["name"].as_str()),
        (Some("acme/hello"), Some("你好"))
    );
    assert_eq!(
        found["html_url"],
        "https://gitee.example.com/acme/hello.git"
    );
    let other = scene.twin.state_mut().world.add_person("other", START);
    let world = &mut scene.twin.state_mut().world;
    world.add_repository(Owner::Person(other), "hidden", START);
    assert_eq!(scene.api(&token, "/repos/other/hidden", START).status, 404);
}

/// Pages are counted in headers, without `Link`; an old server counts no tags, and peels them all the same.
#[test]
fn trap_1_11_pages_are_counted_in_headers() {
    let mut scene = Scene::new();
    let token = scene.personal(&SCOPES);
    let octo = scene.octo;
    let world = &mut scene.twin.state_mut().world;
    world.add_repository(Owner::Person(octo), "own", START);
    let page = scene.api(&token, "/user/repos?page=2&per_page=1", START);
    assert_eq!(
        (page.header("total_count"), page.header("total_page")),
        (Some("2"), Some("2"))
    );
    assert_eq!(page.header("link"), None);
    scene.twin.pages_refs = false;
    let tags = scene.api(&token, "/repos/acme/hello/tags?page=1&per_page=1", START);
    assert_eq!(tags.header("total_page"), None);
    assert_eq!(tags.value()[0]["commit"]["sha"], COMMIT);
}

/// A membership has a role, and a used-up limit is a 403 that says no time.
#[test]
fn roles_and_limits() {
    let mut scene = Scene::new();
    let token = scene.personal(&SCOPES);
    let memberships = scene.api(&token, "/user/memberships/orgs", START).value();
    assert_eq!(memberships[0]["role"], "admin");
    scene.twin.state_mut().knobs.rate_limited_until = Some(START + 30_000);
    let answer = scene.api(&token, "/user", START);
    assert_eq!((answer.status, answer.header("retry-after")), (403, None));
}
