//! An event as JSON, as `docs/subscriptions.md` describes it.

use bindery_core::{
    event::{AccessChange, Event, EventChange, Firing, HookChange, Verdict},
    problem::Who,
    provider::{Commit, Happening, Push, RepositoryChange, RepositoryChanged, TagCreated},
    source::Build,
    time::Timestamp,
};
use data_encoding::BASE64;
use serde_json::{Value, json};

/// What a delivery carries of the provider's body.
pub(super) enum Payload {
    /// It is not asked for.
    Unasked,
    /// All of it; empty where there is none.
    Body(Vec<u8>),
    /// It was asked for by somebody who has no right to it any more.
    Withheld,
}

/// The body of a delivery.
pub(super) fn render(event: &Event, payload: &Payload) -> Vec<u8> {
    let mut data = data(event);
    match payload {
        Payload::Unasked => {}
        Payload::Body(body) => data["payload"] = json!(BASE64.encode(body)),
        Payload::Withheld => {
            data["payload"] = json!("");
            data["payload_withheld"] = json!(true);
        }
    }
    let whole = json!({
        "type": event.change.kind(),
        "timestamp": event.received.rfc3339(),
        "data": data,
    });
    whole.to_string().into_bytes()
}

fn data(event: &Event) -> Value {
    let source = event.source_name();
    let delivery = event
        .delivery
        .map(|number| format!("{source}/deliveries/{number}"));
    let mut data = json!({
        "name": event.name(),
        "sequence": event.sequence,
        "link": event.link_name(),
        "source": source,
        "host": format!("hosts/{}", event.host),
        "repository_stable_id": event.repository,
        "repository_full_name": event.full_name,
        "provider_time": event.happened.map(Timestamp::rfc3339),
        "receive_time": event.received.rfc3339(),
        "origin": event.origin.text(),
        "delivery": delivery.unwrap_or_default(),
        "actor": event.actor.as_ref().map(|person| json!({
            "stable_id": person.stable_id,
            "login": person.login,
            "display_name": person.display_name,
        })),
        "verdict": Verdict::text(event.verdict),
        "rule": event.rule,
        "build": event.build.as_ref().map(build),
    });
    data[event.change.kind()] = change(&event.change, &source);
    data
}

fn build(build: &Build) -> Value {
    json!({
        "image_repository": build.image_repository,
        "tag_template": build.tag_template,
        "context_path": build.context_path,
        "file_path": build.file_path,
        "arguments": build.arguments,
    })
}

fn change(change: &EventChange, source: &str) -> Value {
    match change {
        EventChange::Provider(Happening::Push(pushed)) => push(pushed),
        EventChange::Provider(Happening::TagCreated(created)) => tag(created),
        EventChange::Provider(Happening::RefDeleted(deleted)) => json!({
            "ref": deleted.reference,
            "before_commit_id": deleted.before,
        }),
        EventChange::Provider(Happening::RepositoryChanged(changed)) => repository(changed),
        EventChange::Access(changed) => access(changed),
        EventChange::Hook(changed) => hook(changed),
        EventChange::Trigger(firing) => fired(firing, source),
    }
}

fn push(push: &Push) -> Value {
    json!({
        "ref": push.reference,
        "before_commit_id": push.before,
        "after_commit_id": push.after,
        "forced": push.forced,
        "commits": push.commits.iter().map(commit).collect::<Vec<_>>(),
        "commit_count": push.commit_count,
        "changed_paths": push.changed_paths,
        "changed_paths_complete": push.changed_paths_complete,
    })
}

fn commit(commit: &Commit) -> Value {
    json!({
        "id": commit.id,
        "message": commit.message,
        "author_name": commit.author_name,
        "author_email": commit.author_email,
        "commit_time": commit.time.map(Timestamp::rfc3339),
        "web_uri": commit.web_uri,
    })
}

fn tag(tag: &TagCreated) -> Value {
    json!({
        "ref": tag.reference,
        "commit_id": tag.commit,
        "tag_object_id": tag.tag_object,
        "before_commit_id": tag.before,
        "message": tag.message,
    })
}

fn repository(changed: &RepositoryChanged) -> Value {
    let kind = match changed.kind {
        RepositoryChange::Renamed => "RENAMED",
        RepositoryChange::Transferred => "TRANSFERRED",
        RepositoryChange::Deleted => "DELETED",
        RepositoryChange::Archived => "ARCHIVED",
        RepositoryChange::Unarchived => "UNARCHIVED",
        RepositoryChange::VisibilityChanged => "VISIBILITY_CHANGED",
    };
    json!({
        "kind": kind,
        "before_full_name": changed.before,
        "after_full_name": changed.after,
    })
}

fn access(change: &AccessChange) -> Value {
    json!({
        "lost": change.lost,
        "organization": change.organization,
        "reason": change.reason,
        "message": change.message,
        "who_must_act": who(change.who),
        "action_uri": change.action_uri,
    })
}

fn hook(change: &HookChange) -> Value {
    json!({
        "before": change.before.text(),
        "after": change.after.text(),
        "message": change.message,
        "who_must_act": who(change.who),
        "action_uri": change.action_uri,
    })
}

fn fired(firing: &Firing, source: &str) -> Value {
    json!({
        "trigger": format!("{source}/triggers/{}", firing.trigger),
        "ref": firing.reference,
        "commit_id": firing.commit,
        "principal": firing.principal,
    })
}

const fn who(who: Option<Who>) -> Option<&'static str> {
    match who {
        None => None,
        Some(Who::User) => Some("USER"),
        Some(Who::OrganizationOwner) => Some("ORGANIZATION_OWNER"),
        Some(Who::HostOperator) => Some("HOST_OPERATOR"),
    }
}
