//! Pushes
//!
//! `after` is what the ref points to, which is the tag's object where a tag is annotated; `head_commit` is the commit in any
//! case. GitHub tells of 2,048 commits at most, and of 3,000 files for each.

use bindery_plugin_sdk::{
    Result,
    calendar::unix_ms,
    delivery::{self, LONGEST_MESSAGE, Paths, clip, commit_id},
    v1::{self, Delivered, happening::Kind},
};
use serde::Deserialize;

/// Commits of which a push tells.
const MOST_COMMITS: usize = 2048;

/// Files of which a commit tells.
const MOST_FILES: usize = 3000;

#[derive(Deserialize)]
struct Push {
    #[serde(rename = "ref")]
    reference: String,
    before: String,
    after: String,
    #[serde(default)]
    forced: bool,
    #[serde(default)]
    commits: Vec<Commit>,
    head_commit: Option<Commit>,
    repository: Repository,
}

/// In this event, and only here, the time is a number of seconds.
#[derive(Deserialize)]
struct Repository {
    #[serde(default)]
    pushed_at: serde_json::Value,
}

#[derive(Deserialize)]
struct Commit {
    id: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    timestamp: String,
    #[serde(default)]
    url: String,
    #[serde(default)]
    author: Author,
    #[serde(default)]
    added: Vec<String>,
    #[serde(default)]
    modified: Vec<String>,
    #[serde(default)]
    removed: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Author {
    name: Option<String>,
    email: Option<String>,
}

pub(super) fn read(input: &v1::ParseDelivery, delivered: &mut Delivered) -> Result<()> {
    let push: Push = delivery::json(input)?;
    let seconds = push.repository.pushed_at.as_u64().unwrap_or(0);
    delivered.happened_unix_ms = seconds.saturating_mul(1000);
    delivered.truncated = push.commits.len() >= MOST_COMMITS;
    let mut change = delivery::ref_change(&push.reference, &push.before, &push.after);
    match change.as_mut().and_then(|change| change.kind.as_mut()) {
        Some(Kind::Push(told)) => push.tell(told),
        Some(Kind::TagCreated(told)) => push.tell_tag(told),
        _ => {}
    }
    delivered.happenings = change.into_iter().collect();
    Ok(())
}

impl Push {
    fn tell(self, told: &mut v1::Push) {
        let mut paths = Paths::default();
        for commit in &self.commits {
            paths.extend(commit.paths());
        }
        if !self.tells_every_path() {
            paths.lack_some();
        }
        (told.changed_paths, told.changed_paths_complete) = paths.into_parts();
        told.forced = self.forced;
        if self.commits.len() < MOST_COMMITS {
            told.commit_count = u32::try_from(self.commits.len()).unwrap_or(0);
        }
        let commits = self.commits.into_iter().map(Commit::into_message);
        told.commits = delivery::commits(commits.collect());
    }

    /// A new branch and a rewritten one differ from what was there before by more than their commits, and a merge lists no
    /// files of its own.
    fn tells_every_path(&self) -> bool {
        let whole = |commit: &Commit| (1..MOST_FILES).contains(&commit.paths().count());
        let reaches = self.commits.last().map(|last| &last.id) == Some(&self.after);
        !commit_id(&self.before).is_empty()
            && !self.forced
            && reaches
            && self.commits.len() < MOST_COMMITS
            && self.commits.iter().all(whole)
    }

    fn tell_tag(self, told: &mut v1::TagCreated) {
        let Some(head) = self.head_commit else {
            return;
        };
        told.commit = commit_id(&head.id);
        told.commit_message = clip(&head.message, LONGEST_MESSAGE);
        let object = commit_id(&self.after);
        if object != told.commit {
            told.tag_object = object;
        }
    }
}

impl Commit {
    fn paths(&self) -> impl Iterator<Item = &String> {
        self.added.iter().chain(&self.modified).chain(&self.removed)
    }

    fn into_message(self) -> v1::Commit {
        v1::Commit {
            id: self.id,
            message: self.message,
            author_name: self.author.name.unwrap_or_default(),
            author_email: self.author.email.unwrap_or_default(),
            time_unix_ms: unix_ms(&self.timestamp),
            web_uri: self.url,
        }
    }
}
