//! What callers may use up, and the counters that keep it so.

use std::{
    collections::{HashMap, VecDeque},
    future::poll_fn,
    hash::Hash,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

/// Limits of one listener.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at the same time. 1,024: half of the file descriptors that a service gets by default.
    pub connections: usize,
    /// Connections of one identity at the same time. 64: enough for a fleet of builders behind one name.
    pub per_identity: usize,
    /// TLS handshakes of one address at the same time. 16: an honest client needs one.
    pub handshakes_per_address: usize,
    /// TLS handshakes at the same time, 256. When there are more, the one that has waited longest is cut off: an honest
    /// one is over in milliseconds, so a flood of silent connections pushes out itself.
    pub handshakes: usize,
    /// Time for a TLS handshake, 5 s.
    pub handshake: Duration,
    /// Time until a connection has said that it speaks HTTP/2, 10 s.
    pub preface: Duration,
    /// Age at which a connection is asked to come again, 30 min: so a certificate that ran out is noticed.
    pub connection_age: Duration,
    /// Time without a call after which a connection is asked to come again, 30 s: a client that answers pings and does
    /// nothing else keeps no place. With the times before and after it, one that never asks for anything whole is gone within a minute.
    pub idle: Duration,
    /// Time without a call after which a connection that was asked to come again is cut off, 5 s.
    pub idle_grace: Duration,
    /// Time for the body of a request, 15 s; for the next part of one that is a stream.
    pub body: Duration,
    /// Time without reading anything of an answer after which a connection is cut off, 60 s: what is not read is in memory.
    pub unread: Duration,
    /// Time that calls get to end when their connection is over or the daemon stops, 30 s.
    pub grace: Duration,
    /// Calls at the same time on one connection, 128.
    pub streams: u32,
    /// Time between keepalive pings, 30 s.
    pub keepalive: Duration,
    /// Time for the answer to a ping, 10 s.
    pub keepalive_answer: Duration,
    /// Bytes of headers of one call, 16 KiB.
    pub header_bytes: u32,
    /// Bytes of a request, 64 KiB; one megabyte for hosts, which hold CA bundles.
    pub request_bytes: usize,
    /// Bytes of a response, 4 MiB.
    pub response_bytes: usize,
    /// Calls at the same time over all connections, 2,048. A call takes its place when its request is there as a whole; more are
    /// refused at once, before any work. As many may wait for the rest of their request: then the oldest of them goes.
    pub in_flight: usize,
    /// Calls of one identity at the same time, 512: a quarter of all, those whose request is not there yet included.
    pub in_flight_per_identity: usize,
    /// Calls a second of one identity in the long run, 1,000; 0 for no limit. A thousand builders that start together
    /// behind one registry are honest use.
    pub rate: u32,
    /// Calls of one identity at once, 2,000.
    pub burst: u32,
    /// Time for one call, 150 s: longer than an operation at a slow forge.
    pub call: Duration,
    /// Whether a TLS listener answers reflection. No: the schema is public, the version of the daemon need not be.
    pub reflection_over_tls: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1024,
            per_identity: 64,
            handshakes_per_address: 16,
            handshakes: 256,
            handshake: Duration::from_secs(5),
            preface: Duration::from_secs(10),
            connection_age: Duration::from_secs(1800),
            idle: Duration::from_secs(30),
            idle_grace: Duration::from_secs(5),
            body: Duration::from_secs(15),
            unread: Duration::from_secs(60),
            grace: Duration::from_secs(30),
            streams: 128,
            keepalive: Duration::from_secs(30),
            keepalive_answer: Duration::from_secs(10),
            header_bytes: 16 << 10,
            request_bytes: 64 << 10,
            response_bytes: 4 << 20,
            in_flight: 2048,
            in_flight_per_identity: 512,
            rate: 1000,
            burst: 2000,
            call: Duration::from_secs(150),
            reflection_over_tls: false,
        }
    }
}

/// Counts what is open for each key.
#[derive(Debug)]
pub(crate) struct Counter<K: Eq + Hash> {
    open: Arc<Mutex<HashMap<K, usize>>>,
    most: usize,
}

impl<K: Clone + Eq + Hash> Counter<K> {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            open: Arc::default(),
            most,
        }
    }

    /// One more, unless there are too many.
    pub(crate) fn take(&self, key: K) -> Option<Taken<K>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(key.clone()).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Taken {
            open: Arc::clone(&self.open),
            key,
        })
    }
}

/// One that is open; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Taken<K: Eq + Hash> {
    open: Arc<Mutex<HashMap<K, usize>>>,
    key: K,
}

impl<K: Eq + Hash> Drop for Taken<K> {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.key);
            }
        }
    }
}

/// What is under way, the oldest first. Where there is too much, the oldest goes.
#[derive(Debug)]
pub(crate) struct Line {
    most: usize,
    open: Mutex<VecDeque<(u64, oneshot::Sender<()>)>>,
    next: AtomicU64,
}

/// A place in a line; dropping it leaves.
#[derive(Debug)]
pub(crate) struct Turn {
    line: Arc<Line>,
    number: u64,
    /// Nothing is ever sent: the other end is dropped.
    gone: oneshot::Receiver<()>,
}

impl Line {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            open: Mutex::default(),
            next: AtomicU64::new(0),
        }
    }

    /// One more; the oldest goes where there are too many.
    pub(crate) fn enter(self: &Arc<Self>) -> Turn {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (stays, gone) = oneshot::channel();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.push_back((number, stays));
        if open.len() > self.most {
            open.pop_front();
        }
        Turn {
            line: Arc::clone(self),
            number,
            gone,
        }
    }
}

impl Turn {
    /// Whether it is its turn to go.
    pub(crate) fn poll_pushed_out(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.gone).poll(cx).map(|_| ())
    }

    /// Resolves when it is its turn to go.
    pub(crate) async fn pushed_out(&mut self) {
        poll_fn(|cx| self.poll_pushed_out(cx)).await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut open = self
            .line
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        open.retain(|(number, _)| *number != self.number);
    }
}

/// A token bucket for each identity.
#[derive(Debug)]
pub(crate) struct Buckets {
    buckets: Mutex<HashMap<String, Bucket>>,
    rate: f64,
    burst: f64,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

/// Buckets that are kept; identities are authenticated, so there are not many.
const BUCKETS: usize = 4096;

impl Buckets {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            buckets: Mutex::default(),
            rate: f64::from(limits.rate),
            burst: f64::from(limits.burst.max(1)),
        }
    }

    /// Takes one token, or says when there will be one.
    pub(crate) fn take(&self, identity: &str, now: Instant) -> Result<(), Duration> {
        if self.rate == 0.0 {
            return Ok(());
        }
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= BUCKETS {
            buckets.retain(|_, bucket| self.filled(*bucket, now) < self.burst);
        }
        let full = Bucket {
            tokens: self.burst,
            at: now,
        };
        if !buckets.contains_key(identity) {
            buckets.insert(identity.to_owned(), full);
        }
        let bucket = buckets.get_mut(identity).ok_or(Duration::ZERO)?;
        bucket.tokens = self.filled(*bucket, now);
        bucket.at = now;
        if bucket.tokens < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - bucket.tokens) / self.rate));
        }
        bucket.tokens -= 1.0;
        Ok(())
    }

    fn filled(&self, bucket: Bucket, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        (bucket.tokens + passed * self.rate).min(self.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// D4: one identity that floods is refused and told when to come again; others are not touched.
    #[test]
    fn d4_buckets_are_apart() {
        let limits = Limits {
            rate: 10,
            burst: 3,
            ..Limits::default()
        };
        let (buckets, start) = (Buckets::new(&limits), Instant::now());
        for _ in 0..3 {
            assert!(buckets.take("a", start).is_ok());
        }
        let wait = buckets.take("a", start).expect_err("empty");
        assert!(wait <= Duration::from_millis(100));
        assert!(buckets.take("b", start).is_ok());
        assert!(
            buckets
                .take("a", start + Duration::from_millis(100))
                .is_ok()
        );
        assert!(
            buckets
                .take("a", start + Duration::from_millis(100))
                .is_err()
        );
    }

    /// D1: what is closed may be opened again, and keys without anything open cost nothing.
    #[test]
    fn d1_counters_give_back() {
        let counter = Counter::new(1);
        let taken = counter.take("a").expect("first");
        assert!(counter.take("a").is_none());
        assert!(counter.take("b").is_some());
        drop(taken);
        assert!(counter.take("a").is_some());
        assert!(counter.open.lock().expect("lock").is_empty());
    }

    /// D1: where too many shake hands, the oldest one goes, and one that is over makes room.
    #[tokio::test]
    async fn d1_the_oldest_goes() {
        let line = Arc::new(Line::new(2));
        let (mut first, second) = (line.enter(), line.enter());
        drop(second);
        let mut third = line.enter();
        tokio::select! {
            biased;
            () = first.pushed_out() => panic!("there is room"),
            () = std::future::ready(()) => {}
        }
        let _fourth = line.enter();
        first.pushed_out().await;
        tokio::select! {
            biased;
            () = third.pushed_out() => panic!("it is not the oldest"),
            () = std::future::ready(()) => {}
        }
        drop(first);
        assert_eq!(line.open.lock().expect("lock").len(), 2);
    }
}
