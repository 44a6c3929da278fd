//! Deliveries to a registry that is away for longer than the published schedule lasts, on a daemon whose clock leaps ahead.

use std::time::Instant;

use anyhow::{Result, ensure};
use bindery_client::proto::v1::DeadLetter;
use bindery_tests::{artifacts::artifacts, receiver::Received};
use serde_json::Value;

use super::outgoing::{PATIENCE, Told, is_signed, signed_at};
use crate::table::cli::text;

/// The subscription by its names on the command line and in the API.
const SHORT: &str = "acme/registry";
const NAME: &str = "namespaces/acme/subscriptions/registry";

/// Seconds before each attempt but the first: 5 s, 30 s, 2 min, 15 min, 1 h, 6 h, 24 h.
const WAITS: [u64; 7] = [5, 30, 120, 900, 3600, 21_600, 86_400];

/// A registry that is told by HTTP, and how far the daemon's clock is ahead.
struct Patient {
    told: Told,
    ahead: u64,
    /// When the endpoint last failed, as the subscription says.
    failed: Value,
}

impl Patient {
    async fn start() -> Result<Self> {
        let hasty = artifacts().control("hasty", "binderyd-hasty")?;
        Ok(Self {
            told: Told::by(Some(hasty)).await?,
            ahead: 0,
            failed: Value::Null,
        })
    }

    /// The daemon's clock leaps by so many seconds.
    fn leap(&mut self, seconds: u64) -> Result<()> {
        self.ahead += seconds;
        let place = |name| self.told.followed.world.daemon.path(name);
        // In one step: the daemon must not read half of it.
        let new = place("data/ahead-by.new");
        std::fs::write(&new, (self.ahead * 1000).to_string())?;
        Ok(std::fs::rename(new, place("data/ahead-by"))?)
    }

    fn shown(&self) -> Result<Value> {
        self.told.bindery(&["subscription", "show", SHORT])
    }

    /// That the latest attempt failed is written down. The next one is so far from there.
    async fn failure_is_noted(&mut self) -> Result<()> {
        let started = Instant::now();
        loop {
            let failed = self.shown()?["lastFailureTime"].clone();
            if !failed.is_null() && failed != self.failed {
                self.failed = failed;
                return Ok(());
            }
            ensure!(started.elapsed() < PATIENCE, "no failure is noted");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    /// All other attempts of an event whose first one failed, as each comes due. Returns the last.
    async fn fails_to_the_end(&mut self, first: &Received) -> Result<Received> {
        let mut last = first.clone();
        for wait in WAITS {
            self.failure_is_noted().await?;
            self.leap(wait)?;
            last = self.told.receives(1).await?.remove(0);
            is_the_same(&last, first, &self.told.secret)?;
        }
        self.failure_is_noted().await?;
        Ok(last)
    }

    /// The dead letters, by the command line and by the API.
    async fn dead_letters(&self) -> Result<(Vec<Value>, Vec<DeadLetter>)> {
        let listed = self
            .told
            .bindery(&["subscription", "dead-letters", SHORT])?;
        let listed = listed.as_array().cloned().unwrap_or_default();
        let client = &self.told.followed.world.client;
        Ok((listed, client.list_dead_letters(NAME).all().await?))
    }
}

/// The same event again: under its id, with its body, and a signature of its own time.
fn is_the_same(again: &Received, first: &Received, secret: &str) -> Result<()> {
    is_signed(again, &[secret])?;
    let id = |one: &Received| one.header("webhook-id").map(str::to_owned);
    ensure!(
        again.body == first.body && id(again) == id(first),
        "{again:?} is not {first:?}"
    );
    Ok(())
}

/// An endpoint that is away for all eight attempts, over 31 hours, leaves a dead letter, which command line and API list; no
/// attempt follows, and later events are not held up. Replayed once the endpoint is back, it arrives once, signed, and is no dead
/// letter any more.
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_was_away_for_too_long_gets_its_dead_letters_by_replay() -> Result<()> {
    let mut patient = Patient::start().await?;
    patient.told.receiver.answer_next(&[503; 8]);
    let (first, number) = patient.told.receives_a_push().await?;
    is_signed(&first, &[&patient.told.secret])?;
    let last = patient.fails_to_the_end(&first).await?;
    let whole: u64 = WAITS.iter().sum();
    ensure!(
        signed_at(&last)? >= signed_at(&first)? + whole,
        "the attempts came too soon"
    );

    let event = format!("namespaces/acme/events/{number}");
    let (listed, letters) = patient.dead_letters().await?;
    ensure!(
        listed.len() == 1 && text(&listed[0], "/event")? == event,
        "{listed:?}"
    );
    let [letter] = letters.as_slice() else {
        anyhow::bail!("{letters:?}");
    };
    let is = (letter.event.as_str(), letter.attempts, letter.http_status);
    ensure!(is == (event.as_str(), 8, 503), "{letter:?}");
    let shown = patient.shown()?;
    ensure!(shown["deadLetterCount"] == 1, "{shown}");

    patient.leap(2 * 86_400)?;
    let (other, _) = patient.told.receives_a_push().await?;
    is_signed(&other, &[&patient.told.secret])?;
    let from = number.to_string();
    let said = patient.told.replay(&["--from", &from, "--missing"])?;
    ensure!(said.contains("1 event"), "{said}");
    let again = patient.told.receives(1).await?.remove(0);
    is_the_same(&again, &first, &patient.told.secret)?;
    let said = patient.told.replay(&["--from", &from, "--missing"])?;
    ensure!(said.contains("no events"), "{said}");
    // Exactly the next event comes next.
    patient.told.receives_a_push().await?;
    let (listed, letters) = patient.dead_letters().await?;
    ensure!(
        listed.is_empty() && letters.is_empty(),
        "{listed:?} {letters:?}"
    );
    let shown = patient.shown()?;
    ensure!(
        shown["deadLetterCount"].as_i64().unwrap_or(0) == 0,
        "{shown}"
    );
    Ok(())
}
