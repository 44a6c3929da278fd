//! What a delivery says
//!
//! It looks like GitHub's, and has the secret in it where the mode is by password: nothing of it is repeated but what is asked
//! for. `after` is what the ref points to; `head_commit` is the commit in any case. At most ten commits are told.

use bindery_plugin_sdk::{
    Result,
    calendar::unix_ms,
    delivery::{self, LONGEST_MESSAGE, Paths, clip, commit_id, header},
    v1::{self, Delivered, DeliveredRepository, Person, happening::Kind},
};
use serde::Deserialize;
use serde_json::Value;

use crate::id::Id;

/// What deliveries of every kind have.
#[derive(Deserialize)]
struct Frame {
    repository: Option<Repository>,
    sender: Option<Sender>,
    /// Milliseconds since the epoch, as a text or a number: when it was sent.
    #[serde(default)]
    timestamp: Value,
}

#[derive(Deserialize)]
struct Repository {
    id: Id,
    path_with_namespace: String,
}

#[derive(Deserialize)]
struct Sender {
    id: Option<Id>,
    login: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize)]
struct Push {
    #[serde(rename = "ref")]
    reference: String,
    before: String,
    after: String,
    commits: Option<Vec<Commit>>,
    head_commit: Option<Commit>,
    total_commits_count: Option<u32>,
    commits_more_than_ten: Option<bool>,
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
    author: Option<Author>,
    parent_ids: Option<Vec<String>>,
    added: Option<Vec<String>>,
    modified: Option<Vec<String>>,
    removed: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Author {
    name: Option<String>,
    email: Option<String>,
}

pub(crate) fn parse(input: &v1::ParseDelivery) -> Result<Delivered> {
    let mut delivered = delivery::json::<Frame>(input)?.read();
    if !matches!(input.event.as_str(), "Push Hook" | "Tag Push Hook") {
        return Ok(delivered);
    }
    // A test sends what was pushed last.
    if header(input, "x-gitee-ping") == Some("true") {
        delivered.ping = true;
        return Ok(delivered);
    }
    let push: Push = delivery::json(input)?;
    delivered.truncated = push.is_truncated();
    let mut change = delivery::ref_change(&push.reference, &push.before, &push.after);
    match change.as_mut().and_then(|change| change.kind.as_mut()) {
        Some(Kind::Push(told)) => push.tell(told),
        Some(Kind::TagCreated(told)) => push.tell_tag(told),
        _ => {}
    }
    delivered.happenings = change.into_iter().collect();
    Ok(delivered)
}

impl Frame {
    fn read(self) -> Delivered {
        let sent = match &self.timestamp {
            Value::String(text) => text.parse().ok(),
            other => other.as_u64(),
        };
        Delivered {
            happened_unix_ms: sent.unwrap_or(0),
            repository: self.repository.map(|found| DeliveredRepository {
                stable_id: found.id.to_string(),
                full_name: found.path_with_namespace,
            }),
            actor: self.sender.map(|sender| Person {
                stable_id: sender.id.map_or_else(String::new, |id| id.to_string()),
                login: sender.login.unwrap_or_default(),
                display_name: sender.name.unwrap_or_default(),
            }),
            ..Delivered::default()
        }
    }
}

impl Push {
    fn is_truncated(&self) -> bool {
        let told = self.commits.as_ref().map_or(0, Vec::len);
        let all = self.total_commits_count.unwrap_or(0);
        self.commits_more_than_ten == Some(true) || usize::try_from(all).unwrap_or(0) > told
    }

    fn tell(self, told: &mut v1::Push) {
        let truncated = self.is_truncated();
        let mut commits = self.commits.unwrap_or_default();
        // Which order it is nobody has written down.
        if commits.first().is_some_and(|first| first.id == self.after) {
            commits.reverse();
        }
        let mut paths = Paths::default();
        for commit in &commits {
            paths.extend(commit.paths());
        }
        if truncated || !is_line(&commits, &told.before, &told.after) {
            paths.lack_some();
        }
        (told.changed_paths, told.changed_paths_complete) = paths.into_parts();
        told.commit_count = self.total_commits_count.unwrap_or(0);
        let commits = commits.into_iter().map(Commit::into_message);
        told.commits = delivery::commits(commits.collect());
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

/// Whether the commits lead from one to the other without a merge or a gap, each with its files. Only then they show every path
/// that changed: that history was rewritten is not told.
fn is_line(commits: &[Commit], before: &str, after: &str) -> bool {
    let mut at = before;
    for commit in commits {
        let is_next = commit.parent_ids.as_ref().is_some_and(|ids| *ids == [at]);
        if !is_next || commit.paths().next().is_none() {
            return false;
        }
        at = &commit.id;
    }
    !before.is_empty() && at == after
}

impl Commit {
    fn paths(&self) -> impl Iterator<Item = &String> {
        let lists = [&self.added, &self.modified, &self.removed];
        lists.into_iter().flatten().flatten()
    }

    fn into_message(self) -> v1::Commit {
        let (name, email) = match self.author {
            Some(author) => (author.name, author.email),
            None => (None, None),
        };
        v1::Commit {
            id: self.id,
            message: self.message,
            author_name: name.unwrap_or_default(),
            author_email: email.unwrap_or_default(),
            time_unix_ms: unix_ms(&self.timestamp),
            web_uri: self.url,
        }
    }
}
