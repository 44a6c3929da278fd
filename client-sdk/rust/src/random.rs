//! Randomness from the system.

use std::fmt::Write as _;

use rustix::rand::{GetRandomFlags, getrandom};
use tonic::Code;

use crate::Error;

/// A random UUID of version 4.
pub(crate) fn uuid() -> Result<String, Error> {
    let mut bytes = [0_u8; 16];
    fill(&mut bytes)?;
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

/// A random part of a whole: from 0 to 1.
pub(crate) fn part() -> f64 {
    let mut bytes = [0_u8; 2];
    // Without randomness the middle will do: it only spreads retries.
    fill(&mut bytes).map_or(0.5, |()| {
        f64::from(u16::from_le_bytes(bytes)) / f64::from(u16::MAX)
    })
}

fn fill(bytes: &mut [u8]) -> Result<(), Error> {
    let mut filled = 0;
    while filled < bytes.len() {
        filled += getrandom(&mut bytes[filled..], GetRandomFlags::empty()).map_err(|error| {
            Error::local(
                Code::Internal,
                format!("the system gives no randomness ({error})"),
            )
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::uuid;

    /// Ids are of version 4 and differ.
    #[test]
    fn ids_are_random_uuids() {
        let (one, other) = (uuid().unwrap(), uuid().unwrap());
        assert_ne!(one, other);
        assert_eq!((one.len(), one.as_bytes()[14]), (36, b'4'));
        assert!(matches!(one.as_bytes()[19], b'8' | b'9' | b'a' | b'b'));
    }
}
