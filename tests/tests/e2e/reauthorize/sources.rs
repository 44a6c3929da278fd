//! A link that is authorized anew keeps its sources and their hooks, at every forge.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bindery_client::{
    EventWatch, ReauthorizeRequest, SourceRequest, UnlinkRequest,
    proto::v1::{Event, Source, event::Change},
};
use bindery_tests::inside::Inside;

use crate::{rows::at_every_forge, table::next_second, world::World};

/// Nothing here takes longer, or it hangs.
const PATIENCE: Duration = Duration::from_secs(120);

at_every_forge! {
    /// Another grant in the place of the first: the hook is the same one, and heard as before.
    a_reauthorization_keeps_sources_and_hooks: super::keeps
}

async fn keeps<F: Inside>(forge: F) -> Result<()> {
    let mut world = World::new(forge).await?;
    world.forge.lengthen()?;
    let link = world.link_with_hooks().await?;
    let request = SourceRequest::new(&link, "octo/hello");
    let source = world.client.create_source(request).await?;
    let events = world.client.events("namespaces/acme");
    let mut watch = events.consumer("builder").oldest().watch();
    hears(&mut world, &mut watch, &source).await?;
    let (before, token) = (hook(&world, &source).await?, world.token(&link).await?);

    next_second().await;
    let started = world
        .client
        .reauthorize_link(ReauthorizeRequest::new(&link));
    let told = started.await?.authorization.context("no authorization")?;
    world.person_links(&told.authorization_uri).await?;

    let fresh = world.token(&link).await?;
    ensure!(fresh != token, "the old grant is used");
    ensure!(world.forge.accepts(&fresh).await?, "the new one is dead");
    ensure!(
        hook(&world, &source).await? == before,
        "it is another hook than {before:?}"
    );
    hears(&mut world, &mut watch, &source).await?;
    // The hook that the first grant made goes with the second one.
    world.client.unlink(UnlinkRequest::new(&link)).await?;
    let left = world.forge.hooks_pointing_at(&ours(&world));
    ensure!(left == 0, "{left} hooks are left");
    Ok(())
}

/// A push is an event of the source.
async fn hears<F: Inside>(
    world: &mut World<F>,
    watch: &mut EventWatch,
    source: &Source,
) -> Result<()> {
    world.forge.push().await?;
    let event = next_push(watch).await?;
    ensure!(event.source == source.name, "of another source: {event:?}");
    Ok(())
}

async fn next_push(watch: &mut EventWatch) -> Result<Event> {
    loop {
        let event = tokio::time::timeout(PATIENCE, watch.next()).await;
        let event = event.context("no event came")??;
        watch.ack(&event).await?;
        if matches!(event.change, Some(Change::Push(_))) {
            return Ok(event);
        }
    }
}

/// Id and address of the source's hook, and what the forge has of ours: how many, and what they sign with.
async fn hook<F: Inside>(
    world: &World<F>,
    source: &Source,
) -> Result<(String, String, usize, Vec<String>)> {
    let seen = world.client.get_source(&source.name).await?;
    let hook = seen.hook.context("no hook")?;
    ensure!(!hook.stable_id.is_empty(), "no id: {hook:?}");
    let ours = ours(world);
    let (count, secrets) = (
        world.forge.hooks_pointing_at(&ours),
        world.forge.hook_secrets(&ours),
    );
    ensure!(count == 1, "{count} hooks");
    Ok((hook.stable_id, hook.delivery_uri, count, secrets))
}

/// How the URL of every hook of ours begins.
fn ours<F>(world: &World<F>) -> String {
    format!("{}/hooks/", world.daemon.web_url())
}
