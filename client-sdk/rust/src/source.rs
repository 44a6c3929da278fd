//! A credential that is kept and renewed.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use futures_util::future::{BoxFuture, FutureExt as _, Shared};
use tokio::time::Instant;

use crate::{Client, Credential, CredentialRequest, Error};

/// A token without an expiry is asked for again after this time, so that disabling a link is noticed.
const LONGEST_LIFE: Duration = Duration::from_secs(300);

/// A credential is renewed when less than this is left.
const MARGIN: Duration = Duration::from_secs(60);

/// After a failure to renew, a token that is still valid is served for this time without another attempt.
const PAUSE: Duration = Duration::from_secs(5);

type Flight = Shared<BoxFuture<'static, Result<Arc<Credential>, Error>>>;

/// Keeps one credential: fetches it once for all callers, keeps it until 60 seconds before its end or 80 % of
/// its life, whichever is earlier, and goes on serving it while the daemon is down and it is valid.
///
/// ```no_run
/// use bindery_client::{Client, CredentialRequest, CredentialSource};
///
/// # async fn example() -> Result<(), bindery_client::Error> {
/// let client = Client::connect().await?;
/// let request = CredentialRequest::new("namespaces/acme/links/8c1f").repository("acme/api");
/// let source = CredentialSource::read(client, request);
/// let credential = source.get().await?;
/// // When the provider answers 401:
/// source.invalidate(&credential.token);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct CredentialSource {
    client: Client,
    request: CredentialRequest,
    write: bool,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    kept: Option<Kept>,
    flight: Option<Flight>,
    /// Counts invalidations, so that a fetch that began before one is not kept.
    epoch: u64,
}

#[derive(Clone)]
struct Kept {
    credential: Arc<Credential>,
    renew_at: Instant,
    ends: Option<End>,
}

/// The end of a token on both clocks: the wall clock may be set, and the other one stops in a suspended
/// machine.
#[derive(Clone, Copy)]
struct End {
    instant: Instant,
    wall: SystemTime,
}

impl CredentialSource {
    /// Keeps a credential for reading code.
    #[must_use]
    pub fn read(client: Client, request: CredentialRequest) -> Self {
        Self {
            client,
            request,
            write: false,
            state: Arc::default(),
        }
    }

    /// Keeps a credential for reading and writing code.
    #[must_use]
    pub fn read_write(client: Client, request: CredentialRequest) -> Self {
        Self {
            client,
            request,
            write: true,
            state: Arc::default(),
        }
    }

    /// The credential, fetched where there is none that is fresh.
    ///
    /// # Errors
    ///
    /// As for [`Client::read_credential`]. Where the daemon says that nothing may be handed out, such as
    /// [`Error::LinkDisabled`], a token that is still valid is not served any more.
    pub async fn get(&self) -> Result<Arc<Credential>, Error> {
        let flight = {
            let mut state = lock(&self.state);
            if let Some(kept) = state.kept.as_ref().filter(|kept| kept.is_fresh()) {
                return Ok(kept.credential.clone());
            }
            let epoch = state.epoch;
            state
                .flight
                .get_or_insert_with(|| self.renew(epoch))
                .clone()
        };
        flight.await
    }

    /// Forgets the credential, if its token is this one: the provider refused it. A token that was renewed
    /// meanwhile stays.
    pub fn invalidate(&self, token: &crate::Token) {
        let mut state = lock(&self.state);
        let same = |kept: &Kept| kept.credential.token.expose() == token.expose();
        if state.kept.as_ref().is_some_and(same) {
            state.kept = None;
            state.epoch += 1;
        }
    }

    /// One fetch for all who wait. It goes on while one of them does.
    fn renew(&self, epoch: u64) -> Flight {
        let (client, request, write) = (self.client.clone(), self.request.clone(), self.write);
        // The state keeps the fetch, so the fetch must not keep the state.
        let state = Arc::downgrade(&self.state);
        async move {
            let answer = if write {
                client.read_write_credential(&request).await
            } else {
                client.read_credential(&request).await
            };
            match state.upgrade() {
                Some(state) => lock(&state).settle(epoch, answer),
                None => answer.map(Arc::new),
            }
        }
        .boxed()
        .shared()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // Nothing that runs under the lock leaves the state half changed.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    fn settle(
        &mut self,
        epoch: u64,
        answer: Result<Credential, Error>,
    ) -> Result<Arc<Credential>, Error> {
        self.flight = None;
        let kept = match answer {
            Ok(credential) => Kept::new(credential),
            Err(error) => return self.bridge(error),
        };
        let credential = kept.credential.clone();
        if self.epoch == epoch {
            self.kept = Some(kept);
        }
        Ok(credential)
    }

    /// Serves the old token over an outage, and drops it where the daemon withholds it.
    fn bridge(&mut self, error: Error) -> Result<Arc<Credential>, Error> {
        let outage = matches!(
            error,
            Error::Unavailable(_)
                | Error::DeadlineExceeded(_)
                | Error::RateLimited { .. }
                | Error::Sealed(_)
        );
        match self.kept.as_mut().filter(|kept| outage && kept.is_valid()) {
            Some(kept) => {
                kept.renew_at = Instant::now() + PAUSE;
                Ok(kept.credential.clone())
            }
            None => {
                self.kept = None;
                Err(error)
            }
        }
    }
}

impl Kept {
    fn new(credential: Credential) -> Self {
        let (now, wall_now) = (Instant::now(), SystemTime::now());
        let life = credential
            .expires_at
            .map(|end| end.duration_since(wall_now).unwrap_or(Duration::ZERO));
        let fresh = life.map_or(LONGEST_LIFE, |life| {
            life.saturating_sub(MARGIN).min(life.mul_f64(0.8))
        });
        let ends = credential.expires_at.zip(life).map(|(wall, life)| End {
            instant: now + life,
            wall,
        });
        Self {
            credential: Arc::new(credential),
            renew_at: now + fresh,
            ends,
        }
    }

    fn is_fresh(&self) -> bool {
        self.is_valid() && Instant::now() < self.renew_at
    }

    fn is_valid(&self) -> bool {
        self.ends
            .is_none_or(|end| Instant::now() < end.instant && SystemTime::now() < end.wall)
    }
}

impl fmt::Debug for CredentialSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("CredentialSource")
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}
