//! Credentials of an app installation: narrowed, leased, revoked one by one, and minted anew.

use anyhow::{Context, Result, ensure};
use bindery_client::{CredentialRequest, Error, proto::v1::cleanup_step::Outcome};
use bindery_tests::forge::outlive;
use http::StatusCode;

use crate::apps::{AppWorld, for_hello};

async fn bound() -> Result<(AppWorld, String)> {
    let app = AppWorld::new(None).await?;
    let installation = app.install()?;
    let link = app.bind("namespaces/acme", installation).await?;
    Ok((app, link.name))
}

/// What the forge lets a token do, beyond metadata, which every app has.
fn granted(app: &AppWorld, token: &str) -> Result<Vec<String>> {
    let live = app.world.forge.standin.live_tokens();
    let mut live = live.into_iter();
    let found = live.find(|known| known.secret == token);
    let scopes = found.context("the forge does not know it")?.scopes;
    Ok(scopes
        .into_iter()
        .filter(|scope| scope != "metadata:read")
        .collect())
}

/// G6: a token for one repository reaches only that one, and reads only; writing is another call and another token. The
/// forge itself says so.
#[tokio::test(flavor = "multi_thread")]
async fn g6_a_credential_reaches_one_repository() -> Result<()> {
    let (app, link) = bound().await?;
    let client = &app.world.client;
    let read = client
        .read_credential(&for_hello(&link).require_narrowed())
        .await?;
    ensure!(read.narrowed && !read.writable, "{read:?}");
    let token = read.token.expose();
    ensure!(token.len() > 500, "not the new format: {}", token.len());
    ensure!(
        granted(&app, token)? == ["contents:read"],
        "it reaches more"
    );
    let hello = app.api("GET", "/repos/octo/hello/branches", token).await?;
    let other = app.api("GET", "/repos/octo/other/branches", token).await?;
    ensure!(
        (hello, other) == (StatusCode::OK, StatusCode::NOT_FOUND),
        "{hello}, {other}"
    );
    let write = client.read_write_credential(&for_hello(&link)).await?;
    ensure!(write.narrowed && write.writable, "{write:?}");
    let token = write.token.expose();
    ensure!(granted(&app, token)? == ["contents:write"], "no writing");
    Ok(())
}

/// A token for the whole link is honestly not narrowed, and refused to those who insist on a narrow one.
#[tokio::test(flavor = "multi_thread")]
async fn a_credential_for_the_whole_link_says_so() -> Result<()> {
    let (app, link) = bound().await?;
    let all = app.world.fetch(&link).await?;
    ensure!(!all.narrowed, "it claims to be narrowed");
    let insisting = CredentialRequest::new(&link).require_narrowed();
    let refused = app.world.client.read_credential(&insisting).await;
    ensure!(
        matches!(&refused, Err(error) if error.reason() == "PROVIDER_UNSUPPORTED"),
        "{refused:?}"
    );
    Ok(())
}

/// Giving a lease back kills its token at the forge and no other; the list shows both, and after a crash as well.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_listed_and_revoked_at_the_forge() -> Result<()> {
    let (mut app, link) = bound().await?;
    let one = app.world.client.read_credential(&for_hello(&link)).await?;
    let two = app.world.client.read_credential(&for_hello(&link)).await?;
    app.world.crash().await?;
    let client = &app.world.client;
    let live = client
        .list_leases("namespaces/acme", "", false)
        .all()
        .await?;
    let names: Vec<_> = live.iter().map(|lease| &lease.name).collect();
    ensure!(
        names.contains(&&one.lease) && names.contains(&&two.lease),
        "{names:?}"
    );
    ensure!(live.iter().all(|lease| lease.narrowed), "{live:?}");
    let answer = client.revoke_lease(&one.lease).await?;
    let step = answer.step.context("no step")?;
    ensure!(step.outcome() == Outcome::Done, "{step:?}");
    let list = "/installation/repositories";
    let dead = app.api("GET", list, one.token.expose()).await?;
    let alive = app.api("GET", list, two.token.expose()).await?;
    ensure!(
        (dead, alive) == (StatusCode::UNAUTHORIZED, StatusCode::OK),
        "{dead}, {alive}"
    );
    let left = client
        .list_leases("namespaces/acme", "", false)
        .all()
        .await?;
    ensure!(
        left.iter().all(|lease| lease.name != one.lease),
        "a revoked lease is listed as live"
    );
    let all = client
        .list_leases("namespaces/acme", "", true)
        .all()
        .await?;
    let ended = all.iter().find(|lease| lease.name == one.lease);
    let ended = ended.context("the lease is forgotten")?;
    ensure!(ended.revoke_time.is_some(), "{ended:?}");
    client.revoke_lease(&one.lease).await?;
    Ok(())
}

/// Each call has a token of its own, made without a person, also after the last one has ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ends_is_minted_anew() -> Result<()> {
    let mut app = AppWorld::new(None).await?;
    app.world.forge.standin.set_installation_token_seconds(4);
    let installation = app.install()?;
    let link = app.bind("namespaces/acme", installation).await?.name;
    let first = app.world.token(&link).await?;
    app.world.forge.standin.set_installation_token_seconds(3600);
    outlive(&mut app.world.forge, &first).await?;
    let second = app.world.token(&link).await?;
    ensure!(second != first, "the old one is handed out again");
    ensure!(
        app.world.token(&link).await? != second,
        "two leases of one token"
    );
    let status = app
        .api("GET", "/installation/repositories", &second)
        .await?;
    ensure!(status == StatusCode::OK, "{status}");
    Ok(())
}

/// A repository that the installation does not cover is refused, and no token is made.
#[tokio::test(flavor = "multi_thread")]
async fn a_repository_outside_the_installation_is_refused() -> Result<()> {
    let (app, link) = bound().await?;
    let before = app.world.forge.standin.live_tokens().len();
    let absent = CredentialRequest::new(&link).repository("octo/absent");
    let refused = app.world.client.read_credential(&absent).await;
    ensure!(
        matches!(
            &refused,
            Err(Error::NotFound(_) | Error::Precondition(_) | Error::PermissionDenied(_))
        ),
        "{refused:?}"
    );
    let after = app.world.forge.standin.live_tokens().len();
    ensure!(after == before, "a token was made");
    Ok(())
}
