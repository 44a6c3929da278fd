//! What an operator asks of the seal and the slots.

use std::time::{Duration, Instant};

use bindery_api::{
    AddedSlot, Compacted, KeyMaterial, KeysPort, RotateWish, Rotated, SlotFacts, SlotKind,
    SlotOpens, SlotWish, UnsealProgress, UnsealWith,
};
use bindery_core::{
    port::{BoxFuture, Clock},
    problem::{Problem, Reason},
    secret::Secret,
};
use bindery_vault::{
    ChangeError, KeyBytes, NewSlot, PassphraseCost, SlotError, Unlock, different_shares,
};

use super::{KEPT, Sealing, State, keeping::Cause, rejected};
use crate::{admin::slot, ports::SystemClock};

/// How long a request id is remembered.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// What was done lately, by the id of its request.
pub(super) struct Done {
    request_id: String,
    at: Instant,
    answer: Answer,
}

/// An answer that a repetition gets again; without shares.
#[derive(Clone)]
enum Answer {
    Slot(SlotFacts),
    Rotated(Rotated),
}

impl KeysPort for Sealing {
    fn seal<'a>(&'a self, reason: &'a str) -> BoxFuture<'a, Result<(), Problem>> {
        Box::pin(async move {
            self.close(reason).await;
            Ok(())
        })
    }

    fn unseal(&self, with: UnsealWith) -> BoxFuture<'_, Result<UnsealProgress, Problem>> {
        Box::pin(async move {
            let mut state = self.state.lock().await;
            state.tries.check(Instant::now())?;
            let tried = self.try_with(&mut state, with).await;
            let was_rejected = |problem: &Problem| problem.reason == Reason::UnsealRejected;
            match &tried {
                Ok(progress) if progress.sealed => {}
                outcome => state
                    .tries
                    .note(Instant::now(), outcome.as_ref().is_err_and(was_rejected)),
            }
            tried
        })
    }

    fn add_slot(&self, wish: SlotWish) -> BoxFuture<'_, Result<AddedSlot, Problem>> {
        Box::pin(self.add(wish))
    }

    fn remove_slot(&self, id: u8) -> BoxFuture<'_, Result<Vec<SlotFacts>, Problem>> {
        Box::pin(async move {
            self.vault.remove_slot(id).await.map_err(refused)?;
            let slots = self.vault.list_slots().await;
            Ok(slots.into_iter().map(slot).collect())
        })
    }

    fn rotate(&self, wish: RotateWish) -> BoxFuture<'_, Result<Rotated, Problem>> {
        Box::pin(async move {
            let mut state = self.state.lock().await;
            if let Some(Answer::Rotated(rotated)) = state.repeated(&wish.request_id) {
                return Ok(rotated);
            }
            let rotated = self.keeping.rotate(wish.root_key).await?;
            state.note(wish.request_id, Answer::Rotated(rotated.clone()));
            Ok(rotated)
        })
    }

    fn compact(&self) -> BoxFuture<'_, Result<Compacted, Problem>> {
        Box::pin(self.keeping.erase(Cause::Asked))
    }

    fn verify_shares(&self, shares: Vec<Secret>) -> BoxFuture<'_, Result<SlotFacts, Problem>> {
        Box::pin(async move {
            let mut state = self.state.lock().await;
            state.tries.check(Instant::now())?;
            let found = self.vault.find_slot(Unlock::Shares(shares)).await;
            state.tries.note(Instant::now(), found.is_err());
            let found = found.map_err(|error| rejected(&error))?;
            self.note_verified(found.id).await;
            Ok(slot(found))
        })
    }
}

impl Sealing {
    async fn try_with(
        &self,
        state: &mut State,
        with: UnsealWith,
    ) -> Result<UnsealProgress, Problem> {
        let status = self.vault.status().await;
        if !status.sealed {
            return Ok(open());
        }
        let needed = status.shares_needed.unwrap_or_default();
        let unlock = match with {
            UnsealWith::Passphrase(text) => Unlock::Passphrase(text),
            UnsealWith::Key(key) => Unlock::Key(bytes(key)?),
            UnsealWith::Share(share) => match self.collect(state, share, needed.into())? {
                Ok(all) => Unlock::Shares(all),
                Err(received) => return Ok(waiting(received, needed)),
            },
        };
        self.open(state, unlock).await.map(|()| open())
    }

    /// All shares once there are enough, or how many there are. A mistyped one is refused, and the others stay.
    fn collect(
        &self,
        state: &mut State,
        share: Secret,
        needed: usize,
    ) -> Result<Result<Vec<Secret>, usize>, Problem> {
        let over = |since: Instant| since.elapsed() > KEPT;
        if state.since.is_some_and(over) {
            state.shares.clear();
        }
        let mistyped = |error: bindery_vault::ShareError| {
            Problem::new(Reason::UnsealRejected, error.to_string())
        };
        different_shares(&[&share]).map_err(mistyped)?;
        state.since = Some(Instant::now());
        state.shares.push(share);
        let given: Vec<&Secret> = state.shares.iter().collect();
        let received = different_shares(&given).inspect_err(|_| state.shares.clear());
        let received = received.map_err(mistyped)?;
        let all = received >= needed;
        self.shown().shares = if all {
            0
        } else {
            u32::try_from(received).unwrap_or_default()
        };
        if all {
            return Ok(Ok(std::mem::take(&mut state.shares)));
        }
        Ok(Err(received))
    }

    async fn add(&self, wish: SlotWish) -> Result<AddedSlot, Problem> {
        let mut state = self.state.lock().await;
        if let Some(Answer::Slot(slot)) = state.repeated(&wish.request_id) {
            return Ok(AddedSlot {
                slot,
                shares: Vec::new(),
            });
        }
        let request_id = wish.request_id.clone();
        let added = self.make(wish).await?;
        state.note(request_id, Answer::Slot(added.slot.clone()));
        Ok(added)
    }

    async fn make(&self, wish: SlotWish) -> Result<AddedSlot, Problem> {
        let needed = match &wish.opens {
            SlotOpens::Shares { needed, .. } => usize::from(*needed),
            _ => 0,
        };
        let prepared = self.vault.prepare_slot(new_slot(wish.opens)?).await;
        let prepared = prepared.map_err(refused)?;
        let mut prepared = prepared.labelled(&wish.label).made(SystemClock.now());
        let shares: Vec<Secret> = prepared.shares().iter().map(Secret::duplicate).collect();
        if needed > 0 {
            // Whether they were written down is asked by whoever shows them, with `VerifyRecoveryShares`.
            let some: Vec<&Secret> = shares.iter().take(needed).collect();
            let confirmed = prepared.confirm(&some);
            confirmed.map_err(|error| Problem::new(Reason::Internal, error.to_string()))?;
        }
        let info = prepared.info();
        self.vault.add_slot(prepared).await.map_err(refused)?;
        let info = info.ok_or_else(|| Problem::new(Reason::Internal, "a slot without a kind"))?;
        Ok(AddedSlot {
            slot: slot(info),
            shares,
        })
    }

    /// The time is for people; a header that can't be written is no reason to fail.
    async fn note_verified(&self, id: u8) {
        let noted = self.vault.note_verified(id, SystemClock.now()).await;
        if let Err(error) = noted
            && !matches!(error, ChangeError::Sealed)
        {
            tracing::warn!(%error, "The time of a slot's verification is not noted");
        }
    }
}

impl State {
    /// The answer that a request got before.
    fn repeated(&mut self, request_id: &str) -> Option<Answer> {
        self.done.retain(|done| done.at.elapsed() < REMEMBERED);
        let found = self.done.iter().find(|done| done.request_id == request_id);
        found.map(|done| done.answer.clone())
    }

    fn note(&mut self, request_id: String, answer: Answer) {
        if !request_id.is_empty() {
            let at = Instant::now();
            self.done.push(Done {
                request_id,
                at,
                answer,
            });
        }
    }
}

fn new_slot(opens: SlotOpens) -> Result<NewSlot, Problem> {
    Ok(match opens {
        SlotOpens::Passphrase(text) => NewSlot::Passphrase(text, PassphraseCost::standard()),
        SlotOpens::Key(SlotKind::SystemdCredential, key) => {
            NewSlot::Key(bindery_vault::SlotKind::Credential, bytes(key)?)
        }
        SlotOpens::Key(_, key) => NewSlot::Key(bindery_vault::SlotKind::KeyFile, bytes(key)?),
        SlotOpens::Shares { count, needed } => NewSlot::Shares { count, needed },
    })
}

fn bytes(key: KeyMaterial) -> Result<KeyBytes, Problem> {
    let bytes = KeyBytes::new(key.into_bytes());
    bytes.map_err(|error| Problem::invalid("key", error.to_string()))
}

const fn open() -> UnsealProgress {
    UnsealProgress {
        sealed: false,
        shares_received: 0,
        shares_needed: 0,
    }
}

fn waiting(received: usize, needed: u8) -> UnsealProgress {
    UnsealProgress {
        sealed: true,
        shares_received: u32::try_from(received).unwrap_or_default(),
        shares_needed: needed.into(),
    }
}

/// Why slots or keys were not changed.
pub(super) fn refused(error: ChangeError) -> Problem {
    let message = error.to_string();
    match error {
        ChangeError::NoSlot(id) => Problem::not_found(format!("slots/{id}")),
        ChangeError::Sealed => Problem::new(Reason::Sealed, message),
        ChangeError::TooFewSlots => Problem::invalid("id", message),
        ChangeError::NoSlotOnline => Problem::invalid("target", message),
        ChangeError::TooManySlots
        | ChangeError::NumbersUsedUp
        | ChangeError::SharesNotConfirmed => Problem::invalid("kind", message),
        ChangeError::Slot(SlotError::ShortPassphrase { .. }) => {
            Problem::invalid("passphrase", message)
        }
        ChangeError::Slot(SlotError::KeySize) => Problem::invalid("key", message),
        ChangeError::Slot(SlotError::ShareCount) => Problem::invalid("share_count", message),
        ChangeError::Slot(_) => Problem::invalid("kind", message),
        ChangeError::Overtaken => Problem::new(Reason::StoreConflict, message),
        ChangeError::Header(_) | ChangeError::NotDurable | ChangeError::Store(_) => {
            Problem::new(Reason::StoreReadOnly, message)
        }
        ChangeError::Vault(bindery_core::port::VaultError::Sealed) => {
            Problem::new(Reason::Sealed, message)
        }
        ChangeError::Vault(bindery_core::port::VaultError::Tampered) => {
            Problem::new(Reason::RecordTampered, message)
        }
        _ => Problem::new(Reason::Internal, message),
    }
}
