//! What a delivery says
//!
//! | event | tells |
//! |---|---|
//! | `push` | a branch that moved or is new, and a tag that is new or moved; newer servers than 1.14 have its commit in `head_commit` |
//! | `delete` | a branch or tag that is gone |
//! | `repository` | that the repository was deleted. The server has no event for a rename or a transfer |
//!
//! Of what comes twice, one is passed over: `create` repeats a push, with the id of a tag's object in place of its commit; the
//! push of a tag's deletion is repeated by `delete`, which a mirror sends alone.

use bindery_plugin_sdk::{
    Result, calendar,
    delivery::{self, Paths, commit_id, happening, json},
    v1::{self, happening::Kind},
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Push {
    #[serde(rename = "ref")]
    reference: String,
    before: String,
    after: String,
    /// The newest first, and not more than the server shows in a feed: five, unless its operator changed it.
    commits: Option<Vec<Commit>>,
    /// Not told by 1.14.
    #[serde(default)]
    total_commits: u32,
    head_commit: Option<Commit>,
    repository: Repository,
    pusher: Option<User>,
    sender: Option<User>,
}

#[derive(Deserialize)]
struct Deletion {
    /// Its short name.
    #[serde(rename = "ref")]
    name: String,
    ref_type: String,
    repository: Repository,
    sender: Option<User>,
}

#[derive(Deserialize)]
struct Change {
    action: String,
    repository: Repository,
    sender: Option<User>,
}

#[derive(Deserialize)]
struct Repository {
    id: u64,
    full_name: String,
}

#[derive(Deserialize)]
struct User {
    id: Option<i64>,
    #[serde(default)]
    login: String,
    #[serde(default)]
    full_name: String,
}

#[derive(Deserialize)]
struct Commit {
    id: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    url: String,
    author: Option<Author>,
    #[serde(default)]
    timestamp: String,
    added: Option<Vec<String>>,
    removed: Option<Vec<String>>,
    modified: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
struct Author {
    #[serde(default)]
    name: String,
    #[serde(default)]
    email: String,
}

pub(crate) fn parse(input: &v1::ParseDelivery) -> Result<v1::Delivered> {
    match input.event.as_str() {
        "push" => Ok(push(json(input)?)),
        "delete" => Ok(deletion(json(input)?)),
        "repository" => Ok(change(json(input)?)),
        _ => Ok(v1::Delivered::default()),
    }
}

/// A push in which nothing moved is the server's test of the hook.
fn push(push: Push) -> v1::Delivered {
    let ping = push.before == push.after;
    let moved = if ping { None } else { moved(&push) };
    v1::Delivered {
        ping,
        happenings: moved.into_iter().collect(),
        ..about(push.repository, push.pusher.or(push.sender))
    }
}

fn moved(push: &Push) -> Option<v1::Happening> {
    let change = delivery::ref_change(&push.reference, &push.before, &push.after)?;
    let kind = match change.kind? {
        Kind::Push(said) => Kind::Push(pushed(push, said)),
        Kind::TagCreated(said) => Kind::TagCreated(tagged(push, said)),
        Kind::RefDeleted(said) if said.r#ref.starts_with("refs/tags/") => return None,
        other => other,
    };
    Some(happening(kind))
}

/// The server does not tell whether history was rewritten, so the paths of commits that a forced push threw away are missing.
/// Of a new branch there are ten commits at most, and nobody knows which paths they changed compared to what; so neither their
/// number nor their paths are those of the push.
fn pushed(push: &Push, said: v1::Push) -> v1::Push {
    let mut found: Vec<&Commit> = push.commits.iter().flatten().collect();
    if found.first().is_some_and(|first| first.id == push.after) {
        found.reverse();
    }
    let is_new = said.before.is_empty();
    let total = if is_new { 0 } else { push.total_commits };
    let (changed_paths, complete) = paths(&found).into_parts();
    let all = !found.is_empty() && usize::try_from(total).is_ok_and(|total| total == found.len());
    if found.is_empty() {
        found.extend(&push.head_commit);
    }
    v1::Push {
        commits: delivery::commits(found.into_iter().map(commit).collect()),
        commit_count: total,
        changed_paths,
        changed_paths_complete: all && complete,
        ..said
    }
}

fn paths(commits: &[&Commit]) -> Paths {
    let mut paths = Paths::default();
    for one in commits {
        for list in [&one.added, &one.removed, &one.modified] {
            match list {
                Some(list) => paths.extend(list),
                None => paths.lack_some(),
            }
        }
    }
    paths
}

fn commit(found: &Commit) -> v1::Commit {
    let (name, email) = match &found.author {
        Some(author) => (author.name.clone(), author.email.clone()),
        None => (String::new(), String::new()),
    };
    v1::Commit {
        id: found.id.clone(),
        message: found.message.clone(),
        author_name: name,
        author_email: email,
        time_unix_ms: calendar::unix_ms(&found.timestamp),
        web_uri: found.url.clone(),
    }
}

/// The id after the push is the tag's object, and the head commit what it points to. Without a head commit nobody can tell
/// whether the tag is annotated, and the daemon looks it up.
fn tagged(push: &Push, said: v1::TagCreated) -> v1::TagCreated {
    let Some(head) = &push.head_commit else {
        return said;
    };
    let (commit, object) = (commit_id(&head.id), commit_id(&push.after));
    v1::TagCreated {
        tag_object: if object == commit {
            String::new()
        } else {
            object
        },
        commit,
        commit_message: delivery::clip(&head.message, delivery::LONGEST_MESSAGE),
        ..said
    }
}

fn deletion(gone: Deletion) -> v1::Delivered {
    let prefix = match gone.ref_type.as_str() {
        "branch" => Some("refs/heads/"),
        "tag" => Some("refs/tags/"),
        _ => None,
    };
    let deleted = prefix.map(|prefix| {
        happening(Kind::RefDeleted(v1::RefDeleted {
            r#ref: format!("{prefix}{}", gone.name),
            before: String::new(),
        }))
    });
    v1::Delivered {
        happenings: deleted.into_iter().collect(),
        ..about(gone.repository, gone.sender)
    }
}

fn change(change: Change) -> v1::Delivered {
    let deleted = (change.action == "deleted").then(|| {
        happening(Kind::RepositoryChanged(v1::RepositoryChanged {
            kind: v1::RepositoryChange::Deleted.into(),
            before: change.repository.full_name.clone(),
            after: String::new(),
        }))
    });
    v1::Delivered {
        happenings: deleted.into_iter().collect(),
        ..about(change.repository, change.sender)
    }
}

/// Where it happened, and who did it.
fn about(repository: Repository, actor: Option<User>) -> v1::Delivered {
    let person = |user: User| v1::Person {
        stable_id: user.id.map(|id| id.to_string()).unwrap_or_default(),
        login: user.login,
        display_name: user.full_name,
    };
    v1::Delivered {
        repository: Some(v1::DeliveredRepository {
            stable_id: repository.id.to_string(),
            full_name: repository.full_name,
        }),
        actor: actor.map(person),
        ..v1::Delivered::default()
    }
}
