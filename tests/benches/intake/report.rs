//! From pairs of runs to ratios.

use std::time::Duration;

use crate::posting::Seen;

/// What one run showed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    /// Deliveries a second from the first post to the last event.
    told_per_second: f64,
}

/// Two runs, one right after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    pub(crate) stores: Run,
    pub(crate) forgets: Run,
}

impl Run {
    /// `told` is the time until all were events.
    #[expect(clippy::cast_precision_loss, reason = "figures to look at")]
    pub(crate) fn new(seen: &Seen, told: Option<Duration>) -> Self {
        let count = seen.deliveries as f64;
        let at = |quantile| seen.latencies.value_at_quantile(quantile) as f64 / 1e6;
        Self {
            per_second: count / seen.took.as_secs_f64(),
            p50_ms: at(0.5),
            p99_ms: at(0.99),
            told_per_second: told.map_or(f64::NAN, |told| count / told.as_secs_f64()),
        }
    }
}

pub(crate) fn heading() -> String {
    format!(
        "{:>11}  {:<19}{:<19}{:<19}{:>15}{:>15}{:>15}{:>10}",
        "connections", "throughput", "p50", "p99", "deliveries/s", "p50 ms", "p99 ms", "events/s"
    )
}

/// One line: the ratios as median (least-most), then what they are made of.
pub(crate) fn line(connections: u8, pairs: &[Pair]) -> String {
    let ratio = |of: fn(&Run) -> f64| {
        spread(
            pairs
                .iter()
                .map(|pair| of(&pair.stores) / of(&pair.forgets)),
        )
    };
    let both = |of: fn(&Run) -> f64, digits: usize| {
        let stores = median(pairs.iter().map(|pair| of(&pair.stores)));
        let forgets = median(pairs.iter().map(|pair| of(&pair.forgets)));
        format!("{stores:.digits$}/{forgets:.digits$}")
    };
    format!(
        "{connections:>11}  {:<19}{:<19}{:<19}{:>15}{:>15}{:>15}{:>10.0}",
        ratio(|run| run.per_second),
        ratio(|run| run.p50_ms),
        ratio(|run| run.p99_ms),
        both(|run| run.per_second, 0),
        both(|run| run.p50_ms, 2),
        both(|run| run.p99_ms, 2),
        median(pairs.iter().map(|pair| pair.stores.told_per_second)),
    )
}

fn spread(values: impl Iterator<Item = f64>) -> String {
    let values = sorted(values);
    let (Some(least), Some(most)) = (values.first(), values.last()) else {
        return "-".to_owned();
    };
    format!(
        "{:.2} ({least:.2}-{most:.2})",
        median(values.iter().copied())
    )
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
