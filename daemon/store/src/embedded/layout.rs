//! How keys and values become entries of one sled tree.
//!
//! sled moves a leaf (up to 17 entries) that outgrows 128 KiB into a *blob* file, which it neither syncs nor keeps
//! until the leaf's replacement is durable. So no entry is longer than 4 KiB: longer values are cut into parts, which
//! their batch writes and removes with the value's head.

use crate::{StoreError, Tree};

/// What the entry of a key says.
pub(super) enum Head<'a> {
    /// The value itself.
    Whole(&'a [u8]),
    /// How many parts the value was cut into.
    Parts(u32),
}

/// Longest piece of a value in one entry.
pub(super) const PART: usize = 4096;

impl<'a> Head<'a> {
    pub(super) fn parse(entry: &'a [u8]) -> Result<Self, StoreError> {
        match entry {
            [WHOLE, value @ ..] => Ok(Self::Whole(value)),
            [PARTS, a, b, c, d] => Ok(Self::Parts(u32::from_be_bytes([*a, *b, *c, *d]))),
            _ => Err(StoreError::Corrupt),
        }
    }
}

/// How many parts a value is cut into; a short one into none.
pub(super) fn parts(value: &[u8]) -> u32 {
    // A batch holds at most 32 MiB, so this is never cut off.
    if value.len() <= PART {
        0
    } else {
        u32::try_from(value.len().div_ceil(PART)).unwrap_or(u32::MAX)
    }
}

/// The entry of a short value.
pub(super) fn whole(value: &[u8]) -> Vec<u8> {
    [&[WHOLE], value].concat()
}

/// The entry of a value that was cut.
pub(super) fn cut(parts: u32) -> Vec<u8> {
    [&[PARTS], parts.to_be_bytes().as_slice()].concat()
}

/// Where a key is kept. Names hold no NUL, so trees can't run into each other.
pub(super) fn entry_key(tree: Tree, key: &[u8]) -> Vec<u8> {
    [ENTRIES, tree.name().as_bytes(), &[0], key].concat()
}

/// Where a part is kept. The number has a fixed length, so keys can't run into each other.
pub(super) fn part_key(tree: Tree, key: &[u8], number: u32) -> Vec<u8> {
    [
        LONG,
        tree.name().as_bytes(),
        &[0],
        key,
        &number.to_be_bytes(),
    ]
    .concat()
}

const ENTRIES: &[u8] = b"e";
const LONG: &[u8] = b"p";
const WHOLE: u8 = 0;
const PARTS: u8 = 1;
