//! Searches for planted secrets in everything that a daemon leaves behind, in all the ways they may be written.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};
use flate2::read::MultiGzDecoder;

/// Stands in every secret that a forge of these tests mints, so that a leak is found by it whatever the rest is.
pub const MARKER: &str = "BNDRYCANARY";

/// Whether every daemon of a test is searched when it is dropped: `BINDERY_TEST_SEARCH` is set.
#[must_use]
pub fn searching() -> bool {
    std::env::var_os("BINDERY_TEST_SEARCH").is_some()
}

/// What a compressed file may become, so that a bomb is no end of a test.
const INFLATED: u64 = 64 << 20;

/// Where a secret was found, and how it was written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Leak {
    /// Name of what was searched.
    pub place: String,
    /// How the secret was written there.
    pub encoding: String,
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

    /// Looks into some bytes, and into every gzip stream in them.
    #[must_use]
    pub fn search(&self, place: &str, bytes: &[u8]) -> Vec<Leak> {
        let mut leaks = self.search_plain(place, bytes, "");
        for start in memchr::memmem::find_iter(bytes, GZIP) {
            let stream = bytes.get(start..).unwrap_or_default();
            let mut inflated = Vec::new();
            // What is no stream, or a cut one, gives what can be read of it.
            let _ = MultiGzDecoder::new(stream)
                .take(INFLATED)
                .read_to_end(&mut inflated);
            leaks.extend(self.search_plain(place, &inflated, "gzip "));
        }
        leaks
    }

    fn search_plain(&self, place: &str, bytes: &[u8], within: &str) -> Vec<Leak> {
        let found = self
            .needles
            .iter()
            .filter(|(_, needle)| contains(bytes, needle));
        let leak = |(encoding, _): &(&str, Vec<u8>)| Leak {
            place: place.to_owned(),
            encoding: format!("{within}{encoding}"),
        };
        found.map(leak).collect()
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

/// How a gzip stream begins: magic, and the only method that there is.
const GZIP: &[u8] = &[0x1f, 0x8b, 8];

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
        // Without the zero before it.
        (
            "utf-16 be",
            bytes.iter().flat_map(|byte| [0, *byte]).skip(1).collect(),
        ),
        ("json", json(bytes, |_| false)),
        // Gson, and Go: what could end a script is written as a number.
        (
            "json for html",
            json(bytes, |letter| "=<>&'+/".contains(letter)),
        ),
        ("json in numbers", json(bytes, |_| true)),
        ("json twice", json(&json(bytes, |_| false), |_| false)),
        (
            "url",
            url::form_urlencoded::byte_serialize(bytes)
                .collect::<String>()
                .into_bytes(),
        ),
        // Without the brackets: it may stand within a longer one.
        (
            "debug",
            format!("{bytes:?}")
                .trim_matches(['[', ']'])
                .as_bytes()
                .to_vec(),
        ),
    ];
    for shift in 0..3 {
        all.push(("base64", inner_base64(bytes, shift, &BASE64)));
        all.push(("base64url", inner_base64(bytes, shift, &BASE64URL)));
    }
    all
}

/// Inside of the quotes of a JSON string, with the letters that `numbered` picks as `\\u002b`.
fn json(bytes: &[u8], numbered: impl Fn(char) -> bool) -> Vec<u8> {
    let letter = |letter: char| match letter {
        letter if numbered(letter) => format!("\\u{:04x}", u32::from(letter)),
        '"' | '\\' => format!("\\{letter}"),
        '\n' => "\\n".to_owned(),
        letter => letter.to_string(),
    };
    let text = String::from_utf8_lossy(bytes);
    text.chars().map(letter).collect::<String>().into_bytes()
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

    const SECRET: &str = "ghp_BNDRYCANARY/with+signs=\"0123456789\"";

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut writer, bytes).expect("written");
        writer.finish().expect("finished")
    }

    fn url_encoded(bytes: &[u8]) -> Vec<u8> {
        let text: String = url::form_urlencoded::byte_serialize(bytes).collect();
        text.into_bytes()
    }

    /// What may be made of a secret before it is written somewhere, in all the encodings that are searched.
    fn writings(secret: &str) -> Vec<(&'static str, Vec<u8>)> {
        let bytes = secret.as_bytes();
        let framed = |before: &str, after: &str| format!("{before}{secret}{after}").into_bytes();
        let quoted = serde_json::to_vec(secret).expect("json");
        let units = |big: bool| {
            let bytes = move |unit: u16| {
                if big {
                    unit.to_be_bytes()
                } else {
                    unit.to_le_bytes()
                }
            };
            secret.encode_utf16().flat_map(bytes).collect::<Vec<u8>>()
        };
        vec![
            ("raw", framed("token: ", "\n")),
            ("json", quoted.clone()),
            (
                "json in json",
                serde_json::to_vec(&String::from_utf8_lossy(&quoted)).expect("json"),
            ),
            (
                "json in numbers",
                secret
                    .chars()
                    .flat_map(|c| format!("\\u{:04x}", u32::from(c)).into_bytes())
                    .collect(),
            ),
            ("hex", HEXLOWER.encode(bytes).into_bytes()),
            ("upper hex", HEXUPPER.encode(bytes).into_bytes()),
            ("base64, at 0", BASE64.encode(bytes).into_bytes()),
            (
                "base64, at 1",
                BASE64.encode(&framed("x", "!")).into_bytes(),
            ),
            (
                "base64, at 2",
                BASE64.encode(&framed("u:", "")).into_bytes(),
            ),
            (
                "base64url",
                BASE64URL.encode(&framed("", "??")).into_bytes(),
            ),
            ("url", url_encoded(bytes)),
            ("utf-16", units(false)),
            ("utf-16 be", units(true)),
            ("reversed", bytes.iter().rev().copied().collect()),
            ("debug", format!("{bytes:?}").into_bytes()),
            ("gzip", gzip(&framed("a", "b"))),
            (
                "gzip of base64, in a file",
                [b"head".to_vec(), gzip(BASE64.encode(bytes).as_bytes())].concat(),
            ),
        ]
    }

    /// The positive control: a secret is found in every way of writing, and so is the marker alone, whatever secret it stands in.
    #[test]
    fn every_way_of_writing_is_found() {
        let marked = format!("glpat-xy{MARKER}0123456789abcdef");
        for (secret, needle) in [(SECRET, SECRET), (&marked, MARKER)] {
            let scanner = Scanner::new([needle]);
            for (way, text) in writings(secret) {
                assert!(
                    !scanner.search("planted", &text).is_empty(),
                    "{needle} as {way} was missed"
                );
            }
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
