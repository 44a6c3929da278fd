//! What a delivery says
//!
//! One push may change several refs. A hash is what the ref points to, which is the tag's object where a tag is annotated.
//! Newer servers tell the commit and its ancestors, of the first ref that is not gone: so they are taken where there is one
//! ref only. Paths are told nowhere, and neither is whether history was rewritten.

use bindery_plugin_sdk::{
    Result,
    calendar::unix_ms,
    delivery::{self, LONGEST_MESSAGE, clip, commit_id, happening, ref_change},
    v1::{
        self, Delivered, DeliveredRepository, Happening, Person, RepositoryChange, happening::Kind,
    },
};
use serde::Deserialize;
use serde_json::Value;

/// What deliveries of most kinds have.
#[derive(Deserialize)]
struct Frame {
    actor: Option<Actor>,
    repository: Option<Repository>,
    /// ISO 8601, or milliseconds since the epoch.
    #[serde(default)]
    date: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Actor {
    id: Option<u64>,
    name: Option<String>,
    display_name: Option<String>,
    email_address: Option<String>,
}

#[derive(Deserialize)]
struct Repository {
    id: u64,
    slug: String,
    project: Project,
    #[serde(default)]
    public: bool,
    #[serde(default)]
    archived: bool,
}

#[derive(Deserialize)]
struct Project {
    key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pushed {
    changes: Vec<Change>,
    to_commit: Option<Commit>,
    #[serde(default)]
    commits: Vec<Commit>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Change {
    #[serde(rename = "ref")]
    reference: Ref,
    from_hash: String,
    to_hash: String,
}

#[derive(Deserialize)]
struct Ref {
    id: String,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Commit {
    id: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    author_timestamp: Value,
    #[serde(default)]
    author: Value,
}

#[derive(Deserialize)]
struct Modified {
    old: Repository,
    new: Repository,
}

pub(crate) fn parse(input: &v1::ParseDelivery) -> Result<Delivered> {
    let frame: Frame = delivery::json(input)?;
    let mut delivered = Delivered {
        happened_unix_ms: time(&frame.date),
        repository: frame.repository.as_ref().map(Repository::told),
        actor: frame.actor.map(Into::into),
        ..Delivered::default()
    };
    match input.event.as_str() {
        "diagnostics:ping" => delivered.ping = true,
        "repo:refs_changed" => {
            delivered.happenings = delivery::json::<Pushed>(input)?.into_happenings();
        }
        "repo:modified" => {
            let modified: Modified = delivery::json(input)?;
            delivered.repository = Some(modified.new.told());
            delivered.happenings = modified.into_happening().into_iter().collect();
        }
        _ => {}
    }
    Ok(delivered)
}

fn time(value: &Value) -> u64 {
    match value {
        Value::String(text) => unix_ms(text),
        other => other.as_u64().unwrap_or(0),
    }
}

impl Repository {
    fn full_name(&self) -> String {
        format!("{}/{}", self.project.key, self.slug)
    }

    fn told(&self) -> DeliveredRepository {
        DeliveredRepository {
            stable_id: self.id.to_string(),
            full_name: self.full_name(),
        }
    }
}

impl From<Actor> for Person {
    fn from(actor: Actor) -> Self {
        Self {
            stable_id: actor.id.map_or_else(String::new, |id| id.to_string()),
            login: actor.name.unwrap_or_default(),
            display_name: actor
                .display_name
                .or(actor.email_address)
                .unwrap_or_default(),
        }
    }
}

impl Pushed {
    fn into_happenings(self) -> Vec<Happening> {
        let is_one = self.changes.len() == 1;
        let (head, mut commits) = match is_one {
            true => (self.to_commit, self.commits),
            false => (None, Vec::new()),
        };
        if commits.is_empty() {
            commits.extend(head.clone());
        }
        let tell = |change: Change| change.into_happening(head.as_ref(), &commits);
        self.changes.into_iter().filter_map(tell).collect()
    }
}

impl Change {
    fn into_happening(self, head: Option<&Commit>, commits: &[Commit]) -> Option<Happening> {
        let mut change = ref_change(&self.reference.id, &self.from_hash, &self.to_hash)?;
        match change.kind.as_mut()? {
            Kind::Push(push) => {
                // The newest comes first.
                let all = commits.iter().rev().cloned().map(Commit::into_message);
                push.commits = delivery::commits(all.collect());
            }
            Kind::TagCreated(tag) => {
                if let Some(head) = head {
                    self.peel(tag, head);
                }
            }
            Kind::RefDeleted(_) | Kind::RepositoryChanged(_) => {}
        }
        Some(change)
    }
}

impl Change {
    fn peel(&self, tag: &mut v1::TagCreated, head: &Commit) {
        tag.commit = commit_id(&head.id);
        tag.commit_message = clip(&head.message, LONGEST_MESSAGE);
        let object = commit_id(&self.to_hash);
        if object != tag.commit {
            tag.tag_object = object;
        }
    }
}

impl Commit {
    fn into_message(self) -> v1::Commit {
        let text = |name: &str| self.author[name].as_str().unwrap_or_default().to_owned();
        let display_name = text("displayName");
        v1::Commit {
            author_name: match display_name.as_str() {
                "" => text("name"),
                _ => display_name,
            },
            author_email: text("emailAddress"),
            time_unix_ms: time(&self.author_timestamp),
            web_uri: String::new(),
            id: self.id,
            message: self.message,
        }
    }
}

impl Modified {
    /// The change that matters most, where several came at once.
    fn into_happening(self) -> Option<Happening> {
        let (old, new) = (&self.old, &self.new);
        let kind = if old.project.key != new.project.key {
            RepositoryChange::Transferred
        } else if old.slug != new.slug {
            RepositoryChange::Renamed
        } else if old.archived != new.archived {
            match new.archived {
                true => RepositoryChange::Archived,
                false => RepositoryChange::Unarchived,
            }
        } else if old.public != new.public {
            RepositoryChange::VisibilityChanged
        } else {
            return None;
        };
        Some(happening(Kind::RepositoryChanged(v1::RepositoryChanged {
            kind: kind.into(),
            before: old.full_name(),
            after: new.full_name(),
        })))
    }
}
