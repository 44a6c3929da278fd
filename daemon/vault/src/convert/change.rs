//! [`EventChange`]: what happened, in an event.

use bindery_core::{
    event::{AccessChange, EventChange, Firing, HookChange},
    name::TriggerId,
    provider::{
        Commit, Happening, Push, RefDeleted, RepositoryChange, RepositoryChanged, TagCreated,
    },
};
use bindery_store_proto::v1::{self as disk, event::Change};

use super::{
    Unreadable,
    hook::{read_state, write_state},
    link::{read_who, write_who},
    ms, name, time,
};

pub(super) fn write_change(change: &EventChange) -> Change {
    match change {
        EventChange::Provider(happening) => write_happening(happening),
        EventChange::Access(change) => Change::Access(write_access(change)),
        EventChange::Hook(change) => Change::Hook(write_hook(change)),
        EventChange::Trigger(firing) => Change::Firing(disk::Firing {
            trigger: firing.trigger.to_string(),
            reference: firing.reference.clone(),
            commit: firing.commit.clone(),
            principal: firing.principal.clone(),
        }),
    }
}

pub(super) fn read_change(change: Change) -> Result<EventChange, Unreadable> {
    Ok(match change {
        Change::Push(push) => EventChange::Provider(Happening::Push(read_push(push))),
        Change::TagCreated(tag) => EventChange::Provider(Happening::TagCreated(read_tag(tag))),
        Change::RefDeleted(deleted) => {
            EventChange::Provider(Happening::RefDeleted(read_deleted(deleted)))
        }
        Change::RepositoryChanged(changed) => {
            EventChange::Provider(Happening::RepositoryChanged(read_repository(changed)?))
        }
        Change::Access(change) => EventChange::Access(read_access(change)?),
        Change::Hook(change) => EventChange::Hook(read_hook(change)?),
        Change::Firing(firing) => EventChange::Trigger(Firing {
            trigger: name(TriggerId::parse, &firing.trigger, "trigger id")?,
            reference: firing.reference,
            commit: firing.commit,
            principal: firing.principal,
        }),
    })
}

fn write_happening(happening: &Happening) -> Change {
    match happening {
        Happening::Push(push) => Change::Push(write_push(push)),
        Happening::TagCreated(tag) => Change::TagCreated(write_tag(tag)),
        Happening::RefDeleted(deleted) => Change::RefDeleted(disk::RefDeleted {
            reference: deleted.reference.clone(),
            before: deleted.before.clone(),
        }),
        Happening::RepositoryChanged(changed) => {
            Change::RepositoryChanged(write_repository(changed))
        }
    }
}

fn write_push(push: &Push) -> disk::Push {
    disk::Push {
        reference: push.reference.clone(),
        before: push.before.clone(),
        after: push.after.clone(),
        forced: push.forced,
        commits: push.commits.iter().map(write_commit).collect(),
        commit_count: push.commit_count,
        changed_paths: push.changed_paths.clone(),
        changed_paths_complete: push.changed_paths_complete,
    }
}

fn read_push(message: disk::Push) -> Push {
    Push {
        reference: message.reference,
        before: message.before,
        after: message.after,
        forced: message.forced,
        commits: message.commits.into_iter().map(read_commit).collect(),
        commit_count: message.commit_count,
        changed_paths: message.changed_paths,
        changed_paths_complete: message.changed_paths_complete,
    }
}

fn write_commit(commit: &Commit) -> disk::Commit {
    disk::Commit {
        id: commit.id.clone(),
        message: commit.message.clone(),
        author_name: commit.author_name.clone(),
        author_email: commit.author_email.clone(),
        time_ms: ms(commit.time),
        web_uri: commit.web_uri.clone(),
    }
}

fn read_commit(message: disk::Commit) -> Commit {
    Commit {
        id: message.id,
        message: message.message,
        author_name: message.author_name,
        author_email: message.author_email,
        time: time(message.time_ms),
        web_uri: message.web_uri,
    }
}

fn write_tag(tag: &TagCreated) -> disk::TagCreated {
    disk::TagCreated {
        reference: tag.reference.clone(),
        commit: tag.commit.clone(),
        tag_object: tag.tag_object.clone(),
        before: tag.before.clone(),
        message: tag.message.clone(),
        commit_message: tag.commit_message.clone(),
    }
}

fn read_tag(message: disk::TagCreated) -> TagCreated {
    TagCreated {
        reference: message.reference,
        commit: message.commit,
        tag_object: message.tag_object,
        before: message.before,
        message: message.message,
        commit_message: message.commit_message,
    }
}

fn read_deleted(message: disk::RefDeleted) -> RefDeleted {
    RefDeleted {
        reference: message.reference,
        before: message.before,
    }
}

pub(super) fn write_repository(changed: &RepositoryChanged) -> disk::RepositoryChanged {
    disk::RepositoryChanged {
        kind: write_kind(changed.kind).into(),
        before: changed.before.clone(),
        after: changed.after.clone(),
    }
}

pub(super) fn read_repository(
    message: disk::RepositoryChanged,
) -> Result<RepositoryChanged, Unreadable> {
    Ok(RepositoryChanged {
        kind: read_kind(message.kind)?,
        before: message.before,
        after: message.after,
    })
}

fn write_access(change: &AccessChange) -> disk::AccessChange {
    disk::AccessChange {
        lost: change.lost,
        organization: change.organization.clone(),
        reason: change.reason.clone(),
        message: change.message.clone(),
        who: write_who(change.who).into(),
        action_uri: change.action_uri.clone(),
    }
}

fn read_access(message: disk::AccessChange) -> Result<AccessChange, Unreadable> {
    Ok(AccessChange {
        who: read_who(message.who)?,
        lost: message.lost,
        organization: message.organization,
        reason: message.reason,
        message: message.message,
        action_uri: message.action_uri,
    })
}

fn write_hook(change: &HookChange) -> disk::HookChange {
    disk::HookChange {
        before: write_state(change.before).into(),
        after: write_state(change.after).into(),
        message: change.message.clone(),
        who: write_who(change.who).into(),
        action_uri: change.action_uri.clone(),
    }
}

fn read_hook(message: disk::HookChange) -> Result<HookChange, Unreadable> {
    Ok(HookChange {
        before: read_state(message.before)?,
        after: read_state(message.after)?,
        who: read_who(message.who)?,
        message: message.message,
        action_uri: message.action_uri,
    })
}

const fn write_kind(kind: RepositoryChange) -> disk::RepositoryChange {
    match kind {
        RepositoryChange::Renamed => disk::RepositoryChange::Renamed,
        RepositoryChange::Transferred => disk::RepositoryChange::Transferred,
        RepositoryChange::Deleted => disk::RepositoryChange::Deleted,
        RepositoryChange::Archived => disk::RepositoryChange::Archived,
        RepositoryChange::Unarchived => disk::RepositoryChange::Unarchived,
        RepositoryChange::VisibilityChanged => disk::RepositoryChange::VisibilityChanged,
    }
}

fn read_kind(number: i32) -> Result<RepositoryChange, Unreadable> {
    Ok(match disk::RepositoryChange::try_from(number) {
        Ok(disk::RepositoryChange::Renamed) => RepositoryChange::Renamed,
        Ok(disk::RepositoryChange::Transferred) => RepositoryChange::Transferred,
        Ok(disk::RepositoryChange::Deleted) => RepositoryChange::Deleted,
        Ok(disk::RepositoryChange::Archived) => RepositoryChange::Archived,
        Ok(disk::RepositoryChange::Unarchived) => RepositoryChange::Unarchived,
        Ok(disk::RepositoryChange::VisibilityChanged) => RepositoryChange::VisibilityChanged,
        Ok(disk::RepositoryChange::Unspecified) | Err(_) => {
            return Err(Unreadable("change of a repository"));
        }
    })
}
