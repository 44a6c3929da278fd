//! Passphrases: Argon2id, with its cost in the slot.

use argon2::{Algorithm, Argon2, Params, Version};
use zeroize::Zeroizing;

use bindery_core::secret::Secret;
use bindery_store_proto::v1 as disk;

use crate::{crypto::Key, slot::SlotError};

/// What it costs to try one passphrase.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PassphraseCost {
    memory_kib: u32,
    passes: u32,
}

impl PassphraseCost {
    /// 256 MiB and three passes: about a second on one core.
    #[must_use]
    pub const fn standard() -> Self {
        Self {
            memory_kib: 256 << 10,
            passes: 3,
        }
    }

    /// Next to nothing. A passphrase in such a slot is guessed in no time: for tests only.
    #[must_use]
    pub const fn insecure_for_tests() -> Self {
        Self {
            memory_kib: 8,
            passes: 1,
        }
    }

    pub(super) const fn write(self, parameters: &mut disk::SlotParameters) {
        parameters.memory_kib = self.memory_kib;
        parameters.passes = self.passes;
        parameters.lanes = 1;
    }
}

/// Refuses what is too short to be safe at any cost.
pub(super) fn check(text: &Secret) -> Result<(), SlotError> {
    if text.expose().chars().count() < LEAST {
        return Err(SlotError::ShortPassphrase { least: LEAST });
    }
    Ok(())
}

/// The key that a passphrase makes.
pub(super) fn key(text: &Secret, parameters: &disk::SlotParameters) -> Result<Key, SlotError> {
    // The header is not authenticated yet: it must not make the daemon use all memory.
    if parameters.memory_kib > MOST_MEMORY_KIB || parameters.passes > MOST_PASSES {
        return Err(SlotError::Crypto);
    }
    let params = Params::new(
        parameters.memory_kib,
        parameters.passes,
        parameters.lanes,
        Some(32),
    )
    .map_err(|_| SlotError::Crypto)?;
    let mut out = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(text.expose().as_bytes(), &parameters.salt, out.as_mut())
        .map_err(|_| SlotError::Crypto)?;
    Ok(Key::from_slice(out.as_slice())?)
}

const LEAST: usize = 12;
const MOST_MEMORY_KIB: u32 = 1 << 20;
const MOST_PASSES: u32 = 16;
