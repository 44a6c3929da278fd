//! What happened in a run.

use std::fmt;

/// Counts of a run, or of several together.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Days of virtual time, of all links together.
    pub link_days: u64,
    /// Refreshes that forges carried out.
    pub refreshes: u64,
    /// Deaths of the daemon.
    pub deaths: u64,
    /// Replies and requests that were lost on purpose.
    pub lost: u64,
    /// Outages, rate limits and errors of forges.
    pub outages: u64,
    /// Jumps of the daemon's clock.
    pub jumps: u64,
    /// Links whose grant a person has revoked.
    pub revoked: u64,
    /// Links that a person has authorized anew.
    pub reauthorized: u64,
    /// Links that were unlinked in the end.
    pub unlinked: u64,
    /// Links that said in the end that a refresh token was lost.
    pub stated: u64,
    /// Links that worked in the end.
    pub works: u64,
}

impl History {
    /// Adds what happened in another run.
    pub fn add(&mut self, other: &Self) {
        self.link_days += other.link_days;
        self.refreshes += other.refreshes;
        self.deaths += other.deaths;
        self.lost += other.lost;
        self.outages += other.outages;
        self.jumps += other.jumps;
        self.revoked += other.revoked;
        self.reauthorized += other.reauthorized;
        self.unlinked += other.unlinked;
        self.stated += other.stated;
        self.works += other.works;
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} link-days, {} refreshes, {} deaths, {} lost replies, {} outages, {} clock jumps; in the end {} links work, \
             {} say that a pair was lost, {} are unlinked; {} were revoked by people, {} authorized anew",
            self.link_days,
            self.refreshes,
            self.deaths,
            self.lost,
            self.outages,
            self.jumps,
            self.works,
            self.stated,
            self.unlinked,
            self.revoked,
            self.reauthorized,
        )
    }
}

/// A promise that was broken, with all that is needed to see it again.
#[derive(Clone, Debug)]
pub struct Broken {
    /// The seed of the run.
    pub seed: u64,
    /// Which promise, and by what.
    pub what: String,
    /// What was done, the last one last.
    pub trail: Vec<String>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {}", self.seed, self.what)?;
        self.trail
            .iter()
            .try_for_each(|line| writeln!(f, "  {line}"))
    }
}
