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
        commit: String,
    },
    Deleted {
        reference: String,
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
                commit: tag.commit_id,
            }),
            Change::RefDeleted(deletion) => Some(Self::Deleted {
                reference: deletion.r#ref,
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

pub(super) fn tagged(tag: &str, commit: &str) -> Seen {
    Seen::Tagged {
        reference: format!("refs/tags/{tag}"),
        commit: commit.to_owned(),
    }
}

pub(super) fn deleted(reference: &str) -> Seen {
    Seen::Deleted {
        reference: reference.to_owned(),
    }
}

/// The commits that pushes led to.
pub(super) fn ends(came: &[Seen]) -> Vec<String> {
    let end = |seen: &Seen| match seen {
        Seen::Pushed { after, .. } => Some(after.clone()),
        _ => None,
    };
    came.iter().filter_map(end).collect()
}
