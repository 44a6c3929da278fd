//! What a delivery of a webhook says, within the bounds that the daemon has
//!
//! | for | use |
//! |---|---|
//! | the body and the headers of a delivery | [`json`], [`header`] |
//! | a ref that moved, came or went | [`ref_change`] |
//! | the commits and the paths of a push | [`commits`], [`Paths`] |
//! | one value | [`commit_id`], [`clip`], [`clean_uri`], [`calendar::unix_ms`](crate::calendar::unix_ms) |
//!
//! Whoever may push decides what is in a delivery: a message, a path, an address. What the daemon would refuse is left out
//! here, so that one strange path does not hide a whole push.

use std::collections::BTreeSet;

use bindery_plugin_proto::v1::{self, happening::Kind};
use serde::de::DeserializeOwned;

use crate::{Failure, Result};

/// Most commits of one push.
pub const MOST_COMMITS: usize = 100;

/// Most paths of one push.
pub const MOST_PATHS: usize = 1000;

/// Deepest nesting of a body.
pub const MOST_LEVELS: usize = 64;

/// Longest message, in bytes.
pub const LONGEST_MESSAGE: usize = 4096;

/// Longest path, in bytes.
const LONGEST_PATH: usize = 512;

/// Room for all paths of a push together, in bytes, so that a result fits a step.
const ALL_PATHS: usize = 256 * 1024;

/// Longest name of an author, in bytes.
const LONGEST_NAME: usize = 256;

/// Longest address of a page, in bytes.
const LONGEST_URI: usize = 1024;

/// The body as JSON. Give it a struct of the members that matter. The failure holds nothing of the body, which may hold a
/// secret.
///
/// # Errors
///
/// `MALFORMED_RESPONSE` if it is not that, or nested too deep.
#[track_caller]
pub fn json<T: DeserializeOwned>(input: &v1::ParseDelivery) -> Result<T> {
    if is_too_deep(&input.body) {
        return Err(Failure::malformed(format!(
            "the delivery is nested deeper than {MOST_LEVELS} levels"
        )));
    }
    match serde_json::from_slice(&input.body) {
        Ok(value) => Ok(value),
        Err(error) => Err(Failure::malformed(format!(
            "the delivery is not what was expected, at line {} column {}",
            error.line(),
            error.column()
        ))),
    }
}

/// Counts brackets outside of texts. Whether they fit each other is the parser's matter.
fn is_too_deep(body: &[u8]) -> bool {
    let (mut level, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in body {
        match (in_text, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_text = !in_text,
            (false, b'[' | b'{') => level += 1,
            (false, b']' | b'}') => level = level.saturating_sub(1),
            _ => {}
        }
        if level > MOST_LEVELS {
            return true;
        }
    }
    false
}

/// First value of a header that the description asks for; its name in lower case.
pub fn header<'a>(input: &'a v1::ParseDelivery, name: &str) -> Option<&'a str> {
    let found = input.headers.iter().find(|header| header.name == name);
    found.map(|header| header.value.as_str())
}

/// A commit id, empty where the provider writes zeros for "none".
pub fn commit_id(id: &str) -> String {
    if id.bytes().all(|byte| byte == b'0') {
        String::new()
    } else {
        id.to_ascii_lowercase()
    }
}

/// What became of a ref, from the ids before and after as pushes tell them: a push, a new or moved tag, or a deletion. Nothing
/// for refs that are neither branch nor tag.
///
/// The id after the push of a tag is that of the tag's object where the tag is annotated, so it is not taken for the commit:
/// fill in [`commit`](v1::TagCreated::commit) where the provider tells it.
pub fn ref_change(reference: &str, before: &str, after: &str) -> Option<v1::Happening> {
    let is_branch = reference.starts_with("refs/heads/");
    if !is_branch && !reference.starts_with("refs/tags/") {
        return None;
    }
    let (r#ref, before, after) = (reference.to_owned(), commit_id(before), commit_id(after));
    Some(happening(if after.is_empty() {
        // The id before is the commit of a branch, and of a tag perhaps its object's.
        let before = if is_branch { before } else { String::new() };
        Kind::RefDeleted(v1::RefDeleted { r#ref, before })
    } else if is_branch {
        Kind::Push(v1::Push {
            r#ref,
            before,
            after,
            ..v1::Push::default()
        })
    } else {
        Kind::TagCreated(v1::TagCreated {
            r#ref,
            ..v1::TagCreated::default()
        })
    }))
}

/// A happening of a kind.
pub fn happening(kind: Kind) -> v1::Happening {
    v1::Happening { kind: Some(kind) }
}

/// The newest [`MOST_COMMITS`] of a push, the oldest first as they come in, with each text within its bounds.
pub fn commits(all: Vec<v1::Commit>) -> Vec<v1::Commit> {
    let skipped = all.len().saturating_sub(MOST_COMMITS);
    all.into_iter().skip(skipped).map(bounded).collect()
}

fn bounded(commit: v1::Commit) -> v1::Commit {
    v1::Commit {
        id: commit.id.to_ascii_lowercase(),
        message: clip(&commit.message, LONGEST_MESSAGE),
        author_name: clip(&commit.author_name, LONGEST_NAME),
        author_email: clip(&commit.author_email, LONGEST_NAME),
        time_unix_ms: commit.time_unix_ms,
        web_uri: clean_uri(&commit.web_uri),
    }
}

/// The beginning of a text, at most `limit` bytes, whole characters.
pub fn clip(text: &str, limit: usize) -> String {
    let mut end = text.len().min(limit);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// An absolute URL as the provider wrote it, or nothing where it is not plain.
pub fn clean_uri(uri: &str) -> String {
    let plain = |c: u8| c.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&c);
    let host = uri
        .strip_prefix("https://")
        .or_else(|| uri.strip_prefix("http://"));
    let has_host =
        host.is_some_and(|host| host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '['));
    if has_host && uri.len() <= LONGEST_URI && uri.bytes().all(plain) {
        uri.to_owned()
    } else {
        String::new()
    }
}

/// Paths that a push changed: each once, in order, within the bounds.
///
/// ```
/// use bindery_plugin_sdk::delivery::Paths;
///
/// let mut paths = Paths::default();
/// paths.extend(["src/lib.rs", "README.md", "src/lib.rs"]);
/// assert_eq!(paths.into_parts(), (vec!["README.md".to_owned(), "src/lib.rs".to_owned()], true));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Paths {
    known: BTreeSet<String>,
    bytes: usize,
    incomplete: bool,
}

impl Paths {
    /// Adds some.
    pub fn extend<S: AsRef<str>>(&mut self, paths: impl IntoIterator<Item = S>) {
        for path in paths {
            self.add(path.as_ref());
        }
    }

    fn add(&mut self, path: &str) {
        if self.known.contains(path) {
            return;
        }
        let fits = self.known.len() < MOST_PATHS && self.bytes + path.len() <= ALL_PATHS;
        if fits && is_plain(path) {
            self.bytes += path.len();
            self.known.insert(path.to_owned());
        } else {
            self.incomplete = true;
        }
    }

    /// The provider left some out.
    pub fn lack_some(&mut self) {
        self.incomplete = true;
    }

    /// The paths, and whether that is all of them.
    pub fn into_parts(self) -> (Vec<String>, bool) {
        (self.known.into_iter().collect(), !self.incomplete)
    }
}

/// A path that nothing is hidden in, as the daemon asks of a name.
fn is_plain(path: &str) -> bool {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c,
                '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
    };
    (1..=LONGEST_PATH).contains(&path.len()) && !path.contains(hidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZEROS: &str = "0000000000000000000000000000000000000000";
    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn body(text: impl Into<Vec<u8>>) -> v1::ParseDelivery {
        v1::ParseDelivery {
            body: text.into(),
            ..v1::ParseDelivery::default()
        }
    }

    /// What is no JSON, or another JSON, or too deep, is a failure that quotes nothing of the body.
    #[test]
    fn a_bad_body_is_a_typed_failure() {
        let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        for bad in [
            String::new(),
            "{".into(),
            "[\"hunter2\"]".into(),
            "{\"a\":\"hunter2\"}".into(),
            deep(100_000),
        ] {
            let failure = json::<Vec<u64>>(&body(bad)).unwrap_err();
            assert_eq!(failure.code(), v1::Code::MalformedResponse);
            assert!(!failure.message().contains("hunter2"));
        }
        assert!(json::<Vec<u64>>(&body([0xff, 0xfe])).is_err());
        assert_eq!(json::<Vec<u64>>(&body("[1]")).unwrap(), [1]);
    }

    /// A member that nobody reads counts as well: the parser passes over it, and over its depth.
    #[test]
    fn a_deep_member_that_nobody_reads_is_refused() {
        #[derive(Debug, serde::Deserialize)]
        struct Nothing {}
        let of = |levels: usize| {
            let (open, close) = ("[".repeat(levels), "]".repeat(levels));
            json::<Nothing>(&body(format!("{{\"x\":{open}{close}}}")))
        };
        assert!(of(MOST_LEVELS - 1).is_ok());
        let failure = of(MOST_LEVELS).unwrap_err();
        assert_eq!(failure.code(), v1::Code::MalformedResponse);
        assert!(failure.message().contains("64 levels"));
    }

    /// The limit is on levels, not on brackets in texts.
    #[test]
    fn levels_are_counted_outside_of_texts() {
        let of = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(!is_too_deep(of(MOST_LEVELS).as_bytes()));
        assert!(is_too_deep(of(MOST_LEVELS + 1).as_bytes()));
        let text = format!("[\"\\\"{}\", [], []]", "[".repeat(500));
        assert!(!is_too_deep(text.as_bytes()));
        assert!(!is_too_deep("[],".repeat(500).as_bytes()));
    }

    /// Ids before and after tell what became of a branch and of a tag; the id of a tag's object is no commit.
    #[test]
    fn a_ref_comes_moves_and_goes() {
        let change = |name, before, after| ref_change(name, before, after)?.kind;
        assert!(matches!(
            change("refs/heads/main", ZEROS, A),
            Some(Kind::Push(push)) if push.before.is_empty() && push.after == A
        ));
        assert!(matches!(
            change("refs/heads/main", A, ZEROS),
            Some(Kind::RefDeleted(gone)) if gone.before == A
        ));
        assert!(matches!(
            change("refs/tags/v1", A, B),
            Some(Kind::TagCreated(tag)) if tag.commit.is_empty() && tag.before.is_empty()
        ));
        assert!(matches!(
            change("refs/tags/v1", A, ZEROS),
            Some(Kind::RefDeleted(gone)) if gone.before.is_empty()
        ));
        assert_eq!(change("refs/pull/1/head", A, B), None);
    }

    /// The newest commits are kept, and no text is longer than the daemon takes it.
    #[test]
    fn commits_are_bounded() {
        let all = (0..150).map(|n| v1::Commit {
            id: format!("{n:040X}"),
            message: "ä".repeat(3000),
            author_name: "x".repeat(3000),
            web_uri: "javascript:alert(1)".to_owned(),
            ..v1::Commit::default()
        });
        let kept = commits(all.collect());
        assert_eq!(kept.len(), MOST_COMMITS);
        assert_eq!(kept[99].id, format!("{:040x}", 149));
        assert_eq!(kept[0].message.len(), LONGEST_MESSAGE);
        assert_eq!(kept[0].author_name.len(), LONGEST_NAME);
        assert_eq!(kept[0].web_uri, "");
    }

    /// A path that the daemon would refuse is left out, and the list says that it lacks one.
    #[test]
    fn strange_paths_hide_nothing() {
        for strange in ["a\u{202e}b", "a\nb", "", &"x".repeat(LONGEST_PATH + 1)] {
            let mut paths = Paths::default();
            paths.extend(["good", strange]);
            assert_eq!(paths.into_parts(), (vec!["good".to_owned()], false));
        }
        let mut many = Paths::default();
        many.extend((0..=MOST_PATHS).map(|n| n.to_string()));
        let (kept, complete) = many.into_parts();
        assert_eq!((kept.len(), complete), (MOST_PATHS, false));
        let mut long = Paths::default();
        long.extend((0..MOST_PATHS).map(|n| format!("{n:0500}")));
        let (kept, complete) = long.into_parts();
        assert!(kept.len() * 500 <= ALL_PATHS && !complete);
    }
}
