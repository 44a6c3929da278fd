//! Random bytes from the seed of the operation
//!
//! A plugin has no entropy, so that a replay gives the same bytes. The seed is stretched with ChaCha20 (RFC 8439): what
//! a plugin reveals of the stream tells nothing about the rest.

use std::fmt;

/// A stream of random bytes.
#[derive(Clone)]
pub(crate) struct Random {
    key: [u32; 8],
    counter: u32,
    block: [u8; 64],
    used: usize,
}

impl Random {
    /// Starts from a seed; a short one is padded, a long one is cut.
    pub(crate) fn new(seed: &[u8]) -> Self {
        let mut bytes = [0; 32];
        let len = seed.len().min(32);
        bytes[..len].copy_from_slice(&seed[..len]);
        Self {
            key: words(&bytes),
            counter: 0,
            block: [0; 64],
            used: 64,
        }
    }

    pub(crate) fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            if self.used == self.block.len() {
                self.block = block(&self.key, self.counter, [0; 3]);
                self.counter = self.counter.wrapping_add(1);
                self.used = 0;
            }
            *byte = self.block[self.used];
            self.used += 1;
        }
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Random").finish_non_exhaustive()
    }
}

fn words(bytes: &[u8; 32]) -> [u32; 8] {
    let mut words = [0; 8];
    for (word, part) in words.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = part
            .iter()
            .rev()
            .fold(0, |all, byte| (all << 8) | u32::from(*byte));
    }
    words
}

fn block(key: &[u32; 8], counter: u32, nonce: [u32; 3]) -> [u8; 64] {
    let mut start = [
        0x6170_7865,
        0x3320_646e,
        0x7962_2d32,
        0x6b20_6574,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
    ];
    start[4..12].copy_from_slice(key);
    start[12] = counter;
    start[13..].copy_from_slice(&nonce);
    let mut state = start;
    for _ in 0..10 {
        for [a, b, c, d] in ROUNDS {
            quarter(&mut state, a, b, c, d);
        }
    }
    let mut out = [0; 64];
    for ((part, word), first) in out.chunks_exact_mut(4).zip(state).zip(start) {
        part.copy_from_slice(&word.wrapping_add(first).to_le_bytes());
    }
    out
}

fn quarter(s: &mut [u32; 16], a: usize, b: usize, c: usize, d: usize) {
    for (x, y, z, by) in [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)] {
        s[x] = s[x].wrapping_add(s[y]);
        s[z] = (s[z] ^ s[x]).rotate_left(by);
    }
}

const ROUNDS: [[usize; 4]; 8] = [
    [0, 4, 8, 12],
    [1, 5, 9, 13],
    [2, 6, 10, 14],
    [3, 7, 11, 15],
    [0, 5, 10, 15],
    [1, 6, 11, 12],
    [2, 7, 8, 13],
    [3, 4, 9, 14],
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The block function gives the vector of RFC 8439, section 2.3.2.
    #[test]
    fn the_stream_is_chacha20() {
        let key: Vec<u8> = (0..32).collect();
        let key = words(&key.try_into().unwrap());
        let out = block(&key, 1, [0x0900_0000, 0x4a00_0000, 0]);
        let first = [0x10, 0xf1, 0xe7, 0xe4, 0xd1, 0x3b, 0x59, 0x15];
        let last = [0xa2, 0x50, 0x3c, 0x4e];
        assert_eq!(out[..8], first);
        assert_eq!(out[60..], last);
    }

    /// The same seed gives the same bytes however they are asked for; another one gives others.
    #[test]
    fn a_seed_fixes_the_stream() {
        let mut whole = [0; 100];
        Random::new(b"seed").fill(&mut whole);
        let mut parts = [0; 100];
        let mut random = Random::new(b"seed");
        for part in parts.chunks_mut(7) {
            random.fill(part);
        }
        assert_eq!(whole, parts);
        let mut other = [0; 100];
        Random::new(b"sees").fill(&mut other);
        assert_ne!(whole, other);
    }
}
