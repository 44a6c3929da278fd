//! The only cryptography of the vault, all of it `ring`: keys, derivation, and one kind of envelope.
//!
//! An envelope is `salt[16] | commit[16] | nonce[12] | ciphertext ‖ tag`. Its key is derived from a long-lived key and
//! the salt, and so is the commitment, so an envelope opens under one key only. Salt and nonce are random per call:
//! a counter would repeat after a restored backup.

use std::fmt;

use ring::{
    aead::{self, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    error::Unspecified,
    hkdf::{self, HKDF_SHA256, Prk, Salt},
    hmac::{self, HMAC_SHA256},
    rand::{SecureRandom, SystemRandom},
};
use zeroize::Zeroizing;

/// Bytes that an envelope adds to its plaintext.
pub(crate) const OVERHEAD: usize = SALT + COMMIT + aead::NONCE_LEN + 16;

/// A key of 32 bytes that is wiped when it is dropped. It stays where it is: a move would leave its bytes on a stack.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct Key(Box<Zeroizing<[u8; 32]>>);

impl Key {
    /// A new key from the operating system.
    pub(crate) fn random() -> Result<Self, Unspecified> {
        let mut key = Self(Box::default());
        fill(key.0.as_mut_slice())?;
        Ok(key)
    }

    /// Takes 32 bytes as a key.
    pub(crate) fn from_slice(bytes: &[u8]) -> Result<Self, Unspecified> {
        let mut key = Self(Box::default());
        if bytes.len() != key.0.len() {
            return Err(Unspecified);
        }
        key.0.copy_from_slice(bytes);
        Ok(key)
    }

    /// A key from any material that is hard to guess.
    pub(crate) fn from_material(
        salt: &[u8],
        material: &[u8],
        info: &[u8],
    ) -> Result<Self, Unspecified> {
        let mut key = Self(Box::default());
        let prk = Salt::new(HKDF_SHA256, salt).extract(material);
        expand(&prk, &[info], key.0.as_mut_slice())?;
        Ok(key)
    }

    /// The key for one purpose.
    pub(crate) fn derive(&self, purpose: &str) -> Result<Self, Unspecified> {
        let mut key = Self(Box::default());
        expand(&self.prk(), &[purpose.as_bytes()], key.0.as_mut_slice())?;
        Ok(key)
    }

    /// The MAC key for one purpose.
    pub(crate) fn derive_mac(&self, purpose: &str) -> Result<hmac::Key, Unspecified> {
        Ok(hmac::Key::new(
            HMAC_SHA256,
            self.derive(purpose)?.0.as_slice(),
        ))
    }

    /// The bytes, to be wrapped.
    pub(crate) fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// Seals `plaintext` into an envelope.
    pub(crate) fn seal(
        &self,
        label: &[u8],
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, Unspecified> {
        let mut envelope = Vec::with_capacity(plaintext.len() + OVERHEAD);
        let (salt, nonce) = (random::<SALT>()?, random()?);
        let (subkey, commit) = self.subkey(label, &salt)?;
        envelope.extend_from_slice(&salt);
        envelope.extend_from_slice(&commit);
        envelope.extend_from_slice(&nonce);
        envelope.extend_from_slice(plaintext);
        let body = &mut envelope[SALT + COMMIT + aead::NONCE_LEN..];
        let tag = subkey.seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(aad),
            body,
        )?;
        envelope.extend_from_slice(tag.as_ref());
        Ok(envelope)
    }

    /// Opens an envelope.
    pub(crate) fn open(
        &self,
        label: &[u8],
        aad: &[u8],
        envelope: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Unspecified> {
        let (salt, rest) = envelope.split_first_chunk::<SALT>().ok_or(Unspecified)?;
        let (commit, rest) = rest.split_first_chunk::<COMMIT>().ok_or(Unspecified)?;
        let (nonce, sealed) = rest.split_first_chunk().ok_or(Unspecified)?;
        let (subkey, expected) = self.subkey(label, salt)?;
        // No secret: without the key nobody can use a commitment that was found by timing.
        if *commit != expected {
            return Err(Unspecified);
        }
        open_with(&subkey, *nonce, aad, sealed)
    }

    /// Seals one thing under a key that seals nothing else.
    pub(crate) fn wrap(
        &self,
        nonce: [u8; 12],
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, Unspecified> {
        let mut sealed = plaintext.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.aead()?
            .seal_in_place_append_tag(nonce, Aad::from(aad), &mut sealed)?;
        Ok(sealed)
    }

    /// Opens what [`Self::wrap`] sealed.
    pub(crate) fn unwrap(
        &self,
        nonce: [u8; 12],
        aad: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Unspecified> {
        open_with(&self.aead()?, nonce, aad, sealed)
    }

    fn aead(&self) -> Result<LessSafeKey, Unspecified> {
        UnboundKey::new(&AES_256_GCM, self.0.as_slice()).map(LessSafeKey::new)
    }

    fn prk(&self) -> Prk {
        Prk::new_less_safe(HKDF_SHA256, self.0.as_slice())
    }

    fn subkey(
        &self,
        label: &[u8],
        salt: &[u8; SALT],
    ) -> Result<(LessSafeKey, [u8; COMMIT]), Unspecified> {
        let mut both = Zeroizing::new([0; 32 + COMMIT]);
        expand(&self.prk(), &[label, salt], both.as_mut())?;
        let key = UnboundKey::new(&AES_256_GCM, &both[..32])?;
        let mut commit = [0; COMMIT];
        commit.copy_from_slice(&both[32..]);
        Ok((LessSafeKey::new(key), commit))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Random bytes from the operating system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Unspecified> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(bytes)
}

/// HMAC-SHA256 of parts, each with its length in front, so that no two lists of parts run together.
pub(crate) fn mac_parts(key: &hmac::Key, parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.sign().as_ref());
    out
}

fn fill(bytes: &mut [u8]) -> Result<(), Unspecified> {
    SystemRandom::new().fill(bytes)
}

fn open_with(
    key: &LessSafeKey,
    nonce: [u8; 12],
    aad: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Unspecified> {
    let mut buffer = Zeroizing::new(sealed.to_vec());
    let nonce = Nonce::assume_unique_for_key(nonce);
    let length = key.open_in_place(nonce, Aad::from(aad), &mut buffer)?.len();
    buffer.truncate(length);
    Ok(buffer)
}

fn expand(prk: &Prk, info: &[&[u8]], out: &mut [u8]) -> Result<(), Unspecified> {
    prk.expand(info, Length(out.len()))?.fill(out)
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

const SALT: usize = 16;
const COMMIT: usize = 16;

#[cfg(test)]
mod tests {
    use bindery_replay::figure;

    use super::*;

    /// K2: no envelope with one changed byte, another label or other associated data opens.
    #[test]
    fn k2_changed_envelopes_do_not_open() {
        let key = Key::random().unwrap();
        let sealed = key.seal(b"label", b"aad", b"text").unwrap();
        assert_eq!(
            key.open(b"label", b"aad", &sealed).unwrap().as_slice(),
            b"text"
        );
        assert!(key.open(b"other", b"aad", &sealed).is_err());
        assert!(key.open(b"label", b"other", &sealed).is_err());
        assert!(
            Key::random()
                .unwrap()
                .open(b"label", b"aad", &sealed)
                .is_err()
        );
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(key.open(b"label", b"aad", &changed).is_err(), "byte {at}");
            assert!(key.open(b"label", b"aad", &sealed[..at]).is_err());
        }
    }

    /// K12: neither salts nor nonces repeat, alone or together; of ten million with `BINDERY_FIGURES=full`.
    ///
    /// Their first eight bytes are compared, to keep within 160 MB: a repeat of the whole is one of these as well, and among
    /// ten million random ones a chance repeat of eight bytes is one in 370,000 runs (n²/2 of 2⁶⁴).
    #[test]
    fn k12_salts_and_nonces_do_not_repeat() {
        let key = Key::random().unwrap();
        let count = figure(20_000, 10_000_000);
        let (mut salts, mut nonces) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for _ in 0..count {
            let sealed = key.seal(b"", b"", b"").unwrap();
            salts.push(first_eight(&sealed));
            nonces.push(first_eight(&sealed[32..]));
        }
        let (salts, nonces) = (repeats(salts), repeats(nonces));
        println!("figure: K12: {count} envelopes, {salts} salts and {nonces} nonces twice");
        assert_eq!((salts, nonces), (0, 0));
    }

    fn first_eight(bytes: &[u8]) -> u64 {
        u64::from_le_bytes(*bytes.first_chunk().unwrap())
    }

    fn repeats(mut all: Vec<u64>) -> usize {
        all.sort_unstable();
        all.windows(2).filter(|pair| pair[0] == pair[1]).count()
    }

    /// K12: a vault that was restored, or a machine that was cloned, goes on with other salts and nonces: nothing is
    /// counted. Neighbours differ in about half of their bits, which no counter does.
    #[test]
    fn k12_nothing_is_counted() {
        let key = Key::random().unwrap();
        let restored = key.clone();
        let random = |key: &Key| {
            let sealed = key.seal(b"", b"", b"").unwrap();
            [&sealed[..16], &sealed[32..44]].concat()
        };
        let (mut distance, mut last) = (0, random(&key));
        for _ in 0..2_000 {
            let (next, other) = (random(&key), random(&restored));
            assert_ne!(next, other);
            let differ = next.iter().zip(&last).map(|(a, b)| (a ^ b).count_ones());
            distance += differ.sum::<u32>();
            last = next;
        }
        let mean = f64::from(distance) / 2_000.0 / 224.0;
        assert!((0.48..0.52).contains(&mean), "{mean} of the bits differ");
    }

    /// K12, a gate: nonces are made in this file only, each by `random`, and nothing near them counts.
    #[test]
    fn k12_nonces_are_made_in_one_place() {
        let sources = [
            ("crypto", include_str!("crypto.rs")),
            ("sealed", include_str!("sealed.rs")),
            ("slot", include_str!("slot.rs")),
            ("ring", include_str!("ring.rs")),
            ("keys", include_str!("keys.rs")),
            ("manifest", include_str!("manifest.rs")),
        ];
        for (name, source) in sources {
            let code = source.split("#[cfg(test)]").next().unwrap();
            for counter in ["Atomic", "fetch_add", "NonceSequence", "SealingKey"] {
                assert!(!code.contains(counter), "{name} has {counter}");
            }
            let nonces = code.matches("assume_unique_for_key").count();
            assert_eq!(nonces > 0, name == "crypto", "{name} makes nonces");
        }
    }

    /// Parts don't run together, and a key can't be printed.
    #[test]
    fn parts_are_kept_apart() {
        let key = Key::random().unwrap();
        let mac = key.derive_mac("m").unwrap();
        assert_ne!(
            mac_parts(&mac, &[b"ab", b"c"]),
            mac_parts(&mac, &[b"a", b"bc"])
        );
        assert_eq!(format!("{key:?}"), "[redacted]");
    }
}
