//! Events, their numbers, and who follows them.

use bindery_core::{
    event::{AccessChange, EventChange, EventOrigin, Firing, HookChange, Verdict},
    hook::HookState,
    name::ConsumerId,
    problem::Who,
    provider::{
        Commit, Happening, Person, Push, RefDeleted, RepositoryChange, RepositoryChanged,
        TagCreated,
    },
};

use super::{hooks::STATES, sources::full_build, *};

const REPOSITORY_CHANGES: [RepositoryChange; 6] = [
    RepositoryChange::Renamed,
    RepositoryChange::Transferred,
    RepositoryChange::Deleted,
    RepositoryChange::Archived,
    RepositoryChange::Unarchived,
    RepositoryChange::VisibilityChanged,
];

/// Events are written whole: each change is a field of its own, and no part of one is lost.
#[test]
fn events_are_written_whole() {
    // How many fields the message of each change has.
    let changes = [
        (push(), 13, 8),
        (tag(), 14, 6),
        (deleted(), 15, 2),
        (repository(RepositoryChange::Renamed), 16, 3),
        (access(), 17, 6),
        (hook_change(HookState::Silent), 18, 5),
        (firing(), 19, 4),
    ];
    for (change, number, count) in changes {
        let message = event(change).write();
        let expected: BTreeSet<u32> = (1..=12).chain([number]).chain(20..=22).collect();
        assert_eq!(fields(&message.encode_to_vec()), expected);
        let change = part(&message.change.unwrap());
        assert_eq!(fields(&change), (1..=count).collect(), "change {number}");
    }
    assert_full(&consumer(), 7);
    assert_full(&head(), 4);
    let message = event(push()).write();
    assert_eq!(
        fields(&message.actor.unwrap().encode_to_vec()),
        (1..=3).collect()
    );
    let Some(disk::event::Change::Push(push)) = message.change else {
        panic!("a push was written");
    };
    assert_eq!(fields(&push.commits[0].encode_to_vec()), (1..=6).collect());
}

/// A head from before it was noted whose sizes are counted has counted none.
#[test]
fn a_head_without_sizes_has_counted_none() {
    let old = disk::EventHead {
        first: 3,
        last: 9,
        bytes: 300,
        sized_from: 0,
    };
    let read = EventHead::read(old).unwrap();
    assert_eq!((read.bytes, read.sized_from), (0, 10));
    assert_eq!((read.first, read.last), (3, 9));
}

fn part(change: &disk::event::Change) -> Vec<u8> {
    use disk::event::Change;
    match change {
        Change::Push(one) => one.encode_to_vec(),
        Change::TagCreated(one) => one.encode_to_vec(),
        Change::RefDeleted(one) => one.encode_to_vec(),
        Change::RepositoryChanged(one) => one.encode_to_vec(),
        Change::Access(one) => one.encode_to_vec(),
        Change::Hook(one) => one.encode_to_vec(),
        Change::Firing(one) => one.encode_to_vec(),
    }
}

/// All values of the enums come back.
#[test]
fn all_values_come_back() {
    let origins = [
        EventOrigin::Delivery,
        EventOrigin::Redelivery,
        EventOrigin::Reconciliation,
        EventOrigin::Trigger,
        EventOrigin::Daemon,
    ];
    let verdicts = [
        None,
        Some(Verdict::Trigger),
        Some(Verdict::Excluded),
        Some(Verdict::Skipped),
        Some(Verdict::HeldBack),
        Some(Verdict::Paused),
    ];
    let changes = STATES
        .map(hook_change)
        .into_iter()
        .chain(REPOSITORY_CHANGES.map(repository));
    let values = changes
        .zip(origins.into_iter().cycle())
        .zip(verdicts.into_iter().cycle());
    for ((change, origin), verdict) in values {
        let event = Event {
            origin,
            verdict,
            ..event(change)
        };
        assert_eq!(record::<Event>(&bytes(&event)), Ok(event));
    }
}

/// Unknown and unset enum values are errors, also where unset has a meaning; so is a change of a later version.
#[test]
fn unknown_values_are_errors() {
    let broken: [fn(&mut disk::Event); 8] = [
        |event| event.origin = 0,
        |event| event.origin = 99,
        |event| event.verdict = 99,
        |event| event.change = None,
        |event| event.namespace.clear(),
        |event| event.link.clear(),
        |event| event.host.clear(),
        |event| event.source = Some(String::new()),
    ];
    for (at, spoil) in broken.into_iter().enumerate() {
        let mut message = event(push()).write();
        spoil(&mut message);
        assert!(Event::read(message).is_err(), "spoiled {at}");
    }
}

/// The same within a change.
#[test]
fn unknown_values_of_changes_are_errors() {
    use disk::event::Change;
    let hook = |before, after, who| {
        Change::Hook(disk::HookChange {
            before,
            after,
            who,
            ..Default::default()
        })
    };
    let repository = |kind| {
        Change::RepositoryChanged(disk::RepositoryChanged {
            kind,
            ..Default::default()
        })
    };
    let broken = [
        hook(0, 1, 0),
        hook(1, 99, 0),
        hook(1, 1, 99),
        repository(0),
        repository(99),
        Change::Access(disk::AccessChange {
            who: 99,
            ..Default::default()
        }),
        Change::Firing(disk::Firing::default()),
    ];
    for change in broken {
        let mut message = event(push()).write();
        message.change = Some(change.clone());
        assert!(Event::read(message).is_err(), "{change:?}");
    }
}

pub(super) fn samples() -> Vec<Record> {
    let changes = [
        push(),
        EventChange::Provider(Happening::Push(Push::default())),
        tag(),
        deleted(),
        repository(RepositoryChange::Deleted),
        access(),
        hook_change(HookState::Verified),
        firing(),
    ];
    let mut all: Vec<_> = changes.map(event).map(Record::Event).into();
    all.extend([
        Record::Event(least_event()),
        Record::EventHead(head()),
        Record::EventHead(EventHead::EMPTY),
        Record::Consumer(consumer()),
        Record::Consumer(Consumer {
            acknowledged: None,
            ..consumer()
        }),
    ]);
    all
}

fn event(change: EventChange) -> Event {
    Event {
        namespace: namespace_name(),
        sequence: 1,
        link: link_id(),
        source: Some(source_id()),
        host: host_name(),
        repository: text("7"),
        full_name: text("acme/api"),
        happened: Some(at(2)),
        received: at(3),
        origin: EventOrigin::Redelivery,
        delivery: Some(4),
        actor: Some(Person {
            stable_id: text("1"),
            login: text("octo"),
            display_name: text("Octo"),
        }),
        change,
        verdict: Some(Verdict::HeldBack),
        rule: text("main"),
        build: Some(full_build()),
    }
}

fn least_event() -> Event {
    Event {
        source: None,
        repository: String::new(),
        full_name: String::new(),
        happened: None,
        delivery: None,
        actor: None,
        verdict: None,
        rule: String::new(),
        build: None,
        ..event(access())
    }
}

fn push() -> EventChange {
    let commit = Commit {
        id: text("ab"),
        message: text("Fix it"),
        author_name: text("Octo"),
        author_email: text("octo@example.org"),
        time: Some(at(5)),
        web_uri: text("https://forge.example/c/ab"),
    };
    EventChange::Provider(Happening::Push(Push {
        reference: text("refs/heads/main"),
        before: text("cd"),
        after: text("ab"),
        forced: true,
        commits: vec![commit, Commit::default()],
        commit_count: 6,
        changed_paths: vec![text("src/main.rs")],
        changed_paths_complete: true,
    }))
}

fn tag() -> EventChange {
    EventChange::Provider(Happening::TagCreated(TagCreated {
        reference: text("refs/tags/v1"),
        commit: text("ab"),
        tag_object: text("ef"),
        before: text("cd"),
        message: text("Version 1"),
        commit_message: text("Fix it"),
    }))
}

fn deleted() -> EventChange {
    EventChange::Provider(Happening::RefDeleted(RefDeleted {
        reference: text("refs/heads/old"),
        before: text("ab"),
    }))
}

fn repository(kind: RepositoryChange) -> EventChange {
    EventChange::Provider(Happening::RepositoryChanged(RepositoryChanged {
        kind,
        before: text("acme/api"),
        after: text("acme/core"),
    }))
}

fn access() -> EventChange {
    EventChange::Access(AccessChange {
        lost: true,
        organization: text("acme"),
        reason: text("R"),
        message: text("text"),
        who: Some(Who::User),
        action_uri: text("https://forge.example"),
    })
}

fn hook_change(after: HookState) -> EventChange {
    EventChange::Hook(HookChange {
        before: HookState::Pending,
        after,
        message: text("text"),
        who: Some(Who::HostOperator),
        action_uri: text("https://forge.example"),
    })
}

fn firing() -> EventChange {
    EventChange::Trigger(Firing {
        trigger: trigger_id(),
        reference: text("refs/heads/main"),
        commit: text("ab"),
        principal: text("someone"),
    })
}

fn head() -> EventHead {
    EventHead {
        first: 1,
        last: 2,
        bytes: 300,
        sized_from: 1,
    }
}

fn consumer() -> Consumer {
    Consumer {
        namespace: namespace_name(),
        id: ConsumerId::parse("builder").unwrap(),
        acknowledged: Some(1),
        started: 7,
        sent: 2,
        principal: text("someone"),
        active: at(3),
    }
}
