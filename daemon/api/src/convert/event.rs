//! Events and those who follow them.

use bindery_core::{
    event::{AccessChange, Event, EventChange, EventOrigin, Firing, HookChange, Verdict},
    hook::HookState,
    name::{HostName, LinkId, NamespaceName, SourceId},
    provider::{
        Commit, Happening, Person, Push, RefDeleted, RepositoryChange, RepositoryChanged,
        TagCreated,
    },
    source::Build,
};
use bindery_engine::{events::ConsumerNow, subscriptions::Replayed};
use bindery_proto::v1::{self as wire, event::Change};

use super::common;

/// A number of an event as the wire has it.
pub(crate) fn number(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}

/// Which events are sent again.
pub(crate) fn replayed(Replayed { first, last, count }: Replayed) -> wire::ReplayEventsResponse {
    wire::ReplayEventsResponse {
        first_sequence: number(first),
        last_sequence: number(last),
        event_count: number(count),
    }
}

/// An event, without the provider's body.
pub(crate) fn event(event: &Event) -> wire::Event {
    let source = source(event);
    wire::Event {
        name: format!("namespaces/{}/events/{}", event.namespace, event.sequence),
        sequence: number(event.sequence),
        link: link(&event.namespace, &event.link),
        host: host(&event.host),
        repository_stable_id: event.repository.clone(),
        repository_full_name: event.full_name.clone(),
        provider_time: event.happened.map(common::time),
        receive_time: Some(common::time(event.received)),
        origin: origin(event.origin).into(),
        delivery: delivery(&source, event.delivery),
        source,
        actor: event.actor.as_ref().map(actor),
        change: Some(change(event)),
        verdict: verdict(event.verdict).into(),
        rule: event.rule.clone(),
        build: event.build.as_ref().map(build),
        payload: Vec::new(),
    }
}

/// A consumer as it is at this moment.
pub(crate) fn consumer(now: &ConsumerNow) -> wire::Consumer {
    let consumer = &now.consumer;
    wire::Consumer {
        name: format!(
            "namespaces/{}/consumers/{}",
            consumer.namespace, consumer.id
        ),
        acknowledged_sequence: number(consumer.acknowledged.unwrap_or_default()),
        sent_sequence: number(now.sent),
        backlog: number(now.backlog),
        connected: now.connected,
        principal: Some(common::principal(&consumer.principal)),
        active_time: Some(common::time(consumer.active)),
    }
}

fn link(namespace: &NamespaceName, link: &LinkId) -> String {
    format!("namespaces/{namespace}/links/{link}")
}

fn host(host: &HostName) -> String {
    format!("hosts/{host}")
}

fn source(event: &Event) -> String {
    let below = |id: &SourceId| format!("{}/sources/{id}", link(&event.namespace, &event.link));
    event.source.as_ref().map(below).unwrap_or_default()
}

fn delivery(source: &str, delivery: Option<u64>) -> String {
    let below = |number: u64| format!("{source}/deliveries/{number}");
    delivery.map(below).unwrap_or_default()
}

const fn origin(origin: EventOrigin) -> wire::event::Origin {
    match origin {
        EventOrigin::Delivery => wire::event::Origin::Delivery,
        EventOrigin::Redelivery => wire::event::Origin::Redelivery,
        EventOrigin::Reconciliation => wire::event::Origin::Reconciliation,
        EventOrigin::Trigger => wire::event::Origin::Trigger,
        EventOrigin::Daemon => wire::event::Origin::Daemon,
    }
}

const fn verdict(verdict: Option<Verdict>) -> wire::event::TriggerVerdict {
    match verdict {
        None => wire::event::TriggerVerdict::Unspecified,
        Some(Verdict::Trigger) => wire::event::TriggerVerdict::Trigger,
        Some(Verdict::Excluded) => wire::event::TriggerVerdict::Excluded,
        Some(Verdict::Skipped) => wire::event::TriggerVerdict::Skipped,
        Some(Verdict::HeldBack) => wire::event::TriggerVerdict::HeldBack,
        Some(Verdict::Paused) => wire::event::TriggerVerdict::Paused,
    }
}

fn actor(person: &Person) -> wire::EventActor {
    wire::EventActor {
        stable_id: person.stable_id.clone(),
        login: person.login.clone(),
        display_name: person.display_name.clone(),
    }
}

fn build(build: &Build) -> wire::Build {
    wire::Build {
        image_repository: build.image_repository.clone(),
        tag_template: build.tag_template.clone(),
        context_path: build.context_path.clone(),
        file_path: build.file_path.clone(),
        arguments: build.arguments.clone().into_iter().collect(),
    }
}

fn change(event: &Event) -> Change {
    match &event.change {
        EventChange::Provider(happening) => happened(happening),
        EventChange::Access(change) => Change::AccessChanged(access(change)),
        EventChange::Hook(change) => Change::HookChanged(hook(change)),
        EventChange::Trigger(firing) => Change::TriggerFired(fired(firing, &source(event))),
    }
}

fn happened(happening: &Happening) -> Change {
    match happening {
        Happening::Push(push) => Change::Push(pushed(push)),
        Happening::TagCreated(tag) => Change::TagCreated(tagged(tag)),
        Happening::RefDeleted(RefDeleted { reference, before }) => {
            Change::RefDeleted(wire::RefDeletion {
                r#ref: reference.clone(),
                before_commit_id: before.clone(),
            })
        }
        Happening::RepositoryChanged(changed) => Change::RepositoryChanged(repository(changed)),
    }
}

fn pushed(push: &Push) -> wire::Push {
    wire::Push {
        r#ref: push.reference.clone(),
        before_commit_id: push.before.clone(),
        after_commit_id: push.after.clone(),
        forced: push.forced,
        commits: push.commits.iter().map(commit).collect(),
        commit_count: i32::try_from(push.commit_count).unwrap_or(i32::MAX),
        changed_paths: push.changed_paths.clone(),
        changed_paths_complete: push.changed_paths_complete,
    }
}

fn commit(commit: &Commit) -> wire::Commit {
    wire::Commit {
        id: commit.id.clone(),
        message: commit.message.clone(),
        author_name: commit.author_name.clone(),
        author_email: commit.author_email.clone(),
        commit_time: commit.time.map(common::time),
        web_uri: commit.web_uri.clone(),
    }
}

fn tagged(tag: &TagCreated) -> wire::TagChange {
    wire::TagChange {
        r#ref: tag.reference.clone(),
        commit_id: tag.commit.clone(),
        tag_object_id: tag.tag_object.clone(),
        before_commit_id: tag.before.clone(),
        message: tag.message.clone(),
    }
}

fn repository(changed: &RepositoryChanged) -> wire::RepositoryChange {
    use wire::repository_change::Kind;
    let kind = match changed.kind {
        RepositoryChange::Renamed => Kind::Renamed,
        RepositoryChange::Transferred => Kind::Transferred,
        RepositoryChange::Deleted => Kind::Deleted,
        RepositoryChange::Archived => Kind::Archived,
        RepositoryChange::Unarchived => Kind::Unarchived,
        RepositoryChange::VisibilityChanged => Kind::VisibilityChanged,
    };
    wire::RepositoryChange {
        kind: kind.into(),
        before_full_name: changed.before.clone(),
        after_full_name: changed.after.clone(),
    }
}

fn access(change: &AccessChange) -> wire::AccessChange {
    let severity = match change.lost {
        true => wire::Severity::Error,
        false => wire::Severity::Info,
    };
    wire::AccessChange {
        lost: change.lost,
        organization: change.organization.clone(),
        finding: Some(wire::Finding {
            severity: severity.into(),
            reason: change.reason.clone(),
            message: change.message.clone(),
            who_must_act: common::who(change.who).into(),
            action_uri: change.action_uri.clone(),
            until_time: None,
        }),
    }
}

fn hook(change: &HookChange) -> wire::HookChange {
    wire::HookChange {
        before: state(change.before).into(),
        hook: Some(wire::Hook {
            state: state(change.after).into(),
            message: change.message.clone(),
            who_must_act: common::who(change.who).into(),
            action_uri: change.action_uri.clone(),
            ..wire::Hook::default()
        }),
    }
}

/// The state of a hook.
pub(crate) const fn state(state: HookState) -> wire::hook::State {
    match state {
        HookState::Pending => wire::hook::State::Pending,
        HookState::Verified => wire::hook::State::Verified,
        HookState::Silent => wire::hook::State::Silent,
        HookState::Rejecting => wire::hook::State::Rejecting,
        HookState::DisabledByProvider => wire::hook::State::DisabledByProvider,
        HookState::Missing => wire::hook::State::Missing,
        HookState::Forbidden => wire::hook::State::Forbidden,
        HookState::Changed => wire::hook::State::Changed,
    }
}

fn fired(firing: &Firing, source: &str) -> wire::TriggerFiring {
    let principal = (!firing.principal.is_empty()).then(|| common::principal(&firing.principal));
    wire::TriggerFiring {
        trigger: format!("{source}/triggers/{}", firing.trigger),
        r#ref: firing.reference.clone(),
        commit_id: firing.commit.clone(),
        principal,
    }
}
