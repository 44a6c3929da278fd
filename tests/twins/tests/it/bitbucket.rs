//! What Bitbucket Cloud and Bitbucket Data Center are known for.

use bindery_twins::{
    Exchange, Git, GitRequest, Twin,
    bitbucket::{Cloud, DataCenter},
    http::{Request, Response},
    oauth::{Client, Consent},
    time::DAY,
    world::{NewToken, Owner, Ref, Role},
};

use crate::scene::{COMMIT, HOUR, Pair, REDIRECT, START};

const MINUTE: u64 = 60_000;
/// RFC 7636, appendix B
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// One of the two, with `octo`, who owns `acme` with its repository `acme/hello`, and an application
pub(crate) struct Scene<T> {
    pub(crate) twin: T,
    pub(crate) octo: u64,
    pub(crate) hello: u64,
    pub(crate) client: Client,
    token_path: &'static str,
}

pub(crate) fn cloud(scopes: &[&str]) -> Scene<Cloud> {
    let twin = Cloud::new("https://bitbucket.example.com", 1);
    Scene::new(twin, scopes, "/site/oauth2/access_token")
}

pub(crate) fn data_center(scopes: &[&str]) -> Scene<DataCenter> {
    let twin = DataCenter::new("https://git.example.com/bitbucket", 1);
    Scene::new(twin, scopes, "/bitbucket/rest/oauth2/latest/token")
}

impl<T: Twin> Scene<T> {
    fn new(mut twin: T, scopes: &[&str], token_path: &'static str) -> Self {
        let state = twin.state_mut();
        let octo = state.world.add_person("octo", START);
        let group = state.world.add_group("acme", None, START);
        state.world.join(octo, group, Role::Owner);
        let hello = state
            .world
            .add_repository(Owner::Group(group), "hello", START);
        let annotated = Ref {
            name: "refs/tags/v1.0.0".to_owned(),
            commit: COMMIT.to_owned(),
            tag_object: Some("7f01".repeat(10)),
        };
        let main = Ref {
            name: "refs/heads/main".to_owned(),
            tag_object: None,
            ..annotated.clone()
        };
        state.world.set_refs(hello, vec![main, annotated]);
        let client = state
            .oauth
            .register(&mut state.mint, "Bindery", &[REDIRECT], scopes);
        Self {
            twin,
            octo,
            hello,
            client,
            token_path,
        }
    }

    pub(crate) fn ask(&mut self, request: &Request, now_ms: u64) -> Response {
        match self.twin.exchange(request, now_ms) {
            Exchange::Answered(answer) => answer,
            other => panic!("no answer: {other:?}"),
        }
    }

    fn get(&mut self, token: &str, target: &str, now_ms: u64) -> Response {
        self.ask(&Request::new("GET", target).bearer(token), now_ms)
    }

    fn code(&mut self, challenge: Option<&str>) -> String {
        let (client, person) = (self.client.id.clone(), self.octo);
        let scopes = self.client.scopes.clone();
        let (server, mut cx) = self.twin.state_mut().oauth(START);
        let consent = Consent {
            client: &client,
            person,
            redirect_uri: REDIRECT,
            scopes: &scopes,
            challenge,
        };
        server.consent(&mut cx, &consent)
    }

    /// The token endpoint, with the client's own credentials as Basic
    fn token(&mut self, fields: &[(&str, &str)], now_ms: u64) -> Response {
        let (id, secret) = (self.client.id.clone(), self.client.secrets[0].clone());
        let request = Request::form(self.token_path, fields).basic(&id, &secret);
        self.ask(&request, now_ms)
    }

    fn exchange(&mut self, code: &str, verifier: &str, now_ms: u64) -> Response {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", verifier),
        ];
        self.token(&fields, now_ms)
    }

    fn link(&mut self) -> Pair {
        let code = self.code(None);
        Pair::of(&self.exchange(&code, "", START)).expect("the code is good")
    }

    fn refresh(&mut self, refresh: &str, now_ms: u64) -> Response {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
        self.token(&fields, now_ms)
    }
}

pub(crate) fn new_token<'a>(person: u64, scopes: &'a [&'a str]) -> NewToken<'a> {
    NewToken {
        person,
        name: "registry",
        scopes,
        expires: None,
    }
}

/// Cloud: a refresh token works for ten more minutes after its first use, and not longer; nothing of the old pair dies.
#[test]
fn trap_4_has_ten_minutes_grace() {
    let mut scene = cloud(&["account", "repository"]);
    let first = scene.link();
    let second = Pair::of(&scene.refresh(&first.refresh, START + HOUR)).expect("a pair");
    assert_ne!(first.refresh, second.refresh);
    let again = START + HOUR + 9 * MINUTE;
    let third = Pair::of(&scene.refresh(&first.refresh, again)).expect("a pair");
    let late = scene.refresh(&first.refresh, START + HOUR + 10 * MINUTE);
    assert_eq!(
        (late.status, late.value()["error"].as_str()),
        (400, Some("invalid_grant"))
    );
    for token in [first.access, second.access, third.access] {
        assert_eq!(scene.get(&token, "/2.0/user", again).status, 200);
    }
}

/// Cloud: a refresh token that nobody uses dies after three months; an access token after two hours.
#[test]
fn cloud_tokens_end() {
    let mut scene = cloud(&["account"]);
    let pair = scene.link();
    assert_eq!(
        scene
            .get(&pair.access, "/2.0/user", START + 2 * HOUR - 1)
            .status,
        200
    );
    assert_eq!(
        scene
            .get(&pair.access, "/2.0/user", START + 2 * HOUR)
            .status,
        401
    );
    assert_eq!(scene.refresh(&pair.refresh, START + 90 * DAY).status, 400);
}

/// Cloud: tokens exceed 2,500 characters, the reply has `scopes`, which are the consumer's, and there is no revocation.
#[test]
fn trap_4_tokens_are_long_and_scopes_are_the_consumers() {
    let mut scene = cloud(&["account", "repository"]);
    let code = scene.code(None);
    // PKCE is not known, so a wrong verifier is not looked at.
    let answer = scene.exchange(&code, VERIFIER, START);
    let body = answer.value();
    assert_eq!(body["scopes"], "account repository");
    assert!(body.get("scope").is_none());
    for token in ["access_token", "refresh_token"] {
        assert!(body[token].as_str().expect("a token").len() > 2_500);
    }
    let revoke = Request::form("/site/oauth2/revoke", &[("token", "x")]);
    assert_eq!(scene.ask(&revoke, START).status, 404);
}

/// CHANGE-2770: what it took away is gone for everybody, and says why.
#[test]
fn trap_4_change_2770_is_enforced() {
    let mut scene = cloud(&["account", "repository"]);
    let pair = scene.link();
    for path in [
        "/2.0/repositories",
        "/2.0/workspaces",
        "/2.0/user/permissions/repositories",
        "/2.0/user/permissions/workspaces",
    ] {
        let answer = scene.get(&pair.access, path, START);
        let message = answer.value()["error"]["message"].to_string();
        assert_eq!(
            (answer.status, message.contains("CHANGE-2770")),
            (410, true),
            "{path}"
        );
    }
}

/// Cloud: a missing scope is named, with what is there; what may not be seen is not there.
#[test]
fn cloud_refuses_in_its_own_words() {
    let mut scene = cloud(&["repository"]);
    let pair = scene.link();
    let refused = scene.get(&pair.access, "/2.0/user", START);
    let detail = &refused.value()["error"]["detail"];
    assert_eq!(refused.status, 403);
    assert_eq!(detail["required"][0], "account");
    assert_eq!(detail["granted"][0], "repository");
    let world = &mut scene.twin.state_mut().world;
    let other = world.add_person("other", START);
    world.add_repository(Owner::Person(other), "secret", START);
    let hidden = scene.get(&pair.access, "/2.0/repositories/other/secret", START);
    assert_eq!(hidden.status, 404);
}

/// Cloud: an API token goes with the e-mail address for the API and with a fixed name for git, and its scopes imply
/// nothing.
#[test]
fn trap_4_api_tokens_go_with_the_email() {
    let mut scene = cloud(&[]);
    let scopes = ["read:user:bitbucket", "read:repository:bitbucket"];
    let token = scene
        .twin
        .make_token(&new_token(scene.octo, &scopes), START);
    let user = |user: &str| Request::new("GET", "/2.0/user").basic(user, &token);
    assert_eq!(scene.ask(&user("octo@example.com"), START).status, 200);
    assert_eq!(scene.ask(&user("octo"), START).status, 401);
    assert_eq!(scene.get(&token, "/2.0/user", START).status, 401);
    let list = Request::new("GET", "/2.0/user/workspaces").basic("octo@example.com", &token);
    assert_eq!(scene.ask(&list, START).status, 403);
    let mut git = |user, write| {
        let request = GitRequest {
            path: "/acme/hello.git",
            user: Some(user),
            password: Some(&token),
            write,
        };
        matches!(scene.twin.git(&request, START), Git::Serve { .. })
    };
    assert!(git("x-bitbucket-api-token-auth", false) && git("octo", false));
    assert!(!git("x-token-auth", false) && !git("octo", true));
}

/// Cloud: lists go workspace by workspace, pages lead on by `next`, and a rename answers with the new name.
#[test]
fn trap_4_lists_go_by_workspace() {
    let mut scene = cloud(&["account", "repository"]);
    let pair = scene.link();
    let own = scene.octo;
    let world = &mut scene.twin.state_mut().world;
    world.add_repository(Owner::Person(own), "one", START);
    world.add_repository(Owner::Person(own), "two", START);
    let list = "/2.0/repositories/octo?role=member&pagelen=1";
    let page = scene.get(&pair.access, list, START).value();
    let next = page["next"].as_str().expect("another page");
    let next = next
        .strip_prefix("https://bitbucket.example.com")
        .expect("this host");
    let last = scene.get(&pair.access, next, START).value();
    assert_eq!(
        (
            page["values"][0]["slug"].as_str(),
            last["values"][0]["slug"].as_str()
        ),
        (Some("one"), Some("two"))
    );
    assert!(last.get("next").is_none());
    let hello = scene.hello;
    scene
        .twin
        .state_mut()
        .world
        .rename_repository(hello, "bonjour");
    let path = "/2.0/repositories/%7B%7D/%7B00000000-0000-4000-8000-";
    let by_id = scene.get(&pair.access, &format!("{path}{hello:012x}%7D"), START);
    assert_eq!(by_id.value()["full_name"], "acme/bonjour");
}

/// Data Center: a code is good for ten seconds, and PKCE is enforced where it was asked for.
#[test]
fn trap_5_codes_live_ten_seconds() {
    let mut scene = data_center(&["REPO_READ"]);
    for (verifier, after, status) in [
        (VERIFIER, 9_999, 200),
        (VERIFIER, 10_000, 400),
        ("another-verifier-of-forty-three-characters-x", 0, 400),
    ] {
        let code = scene.code(Some(CHALLENGE));
        let answer = scene.exchange(&code, verifier, START + after);
        assert_eq!(answer.status, status, "{after}");
    }
}

/// Data Center: a revoked token is dead with its pair; a blocked person is told from a bad token.
#[test]
fn data_center_tokens_end() {
    let mut scene = data_center(&["REPO_READ"]);
    let pair = scene.link();
    let properties = "/bitbucket/rest/api/latest/application-properties";
    let octo = scene.octo;
    scene.twin.state_mut().world.suspend(octo, true);
    let blocked = scene.get(&pair.access, properties, START);
    let name = blocked.value()["errors"][0]["exceptionName"].to_string();
    assert!(
        blocked.status == 401 && name.contains("InactiveUser"),
        "{name}"
    );
    scene.twin.state_mut().world.suspend(octo, false);
    let (id, secret) = (scene.client.id.clone(), scene.client.secrets[0].clone());
    let revoke = Request::form(
        "/bitbucket/rest/oauth2/latest/revoke",
        &[("token", pair.refresh.as_str())],
    );
    assert_eq!(scene.ask(&revoke.basic(&id, &secret), START).status, 200);
    assert_eq!(scene.get(&pair.access, properties, START).status, 401);
    assert_eq!(scene.refresh(&pair.refresh, START).status, 400);
}

/// Data Center: whose token it is stands in a header, escaped, and in text; without a token some things are everybody's.
#[test]
fn trap_5_says_who_it_is() {
    let mut scene = data_center(&["REPO_READ"]);
    let jane = scene
        .twin
        .state_mut()
        .world
        .add_person("jane@example", START);
    let token = scene
        .twin
        .make_token(&new_token(jane, &["REPO_READ"]), START);
    let properties = "/bitbucket/rest/api/latest/application-properties";
    let answer = scene.get(&token, properties, START);
    assert_eq!(answer.header("x-ausername"), Some("jane%40example"));
    scene.twin.names_user = false;
    assert_eq!(
        scene.get(&token, properties, START).header("x-ausername"),
        None
    );
    let whoami = scene.get(&token, "/bitbucket/plugins/servlet/applinks/whoami", START);
    assert_eq!(whoami.body, b"jane@example");
    let anonymous = Request::new("GET", properties);
    assert_eq!(scene.ask(&anonymous, START).status, 200);
    let users = "/bitbucket/rest/api/latest/users";
    assert_eq!(
        scene
            .get(&token, &format!("{users}/jane%40example"), START)
            .status,
        404
    );
    assert_eq!(
        scene
            .get(&token, &format!("{users}/jane_example"), START)
            .status,
        200
    );
    assert_eq!(scene.ask(&Request::new("GET", users), START).status, 401);
}

/// Data Center: pages say where the next one begins, permissions are lists, and a token that reads does not write.
#[test]
fn trap_5_pages_and_permissions() {
    let mut scene = data_center(&["REPO_READ"]);
    let octo = scene.octo;
    scene
        .twin
        .state_mut()
        .world
        .add_repository(Owner::Person(octo), "own", START);
    let pair = scene.link();
    let repos = "/bitbucket/rest/api/latest/repos";
    let first = scene.get(
        &pair.access,
        &format!("{repos}?permission=REPO_READ&limit=1"),
        START,
    );
    let first = first.value();
    assert_eq!(
        (
            first["isLastPage"].as_bool(),
            first["nextPageStart"].as_u64()
        ),
        (Some(false), Some(1))
    );
    let rest = scene.get(
        &pair.access,
        &format!("{repos}?permission=REPO_READ&limit=1&start=1"),
        START,
    );
    assert_eq!(rest.value()["values"][0]["project"]["key"], "~octo");
    let write = scene.get(
        &pair.access,
        &format!("{repos}?permission=REPO_WRITE"),
        START,
    );
    assert_eq!(write.value()["size"], 0);
    let tags = "/bitbucket/rest/api/latest/projects/acme/repos/hello/tags";
    assert_eq!(
        scene.get(&pair.access, tags, START).value()["values"][0]["latestCommit"],
        COMMIT
    );
    let mut git = |user, write| {
        let request = GitRequest {
            path: "/bitbucket/scm/acme/hello.git",
            user: Some(user),
            password: Some(&pair.access),
            write,
        };
        matches!(scene.twin.git(&request, START), Git::Serve { .. })
    };
    assert!(git("x-token-auth", false) && git("octo", false));
    assert!(!git("x-token-auth", true) && !git("other", false));
}
