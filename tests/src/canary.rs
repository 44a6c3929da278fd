//! Searches for planted secrets in everything that a daemon leaves behind, in all the ways they may be written.

use std::{
    fs,
    path::{Path, PathBuf},
};

use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};

/// Where a secret was found, and how it was written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Leak {
    /// Name of what was searched.
    pub place: String,
    /// How the secret was written there.
    pub encoding: &'static str,
}

/// Looks for secrets.
#[derive(Debug)]
pub struct Scanner {
    needles: Vec<(&'static str, Vec<u8>)>,
}

impl Scanner {
    /// Looks for each of `secrets` in every encoding.
    #[must_use]
    pub fn new<S: AsRef<[u8]>>(secrets: impl IntoIterator<Item = S>) -> Self {
        Self {
            needles: secrets
                .into_iter()
                .filter(|secret| secret.as_ref().len() >= 8)
                .flat_map(|secret| written(secret.as_ref()))
                .collect(),
        }
    }

    /// How many ways of writing are looked for.
    #[must_use]
    pub fn needles(&self) -> usize {
        self.needles.len()
    }

    /// Looks into some bytes.
    #[must_use]
    pub fn search(&self, place: &str, bytes: &[u8]) -> Vec<Leak> {
        let found = self
            .needles
            .iter()
            .filter(|(_, needle)| contains(bytes, needle));
        found
            .map(|(encoding, _)| Leak {
                place: place.to_owned(),
                encoding,
            })
            .collect()
    }

    /// Looks into every file below a folder, but for those whose names `skip` names.
    ///
    /// # Errors
    ///
    /// When a folder can't be read.
    pub fn search_files(&self, folder: &Path, skip: &[&str]) -> std::io::Result<Vec<Leak>> {
        let mut leaks = Vec::new();
        for path in files(folder, skip)? {
            // A file that goes away meanwhile holds nothing.
            let bytes = fs::read(&path).unwrap_or_default();
            leaks.extend(self.search(&path.display().to_string(), &bytes));
        }
        Ok(leaks)
    }
}

/// All regular files below a folder.
fn files(folder: &Path, skip: &[&str]) -> std::io::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if skip.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        if kind.is_dir() {
            all.extend(files(&entry.path(), skip)?);
        } else if kind.is_file() {
            all.push(entry.path());
        }
    }
    Ok(all)
}

/// A secret in every way in which it may be written.
fn written(bytes: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut all = vec![
        ("raw", bytes.to_vec()),
        ("reversed", bytes.iter().rev().copied().collect()),
        ("hex", HEXLOWER.encode(bytes).into_bytes()),
        ("upper hex", HEXUPPER.encode(bytes).into_bytes()),
        ("utf-16", bytes.iter().flat_map(|byte| [*byte, 0]).collect()),
        (
            "url",
            url::form_urlencoded::byte_serialize(bytes)
                .collect::<String>()
                .into_bytes(),
        ),
        ("debug", format!("{bytes:?}").into_bytes()),
    ];
    for shift in 0..3 {
        all.push(("base64", inner_base64(bytes, shift, &BASE64)));
        all.push(("base64url", inner_base64(bytes, shift, &BASE64URL)));
    }
    all
}

/// The part of a secret's base64 that does not depend on what stands before and after it.
fn inner_base64(bytes: &[u8], shift: usize, encoding: &data_encoding::Encoding) -> Vec<u8> {
    let aligned = bytes.get(shift..).unwrap_or_default();
    let whole = aligned.len() / 3 * 3;
    encoding
        .encode(aligned.get(..whole).unwrap_or_default())
        .into_bytes()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty() && memchr::memmem::find(haystack, needle).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "ghp_BNDRYCANARY/with+signs=0123456789";

    /// The positive control: each of twelve planted ways of writing is found.
    #[test]
    fn every_way_of_writing_is_found() {
        let scanner = Scanner::new([SECRET]);
        let bytes = SECRET.as_bytes();
        let planted: [Vec<u8>; 12] = [
            bytes.to_vec(),
            format!("{{\"token\":\"{SECRET}\"}}").into_bytes(),
            HEXLOWER.encode(bytes).into_bytes(),
            HEXUPPER.encode(bytes).into_bytes(),
            BASE64.encode(bytes).into_bytes(),
            BASE64.encode(format!("u:{SECRET}").as_bytes()).into_bytes(),
            BASE64
                .encode(format!("x:{SECRET}!").as_bytes())
                .into_bytes(),
            BASE64URL
                .encode(format!("{SECRET}??").as_bytes())
                .into_bytes(),
            url::form_urlencoded::byte_serialize(bytes)
                .collect::<String>()
                .into_bytes(),
            SECRET.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            bytes.iter().rev().copied().collect(),
            format!("{:?}", bytes).into_bytes(),
        ];
        for (index, text) in planted.iter().enumerate() {
            assert!(
                !scanner.search("planted", text).is_empty(),
                "plant {index} was missed"
            );
        }
    }

    /// What is no secret is not found.
    #[test]
    fn nothing_is_found_where_nothing_is() {
        assert_eq!(
            Scanner::new([SECRET]).search("clean", b"ghp_BNDRYCANAR"),
            []
        );
    }
}
