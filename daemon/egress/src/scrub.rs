//! Blanks known secrets out of text that others will see, in every writing that an echo may give them.
//!
//! Two ideas keep it short. What encodes a secret *whole* (base64 at its three alignments, hexadecimal) is searched for as
//! another needle. What escapes *single characters* (percent, JSON, HTML) has too many spellings for that, so the text is
//! unescaped while it is remembered where each byte came from, and the needles are searched for in that view.

use std::{borrow::Cow, ops::Range};

use bindery_core::secret::Secret;
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use memchr::memmem;
use zeroize::Zeroizing;

/// What stands in the place of a secret.
const BLANK: &[u8] = b"[redacted]";

/// Below this length an encoded form is so short that it would hit innocent text.
const ENCODED_FROM: usize = 6;

/// Knows the writings of some secrets.
pub(crate) struct Scrubber {
    needles: Vec<Zeroizing<Vec<u8>>>,
}

impl Scrubber {
    pub(crate) fn new<'a>(secrets: impl Iterator<Item = &'a Secret>) -> Self {
        let mut needles = Vec::new();
        for secret in secrets.filter(|secret| !secret.is_empty()) {
            let bytes = secret.expose().as_bytes();
            needles.push(Zeroizing::new(bytes.to_vec()));
            needles.extend(as_sent(secret.expose()));
            if bytes.contains(&b' ') {
                // Forms write a space as a plus sign, which may as well be one.
                needles.push(Zeroizing::new(
                    secret.expose().replace(' ', "+").into_bytes(),
                ));
            }
            if bytes.len() >= ENCODED_FROM {
                needles.push(Zeroizing::new(HEXLOWER.encode(bytes).into_bytes()));
                needles.push(Zeroizing::new(HEXUPPER.encode(bytes).into_bytes()));
                needles.extend((0..3).flat_map(|shift| base64(bytes, shift)));
            }
        }
        Self { needles }
    }

    /// `text` without any of the secrets.
    pub(crate) fn clean(&self, text: Vec<u8>) -> Vec<u8> {
        let mut hits = Vec::new();
        let whole = View {
            text: Cow::Borrowed(&text),
            jumps: Vec::new(),
        };
        self.search(&whole, NESTED, &mut hits);
        if hits.is_empty() {
            text
        } else {
            blank(&text, hits)
        }
    }

    fn search(&self, view: &View<'_>, nested: usize, hits: &mut Vec<Range<usize>>) {
        for needle in &self.needles {
            hits.extend(view.find(needle));
        }
        for (mark, escape) in ESCAPES {
            if nested > 0 && memchr::memchr(mark, &view.text).is_some() {
                self.search(&view.unescaped(mark, escape), nested - 1, hits);
            }
        }
    }
}

/// The writings in which the daemon itself puts a secret into a body, where they differ from it. An echo of them is searched for as
/// it is, because what stands before it may look like the start of an escape and swallow its first characters.
fn as_sent(secret: &str) -> Vec<Zeroizing<Vec<u8>>> {
    let form = form_urlencoded::byte_serialize(secret.as_bytes()).collect::<String>();
    let json = Zeroizing::new(serde_json::Value::from(secret).to_string());
    let inner = json[1..json.len() - 1].to_owned();
    let mut writings = vec![
        Zeroizing::new(form.into_bytes()),
        Zeroizing::new(inner.into_bytes()),
    ];
    writings.retain(|writing| writing.as_slice() != secret.as_bytes());
    writings
}

/// The characters of a base64 text that `secret` alone decides, when `shift` bytes of something else precede it.
fn base64(secret: &[u8], shift: usize) -> [Zeroizing<Vec<u8>>; 2] {
    let mut padded = Zeroizing::new(vec![0; shift]);
    padded.extend_from_slice(secret);
    let first = [0, 2, 3][shift];
    let last = padded.len() * 8 / 6;
    let cut = |text: String| Zeroizing::new(Zeroizing::new(text).as_bytes()[first..last].to_vec());
    [
        cut(BASE64.encode(&padded)),
        cut(BASE64URL_NOPAD.encode(&padded)),
    ]
}

/// Text as it reads after unescaping.
struct View<'a> {
    text: Cow<'a, [u8]>,
    /// Behind each escape: the place in the text, and the place in the original. Between them both run in step.
    jumps: Vec<(usize, usize)>,
}

impl View<'_> {
    /// Places in the original where `needle` stands.
    fn find<'v>(&'v self, needle: &'v [u8]) -> impl Iterator<Item = Range<usize>> + 'v {
        let mut from = 0;
        std::iter::from_fn(move || {
            let start = from + memmem::find(self.text.get(from..)?, needle)?;
            from = start + needle.len();
            Some(self.origin(start)..self.origin(from))
        })
    }

    fn origin(&self, at: usize) -> usize {
        let behind = self.jumps.partition_point(|(place, _)| *place <= at);
        let last = behind.checked_sub(1).map_or((0, 0), |nth| self.jumps[nth]);
        last.1 + (at - last.0)
    }

    fn unescaped(&self, mark: u8, escape: Escape) -> View<'static> {
        let mut plain = Vec::with_capacity(self.text.len());
        let mut jumps = Vec::new();
        let mut at = 0;
        while at < self.text.len() {
            let byte = self.text[at];
            let read = (byte == mark).then(|| escape(&self.text[at..])).flatten();
            let (byte, length) = read.unwrap_or((byte, 1));
            plain.push(byte);
            at += length;
            // What was one byte here may be an escape of the view below.
            if length > 1 || self.origin_jumps_at(at) {
                jumps.push((plain.len(), self.origin(at)));
            }
        }
        View {
            text: plain.into(),
            jumps,
        }
    }

    fn origin_jumps_at(&self, at: usize) -> bool {
        self.jumps
            .binary_search_by_key(&at, |(place, _)| *place)
            .is_ok()
    }
}

/// Reads the escape at the start of its argument: the byte that it stands for, and its length.
type Escape = fn(&[u8]) -> Option<(u8, usize)>;

/// What begins an escape, and how it is read.
const ESCAPES: [(u8, Escape); 3] = [(b'%', percent), (b'\\', json), (b'&', html)];

/// How often text may be escaped over: JSON within JSON is common where forges log requests.
const NESTED: usize = 2;

fn percent(text: &[u8]) -> Option<(u8, usize)> {
    Some((number(text.get(1..3)?, 16)?, 3))
}

fn json(text: &[u8]) -> Option<(u8, usize)> {
    let byte = match text.get(1)? {
        b'u' => return Some((number(text.get(2..6)?, 16)?, 6)),
        b'n' => b'\n',
        b't' => b'\t',
        b'r' => b'\r',
        b'b' => 8,
        b'f' => 12,
        other => *other,
    };
    Some((byte, 2))
}

fn html(text: &[u8]) -> Option<(u8, usize)> {
    let end = text.iter().take(10).position(|byte| *byte == b';')?;
    let byte = match &text[1..end] {
        b"amp" => b'&',
        b"lt" => b'<',
        b"gt" => b'>',
        b"quot" => b'"',
        b"apos" => b'\'',
        [b'#', b'x' | b'X', digits @ ..] => number(digits, 16)?,
        [b'#', digits @ ..] => number(digits, 10)?,
        _ => return None,
    };
    Some((byte, end + 1))
}

fn number(digits: &[u8], radix: u32) -> Option<u8> {
    let text = std::str::from_utf8(digits).ok()?;
    u8::try_from(u32::from_str_radix(text, radix).ok()?).ok()
}

fn blank(text: &[u8], mut hits: Vec<Range<usize>>) -> Vec<u8> {
    hits.sort_by_key(|hit| (hit.start, hit.end));
    let mut clean = Vec::with_capacity(text.len());
    let mut done = 0;
    for hit in hits {
        if hit.start >= done {
            clean.extend_from_slice(&text[done..hit.start]);
            clean.extend_from_slice(BLANK);
        }
        done = done.max(hit.end);
    }
    clean.extend_from_slice(&text[done..]);
    clean
}

#[cfg(test)]
mod tests;
