//! Events, as far as these contracts compare them.

use bindery_client::proto::v1::{Event, event::Change};

/// What happened to a ref.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Seen {
    Pushed {
        reference: String,
        before: String,
        after: String,
    },
    Tagged {
        reference: String,
        /// Where it was before; empty for a new tag.
        before: String,
        commit: String,
        /// Whether it has an object of its own.
        annotated: bool,
    },
    Deleted {
        reference: String,
        /// The commit where it was, tags peeled.
        before: String,
    },
}

impl Seen {
    /// `None` for what is not about a ref.
    pub(super) fn of(event: &Event) -> Option<Self> {
        match event.change.clone()? {
            Change::Push(push) => Some(Self::Pushed {
                reference: push.r#ref,
                before: push.before_commit_id,
                after: push.after_commit_id,
            }),
            Change::TagCreated(tag) => Some(Self::Tagged {
                reference: tag.r#ref,
                before: tag.before_commit_id,
                annotated: ![&tag.commit_id, ""].contains(&tag.tag_object_id.as_str()),
                commit: tag.commit_id,
            }),
            Change::RefDeleted(deletion) => Some(Self::Deleted {
                reference: deletion.r#ref,
                before: deletion.before_commit_id,
            }),
            _ => None,
        }
    }
}

pub(super) fn seen(events: &[Event]) -> Vec<Seen> {
    events.iter().filter_map(Seen::of).collect()
}

pub(super) fn pushed(branch: &str, before: &str, after: &str) -> Seen {
    Seen::Pushed {
        reference: format!("refs/heads/{branch}"),
        before: before.to_owned(),
        after: after.to_owned(),
    }
}

/// A new light tag.
pub(super) fn tagged(tag: &str, commit: &str) -> Seen {
    Seen::Tagged {
        reference: format!("refs/tags/{tag}"),
        before: String::new(),
        commit: commit.to_owned(),
        annotated: false,
    }
}

/// A new annotated tag.
pub(super) fn annotated(tag: &str, commit: &str) -> Seen {
    Seen::Tagged {
        reference: format!("refs/tags/{tag}"),
        before: String::new(),
        commit: commit.to_owned(),
        annotated: true,
    }
}

/// A branch or tag that is gone, by its full name, and the commit where it was.
pub(super) fn deleted(reference: &str, before: &str) -> Seen {
    Seen::Deleted {
        reference: reference.to_owned(),
        before: before.to_owned(),
    }
}
