//! Events for registries that want HTTP: subscriptions of a real daemon, set up by the command line.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use bindery_tests::{
    artifacts::Plugin,
    daemon::Options,
    forge::GitHubForge,
    inside::Changing,
    receiver::{Received, Receiver},
};
use bindery_twins::hooks::sign;
use serde_json::Value;

use super::registry::Followed;
use crate::table::cli::{json, run, text};

/// Nothing here takes longer, or it hangs.
pub(super) const PATIENCE: Duration = Duration::from_secs(150);
/// When a delivery that failed is tried again for the first time.
const FIRST_RETRY: u64 = 5;

/// A registry that is told by HTTP, and how deliveries are signed for it.
pub(super) struct Told {
    pub(super) followed: Followed<GitHubForge>,
    pub(super) receiver: Receiver,
    pub(super) secret: String,
    /// Number of the next commit.
    count: usize,
}

impl Told {
    /// The operator allows loopback; the registry subscribes to what it is to build.
    async fn start() -> Result<Self> {
        Self::by(None).await
    }

    /// The same, with another `binderyd` than that of the build.
    pub(super) async fn by(binary: Option<PathBuf>) -> Result<Self> {
        let forge = GitHubForge::start(false, None).await?;
        forge.commit("main", ("NEWS.md", "first\n"))?;
        let extra = "[hooks]\nreconcile_interval_minutes = 0\n[subscriptions]\nallow_networks = [\"127.0.0.0/8\"]\n";
        let options = Options {
            plugins: vec![Plugin::GitHub],
            extra: extra.to_owned(),
            binary,
            ..Options::default()
        };
        let followed = Followed::with(forge, options).await?;
        let receiver = Receiver::start().await?;
        let url = receiver.url("/events?from=bindery");
        let filter = "verdict = \"TRIGGER\"";
        let add = ["subscription", "add", "acme", &url, "--id", "registry"];
        let add = [&add[..], &["--filter", filter]].concat();
        let made = json(&followed.world.daemon, &add)?;
        Ok(Self {
            secret: text(&made, "/secret")?.to_owned(),
            followed,
            receiver,
            count: 0,
        })
    }

    pub(super) fn bindery(&self, arguments: &[&str]) -> Result<Value> {
        json(&self.followed.world.daemon, arguments)
    }

    /// Somebody pushes. Returns the commit and the number of its event.
    async fn push(&mut self) -> Result<(String, i64)> {
        self.count += 1;
        let text = format!("number {}\n", self.count);
        let forge = &self.followed.world.forge;
        let commit = forge.commit("main", ("NEWS.md", &text))?;
        forge.told().await;
        let event = self.followed.registry.next(1).await?.remove(0);
        Ok((commit, event.sequence))
    }

    /// What came since this was asked last, once it is so many.
    pub(super) async fn receives(&self, count: usize) -> Result<Vec<Received>> {
        let started = Instant::now();
        while self.receiver.received().len() < count {
            ensure!(started.elapsed() < PATIENCE, "nothing more is delivered");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let all = self.receiver.take();
        ensure!(all.len() == count, "{all:#?}");
        Ok(all)
    }

    /// A push is delivered at once. Returns the delivery, and the number of the event.
    pub(super) async fn receives_a_push(&mut self) -> Result<(Received, i64)> {
        let (commit, number) = self.push().await?;
        let received = self.receives(1).await?.remove(0);
        let body = received.json();
        ensure!(text(&body, "/type")? == "push", "{body}");
        ensure!(
            text(&body, "/data/push/after_commit_id")? == commit,
            "{body}"
        );
        ensure!(body["data"]["sequence"] == number, "{body}");
        Ok((received, number))
    }

    /// `bindery subscription rotate`: the new secret.
    fn rotate(&mut self, overlap: &str) -> Result<String> {
        let rotate = [
            "subscription",
            "rotate",
            "acme/registry",
            "--overlap",
            overlap,
        ];
        let made = self.bindery(&rotate)?;
        let secret = text(&made, "/secret")?.to_owned();
        ensure!(secret != self.secret, "it is the old one");
        Ok(std::mem::replace(&mut self.secret, secret))
    }

    pub(super) fn replay(&self, arguments: &[&str]) -> Result<String> {
        let replay = ["subscription", "replay", "acme/registry"];
        run(&self.followed.world.daemon, &[&replay, arguments].concat())
    }
}

/// The time that a delivery was signed at, in seconds.
pub(super) fn signed_at(received: &Received) -> Result<u64> {
    let time = received.header("webhook-timestamp").context("no time")?;
    Ok(time.parse()?)
}

/// Exactly these secrets signed it, the newest first, in the way of Standard Webhooks.
pub(super) fn is_signed(received: &Received, secrets: &[&str]) -> Result<()> {
    let id = received.header("webhook-id").context("no id")?;
    let at = signed_at(received)?;
    let mut wanted = Vec::new();
    for secret in secrets {
        let signature = sign::standard(secret, id, at, &received.body);
        wanted.push(signature.context("no secret of Standard Webhooks")?);
    }
    let sent = received.header("webhook-signature");
    ensure!(
        sent == Some(&wanted.join(" ")),
        "{sent:?} is not {wanted:?}"
    );
    Ok(())
}

/// What happens is posted once, signed with the secret that was shown, and is what the event says.
#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_posted_with_a_signature_of_the_secret_that_was_shown() -> Result<()> {
    let mut told = Told::start().await?;
    let (received, number) = told.receives_a_push().await?;
    is_signed(&received, &[&told.secret])?;
    ensure!(
        (received.method.as_str(), received.path.as_str()) == ("POST", "/events?from=bindery"),
        "{received:?}"
    );
    ensure!(
        received.header("content-type") == Some("application/json"),
        "{received:?}"
    );
    let id = format!("evt_acme_{number}");
    ensure!(received.header("webhook-id") == Some(&id), "{received:?}");
    let shown = told.bindery(&["subscription", "show", "acme/registry"])?;
    ensure!(
        !shown.to_string().contains(&told.secret),
        "the secret is shown again"
    );
    ensure!(
        text(&shown, "/deliveredSequence")? == number.to_string(),
        "{shown}"
    );
    Ok(())
}

/// An endpoint that fails gets the event again, under the same id, at the first time of the published schedule and not before,
/// and what comes after is not held up by it.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_endpoint_failed_to_take_is_posted_again() -> Result<()> {
    let mut told = Told::start().await?;
    told.receiver.answer_next(&[500]);
    let (failed, _) = told.receives_a_push().await?;
    let (_, next) = told.receives_a_push().await?;
    let again = told.receives(1).await?.remove(0);
    is_signed(&again, &[&told.secret])?;
    ensure!(again.body == failed.body, "{again:?} is not {failed:?}");
    ensure!(
        again.header("webhook-id") == failed.header("webhook-id"),
        "{again:?}"
    );
    let waited = signed_at(&again)? - signed_at(&failed)?;
    ensure!(waited >= FIRST_RETRY, "again after {waited} s");
    let shown = told.bindery(&["subscription", "show", "acme/registry"])?;
    ensure!(
        text(&shown, "/deliveredSequence")? == next.to_string(),
        "{shown}"
    );
    let why = text(&shown, "/lastFailureMessage")?;
    ensure!(why.contains("500"), "{shown}");
    Ok(())
}

/// By command events are posted again: all from a number on, or only those that the endpoint did not take, which then don't
/// wait for their time.
#[tokio::test(flavor = "multi_thread")]
async fn events_are_posted_again_by_command() -> Result<()> {
    let mut told = Told::start().await?;
    let (first, number) = told.receives_a_push().await?;
    let from = number.to_string();
    let said = told.replay(&["--from", &from])?;
    ensure!(said.contains("1 event"), "{said}");
    let again = told.receives(1).await?.remove(0);
    ensure!(again.body == first.body, "{again:?} is not {first:?}");

    // The second attempt is refused as well; the third one is half a minute away, but for the command.
    told.receiver.answer_next(&[503, 503]);
    let (missed, _) = told.receives_a_push().await?;
    told.receives(1).await?;
    let said = told.replay(&["--from", &from, "--missing"])?;
    ensure!(said.contains("1 event"), "{said}");
    let again = told.receives(1).await?.remove(0);
    ensure!(again.body == missed.body, "{again:?} is not {missed:?}");
    let waited = signed_at(&again)? - signed_at(&missed)?;
    ensure!(waited < 30, "it was not the command, after {waited} s");
    let said = told.replay(&["--from", &from, "--missing"])?;
    ensure!(said.contains("no events"), "{said}");
    let dead = told.bindery(&["subscription", "dead-letters", "acme/registry"])?;
    ensure!(dead.as_array().is_some_and(Vec::is_empty), "{dead}");
    Ok(())
}

/// During an overlap each delivery has a signature of both secrets, the newest first; without one the old secret ends at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_signs_with_both_secrets_for_a_while() -> Result<()> {
    let mut told = Told::start().await?;
    let old = told.rotate("1h")?;
    let (received, _) = told.receives_a_push().await?;
    is_signed(&received, &[&told.secret, &old])?;
    told.rotate("0s")?;
    let (received, _) = told.receives_a_push().await?;
    is_signed(&received, &[&told.secret])
}

/// An endpoint that says that it is gone gets nothing more until somebody lets it go on; what waited comes then.
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_is_gone_is_left_alone() -> Result<()> {
    let mut told = Told::start().await?;
    told.receiver.answer_next(&[410]);
    let (gone, _) = told.receives_a_push().await?;
    let (later, _) = told.push().await?;
    let shown = told.bindery(&["subscription", "show", "acme/registry"])?;
    ensure!(shown["paused"] == true, "{shown}");
    ensure!(
        text(&shown, "/lastFailureMessage")?.contains("410"),
        "{shown}"
    );
    told.bindery(&["subscription", "resume", "acme/registry"])?;
    let both = told.receives(2).await?;
    ensure!(both[0].body == gone.body, "{both:?}");
    let body = both[1].json();
    ensure!(
        text(&body, "/data/push/after_commit_id")? == later,
        "{body}"
    );
    Ok(())
}

/// Where events may not be posted to is refused at once: a port outside of the policy with the ports that are allowed, and an
/// address that the operator did not allow.
#[tokio::test(flavor = "multi_thread")]
async fn endpoints_outside_of_the_policy_are_refused_with_what_is_allowed() -> Result<()> {
    let told = Told::start().await?;
    for port in [22, 1024] {
        let url = format!("http://127.0.0.1:{port}/events");
        let (reason, message) = refusal(&told, &url)?;
        ensure!(reason == "HOST_PORT_FORBIDDEN", "{reason}: {message}");
        let ports = "80, 21, 443, 70, 210, 280, 488, 591, 777 and 1025 to 65535";
        ensure!(
            message.contains(ports) && message.contains("https 443"),
            "{message}"
        );
    }
    let (reason, message) = refusal(&told, "https://127.0.0.1:8443/events")?;
    ensure!(reason == "HOST_PORT_FORBIDDEN", "{reason}: {message}");
    let (reason, message) = refusal(&told, "http://10.1.2.3:8080/events")?;
    ensure!(reason == "HOST_ADDRESS_FORBIDDEN", "{reason}: {message}");
    Ok(())
}

/// Why a subscription is not made.
fn refusal(told: &Told, url: &str) -> Result<(String, String)> {
    let daemon = &told.followed.world.daemon;
    let add = ["subscription", "add", "acme", url, "--quiet", "-o", "json"];
    let output = daemon.cli(&add).output()?;
    ensure!(!output.status.success(), "{url} was not refused");
    let error: Value = serde_json::from_slice(&output.stderr)?;
    let part = |pointer| text(&error, pointer).map(str::to_owned);
    Ok((part("/reason")?, part("/error")?))
}
