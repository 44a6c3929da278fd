//! Hooks of Gitea and Gitee: what is registered, and what they are told.

use bindery_twins::{
    Exchange, Twin,
    gitea::Gitea,
    gitee::Gitee,
    hooks::{Change, Delivery, Push, RefChange, Target, sign},
    http::{Request, Response},
    world::{NewToken, Owner, Ref},
};
use serde_json::{Value, json};

use crate::{
    corpus::{corpus, covers},
    scene::{COMMIT, START},
};

const TAG: &str = "7f012614ebd6a02016cf446e50f43e1817265df8";

pub(crate) struct Scene<T> {
    pub(crate) twin: T,
    pub(crate) octo: u64,
    hello: u64,
    token: String,
    api: &'static str,
}

pub(crate) fn gitea() -> Scene<Gitea> {
    let twin = Gitea::new("https://gitea.example.com", 1);
    Scene::new(twin, "/api/v1", |twin, new| twin.make_token(new, START))
}

pub(crate) fn gitee() -> Scene<Gitee> {
    let twin = Gitee::new("https://gitee.example.com", 1);
    Scene::new(twin, "/api/v5", |twin, new| twin.make_token(new, START))
}

impl<T: Twin> Scene<T> {
    fn new(mut twin: T, api: &'static str, make: fn(&mut T, &NewToken<'_>) -> String) -> Self {
        let world = &mut twin.state_mut().world;
        let octo = world.add_person("octo", START);
        let hello = world.add_repository(Owner::Person(octo), "hello", START);
        let main = Ref {
            name: "refs/heads/main".to_owned(),
            commit: COMMIT.to_owned(),
            tag_object: None,
        };
        world.set_refs(hello, vec![main]);
        let new = NewToken {
            person: octo,
            name: "registry",
            scopes: &[
                "write:repository",
                "read:user",
                "read:organization",
                "hook",
                "projects",
                "user_info",
                "groups",
            ],
            expires: None,
        };
        let token = make(&mut twin, &new);
        Self {
            twin,
            octo,
            hello,
            token,
            api,
        }
    }

    fn api(&mut self, method: &str, rest: &str, body: &Value) -> Response {
        self.call(method, &format!("/repos/octo/hello/hooks{rest}"), body)
    }

    /// Any call of the API
    pub(crate) fn call(&mut self, method: &str, path: &str, body: &Value) -> Response {
        let token = self.token.clone();
        self.call_as(&token, method, path, body)
    }

    /// As [`Scene::call`], with this token
    pub(crate) fn call_as(
        &mut self,
        token: &str,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Response {
        let mut request = Request::new(method, &format!("{}{path}", self.api))
            .bearer(token)
            .with("content-type", "application/json");
        request.body = body.to_string().into_bytes();
        match self.twin.exchange(&request, START) {
            Exchange::Answered(answer) => answer,
            other => panic!("no answer: {other:?}"),
        }
    }

    fn made(&mut self, body: &Value) -> (String, Value) {
        let made = self.api("POST", "", body);
        assert_eq!(made.status, 201, "{}", made.value());
        (format!("/{}", made.value()["id"]), made.value())
    }

    fn due(&mut self) -> Vec<Delivery> {
        self.twin.state_mut().hooks.due(START)
    }

    fn push(&mut self, one: RefChange) -> Vec<Delivery> {
        let change = Change::Push(Push {
            repository: self.hello,
            by: self.octo,
            refs: vec![one],
        });
        self.twin.change(&change, START);
        self.due()
    }
}

pub(crate) fn for_gitea(kind: &str, content: &str) -> Value {
    json!({"type": kind, "active": true, "events": ["push", "create", "delete"], "config":
        {"url": "https://bindery.example.com/hooks/a", "content_type": content, "secret": "s3cr3t"}})
}

fn told(delivery: &Delivery) -> Value {
    serde_json::from_slice(&delivery.request.body).expect("JSON")
}

/// A hook is off unless asked to be on, never shows its secret, and is gone once removed; other types are unknown.
#[test]
fn trap_7_hooks_are_off_by_default() {
    let mut scene = gitea();
    let mut body = for_gitea("gitea", "json");
    body.as_object_mut().expect("an object").remove("active");
    let (path, made) = scene.made(&body);
    assert_eq!(made["active"], false);
    assert!(!made.to_string().contains("s3cr3t"));
    let new = RefChange::created("refs/heads/new", Target::commit(COMMIT));
    assert_eq!(scene.push(new).len(), 0);
    // A change that names no events leaves `push` alone.
    let changed = scene.api("PATCH", &path, &json!({"active": true})).value();
    assert_eq!(
        (&changed["active"], &changed["events"]),
        (&json!(true), &json!(["push"]))
    );
    assert_eq!(scene.api("DELETE", &path, &Value::Null).status, 204);
    assert_eq!(scene.api("DELETE", &path, &Value::Null).status, 404);
    assert_eq!(
        scene.api("POST", "", &for_gitea("nonsense", "json")).status,
        422
    );
    assert_eq!(
        scene.api("POST", "", &for_gitea("gitea", "xml")).status,
        422
    );
}

/// Deliveries carry the headers of other forges, and the JSON is signed, also in a form.
#[test]
fn trap_1_headers_collide_and_forms_sign_what_is_in_them() {
    for content in ["json", "form"] {
        let mut scene = gitea();
        scene.twin.version = "1.22.0".to_owned();
        let _made = scene.made(&for_gitea("gitea", content));
        let due = scene.push(RefChange::updated("refs/heads/main", COMMIT, TAG));
        let request = &due[0].request;
        let mut form = url::form_urlencoded::parse(&request.body);
        let payload = match content {
            "json" => String::from_utf8(request.body.clone()).expect("text"),
            _ => form.next().expect("a field").1.into_owned(),
        };
        let signature = sign::sha256_hex("s3cr3t", payload.as_bytes());
        assert_eq!(
            request.header("X-Gitea-Signature"),
            Some(signature.as_str())
        );
        let prefixed = format!("sha256={signature}");
        assert_eq!(
            request.header("X-Hub-Signature-256"),
            Some(prefixed.as_str())
        );
        for name in ["X-GitHub-Event", "X-Gogs-Event", "X-Gitea-Event"] {
            assert_eq!(request.header(name), Some("push"));
        }
        assert!(!payload.contains("s3cr3t"));
    }
}

/// Without a secret the headers are there and empty; an old server writes the secret into the body.
#[test]
fn trap_7_empty_signatures_and_secrets_in_bodies() {
    let mut scene = gitea();
    scene.twin.version = "1.22.0".to_owned();
    let mut bare = for_gitea("gitea", "json");
    bare["config"]["secret"] = "".into();
    bare["events"] = json!(["push"]);
    let (path, _made) = scene.made(&bare);
    let due = scene.push(RefChange::updated("refs/heads/main", COMMIT, TAG));
    assert_eq!(due[0].request.header("X-Gitea-Signature"), Some(""));
    assert_eq!(
        due[0].request.header("X-Hub-Signature-256"),
        Some("sha256=")
    );
    scene.twin.version = "1.14.2".to_owned();
    assert_eq!(scene.api("DELETE", &path, &Value::Null).status, 204);
    scene.made(&for_gitea("gitea", "json"));
    let due = scene.push(RefChange::updated("refs/heads/main", TAG, COMMIT));
    assert_eq!(told(&due[0])["secret"], "s3cr3t");
    assert_eq!(due[0].request.header("X-Hub-Signature-256"), None);
}

/// A tag is told twice; a test is a push that nothing tells from a real one.
#[test]
fn trap_7_a_test_is_a_normal_push() {
    let mut scene = gitea();
    let (path, _made) = scene.made(&for_gitea("gitea", "json"));
    let tag = Target::tag(TAG, COMMIT);
    let due = scene.push(RefChange::created("refs/tags/v1", tag.clone()));
    let names: Vec<_> = due
        .iter()
        .map(|one| (one.event.clone(), told(one)["ref"].clone()))
        .collect();
    let expected = [
        ("push".to_owned(), json!("refs/tags/v1")),
        ("create".to_owned(), json!("v1")),
    ];
    assert_eq!(names, expected);
    let due = scene.push(RefChange::deleted("refs/tags/v1", tag));
    assert_eq!(
        (due[1].event.as_str(), &told(&due[0])["before"]),
        ("delete", &json!(TAG))
    );
    assert_eq!(
        scene
            .api("POST", &format!("{path}/tests"), &Value::Null)
            .status,
        204
    );
    let due = scene.due();
    assert_eq!(due[0].request.header("X-Gitea-Event"), Some("push"));
    assert_eq!(told(&due[0])["after"], COMMIT);
}

/// A change of a hook passes over its secret without a word: what it signs with stays as it was made.
#[test]
fn trap_7_a_change_keeps_the_secret() {
    let mut scene = gitea();
    let (path, _) = scene.made(&for_gitea("gitea", "json"));
    let change = json!({"active": true, "config": {"secret": "another"}});
    assert_eq!(scene.api("PATCH", &path, &change).status, 200);
    let new = RefChange::created("refs/heads/new", Target::commit(COMMIT));
    let due = scene.push(new);
    let signed = sign::sha256_hex("s3cr3t", &due[0].request.body);
    let told = due[0].request.header("X-Gitea-Signature");
    assert_eq!(told, Some(signed.as_str()));
}

/// Gitea's hooks and deliveries have what recorded ones have.
#[test]
fn gitea_tells_what_was_recorded() {
    let Some(corpus) = corpus() else { return };
    let read = |name: &str| -> Value {
        let text = std::fs::read(corpus.join("gitea").join(name)).expect("a recorded one");
        serde_json::from_slice(&text).expect("JSON")
    };
    let mut scene = gitea();
    scene.twin.version = "1.14.2".to_owned();
    let (_path, made) = scene.made(&for_gitea("gitea", "json"));
    let mut missing = Vec::new();
    let known = read("api/recorded-1.14.2.18-hook_create.exchange.json");
    covers(&made, &known["response"]["body"], "hook", &mut missing);
    let tag = Target::tag(TAG, COMMIT);
    let cases = [
        (
            "05.push-branch",
            0,
            RefChange::created("refs/heads/x", Target::commit(COMMIT)),
        ),
        (
            "13.push-tag",
            0,
            RefChange::created("refs/tags/a", tag.clone()),
        ),
        (
            "15.create-tag",
            1,
            RefChange::created("refs/tags/b", tag.clone()),
        ),
        ("22.delete-tag", 1, RefChange::deleted("refs/tags/b", tag)),
    ];
    for (name, place, change) in cases {
        let due = scene.push(change);
        let known = read(&format!(
            "webhooks/recorded-1.14.2.{name}.json.request.json"
        ));
        let body = known["request"]["body"].as_str().expect("a body");
        let body: Value = serde_json::from_str(body).expect("JSON");
        covers(&told(&due[place]), &body, name, &mut missing);
        for header in known["request"]["headers"].as_array().expect("a list") {
            let header = header[0].as_str().expect("a name");
            let ours = !header.starts_with("X-") || due[place].request.header(header).is_some();
            assert!(ours, "{name}: no {header}");
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// Whoever reads a hook reads its password; ids may be texts.
#[test]
fn trap_6_the_password_is_echoed() {
    let mut scene = gitee();
    let body = json!({"url": "https://bindery.example.com/hooks/a", "password": "s3cr3t"});
    let (path, made) = scene.made(&body);
    assert_eq!(
        (&made["password"], &made["encryption_type"]),
        (&json!("s3cr3t"), &json!(0))
    );
    scene.twin.hook_ids_are_texts = true;
    let got = scene.api("GET", &path, &Value::Null).value();
    assert!(got["id"].is_string());
    assert_eq!(scene.api("DELETE", &path, &Value::Null).status, 204);
    assert_eq!(scene.api("GET", &path, &Value::Null).status, 404);
    assert_eq!(scene.api("POST", "", &json!({"password": "a"})).status, 400);
}

/// In one mode the token is the password itself, in the other it covers neither body nor event.
#[test]
fn trap_6_the_signature_covers_nothing_but_the_time() {
    let mut scene = gitee();
    let body = json!({"url": "https://bindery.example.com/hooks/a", "password": "s3cr3t",
        "encryption_type": 0, "push_events": "true", "tag_push_events": true});
    let (path, _made) = scene.made(&body);
    let due = scene.push(RefChange::updated("refs/heads/main", COMMIT, TAG));
    assert_eq!(due[0].request.header("X-Gitee-Token"), Some("s3cr3t"));
    assert_eq!(told(&due[0])["password"], "s3cr3t");
    let signed = json!({"encryption_type": 1});
    assert_eq!(scene.api("PATCH", &path, &signed).status, 200);
    let branch = scene.push(RefChange::updated("refs/heads/main", TAG, COMMIT));
    let tag = scene.push(RefChange::created("refs/tags/v1", Target::commit(COMMIT)));
    let signature = sign::gitee("s3cr3t", START);
    for (one, event) in [(&branch[0], "Push Hook"), (&tag[0], "Tag Push Hook")] {
        assert_eq!(
            one.request.header("X-Gitee-Token"),
            Some(signature.as_str())
        );
        assert_eq!(one.request.header("X-Gitee-Event"), Some(event));
        assert_eq!(
            (&told(one)["sign"], &told(one)["password"]),
            (&json!(signature), &json!(""))
        );
    }
    assert_eq!(
        scene
            .api("POST", &format!("{path}/tests"), &Value::Null)
            .status,
        204
    );
    assert_eq!(scene.due()[0].request.header("X-Gitee-Ping"), Some("true"));
}
