//! The OAuth way, from the consent page to the end of a grant

use anyhow::Context;
use bindery_tests::github::{Decision, Options, Pat, PatKind, TokenShape};
use http::{Request, StatusCode};
use serde_json::json;
use url::Url;

use crate::scene::{Auth, CALLBACK, SCOPE, Scene, VERIFIER, query, refused};

const EXPIRING: TokenShape = TokenShape::Expiring {
    access_seconds: 28_800,
};

fn expiring() -> Options {
    Options {
        token_shape: EXPIRING,
        ..Options::default()
    }
}

/// A person sees who asks for what; agreeing leads back with a code and the state, and the code is
/// good for one exchange with the right verifier
#[tokio::test]
async fn a_person_agrees_and_the_code_works_once() -> anyhow::Result<()> {
    let scene = Scene::start(Options::default()).await?;
    let mut browser = scene.github.browser();
    scene.github.sign_in(&mut browser, &scene.ada).await?;
    let page = browser.open(&scene.authorize_url(SCOPE)?).await?;
    for said in [
        "Bindery",
        "full control of public and private repositories",
        "127.0.0.1:9",
    ] {
        assert!(page.body.contains(said), "{said}: {}", page.body);
    }
    let form = page.form_with("authorize")?.press("authorize", "1");
    let callback = browser.submit(&form).await?.location()?;
    let callback = callback.context("no redirect")?;
    assert_eq!(query(&callback, "state").as_deref(), Some("st4te"));
    let code = query(&callback, "code").context("no code")?;

    let tokens = scene.exchange(&code, VERIFIER).await?;
    assert_eq!(tokens.json["scope"], "read:org,repo");
    assert_eq!(tokens.json["token_type"], "bearer");
    assert_eq!(tokens.json.get("refresh_token"), None);
    assert_eq!(tokens.json.get("expires_in"), None);
    refused(
        &scene.exchange(&code, VERIFIER).await?,
        "bad_verification_code",
    );

    let access = tokens.text_at("access_token")?;
    let user = scene.get("/user", Auth::Bearer(&access)).await?;
    assert_eq!(user.json["login"], "ada");
    assert_eq!(user.json["id"], scene.ada.id);
    assert_eq!(user.header("x-oauth-scopes"), Some("read:org, repo"));
    assert_eq!(user.header("x-accepted-oauth-scopes"), Some(""));
    Ok(())
}

/// A code whose challenge was S256 needs its verifier, and no other method is taken
#[tokio::test]
async fn pkce_is_enforced() -> anyhow::Result<()> {
    let scene = Scene::start(Options::default()).await?;
    for wrong in ["wrong", ""] {
        let code = scene.code(SCOPE).await?;
        refused(
            &scene.exchange(&code, wrong).await?,
            "bad_verification_code",
        );
    }
    let plain = scene
        .authorize_url(SCOPE)?
        .as_str()
        .replace("S256", "plain");
    let callback = scene
        .callback(&Url::parse(&plain)?, Decision::Agree)
        .await?;
    assert_eq!(
        query(&callback, "error").as_deref(),
        Some("invalid_request")
    );
    assert_eq!(query(&callback, "code"), None);
    Ok(())
}

/// A refusal, a foreign redirect, and every wrong exchange come back as GitHub words them
#[tokio::test]
async fn refusals_are_worded_as_documented() -> anyhow::Result<()> {
    let scene = Scene::start(Options::default()).await?;
    let url = scene.authorize_url(SCOPE)?;
    let callback = scene.callback(&url, Decision::Refuse).await?;
    assert_eq!(query(&callback, "error").as_deref(), Some("access_denied"));
    assert_eq!(query(&callback, "state").as_deref(), Some("st4te"));

    let foreign = url.as_str().replace("127.0.0.1%3A9", "evil.example");
    let callback = scene
        .callback(&Url::parse(&foreign)?, Decision::Agree)
        .await?;
    assert!(callback.as_str().starts_with(CALLBACK), "{callback}");
    assert_eq!(
        query(&callback, "error").as_deref(),
        Some("redirect_uri_mismatch")
    );

    let code = scene.code(SCOPE).await?;
    let elsewhere = [
        ("code", code.as_str()),
        ("redirect_uri", "http://evil.example/"),
    ];
    refused(
        &scene.token_endpoint(&elsewhere).await?,
        "redirect_uri_mismatch",
    );
    let secret = [("client_secret", "wrong")];
    refused(
        &scene.token_endpoint(&secret).await?,
        "incorrect_client_credentials",
    );
    let password = [("grant_type", "password")];
    refused(
        &scene.token_endpoint(&password).await?,
        "unsupported_grant_type",
    );
    refused(&scene.refresh("ghr_nothing").await?, "bad_refresh_token");

    let late = scene.code(SCOPE).await?;
    scene.github.set_clock_offset(601);
    refused(
        &scene.exchange(&late, VERIFIER).await?,
        "bad_verification_code",
    );
    Ok(())
}

/// Without an `Accept` header the answer is a form
#[tokio::test]
async fn trap_2_the_token_endpoint_answers_a_form_unless_asked() -> anyhow::Result<()> {
    let scene = Scene::start(Options::default()).await?;
    let url = scene
        .github
        .url("/login/oauth/access_token?client_id=nobody")?;
    let answer = scene
        .send(&url, Request::post("/").body(String::new())?)
        .await?;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(
        answer
            .text
            .starts_with("error=incorrect_client_credentials&")
    );
    let kind = answer.header("content-type").unwrap_or_default();
    assert!(
        kind.starts_with("application/x-www-form-urlencoded"),
        "{kind}"
    );
    Ok(())
}

/// A refresh ends the old access token and the old refresh token at once
#[tokio::test]
async fn a_refresh_works_once_and_ends_both_old_tokens() -> anyhow::Result<()> {
    let scene = Scene::start(expiring()).await?;
    let first = scene.tokens(SCOPE).await?;
    assert_eq!(first.json["expires_in"], 28_800);
    assert_eq!(first.json["refresh_token_expires_in"], 15_897_600);
    let (access, refresh) = (
        first.text_at("access_token")?,
        first.text_at("refresh_token")?,
    );
    assert!(access.starts_with("gho_") && refresh.starts_with("ghr_"));

    let second = scene.refresh(&refresh).await?;
    let old = scene.get("/user", Auth::Bearer(&access)).await?;
    assert_eq!(old.status, StatusCode::UNAUTHORIZED);
    assert_eq!(old.json["message"], "Bad credentials");
    refused(&scene.refresh(&refresh).await?, "bad_refresh_token");
    let fresh = second.text_at("access_token")?;
    let user = scene.get("/user", Auth::Bearer(&fresh)).await?;
    assert_eq!(user.status, StatusCode::OK);
    assert_eq!(scene.github.token_refreshes(), 1);
    assert_eq!(scene.github.live_tokens().len(), 2);
    Ok(())
}

/// Tokens end by the stand-in's own clock, access long before refresh
#[tokio::test]
async fn tokens_expire_without_waiting() -> anyhow::Result<()> {
    let scene = Scene::start(expiring()).await?;
    let tokens = scene.tokens(SCOPE).await?;
    let access = tokens.text_at("access_token")?;
    scene.github.set_clock_offset(28_801);
    let late = scene.get("/user", Auth::Bearer(&access)).await?;
    assert_eq!(late.status, StatusCode::UNAUTHORIZED);
    let renewed = scene.refresh(&tokens.text_at("refresh_token")?).await?;
    scene.github.set_clock_offset(28_801 + 15_897_601);
    let refresh = renewed.text_at("refresh_token")?;
    refused(&scene.refresh(&refresh).await?, "bad_refresh_token");
    assert!(scene.github.live_tokens().is_empty());
    Ok(())
}

/// An app whose tokens don't expire gets expiring ones where a request asks for offline access
#[tokio::test]
async fn offline_access_asks_for_expiring_tokens() -> anyhow::Result<()> {
    let scene = Scene::start(Options::default()).await?;
    let tokens = scene.tokens("repo offline_access").await?;
    assert_eq!(tokens.json["expires_in"], 28_800);
    assert_eq!(tokens.json["scope"], "repo");
    Ok(())
}

/// Who agreed once isn't asked again, and a request without scopes gets all that was agreed to
#[tokio::test]
async fn agreements_are_remembered() -> anyhow::Result<()> {
    let scene = Scene::start(Options::default()).await?;
    scene.code("repo").await?;
    scene.code("read:org").await?;
    let mut browser = scene.github.browser();
    scene.github.sign_in(&mut browser, &scene.ada).await?;
    let redirect = browser.get(&scene.authorize_url("")?).await?;
    let callback = redirect.location()?.context("asked again")?;
    let code = query(&callback, "code").context("no code")?;
    let tokens = scene.exchange(&code, VERIFIER).await?;
    assert_eq!(tokens.json["scope"], "read:org,repo");
    let select = format!("{}&prompt=select_account", scene.authorize_url("repo")?);
    let page = browser.get(&Url::parse(&select)?).await?;
    assert!(page.body.contains("Continue as ada"), "{}", page.body);
    Ok(())
}

/// The eleventh token for the same person, app and scope ends the first
#[tokio::test]
async fn ten_tokens_live_at_most() -> anyhow::Result<()> {
    let scene = Scene::start(Options::default()).await?;
    let mut tokens = Vec::new();
    for _ in 0..11 {
        tokens.push(scene.tokens(SCOPE).await?.text_at("access_token")?);
    }
    let first = scene.get("/user", Auth::Bearer(&tokens[0])).await?;
    let second = scene.get("/user", Auth::Bearer(&tokens[1])).await?;
    assert_eq!(first.status, StatusCode::UNAUTHORIZED);
    assert_eq!(second.status, StatusCode::OK);
    Ok(())
}

/// An app revokes one token, or all that a person allowed it; a person does so in the settings
#[tokio::test]
async fn revocation_ends_tokens() -> anyhow::Result<()> {
    let scene = Scene::start(expiring()).await?;
    let app = || Auth::Basic(&scene.app.client_id, &scene.app.client_secret);
    let path = |what| format!("/applications/{}/{what}", scene.app.client_id);
    let one = scene.tokens(SCOPE).await?;
    let body = || json!({ "access_token": one.json["access_token"] });
    let check = scene
        .api("POST", &path("token"), app(), Some(body()))
        .await?;
    assert_eq!(check.json["scopes"], json!(["read:org", "repo"]));
    let wrong = Auth::Basic(&scene.app.client_id, "wrong");
    let wrong = scene
        .api("DELETE", &path("token"), wrong, Some(body()))
        .await?;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    let nothing = scene
        .api("DELETE", &path("token"), app(), Some(json!({})))
        .await?;
    assert_eq!(nothing.status, StatusCode::UNPROCESSABLE_ENTITY);
    let gone = scene
        .api("DELETE", &path("token"), app(), Some(body()))
        .await?;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    let again = scene
        .api("DELETE", &path("token"), app(), Some(body()))
        .await?;
    assert_eq!(again.status, StatusCode::NOT_FOUND);
    let refresh = one.text_at("refresh_token")?;
    refused(&scene.refresh(&refresh).await?, "bad_refresh_token");

    let (two, _three) = (scene.tokens(SCOPE).await?, scene.tokens("repo").await?);
    let body = json!({ "access_token": two.json["access_token"] });
    let gone = scene
        .api("DELETE", &path("grant"), app(), Some(body))
        .await?;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    assert!(scene.github.live_tokens().is_empty());

    scene.tokens(SCOPE).await?;
    let mut browser = scene.github.browser();
    scene.github.sign_in(&mut browser, &scene.ada).await?;
    let client_id = &scene.app.client_id;
    scene.github.revoke_grant(&mut browser, client_id).await?;
    assert!(scene.github.live_tokens().is_empty());
    Ok(())
}

/// Whoever finds credentials can revoke them, and only without signing in
#[tokio::test]
async fn found_credentials_can_be_revoked() -> anyhow::Result<()> {
    let scene = Scene::start(Options::default()).await?;
    let pat = Pat {
        kind: PatKind::Classic { scopes: &["repo"] },
        expires_in: None,
    };
    let pat = scene.github.add_pat("ada", &pat)?;
    let body = json!({ "credentials": [pat, "ghp_unknown"] });
    let path = "/credentials/revoke";
    let signed = scene
        .api("POST", path, Auth::Bearer(&pat), Some(body.clone()))
        .await?;
    assert_eq!(signed.status, StatusCode::FORBIDDEN);
    let done = scene.api("POST", path, Auth::Nobody, Some(body)).await?;
    assert_eq!(done.status, StatusCode::ACCEPTED);
    let dead = scene.get("/user", Auth::Bearer(&pat)).await?;
    assert_eq!(dead.status, StatusCode::UNAUTHORIZED);
    Ok(())
}

/// A form that another site sends changes nothing
#[tokio::test]
async fn forms_are_taken_from_the_own_pages_only() -> anyhow::Result<()> {
    let scene = Scene::start(Options::default()).await?;
    let mut browser = scene.github.browser();
    scene.github.sign_in(&mut browser, &scene.ada).await?;
    let fields = [
        ("client_id", scene.app.client_id.as_str()),
        ("authorize", "1"),
    ];
    let url = scene.github.url("/login/oauth/authorize")?;
    let answer = browser.post(&url, &fields).await?;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    Ok(())
}
