//! One record as a line of JSON, and its MAC.
//!
//! ```json
//! {"seq":7,"time_ms":1767225600000,"actor":"uid:1000","action":"bindery.v1.LinkService/Unlink",
//!  "resource":"namespaces/acme/links/l1","code":"OK","request":"abc","chain":"<64 hexadecimal digits>"}
//! ```
//!
//! The MAC is over the MAC of the line before and the bytes of this one up to its own, so nothing depends on how another
//! program would write the same JSON.

use std::{borrow::Cow, collections::BTreeMap};

use bindery_core::{
    audit::{AuditMark, AuditRecord, Deed},
    time::Timestamp,
};
use data_encoding::HEXLOWER;
use ring::hmac;
use serde::{Deserialize, Serialize};

/// What stands between a record and its MAC, in the place of its closing brace.
const BEFORE: &[u8] = b",\"chain\":\"";
/// What stands after its MAC.
const AFTER: &[u8] = b"\"}";
/// Bytes of all three.
const TRAILER: usize = BEFORE.len() + 64 + AFTER.len();

/// Longest text that is taken over, in bytes: a caller may name a resource of 64 KiB.
const LONGEST: usize = 1024;

#[derive(Deserialize, Serialize)]
struct Line<'a> {
    seq: u64,
    time_ms: u64,
    actor: Cow<'a, str>,
    action: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    resource: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    repository: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    code: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    reason: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    request: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    facts: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
}

/// Why a line is no next record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Misfit {
    /// It is no record at all.
    Unreadable,
    /// It has this number instead of the next one.
    Number(u64),
    /// It, or what came before, was changed.
    Chain,
}

/// Appends the record that comes after `mark`, and moves the mark on.
pub(crate) fn append(
    bytes: &mut Vec<u8>,
    key: &hmac::Key,
    mark: &mut AuditMark,
    now: Timestamp,
    deed: &Deed,
) {
    let sequence = mark.sequence + 1;
    let start = bytes.len();
    // A vector takes everything, and no key of the map can fail.
    let _ = serde_json::to_writer(&mut *bytes, &line(sequence, now, deed));
    let chain = mac(key, &mark.chain, bytes.get(start..).unwrap_or_default());
    bytes.pop();
    bytes.extend_from_slice(BEFORE);
    bytes.extend_from_slice(HEXLOWER.encode(&chain).as_bytes());
    bytes.extend_from_slice(AFTER);
    bytes.push(b'\n');
    *mark = AuditMark { sequence, chain };
}

/// Checks that a line (without its line break) is the record after `mark`, and moves the mark on.
pub(crate) fn follow(key: &hmac::Key, mark: &mut AuditMark, line: &[u8]) -> Result<(), Misfit> {
    let (body, chain) = split(line).ok_or(Misfit::Unreadable)?;
    let sequence = sequence(&body).ok_or(Misfit::Unreadable)?;
    if sequence != mark.sequence + 1 {
        return Err(Misfit::Number(sequence));
    }
    let mut signed = mark.chain.to_vec();
    signed.extend_from_slice(&body);
    hmac::verify(key, &signed, &chain).map_err(|_| Misfit::Chain)?;
    *mark = AuditMark { sequence, chain };
    Ok(())
}

/// The record of a line. Its MAC is not checked.
pub(crate) fn read(line: &[u8]) -> Option<AuditRecord> {
    let (body, chain) = split(line)?;
    let line: Line<'_> = serde_json::from_slice(&body).ok()?;
    Some(AuditRecord {
        sequence: line.seq,
        time: Timestamp::from_unix_ms(line.time_ms),
        deed: line.into_deed(),
        chain,
    })
}

/// A deed that has no number and no MAC yet, between line breaks: so one that was cut off ends before the next.
pub(crate) fn unchained(now: Timestamp, deed: &Deed) -> Vec<u8> {
    let mut bytes = vec![b'\n'];
    // A vector takes everything, and no key of the map can fail.
    let _ = serde_json::to_writer(&mut bytes, &line(0, now, deed));
    bytes.push(b'\n');
    bytes
}

/// A deed that [`unchained`] wrote, and when.
pub(crate) fn read_unchained(line: &[u8]) -> Option<(Timestamp, Deed)> {
    let line: Line<'_> = serde_json::from_slice(line).ok()?;
    Some((Timestamp::from_unix_ms(line.time_ms), line.into_deed()))
}

impl Line<'_> {
    fn into_deed(self) -> Deed {
        let facts = self.facts.into_iter();
        Deed {
            actor: self.actor.into_owned(),
            action: self.action.into_owned(),
            resource: self.resource.into_owned(),
            repository: self.repository.into_owned(),
            code: self.code.into_owned(),
            reason: self.reason.into_owned(),
            request_id: self.request.into_owned(),
            facts: facts
                .map(|(name, value)| (name.into_owned(), value.into_owned()))
                .collect(),
        }
    }
}

/// What was signed, and the MAC.
fn split(line: &[u8]) -> Option<(Vec<u8>, [u8; 32])> {
    let (body, trailer) = line.split_at_checked(line.len().checked_sub(TRAILER)?)?;
    let hex = trailer.strip_prefix(BEFORE)?.strip_suffix(AFTER)?;
    let chain = HEXLOWER.decode(hex).ok()?.try_into().ok()?;
    let mut body = body.to_vec();
    body.push(b'}');
    Some((body, chain))
}

/// The number of a record: every line begins with it.
fn sequence(body: &[u8]) -> Option<u64> {
    let rest = body.strip_prefix(b"{\"seq\":")?;
    let end = rest.iter().position(|c| *c == b',')?;
    std::str::from_utf8(rest.get(..end)?).ok()?.parse().ok()
}

fn mac(key: &hmac::Key, before: &[u8; 32], body: &[u8]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(key);
    context.update(before);
    context.update(body);
    let mut chain = [0; 32];
    chain.copy_from_slice(context.sign().as_ref());
    chain
}

fn line(sequence: u64, now: Timestamp, deed: &Deed) -> Line<'_> {
    let facts = deed.facts.iter();
    Line {
        seq: sequence,
        time_ms: now.unix_ms(),
        actor: whole(&deed.actor),
        action: clip(&deed.action),
        resource: clip(&deed.resource),
        repository: clip(&deed.repository),
        code: clip(&deed.code),
        reason: clip(&deed.reason),
        request: clip(&deed.request_id),
        facts: facts
            .map(|(name, value)| (clip(name), clip(value)))
            .collect(),
    }
}

/// A name that stays its own: where it is cut off, the SHA-256 of all of it stands behind.
fn whole(name: &str) -> Cow<'_, str> {
    if name.len() <= LONGEST {
        return Cow::Borrowed(name);
    }
    let hash = ring::digest::digest(&ring::digest::SHA256, name.as_bytes());
    Cow::Owned(format!("{}#{}", clip(name), HEXLOWER.encode(hash.as_ref())))
}

/// Cuts a text at a border between characters.
fn clip(text: &str) -> Cow<'_, str> {
    let mut end = LONGEST.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    Cow::Borrowed(text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deed() -> Deed {
        Deed {
            actor: "uid:1".to_owned(),
            action: "a/B".to_owned(),
            resource: "x\"\n\u{1}é".repeat(300),
            facts: [("lease".to_owned(), "l".to_owned())].into(),
            ..Deed::default()
        }
    }

    /// A record comes back from its line, clipped, and one line is one record whatever its texts hold.
    #[test]
    fn records_come_back() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"key");
        let (mut bytes, mut mark) = (Vec::new(), AuditMark::default());
        append(
            &mut bytes,
            &key,
            &mut mark,
            Timestamp::from_unix_ms(5),
            &deed(),
        );
        let line = bytes.strip_suffix(b"\n").unwrap();
        assert!(!line.contains(&b'\n'));
        let record = read(line).unwrap();
        assert_eq!((record.sequence, record.time.unix_ms()), (1, 5));
        assert!(deed().resource.starts_with(&record.deed.resource));
        assert!(record.deed.resource.len() > LONGEST - 4);
        assert_eq!(record.deed.facts, deed().facts);
        let mut from = AuditMark::default();
        assert_eq!(follow(&key, &mut from, line), Ok(()));
        assert_eq!(from, mark);
    }

    /// Two callers whose names differ at their ends are two in the log as well.
    #[test]
    fn long_actors_stay_apart() {
        let long = |end: &str| format!("spiffe://x/{}{end}", "a".repeat(2000));
        let names =
            [long("b"), long("c"), "a".repeat(LONGEST)].map(|name| whole(&name).into_owned());
        assert_ne!(names[0], names[1]);
        assert!(names.iter().all(|name| name.len() <= LONGEST + 65));
        assert_eq!(names[2], "a".repeat(LONGEST));
    }

    /// No byte of a line can be changed, taken away or put in without its MAC failing.
    #[test]
    fn every_byte_counts() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"key");
        let (mut bytes, mut mark) = (Vec::new(), AuditMark::default());
        let small = Deed {
            resource: "r".to_owned(),
            ..deed()
        };
        append(&mut bytes, &key, &mut mark, Timestamp::default(), &small);
        bytes.pop();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let mut shorter = bytes.clone();
            shorter.remove(at);
            let mut longer = bytes.clone();
            longer.insert(at, b' ');
            for odd in [changed, shorter, longer] {
                let followed = follow(&key, &mut AuditMark::default(), &odd);
                assert!(followed.is_err(), "byte {at}");
            }
        }
    }
}
