//! What is known about the use of one host.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use bindery_core::{
    host::{Host, RateBudget},
    problem::{Problem, Reason},
    time::Timestamp,
};
use tokio::sync::Semaphore;

/// SHA-256 of a token.
pub(super) type Token = [u8; 32];

/// Requests are counted by the minute, so that an hour's count has sixty entries however large it is.
const MINUTE: Duration = Duration::from_secs(60);

/// Minutes in which a request counts: those of an hour, and one more, because it may have been sent at the end of its first.
/// Then no hour has more requests than it may, wherever the host lets it begin.
const WINDOW: u64 = 61;

/// The use of one host.
#[derive(Debug, Default)]
pub(super) struct State {
    places: Option<(u32, Arc<Semaphore>)>,
    /// Requests by the minute in which they were sent, oldest first.
    sent: VecDeque<(u64, u32)>,
    /// The host asked for a pause until then.
    paused: Option<Timestamp>,
    /// Tokens without allowance, and until when; `None` for requests without one.
    held: BTreeMap<Option<Token>, Timestamp>,
}

impl State {
    /// The places of requests that run at the same time. Where the operator changed their number there are new ones, and
    /// the old ones are given up as their requests end.
    pub(super) fn places(&mut self, budget: RateBudget) -> Arc<Semaphore> {
        let wanted = match budget.at_once {
            0 => RateBudget::AT_ONCE,
            some => some,
        };
        match &self.places {
            Some((number, places)) if *number == wanted => Arc::clone(places),
            _ => {
                let places = Arc::new(Semaphore::new(wanted as usize));
                self.places = Some((wanted, Arc::clone(&places)));
                places
            }
        }
    }

    /// Whether the host may be asked with this token.
    pub(super) fn open(
        &self,
        host: &Host,
        token: Option<&Token>,
        now: Timestamp,
    ) -> Result<(), Problem> {
        let held = self.held.get(&token.copied()).copied();
        let until = self.paused.max(held).filter(|until| *until > now);
        let Some(until) = until else {
            return Ok(());
        };
        let message = format!(
            "{} takes no more requests for now; nothing is asked before it takes them again",
            host.web_url
        );
        Err(limited(host, message, until.since(now)))
    }

    /// Counts a request, if the hour has room for it.
    pub(super) fn spend(&mut self, host: &Host, now: Timestamp) -> Result<(), Problem> {
        let most = host.rate_budget.requests_per_hour;
        if most == 0 {
            self.sent.clear();
            return Ok(());
        }
        let minute = now.unix_seconds() / MINUTE.as_secs();
        while self
            .sent
            .front()
            .is_some_and(|(sent, _)| sent + WINDOW <= minute)
        {
            self.sent.pop_front();
        }
        let sum: u64 = self.sent.iter().map(|(_, count)| u64::from(*count)).sum();
        if let Some((oldest, _)) = self.sent.front().filter(|_| sum >= most.into()) {
            let room = Timestamp::from_unix_ms((oldest + WINDOW) * 60_000);
            let message = format!(
                "the {most} requests an hour that hosts/{} may be asked are used up; wait, or raise its rate budget",
                host.name
            );
            return Err(limited(host, message, room.since(now)));
        }
        match self.sent.back_mut().filter(|(sent, _)| *sent == minute) {
            Some((_, count)) => *count += 1,
            None => self.sent.push_back((minute, 1)),
        }
        Ok(())
    }

    /// The host asks for a pause.
    pub(super) fn pause(&mut self, until: Timestamp) {
        self.paused = self.paused.max(Some(until));
    }

    /// A token has no allowance left.
    pub(super) fn hold(&mut self, token: Option<Token>, until: Timestamp, now: Timestamp) {
        self.held.retain(|_, until| *until > now);
        // An answer to a request that was under way may name an earlier time; the later one was told as well.
        let held = self.held.entry(token).or_insert(until);
        *held = until.max(*held);
    }
}

fn limited(host: &Host, message: String, wait: Duration) -> Problem {
    Problem::new(Reason::ProviderRateLimited, message)
        .retry(Some(wait))
        .with("host", host.name.as_str())
}
