//! Sealed records: what a value on disk looks like, and what it is bound to.
//!
//! ```text
//! value = "BDY1" | format u8 | algorithm u8 | epoch u32 | version u64 | binding[16] | envelope
//! AAD   = "BDY1" | format | algorithm | epoch | store id[16] | kind u8 | store key[32] | version | binding[16]
//! ```
//!
//! Store key and binding in the AAD are computed from what the reader asked for; the store key is a MAC of tree,
//! namespace and id. Only whoever re-seals a record without knowing what it is bound to takes the binding from the
//! value, and puts it back as it was.

use ring::error::Unspecified;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{
    address::{Address, Place},
    crypto::OVERHEAD,
    keys::Keys,
};

/// A value that does not open under what the reader asked for.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a record does not open")]
pub(crate) struct DoesNotOpen;

/// Why a record can't be sealed.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub(crate) enum CannotSeal {
    /// It is longer than this many bytes.
    #[error("a record is longer than {} KiB; shorten its texts, certificates or lists", .0 >> 10)]
    TooLong(usize),
    /// No randomness.
    #[error("the operating system gives no randomness; restart the machine")]
    Crypto,
}

/// The part of a value that is in clear.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Prefix {
    pub(crate) epoch: u32,
    pub(crate) version: u64,
    pub(crate) binding: [u8; 16],
}

impl Prefix {
    /// Splits a value.
    pub(crate) fn parse(value: &[u8]) -> Result<(Self, &[u8]), DoesNotOpen> {
        let rest = value.strip_prefix(LEAD).ok_or(DoesNotOpen)?;
        let (epoch, rest) = rest.split_first_chunk().ok_or(DoesNotOpen)?;
        let (version, rest) = rest.split_first_chunk().ok_or(DoesNotOpen)?;
        let (binding, envelope) = rest.split_first_chunk().ok_or(DoesNotOpen)?;
        let prefix = Self {
            epoch: u32::from_be_bytes(*epoch),
            version: u64::from_be_bytes(*version),
            binding: *binding,
        };
        Ok((prefix, envelope))
    }

    fn write(&self) -> Vec<u8> {
        let mut bytes = LEAD.to_vec();
        bytes.extend_from_slice(&self.epoch.to_be_bytes());
        bytes.extend_from_slice(&self.version.to_be_bytes());
        bytes.extend_from_slice(&self.binding);
        bytes
    }

    fn aad(&self, store_id: &[u8; 16], place: &Place) -> Vec<u8> {
        let mut aad = LEAD.to_vec();
        aad.extend_from_slice(&self.epoch.to_be_bytes());
        aad.extend_from_slice(store_id);
        aad.push(place.kind.code());
        aad.extend_from_slice(&place.key);
        aad.extend_from_slice(&self.version.to_be_bytes());
        aad.extend_from_slice(&self.binding);
        aad
    }
}

impl Keys {
    /// Seals a record under the active epoch.
    pub(crate) fn seal_record(
        &self,
        address: &Address,
        version: u64,
        plaintext: &[u8],
    ) -> Result<Vec<u8>, CannotSeal> {
        let padded = pad(plaintext, address.place.kind.longest())?;
        let (epoch, key) = self.ring.active();
        let prefix = Prefix {
            epoch,
            version,
            binding: address.binding,
        };
        let aad = prefix.aad(&self.store_id, &address.place);
        let mut value = prefix.write();
        value.extend_from_slice(&key.seal(LABEL, &aad, &padded)?);
        Ok(value)
    }

    /// Opens a record as the one that was asked for.
    pub(crate) fn open_record(
        &self,
        address: &Address,
        value: &[u8],
    ) -> Result<(u64, Zeroizing<Vec<u8>>), DoesNotOpen> {
        let (prefix, envelope) = Prefix::parse(value)?;
        if prefix.binding != address.binding {
            return Err(DoesNotOpen);
        }
        let key = self.ring.key(prefix.epoch).ok_or(DoesNotOpen)?;
        let aad = prefix.aad(&self.store_id, &address.place);
        let padded = key.open(LABEL, &aad, envelope)?;
        Ok((prefix.version, strip(padded)?))
    }

    /// Whether the ring has the epoch of a value. One that can't be read has no epoch, and is for whoever opens it.
    pub(crate) fn know(&self, value: &[u8]) -> bool {
        Prefix::parse(value).map_or(true, |(prefix, _)| self.ring.key(prefix.epoch).is_some())
    }

    /// Seals a record again, under the active epoch; `None` when it is already.
    pub(crate) fn reseal(
        &self,
        place: &Place,
        value: &[u8],
    ) -> Result<Option<Vec<u8>>, DoesNotOpen> {
        let (prefix, _) = Prefix::parse(value)?;
        if prefix.epoch == self.ring.active().0 {
            return Ok(None);
        }
        let address = Address {
            place: *place,
            binding: prefix.binding,
        };
        let (version, plaintext) = self.open_record(&address, value)?;
        self.seal_record(&address, version, &plaintext)
            .map(Some)
            .map_err(|_| DoesNotOpen)
    }
}

/// Length, text, zeros: so that the length of a record tells little of what is in it.
fn pad(plaintext: &[u8], longest: usize) -> Result<Zeroizing<Vec<u8>>, CannotSeal> {
    let length = u32::try_from(plaintext.len()).map_err(|_| CannotSeal::TooLong(longest))?;
    let full = (plaintext.len() + 4).next_multiple_of(STEP);
    if LEAD.len() + 28 + full + OVERHEAD > longest {
        return Err(CannotSeal::TooLong(longest));
    }
    let mut padded = Zeroizing::new(Vec::with_capacity(full));
    padded.extend_from_slice(&length.to_be_bytes());
    padded.extend_from_slice(plaintext);
    padded.resize(full, 0);
    Ok(padded)
}

fn strip(mut padded: Zeroizing<Vec<u8>>) -> Result<Zeroizing<Vec<u8>>, DoesNotOpen> {
    let length = padded.first_chunk().ok_or(DoesNotOpen)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| DoesNotOpen)?;
    if length > padded.len() - 4 {
        return Err(DoesNotOpen);
    }
    padded.copy_within(4.., 0);
    padded.truncate(length);
    Ok(padded)
}

impl From<Unspecified> for DoesNotOpen {
    fn from(_: Unspecified) -> Self {
        Self
    }
}

impl From<Unspecified> for CannotSeal {
    fn from(_: Unspecified) -> Self {
        Self::Crypto
    }
}

/// Magic, format 1, algorithm 1 (AES-256-GCM under a derived key).
const LEAD: &[u8] = b"BDY1\x01\x01";
const LABEL: &[u8] = b"bindery/rec/v1";
const STEP: usize = 256;

#[cfg(test)]
mod tests;
