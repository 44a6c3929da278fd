//! What a delivery says
//!
//! `after` is what the ref points to, which is the tag's object where a tag is annotated; `checkout_sha` is the commit in any
//! case, and null where the ref is gone. GitLab tells of the 20 latest commits, and how many there are. It does not tell
//! whether history was rewritten, so the paths of the commits are never called all that changed.

use bindery_plugin_sdk::{
    Result,
    calendar::unix_ms,
    delivery::{self, LONGEST_MESSAGE, Paths, clip, commit_id},
    v1::{self, Delivered, DeliveredRepository, Person, happening::Kind},
};
use serde::Deserialize;
use serde_json::Value;

/// What deliveries of most kinds have.
#[derive(Deserialize)]
struct Frame {
    project_id: Option<u64>,
    project: Option<Project>,
    user_id: Option<u64>,
    user_username: Option<String>,
    user_name: Option<String>,
}

#[derive(Deserialize)]
struct Project {
    id: Option<u64>,
    path_with_namespace: Option<String>,
}

#[derive(Deserialize)]
struct Push {
    #[serde(rename = "ref")]
    reference: String,
    before: String,
    after: String,
    checkout_sha: Option<String>,
    /// Of an annotated tag.
    message: Option<String>,
    #[serde(default)]
    commits: Vec<Commit>,
    #[serde(default)]
    total_commits_count: u32,
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
    name: Value,
    email: Value,
}

pub(crate) fn parse(input: &v1::ParseDelivery) -> Result<Delivered> {
    let mut delivered = delivery::json::<Frame>(input)?.read();
    if !matches!(input.event.as_str(), "Push Hook" | "Tag Push Hook") {
        return Ok(delivered);
    }
    let push: Push = delivery::json(input)?;
    let told = u32::try_from(push.commits.len()).unwrap_or(u32::MAX);
    delivered.truncated = push.total_commits_count > told;
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
        let actor = self.actor();
        let project = self.project.and_then(|project| {
            let id = project.id.or(self.project_id)?;
            Some((id, project.path_with_namespace?))
        });
        Delivered {
            repository: project.map(|(id, path)| DeliveredRepository {
                stable_id: id.to_string(),
                full_name: path,
            }),
            actor,
            ..Delivered::default()
        }
    }

    fn actor(&self) -> Option<Person> {
        let id = self.user_id?;
        Some(Person {
            stable_id: id.to_string(),
            login: self.user_username.clone().unwrap_or_default(),
            display_name: self.user_name.clone().unwrap_or_default(),
        })
    }
}

impl Push {
    fn tell(self, told: &mut v1::Push) {
        let mut paths = Paths::default();
        for commit in &self.commits {
            paths.extend(commit.added.iter());
            paths.extend(commit.modified.iter());
            paths.extend(commit.removed.iter());
        }
        paths.lack_some();
        (told.changed_paths, told.changed_paths_complete) = paths.into_parts();
        told.commit_count = self.total_commits_count;
        let commits = self.commits.into_iter().map(Commit::into_message);
        told.commits = delivery::commits(commits.collect());
    }

    fn tell_tag(self, told: &mut v1::TagCreated) {
        let Some(commit) = self.checkout_sha.as_deref().map(commit_id) else {
            return;
        };
        let object = commit_id(&self.after);
        if object != commit {
            told.tag_object = object;
            let message = self.message.as_deref().unwrap_or_default();
            told.message = clip(message, LONGEST_MESSAGE);
        }
        let head = self.commits.iter().find(|one| one.id == commit);
        let message = head.map_or("", |head| head.message.as_str());
        told.commit_message = clip(message, LONGEST_MESSAGE);
        told.commit = commit;
    }
}

impl Commit {
    fn into_message(self) -> v1::Commit {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        v1::Commit {
            id: self.id,
            message: self.message,
            author_name: text(&self.author.name),
            author_email: text(&self.author.email),
            time_unix_ms: unix_ms(&self.timestamp),
            web_uri: self.url,
        }
    }
}
