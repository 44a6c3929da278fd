//! What providers never told, or told in vain: it is found, and comes once.

use std::time::Duration;

use anyhow::{Result, ensure};
use bindery_client::proto::v1::event::Origin;
use bindery_tests::{
    bitbucket::BitbucketCloudForge,
    forge::{GitHubForge, TwinForge},
    inside::Changing,
};
use bindery_twins::{Twin as _, gitlab::GitLab, hooks::Why};

use super::{
    expected::{Seen, pushed, tagged},
    registry::Followed,
};

/// Refs are compared once a minute, and it is looked once a minute at which ones; the rest is for slow machines.
const INTERVAL: Duration = Duration::from_secs(300);
/// More than GitHub and GitLab tell of at once.
const TAGS: [&str; 5] = ["v2", "v3", "v4", "v5", "v6"];

/// A repository that was pushed to before it was a source.
async fn followed<F: Changing>(forge: F, minutes: u32) -> Result<(Followed<F>, String)> {
    let head = forge.commit("main", ("NEWS.md", "first\n"))?;
    Ok((Followed::start(forge, minutes).await?, head))
}

impl<F: Changing> Followed<F> {
    /// Exactly these are found, in whatever order.
    async fn finds(&mut self, origin: Origin, wanted: &[Seen]) -> Result<()> {
        let events = self.registry.next_within(wanted.len(), INTERVAL).await?;
        let mut came = Vec::new();
        for event in &events {
            ensure!(event.origin() == origin, "{event:?}");
            came.extend(Seen::of(event));
        }
        came.sort();
        ensure!(came == wanted, "{came:#?} came instead of {wanted:#?}");
        Ok(())
    }

    /// The next event is of a push that is delivered: nothing else is left to be told.
    async fn has_no_more(&mut self, head: &str) -> Result<()> {
        let caught = self.catch_up().await?;
        ensure!(
            caught.events.is_empty() && caught.recovered_deliveries == 0,
            "{caught:?}"
        );
        let commit = self.world.forge.commit("main", ("NEWS.md", "mark\n"))?;
        self.world.forge.told().await;
        self.registry.expect(&[pushed("main", head, &commit)]).await
    }
}

fn all_tagged(commit: &str) -> Vec<Seen> {
    TAGS.iter().map(|tag| tagged(tag, commit)).collect()
}

/// GitLab tells of no tag where more than three are pushed at once. They are found at the configured interval.
#[tokio::test(flavor = "multi_thread")]
async fn tags_that_nobody_told_of_are_found_at_the_interval() -> Result<()> {
    let (mut followed, head) = followed(TwinForge::<GitLab>::start(false).await?, 1).await?;
    followed.world.forge.add_tags(&TAGS, false)?;
    followed.world.forge.told().await;
    ensure!(followed.world.forge.sent().is_empty(), "it was told");
    followed
        .finds(Origin::Reconciliation, &all_tagged(&head))
        .await?;
    followed.has_no_more(&head).await
}

/// GitHub tells of no tag either where more than three are pushed at once. They are found when somebody asks.
#[tokio::test(flavor = "multi_thread")]
async fn tags_that_nobody_told_of_are_found_on_request() -> Result<()> {
    let (mut followed, head) = followed(GitHubForge::start(false, None).await?, 0).await?;
    followed.world.forge.told().await;
    let before = followed.world.forge.sent().len();
    followed.world.forge.add_tags(&TAGS, false)?;
    followed.world.forge.told().await;
    ensure!(followed.world.forge.sent().len() == before, "it was told");
    let caught = followed.catch_up().await?;
    ensure!(caught.changed_refs == 5, "{caught:?}");
    followed
        .finds(Origin::Reconciliation, &all_tagged(&head))
        .await?;
    followed.has_no_more(&head).await
}

/// Bitbucket sends no delivery that is too large, and tells nobody.
#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_was_too_large_to_tell_is_found() -> Result<()> {
    let (mut followed, head) = followed(BitbucketCloudForge::start().await?, 0).await?;
    let served = &followed.world.forge.served;
    let limit = |bytes| served.with(|twin| twin.state_mut().hooks.rules.payload_limit = bytes);
    let real = served.with(|twin| twin.state().hooks.rules.payload_limit);
    limit(100);
    let commit = followed
        .world
        .forge
        .commit("main", ("NEWS.md", "large\n"))?;
    limit(real);
    let dropped = served.with(|twin| twin.state().hooks.dropped().to_vec());
    ensure!(
        dropped.len() == 1 && dropped[0].why == Why::TooLarge,
        "{dropped:?}"
    );
    followed.catch_up().await?;
    let wanted = [pushed("main", &head, &commit)];
    followed.finds(Origin::Reconciliation, &wanted).await?;
    followed.has_no_more(&commit).await
}

/// GitHub never tries again by itself: a delivery that failed is asked for again, and comes once.
#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_failed_is_asked_for_again() -> Result<()> {
    let (mut followed, head) = followed(GitHubForge::start(false, None).await?, 0).await?;
    let forge = &followed.world.forge;
    forge.told().await;
    // Long enough ago that it is not on its way any more.
    forge.standin.set_clock_offset(-300);
    forge.fail_next_deliveries(1);
    let commit = forge.commit("main", ("NEWS.md", "missed\n"))?;
    forge.told().await;
    forge.standin.set_clock_offset(0);
    let before = forge.sent().len();
    let caught = followed.catch_up().await?;
    ensure!(caught.recovered_deliveries == 1, "{caught:?}");
    let wanted = [pushed("main", &head, &commit)];
    followed.finds(Origin::Redelivery, &wanted).await?;
    followed.world.forge.told().await;
    let again = followed.world.forge.sent().split_off(before);
    ensure!(
        again.len() == 1 && again[0].outcome.is_success(),
        "{again:?}"
    );
    followed.has_no_more(&commit).await
}
