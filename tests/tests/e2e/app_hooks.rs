//! The hook of a GitHub App: set by the daemon itself, the only one that sources of installations need, and what shows that an
//! installation ended.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bindery_client::{
    AppHookRequest, EventWatch, SourceRequest,
    proto::v1::{
        Event, Hook,
        event::Change,
        hook,
        observed_state::{Cause, Stage},
    },
};
use bindery_tests::github::GitHub;

use crate::apps::AppWorld;

/// Nothing here takes longer, or it hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the host shows of the app's hook, once it is so.
async fn hook_when(app: &AppWorld, is: impl Fn(&Hook) -> bool) -> Result<Hook> {
    let wait = async {
        loop {
            let host = app.world.client.get_host("hosts/forge").await?;
            let hook = host.app.and_then(|app| app.hook).context("no hook")?;
            if is(&hook) {
                return Ok(hook);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .context("the hook of the app does not become so")?
}

fn standin(app: &AppWorld) -> &GitHub {
    &app.world.forge.standin
}

/// The app's hook is active in its settings, and leads here.
async fn with_hook() -> Result<AppWorld> {
    let app = AppWorld::new(None).await?;
    standin(&app).activate_app_hook(app.app.app_id, &["push", "repository"])?;
    let request = AppHookRequest::new("hosts/forge");
    app.world.client.set_up_app_hook(request).await?;
    Ok(app)
}

/// The next event that is about a ref or about access, acknowledged.
async fn next(watch: &mut EventWatch) -> Result<Event> {
    loop {
        let event = tokio::time::timeout(PATIENCE, watch.next())
            .await
            .context("no event came")??;
        watch.ack(&event).await?;
        if matches!(
            event.change,
            Some(Change::Push(_) | Change::TagCreated(_) | Change::AccessChanged(_))
        ) {
            return Ok(event);
        }
    }
}

fn lost(event: &Event) -> Option<(bool, String)> {
    match &event.change {
        Some(Change::AccessChanged(change)) => {
            let reason = change.finding.as_ref().map(|found| found.reason.clone());
            Some((change.lost, reason.unwrap_or_default()))
        }
        _ => None,
    }
}

/// The daemon sets the app's hook with a secret that nobody else has; a source of an installation then makes no hook of its own,
/// a push is told once, and what becomes of the installation shows at once, without anybody asking.
#[tokio::test(flavor = "multi_thread")]
async fn the_hook_of_an_app_serves_its_installations() -> Result<()> {
    let app = with_hook().await?;
    let set = standin(&app).app_hook(app.app.app_id).context("no hook")?;
    let shown = hook_when(&app, |hook| hook.state() == hook::State::Silent).await?;
    ensure!(set.url == shown.delivery_uri && !set.form && set.verifies_tls);
    ensure!(set.secret.as_ref().is_some_and(|secret| secret.len() == 64));

    let installation = app.install()?;
    let link = app.bind("namespaces/acme", installation).await?.name;
    let request = SourceRequest::new(&link, "octo/hello");
    let source = app.world.client.create_source(request).await?;
    let own = source.hook.context("no hook")?;
    ensure!(own.by_app && own.delivery_uri.is_empty(), "{own:?}");
    ensure!(
        standin(&app).hooks("octo/hello").is_empty(),
        "it has a hook of its own"
    );

    let mut watch = app
        .world
        .client
        .events("namespaces/acme")
        .consumer("builder")
        .oldest()
        .watch();
    standin(&app).add_tag("octo/hello", "v1", false)?;
    let event = next(&mut watch).await?;
    ensure!(
        matches!(&event.change, Some(Change::TagCreated(tag)) if tag.r#ref == "refs/tags/v1"),
        "{event:?}"
    );
    ensure!(event.source == source.name);
    hook_when(&app, |hook| hook.state() == hook::State::Verified).await?;

    standin(&app).suspend_installation(installation, true)?;
    let event = next(&mut watch).await?;
    ensure!(
        lost(&event) == Some((true, "APP_SUSPENDED".to_owned())),
        "{event:?}"
    );
    standin(&app).uninstall(installation)?;
    let event = next(&mut watch).await?;
    ensure!(
        lost(&event) == Some((true, "APP_UNINSTALLED".to_owned())),
        "{event:?}"
    );
    let observed = app.world.client.get_link(&link).await?.observed;
    let observed = observed.context("no state")?;
    ensure!(
        (observed.stage(), observed.cause())
            == (Stage::NeedsReauthorization, Cause::AppUninstalled)
    );
    ensure!(observed.action_uri.contains("/apps/"), "{observed:?}");
    Ok(())
}

/// An app whose hook is not active has none that could be set: that is said with what to do, and sources have hooks of their
/// own where the installation may make them.
#[tokio::test(flavor = "multi_thread")]
async fn an_inactive_hook_of_an_app_is_said() -> Result<()> {
    let app = AppWorld::new(None).await?;
    let hook = hook_when(&app, |hook| hook.state() == hook::State::Missing).await?;
    ensure!(
        hook.message.contains("not active") && hook.message.contains("/hooks/"),
        "{hook:?}"
    );
    let set = app
        .world
        .client
        .set_up_app_hook(AppHookRequest::new("hosts/forge"))
        .await;
    ensure!(set.is_err(), "a hook that is not active was set");
    Ok(())
}
