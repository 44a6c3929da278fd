//! The device flow, people who are suspended, and replicas that lag behind

use bindery_tests::github::{Decision, Options, TokenShape};
use http::{Request, StatusCode};
use url::form_urlencoded;

use crate::scene::{Answer, Auth, SCOPE, Scene};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

async fn begin(scene: &Scene) -> anyhow::Result<Answer> {
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair("client_id", &scene.app.client_id)
        .append_pair("scope", SCOPE)
        .finish();
    let request = Request::post("/")
        .header("accept", "application/json")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body)?;
    let url = scene.github.url("/login/device/code")?;
    scene.send(&url, request).await
}

/// A machine has no secret
async fn poll(scene: &Scene, code: &str) -> anyhow::Result<Answer> {
    scene
        .token_request(&[
            ("client_id", scene.app.client_id.as_str()),
            ("grant_type", GRANT),
            ("device_code", code),
        ])
        .await
}

fn says(answer: &Answer, error: &str) {
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json["error"], error, "{}", answer.text);
}

/// A machine waits, is told to slow down by five seconds, and gets its token once the person agreed
#[tokio::test]
async fn a_device_gets_its_token() -> anyhow::Result<()> {
    let scene = Scene::start(Options::default()).await?;
    let begun = begin(&scene).await?;
    assert_eq!(begun.json["expires_in"], 900);
    assert_eq!(begun.json["interval"], 5);
    let (code, user_code) = (begun.text_at("device_code")?, begun.text_at("user_code")?);
    says(&poll(&scene, &code).await?, "authorization_pending");
    let fast = poll(&scene, &code).await?;
    says(&fast, "slow_down");
    assert_eq!(fast.json["interval"], 10);
    let mut browser = scene.github.browser();
    scene
        .github
        .let_device_in(&mut browser, &scene.ada, &user_code, Decision::Agree)
        .await?;
    scene.github.set_clock_offset(60);
    let token = poll(&scene, &code).await?.text_at("access_token")?;
    let user = scene.get("/user", Auth::Bearer(&token)).await?;
    assert_eq!(user.json["login"], "ada");
    says(&poll(&scene, &code).await?, "incorrect_device_code");
    Ok(())
}

/// Who is refused, too late, or not allowed to is told so
#[tokio::test]
async fn a_device_is_refused() -> anyhow::Result<()> {
    let scene = Scene::start(Options::default()).await?;
    let begun = begin(&scene).await?;
    let (code, user_code) = (begun.text_at("device_code")?, begun.text_at("user_code")?);
    let mut browser = scene.github.browser();
    scene
        .github
        .let_device_in(&mut browser, &scene.ada, &user_code, Decision::Refuse)
        .await?;
    says(&poll(&scene, &code).await?, "access_denied");
    let late = begin(&scene).await?.text_at("device_code")?;
    scene.github.set_clock_offset(901);
    says(&poll(&scene, &late).await?, "expired_token");
    scene.github.disable_device_flow(&scene.app.client_id);
    says(&begin(&scene).await?, "device_flow_disabled");
    Ok(())
}

/// A suspended person's tokens are refused with 403, and good again afterwards
#[tokio::test]
async fn a_suspended_person_is_refused() -> anyhow::Result<()> {
    let scene = Scene::start(Options::default()).await?;
    let token = scene.tokens(SCOPE).await?.text_at("access_token")?;
    scene.github.suspend_user("ada", true);
    let answer = scene.get("/user", Auth::Bearer(&token)).await?;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(answer.json["message"], "Sorry. Your account was suspended");
    scene.github.suspend_user("ada", false);
    let answer = scene.get("/user", Auth::Bearer(&token)).await?;
    assert_eq!(answer.status, StatusCode::OK);
    Ok(())
}

/// A token that a refresh made is unknown to the API for as many requests as the knob says
#[tokio::test]
async fn a_replica_lags_after_a_refresh() -> anyhow::Result<()> {
    let scene = Scene::start(Options {
        token_shape: TokenShape::Expiring {
            access_seconds: 28_800,
        },
        ..Options::default()
    })
    .await?;
    scene.github.set_replica_lag(2);
    let first = scene.tokens(SCOPE).await?;
    let fresh = scene.refresh(&first.text_at("refresh_token")?).await?;
    let token = fresh.text_at("access_token")?;
    for status in [401, 401, 200] {
        let answer = scene.get("/user", Auth::Bearer(&token)).await?;
        assert_eq!(answer.status.as_u16(), status);
    }
    Ok(())
}
