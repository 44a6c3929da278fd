//! Secrets that follow from a seed

use ring::digest;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// What stays of a secret's own characters, whatever canary is put into it
const UNIQUE: usize = 16;

/// Makes secrets and remembers each of them
///
/// They are as good as their seed is secret, which it is not: nothing but a test may trust them.
pub struct Mint {
    seed: u64,
    count: u64,
    canary: String,
    remembers: bool,
    minted: Vec<String>,
}

impl std::fmt::Debug for Mint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mint")
            .field("seed", &self.seed)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

impl Mint {
    /// Secrets of this seed, from the first one on
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            seed,
            count: 0,
            canary: String::new(),
            remembers: true,
            minted: Vec::new(),
        }
    }

    /// Goes on with the secrets of another seed: two forges of one seed mint the same
    pub const fn reseed(&mut self, seed: u64) {
        self.seed = seed;
    }

    /// Puts a text into every secret from now on, so that leaks can be searched for
    pub fn set_canary(&mut self, canary: &str) {
        canary.clone_into(&mut self.canary);
    }

    /// Keeps no list of what was minted from now on: a simulation of months would fill the memory with it
    pub const fn forget(&mut self) {
        self.remembers = false;
    }

    /// Every secret that was ever minted, unless it forgets
    #[must_use]
    pub fn minted(&self) -> &[String] {
        &self.minted
    }

    /// A secret of so many letters and digits after a prefix
    pub fn secret(&mut self, prefix: &str, length: usize) -> String {
        let rest = length.saturating_sub(self.canary.len()).max(UNIQUE);
        let letters = self.letters(rest);
        let secret = format!("{prefix}{}{letters}", self.canary);
        self.remember(secret)
    }

    /// Keeps a secret that was put together elsewhere
    pub fn remember(&mut self, secret: String) -> String {
        if self.remembers {
            self.minted.push(secret.clone());
        }
        secret
    }

    /// So many letters and digits, which are no secret
    pub fn letters(&mut self, length: usize) -> String {
        self.count += 1;
        let number = self.count.to_be_bytes();
        letters(&[&self.seed.to_be_bytes(), &number], length)
    }

    /// An id that is no secret: `7f3b0a52-...`
    pub fn uuid(&mut self) -> String {
        let letters = self.letters(32);
        let digest = digest::digest(&digest::SHA256, letters.as_bytes());
        let hex = data_encoding::HEXLOWER.encode(&digest.as_ref()[..16]);
        let parts = [
            &hex[..8],
            &hex[8..12],
            &hex[13..16],
            &hex[17..20],
            &hex[20..],
        ];
        let [a, b, c, d, e] = parts;
        format!("{a}-{b}-4{c}-8{d}-{e}")
    }

    /// Letters and digits that follow from a text: the same each time
    #[must_use]
    pub fn derived(&self, from: &str, length: usize) -> String {
        letters(
            &[&self.seed.to_be_bytes(), b"derived", from.as_bytes()],
            length,
        )
    }
}

/// SHA-256 in counter mode, written in letters and digits
fn letters(key: &[&[u8]], length: usize) -> String {
    let mut out = String::with_capacity(length);
    for block in 0_u64.. {
        let mut context = digest::Context::new(&digest::SHA256);
        key.iter().for_each(|part| context.update(part));
        context.update(&block.to_be_bytes());
        let bytes = context.finish();
        let letters = bytes.as_ref().iter();
        let letters = letters.map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]));
        out.extend(letters.take(length - out.len()));
        if out.len() == length {
            break;
        }
    }
    out
}
