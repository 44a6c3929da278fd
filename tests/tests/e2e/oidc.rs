//! The rules of RFC 9700, at a server that keeps them all.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use bindery_client::{UnlinkRequest, proto::v1::cleanup_step};
use bindery_tests::{
    forge::{Forge, outlive},
    oidc::Oidc,
};
use url::Url;

use crate::world::World;

/// Long enough for the steps of a link, short enough to wait for.
const SHORT: u64 = 8;
/// As many as ask at once.
const CALLERS: usize = 50;

const CALLBACK: &str = "http://127.0.0.1:9/callback";
/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A server, or none where it is not installed.
async fn server() -> Result<Option<Oidc>> {
    if let Err(reason) = Oidc::available() {
        bindery_tests::not_run(&reason);
        return Ok(None);
    }
    Oidc::start(SHORT).await.map(Some)
}

/// A redirect back to the client, after a consent with these parameters besides the usual ones.
async fn consented(forge: &mut Oidc, more: &[(&str, &str)]) -> Result<Url> {
    let client = forge.register(CALLBACK).await?;
    let mut url = Url::parse(&format!("{}/oauth/authorize", forge.web_url()))?;
    let usual = [
        ("client_id", client.id.as_str()),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("scope", "read_api"),
    ];
    url.query_pairs_mut().extend_pairs(usual).extend_pairs(more);
    let mut browser = forge.browser();
    let page = browser.get(&url).await?;
    let back = forge.sign_in_and_agree(&mut browser, page).await?;
    back.location()?.context("it does not lead back")
}

fn member(url: &Url, name: &str) -> Option<String> {
    let mut pairs = url.query_pairs();
    pairs.find_map(|(known, value)| (known == name).then(|| value.into_owned()))
}

/// The control: this server wants PKCE, says who it is, and kills the family at the second use of a refresh token.
#[tokio::test(flavor = "multi_thread")]
async fn the_server_is_strict() -> Result<()> {
    let Some(mut forge) = server().await? else {
        return Ok(());
    };
    let refused = consented(&mut forge, &[]).await?;
    ensure!(
        member(&refused, "error").as_deref() == Some("invalid_request"),
        "{refused}"
    );
    let challenge = [
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    let back = consented(&mut forge, &challenge).await?;
    ensure!(
        member(&back, "iss") == Some(forge.web_url()),
        "no issuer in {back}"
    );
    let code = member(&back, "code").context("no code")?;
    let exchange = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    let (_, first) = forge.token(&exchange).await?;
    let text = |body: &serde_json::Value| body["refresh_token"].as_str().map(str::to_owned);
    let old = text(&first).with_context(|| format!("no refresh token in {first}"))?;
    let refresh = |token| [("grant_type", "refresh_token"), ("refresh_token", token)];
    let (_, second) = forge.token(&refresh(old.as_str())).await?;
    let new = text(&second).with_context(|| format!("no refresh token in {second}"))?;
    for token in [&old, &new] {
        let (status, body) = forge.token(&refresh(token.as_str())).await?;
        ensure!(
            status == 400 && body["error"] == "invalid_grant",
            "{status} {body}"
        );
    }
    Ok(())
}

/// Link, refresh again and again, also after kill -9 and for many at once, unlink: the strict server refuses nothing on the
/// whole way.
#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_keeps_the_strict_rules() -> Result<()> {
    let Some(forge) = server().await? else {
        return Ok(());
    };
    let mut world = World::new(forge).await?;
    let link = world.link().await?;
    let identity = world.get(&link).await?.identity;
    let login = identity.map(|identity| identity.login);
    ensure!(login.as_deref() == Some("octo"), "{login:?} is bound");
    for crash in [true, false] {
        if crash {
            world.expire(&link).await?;
            world.crash().await?;
            world.client.enable_link(&link, "").await?;
        } else {
            let old = world.token(&link).await?;
            outlive(&mut world.forge, &old).await?;
            world.forge.lengthen()?;
        }
        world = fetched_by_many(world, &link).await?;
    }
    let refreshes = world.forge.refreshes().await?;
    ensure!(refreshes >= 2, "{refreshes} refreshes");
    unlinks(&mut world, &link).await?;
    let calls = world.forge.calls().await?;
    let refused = calls.iter().any(|call| !call.ends_with(" 200"));
    ensure!(!refused, "the server refused something: {calls:?}");
    Ok(())
}

/// Many fetches at once get a token each.
async fn fetched_by_many(world: World<Oidc>, link: &str) -> Result<World<Oidc>> {
    let world = Arc::new(world);
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (world, link) = (Arc::clone(&world), link.to_owned());
            tokio::spawn(async move { world.token(&link).await })
        })
        .collect();
    for caller in callers {
        caller.await??;
    }
    Arc::into_inner(world).context("a caller still runs")
}

async fn unlinks(world: &mut World<Oidc>, link: &str) -> Result<()> {
    let token = world.token(link).await?;
    let receipt = world.client.unlink(UnlinkRequest::new(link)).await?;
    let mut steps = receipt.steps.iter();
    let revoke = steps.find(|step| step.kind() == cleanup_step::Kind::RevokeGrant);
    let done = revoke.is_some_and(|step| step.outcome() == cleanup_step::Outcome::Done);
    ensure!(done, "not revoked: {receipt:?}");
    ensure!(
        !world.forge.accepts(&token).await?,
        "the token outlived the unlink"
    );
    Ok(())
}
