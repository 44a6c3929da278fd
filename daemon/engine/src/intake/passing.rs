//! Deliveries that are not taken whole: too long, or not there in time. They are verified as far as that goes while they pass
//! by, and nothing of them is kept (THREATS W5).
//!
//! Whoever has the hook's secret hears what is best for the hook. Everybody else hears the same, whether there is such a hook
//! or not (W6).

use bindery_core::time::Timestamp;
use ring::hmac;

use super::{
    Incoming, Refused, Taken,
    candidate::Candidate,
    verify::{Claim, Headers, accepted, is_form},
};
use crate::{Engine, deliveries::note_proof};

/// When to come again with a delivery that did not come in time.
const SLOW_WAIT: std::time::Duration = std::time::Duration::from_secs(5);

/// A delivery of which nothing is kept.
pub struct Passing {
    candidate: Option<Candidate>,
    headers: Vec<(String, Vec<u8>)>,
    bodies: Vec<hmac::Context>,
    now: Timestamp,
}

/// How a delivery ended that is not kept.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum End {
    /// It is too long, and passed by to its last byte.
    Whole,
    /// It is too long to wait for its end.
    TooLong,
    /// It did not come in time.
    TooSlow,
}

impl Passing {
    /// The next bytes of the body.
    pub fn update(&mut self, bytes: &[u8]) {
        for body in &mut self.bodies {
            body.update(bytes);
        }
    }

    /// Whether it is proven who sent it; `None` where that can't be told.
    fn is_right(&self, candidate: &Candidate, end: End) -> Option<bool> {
        let claim = self.claim(candidate);
        let secrets = accepted(&candidate.secrets, self.now);
        if !claim.covers_body() {
            return Some(claim.holds(&secrets));
        }
        // Of a form only a part is signed, which is not known before all is read.
        let whole = end == End::Whole && !is_form(&candidate.support, claim.headers);
        whole.then(|| claim.holds_over(&secrets, &self.bodies))
    }

    fn claim<'a>(&'a self, candidate: &'a Candidate) -> Claim<'a> {
        Claim {
            scheme: &candidate.scheme,
            headers: Headers(&self.headers),
            body: &[],
            now: self.now,
        }
    }
}

impl Engine {
    /// Begins with a delivery that is not kept. What came of its body so far is in `incoming`.
    ///
    /// # Errors
    ///
    /// [`Refused::Failed`] where the vault fails.
    pub async fn pass_delivery(&self, incoming: Incoming) -> Result<Passing, Refused> {
        let now = self.now();
        let candidate = self.candidate(&incoming.hook, now).await;
        let mut passing = Passing {
            candidate: candidate.map_err(Refused::Failed)?,
            headers: incoming.headers,
            bodies: Vec::new(),
            now,
        };
        if let Some(candidate) = &passing.candidate {
            let secrets = accepted(&candidate.secrets, now);
            passing.bodies = passing.claim(candidate).begin(&secrets);
        }
        passing.update(&incoming.body);
        Ok(passing)
    }

    /// Ends it. Refs are compared in its place where it is proven, or where nobody can tell; a provider that would switch the
    /// hook off hears that it is taken.
    ///
    /// # Errors
    ///
    /// [`Refused`].
    pub async fn end_passing(&self, passing: Passing, end: End) -> Result<Taken, Refused> {
        let refused = match end {
            End::Whole | End::TooLong => Refused::TooLong,
            End::TooSlow => Refused::Full(SLOW_WAIT),
        };
        let Some(candidate) = &passing.candidate else {
            return Err(self.unproven_or(refused, passing.now).await);
        };
        match passing.is_right(candidate, end) {
            None => self.note_cut(candidate, passing.now),
            Some(false) => self.note_rejection(candidate, passing.now),
            Some(true) if candidate.decoy => self.note_rejection(candidate, passing.now),
            Some(true) => {
                self.miss(candidate, passing.now).await?;
                return if candidate.support.failures_disable {
                    Ok(Taken::Dropped)
                } else {
                    Err(refused)
                };
            }
        }
        Err(self.unproven_or(refused, passing.now).await)
    }

    /// What one is answered that nothing proves, where it is no wrong signature that is in the way.
    async fn unproven_or(&self, refused: Refused, now: Timestamp) -> Refused {
        match self.unproven(now).await {
            Refused::Forged => refused,
            other => other,
        }
    }

    /// A proven delivery is not kept: refs are compared, and it shows that the hook works.
    async fn miss(&self, candidate: &Candidate, now: Timestamp) -> Result<(), Refused> {
        let noted = async {
            self.want_comparison(&candidate.hook).await?;
            self.change_hook(&candidate.hook.id, |hook| note_proof(hook, now))
                .await
        };
        noted.await.map(drop).map_err(Refused::Failed)
    }
}

impl std::fmt::Debug for Passing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Passing").finish_non_exhaustive()
    }
}
