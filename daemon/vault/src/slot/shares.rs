//! Recovery shares: pieces of paper, of which some together open the vault; three and two unless somebody says otherwise.
//!
//! A share is written as base32 in groups of five: version, four bytes of the store's id, the share, four bytes of a
//! checksum.

use argon2::password_hash::rand_core::OsRng;
use blahaj::{Share, Sharks};
use data_encoding::BASE32_NOPAD;
use ring::digest;
use thiserror::Error;
use zeroize::Zeroizing;

use bindery_core::secret::Secret;

use crate::crypto::Key;

/// Why shares can't be used.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ShareError {
    /// It can't be read, or was mistyped.
    #[error("share {0} was mistyped or is not whole; compare it with the paper and type it again")]
    Mistyped(usize),
    /// It was made for another vault, or replaced since.
    #[error("these shares do not belong to this vault; look for the ones of its latest printing")]
    NotOfThisVault,
    /// Not enough different shares.
    #[error("{needed} different shares are needed; bring another one")]
    TooFew {
        /// How many are.
        needed: u8,
    },
}

/// How many shares are needed unless somebody says otherwise.
pub(super) const THRESHOLD: u8 = 2;
/// How many shares are made unless somebody says otherwise.
pub(super) const SHARES: u8 = 3;
/// Most shares of a slot.
pub(super) const MOST: u8 = 16;

/// Splits a secret into `count` shares, of which `threshold` are needed.
pub(super) fn split(secret: &Key, store_id: &[u8; 16], threshold: u8, count: u8) -> Vec<Secret> {
    Sharks(threshold)
        .dealer_rng(secret.expose(), &mut OsRng)
        .take(count.into())
        .map(|share| write(&share, store_id))
        .collect()
}

/// The different shares among the given ones. Which vault they belong to is checked when it is known.
pub(super) fn collect(
    given: &[&Secret],
    store_id: Option<&[u8; 16]>,
) -> Result<Vec<Share>, ShareError> {
    let mut found: Vec<(u8, Share)> = Vec::new();
    let mut origin = store_id.map(|id| [id[0], id[1], id[2], id[3]]);
    for (at, text) in given.iter().enumerate() {
        let (of, share) = read(text).ok_or(ShareError::Mistyped(at + 1))?;
        if *origin.get_or_insert(of) != of {
            return Err(ShareError::NotOfThisVault);
        }
        if !found.iter().any(|(x, _)| *x == share.x.0) {
            found.push((share.x.0, share));
        }
    }
    Ok(found.into_iter().map(|(_, share)| share).collect())
}

/// The secret that shares are of, if they are of one.
pub(super) fn join(shares: &[Share], threshold: u8) -> Result<Key, ShareError> {
    let few = ShareError::TooFew { needed: threshold };
    if shares.len() < usize::from(threshold) {
        return Err(few);
    }
    let sharks = Sharks(threshold);
    let recovered = sharks.recover(shares);
    let secret = Zeroizing::new(recovered.map_err(|_| few)?);
    Key::from_slice(&secret).map_err(|_| ShareError::NotOfThisVault)
}

fn write(share: &Share, store_id: &[u8; 16]) -> Secret {
    let mut bytes = Zeroizing::new(Vec::with_capacity(LENGTH));
    bytes.push(VERSION);
    bytes.extend_from_slice(&store_id[..4]);
    bytes.extend_from_slice(&Zeroizing::new(Vec::from(share)));
    let check = checksum(&bytes);
    bytes.extend_from_slice(&check);
    let plain = Zeroizing::new(BASE32_NOPAD.encode(&bytes));
    let mut text = String::with_capacity(plain.len() * 6 / 5 + 1);
    for (at, letter) in plain.chars().enumerate() {
        if at > 0 && at % 5 == 0 {
            text.push('-');
        }
        text.push(letter);
    }
    Secret::new(text)
}

fn read(text: &Secret) -> Option<([u8; 4], Share)> {
    let mut plain = Zeroizing::new(String::with_capacity(text.expose().len()));
    let letters = text.expose().chars().filter(|letter| !is_gap(*letter));
    letters.for_each(|letter| plain.push(letter.to_ascii_uppercase()));
    let bytes = Zeroizing::new(BASE32_NOPAD.decode(plain.as_bytes()).ok()?);
    let (content, check) = bytes.split_last_chunk::<4>()?;
    if bytes.len() != LENGTH || checksum(content) != *check || content[0] != VERSION {
        return None;
    }
    let share = Share::try_from(&content[5..]).ok()?;
    // The secret itself lies at 0: no share is there.
    (share.x.0 != 0).then_some(([content[1], content[2], content[3], content[4]], share))
}

fn is_gap(letter: char) -> bool {
    letter.is_whitespace() || letter == '-'
}

fn checksum(bytes: &[u8]) -> [u8; 4] {
    let digest = digest::digest(&digest::SHA256, bytes);
    let all = digest.as_ref();
    [all[0], all[1], all[2], all[3]]
}

const VERSION: u8 = 1;
const LENGTH: usize = 1 + 4 + 33 + 4;

#[cfg(test)]
mod tests {
    use super::*;

    /// Any two of the three shares give the secret, in any case and grouping; one alone, twice, does not.
    #[test]
    fn any_two_shares_are_enough() {
        let secret = Key::random().unwrap();
        let shares = split(&secret, &[1; 16], 2, 3);
        let few = ShareError::TooFew { needed: 2 };
        for (a, b) in [(0, 1), (1, 2), (2, 0)] {
            let sloppy = Secret::new(shares[a].expose().to_lowercase().replace('-', " "));
            assert!(both(&[&sloppy, &shares[b]], Some(&[1; 16])) == Ok(secret.clone()));
            assert_eq!(both(&[&shares[a], &sloppy], None), Err(few));
        }
        assert!(both(&[&shares[0], &shares[1], &shares[2]], None) == Ok(secret));
    }

    /// Of five shares with a threshold of four, four give the secret and three do not.
    #[test]
    fn thresholds_are_kept() {
        let secret = Key::random().unwrap();
        let shares = split(&secret, &[1; 16], 4, 5);
        let read = |count: usize| {
            let given: Vec<_> = shares.iter().take(count).collect();
            collect(&given, None).unwrap()
        };
        assert!(join(&read(4), 4) == Ok(secret.clone()));
        assert_eq!(join(&read(3), 4), Err(ShareError::TooFew { needed: 4 }));
        assert!(join(&read(3), 3) != Ok(secret), "three are enough for four");
    }

    fn both(given: &[&Secret], store_id: Option<&[u8; 16]>) -> Result<Key, ShareError> {
        join(&collect(given, store_id)?, THRESHOLD)
    }

    /// Every mistyped letter is noticed and named, as is a share of another vault.
    #[test]
    fn mistyped_shares_are_named() {
        let secret = Key::random().unwrap();
        let shares = split(&secret, &[1; 16], 2, 3);
        let text = shares[1].expose();
        for at in (0..text.len()).filter(|at| &text[*at..=*at] != "-") {
            let letter = if &text[at..=at] == "A" { "B" } else { "A" };
            let wrong = Secret::new(format!("{}{letter}{}", &text[..at], &text[at + 1..]));
            assert_eq!(
                both(&[&shares[0], &wrong], None),
                Err(ShareError::Mistyped(2))
            );
        }
        let foreign = split(&secret, &[2; 16], 2, 3);
        let mixed = both(&[&shares[0], &foreign[1]], None);
        assert_eq!(mixed, Err(ShareError::NotOfThisVault));
        let other = both(&[&shares[0], &shares[1]], Some(&[2; 16]));
        assert_eq!(other, Err(ShareError::NotOfThisVault));
    }
}
