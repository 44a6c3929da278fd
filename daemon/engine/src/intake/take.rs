//! The way of one delivery: who sent it, whether there is room, whether it came before, and into the store.

use bindery_core::{
    delivery::{Delivery, DeliveryState},
    hook::Hook,
    port::{Change, Expect, Key, Record, VaultHealth},
    problem::{Problem, Reason},
    provider::{HookSupport, SignatureKind, SignatureScheme},
    time::Timestamp,
};

use super::{
    Incoming, Refused, Taken,
    candidate::Candidate,
    marks,
    verify::{Claim, Headers, accepted, blanked, signed},
};
use crate::{Engine, deliveries::note_proof, records::change};

/// Longest id and name of an event that are kept; providers' own are far shorter.
const NAME_BYTES: usize = 200;

/// When to come again where too many wait.
const FULL_WAIT: std::time::Duration = std::time::Duration::from_secs(5);

/// How often a delivery that repeats another says anew that its hook works.
const PROOF_EVERY: std::time::Duration = std::time::Duration::from_secs(1);

/// How often another writer may be faster.
const ATTEMPTS: usize = 4;

/// A delivery whose sender is proven.
struct Proven {
    hook: Hook,
    delivery: Delivery,
    failures_disable: bool,
    marks: Marks,
}

/// What it is known by.
struct Marks {
    id: Option<[u8; 32]>,
    body: [u8; 32],
    signature: Option<[u8; 32]>,
}

impl Marks {
    fn all(&self) -> impl Iterator<Item = [u8; 32]> {
        [self.id, Some(self.body), self.signature]
            .into_iter()
            .flatten()
    }
}

impl Engine {
    /// Takes a delivery. When it answers, what is new is durable.
    ///
    /// # Errors
    ///
    /// [`Refused`]; nothing of the delivery is kept then.
    pub async fn take_delivery(&self, incoming: Incoming) -> Result<Taken, Refused> {
        let now = self.now();
        let proven = self.prove(incoming, now).await?;
        // What came before takes no share: whoever caught a delivery could use it up.
        if let Some(taken) = self.taken_before(&proven).await.map_err(Refused::Failed)? {
            return Ok(taken);
        }
        let mut limits = self.intake_limits();
        if proven.hook.is_app() {
            // It brings what all repositories of the app would.
            limits.per_hook = limits.in_all;
        }
        if let Err(wait) = self.intake().rates.take(&proven.hook.id, &limits, now) {
            return self.too_many(&proven, wait).await;
        }
        if self.deliveries().waiting() >= limits.waiting || self.deliveries().is_full(&limits) {
            self.want_comparison(&proven.hook)
                .await
                .map_err(Refused::Failed)?;
            return Err(Refused::Full(FULL_WAIT));
        }
        if matches!(self.health(), VaultHealth::ReadOnly | VaultHealth::Sealed) {
            return Err(Refused::Full(FULL_WAIT));
        }
        let engine = self.clone();
        // A task of its own: a sender that goes away must not leave a delivery stored and unknown to those who process it.
        let stored = tokio::spawn(async move { engine.store(proven).await });
        let stopped = Problem::new(Reason::ShuttingDown, "the daemon stops; try again");
        stored
            .await
            .map_err(|_| Refused::Failed(stopped))?
            .map_err(Refused::Failed)
    }

    /// Who sent it. An unknown hook and a wrong signature are the same, in words and in time.
    async fn prove(&self, incoming: Incoming, now: Timestamp) -> Result<Proven, Refused> {
        let candidate = self.candidate(&incoming.hook, now).await;
        let candidate = candidate.map_err(Refused::Failed)?;
        let headers = Headers(&incoming.headers);
        let Some(candidate) = candidate else {
            return Err(self.unproven(now).await);
        };
        let body = signed(&candidate.support, headers, &incoming.body);
        let claim = Claim {
            scheme: &candidate.scheme,
            headers,
            body: body.as_deref().unwrap_or(&incoming.body),
            now,
        };
        let right = claim.holds(&accepted(&candidate.secrets, now));
        if !right || candidate.decoy || body.is_none() {
            self.note_rejection(&candidate, now);
            return Err(self.unproven(now).await);
        }
        Ok(self.proven(&candidate, claim))
    }

    fn proven(&self, candidate: &Candidate, claim: Claim<'_>) -> Proven {
        let Candidate {
            hook,
            support,
            scheme,
            ..
        } = candidate;
        let text = |name: &String| claim.headers.only(name).map(str::to_owned);
        let id = support.id_headers.iter().find_map(text);
        let time = claim.headers.only(&scheme.timestamp_header);
        let signature = claim.headers.only(&scheme.header);
        let once = scheme.kind == SignatureKind::TimestampHmacSha256;
        let pair = time.zip(signature).filter(|_| once);
        let marks = Marks {
            id: id.as_ref().map(|id| marks::by_id(&hook.id, id)),
            body: marks::by_body(&hook.id, claim.body),
            signature: pair.map(|(time, sent)| marks::by_signature(&hook.id, time, sent)),
        };
        let id = cut(id.unwrap_or_default());
        let delivery = Delivery {
            number: 0,
            hook: hook.id.clone(),
            redelivered: self.intake().was_awaited(&hook.id, &id),
            stable_id: id,
            event: cut(text(&support.event_header).unwrap_or_default()),
            headers: kept_headers(support, scheme, claim.headers),
            body: blanked(claim.body, &candidate.secrets),
            received: claim.now,
            state: DeliveryState::Stored,
            message: String::new(),
            events: Vec::new(),
            marks: marks.all().collect(),
            about: None,
        };
        let failures_disable = support.failures_disable;
        Proven {
            hook: hook.clone(),
            delivery,
            failures_disable,
            marks,
        }
    }

    /// It is too much. Refs are compared instead: most providers never try again. Where a refusal counts against the hook, it
    /// hears yes.
    async fn too_many(&self, proven: &Proven, wait: std::time::Duration) -> Result<Taken, Refused> {
        self.want_comparison(&proven.hook)
            .await
            .map_err(Refused::Failed)?;
        match proven.failures_disable {
            true => Ok(Taken::Dropped),
            false => Err(Refused::TooMany(wait)),
        }
    }

    /// Whether it came before. The same body, or the same proof, under another id may be another change after all: refs tell.
    async fn taken_before(&self, proven: &Proven) -> Result<Option<Taken>, Problem> {
        let hook = &proven.hook.id;
        let id = match proven.marks.id {
            Some(id) => marks::seen_mark(self, hook, id).await?,
            None => false,
        };
        let body = marks::seen_mark(self, hook, proven.marks.body).await?;
        let proof = match proven.marks.signature {
            Some(proof) => marks::seen_mark(self, hook, proof).await?,
            None => false,
        };
        if !(id || body || proof) {
            return Ok(None);
        }
        if !(id && body) {
            self.want_comparison(&proven.hook).await?;
        }
        self.prove_again(proven).await?;
        Ok(Some(Taken::Repeated))
    }

    /// Refs of the hook's repository are to be compared as soon as possible.
    pub(crate) async fn want_comparison(&self, hook: &Hook) -> Result<(), Problem> {
        if hook.reconcile_due {
            return Ok(());
        }
        if hook.is_app() {
            self.compare_all_served(&hook.host).await?;
        }
        self.change_hook(&hook.id, |hook| hook.reconcile_due = true)
            .await
            .map(drop)
    }

    /// A repetition shows that the hook works, as the first one did: a test that sends the last push again, for example.
    async fn prove_again(&self, proven: &Proven) -> Result<(), Problem> {
        let now = proven.delivery.received;
        let lately = proven.hook.verified;
        if lately.is_some_and(|at| now.since(at) < PROOF_EVERY) {
            return Ok(());
        }
        self.change_hook(&proven.hook.id, |hook| {
            note_proof(hook, now);
        })
        .await
        .map(drop)
    }

    async fn store(&self, proven: Proven) -> Result<Taken, Problem> {
        for _ in 0..ATTEMPTS {
            let number = self.next_number().await?;
            match self.store_as(&proven, number).await {
                Ok(()) => {
                    self.deliveries().keeps(&proven.delivery);
                    self.deliveries().push(&proven.hook.id, number);
                    return Ok(Taken::Stored(number));
                }
                Err(problem) if problem.reason == Reason::StoreConflict => {
                    self.close_number(number);
                    // Somebody else brought the same one at the same time, or another daemon took the number.
                    if let Some(taken) = self.taken_before(&proven).await? {
                        return Ok(taken);
                    }
                }
                Err(problem) => return self.is_stored(&proven, number, problem).await,
            }
        }
        Err(Problem::new(
            Reason::StoreConflict,
            "other writers were faster; try again",
        ))
    }

    async fn store_as(&self, proven: &Proven, number: u64) -> Result<(), Problem> {
        let hook = &proven.hook.id;
        let delivery = Delivery {
            number,
            ..proven.delivery.clone()
        };
        let put = Some(Record::Delivery(delivery));
        let put = change(Key::Delivery(number), Expect::Absent, put);
        let marks = proven.marks.all();
        let marks = marks.map(|digest| marks::keep(hook, digest, number));
        let changes: Vec<Change> = std::iter::once(put).chain(marks).collect();
        self.commit(changes).await
    }

    /// After a commit of unknown outcome. Where even that can't be read the number stays open, and is looked at after a
    /// restart.
    async fn is_stored(
        &self,
        proven: &Proven,
        number: u64,
        problem: Problem,
    ) -> Result<Taken, Problem> {
        match self.find_delivery(number).await {
            Ok(Some(_)) => {
                self.deliveries().keeps(&proven.delivery);
                self.deliveries().push(&proven.hook.id, number);
            }
            Ok(None) => self.close_number(number),
            Err(_) => {}
        }
        // It was not said to be durable, so it is not promised.
        Err(problem)
    }
}

fn cut(mut text: String) -> String {
    let mut end = NAME_BYTES.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text
}

/// The headers that the plugin asks for, but none that proves anything.
fn kept_headers(
    support: &HookSupport,
    scheme: &SignatureScheme,
    headers: Headers<'_>,
) -> Vec<(String, String)> {
    let proof = |name: &String| {
        let schemes = support.schemes.iter().chain([scheme]);
        let mut proofs = schemes.map(|scheme| &scheme.header);
        proofs.any(|header| header == name)
    };
    let asked = support.headers.iter().chain([&support.event_header]);
    let kept = asked.filter(|name| !proof(name));
    kept.filter_map(|name| Some((name.clone(), headers.only(name)?.to_owned())))
        .collect()
}
