//! What tests turn, and what they read off

use bindery_tests::github::{Fault, Options, Pat, PatKind, TokenShape};
use http::StatusCode;

use crate::scene::{Auth, SCOPE, Scene};

async fn expiring() -> anyhow::Result<Scene> {
    let token_shape = TokenShape::Expiring { access_seconds: 60 };
    Scene::start(Options {
        token_shape,
        ..Options::default()
    })
    .await
}

/// A fault hits the next request to its path, once, and the others not at all
#[tokio::test]
async fn faults_hit_one_request_each() -> anyhow::Result<()> {
    let scene = Scene::start(Options::default()).await?;
    let github = &scene.github;
    github.fail_next("/user", Fault::Status(502));
    github.fail_next("/user", Fault::RateLimited { retry_after: 7 });
    github.fail_next("/user", Fault::SecondaryLimit);
    github.fail_next("/user", Fault::CloseAfterReading);
    github.fail_next("/user", Fault::GarbageJson);
    assert_eq!(
        scene.get("/meta", Auth::Nobody).await?.status,
        StatusCode::OK
    );
    let broken = scene.get("/user", Auth::Nobody).await?;
    assert_eq!(broken.status, StatusCode::BAD_GATEWAY);
    let limited = scene.get("/user", Auth::Nobody).await?;
    assert_eq!(limited.status, StatusCode::FORBIDDEN);
    assert_eq!(limited.header("retry-after"), Some("7"));
    assert_eq!(limited.header("x-ratelimit-remaining"), Some("0"));
    let secondary = scene.get("/user", Auth::Nobody).await?;
    assert!(secondary.text.contains("secondary rate limit"));
    assert!(scene.get("/user", Auth::Nobody).await.is_err());
    let garbage = scene.get("/user", Auth::Nobody).await?;
    assert_eq!(garbage.status, StatusCode::OK);
    assert!(garbage.json.is_null());
    assert_eq!(github.pending_faults(), 0);
    assert_eq!(
        scene.get("/user", Auth::Nobody).await?.status,
        StatusCode::UNAUTHORIZED
    );
    Ok(())
}

/// A refresh whose answer is lost has happened; one that was closed before has not
#[tokio::test]
async fn a_lost_answer_has_still_rotated() -> anyhow::Result<()> {
    let scene = expiring().await?;
    let tokens = scene.tokens(SCOPE).await?;
    let refresh = tokens.text_at("refresh_token")?;
    let path = "/login/oauth/access_token";
    scene.github.fail_next(path, Fault::CloseAfterReading);
    assert!(scene.refresh(&refresh).await.is_err());
    assert_eq!(scene.github.token_refreshes(), 0);
    scene.github.fail_next(path, Fault::CommitThenClose);
    assert!(scene.refresh(&refresh).await.is_err());
    assert_eq!(scene.github.token_refreshes(), 1);
    crate::scene::refused(&scene.refresh(&refresh).await?, "bad_refresh_token");
    Ok(())
}

/// Callers pile up at a held token endpoint, and all are answered when it is released
#[tokio::test]
async fn callers_pile_up_at_a_held_token_endpoint() -> anyhow::Result<()> {
    let scene = expiring().await?;
    let refresh = scene.tokens(SCOPE).await?.text_at("refresh_token")?;
    scene.github.hold_token_endpoint();
    let release = async {
        scene.github.token_endpoint_reached(3).await;
        assert_eq!(scene.github.token_refreshes(), 0);
        scene.github.release_token_endpoint();
        Ok(())
    };
    let ask = || scene.refresh(&refresh);
    let (one, two, three, ()) = tokio::try_join!(ask(), ask(), ask(), release)?;
    let answers = [one, two, three];
    let renewed = answers
        .iter()
        .filter(|answer| answer.json["access_token"].is_string());
    assert_eq!(renewed.count(), 1);
    Ok(())
}

/// A request that is never answered ends with the stand-in
#[tokio::test]
async fn a_hanging_request_ends_with_the_stand_in() -> anyhow::Result<()> {
    let scene = Scene::start(Options::default()).await?;
    scene.github.fail_next("/meta", Fault::Hang);
    let url = format!("{}/meta", scene.base()).parse()?;
    let Scene { github, wire, .. } = scene;
    let request = http::Request::get("/").body(String::new())?;
    let asked = tokio::spawn(async move { wire.send(&url, request).await });
    while github.pending_faults() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(!asked.is_finished());
    drop(github);
    assert!(asked.await?.is_err());
    Ok(())
}

/// Every secret carries the canary and its kind's prefix, and none of them gets into the log
#[tokio::test]
async fn every_secret_carries_the_canary() -> anyhow::Result<()> {
    let options = Options {
        canary: Some("BNDRYCANARY".to_owned()),
        token_shape: TokenShape::Expiring { access_seconds: 60 },
        ..Options::default()
    };
    let scene = Scene::start(options).await?;
    let tokens = scene.tokens(SCOPE).await?;
    let kind = PatKind::Classic { scopes: &[] };
    let pat = scene.github.add_pat(
        "ada",
        &Pat {
            kind,
            expires_in: None,
        },
    )?;
    let access = tokens.text_at("access_token")?;
    assert!(access.starts_with("gho_BNDRYCANARY") && access.len() == 40);
    assert!(
        tokens
            .text_at("refresh_token")?
            .starts_with("ghr_BNDRYCANARY")
    );
    assert!(pat.starts_with("ghp_BNDRYCANARY"));
    let minted = scene.github.minted();
    // The client's secret, the code, the pair, and the personal token.
    assert_eq!(minted.len(), 5, "{}", minted.len());
    assert!(minted.iter().all(|secret| secret.contains("BNDRYCANARY")));
    scene
        .get("/user?access_token=nothing", Auth::Bearer(&access))
        .await?;
    let log = format!("{:?}", scene.github.requests("/"));
    assert!(log.contains("authorization") && !log.contains("BNDRYCANARY"));
    assert_eq!(scene.github.requests("/user").len(), 1);
    Ok(())
}

/// After many bad credentials even good ones are refused, until some time has passed
#[tokio::test]
async fn trap_2_many_bad_credentials_lock_everyone_out() -> anyhow::Result<()> {
    let options = Options {
        lockout_after: Some(2),
        ..Options::default()
    };
    let scene = Scene::start(options).await?;
    let token = scene.tokens(SCOPE).await?.text_at("access_token")?;
    for _ in 0..2 {
        let bad = scene.get("/user", Auth::Bearer("gho_bad")).await?;
        assert_eq!(bad.status, StatusCode::UNAUTHORIZED);
    }
    let locked = scene.get("/user", Auth::Bearer(&token)).await?;
    assert_eq!(locked.status, StatusCode::FORBIDDEN);
    scene.github.set_clock_offset(301);
    let open = scene.get("/user", Auth::Bearer(&token)).await?;
    assert_eq!(open.status, StatusCode::OK);
    Ok(())
}

/// The hour's budget is counted per person and told in headers; anonymous callers have 60
#[tokio::test]
async fn the_rate_limit_is_counted_and_told() -> anyhow::Result<()> {
    let scene = Scene::start(Options::default()).await?;
    // Half an hour into an hour, so that none ends while this runs.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    scene
        .github
        .set_clock_offset(1800 - i64::try_from(now.as_secs() % 3600)?);
    for used in 1..=60 {
        let answer = scene.get("/meta", Auth::Nobody).await?;
        assert_eq!(
            answer.header("x-ratelimit-used"),
            Some(used.to_string().as_str())
        );
    }
    let over = scene.get("/meta", Auth::Nobody).await?;
    assert_eq!(over.status, StatusCode::FORBIDDEN);
    assert_eq!(over.header("x-ratelimit-remaining"), Some("0"));
    Ok(())
}
