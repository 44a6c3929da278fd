//! What others did at the provider shows in the link: by a check, by itself within an interval, and by failures in use.

use std::time::Duration;

use bindery_core::{
    host::{Certificates, SecretFact},
    link::{Cause, Stage},
    name::LinkId,
    port::{Clock as _, Key, Record},
    problem::Reason,
    provider::{
        FailureCode, OperationKind, Organization, OrganizationAccess, Output, Repository,
        TokenFacts,
    },
};
use bindery_engine::{
    credentials::Asked,
    expiring::{ExpiringKind, Horizon},
    links::{CHECK_INTERVAL, Finding, LinkChange, NewLink, Severity},
};

use crate::support::{World, acme, failure, host_name, token_link, umbrella, wanted};

async fn findings(world: &World, link: &LinkId) -> Vec<Finding> {
    let checked = world.engine.check_link(&acme(), link, false).await;
    checked.expect("checked").findings
}

fn reasons(findings: &[Finding]) -> Vec<Reason> {
    findings.iter().map(|found| found.problem.reason).collect()
}

async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

fn organization(id: &str, access: OrganizationAccess) -> Organization {
    Organization {
        stable_id: id.to_owned(),
        login: format!("org-{id}"),
        display_name: String::new(),
        access,
        reason: String::new(),
        who: None,
        action_uri: String::new(),
        role: String::new(),
    }
}

fn list(world: &World, items: &[(&'static str, OrganizationAccess)], partial: bool) {
    let items = items.to_vec();
    world.plugin.on("ListOrganizations", move |_| {
        let items = items.iter().map(|(id, access)| organization(id, *access));
        Ok(Output::Organizations {
            items: items.collect(),
            partial,
            partial_reason: String::new(),
            partial_uri: String::new(),
        })
    });
}

/// An organization that the link could act in and can't any more is found, again and again until it is mended; one that a
/// partial list leaves out is not.
#[tokio::test]
async fn a_lost_organization_is_found() {
    use OrganizationAccess::{Granted, RestrictedByPolicy};
    let world = World::new().await;
    let link = world.bound(Some(3600)).await.id;
    list(
        &world,
        &[("1", Granted), ("2", Granted), ("3", RestrictedByPolicy)],
        false,
    );
    assert!(!reasons(&findings(&world, &link).await).contains(&Reason::OrganizationLost));
    list(&world, &[("1", Granted)], true);
    assert!(!reasons(&findings(&world, &link).await).contains(&Reason::OrganizationLost));
    list(&world, &[("1", RestrictedByPolicy)], false);
    for _ in 0..2 {
        let found = reasons(&findings(&world, &link).await);
        let lost = found.iter().filter(|one| **one == Reason::OrganizationLost);
        assert_eq!(lost.count(), 2);
    }
    assert_eq!(
        world.read(&link).await.seen.notes[0].reason,
        "ORGANIZATION_LOST"
    );
    list(&world, &[("1", Granted), ("2", Granted)], false);
    assert!(!reasons(&findings(&world, &link).await).contains(&Reason::OrganizationLost));
}

fn repository(name: &str) -> Repository {
    Repository {
        stable_id: "77".to_owned(),
        full_name: name.to_owned(),
        clone_uri: String::new(),
        web_uri: String::new(),
        default_branch: "main".to_owned(),
        description: String::new(),
        private: true,
        archived: false,
        can_read: true,
        can_write: true,
        can_administer: false,
        ..Repository::default()
    }
}

/// A repository that credentials were asked for is known by its stable id from the first check on: its new name is found
/// once, and its loss every time.
#[tokio::test]
async fn a_renamed_and_a_lost_repository_are_found() {
    let world = World::new().await;
    let link = world.bound(Some(36_000)).await.id;
    let mut wish = wanted(&link);
    wish.repository = Some(Asked::new("acme/api").expect("name"));
    world.engine.fetch_credential(&wish).await.expect("token");
    world.engine.sweep().await.expect("sweep");
    for (name, renamed) in [
        ("acme/api", false),
        ("acme/core", true),
        ("acme/core", false),
    ] {
        world.plugin.on("GetRepository", move |_| {
            Ok(Output::Repository(repository(name)))
        });
        let found = reasons(&findings(&world, &link).await);
        assert_eq!(
            found.contains(&Reason::RepositoryRenamed),
            renamed,
            "{name}"
        );
    }
    let (asked, seen) = std::sync::mpsc::channel();
    world.plugin.watch("GetRepository", move |call| {
        asked.send(format!("{:?}", call.input)).expect("test");
    });
    world
        .plugin
        .on("GetRepository", |_| Err(failure(FailureCode::NotFound)));
    for _ in 0..2 {
        let found = findings(&world, &link).await;
        assert_eq!(found[0].problem.reason, Reason::RepositoryLost);
        assert!(found[0].problem.message.contains("acme/core"));
    }
    assert!(seen.try_iter().all(|input| input.contains("id:77")));
}

/// What was done at the provider shows within one interval without anybody asking: an account that was suspended, a token
/// that was revoked, an identity that changed.
#[tokio::test]
async fn what_others_did_shows_within_an_interval() {
    let suspended = || Err(failure(FailureCode::Suspended));
    let refused = || Err(failure(FailureCode::Unauthenticated));
    let other = || {
        Ok(Output::Identity(bindery_core::provider::Identity {
            stable_id: "1".to_owned(),
            ..crate::support::octo()
        }))
    };
    type Answer = fn() -> Result<Output, bindery_core::provider::Failure>;
    let cases: [(Answer, Stage, Option<Cause>); 3] = [
        (suspended, Stage::Bound, Some(Cause::IdentitySuspended)),
        (
            refused,
            Stage::NeedsReauthorization(Cause::TokenRefused),
            None,
        ),
        (
            other,
            Stage::NeedsReauthorization(Cause::IdentityChanged),
            None,
        ),
    ];
    for (answer, stage, trouble) in cases {
        let world = World::new().await;
        let created = world.engine.create_link(token_link("ghp_1"), None).await;
        let link = created.expect("link").link.record.id;
        world.plugin.on("Identify", move |_| answer());
        world.clock.advance(CHECK_INTERVAL);
        world.engine.check_due().await;
        settle().await;
        let shown = world.read(&link).await;
        assert_eq!(
            (shown.observed.stage, shown.observed.trouble),
            (stage, trouble)
        );
        assert!(shown.seen.at.is_some());
        assert!(!shown.seen.notes.is_empty());
    }
    let (world, link) = surrounded().await;
    world.clock.advance(CHECK_INTERVAL);
    world.engine.check_due().await;
    settle().await;
    assert_eq!(noted(&world, &link).await, []);
    list(
        &world,
        &[("1", OrganizationAccess::RestrictedByPolicy)],
        false,
    );
    world.plugin.on("GetRepository", |_| {
        Ok(Output::Repository(repository("acme/core")))
    });
    world.clock.advance(CHECK_INTERVAL);
    world.engine.check_due().await;
    settle().await;
    let told = [
        (Severity::Error, Reason::OrganizationLost.as_str()),
        (Severity::Warning, Reason::RepositoryRenamed.as_str()),
    ];
    assert_eq!(
        noted(&world, &link).await,
        told.map(|(severity, reason)| (severity, reason.to_owned()))
    );
    assert_eq!(world.read(&link).await.observed.stage, Stage::Bound);
}

/// A link that reaches the organization `1`, and that a credential for `acme/api` was fetched from.
async fn surrounded() -> (World, LinkId) {
    let world = World::new().await;
    let link = world.bound(Some(1_000_000)).await.id;
    list(&world, &[("1", OrganizationAccess::Granted)], false);
    world.plugin.on("GetRepository", |_| {
        Ok(Output::Repository(repository("acme/api")))
    });
    let mut wish = wanted(&link);
    wish.repository = Some(Asked::new("acme/api").expect("name"));
    world.engine.fetch_credential(&wish).await.expect("token");
    world.engine.sweep().await.expect("sweep");
    (world, link)
}

/// What the last check left in the link, but for whose account it is.
async fn noted(world: &World, link: &LinkId) -> Vec<(Severity, String)> {
    let notes = world.read(link).await.seen.notes.into_iter();
    let told = notes.filter(|note| note.reason != Reason::PersonalAccount.as_str());
    told.map(|note| (note.severity, note.reason)).collect()
}

/// What was in the way is no longer said once the link works, whoever found that out; what is lost stays said.
#[tokio::test]
async fn a_trouble_that_passed_is_not_said() {
    let (world, link) = surrounded().await;
    findings(&world, &link).await;
    list(&world, &[("1", OrganizationAccess::NoMembership)], false);
    findings(&world, &link).await;
    world
        .plugin
        .on("Identify", |_| Err(failure(FailureCode::Upstream)));
    findings(&world, &link).await;
    let reasons = |noted: Vec<(Severity, String)>| noted.into_iter().map(|(_, reason)| reason);
    let before: Vec<_> = reasons(noted(&world, &link).await).collect();
    assert_eq!(before, ["PROVIDER_UNAVAILABLE", "ORGANIZATION_LOST"]);
    world.clock.advance(Duration::from_secs(1_000_000));
    world.fetch(&link).await.expect("refreshed");
    let after: Vec<_> = reasons(noted(&world, &link).await).collect();
    assert_eq!(after, ["ORGANIZATION_LOST"]);
}

/// A link that fails for reasons outside is not disabled: it says what is wrong and who must act, is looked at sooner, and
/// recovers by itself.
#[tokio::test]
async fn a_trouble_is_shown_and_passes() {
    let world = World::new().await;
    let link = world.bound(Some(36_000)).await.id;
    world
        .plugin
        .on("Identify", |_| Err(failure(FailureCode::ClientRefused)));
    let found = findings(&world, &link).await;
    assert_eq!(found[0].severity, Severity::Error);
    let observed = world.read(&link).await.observed;
    assert_eq!(observed.stage, Stage::Bound);
    assert_eq!(observed.trouble, Some(Cause::ClientRefused));
    assert_eq!(observed.who, Some(bindery_core::problem::Who::HostOperator));
    assert!(!observed.message.is_empty());
    assert!(world.fetch(&link).await.is_ok());
    world.plugin.forget("Identify");
    world.clock.advance(Duration::from_secs(900));
    world.engine.check_due().await;
    settle().await;
    let observed = world.read(&link).await.observed;
    assert_eq!((observed.trouble, observed.message.as_str()), (None, ""));
}

/// A rate limit says until when it lasts, a longer one says so, and what has passed says nothing.
#[tokio::test]
async fn a_rate_limit_says_until_when() {
    let world = World::new().await;
    let link = world.bound(Some(1_000_000)).await.id;
    for seconds in [600, 900] {
        world.plugin.on("Identify", move |_| {
            Err(bindery_core::provider::Failure {
                retry_after: Some(Duration::from_secs(seconds)),
                ..failure(FailureCode::RateLimited)
            })
        });
        let told = findings(&world, &link).await;
        assert_eq!(told[0].problem.reason, Reason::ProviderRateLimited);
        let observed = world.read(&link).await.observed;
        assert_eq!(observed.trouble, Some(Cause::RateLimited));
        let passes = observed.until.expect("known");
        let left = passes.since(world.clock.now()).as_secs();
        assert!(left <= seconds && left + 10 >= seconds, "{left}");
        world.clock.advance(Duration::from_secs(seconds + 1));
    }
    world.plugin.forget("Identify");
    findings(&world, &link).await;
    let observed = world.read(&link).await.observed;
    assert_eq!((observed.trouble, observed.until), (None, None));
}

/// R5: a provider that gives tokens and refuses them, however often, has not ended the grant: its replicas may know none of
/// them yet. The link stays bound, says what is in its way, and recovers.
#[tokio::test]
async fn r5_a_grant_that_is_renewed_is_not_dead() {
    let world = World::new().await;
    let link = world.bound(Some(36_000)).await.id;
    let no = |_: &_| Err(failure(FailureCode::Unauthenticated));
    world.plugin.on("Identify", no);
    let before = world.token_calls();
    for _ in 0..3 {
        world.clock.advance(Duration::from_secs(900));
        let found = findings(&world, &link).await;
        assert_eq!(reasons(&found)[0], Reason::TokenRefused);
        let observed = world.read(&link).await.observed;
        assert_eq!(
            (observed.stage, observed.trouble),
            (Stage::Bound, Some(Cause::TokenRefused))
        );
    }
    assert!(world.token_calls() > before, "no newer token was asked for");
    world.plugin.forget("Identify");
    world.clock.advance(Duration::from_secs(900));
    assert!(!reasons(&findings(&world, &link).await).contains(&Reason::TokenRefused));
    assert_eq!(world.read(&link).await.observed.trouble, None);
}

/// A call that the provider refuses makes the check come at once.
#[tokio::test]
async fn a_refusal_in_use_is_looked_into_at_once() {
    let world = World::new().await;
    let created = world.engine.create_link(token_link("ghp_1"), None).await;
    let link = created.expect("link").link.record.id;
    let no = |_: &_| Err(failure(FailureCode::Unauthenticated));
    world.plugin.on("ListRepositories", no);
    world.plugin.on("Identify", no);
    let paging = bindery_engine::repositories::Paging::default();
    let listed = world
        .engine
        .list_repositories(&acme(), &link, "", "", paging)
        .await;
    assert_eq!(listed.expect_err("refused").reason, Reason::TokenRefused);
    world.engine.check_due().await;
    settle().await;
    assert_eq!(
        world.read(&link).await.observed.stage,
        Stage::NeedsReauthorization(Cause::TokenRefused)
    );
}

/// A link of a token that ends in `hours`.
async fn ending(world: &World, hours: u64) -> LinkId {
    world.plugin.on("InspectToken", move |call| {
        Ok(Output::TokenFacts(TokenFacts {
            scopes: None,
            expires: Some(call.now.after(Duration::from_secs(hours * 3600))),
            active: true,
        }))
    });
    let created = world.engine.create_link(token_link("ghp_1"), None).await;
    created.expect("link").link.record.id
}

/// A token that nobody renews and that ends soon is found, with its deadline, and is listed; one of a person in a team is
/// said to hang on that person.
#[tokio::test]
async fn what_ends_soon_is_said() {
    let world = World::new().await;
    let link = ending(&world, 24).await;
    let found = findings(&world, &link).await;
    let soon = found
        .iter()
        .find(|one| one.problem.reason == Reason::ExpiresSoon);
    assert!(soon.expect("found").until.is_some());
    assert!(reasons(&found).contains(&Reason::PersonalAccount));
    let horizon = |days: u64, include_refreshable| Horizon {
        within: Duration::from_secs(days * 86_400),
        include_refreshable,
    };
    let mut host = world.engine.host(&host_name()).await.expect("host").record;
    host.secret_facts.push(SecretFact {
        kind: bindery_core::host::SecretKind::AppKey,
        fingerprint: String::new(),
        created: bindery_core::time::Timestamp::default(),
        expires: Some(bindery_core::time::Timestamp::default()),
        taken: None,
        refused: None,
    });
    world.put(Key::Host(host_name()), Record::Host(host)).await;
    world.bound_as("2", Some(3600)).await;
    let list = |horizon| {
        let world = &world;
        async move {
            let all = world.engine.expiring_links(&[acme()], horizon).await;
            all.expect("list").len()
        }
    };
    assert_eq!(list(horizon(0, false)).await, 0);
    assert_eq!(list(horizon(1, false)).await, 1);
    assert_eq!(list(horizon(1, true)).await, 2);
    *world.forge.certificates.lock().expect("lock") = Certificates {
        bundle_expires: Some(world.clock.now()),
        client_expires: Some(world.clock.now().after(Duration::from_secs(1))),
        client_sha256: String::new(),
    };
    let kinds = |days| {
        let world = &world;
        async move {
            let hosts = world.engine.expiring_hosts(horizon(days, false)).await;
            let hosts = hosts.expect("list").into_iter();
            hosts.map(|one| one.kind).collect::<Vec<_>>()
        }
    };
    let ended = [ExpiringKind::AppKey, ExpiringKind::CaBundle];
    assert_eq!(kinds(0).await, ended);
    assert_eq!(
        kinds(1).await,
        [&ended[..], &[ExpiringKind::ClientCertificate]].concat()
    );
}

/// Lets the schedule work for `days`.
async fn days(world: &World, days: u64) {
    for _ in 0..days * 4 {
        world.clock.advance(Duration::from_secs(6 * 3600));
        world.engine.keep_up().await;
        settle().await;
    }
}

async fn set_rotation(world: &World, link: &LinkId) -> Result<(), bindery_core::problem::Problem> {
    let change = LinkChange {
        rotate_token: Some(true),
        ..LinkChange::default()
    };
    let engine = &world.engine;
    let set = engine.update_link(&acme(), link, &change, None, None).await;
    set.map(drop)
}

async fn rotating(world: &World) -> LinkId {
    world
        .plugin
        .describe_as(|known| known.operations.push(OperationKind::RotateToken));
    let link = ending(world, 60 * 24).await;
    world.plugin.forget("InspectToken");
    let set = set_rotation(world, &link).await;
    set.expect("set");
    link
}

/// A person's token is replaced before it ends where the link asks for it, and the new one is durable before it is used.
#[tokio::test]
async fn a_token_is_rotated_before_it_ends() {
    let mut world = World::new().await;
    let link = rotating(&world).await;
    days(&world, 40).await;
    assert_eq!(world.plugin.count(OperationKind::RotateToken), 0);
    days(&world, 13).await;
    assert_eq!(world.plugin.count(OperationKind::RotateToken), 1);
    assert_eq!(
        world.fetch(&link).await.expect("token").token.expose(),
        "m1"
    );
    world.restart().await;
    assert_eq!(
        world.fetch(&link).await.expect("token").token.expose(),
        "m1"
    );
    assert_eq!(world.read(&link).await.generation, 2);
}

/// GitLab kills the whole family when a dead token rotates: after a lost answer the token is looked at first, and one that is
/// dead never rotates again.
#[tokio::test]
async fn a_dead_token_never_rotates() {
    let world = World::new().await;
    let link = rotating(&world).await;
    world
        .plugin
        .on("RotateToken", |_| Err(failure(FailureCode::Transport)));
    while world.plugin.count(OperationKind::RotateToken) == 0 {
        days(&world, 1).await;
    }
    world.plugin.on("InspectToken", |_| {
        Err(failure(FailureCode::Unauthenticated))
    });
    let tried = world.plugin.count(OperationKind::RotateToken);
    days(&world, 2).await;
    assert_eq!(world.plugin.count(OperationKind::RotateToken), tried);
    assert_eq!(
        world.read(&link).await.observed.stage,
        Stage::NeedsReauthorization(Cause::RotationLost)
    );
}

/// A lost answer of a rotation that was not carried out costs nothing: the token is still taken, and rotates later.
#[tokio::test]
async fn a_lost_rotation_is_found_out() {
    let world = World::new().await;
    let link = rotating(&world).await;
    world
        .plugin
        .on("RotateToken", |_| Err(failure(FailureCode::Transport)));
    while world.plugin.count(OperationKind::RotateToken) == 0 {
        days(&world, 1).await;
    }
    world.plugin.forget("RotateToken");
    days(&world, 1).await;
    assert_eq!(world.read(&link).await.observed.stage, Stage::Bound);
    assert_eq!(world.read(&link).await.generation, 2);
}

/// A token that another link holds as well is not replaced: the provider would end it for both. The link says why, and by when
/// a person must see to it.
#[tokio::test]
async fn a_token_of_two_links_never_rotates() {
    let world = World::new().await;
    let link = rotating(&world).await;
    let elsewhere = NewLink {
        namespace: umbrella(),
        ..token_link("ghp_1")
    };
    world
        .engine
        .create_link(elsewhere, None)
        .await
        .expect("link");
    days(&world, 56).await;
    assert_eq!(world.plugin.count(OperationKind::RotateToken), 0);
    let shown = world.read(&link).await;
    assert_eq!(shown.upkeep.failure_reason, "GRANT_SHARED");
    assert_eq!(shown.ends(), shown.token_expires);
    assert!(shown.ends().is_some());
    let refused = set_rotation(&world, &link).await;
    let refused = refused.expect_err("shared");
    assert_eq!(refused.reason, Reason::GrantShared);
    assert_eq!(refused.metadata, [("hidden_links", "1".to_owned())]);
    assert!(!format!("{refused:?}").contains("umbrella"));
}

/// Rotation is refused where it can't be had.
#[tokio::test]
async fn rotation_is_refused_where_it_is_not_offered() {
    let world = World::new().await;
    let link = ending(&world, 60 * 24).await;
    let refused = set_rotation(&world, &link).await;
    assert_eq!(
        refused.expect_err("not offered").reason,
        Reason::MethodNotSupported
    );
}
