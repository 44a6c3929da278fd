//! What a test turns and reads while the stand-in runs

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use http::StatusCode;
use tokio::sync::watch;

use super::world::Token;
use super::{GitHub, Inner};

/// What goes wrong with one request
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is done, and this status answered
    Status(u16),
    /// The request is read, nothing is done, and the connection closed without an answer
    CloseAfterReading,
    /// What was asked is done, and the connection closed without an answer
    CommitThenClose,
    /// The primary rate limit is used up
    RateLimited {
        /// Seconds, in `Retry-After` and `X-RateLimit-Reset`
        retry_after: u64,
    },
    /// A secondary rate limit: 403 with `Retry-After: 60`
    SecondaryLimit,
    /// The request is read and never answered
    Hang,
    /// What was asked is done, and the answer is 200 with half a JSON document
    GarbageJson,
}

/// One request that arrived; values of headers and queries are never kept
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// Its method
    pub method: String,
    /// Its path, without the query
    pub path: String,
    /// The names of its query parameters
    pub query_names: Vec<String>,
    /// The names of its headers
    pub header_names: Vec<String>,
    /// The answer's status; none while there is none, and where a fault left it without
    pub status: Option<StatusCode>,
}

/// A credential that works now
#[derive(Clone, PartialEq, Eq)]
pub struct LiveToken {
    /// The credential itself
    pub secret: String,
    /// Whose it is
    pub login: String,
    /// The OAuth app that it was given to; none for a personal access token
    pub client_id: Option<String>,
    /// What it may do
    pub scopes: BTreeSet<String>,
    /// Whether it renews another one, instead of being good for the API
    pub refresh: bool,
}

/// Holds callers back before the token endpoint, and counts them
pub(super) struct Gate {
    held: watch::Sender<bool>,
    waiting: watch::Sender<usize>,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            held: watch::Sender::new(false),
            waiting: watch::Sender::new(0),
        }
    }
}

impl Gate {
    /// Wait while the gate is shut
    pub(super) async fn pass(&self) {
        self.waiting.send_modify(|waiting| *waiting += 1);
        let _leaving = Leaving(&self.waiting);
        let mut held = self.held.subscribe();
        // The sender lives in the gate, so waiting can't fail.
        let _ = held.wait_for(|held| !held).await;
    }
}

/// Counts a caller out, also when it gave up
struct Leaving<'a>(&'a watch::Sender<usize>);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|waiting| *waiting -= 1);
    }
}

impl std::fmt::Debug for LiveToken {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("LiveToken");
        shown.field("login", &self.login);
        shown.field("client_id", &self.client_id);
        shown.field("scopes", &self.scopes);
        shown.field("refresh", &self.refresh);
        shown.finish_non_exhaustive()
    }
}

impl GitHub {
    /// Put the stand-in's clock so many seconds ahead of the real one
    pub fn set_clock_offset(&self, seconds: i64) {
        self.inner.clock_offset.store(seconds, Ordering::SeqCst);
    }

    /// Let the next request to a path that begins so go wrong; faults are used up in their order
    ///
    /// API paths may be given without their `/api/v3`.
    pub fn fail_next(&self, path_prefix: &str, fault: Fault) {
        let mut world = self.inner.world();
        world.faults.push_back((path_prefix.to_owned(), fault));
    }

    /// Faults that no request has met yet
    #[must_use]
    pub fn pending_faults(&self) -> usize {
        self.inner.world().faults.len()
    }

    /// Close every connection without an answer, or end that
    pub fn set_away(&self, away: bool) {
        self.inner.world().away = away;
    }

    /// Take back all that somebody allowed apps, with every token of theirs, and every app off their account
    pub fn revoke_all_of(&self, login: &str) {
        let mut world = self.inner.world();
        world.grants.retain(|grant| grant.login != login);
        world.codes.retain(|code| code.login != login);
        world.tokens.retain(|token| token.login != login);
        let own = world.installations.iter();
        let own: Vec<_> = own
            .filter(|one| one.account == login)
            .map(|one| one.id)
            .collect();
        for id in own {
            world.uninstall(id);
        }
    }

    /// How many apps people allow to act for them
    #[must_use]
    pub fn authorizations(&self) -> usize {
        self.inner.world().grants.len()
    }

    /// Let everybody wait who asks the token endpoint, until [`GitHub::release_token_endpoint`]
    pub fn hold_token_endpoint(&self) {
        self.inner.gate.held.send_replace(true);
    }

    /// Let everybody through who waits
    pub fn release_token_endpoint(&self) {
        self.inner.gate.held.send_replace(false);
    }

    /// Wait until so many callers wait at the token endpoint
    pub async fn token_endpoint_reached(&self, callers: usize) {
        let mut waiting = self.inner.gate.waiting.subscribe();
        // The sender lives in the gate, so waiting can't fail.
        let _ = waiting.wait_for(|waiting| *waiting >= callers).await;
    }

    /// Suspend somebody, or end that
    pub fn suspend_user(&self, login: &str, suspended: bool) {
        let mut world = self.inner.world();
        if suspended {
            world.suspended.insert(login.to_owned());
        } else {
            world.suspended.remove(login);
        }
    }

    /// Refuse so many API requests with every token that a refresh makes from now on, as replicas do that lag behind
    pub fn set_replica_lag(&self, requests: u32) {
        self.inner.world().lag = requests;
    }

    /// Take the device flow away from an app
    pub fn disable_device_flow(&self, client_id: &str) {
        let mut world = self.inner.world();
        world.no_devices.insert(client_id.to_owned());
    }

    /// Let tokens of installations that are made from now on live so many seconds; GitHub's are good for an hour
    pub fn set_installation_token_seconds(&self, seconds: i64) {
        self.inner.world().installation_seconds = seconds;
    }

    /// How many refreshes succeeded, answered or not
    #[must_use]
    pub fn token_refreshes(&self) -> usize {
        self.inner.world().refreshes
    }

    /// The requests to paths that begin so; API paths may be given without their `/api/v3`
    #[must_use]
    pub fn requests(&self, path_prefix: &str) -> Vec<Logged> {
        let world = self.inner.world();
        let requests = world.log.iter();
        let wanted = requests.filter(|request| begins(&request.path, path_prefix));
        wanted.cloned().collect()
    }

    /// Every credential that works now, refresh tokens included
    #[must_use]
    pub fn live_tokens(&self) -> Vec<LiveToken> {
        let now = self.inner.now();
        let world = self.inner.world();
        let tokens = world.tokens.iter();
        tokens.flat_map(|token| live(token, now)).collect()
    }

    /// Every secret that was ever minted: tokens, codes, client secrets
    #[must_use]
    pub fn minted(&self) -> Vec<String> {
        self.inner.world().mint.minted().to_vec()
    }

    /// The PKCE verifiers that clients presented
    #[must_use]
    pub fn presented(&self) -> Vec<String> {
        self.inner.world().mint.presented().to_vec()
    }
}

impl Inner {
    /// Seconds since 1970 on the stand-in's own clock
    pub(super) fn now(&self) -> i64 {
        let real = SystemTime::now().duration_since(UNIX_EPOCH);
        let real = real.map_or(0, |real| i64::try_from(real.as_secs()).unwrap_or(i64::MAX));
        real.saturating_add(self.clock_offset.load(Ordering::SeqCst))
    }

    pub(super) fn take_fault(&self, path: &str) -> Option<Fault> {
        let mut world = self.world();
        if world.away {
            return Some(Fault::CloseAfterReading);
        }
        let mut faults = world.faults.iter();
        let position = faults.position(|(prefix, _)| begins(path, prefix))?;
        world.faults.remove(position).map(|(_, fault)| fault)
    }
}

fn begins(path: &str, prefix: &str) -> bool {
    let in_api = path.strip_prefix("/api/v3").unwrap_or(path);
    path.starts_with(prefix) || in_api.starts_with(prefix)
}

fn live(token: &Token, now: i64) -> impl Iterator<Item = LiveToken> {
    let access = token.lives(now).then(|| (token.secret.clone(), false));
    let refresh = token.refresh.as_ref().filter(|(_, end)| now < *end);
    let refresh = refresh.map(|(secret, _)| (secret.clone(), true));
    let (login, client_id) = (token.login.clone(), token.client_id().map(str::to_owned));
    let scopes = token.scopes.clone();
    let both = access.into_iter().chain(refresh);
    both.map(move |(secret, refresh)| LiveToken {
        secret,
        login: login.clone(),
        client_id: client_id.clone(),
        scopes: scopes.clone(),
        refresh,
    })
}
