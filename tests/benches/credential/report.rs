//! From pairs of runs to ratios.

use crate::{load::Seen, servers::Transport};

/// What one run showed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    per_second: f64,
    p99_micros: f64,
    cpu_micros: f64,
    client: f64,
}

/// Two runs, one right after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    pub(crate) fetch: Run,
    pub(crate) empty: Run,
}

impl Run {
    /// `server` and `client` are seconds of processor time.
    #[expect(clippy::cast_precision_loss, reason = "figures to look at")]
    pub(crate) fn new(seen: &Seen, server: f64, client: f64) -> Self {
        let (calls, seconds) = (seen.calls as f64, seen.took.as_secs_f64());
        Self {
            per_second: calls / seconds,
            p99_micros: seen.latencies.value_at_quantile(0.99) as f64 / 1e3,
            cpu_micros: server / calls * 1e6,
            client: client / seconds,
        }
    }
}

pub(crate) fn heading() -> String {
    format!(
        "{:<13}{:>8}  {:<18}{:<18}{:<18}{:>15}{:>15}{:>13}{:>9}",
        "", "callers", "throughput", "p99", "server CPU", "calls/s", "p99 µs", "CPU µs", "client"
    )
}

/// One line: the ratios fetch ÷ empty as median (least-most), then what they are made of.
pub(crate) fn line(transport: Transport, callers: usize, pairs: &[Pair]) -> String {
    let name = match transport {
        Transport::Unix => "Unix socket",
        Transport::Tls => "mutual TLS",
    };
    let ratio =
        |of: fn(&Run) -> f64| spread(pairs.iter().map(|pair| of(&pair.fetch) / of(&pair.empty)));
    let both = |of: fn(&Run) -> f64| {
        let fetch = median(pairs.iter().map(|pair| of(&pair.fetch)));
        let empty = median(pairs.iter().map(|pair| of(&pair.empty)));
        format!("{fetch:.0}/{empty:.0}")
    };
    let busy = median(
        pairs
            .iter()
            .map(|pair| pair.fetch.client.max(pair.empty.client)),
    );
    format!(
        "{name:<13}{callers:>8}  {:<18}{:<18}{:<18}{:>15}{:>15}{:>13}{:>8.0}%",
        ratio(|run| run.per_second),
        ratio(|run| run.p99_micros),
        ratio(|run| run.cpu_micros),
        both(|run| run.per_second),
        both(|run| run.p99_micros),
        both(|run| run.cpu_micros),
        busy * 100.0,
    )
}

fn spread(values: impl Iterator<Item = f64>) -> String {
    let values = sorted(values);
    match (values.first(), values.last()) {
        (Some(least), Some(most)) => {
            format!(
                "{:.2} ({least:.2}-{most:.2})",
                median(values.iter().copied())
            )
        }
        _ => "-".to_owned(),
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let values = sorted(values);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}
