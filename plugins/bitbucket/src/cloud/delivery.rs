//! What a delivery says
//!
//! One push may change several refs, branches and tags mixed. Of each it tells the latest five commits, the newest first, and
//! whether it left out some; the commit of a tag is its target, annotated or not. Paths are told nowhere.

use bindery_plugin_sdk::{
    Result,
    calendar::unix_ms,
    delivery::{self, LONGEST_MESSAGE, clip, commit_id, happening},
    v1::{
        self, Delivered, DeliveredRepository, Happening, Person, RepositoryChange, happening::Kind,
    },
};
use serde::Deserialize;

/// What deliveries of every kind have.
#[derive(Deserialize)]
struct Frame {
    actor: Option<Actor>,
    repository: Option<Repository>,
}

/// `username` is what older deliveries have.
#[derive(Deserialize)]
struct Actor {
    uuid: Option<String>,
    nickname: Option<String>,
    username: Option<String>,
    display_name: Option<String>,
}

#[derive(Clone, Deserialize)]
struct Repository {
    uuid: Option<String>,
    full_name: String,
}

#[derive(Deserialize)]
struct Pushed {
    push: Push,
}

#[derive(Deserialize)]
struct Push {
    changes: Vec<Change>,
}

#[derive(Deserialize)]
struct Change {
    old: Option<Ref>,
    new: Option<Ref>,
    #[serde(default)]
    forced: bool,
    #[serde(default)]
    truncated: bool,
    #[serde(default)]
    commits: Vec<Commit>,
}

#[derive(Deserialize)]
struct Ref {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    target: Commit,
    /// Of an annotated tag.
    message: Option<String>,
}

#[derive(Deserialize)]
struct Commit {
    hash: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    date: String,
    author: Option<Author>,
    #[serde(default)]
    links: Links,
}

/// `Ada <ada@acme.test>`.
#[derive(Deserialize)]
struct Author {
    #[serde(default)]
    raw: String,
}

#[derive(Default, Deserialize)]
struct Links {
    html: Option<Link>,
}

#[derive(Deserialize)]
struct Link {
    href: String,
}

#[derive(Deserialize)]
struct Updated {
    changes: Changes,
}

#[derive(Deserialize)]
struct Changes {
    full_name: Option<Renamed>,
}

#[derive(Deserialize)]
struct Renamed {
    old: String,
    new: String,
}

pub(crate) fn parse(input: &v1::ParseDelivery) -> Result<Delivered> {
    let frame: Frame = delivery::json(input)?;
    let mut delivered = Delivered {
        repository: frame.repository.clone().and_then(Repository::told),
        actor: frame.actor.map(Into::into),
        ..Delivered::default()
    };
    match (input.event.as_str(), frame.repository) {
        ("repo:push", _) => {
            let Push { changes } = delivery::json::<Pushed>(input)?.push;
            delivered.truncated = changes.iter().any(|change| change.truncated);
            let told = changes.into_iter().filter_map(Change::into_happening);
            delivered.happenings = told.collect();
        }
        ("repo:updated", _) => {
            let updated: Updated = delivery::json(input)?;
            let told = updated.changes.full_name.map(Renamed::into_happening);
            delivered.happenings = told.into_iter().collect();
        }
        // From where it came is told by the name of a person or workspace, which is none in a path.
        ("repo:transfer", Some(now)) => {
            let kind = RepositoryChange::Transferred;
            delivered.happenings = vec![changed(kind, String::new(), now.full_name)];
        }
        ("repo:deleted", Some(now)) => {
            let kind = RepositoryChange::Deleted;
            delivered.happenings = vec![changed(kind, now.full_name, String::new())];
        }
        _ => {}
    }
    Ok(delivered)
}

fn changed(kind: RepositoryChange, before: String, after: String) -> Happening {
    happening(Kind::RepositoryChanged(v1::RepositoryChanged {
        kind: kind.into(),
        before,
        after,
    }))
}

impl Repository {
    fn told(self) -> Option<DeliveredRepository> {
        Some(DeliveredRepository {
            stable_id: self.uuid?,
            full_name: self.full_name,
        })
    }
}

impl From<Actor> for Person {
    fn from(actor: Actor) -> Self {
        Self {
            stable_id: actor.uuid.unwrap_or_default(),
            login: actor.nickname.or(actor.username).unwrap_or_default(),
            display_name: actor.display_name.unwrap_or_default(),
        }
    }
}

impl Renamed {
    fn into_happening(self) -> Happening {
        changed(RepositoryChange::Renamed, self.old, self.new)
    }
}

impl Ref {
    /// The full name; none of what is neither branch nor tag.
    fn full_name(&self) -> Option<String> {
        match self.kind.as_str() {
            "branch" => Some(format!("refs/heads/{}", self.name)),
            "tag" => Some(format!("refs/tags/{}", self.name)),
            _ => None,
        }
    }
}

impl Change {
    fn into_happening(self) -> Option<Happening> {
        let before = self.old.as_ref().map(|old| commit_id(&old.target.hash));
        let before = before.unwrap_or_default();
        let Some(new) = &self.new else {
            let r#ref = self.old?.full_name()?;
            return Some(happening(Kind::RefDeleted(v1::RefDeleted {
                r#ref,
                before,
            })));
        };
        let r#ref = new.full_name()?;
        Some(happening(match new.kind.as_str() {
            "tag" => Kind::TagCreated(new.tag(r#ref, before)),
            _ => Kind::Push(self.push(r#ref, before)?),
        }))
    }

    fn push(self, r#ref: String, before: String) -> Option<v1::Push> {
        let after = commit_id(&self.new?.target.hash);
        let count = if self.truncated {
            0
        } else {
            self.commits.len()
        };
        let commits = self.commits.into_iter().rev().map(Commit::into_message);
        Some(v1::Push {
            r#ref,
            before,
            after,
            forced: self.forced,
            commits: delivery::commits(commits.collect()),
            commit_count: u32::try_from(count).unwrap_or(0),
            ..v1::Push::default()
        })
    }
}

impl Ref {
    fn tag(&self, r#ref: String, before: String) -> v1::TagCreated {
        let message = self.message.as_deref().unwrap_or_default();
        v1::TagCreated {
            r#ref,
            commit: commit_id(&self.target.hash),
            before,
            message: clip(message, LONGEST_MESSAGE),
            commit_message: clip(&self.target.message, LONGEST_MESSAGE),
            ..v1::TagCreated::default()
        }
    }
}

impl Commit {
    fn into_message(self) -> v1::Commit {
        let raw = self.author.map(|author| author.raw).unwrap_or_default();
        let (name, email) = match raw.split_once('<') {
            Some((name, email)) => (name.trim(), email.trim_end_matches('>')),
            None => (raw.as_str(), ""),
        };
        v1::Commit {
            id: self.hash,
            message: self.message,
            author_name: name.to_owned(),
            author_email: email.to_owned(),
            time_unix_ms: unix_ms(&self.date),
            web_uri: self.links.html.map(|link| link.href).unwrap_or_default(),
        }
    }
}
