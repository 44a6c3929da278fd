//! The hook of the app, which the app itself looks at and changes

use super::*;

const OURS: &str = "https://bindery.test/hooks/aaaabbbbccccddddeeeeffff22";
const CONFIG: &str = "/app/hook/config";

/// The daemon as the app, without a link.
fn as_app() -> Driver<GitHub> {
    let signed = Reply::result(effect_result::Kind::Signed(true));
    driver()
        .credential(v1::Credential {
            app_id: "77".to_owned(),
            ..v1::Credential::default()
        })
        .on("SIGN_JWT", "app_private_key", signed)
}

fn about(events: &[&str], owner: &str) -> Reply {
    let body = serde_json::json!({
        "id": 77, "slug": "bindery", "html_url": "https://github.com/apps/bindery", "events": events,
        "owner": {"login": "acme", "type": owner},
    });
    Reply::json(200, body)
}

fn config(url: &str, secret: serde_json::Value) -> Reply {
    let body = serde_json::json!({
        "url": url, "content_type": "json", "insecure_ssl": "0", "secret": secret,
    });
    Reply::json(200, body)
}

fn update() -> v1::UpdateHook {
    v1::UpdateHook {
        url: OURS.to_owned(),
        scheme: "hmac-sha256".to_owned(),
        ..v1::UpdateHook::default()
    }
}

fn hooks(events: &[&str], config: Reply) -> Vec<v1::HookFacts> {
    let run = as_app()
        .on("GET", &api("/app"), about(events, "Organization"))
        .on("GET", &api(CONFIG), config)
        .run(v1::ListHooks::default());
    run.hooks().into_iter().cloned().collect()
}

/// The app tells where its hook leads and what it is told of; what differs is named, and the page is the owner's.
#[test]
fn the_hook_of_the_app_is_told() {
    let told = hooks(&["push", "repository"], config(OURS, "********".into()));
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].url, OURS);
    assert!(told[0].active && told[0].deviations.is_empty());
    assert_eq!(
        told[0].web_uri,
        "https://github.com/organizations/acme/settings/apps/bindery"
    );
    let told = hooks(&["push"], config(OURS, serde_json::Value::Null));
    assert_eq!(told[0].deviations, ["events", "secret"]);
    assert_eq!(hooks(&[], Reply::json(404, "{}")), []);
}

/// Address and secret are set as the app, with all that makes a hook; nothing is asked for with a link's token.
#[test]
fn the_hook_of_the_app_is_set() {
    let run = as_app()
        .on("GET", &api("/app"), about(&["push", "repository"], "User"))
        .on("PATCH", &api(CONFIG), config(OURS, "********".into()))
        .run(update());
    assert_eq!(
        run.requests[1].body,
        format!(
            r#"{{"url":"{OURS}","content_type":"json","insecure_ssl":"0","secret":<secret:hook_secret json>}}"#
        )
    );
    assert_eq!(
        run.hook().web_uri,
        "https://github.com/settings/apps/bindery"
    );
}

/// A hook that is switched off can be switched on by a person only, who is told where.
#[test]
fn an_inactive_hook_names_its_page() {
    let run = as_app()
        .on("GET", &api("/app"), about(&[], "Organization"))
        .on("PATCH", &api(CONFIG), Reply::json(404, "{}"))
        .run(update());
    let failure = run.failure();
    assert_eq!(failure.code(), Code::PermissionDenied);
    assert_eq!(
        failure.action_uri,
        "https://github.com/organizations/acme/settings/apps/bindery"
    );
}

/// What the app was sent is listed over its pages and sent again; a ping is the newest once more.
#[test]
fn deliveries_of_the_app_are_sent_again() {
    let sent = |id: u32, at: &str| {
        serde_json::json!([{"id": id, "guid": format!("g{id}"), "event": "push", "status_code": 502,
            "delivered_at": at}])
    };
    let list = api("/app/hook/deliveries?per_page=100");
    let next = api("/app/hook/deliveries?per_page=100&cursor=v1");
    let link = format!("<{next}>; rel=\"next\"");
    let run = as_app()
        .on(
            "GET",
            &list,
            Reply::json(200, sent(2, "2026-11-30T08:00:00Z")).header("link", &link),
        )
        .on(
            "GET",
            &next,
            Reply::json(200, sent(1, "2026-11-29T08:00:00Z")),
        )
        .run(v1::ListDeliveries {
            since_unix_ms: 1,
            ..v1::ListDeliveries::default()
        });
    let ids: Vec<_> = run
        .sent_deliveries()
        .iter()
        .map(|one| one.sent_id.clone())
        .collect();
    assert_eq!(ids, ["2", "1"]);
    let again = api("/app/hook/deliveries/2/attempts");
    let run = as_app()
        .on("POST", &again, Reply::json(202, "{}"))
        .run(v1::Redeliver {
            sent_id: "2".to_owned(),
            ..v1::Redeliver::default()
        });
    assert!(run.outcome.is_ok());
    let run = as_app()
        .on(
            "GET",
            &api("/app/hook/deliveries?per_page=1"),
            Reply::json(200, sent(2, "2026-11-30T08:00:00Z")),
        )
        .on("POST", &again, Reply::json(202, "{}"))
        .run(v1::PingHook::default());
    assert!(run.outcome.is_ok());
    let none = as_app()
        .on(
            "GET",
            &api("/app/hook/deliveries?per_page=1"),
            Reply::json(200, "[]"),
        )
        .run(v1::PingHook::default());
    assert_eq!(none.failure().code(), Code::Unsupported);
}
