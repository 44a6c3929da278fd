//! Token buckets for the pages of a flow: per address, and for all together.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio::time::Instant;

use crate::{
    client::{Peer, address, neighbourhood},
    failure::Failure,
    state::WebState,
};

/// Addresses that are remembered; a bucket takes about 50 bytes.
const REMEMBERED: usize = 8192;

/// How much and how fast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Requests at once.
    pub burst: u32,
    /// Requests a second in the long run.
    pub per_second: f64,
}

/// Rates of the flow's pages.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// For one address, or one IPv6 /64.
    pub each: Rate,
    /// For all together.
    pub all: Rate,
}

impl Default for Rates {
    /// A person needs five requests for a link; an office behind one address may link many at once.
    fn default() -> Self {
        let rate = |burst, per_second| Rate { burst, per_second };
        Self {
            each: rate(60, 2.0),
            all: rate(400, 100.0),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    fn full(rate: Rate, now: Instant) -> Self {
        let tokens = f64::from(rate.burst);
        Self { tokens, at: now }
    }

    fn refill(&mut self, rate: Rate, now: Instant) {
        let gained = now.saturating_duration_since(self.at).as_secs_f64() * rate.per_second;
        self.tokens = (self.tokens + gained).min(f64::from(rate.burst));
        self.at = now;
    }

    fn take(&mut self, rate: Rate, now: Instant) -> Result<(), Duration> {
        self.refill(rate, now);
        if self.tokens < 1.0 {
            let seconds = (1.0 - self.tokens) / rate.per_second.max(f64::EPSILON);
            return Err(Duration::from_secs_f64(seconds.clamp(1.0, 3600.0)));
        }
        self.tokens -= 1.0;
        Ok(())
    }

    fn is_full(mut self, rate: Rate, now: Instant) -> bool {
        self.refill(rate, now);
        self.tokens >= f64::from(rate.burst)
    }
}

#[derive(Debug)]
pub(crate) struct Limiter {
    rates: Rates,
    buckets: Mutex<Buckets>,
}

#[derive(Debug)]
struct Buckets {
    all: Bucket,
    each: HashMap<IpAddr, Bucket>,
    swept: Option<Instant>,
}

impl Limiter {
    pub(crate) fn new(rates: Rates) -> Self {
        let all = Bucket::full(rates.all, Instant::now());
        let each = HashMap::new();
        Self {
            rates,
            buckets: Mutex::new(Buckets {
                all,
                each,
                swept: None,
            }),
        }
    }

    /// Takes one token of both buckets; else says when to come again.
    pub(crate) fn take(&self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        // The address comes first: one that is over its share takes nothing from the others.
        buckets.of(neighbourhood(address), self.rates.each, now)?;
        buckets.all.take(self.rates.all, now)
    }
}

impl Buckets {
    fn of(&mut self, address: IpAddr, rate: Rate, now: Instant) -> Result<(), Duration> {
        let mut key = address;
        if self.each.len() >= REMEMBERED && !self.each.contains_key(&key) {
            self.sweep(rate, now);
            if self.each.len() >= REMEMBERED {
                // Newcomers share one bucket until somebody else's is full again.
                key = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
            }
        }
        let fresh = || Bucket::full(rate, now);
        self.each.entry(key).or_insert_with(fresh).take(rate, now)
    }

    /// Forgets full buckets, once a second at most: a flood of new addresses must not buy a scan each.
    fn sweep(&mut self, rate: Rate, now: Instant) {
        let recent = |last: Instant| now.saturating_duration_since(last) < Duration::from_secs(1);
        if !self.swept.is_some_and(recent) {
            self.swept = Some(now);
            self.each.retain(|_, bucket| !bucket.is_full(rate, now));
        }
    }
}

/// Lets a request through, or answers that it is too much.
pub(crate) async fn throttle(
    State(state): State<WebState>,
    request: Request,
    next: Next,
) -> Response {
    let unknown = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let peer = request.extensions().get::<Peer>();
    let peer = peer.map_or(unknown, |Peer(peer)| peer.ip());
    let caller = address(peer, request.headers(), &state.trusted_proxies);
    match state.limiter.take(caller, Instant::now()) {
        Ok(()) => next.run(request).await,
        Err(after) => Failure::TooMany(after).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: Rates = Rates {
        each: Rate {
            burst: 2,
            per_second: 1.0,
        },
        all: Rate {
            burst: 20_000,
            per_second: 1.0,
        },
    };

    fn from(bits: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from_bits(bits))
    }

    /// D4: one address over its share waits; another one does not, and time heals.
    #[test]
    fn d4_one_flood_stops_nobody_else() {
        let (limiter, start) = (Limiter::new(RATES), Instant::now());
        assert!(limiter.take(from(1), start).is_ok() && limiter.take(from(1), start).is_ok());
        assert_eq!(limiter.take(from(1), start), Err(Duration::from_secs(1)));
        assert!(limiter.take(from(2), start).is_ok());
        assert!(
            limiter
                .take(from(1), start + Duration::from_secs(1))
                .is_ok()
        );
    }

    /// D4: the total holds, whoever calls.
    #[test]
    fn d4_the_total_holds() {
        let all = Rate {
            burst: 3,
            per_second: 0.1,
        };
        let (limiter, now) = (Limiter::new(Rates { all, ..RATES }), Instant::now());
        let passed = (0..9)
            .filter(|n| limiter.take(from(*n), now).is_ok())
            .count();
        assert_eq!(passed, 3);
    }

    /// D7: any number of addresses takes bounded memory, and full buckets make room.
    #[test]
    fn d7_memory_is_bounded() {
        let (limiter, start) = (Limiter::new(RATES), Instant::now());
        let held = || limiter.buckets.lock().expect("lock").each.len();
        for n in 1..=2 * u32::try_from(REMEMBERED).expect("small") {
            let _ = limiter.take(from(n), start);
        }
        assert!(held() <= REMEMBERED + 1, "{}", held());
        let _ = limiter.take(from(u32::MAX), start + Duration::from_secs(60));
        assert_eq!(held(), 1);
    }
}
