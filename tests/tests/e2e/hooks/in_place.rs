//! A forge whose hook stays in its place when it gets another secret: every push is one event.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bindery_client::{Client, RotationRequest, proto::v1::event::Origin};
use bindery_tests::{
    forge::GitHubForge,
    github::{Fault, GitHub},
    pushes::{Hooked, Pushed},
    sender::{Answer, Sender},
};
use http::StatusCode;

use super::{
    expected::{Seen, pushed},
    registry::Followed,
    rotating::rotate,
};

/// Nothing here takes longer, or it hangs.
const PATIENCE: Duration = Duration::from_secs(150);

/// Refs are never compared: an event comes of its delivery or not at all.
struct InPlace {
    followed: Followed<GitHubForge>,
    /// Where `main` is, as far as it was told.
    head: String,
}

impl InPlace {
    async fn start() -> Result<Self> {
        let forge = GitHubForge::start(false, None).await?;
        let head = push(&forge.standin).await?;
        let followed = Followed::start(forge, 0).await?;
        Ok(Self { followed, head })
    }

    const fn standin(&self) -> &GitHub {
        &self.followed.world.forge.standin
    }

    const fn client(&self) -> &Client {
        &self.followed.world.client
    }

    async fn rotate(&self) -> Result<()> {
        rotate(self.client(), &self.followed.source.name, 1).await
    }

    /// Each commit is one event, of its delivery, in the order in which they were pushed.
    async fn expect(&mut self, commits: &[String]) -> Result<()> {
        for commit in commits {
            let event = self.followed.registry.next(1).await?.remove(0);
            let wanted = pushed("main", &self.head, commit);
            ensure!(Seen::of(&event).as_ref() == Some(&wanted), "{event:?}");
            ensure!(event.origin() == Origin::Delivery, "{event:?}");
            self.head.clone_from(commit);
        }
        Ok(())
    }

    /// Somebody pushes until the rotations that run beside it have ended, and a little longer.
    async fn push_during(&self, rotations: usize) -> Result<Vec<String>> {
        let (client, source) = (self.client().clone(), self.followed.source.name.clone());
        let rotating = tokio::spawn(async move { rotate(&client, &source, rotations).await });
        let mut commits = Vec::new();
        while !rotating.is_finished() {
            commits.push(push(self.standin()).await?);
        }
        rotating.await??;
        commits.push(push(self.standin()).await?);
        Ok(commits)
    }

    fn secret(&self) -> Result<Option<String>> {
        let hook = self.standin().hooks("octo/hello").pop();
        Ok(hook.context("no hook")?.secret)
    }

    /// Where the forge is told the new secret.
    fn update_path(&self) -> Result<String> {
        let all = self.standin().requests("").into_iter();
        let mut updates = all.filter(|one| one.method == "PATCH");
        Ok(updates.next().context("no hook was changed")?.path)
    }
}

/// A commit is pushed, and what is told of it has an answer.
async fn push(standin: &GitHub) -> Result<String> {
    let text = format!("hello {}\n", standin.deliveries().len());
    let commit = standin.commit("octo/hello", "main", ("NEWS.md", &text))?;
    standin.deliveries_done().await;
    Ok(commit)
}

/// People push while the hook gets other secrets: every push is one event.
#[tokio::test(flavor = "multi_thread")]
async fn every_push_during_rotations_in_place_is_one_event() -> Result<()> {
    let mut place = InPlace::start().await?;
    let before = place.secret()?;
    let commits = place.push_during(3).await?;
    ensure!(place.secret()? != before, "the forge has the old secret");
    place.expect(&commits).await?;
    println!("{} pushes during 3 rotations", commits.len());
    let last = push(place.standin()).await?;
    place.expect(&[last]).await
}

/// The forge takes the new secret, and its answer is lost: what it signs from then on is an event, while the daemon can't know
/// which secret counts.
#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_an_event_while_the_answer_to_a_rotation_is_lost() -> Result<()> {
    let mut place = InPlace::start().await?;
    place.rotate().await?;
    let (before, path) = (place.secret()?, place.update_path()?);
    place.standin().fail_next(&path, Fault::CommitThenClose);
    let ask = RotationRequest::new("namespaces/acme").overlap(Duration::ZERO);
    place.client().rotate_hook_secrets(ask).await?;
    let started = Instant::now();
    while place.secret()? == before {
        ensure!(started.elapsed() < PATIENCE, "the forge has the old secret");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let commit = push(place.standin()).await?;
    place.expect(&[commit]).await
}

/// What was signed with the secret before, and comes after the rotation, is an event; what was signed with one that was
/// replaced without an overlap is refused.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_signed_before_a_rotation_is_an_event_during_the_overlap() -> Result<()> {
    let mut place = InPlace::start().await?;
    let mut sender = Sender::new(&place.followed.world.daemon.web_url(), 1)?;
    let first = Hooked::of(place.standin(), "octo/hello")?;
    place.rotate().await?;
    let second = Hooked::of(place.standin(), "octo/hello")?;
    let mut wanted = Vec::new();
    for (hooked, commit) in [(&first, "1".repeat(40)), (&second, "2".repeat(40))] {
        let push = Pushed {
            branch: &commit,
            before: None,
            after: &commit,
        };
        let answer = sender.post(&hooked.push(&commit, push)).await?;
        ensure!(answer == Answer::Taken, "{answer:?}");
        wanted.push(pushed(&commit, "", &commit));
    }
    place.followed.registry.expect_all(wanted).await?;
    place.rotate().await?;
    let late = Pushed {
        branch: "late",
        before: None,
        after: &"3".repeat(40),
    };
    let answer = sender.post(&first.push("late", late)).await?;
    ensure!(
        answer == Answer::Refused(StatusCode::UNAUTHORIZED),
        "{answer:?}"
    );
    let last = push(place.standin()).await?;
    place.expect(&[last]).await
}
