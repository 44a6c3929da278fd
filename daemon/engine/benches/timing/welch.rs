//! Welch's t-test over two classes of times, as dudect makes it.

use std::fmt;

/// Percentiles below which samples are looked at by themselves.
const CROPS: usize = 100;

/// Fewer samples of a class say nothing.
const FEWEST: f64 = 200.0;

/// The times of two classes.
pub(crate) struct Samples(Vec<(bool, f64)>);

impl Samples {
    pub(crate) fn with_capacity(count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }

    pub(crate) fn push(&mut self, class: bool, time: f64) {
        self.0.push((class, time));
    }

    /// Below which times to look: those of dudect, closer to each other the longer they are; and all.
    fn crops(&self) -> Vec<f64> {
        let mut sorted: Vec<f64> = self.0.iter().map(|(_, time)| *time).collect();
        sorted.sort_by(f64::total_cmp);
        let at = |crop: usize| {
            let part = 1.0 - 0.5_f64.powf(10.0 * (crop + 1) as f64 / CROPS as f64);
            #[expect(clippy::cast_possible_truncation, reason = "a place in the list")]
            let place = (part * sorted.len() as f64) as usize;
            sorted[place]
        };
        let mut crops: Vec<f64> = (0..CROPS).map(at).collect();
        crops.push(f64::INFINITY);
        crops
    }
}

/// What a test came to.
#[derive(Clone, Copy, Default)]
pub(crate) struct Found {
    pub(crate) t: f64,
    /// The means of both classes, in nanoseconds.
    means: [f64; 2],
    /// Samples that it counts.
    counted: f64,
}

impl fmt::Display for Found {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [known, unknown] = self.means;
        write!(
            to,
            "largest |t| {:.2} (known {known:.0} ns, unknown {unknown:.0} ns, of {} samples)",
            self.t.abs(),
            self.counted
        )
    }
}

/// The largest difference in any crop.
pub(crate) fn largest(samples: &Samples) -> Found {
    let found = samples.crops().into_iter().map(|crop| below(samples, crop));
    let larger = |one: &Found, other: &Found| one.t.abs().total_cmp(&other.t.abs());
    found.max_by(larger).unwrap_or_default()
}

/// Mean and variance as they grow (Welford).
#[derive(Clone, Copy, Default)]
struct Class {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Class {
    fn add(&mut self, time: f64) {
        self.count += 1.0;
        let off = time - self.mean;
        self.mean += off / self.count;
        self.squares += off * (time - self.mean);
    }

    /// Variance of the mean.
    fn error(&self) -> f64 {
        self.squares / (self.count - 1.0) / self.count
    }
}

fn below(samples: &Samples, crop: f64) -> Found {
    let mut classes = [Class::default(); 2];
    for (known, time) in samples.0.iter().filter(|(_, time)| *time <= crop) {
        classes[usize::from(!known)].add(*time);
    }
    let [known, unknown] = classes;
    if known.count.min(unknown.count) < FEWEST {
        return Found::default();
    }
    Found {
        t: (known.mean - unknown.mean) / (known.error() + unknown.error()).sqrt(),
        means: [known.mean, unknown.mean],
        counted: known.count + unknown.count,
    }
}
