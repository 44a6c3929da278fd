//! What the rules of a source say about a change. Nothing here reads a clock or waits.

mod valid;

use std::{collections::VecDeque, time::Duration};

use regex::{Regex, RegexBuilder};

use crate::{
    event::Verdict,
    provider::Happening,
    source::{Build, Pattern, Rule, Source},
    time::Timestamp,
};

pub use self::valid::check_rules;

/// Longest pattern, in bytes.
pub const PATTERN_BYTES: usize = 256;

/// What a compiled pattern may take, so that no pattern takes the daemon's memory.
const COMPILED_BYTES: usize = 1 << 20;

/// What commits say that want no build, in lower case.
const SKIP_MARKS: [&str; 2] = ["[skip ci]", "[ci skip]"];

/// Longest tag of an image (OCI distribution specification).
const IMAGE_TAG_CHARS: usize = 128;

/// Time that [`Source::max_triggers_per_minute`] counts over.
const MINUTE: Duration = Duration::from_secs(60);

/// What rules look at.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Subject<'a> {
    /// Full name of the branch or tag.
    pub reference: &'a str,
    /// The commit; may be empty.
    pub commit: &'a str,
    /// Message of the commit that is built; empty where nobody told.
    pub message: &'a str,
    /// Paths that changed; `None` where not all are known.
    pub paths: Option<&'a [String]>,
}

impl<'a> Subject<'a> {
    /// What there is to build in a happening; `None` for one that never triggers.
    #[must_use]
    pub fn of(happening: &'a Happening) -> Option<Self> {
        match happening {
            Happening::Push(push) => {
                let head = push.commits.iter().find(|commit| commit.id == push.after);
                Some(Self {
                    reference: &push.reference,
                    commit: &push.after,
                    message: head.map_or("", |commit| &commit.message),
                    paths: push
                        .changed_paths_complete
                        .then_some(push.changed_paths.as_slice()),
                })
            }
            Happening::TagCreated(tag) => Some(Self {
                reference: &tag.reference,
                commit: &tag.commit,
                message: &tag.commit_message,
                paths: None,
            }),
            Happening::RefDeleted(_) | Happening::RepositoryChanged(_) => None,
        }
    }
}

/// What the rules of a source say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Judgement {
    /// Whether it is built.
    pub verdict: Verdict,
    /// Id of the rule that decided; empty where none matched.
    pub rule: String,
    /// What is built, with the tag template filled in.
    pub build: Option<Build>,
}

/// Judges a change by the first rule that matches. `room` says that the source may trigger once more in this minute.
#[must_use]
pub fn judge(source: &Source, subject: &Subject<'_>, room: bool) -> Judgement {
    let matched = source
        .rules
        .iter()
        .find_map(|rule| Some((rule, match_rule(rule, subject)?)));
    let excluded = match &matched {
        Some((rule, _)) => rule.exclude,
        None => !source.rules.is_empty(),
    };
    let skipped = !source.ignore_skip_marks && has_skip_mark(subject.message);
    let verdict = match (excluded, skipped, source.paused, room) {
        (true, ..) => Verdict::Excluded,
        (_, true, ..) => Verdict::Skipped,
        (_, _, true, _) => Verdict::Paused,
        (.., false) => Verdict::HeldBack,
        _ => Verdict::Trigger,
    };
    let build = matched.as_ref().and_then(|(rule, groups)| {
        let build = rule.build.as_ref().filter(|_| !rule.exclude)?;
        Some(filled(build, subject, groups))
    });
    let rule = matched.map_or_else(String::new, |(rule, _)| rule.id.clone());
    Judgement {
        verdict,
        rule,
        build,
    }
}

/// Whether a commit asks for no build.
#[must_use]
pub fn has_skip_mark(message: &str) -> bool {
    let message = message.to_lowercase();
    SKIP_MARKS.iter().any(|mark| message.contains(mark))
}

/// Checks a pattern before it is kept.
///
/// # Errors
///
/// What is wrong with it, in words.
pub fn check(pattern: &Pattern) -> Result<(), String> {
    let (Pattern::Glob(text) | Pattern::Regex(text)) = pattern;
    if text.is_empty() || text.len() > PATTERN_BYTES {
        return Err(format!("a pattern has 1 to {PATTERN_BYTES} bytes"));
    }
    compile(pattern).map(drop)
}

/// The groups of the pattern that matched; empty where there is none.
pub(crate) type Groups = Vec<String>;

fn match_rule(rule: &Rule, subject: &Subject<'_>) -> Option<Groups> {
    let groups = match_name(rule, subject.reference)?;
    match_paths(rule, subject.paths).then_some(groups)
}

fn match_name(rule: &Rule, reference: &str) -> Option<Groups> {
    if rule.branches.is_empty() && rule.tags.is_empty() {
        return Some(Groups::new());
    }
    let (patterns, name) = match short(reference) {
        (name, true) => (&rule.tags, name),
        (name, false) => (&rule.branches, name),
    };
    patterns.iter().find_map(|pattern| captures(pattern, name))
}

/// Paths that nobody knows match what is built, and never what is left out: a build too many is better than a lost one.
fn match_paths(rule: &Rule, paths: Option<&[String]>) -> bool {
    if rule.paths.is_empty() {
        return true;
    }
    let Some(paths) = paths else {
        return !rule.exclude;
    };
    let patterns: Vec<_> = rule
        .paths
        .iter()
        .filter_map(|one| compile(one).ok())
        .collect();
    let mut matching = paths
        .iter()
        .map(|path| patterns.iter().any(|pattern| pattern.is_match(path)));
    if rule.exclude {
        // What touches anything else as well is built.
        return !paths.is_empty() && matching.all(|one| one);
    }
    matching.any(|one| one)
}

pub(crate) fn captures(pattern: &Pattern, name: &str) -> Option<Groups> {
    let found = compile(pattern).ok()?;
    let groups = found.captures(name)?;
    let text = |group: Option<regex::Match<'_>>| group.map_or("", |one| one.as_str()).to_owned();
    Some(groups.iter().skip(1).map(text).collect())
}

/// A pattern that is matched against whole names.
fn compile(pattern: &Pattern) -> Result<Regex, String> {
    let text = match pattern {
        Pattern::Glob(glob) => glob_as_regex(glob),
        Pattern::Regex(regex) => regex.clone(),
    };
    let built = RegexBuilder::new(&format!(r"\A(?:{text})\z"))
        .size_limit(COMPILED_BYTES)
        .dfa_size_limit(COMPILED_BYTES)
        .build();
    built.map_err(|error| format!("the pattern can't be read: {error}"))
}

/// `**` is any text, `*` any within a segment, `?` one character within it; all else stands for itself.
fn glob_as_regex(glob: &str) -> String {
    let (mut text, mut rest) = (String::from("(?s)"), glob);
    while let Some(next) = rest.chars().next() {
        let (part, taken) = match next {
            '*' if rest.starts_with("**/") => ("(?:.*/)?".to_owned(), 3),
            '*' if rest.starts_with("**") => (".*".to_owned(), 2),
            '*' => ("[^/]*".to_owned(), 1),
            '?' => ("[^/]".to_owned(), 1),
            other => (
                regex::escape(other.encode_utf8(&mut [0; 4])),
                next.len_utf8(),
            ),
        };
        text.push_str(&part);
        rest = rest.get(taken..).unwrap_or_default();
    }
    text
}

/// Short name of a ref, and whether it is a tag.
fn short(reference: &str) -> (&str, bool) {
    if let Some(tag) = reference.strip_prefix("refs/tags/") {
        return (tag, true);
    }
    let branch = reference.strip_prefix("refs/heads/");
    (branch.unwrap_or(reference), false)
}

/// A build with its tag template filled in. What an image tag can't hold becomes `-`.
fn filled(build: &Build, subject: &Subject<'_>, groups: &Groups) -> Build {
    Build {
        tag_template: image_tag(&fill(&build.tag_template, subject, groups)),
        ..build.clone()
    }
}

fn fill(template: &str, subject: &Subject<'_>, groups: &Groups) -> String {
    let (mut text, mut rest) = (String::new(), template);
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let Some((name, behind)) = after.split_once('}') else {
            return text + "{" + after;
        };
        text.push_str(&value(name, subject, groups).unwrap_or_else(|| format!("{{{name}}}")));
        rest = behind;
    }
    text + rest
}

/// What a name in a template stands for; `None` for a name that there is not.
fn value(name: &str, subject: &Subject<'_>, groups: &Groups) -> Option<String> {
    let (short_name, is_tag) = short(subject.reference);
    let when = |shown: bool| if shown { short_name } else { "" };
    Some(match name {
        "branch" => when(!is_tag).to_owned(),
        "tag" => when(is_tag).to_owned(),
        "commit" => subject.commit.to_owned(),
        "short_commit" => subject.commit.chars().take(7).collect(),
        _ => {
            let number: usize = name.parse().ok().filter(|n| (1..=9).contains(n))?;
            groups.get(number - 1).cloned().unwrap_or_default()
        }
    })
}

fn image_tag(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let tag = text.trim_start_matches(['.', '-', '/']).chars();
    tag.map(|c| if plain(c) { c } else { '-' })
        .take(IMAGE_TAG_CHARS)
        .collect()
}

/// When a source triggered in the last minute.
#[derive(Clone, Debug, Default)]
pub struct LastMinute(VecDeque<Timestamp>);

impl LastMinute {
    /// How often it may still trigger at `now`, with `max` a minute; 0 for no limit.
    pub fn room(&mut self, max: u32, now: Timestamp) -> u32 {
        if max == 0 {
            return u32::MAX;
        }
        while self.0.front().is_some_and(|at| now.since(*at) >= MINUTE) {
            self.0.pop_front();
        }
        max.saturating_sub(u32::try_from(self.0.len()).unwrap_or(u32::MAX))
    }

    /// It triggered `times` times at `now`, and may do so `max` times a minute; 0 for no limit.
    pub fn note(&mut self, times: u32, max: u32, now: Timestamp) {
        if max > 0 {
            self.0.extend((0..times).map(|_| now));
        }
    }
}

#[cfg(test)]
mod tests;
