//! A receipt beside what the forge holds.

use anyhow::{Result, ensure};
use bindery_client::proto::v1::{
    CleanupStep, Receipt,
    cleanup_step::{Kind, Outcome},
};
use bindery_tests::inside::Inside;

/// Where tokens of Atlassian accounts are revoked, whatever the host.
const ATLASSIAN: &str = "https://id.atlassian.com/";

/// Whatever is alive at the forge is named with its page, and whatever is called gone is gone.
pub(super) fn is_true<F: Inside>(forge: &F, ours: &str, receipt: &Receipt) -> Result<()> {
    ensure!(
        receipt.finish_time.is_some(),
        "it has not ended: {receipt:?}"
    );
    let (hooks, alive) = (forge.hooks_pointing_at(ours), forge.alive());
    let named: Vec<_> = steps(receipt, Kind::DeleteHook)
        .filter(|step| stays(step))
        .collect();
    ensure!(
        named.len() == hooks,
        "{hooks} hooks are there, and the receipt names {}: {receipt:?}",
        named.len()
    );
    let grants: Vec<_> = steps(receipt, Kind::RevokeGrant)
        .filter(|step| stays(step))
        .collect();
    ensure!(
        alive == 0 || !grants.is_empty(),
        "{alive} tokens and grants live, and the receipt names none: {receipt:?}"
    );
    for step in named.iter().chain(&grants) {
        has_page(forge, step)?;
    }
    let complete = named.is_empty() && grants.is_empty();
    ensure!(receipt.complete == complete, "not told right: {receipt:?}");
    // Of keys there is nothing to say, for nobody has ever asked for one.
    for part in ["keys", "ssh"] {
        ensure!(forge.asked(part) == 0, "somebody asked for {part}");
    }
    Ok(())
}

fn steps(receipt: &Receipt, kind: Kind) -> impl Iterator<Item = &CleanupStep> {
    receipt.steps.iter().filter(move |step| step.kind() == kind)
}

/// Whether a step says that something stays.
pub(super) fn stays(step: &CleanupStep) -> bool {
    matches!(step.outcome(), Outcome::Failed | Outcome::Impossible)
}

/// A step that says that something stays says where a person ends it.
pub(super) fn has_page<F: Inside>(forge: &F, step: &CleanupStep) -> Result<()> {
    let web = forge.web_url();
    let mut words = step
        .message
        .split_whitespace()
        .chain([step.action_uri.as_str()]);
    ensure!(
        words.any(|word| word.starts_with(&web) || word.starts_with(ATLASSIAN)),
        "no page: {step:?}"
    );
    Ok(())
}
