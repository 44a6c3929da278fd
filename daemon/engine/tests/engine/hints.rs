//! What deliveries say about an authorization or a repository as a whole is looked at, and shows in the link and its sources.

use std::time::Duration;

use bindery_core::{
    event::{AccessChange, EventChange, EventOrigin},
    hook::HookState,
    link::{Cause, Stage},
    port::{Clock as _, Key, Record},
    problem::{Reason, Who},
    provider::{
        Failure, FailureCode, Happening, OperationKind, Organization, OrganizationAccess, Output,
        Repository, RepositoryChange, RepositoryChanged,
    },
};
use bindery_engine::links::LinkChange;

use crate::support::{Hooked, acme, failure};

/// Lets what was started come to its end: as many checks of links and hooks as are due.
async fn settle(hooked: &Hooked) {
    for _ in 0..4 {
        hooked.world.engine.check_due().await;
        hooked.world.engine.check_hooks_due().await;
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
    }
}

fn repository(name: &str) -> Output {
    Output::Repository(Repository {
        stable_id: "1".to_owned(),
        full_name: name.to_owned(),
        clone_uri: String::new(),
        web_uri: "https://forge.example/acme/api9".to_owned(),
        default_branch: "main".to_owned(),
        description: String::new(),
        private: true,
        archived: false,
        can_read: true,
        can_write: true,
        can_administer: true,
        ..Repository::default()
    })
}

async fn access_changes(hooked: &Hooked) -> Vec<AccessChange> {
    let events = hooked.events_of(&acme()).await.into_iter();
    let changes = events.filter_map(|event| match event.change {
        EventChange::Access(change) => Some(change),
        _ => None,
    });
    changes.collect()
}

async fn source_name(hooked: &Hooked) -> String {
    let name = &hooked.source;
    let key = Key::Source(
        name.namespace.clone(),
        name.link.clone(),
        name.source.clone(),
    );
    match hooked.record(key).await {
        Some(Record::Source(source)) => source.full_name,
        other => panic!("{other:?}"),
    }
}

fn reasons(link: &bindery_core::link::Link) -> Vec<&str> {
    let notes = link.seen.notes.iter();
    notes.map(|note| note.reason.as_str()).collect()
}

fn refused() -> Failure {
    Failure {
        action_uri: "https://forge.example/install".to_owned(),
        ..failure(FailureCode::Unauthenticated)
    }
}

/// A delivery that says that an authorization ended has the link looked at at once. What the provider says then shows in the
/// link, with who must act and where, and is an event, as is the return.
#[tokio::test]
async fn an_ended_authorization_shows_at_once() {
    let hooked = Hooked::new().await;
    let (world, id) = (&hooked.world, &hooked.link.id);
    hooked.happen("id0", "access").await;
    settle(&hooked).await;
    // It was a hint, and the provider says otherwise.
    assert_eq!(world.read(id).await.observed.stage, Stage::Bound);
    world.clock.advance(Duration::from_secs(60));
    world.plugin.on("Identify", |_| Err(refused()));
    hooked.happen("id1", "access\naccess").await;
    settle(&hooked).await;
    let observed = world.read(id).await.observed;
    assert_eq!(
        observed.stage,
        Stage::NeedsReauthorization(Cause::TokenRefused)
    );
    assert_eq!(observed.who, Some(Who::User));
    assert_eq!(observed.action_uri, "https://forge.example/install");
    world.plugin.forget("Identify");
    world.clock.advance(Duration::from_secs(60));
    hooked.happen("id2", "access\naccess\naccess").await;
    settle(&hooked).await;
    assert_eq!(world.read(id).await.observed.stage, Stage::Bound);
    let changes = access_changes(&hooked).await;
    let told: Vec<_> = changes
        .iter()
        .map(|change| {
            (
                change.lost,
                change.reason.as_str(),
                change.action_uri.as_str(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (true, "TOKEN_REFUSED", "https://forge.example/install"),
            (false, "TOKEN_REFUSED", "")
        ]
    );
}

/// A sign that comes right after a check, or while one is under way, is not lost: the link is looked at once more.
/// A write of the link in between does not put that off.
#[tokio::test]
async fn a_sign_is_kept_until_it_is_looked_at() {
    let hooked = Hooked::new().await;
    let (world, id) = (&hooked.world, &hooked.link.id);
    let checked = world.engine.check_link(&acme(), id, false).await;
    checked.expect("checked");
    world.plugin.on("Identify", |_| Err(refused()));
    hooked.happen("id1", "access").await;
    settle(&hooked).await;
    assert_eq!(world.read(id).await.observed.stage, Stage::Bound);
    let change = LinkChange {
        display_name: Some("Acme".to_owned()),
        ..LinkChange::default()
    };
    let written = world
        .engine
        .update_link(&acme(), id, &change, None, None)
        .await;
    written.expect("written");
    world.clock.advance(Duration::from_secs(60));
    settle(&hooked).await;
    assert_eq!(
        world.read(id).await.observed.stage,
        Stage::NeedsReauthorization(Cause::TokenRefused)
    );
}

/// A repository that was renamed keeps its id: its hook and its source have the new name at once, and the link says so.
#[tokio::test]
async fn a_rename_is_followed_at_once() {
    let hooked = Hooked::new().await;
    let world = &hooked.world;
    hooked
        .change_hook(1, |hook| hook.checked = Some(hook.created))
        .await;
    world
        .plugin
        .on("GetRepository", |_| Ok(repository("acme/api9")));
    hooked.happen("id1", "rename acme/api9").await;
    assert_eq!(source_name(&hooked).await, "acme/api9");
    settle(&hooked).await;
    assert_eq!(hooked.read_hook(1).await.full_name, "acme/api9");
    assert!(hooked.read_hook(1).await.checked.is_some());
    // By the look at the hook, and by that at the link.
    assert_eq!(world.plugin.count(OperationKind::GetRepository), 2);
    assert_eq!(hooked.told().await, ["rename acme/api9"]);
}

/// What changed about the repository as a whole, and how that became known.
async fn repository_changes(hooked: &Hooked) -> Vec<(EventOrigin, RepositoryChanged)> {
    let events = hooked.events_of(&acme()).await.into_iter();
    let changes = events.filter_map(|event| match event.change {
        EventChange::Provider(Happening::RepositoryChanged(change)) => Some((event.origin, change)),
        _ => None,
    });
    changes.collect()
}

fn changed(kind: RepositoryChange, before: &str, after: &str) -> RepositoryChanged {
    RepositoryChanged {
        kind,
        before: before.to_owned(),
        after: after.to_owned(),
    }
}

/// Most providers deliver nothing for a rename or a transfer: what a look at the provider finds is told, once, also when
/// a delivery tells it afterwards.
#[tokio::test]
async fn a_move_without_a_delivery_is_told_once() {
    let hooked = Hooked::new().await;
    let world = &hooked.world;
    for name in ["acme/api9", "other/api9"] {
        world
            .plugin
            .on("GetRepository", move |_| Ok(repository(name)));
        for _ in 0..2 {
            world.clock.advance(Duration::from_secs(60));
            hooked.change_hook(1, |hook| hook.checked = None).await;
            world.engine.schedule_hooks().await.expect("scheduled");
            settle(&hooked).await;
            assert_eq!(source_name(&hooked).await, name);
        }
        let id = format!("late-{name}");
        hooked.happen(&id, &format!("rename {name}")).await;
    }
    let told = repository_changes(&hooked).await;
    let expected = [
        changed(RepositoryChange::Renamed, "acme/api1", "acme/api9"),
        changed(RepositoryChange::Transferred, "acme/api9", "other/api9"),
    ];
    assert_eq!(told, expected.map(|one| (EventOrigin::Reconciliation, one)));
}

/// The new path of a repository stands in every delivery: the first one tells the move, where none is about it. One that is
/// sent again later does not take the name back.
#[tokio::test]
async fn a_move_shows_in_the_next_delivery() {
    let hooked = Hooked::new().await;
    hooked.happen("id1", "tag refs/tags/v1 a").await;
    for id in ["id2", "id3"] {
        let body = format!("named acme/api9\ntag refs/tags/{id} a");
        hooked.happen(id, &body).await;
    }
    let retried = hooked.world.engine.retry_delivery(&hooked.source, 1, None);
    retried.await.expect("retried");
    let moved = changed(RepositoryChange::Renamed, "acme/api1", "acme/api9");
    assert_eq!(
        repository_changes(&hooked).await,
        [(EventOrigin::Reconciliation, moved)]
    );
    let told = hooked.told().await;
    assert_eq!((told.len(), told[1].as_str()), (4, "rename acme/api9"));
    assert_eq!(hooked.read_hook(1).await.full_name, "acme/api9");
}

/// A delivery that does not tell the path before (Bitbucket Cloud's transfers) gets it from what is known.
#[tokio::test]
async fn trap_4_a_transfer_tells_the_path_before() {
    let hooked = Hooked::new().await;
    hooked.happen("id1", "transfer other/api1").await;
    let moved = changed(RepositoryChange::Transferred, "acme/api1", "other/api1");
    assert_eq!(
        repository_changes(&hooked).await,
        [(EventOrigin::Delivery, moved)]
    );
}

/// Many providers deliver nothing for a deletion: a repository that the provider does not know at two looks is told, once.
#[tokio::test]
async fn a_deletion_without_a_delivery_is_told_once() {
    let hooked = Hooked::new().await;
    let world = &hooked.world;
    let gone = |_: &_| Err(failure(FailureCode::NotFound));
    world.plugin.on("GetRepository", gone);
    hooked.change_hook(1, |hook| hook.checked = None).await;
    world.engine.schedule_hooks().await.expect("scheduled");
    settle(&hooked).await;
    assert!(repository_changes(&hooked).await.is_empty());
    assert_eq!(hooked.read_hook(1).await.state, HookState::Forbidden);
    for _ in 0..3 {
        world.clock.advance(Duration::from_secs(6 * 3600));
        settle(&hooked).await;
    }
    let hook = hooked.read_hook(1).await;
    assert_eq!(
        (hook.state, hook.who),
        (HookState::Missing, Some(Who::User))
    );
    hooked.happen("late", "deleted").await;
    let deleted = changed(RepositoryChange::Deleted, "acme/api1", "");
    assert_eq!(
        repository_changes(&hooked).await,
        [(EventOrigin::Reconciliation, deleted)]
    );
}

/// A restart between the two looks forgets nothing: the second one comes as soon as without it, and tells, once.
#[tokio::test]
async fn a_restart_between_two_looks_forgets_nothing() {
    let mut hooked = Hooked::new().await;
    let gone = |_: &_| Err(failure(FailureCode::NotFound));
    hooked.world.plugin.on("GetRepository", gone);
    hooked.change_hook(1, |hook| hook.checked = None).await;
    let engine = &hooked.world.engine;
    engine.schedule_hooks().await.expect("scheduled");
    settle(&hooked).await;
    hooked.world.clock.advance(Duration::from_secs(30));
    hooked.world.restart().await;
    let engine = &hooked.world.engine;
    engine.schedule_hooks().await.expect("scheduled");
    settle(&hooked).await;
    assert!(repository_changes(&hooked).await.is_empty(), "too soon");
    for _ in 0..2 {
        hooked.world.clock.advance(Duration::from_secs(30));
        settle(&hooked).await;
        let deleted = changed(RepositoryChange::Deleted, "acme/api1", "");
        assert_eq!(
            repository_changes(&hooked).await,
            [(EventOrigin::Reconciliation, deleted)]
        );
    }
    assert_eq!(hooked.read_hook(1).await.state, HookState::Missing);
}

/// One bad answer is no deletion, and neither is a deletion that a delivery told.
#[tokio::test]
async fn a_deletion_is_not_made_up() {
    let hooked = Hooked::new().await;
    let world = &hooked.world;
    let gone = |_: &_| Err(failure(FailureCode::NotFound));
    for _ in 0..2 {
        world.plugin.on("GetRepository", gone);
        hooked.change_hook(1, |hook| hook.checked = None).await;
        world.engine.schedule_hooks().await.expect("scheduled");
        settle(&hooked).await;
        world
            .plugin
            .on("GetRepository", |_| Ok(repository("acme/api1")));
        world.clock.advance(Duration::from_secs(3600));
        settle(&hooked).await;
    }
    assert!(repository_changes(&hooked).await.is_empty());
    hooked.happen("id1", "deleted").await;
    world.plugin.on("GetRepository", gone);
    for _ in 0..3 {
        world.clock.advance(Duration::from_secs(6 * 3600));
        settle(&hooked).await;
    }
    let deleted = changed(RepositoryChange::Deleted, "acme/api1", "");
    assert_eq!(
        repository_changes(&hooked).await,
        [(EventOrigin::Delivery, deleted)]
    );
}

/// A delivery whose signature does not cover its body renames nothing, but the provider is asked.
#[tokio::test]
async fn a_name_that_nobody_signed_is_looked_up() {
    let hooked = Hooked::new().await;
    let world = &hooked.world;
    hooked
        .change_hook(1, |hook| "time".clone_into(&mut hook.scheme))
        .await;
    for (name, told, expected, events) in [
        ("acme/api1", "acme/evil", "acme/api1", 0),
        ("acme/api9", "acme/api9", "acme/api9", 1),
    ] {
        world
            .plugin
            .on("GetRepository", move |_| Ok(repository(name)));
        world.clock.advance(Duration::from_secs(60));
        let ms = world.clock.now().unix_ms();
        let delivery = crate::support::weakly_signed(1, ms, &format!("rename {told}"));
        world.engine.take_delivery(delivery).await.expect("taken");
        world.engine.process_deliveries().await;
        settle(&hooked).await;
        assert_eq!(source_name(&hooked).await, expected);
        let looked_up = repository_changes(&hooked).await;
        assert_eq!(looked_up.len(), events);
        let by_look = |(origin, _): &(EventOrigin, _)| *origin == EventOrigin::Reconciliation;
        assert!(looked_up.iter().all(by_look));
    }
}

/// A repository that was deleted: its hook says so, and so does the link, with the event of its source.
#[tokio::test]
async fn a_deletion_shows_in_source_and_link() {
    let hooked = Hooked::new().await;
    let (world, id) = (&hooked.world, &hooked.link.id);
    let gone = |_: &_| Err(failure(FailureCode::NotFound));
    world.plugin.on("GetRepository", gone);
    hooked.happen("id1", "deleted").await;
    settle(&hooked).await;
    let hook = hooked.read_hook(1).await;
    assert_eq!(
        (hook.state, hook.who),
        (HookState::Missing, Some(Who::User))
    );
    assert!(hook.message.contains("deleted") && hook.checked.is_some());
    assert_eq!(world.read(id).await.observed.stage, Stage::Bound);
    assert!(reasons(&world.read(id).await).contains(&"REPOSITORY_LOST"));
    let events = hooked.events_of(&acme()).await.into_iter();
    let lost: Vec<_> = events
        .filter(|event| matches!(&event.change, EventChange::Access(change) if change.lost))
        .collect();
    assert_eq!(lost.len(), 1);
    assert_eq!(lost[0].source.as_ref(), Some(&hooked.source.source));
    assert_eq!(
        (lost[0].repository.as_str(), lost[0].full_name.as_str()),
        ("1", "acme/api1")
    );
}

/// A deletion that the provider does not confirm is none: the hook is looked after as before.
#[tokio::test]
async fn a_deletion_is_not_believed() {
    let hooked = Hooked::new().await;
    let world = &hooked.world;
    world
        .plugin
        .on("GetRepository", |_| Ok(repository("acme/api1")));
    hooked.happen("id1", "deleted").await;
    assert_eq!(hooked.read_hook(1).await.state, HookState::Missing);
    let listed = bindery_core::provider::HookFacts {
        hook_id: "7".to_owned(),
        url: "https://bindery.example/hooks/hook-1".to_owned(),
        active: true,
        ..bindery_core::provider::HookFacts::default()
    };
    let description = OperationKind::ListHooks;
    world
        .plugin
        .describe_as(|known| known.operations.push(description));
    world.plugin.on("ListHooks", move |_| {
        Ok(Output::Hooks(vec![listed.clone()]))
    });
    settle(&hooked).await;
    let hook = hooked.read_hook(1).await;
    assert_eq!(
        (hook.state, hook.message.as_str()),
        (HookState::Verified, "")
    );
    assert!(access_changes(&hooked).await.is_empty());
}

/// Disabled means that nothing is acted on: no call is made for what a delivery says.
#[tokio::test]
async fn nothing_is_looked_at_for_a_disabled_link() {
    let hooked = Hooked::new().await;
    let world = &hooked.world;
    let id = &hooked.link.id;
    let disabled = world
        .engine
        .disable_link(&acme(), id, "a break", "uid:1000", None, None)
        .await;
    disabled.expect("disabled");
    hooked
        .change_hook(1, |hook| hook.checked = Some(hook.created))
        .await;
    let before = world.plugin.count(OperationKind::Identify);
    hooked.happen("id1", "access\ndeleted").await;
    settle(&hooked).await;
    assert_eq!(world.plugin.count(OperationKind::Identify), before);
    assert_eq!(world.plugin.count(OperationKind::GetRepository), 0);
    assert_eq!(hooked.read_hook(1).await.state, HookState::Verified);
}

fn organizations(hooked: &Hooked, access: OrganizationAccess) {
    hooked.world.plugin.on("ListOrganizations", move |_| {
        Ok(Output::Organizations {
            items: vec![Organization {
                stable_id: "7".to_owned(),
                login: "tools".to_owned(),
                display_name: String::new(),
                access,
                reason: "a policy".to_owned(),
                who: Some(Who::OrganizationOwner),
                action_uri: "https://forge.example/policy".to_owned(),
                role: String::new(),
            }],
            partial: false,
            partial_reason: String::new(),
            partial_uri: String::new(),
        })
    });
}

/// A lost organization is one event, and its return another; a check that can't find out says neither, and keeps the loss.
#[tokio::test]
async fn a_lost_organization_is_told_once() {
    use OrganizationAccess::{Granted, RestrictedByPolicy};
    let hooked = Hooked::new().await;
    let (world, id) = (&hooked.world, &hooked.link.id);
    let check = async || {
        let checked = world.engine.check_link(&acme(), id, false).await;
        checked.expect("checked").link.record
    };
    organizations(&hooked, Granted);
    check().await;
    organizations(&hooked, RestrictedByPolicy);
    for _ in 0..2 {
        assert!(reasons(&check().await).contains(&"ORGANIZATION_LOST"));
    }
    let away = |_: &_| Err(failure(FailureCode::Upstream));
    for operation in ["ListOrganizations", "Identify"] {
        world.plugin.on(operation, away);
        assert!(
            reasons(&check().await).contains(&"ORGANIZATION_LOST"),
            "{operation}"
        );
        world.plugin.forget("Identify");
        organizations(&hooked, RestrictedByPolicy);
    }
    let changes = access_changes(&hooked).await;
    assert_eq!(changes.len(), 1);
    let lost = &changes[0];
    assert_eq!((lost.lost, lost.organization.as_str()), (true, "tools"));
    assert_eq!(lost.reason, Reason::OrganizationLost.as_str());
    assert_eq!(lost.action_uri, "https://forge.example/policy");
    organizations(&hooked, Granted);
    assert!(!reasons(&check().await).contains(&"ORGANIZATION_LOST"));
    let changes = access_changes(&hooked).await;
    assert_eq!(changes.len(), 2);
    assert_eq!(
        (changes[1].lost, changes[1].organization.as_str()),
        (false, "tools")
    );
}
