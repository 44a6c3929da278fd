//! Many callers at once.

use std::sync::Arc;

use anyhow::{Result, ensure};
use bindery_tests::forge::{Forge, GitHubForge};

use crate::world::World;

/// R1: a thousand concurrent fetches on an expired link cause exactly one refresh at the forge, and all get its token.
#[tokio::test(flavor = "multi_thread")]
async fn r1_a_thousand_fetches_one_refresh() -> Result<()> {
    let mut world = World::new(GitHubForge::start(true, None).await?).await?;
    let link = world.link().await?;
    world.forge.lengthen()?;
    world.expire(&link).await?;
    let before = world.forge.refreshes().await?;
    world.forge.standin.hold_token_endpoint();
    world.client.enable_link(&link, "").await?;
    let world = Arc::new(world);
    let callers: Vec<_> = (0..1000)
        .map(|_| {
            let (world, link) = (Arc::clone(&world), link.clone());
            tokio::spawn(async move { world.token(&link).await })
        })
        .collect();
    world.forge.standin.token_endpoint_reached(1).await;
    world.forge.standin.release_token_endpoint();
    let mut tokens = Vec::new();
    for caller in callers {
        tokens.push(caller.await??);
    }
    tokens.sort();
    tokens.dedup();
    ensure!(tokens.len() == 1, "{} different tokens", tokens.len());
    let refreshes = world.forge.standin.token_refreshes() - before;
    println!("figure: R1: 1000 callers, {refreshes} refresh");
    ensure!(refreshes == 1, "{refreshes} refreshes");
    Ok(())
}
