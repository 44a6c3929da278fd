//! GitLab's hooks: what is registered, what they are told, and when they rest.

use bindery_twins::{
    Exchange, Twin,
    gitlab::GitLab,
    hooks::{
        Change, Commit, Delivery, Hook, Lost, Outcome, Push, RefChange, Target, Why, ZEROS, sign,
    },
    http::{Request, Response},
    time,
    world::{NewToken, Role},
};
use serde_json::{Value, json};

use crate::{
    hooks::answer,
    scene::{COMMIT, START, Scene},
};

const NEW: &str = "1f2e3d4c5b6a79881f2e3d4c5b6a79881f2e3d4c";
const TAG: &str = "7f012614ebd6a02016cf446e50f43e1817265df8";

/// A scene with somebody's token
pub(crate) struct Hooked {
    pub(crate) scene: Scene,
    token: String,
}

impl Hooked {
    pub(crate) fn new() -> Self {
        let mut scene = Scene::new();
        let token = token(&mut scene, &["api"]);
        Self { scene, token }
    }

    pub(crate) fn api(&mut self, method: &str, rest: &str, body: &Value) -> Response {
        let request = self.request(method, rest, body);
        self.scene.ask(&request, START)
    }

    fn request(&self, method: &str, rest: &str, body: &Value) -> Request {
        let path = format!("/root/api/v4/projects/{}/hooks{rest}", self.scene.hello);
        let mut request = Request::new(method, &path)
            .with("private-token", &self.token)
            .with("content-type", "application/json");
        request.body = body.to_string().into_bytes();
        request
    }

    /// Makes a hook for pushes and tags, and returns its id
    pub(crate) fn hook(&mut self) -> u64 {
        let made = self.api("POST", "", &new_hook());
        assert_eq!(made.status, 201, "{}", made.value());
        made.value()["id"].as_u64().expect("an id")
    }

    fn stored(&self, id: u64) -> Hook {
        let hooks = &self.scene.twin.state().hooks;
        hooks.get(id).expect("it is there").clone()
    }

    pub(crate) fn push(&mut self, refs: Vec<RefChange>) -> Vec<Delivery> {
        let change = Change::Push(Push {
            repository: self.scene.hello,
            by: self.scene.octo,
            refs,
        });
        self.scene.twin.change(&change, START);
        self.scene.twin.state_mut().hooks.due(START)
    }
}

fn token(scene: &mut Scene, scopes: &[&str]) -> String {
    let new = NewToken {
        person: scene.octo,
        name: "registry",
        scopes,
        expires: None,
    };
    scene.twin.make_token(&new, START)
}

fn new_hook() -> Value {
    json!({"url": "https://bindery.example.com/hooks/a", "token": "s3cr3t", "push_events": true,
        "tag_push_events": true, "enable_ssl_verification": true})
}

fn value(delivery: &Delivery) -> Value {
    serde_json::from_slice(&delivery.request.body).expect("JSON")
}

/// A hook is made, shown, listed, changed and removed, and neither the token nor whether there is one is said.
#[test]
fn a_hook_is_made_changed_and_removed() {
    let mut hooked = Hooked::new();
    let id = hooked.hook();
    let got = hooked.api("GET", &format!("/{id}"), &Value::Null).value();
    assert_eq!(got["tag_push_events"], true);
    assert_eq!(got["merge_requests_events"], false);
    assert_eq!(got["alert_status"], "executable");
    assert!(!got.to_string().contains("s3cr3t"));
    assert_eq!(got.get("token_present"), None);
    let list = hooked.api("GET", "", &Value::Null).value();
    assert_eq!(list, json!([got]));
    let off = json!({"push_events": false});
    let changed = hooked.api("PUT", &format!("/{id}"), &off).value();
    assert_eq!(changed["push_events"], false);
    assert_eq!(hooked.stored(id).secret.as_deref(), Some("s3cr3t"));
    assert_eq!(
        hooked.api("DELETE", &format!("/{id}"), &Value::Null).status,
        204
    );
    assert_eq!(
        hooked.api("DELETE", &format!("/{id}"), &Value::Null).status,
        404
    );
}

/// Pushes are on unless somebody says otherwise, forms are read as JSON is, and a second hook is no mistake.
#[test]
fn trap_3_hooks_are_doubled_without_a_word() {
    let mut hooked = Hooked::new();
    let _first = hooked.hook();
    let path = format!("/root/api/v4/projects/{}/hooks", hooked.scene.hello);
    let fields = [
        ("url", "https://bindery.example.com/hooks/a"),
        ("tag_push_events", "1"),
    ];
    let request = Request::form(&path, &fields).with("private-token", &hooked.token);
    let second = hooked.scene.ask(&request, START);
    assert_eq!(second.status, 201);
    assert_eq!(second.value()["push_events"], true);
    assert_eq!(second.value()["tag_push_events"], true);
    let pointing = hooked
        .scene
        .twin
        .state()
        .hooks
        .pointing_at("https://bindery.example.com/");
    assert_eq!(pointing, 2);
    assert_eq!(hooked.api("POST", "", &json!({"token": "a"})).status, 400);
    assert_eq!(
        hooked.api("POST", "", &json!({"url": "nowhere"})).status,
        422
    );
}

/// A new URL takes the token with it, unless the token comes along.
#[test]
fn trap_3_a_new_url_resets_the_token() {
    let mut hooked = Hooked::new();
    let id = hooked.hook();
    let path = format!("/{id}");
    let moved = json!({"url": "https://bindery.example.com/hooks/b", "token": "kept"});
    assert_eq!(hooked.api("PUT", &path, &moved).status, 200);
    assert_eq!(hooked.stored(id).secret.as_deref(), Some("kept"));
    let same = json!({"url": "https://bindery.example.com/hooks/b"});
    assert_eq!(hooked.api("PUT", &path, &same).status, 200);
    assert_eq!(hooked.stored(id).secret.as_deref(), Some("kept"));
    let moved = json!({"url": "https://bindery.example.com/hooks/c"});
    assert_eq!(hooked.api("PUT", &path, &moved).status, 200);
    assert_eq!(hooked.stored(id).secret, None);
}

/// A signing token is ignored without a word where the flag is off, and kept where it is on.
#[test]
fn trap_3_a_signing_token_may_be_ignored() {
    let mut hooked = Hooked::new();
    let signing = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let mut body = new_hook();
    body["signing_token"] = signing.into();
    let made = hooked.api("POST", "", &body);
    assert_eq!(made.status, 201);
    assert_eq!(made.value().get("signing_token_present"), None);
    let id = made.value()["id"].as_u64().expect("an id");
    assert_eq!(hooked.stored(id).signing, None);
    hooked.scene.twin.signs_webhooks = true;
    let set = json!({"signing_token": signing});
    let changed = hooked.api("PUT", &format!("/{id}"), &set).value();
    assert_eq!(changed["signing_token_present"], true);
    assert_eq!(changed["token_present"], true);
    let due = hooked.push(vec![RefChange::updated("refs/heads/main", COMMIT, NEW)]);
    let request = &due[0].request;
    let key = request.header("webhook-id").expect("an id");
    assert_eq!(request.header("idempotency-key"), Some(key));
    let seconds = time::seconds(START);
    assert_eq!(
        request.header("webhook-timestamp"),
        Some(seconds.to_string().as_str())
    );
    let signature = sign::standard(signing, key, seconds, &request.body);
    assert_eq!(request.header("webhook-signature"), signature.as_deref());
}

/// Reading needs `read_api`, all else `api`, and everything the rights of a maintainer.
#[test]
fn trap_3_hooks_need_api_and_a_maintainer() {
    let mut hooked = Hooked::new();
    let _id = hooked.hook();
    hooked.token = token(&mut hooked.scene, &["read_api"]);
    assert_eq!(hooked.api("GET", "", &Value::Null).status, 200);
    let refused = hooked.api("POST", "", &new_hook());
    assert_eq!(refused.status, 403);
    assert_eq!(refused.value()["error"], "insufficient_scope");
    hooked.token = token(&mut hooked.scene, &["api"]);
    let (octo, group) = (hooked.scene.octo, hooked.scene.group);
    let world = &mut hooked.scene.twin.state_mut().world;
    world.join(octo, group, Role::Write);
    assert_eq!(hooked.api("GET", "", &Value::Null).status, 403);
    let world = &mut hooked.scene.twin.state_mut().world;
    world.join(octo, group, Role::Admin);
    hooked.scene.twin.state_mut().hooks.forbidden = true;
    assert_eq!(hooked.api("GET", "", &Value::Null).status, 403);
}

/// A push to a branch comes as it is recorded, with the token in a header and nothing signed.
#[test]
fn a_push_is_told_with_the_token() {
    let mut hooked = Hooked::new();
    let _id = hooked.hook();
    let mut change = RefChange::updated("refs/heads/main", COMMIT, NEW);
    change.commits = (0..25)
        .map(|number| Commit {
            id: format!("{number:040}"),
            ..Commit::default()
        })
        .collect();
    let due = hooked.push(vec![change]);
    let request = &due[0].request;
    assert_eq!(request.url, "https://bindery.example.com/hooks/a");
    assert_eq!(request.header("X-Gitlab-Token"), Some("s3cr3t"));
    assert_eq!(request.header("X-Gitlab-Event"), Some("Push Hook"));
    assert_eq!(request.header("webhook-signature"), None);
    let told = value(&due[0]);
    assert_eq!(told["object_kind"], "push");
    assert_eq!(
        (&told["before"], &told["after"]),
        (&json!(COMMIT), &json!(NEW))
    );
    assert_eq!(told["checkout_sha"], NEW);
    assert_eq!(told["total_commits_count"], 25);
    let commits = told["commits"].as_array().expect("a list");
    assert_eq!(commits.len(), 20);
    assert_eq!(commits[0]["id"], format!("{:040}", 5));
    let world = &hooked.scene.twin.state().world;
    assert_eq!(
        world.repositories[&hooked.scene.hello]
            .refs
            .last()
            .map(|one| one.commit.as_str()),
        Some(NEW)
    );
}

/// `after` of an annotated tag is the tag object and `checkout_sha` the commit; of a removed one there is neither.
#[test]
fn trap_1_an_annotated_tag_is_not_its_commit() {
    let mut hooked = Hooked::new();
    let _id = hooked.hook();
    let tag = Target::tag(TAG, COMMIT);
    let due = hooked.push(vec![RefChange::created("refs/tags/v2", tag.clone())]);
    assert_eq!(
        due[0].request.header("x-gitlab-event"),
        Some("Tag Push Hook")
    );
    let told = value(&due[0]);
    assert_eq!(
        (&told["after"], &told["checkout_sha"]),
        (&json!(TAG), &json!(COMMIT))
    );
    let due = hooked.push(vec![RefChange::deleted("refs/tags/v2", tag)]);
    let told = value(&due[0]);
    assert_eq!(
        (&told["before"], &told["after"]),
        (&json!(TAG), &json!(ZEROS))
    );
    assert_eq!(told["checkout_sha"], Value::Null);
    let due = hooked.push(vec![RefChange::deleted(
        "refs/heads/old",
        Target::commit(COMMIT),
    )]);
    assert_eq!(value(&due[0])["object_kind"], "push");
}

/// Four refs in one push are told to nobody; three are.
#[test]
fn trap_1_more_than_three_refs_are_dropped() {
    let mut hooked = Hooked::new();
    let _id = hooked.hook();
    let tags = |count: usize, letter: char| {
        let names = (0..count).map(|number| format!("refs/tags/{letter}{number}"));
        names
            .map(|name| RefChange::created(&name, Target::commit(COMMIT)))
            .collect::<Vec<_>>()
    };
    assert_eq!(hooked.push(tags(3, 'a')).len(), 3);
    assert_eq!(hooked.push(tags(4, 'b')).len(), 0);
    hooked.scene.twin.push_event_hooks_limit = 4;
    assert_eq!(hooked.push(tags(4, 'c')).len(), 4);
}

/// Hooks get what they are for, and branches that their filter lets through; of moves they hear nothing.
#[test]
fn hooks_get_what_they_are_for() {
    let mut hooked = Hooked::new();
    let id = hooked.hook();
    let filter = json!({"tag_push_events": false, "push_events_branch_filter": "release/*"});
    assert_eq!(hooked.api("PUT", &format!("/{id}"), &filter).status, 200);
    let at = |name: &str| vec![RefChange::created(name, Target::commit(COMMIT))];
    assert_eq!(hooked.push(at("refs/tags/v9")).len(), 0);
    assert_eq!(hooked.push(at("refs/heads/feature")).len(), 0);
    assert_eq!(hooked.push(at("refs/heads/release/1")).len(), 1);
    let renamed = Change::Renamed {
        repository: hooked.scene.hello,
        to: "bonjour".to_owned(),
        by: hooked.scene.octo,
    };
    hooked.scene.twin.change(&renamed, START);
    assert_eq!(hooked.scene.twin.state_mut().hooks.due(START).len(), 0);
    let deleted = Change::Deleted {
        repository: hooked.scene.hello,
        by: hooked.scene.octo,
    };
    hooked.scene.twin.change(&deleted, START);
    assert_eq!(hooked.scene.twin.state().hooks.pointing_at("http"), 0);
    assert!(hooked.scene.twin.state().world.repositories.is_empty());
}

/// Four failures in a row, whatever their status, let a hook rest for a minute; what happens meanwhile is lost.
#[test]
fn trap_3_failing_hooks_rest() {
    let mut hooked = Hooked::new();
    let id = hooked.hook();
    for status in [400, 404, 500, 503] {
        let hooks = &hooked.scene.twin.state().hooks;
        assert!(hooks.is_live(&hooked.stored(id), START), "{status}");
        let due = hooked.push(vec![RefChange::updated("refs/heads/main", COMMIT, NEW)]);
        let hooks = &mut hooked.scene.twin.state_mut().hooks;
        let again = hooks.settle(due[0].clone(), Outcome::Answered(status), START);
        assert_eq!(again, None, "nothing is tried again");
    }
    let got = hooked.api("GET", &format!("/{id}"), &Value::Null).value();
    assert_eq!(got["alert_status"], "temporarily_disabled");
    assert_eq!(got["disabled_until"], time::rfc3339(START + 60_000));
    assert!(
        hooked
            .push(vec![RefChange::updated("refs/heads/main", COMMIT, NEW)])
            .is_empty()
    );
    let hooks = &mut hooked.scene.twin.state_mut().hooks;
    assert_eq!(
        hooks.dropped().last().map(|one| one.why),
        Some(Why::Disabled)
    );
    hooks.disable(id);
    let got = hooked.api("GET", &format!("/{id}"), &Value::Null).value();
    assert_eq!(got["alert_status"], "disabled");
    let test = hooked.api("POST", &format!("/{id}/test/push_events"), &Value::Null);
    assert_eq!(test.status, 201);
    let hooks = &mut hooked.scene.twin.state_mut().hooks;
    assert_eq!(answer(hooks, Outcome::Answered(200), START).len(), 1);
    let got = hooked.api("GET", &format!("/{id}"), &Value::Null).value();
    assert_eq!(got["alert_status"], "executable");
}

/// What was sent is listed without the token, and sent once more under the same name, five times a minute at most.
#[test]
fn trap_3_events_are_listed_and_sent_once_more() {
    let mut hooked = Hooked::new();
    let id = hooked.hook();
    let due = hooked.push(vec![RefChange::updated("refs/heads/main", COMMIT, NEW)]);
    let first = due[0].clone();
    let hooks = &mut hooked.scene.twin.state_mut().hooks;
    let _none = hooks.settle(first.clone(), Outcome::Answered(500), START);
    let failed = hooked.api(
        "GET",
        &format!("/{id}/events?status=server_failure"),
        &Value::Null,
    );
    let event = failed.value()[0].clone();
    assert_eq!(event["response_status"], "500");
    assert_eq!(event["request_headers"]["X-Gitlab-Token"], "[REDACTED]");
    assert_eq!(event["request_data"], value(&first));
    let again = format!("/{id}/events/{}/resend", event["id"]);
    let answered = hooked.api("POST", &again, &Value::Null);
    assert_eq!(
        (answered.status, answered.value()),
        (201, json!({"response_status": 200}))
    );
    let due = hooked.scene.twin.state_mut().hooks.due(START);
    let key = first.request.header("Idempotency-Key");
    assert_eq!(due[0].request.header("Idempotency-Key"), key);
    assert_eq!(due[0].request.body, first.request.body);
    for _ in 0..4 {
        assert_eq!(hooked.api("POST", &again, &Value::Null).status, 201);
    }
    assert_eq!(hooked.api("POST", &again, &Value::Null).status, 429);
    let later = hooked.request("GET", &format!("/{id}/events"), &Value::Null);
    let later = hooked.scene.ask(&later, START + 8 * time::DAY).value();
    assert_eq!(later, json!([]));
}

/// A reply that is lost leaves a hook there.
#[test]
fn a_lost_reply_leaves_a_hook() {
    let mut hooked = Hooked::new();
    hooked
        .scene
        .twin
        .state_mut()
        .hooks
        .lose_next_create(Lost::Closed);
    let request = hooked.request("POST", "", &new_hook());
    let exchange = hooked.scene.twin.exchange(&request, START);
    assert!(
        matches!(exchange, Exchange::Closed { done: true }),
        "{exchange:?}"
    );
    hooked
        .scene
        .twin
        .state_mut()
        .hooks
        .lose_next_create(Lost::Status(500));
    assert_eq!(hooked.api("GET", "", &Value::Null).status, 200);
    assert_eq!(hooked.api("POST", "", &new_hook()).status, 500);
    let hooks = &hooked.scene.twin.state().hooks;
    assert_eq!(hooks.of(hooked.scene.hello).count(), 2);
}

/// The same seed gives the same deliveries.
#[test]
fn deliveries_follow_from_the_seed() {
    let made = || {
        let mut hooked = Hooked::new();
        let _id = hooked.hook();
        let due = hooked.push(vec![RefChange::updated("refs/heads/main", COMMIT, NEW)]);
        (due[0].request.headers.clone(), due[0].request.body.clone())
    };
    assert_eq!(made(), made());
    let twin = GitLab::new("https://gitlab.example.com", 2);
    assert_eq!(twin.state().hooks.all().count(), 0);
}
