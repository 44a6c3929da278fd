//! What GitLab is known for.

use bindery_twins::{
    Git, GitRequest, Twin,
    http::Request,
    oauth::Consent,
    time::{self, DAY},
    world::{NewToken, Owner},
};

use crate::scene::{REDIRECT, START, Scene};

fn personal(scene: &mut Scene, scopes: &[&str], expires: Option<u64>) -> String {
    let person = scene.octo;
    let new = NewToken {
        person,
        name: "registry",
        scopes,
        expires,
    };
    scene.twin.make_token(&new, START)
}

fn own(method: &str, path: &str, token: &str) -> Request {
    Request::new(
        method,
        &format!("/root/api/v4/personal_access_tokens/self{path}"),
    )
    .with("private-token", token)
}

/// Revoking an access token takes its refresh token along; an unknown token is no error, another client is one.
#[test]
fn trap_3_revocation_kills_the_pair() {
    let mut scene = Scene::new();
    let pair = scene.link(START);
    let state = scene.twin.state_mut();
    let other = state
        .oauth
        .register(&mut state.mint, "Other", &[REDIRECT], &["api"]);
    let foreign = [
        ("client_id", other.id.as_str()),
        ("client_secret", other.secrets[0].as_str()),
        ("token", pair.access.as_str()),
    ];
    let refused = scene.ask(&Request::form("/root/oauth/revoke", &foreign), START);
    assert_eq!(
        (refused.status, refused.value()["error"].as_str()),
        (403, Some("unauthorized_client"))
    );
    for token in ["unknown", pair.access.as_str()] {
        let request = scene.by_client("/root/oauth/revoke", &[("token", token)]);
        let answer = scene.ask(&request, START);
        assert_eq!(
            (answer.status, answer.body.as_slice()),
            (200, b"{}".as_slice())
        );
    }
    assert!(!scene.takes(&pair.access, START));
    assert_eq!(scene.refresh(&pair.refresh, START).status, 400);
}

/// A wrong verifier is refused and does not use the code up: with the right one it is still good.
#[test]
fn trap_3_a_wrong_verifier_keeps_the_code() {
    // RFC 7636, appendix B.
    let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    let mut scene = Scene::new();
    let (client, person) = (scene.client.clone(), scene.octo);
    let (server, mut cx) = scene.twin.state_mut().oauth(START);
    let code = server.consent(
        &mut cx,
        &Consent {
            client: &client.id,
            person,
            redirect_uri: REDIRECT,
            scopes: &client.scopes,
            challenge: Some(challenge),
        },
    );
    let mut exchange = |verifier: &str| {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", REDIRECT),
            ("code_verifier", verifier),
        ];
        let answer = scene.token(&fields, START);
        (
            answer.status,
            answer.value()["error"].as_str().map(str::to_owned),
        )
    };
    assert_eq!(exchange("wrong"), (400, Some("invalid_grant".to_owned())));
    assert_eq!(exchange(verifier), (200, None));
    assert_eq!(exchange(verifier).0, 400);
}

/// A personal token ends at 00:00 UTC of its date, whatever time it was made.
#[test]
fn trap_3_personal_tokens_end_at_midnight() {
    let mut scene = Scene::new();
    let token = personal(&mut scene, &["api"], Some(START + 3 * DAY));
    let midnight = time::midnight(&time::date(START + 3 * DAY)).expect("a date");
    assert!(scene.takes(&token, midnight - 1));
    assert!(!scene.takes(&token, midnight));
    let answer = scene.ask(&own("GET", "", &token), START);
    assert_eq!(answer.value()["expires_at"], time::date(midnight));
}

/// Rotating with a token that rotation has revoked ends every token that came of it.
#[test]
fn trap_3_rotation_with_a_revoked_token_kills_the_family() {
    let mut scene = Scene::new();
    let first = personal(&mut scene, &["api"], None);
    let rotated = scene.ask(&own("POST", "/rotate", &first), START);
    assert_eq!(rotated.status, 200);
    let second = rotated.value()["token"]
        .as_str()
        .expect("a token")
        .to_owned();
    assert_eq!(rotated.value()["expires_at"], time::date(START + 7 * DAY));
    assert!(scene.takes(&second, START) && !scene.takes(&first, START));
    assert_eq!(
        scene.ask(&own("POST", "/rotate", &first), START).status,
        401
    );
    assert!(!scene.takes(&second, START));
}

/// A token with any scope may end itself; only one with `api` or `self_rotate` may rotate itself.
#[test]
fn tokens_act_on_themselves() {
    let mut scene = Scene::new();
    let token = personal(&mut scene, &["read_user"], None);
    let refused = scene.ask(&own("POST", "/rotate", &token), START);
    assert_eq!(
        (refused.status, refused.value()["error"].as_str()),
        (403, Some("insufficient_scope"))
    );
    assert_eq!(scene.ask(&own("DELETE", "", &token), START).status, 204);
    assert_eq!(scene.ask(&own("GET", "", &token), START).status, 401);
    let pair = scene.link(START);
    let request = Request::new("GET", "/root/api/v4/personal_access_tokens/self");
    assert_eq!(scene.ask(&request.bearer(&pair.access), START).status, 400);
}

/// Keyset pages need an order, lead on by `Link` under the relative root, and have everything once.
#[test]
fn keyset_pages_have_everything_once() {
    let mut scene = Scene::new();
    let group = scene.group;
    for number in 0..6 {
        let world = &mut scene.twin.state_mut().world;
        world.add_repository(Owner::Group(group), &format!("r{number}"), START);
    }
    let pair = scene.link(START);
    let list = "/projects?membership=true&pagination=keyset&per_page=3&sort=asc&simple=true";
    assert_eq!(scene.api(&pair.access, list, START).status, 405);
    let mut target = format!("/root/api/v4{list}&order_by=id");
    let mut ids = Vec::new();
    loop {
        let answer = scene.ask(&Request::new("GET", &target).bearer(&pair.access), START);
        let page = answer.value();
        ids.extend(
            page.as_array()
                .expect("a list")
                .iter()
                .map(|one| one["id"].as_u64()),
        );
        let Some(link) = answer.header("link") else {
            break;
        };
        let next = link
            .strip_prefix("<https://gitlab.example.com")
            .expect("this host");
        next.split('>')
            .next()
            .expect("an address")
            .clone_into(&mut target);
    }
    let mut sorted = ids.clone();
    sorted.dedup();
    assert_eq!((ids.len(), sorted.len(), ids.is_sorted()), (7, 7, true));
}

/// A project that moved answers under its old path with a redirect to its id; one that may not be seen is not there.
#[test]
fn moved_and_hidden_projects() {
    let mut scene = Scene::new();
    let pair = scene.link(START);
    let hello = scene.hello;
    scene
        .twin
        .state_mut()
        .world
        .rename_repository(hello, "bonjour");
    let answer = scene.api(&pair.access, "/projects/acme%2Fhello", START);
    let to = format!("https://gitlab.example.com/root/api/v4/projects/{hello}");
    assert_eq!(
        (answer.status, answer.header("location")),
        (301, Some(to.as_str()))
    );
    let world = &mut scene.twin.state_mut().world;
    let other = world.add_person("other", START);
    let hidden = world.add_repository(Owner::Person(other), "hidden", START);
    let path = format!("/projects/{hidden}");
    assert_eq!(scene.api(&pair.access, &path, START).status, 404);
}

/// A used-up rate limit is plain text, with headers that say when to come back.
#[test]
fn trap_3_the_rate_limit_answers_in_plain_text() {
    let mut scene = Scene::new();
    scene.twin.state_mut().knobs.rate_limited_until = Some(START + 30_000);
    let answer = scene.ask(&Request::new("GET", "/root/api/v4/version"), START);
    assert_eq!(
        (answer.status, answer.body.as_slice()),
        (429, b"Retry later\n".as_slice())
    );
    assert_eq!(answer.header("retry-after"), Some("30"));
    let reset = (START / 1_000 + 30).to_string();
    assert_eq!(answer.header("ratelimit-reset"), Some(reset.as_str()));
}

/// Git reads with a token that may read the repository, writes with one that may write, and asks everybody else.
#[test]
fn git_asks_the_twin() {
    let mut scene = Scene::new();
    let reads = personal(&mut scene, &["read_repository"], None);
    let nothing = personal(&mut scene, &["read_user"], None);
    let mut git = |password: Option<&str>, write| {
        let request = GitRequest {
            path: "/root/acme/hello.git",
            user: password.map(|_| "oauth2"),
            password,
            write,
        };
        match scene.twin.git(&request, START) {
            Git::Serve { repository, login } => (200, Some(repository), login),
            Git::Answer(answer) => (answer.status, None, String::new()),
        }
    };
    let refused = |status| (status, None, String::new());
    assert_eq!(git(None, false), refused(401));
    assert_eq!(git(Some(&nothing), false), refused(401));
    assert_eq!(git(Some(&reads), true), refused(401));
    let (status, repository, login) = git(Some(&reads), false);
    assert_eq!(
        (status, repository, login.as_str()),
        (200, Some(scene.hello), "octo")
    );
}

/// The page leads back with a code and the state; an address that nobody registered leads nowhere.
#[test]
fn the_consent_page_leads_back() {
    let mut scene = Scene::new();
    let id = scene.client.id.clone();
    let asked = |redirect: &str| {
        let query = format!(
            "client_id={id}&response_type=code&state=abc&scope=read_user&redirect_uri={}",
            redirect.replace(':', "%3A").replace('/', "%2F")
        );
        Request::new("GET", &format!("/root/oauth/authorize?{query}"))
    };
    let page = scene.ask(&asked(REDIRECT), START);
    let html = String::from_utf8(page.body).expect("a page");
    assert!(html.contains("Authorize as octo"), "{html}");
    let request = asked(REDIRECT);
    let mut fields: Vec<_> = request
        .query
        .iter()
        .map(|(a, b)| (a.as_str(), b.as_str()))
        .collect();
    fields.push(("login", "octo"));
    let back = scene.ask(&Request::form("/root/oauth/authorize", &fields), START);
    let to = back.header("location").expect("a redirect");
    assert!(
        to.starts_with(&format!("{REDIRECT}?code=")) && to.ends_with("&state=abc"),
        "{to}"
    );
    let elsewhere = scene.ask(&asked("https://evil.example.com/"), START);
    assert_eq!(
        (elsewhere.status, elsewhere.header("location")),
        (401, None)
    );
}
