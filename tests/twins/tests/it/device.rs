//! The device flow.

use bindery_twins::{Twin, http::Request};
use serde_json::Value;

use crate::scene::{START, Scene};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

fn begin(scene: &mut Scene) -> Value {
    let id = scene.client.id.clone();
    let fields = [("client_id", id.as_str()), ("scope", "read_user")];
    let request = Request::form("/root/oauth/authorize_device", &fields);
    scene.ask(&request, START).value()
}

fn poll(scene: &mut Scene, begun: &Value, now_ms: u64) -> Value {
    let device = begun["device_code"]
        .as_str()
        .expect("a device code")
        .to_owned();
    let fields = [("grant_type", GRANT), ("device_code", &device)];
    scene.token(&fields, now_ms).value()
}

/// Pending until somebody decides; then tokens, once.
#[test]
fn a_device_gets_tokens_once_somebody_agreed() {
    let mut scene = Scene::new();
    let begun = begin(&mut scene);
    assert_eq!(
        begun["verification_uri"],
        "https://gitlab.example.com/root/oauth/device"
    );
    assert_eq!(
        poll(&mut scene, &begun, START)["error"],
        "authorization_pending"
    );
    let code = begun["user_code"].as_str().expect("a user code");
    let fields = [("user_code", code), ("login", "octo")];
    let page = scene.ask(&Request::form("/root/oauth/device", &fields), START);
    assert_eq!(page.status, 200);
    let tokens = poll(&mut scene, &begun, START + 5_000);
    let access = tokens["access_token"].as_str().expect("an access token");
    assert!(scene.takes(access, START + 5_000));
    assert_eq!(
        poll(&mut scene, &begun, START + 10_000)["error"],
        "invalid_grant"
    );
}

/// Who polls too often waits longer from then on.
#[test]
fn slow_down_counts_for_later_polls() {
    let mut scene = Scene::new();
    let begun = begin(&mut scene);
    poll(&mut scene, &begun, START);
    assert_eq!(
        poll(&mut scene, &begun, START + 4_999)["error"],
        "slow_down"
    );
    assert_eq!(
        poll(&mut scene, &begun, START + 14_998)["error"],
        "slow_down"
    );
    assert_eq!(
        poll(&mut scene, &begun, START + 29_998)["error"],
        "authorization_pending"
    );
}

/// A refusal and the end of the code are told apart.
#[test]
fn refused_and_expired() {
    let mut scene = Scene::new();
    let begun = begin(&mut scene);
    let code = begun["user_code"].as_str().expect("a user code");
    assert!(
        scene
            .twin
            .state_mut()
            .oauth
            .decide_device(code, None, START)
    );
    assert_eq!(poll(&mut scene, &begun, START)["error"], "access_denied");
    let begun = begin(&mut scene);
    assert_eq!(
        poll(&mut scene, &begun, START + 300_000)["error"],
        "expired_token"
    );
}
