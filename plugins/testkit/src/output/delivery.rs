//! Hooks, and what a delivery says

use bindery_plugin_proto::v1::{self, happening};
use serde_json::{Value, json};

use super::{compact, each, word};

pub(super) fn hook(one: &v1::HookFacts) -> Value {
    compact(json!({
        "hook_id": one.hook_id,
        "url": one.url,
        "active": one.active,
        "disabled": one.disabled,
        "deviations": one.deviations,
        "scheme": one.scheme,
        "message": one.message,
        "failing": one.failing,
        "web_uri": one.web_uri,
    }))
}

pub(super) fn sent(one: &v1::SentDelivery) -> Value {
    compact(json!({
        "sent_id": one.sent_id,
        "stable_id": one.stable_id,
        "event": one.event,
        "sent_unix_ms": one.sent_unix_ms,
        "status": one.status,
    }))
}

pub(super) fn delivered(one: &v1::Delivered) -> Value {
    compact(json!({
        "ping": one.ping,
        "repository": one.repository.as_ref().map(repository),
        "actor": one.actor.as_ref().map(person),
        "happened_unix_ms": one.happened_unix_ms,
        "happenings": each(&one.happenings, happening),
        "access_changed": one.access_changed,
        "truncated": one.truncated,
        "installation_id": one.installation_id,
    }))
}

fn repository(one: &v1::DeliveredRepository) -> Value {
    compact(json!({"stable_id": one.stable_id, "full_name": one.full_name}))
}

fn person(one: &v1::Person) -> Value {
    compact(json!({
        "stable_id": one.stable_id,
        "login": one.login,
        "display_name": one.display_name,
    }))
}

fn happening(one: &v1::Happening) -> Value {
    match &one.kind {
        Some(happening::Kind::Push(one)) => json!({"push": push(one)}),
        Some(happening::Kind::TagCreated(one)) => json!({"tag_created": tag(one)}),
        Some(happening::Kind::RefDeleted(one)) => {
            json!({"ref_deleted": compact(json!({"ref": one.r#ref, "before": one.before}))})
        }
        Some(happening::Kind::RepositoryChanged(one)) => {
            json!({"repository_changed": compact(json!({
                "kind": word(one.kind().as_str_name(), "REPOSITORY_CHANGE_"),
                "before": one.before,
                "after": one.after,
            }))})
        }
        None => json!({}),
    }
}

fn push(one: &v1::Push) -> Value {
    compact(json!({
        "ref": one.r#ref,
        "before": one.before,
        "after": one.after,
        "forced": one.forced,
        "commits": each(&one.commits, commit),
        "commit_count": one.commit_count,
        "changed_paths": one.changed_paths,
        "changed_paths_complete": one.changed_paths_complete,
    }))
}

fn commit(one: &v1::Commit) -> Value {
    compact(json!({
        "id": one.id,
        "message": one.message,
        "author_name": one.author_name,
        "author_email": one.author_email,
        "time_unix_ms": one.time_unix_ms,
        "web_uri": one.web_uri,
    }))
}

fn tag(one: &v1::TagCreated) -> Value {
    compact(json!({
        "ref": one.r#ref,
        "commit": one.commit,
        "tag_object": one.tag_object,
        "before": one.before,
        "message": one.message,
        "commit_message": one.commit_message,
    }))
}
