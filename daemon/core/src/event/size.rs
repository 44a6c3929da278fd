//! How much an event says.

use super::{AccessChange, Event, EventChange, Firing, HookChange};
use crate::{
    provider::{Commit, Happening, Person, Push, RefDeleted, RepositoryChanged, TagCreated},
    source::Build,
};

/// What every event takes beside its texts: numbers and times.
const FIXED: usize = 128;

impl Event {
    /// How much it says, in bytes: all its texts, and a fixed part for the rest.
    #[must_use]
    pub fn size(&self) -> u64 {
        let Self {
            namespace,
            sequence: _,
            link,
            source,
            host,
            repository,
            full_name,
            happened: _,
            received: _,
            origin: _,
            delivery: _,
            actor,
            change,
            verdict: _,
            rule,
            build,
        } = self;
        let names = texts([namespace.as_str(), link.as_str(), host.as_str()]);
        let source = source.as_ref().map_or(0, |source| source.as_str().len());
        let size = FIXED
            + names
            + source
            + texts([repository, full_name, rule])
            + actor.as_ref().map_or(0, person)
            + of_change(change)
            + build.as_ref().map_or(0, of_build);
        size as u64
    }
}

fn texts<const N: usize>(all: [&str; N]) -> usize {
    all.into_iter().map(str::len).sum()
}

fn person(actor: &Person) -> usize {
    texts([&actor.stable_id, &actor.login, &actor.display_name])
}

fn of_change(change: &EventChange) -> usize {
    match change {
        EventChange::Provider(happening) => of_happening(happening),
        EventChange::Access(AccessChange {
            organization,
            reason,
            message,
            action_uri,
            ..
        }) => texts([organization, reason, message, action_uri]),
        EventChange::Hook(HookChange {
            message,
            action_uri,
            ..
        }) => texts([message, action_uri]),
        EventChange::Trigger(Firing {
            trigger,
            reference,
            commit,
            principal,
        }) => texts([trigger.as_str(), reference, commit, principal]),
    }
}

fn of_happening(happening: &Happening) -> usize {
    match happening {
        Happening::Push(push) => of_push(push),
        Happening::TagCreated(TagCreated {
            reference,
            commit,
            tag_object,
            before,
            message,
            commit_message,
        }) => texts([
            reference,
            commit,
            tag_object,
            before,
            message,
            commit_message,
        ]),
        Happening::RefDeleted(RefDeleted { reference, before }) => texts([reference, before]),
        Happening::RepositoryChanged(RepositoryChanged { before, after, .. }) => {
            texts([before, after])
        }
    }
}

fn of_push(push: &Push) -> usize {
    let commits: usize = push.commits.iter().map(of_commit).sum();
    let paths: usize = push.changed_paths.iter().map(String::len).sum();
    texts([&push.reference, &push.before, &push.after]) + commits + paths
}

fn of_commit(commit: &Commit) -> usize {
    texts([
        &commit.id,
        &commit.message,
        &commit.author_name,
        &commit.author_email,
        &commit.web_uri,
    ])
}

fn of_build(build: &Build) -> usize {
    let arguments = build.arguments.iter();
    let arguments: usize = arguments.map(|(key, value)| key.len() + value.len()).sum();
    let Build {
        image_repository,
        tag_template,
        context_path,
        file_path,
        ..
    } = build;
    texts([image_repository, tag_template, context_path, file_path]) + arguments
}
