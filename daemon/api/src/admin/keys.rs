//! Seal, slots and keys.

use bindery_core::{port::BoxFuture, problem::Problem, secret::Secret, time::Timestamp};
use bindery_proto::admin::v1 as wire;
use zeroize::Zeroizing;

use super::{SlotFacts, SlotKind, count, slot};
use crate::{call::Call, convert::common::time, fields::Fields, status::Failure};

/// What an operator does with the seal and the keys.
pub trait KeysPort: Send + Sync {
    /// Forgets the keys; from then on everything answers `SEALED`. Ends when they are gone.
    fn seal<'a>(&'a self, reason: &'a str) -> BoxFuture<'a, Result<(), Problem>>;
    /// Opens the seal, or takes one of several shares.
    ///
    /// Fails with `UNSEAL_REJECTED` where it does not fit, and with `OVERLOADED` after too many tries.
    fn unseal(&self, with: UnsealWith) -> BoxFuture<'_, Result<UnsealProgress, Problem>>;
    /// Adds a slot.
    fn add_slot(&self, wish: SlotWish) -> BoxFuture<'_, Result<AddedSlot, Problem>>;
    /// Removes a slot, and lists those that stay.
    fn remove_slot(&self, id: u8) -> BoxFuture<'_, Result<Vec<SlotFacts>, Problem>>;
    /// New keys.
    fn rotate(&self, wish: RotateWish) -> BoxFuture<'_, Result<Rotated, Problem>>;
    /// Copies the store into a smaller one: what was erased is gone afterwards, and so are the keys that it was under.
    fn compact(&self) -> BoxFuture<'_, Result<Compacted, Problem>>;
    /// Finds the slot that these shares open, and changes nothing else than its time of verification.
    fn verify_shares(&self, shares: Vec<Secret>) -> BoxFuture<'_, Result<SlotFacts, Problem>>;
}

/// What opens the seal.
#[derive(Debug)]
pub enum UnsealWith {
    /// A passphrase.
    Passphrase(Secret),
    /// The bytes of a key file.
    Key(KeyMaterial),
    /// One recovery share.
    Share(Secret),
}

/// The bytes of a key. They can't be printed, and are wiped when they are dropped.
pub struct KeyMaterial(Zeroizing<Vec<u8>>);

impl KeyMaterial {
    /// The bytes.
    #[must_use]
    pub fn into_bytes(mut self) -> Vec<u8> {
        std::mem::take(&mut *self.0)
    }
}

impl std::fmt::Debug for KeyMaterial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// How far unsealing is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UnsealProgress {
    /// It has no root key yet.
    pub sealed: bool,
    /// How many recovery shares were handed in.
    pub shares_received: u32,
    /// How many are needed; 0 without a slot for them.
    pub shares_needed: u32,
}

/// New keys that somebody wants.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RotateWish {
    /// A new root key, and an epoch with it; otherwise an epoch alone.
    pub root_key: bool,
    /// A repetition of this id within an hour gets the first answer; empty for none.
    pub request_id: String,
}

/// Keys after a rotation.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rotated {
    /// The epochs, oldest first.
    pub epochs: Vec<EpochFacts>,
    /// Slots that do not open the new root key.
    pub lost: Vec<SlotFacts>,
}

/// An epoch of the key ring.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EpochFacts {
    /// Its number.
    pub id: u32,
    /// New records are sealed with it; otherwise they are only opened.
    pub active: bool,
    /// When it began.
    pub created: Timestamp,
    /// Records that are still sealed with it; 0 where nobody has counted yet.
    pub records: u64,
}

/// What compacting did, in bytes on disk.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Compacted {
    /// Before.
    pub before: u64,
    /// After.
    pub after: u64,
}

/// A slot that somebody wants.
#[derive(Debug)]
pub struct SlotWish {
    /// Name for people; may be empty.
    pub label: String,
    /// How it opens the seal.
    pub opens: SlotOpens,
    /// A repetition of this id within an hour gets the first answer, without the shares; empty for none.
    pub request_id: String,
}

/// How a new slot opens the seal.
#[derive(Debug)]
pub enum SlotOpens {
    /// By a passphrase.
    Passphrase(Secret),
    /// By a key that the caller keeps, as a key file or a systemd credential.
    Key(SlotKind, KeyMaterial),
    /// By recovery shares: how many are made, and how many are needed.
    Shares {
        /// How many are made.
        count: u8,
        /// How many are needed.
        needed: u8,
    },
}

/// A new slot.
#[derive(Debug)]
pub struct AddedSlot {
    /// The slot.
    pub slot: SlotFacts,
    /// Its recovery shares; shown once.
    pub shares: Vec<Secret>,
}

pub(super) async fn seal(
    call: Call,
    request: wire::SealRequest,
) -> Result<wire::SealResponse, Failure> {
    let mut fields = Fields::default();
    fields.text("reason", &request.reason, LONGEST_REASON);
    fields.finish()?;
    let sealed = call.api.admin().keys().seal(&request.reason).await;
    tracing::info!(target: "audit", who = call.caller.name(), why = request.reason, ok = sealed.is_ok(), "Seal");
    sealed?;
    Ok(wire::SealResponse {
        seal_state: wire::SealState::Sealed.into(),
    })
}

pub(super) async fn unseal(
    call: Call,
    request: wire::UnsealRequest,
) -> Result<wire::UnsealResponse, Failure> {
    let with = unseal_with(request)?;
    let outcome = call.api.admin().keys().unseal(with).await;
    tracing::info!(target: "audit", who = call.caller.name(), ok = outcome.is_ok(), "Unseal");
    let progress = outcome?;
    call.note.fact("sealed", progress.sealed.to_string());
    let state = if progress.sealed {
        wire::SealState::Sealed
    } else {
        wire::SealState::Unsealed
    };
    Ok(wire::UnsealResponse {
        seal_state: state.into(),
        shares_received: count(progress.shares_received),
        shares_needed: count(progress.shares_needed),
    })
}

/// Exactly one of the three.
fn unseal_with(request: wire::UnsealRequest) -> Result<UnsealWith, Failure> {
    let passphrase = Secret::new(request.passphrase);
    let share = Secret::new(request.recovery_share);
    let key = KeyMaterial(Zeroizing::new(request.key));
    let one = |field| {
        Problem::invalid(
            field,
            "exactly one of passphrase, key and recovery_share opens the seal; hand in one",
        )
    };
    match (passphrase.is_empty(), key.0.is_empty(), share.is_empty()) {
        (false, true, true) => Ok(UnsealWith::Passphrase(passphrase)),
        (true, false, true) => Ok(UnsealWith::Key(key)),
        (true, true, false) => Ok(UnsealWith::Share(share)),
        (true, true, true) => Err(one("passphrase").into()),
        (_, false, _) => Err(one("key").into()),
        _ => Err(one("recovery_share").into()),
    }
}

pub(super) async fn add_slot(
    call: Call,
    request: wire::AddSlotRequest,
) -> Result<wire::AddSlotResponse, Failure> {
    crate::fields::request_id(&request.request_id)?;
    let wish = wish(request)?;
    let added = call.api.admin().keys().add_slot(wish).await;
    tracing::info!(target: "audit", who = call.caller.name(), ok = added.is_ok(), "Slot added");
    let added = added?;
    call.note.resource(format!("slots/{}", added.slot.id));
    let shares = added.shares.iter().map(|share| share.expose().to_owned());
    Ok(wire::AddSlotResponse {
        recovery_shares: shares.collect(),
        slot: Some(slot(added.slot)),
    })
}

fn wish(request: wire::AddSlotRequest) -> Result<SlotWish, Failure> {
    let mut fields = Fields::default();
    fields.text("label", &request.label, LONGEST_LABEL);
    fields.finish()?;
    let kind = request.kind();
    let passphrase = Secret::new(request.passphrase);
    let key = KeyMaterial(Zeroizing::new(request.key));
    let opens = match kind {
        wire::SlotKind::Passphrase => SlotOpens::Passphrase(passphrase),
        wire::SlotKind::KeyFile => SlotOpens::Key(SlotKind::KeyFile, key),
        wire::SlotKind::SystemdCredential => SlotOpens::Key(SlotKind::SystemdCredential, key),
        wire::SlotKind::RecoveryShares => SlotOpens::Shares {
            count: shares("share_count", request.share_count, SHARES)?,
            needed: shares("shares_needed", request.shares_needed, NEEDED)?,
        },
        wire::SlotKind::Unspecified => {
            let message = "a slot has a kind; name one of the four";
            return Err(Problem::invalid("kind", message).into());
        }
    };
    Ok(SlotWish {
        label: request.label,
        opens,
        request_id: request.request_id,
    })
}

fn shares(field: &'static str, wanted: i32, usual: u8) -> Result<u8, Failure> {
    match u8::try_from(wanted) {
        Ok(0) => Ok(usual),
        Ok(number) => Ok(number),
        Err(_) => Err(Problem::invalid(field, "must be 2 to 16; choose another number").into()),
    }
}

pub(super) async fn remove_slot(
    call: Call,
    request: wire::RemoveSlotRequest,
) -> Result<wire::RemoveSlotResponse, Failure> {
    let absent = || Problem::not_found(format!("slots/{}", request.id));
    let id = u8::try_from(request.id).map_err(|_| absent())?;
    let removed = call.api.admin().keys().remove_slot(id).await;
    tracing::info!(target: "audit", who = call.caller.name(), slot = id, ok = removed.is_ok(), "Slot removed");
    Ok(wire::RemoveSlotResponse {
        slots: removed?.into_iter().map(slot).collect(),
    })
}

pub(super) async fn verify_recovery_shares(
    call: Call,
    request: wire::VerifyRecoverySharesRequest,
) -> Result<wire::VerifyRecoverySharesResponse, Failure> {
    if request.recovery_shares.len() > MOST_SHARES {
        let message = "a slot has at most 16 shares; hand in those of one slot";
        return Err(Problem::invalid("recovery_shares", message).into());
    }
    let shares = request.recovery_shares.into_iter().map(Secret::new);
    let verified = call
        .api
        .admin()
        .keys()
        .verify_shares(shares.collect())
        .await;
    tracing::info!(target: "audit", who = call.caller.name(), ok = verified.is_ok(), "Recovery shares verified");
    let verified = verified?;
    call.note.resource(format!("slots/{}", verified.id));
    Ok(wire::VerifyRecoverySharesResponse {
        slot: Some(slot(verified)),
    })
}

pub(super) async fn rotate_keys(
    call: Call,
    request: wire::RotateKeysRequest,
) -> Result<wire::RotateKeysResponse, Failure> {
    use wire::rotate_keys_request::Target;
    crate::fields::request_id(&request.request_id)?;
    let root_key = match request.target() {
        Target::Epoch => false,
        Target::RootKey => true,
        Target::Unspecified => {
            let message = "must be TARGET_EPOCH or TARGET_ROOT_KEY; name one";
            return Err(Problem::invalid("target", message).into());
        }
    };
    let wish = RotateWish {
        root_key,
        request_id: request.request_id,
    };
    let rotated = call.api.admin().keys().rotate(wish).await;
    tracing::info!(target: "audit", who = call.caller.name(), root_key, ok = rotated.is_ok(), "Keys rotated");
    let rotated = rotated?;
    if let Some(active) = rotated.epochs.iter().find(|epoch| epoch.active) {
        call.note.fact("epoch", active.id.to_string());
    }
    Ok(wire::RotateKeysResponse {
        epochs: rotated.epochs.into_iter().map(epoch).collect(),
        lost_slots: rotated.lost.into_iter().map(slot).collect(),
    })
}

pub(super) async fn compact_store(
    call: Call,
    _: wire::CompactStoreRequest,
) -> Result<wire::CompactStoreResponse, Failure> {
    let compacted = call.api.admin().keys().compact().await;
    tracing::info!(target: "audit", who = call.caller.name(), ok = compacted.is_ok(), "Store compacted");
    let compacted = compacted?;
    Ok(wire::CompactStoreResponse {
        before_bytes: i64::try_from(compacted.before).unwrap_or(i64::MAX),
        after_bytes: i64::try_from(compacted.after).unwrap_or(i64::MAX),
    })
}

pub(super) fn epoch(facts: EpochFacts) -> wire::Epoch {
    let state = if facts.active {
        wire::epoch::State::Active
    } else {
        wire::epoch::State::OpenOnly
    };
    wire::Epoch {
        id: i32::try_from(facts.id).unwrap_or(i32::MAX),
        state: state.into(),
        create_time: Some(time(facts.created)),
        record_count: i64::try_from(facts.records).unwrap_or(i64::MAX),
    }
}

/// Longest reason in bytes.
const LONGEST_REASON: usize = 1000;
/// Longest name of a slot in bytes.
const LONGEST_LABEL: usize = 200;
/// Most shares of a slot.
const MOST_SHARES: usize = 16;
/// Shares that are made unless the caller says otherwise.
const SHARES: u8 = 3;
/// Shares that are needed unless the caller says otherwise.
const NEEDED: u8 = 2;
