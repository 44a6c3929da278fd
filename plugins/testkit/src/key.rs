//! Publishers' keys

use std::{
    fs::OpenOptions,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use data_encoding::BASE64;
use ring::{
    rand::SystemRandom,
    signature::{Ed25519KeyPair, KeyPair as _},
};

/// Makes a key at `path`, readable by its owner only, and beside it the `.pub` file that operators put into their folder
/// of keys. Returns the path and the text of the latter. Nothing that is there is overwritten.
///
/// # Errors
///
/// A name can't be written into the file, a file can't be written, or there is no randomness.
pub fn generate(path: &Path, name: &str, may_sign: &[String]) -> Result<(PathBuf, String)> {
    let plain = |name: &str| {
        let good = |c: u8| c.is_ascii_alphanumeric() || b"-_. ".contains(&c);
        !name.is_empty() && name.bytes().all(good)
    };
    ensure!(
        plain(name),
        "the key's name has letters, digits, '-', '_', '.' and spaces only"
    );
    ensure!(
        may_sign.iter().all(|name| plain(name)),
        "a plugin's name has letters, digits and '-' only"
    );
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
        .ok()
        .context("the system gives no randomness")?;
    let public = public_file(&pair(document.as_ref())?, name, may_sign);
    let public_path = PathBuf::from(format!("{}.pub", path.display()));
    write_new(path, document.as_ref(), 0o600)?;
    write_new(&public_path, public.as_bytes(), 0o644)?;
    Ok((public_path, public))
}

fn public_file(pair: &Ed25519KeyPair, name: &str, may_sign: &[String]) -> String {
    let names: Vec<String> = may_sign.iter().map(|name| format!("\"{name}\"")).collect();
    let key = BASE64.encode(pair.public_key().as_ref());
    format!(
        "name = \"{name}\"\npublic_key = \"{key}\"\nmay_sign = [{}]\n",
        names.join(", ")
    )
}

/// Reads a key that [`generate`] made, or another tool: PKCS #8, DER.
///
/// # Errors
///
/// It can't be read or is no key.
pub fn read(path: &Path) -> Result<Ed25519KeyPair> {
    pair(&crate::read(path)?).with_context(|| format!("{} is no key", path.display()))
}

fn pair(document: &[u8]) -> Result<Ed25519KeyPair> {
    // Other tools leave the public half out.
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(document).ok();
    pair.context("it is not an Ed25519 key in PKCS #8; make one with 'bindery-plugin-test keygen'")
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path);
    file.and_then(|mut file| file.write_all(bytes))
        .with_context(|| format!("{} can't be written", path.display()))
}
