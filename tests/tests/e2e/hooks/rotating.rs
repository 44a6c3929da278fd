//! New secrets for a hook, and whether it got them.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use bindery_client::{
    Client, RotationRequest,
    proto::v1::{HookRotation, hook_rotation::State},
};

/// Nothing here takes longer, or it hangs.
const PATIENCE: Duration = Duration::from_secs(150);

/// Rotates so many times, one rotation after the other, each to its end: every one gave the hook of the source a secret that
/// it had not had before.
pub(super) async fn rotate(client: &Client, source: &str, times: usize) -> Result<()> {
    let mut prints = BTreeSet::from([fingerprint(client, source).await?]);
    for _ in 0..times {
        let ask = RotationRequest::new("namespaces/acme").overlap(Duration::from_secs(3600));
        let asked = client.rotate_hook_secrets(ask).await?;
        let ended = ended(client, &asked.name).await?;
        let counts = (ended.total_count, ended.done_count, ended.failed_count);
        ensure!(
            ended.state() == State::Done && counts == (1, 1, 0),
            "{ended:?}"
        );
        let print = fingerprint(client, source).await?;
        ensure!(prints.insert(print), "the secret is an old one: {ended:?}");
    }
    Ok(())
}

/// A rotation that has dealt with every hook.
async fn ended(client: &Client, rotation: &str) -> Result<HookRotation> {
    let started = Instant::now();
    loop {
        let seen = client.get_hook_rotation(rotation).await?;
        if seen.finish_time.is_some() {
            return Ok(seen);
        }
        ensure!(started.elapsed() < PATIENCE, "it does not end: {seen:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What tells the secret of a hook from another.
async fn fingerprint(client: &Client, source: &str) -> Result<String> {
    let hook = client.get_source(source).await?.hook.context("no hook")?;
    let facts = hook.secret_facts.context("nothing about its secret")?;
    ensure!(!facts.fingerprint.is_empty(), "{facts:?}");
    Ok(facts.fingerprint)
}
