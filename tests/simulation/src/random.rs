//! Numbers that follow from a seed.

use std::sync::Mutex;

use bindery_core::port::Entropy;

/// SplitMix64 (Steele, Lea, Flood 2014): small, and good enough to choose what goes wrong next.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Less than `most`, which is not 0.
    pub(crate) const fn below(&mut self, most: u64) -> u64 {
        self.next() % most
    }

    /// True once in `times` times.
    pub(crate) const fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

/// The same numbers as the engine's randomness.
pub(crate) struct Seeded(Mutex<Random>);

impl Seeded {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(Mutex::new(Random::new(seed)))
    }
}

impl Entropy for Seeded {
    fn fill(&self, buffer: &mut [u8]) {
        let mut random = crate::fate::lock(&self.0);
        for chunk in buffer.chunks_mut(8) {
            chunk.copy_from_slice(&random.next().to_le_bytes()[..chunk.len()]);
        }
    }
}
