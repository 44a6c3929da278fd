//! From an event to the last of those who watch.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;

use crate::{servers::Server, watchers::Watchers};

/// Connections that the deliveries of a burst come over.
const CONNECTIONS: u8 = 16;

/// What so many watchers saw.
pub(crate) struct Seen {
    watchers: usize,
    /// From the answer to a delivery to the last receipt, in microseconds.
    last: Histogram<u64>,
    /// From the first receipt to the last.
    spread: Histogram<u64>,
    /// Receipts a second, of events that came as fast as they are appended.
    live: f64,
    /// Receipts a second, of events that were there before.
    stored: f64,
    /// Memory of the daemon that is resident before, and with all of them once all have all events, in MiB.
    memory: [f64; 2],
}

/// `events`: how many come one at a time, and how many at once.
pub(crate) async fn measure(
    server: &mut Server,
    watchers: usize,
    events: (usize, usize),
) -> Result<Seen> {
    let (single, burst) = events;
    let newest = server.newest().await?;
    let before = resident(server)?;
    let mut all = Watchers::open(&server.daemon().socket(), watchers, newest).await?;
    let (mut last, mut spread) = (Histogram::new(3)?, Histogram::new(3)?);
    for n in 1..=single {
        let delivery = server.deliveries(1);
        server.post(1, delivery).await?;
        let answered = Instant::now();
        let receipt = all.reach(n).await?;
        last.record(micros(receipt.last.saturating_duration_since(answered))?)?;
        spread.record(micros(receipt.last - receipt.first)?)?;
    }
    let deliveries = server.deliveries(burst);
    let began = Instant::now();
    server.post(CONNECTIONS, deliveries).await?;
    let receipt = all.reach(single + burst).await?;
    let live = per_second(watchers * burst, receipt.last - began);
    let with_all = resident(server)?;
    drop(all);
    server.told(single + burst).await?;
    Ok(Seen {
        watchers,
        last,
        spread,
        live,
        stored: stored(server, watchers, newest, single + burst).await?,
        memory: [before, with_all],
    })
}

/// The same events, which are there by now, to as many watchers.
async fn stored(server: &Server, watchers: usize, after: i64, events: usize) -> Result<f64> {
    let began = Instant::now();
    let mut all = Watchers::open(&server.daemon().socket(), watchers, after).await?;
    let receipt = all.reach(events).await?;
    Ok(per_second(watchers * events, receipt.last - began))
}

/// Resident memory of the daemon, in MiB.
fn resident(server: &Server) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id()?))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kib.context("no resident memory")?.trim().parse::<f64>()? / 1024.0)
}

fn micros(time: Duration) -> Result<u64> {
    Ok(u64::try_from(time.as_micros())?)
}

#[expect(clippy::cast_precision_loss, reason = "figures to look at")]
fn per_second(receipts: usize, time: Duration) -> f64 {
    receipts as f64 / time.as_secs_f64()
}

pub(crate) fn heading() -> String {
    format!(
        "{:>8}  {:>22}{:>24}{:>18}{:>20}{:>16}",
        "watchers",
        "last p50/p99 ms",
        "first to last p50/p99",
        "live receipts/s",
        "stored receipts/s",
        "daemon MiB"
    )
}

#[expect(clippy::cast_precision_loss, reason = "figures to look at")]
pub(crate) fn line(seen: &Seen) -> String {
    let both = |times: &Histogram<u64>| {
        let at = |quantile| times.value_at_quantile(quantile) as f64 / 1e3;
        format!("{:.2}/{:.2}", at(0.5), at(0.99))
    };
    format!(
        "{:>8}  {:>22}{:>24}{:>18.0}{:>20.0}{:>16}",
        seen.watchers,
        both(&seen.last),
        both(&seen.spread),
        seen.live,
        seen.stored,
        format!("{:.0} to {:.0}", seen.memory[0], seen.memory[1]),
    )
}
