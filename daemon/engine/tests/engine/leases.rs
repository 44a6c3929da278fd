//! Credentials for one repository, their leases, and how they are taken back.

use std::time::Duration;

use bindery_core::{
    host::Host,
    lease::RETENTION,
    link::{Desired, Wish},
    name::LeaseId,
    port::{Key, Record, Vault as _},
    problem::{Reason, Who},
    provider::{
        FailureCode, Input, OperationKind, Output, Permission, PermissionScopes, Revocation,
        RevocationOutcome,
    },
    receipt::{Outcome, StepKind},
};
use bindery_engine::{
    RequestKey,
    credentials::{Access, Asked, Wanted},
    unlink::UnlinkOptions,
};
use bindery_store::{Call, Fault};

use crate::support::{World, acme, failure, host_name, wanted};

fn narrow(link: &bindery_core::name::LinkId) -> Wanted {
    Wanted {
        repository: Some(Asked::new("acme/api").expect("name")),
        require_narrowed: true,
        ..wanted(link)
    }
}

async fn installed() -> (World, bindery_core::name::LinkId) {
    let world = World::new().await;
    world.give_app().await;
    let link = world.installed("l1", "42").await;
    (world, link)
}

fn id(text: &str) -> LeaseId {
    LeaseId::parse(text).expect("lease")
}

/// A credential of an installation is limited to its repository and to what the call is for.
#[tokio::test]
async fn an_installation_hands_out_narrowed_tokens() {
    let (world, link) = installed().await;
    for (access, permissions) in [
        (Access::Read, vec![Permission::ReadCode]),
        (
            Access::ReadWrite,
            vec![Permission::ReadCode, Permission::WriteCode],
        ),
    ] {
        let (seen, asked) = std::sync::mpsc::channel();
        world.plugin.watch("MintToken", move |call| {
            seen.send(call.input.clone()).expect("test");
        });
        let wish = Wanted {
            access,
            ..narrow(&link)
        };
        let credential = world.engine.fetch_credential(&wish).await.expect("token");
        assert!(credential.narrowed);
        let repositories = vec!["acme/api".to_owned()];
        assert_eq!(
            asked.try_recv().expect("minted"),
            Input::MintToken {
                repositories,
                permissions
            }
        );
    }
}

/// What an installation hands out for all that it reaches is minted for the call as well: who asks to read gets a token that
/// can't write. It is not called narrowed, and refused to who insists on that before one is minted.
#[tokio::test]
async fn an_installation_never_hands_out_its_broad_token() {
    let (world, link) = installed().await;
    let insists = Wanted {
        repository: None,
        ..narrow(&link)
    };
    let refused = world.engine.fetch_credential(&insists).await;
    assert_eq!(
        refused.expect_err("not narrowed").reason,
        Reason::ProviderUnsupported
    );
    assert_eq!(world.plugin.count(OperationKind::MintToken), 0);
    let (seen, asked) = std::sync::mpsc::channel();
    world.plugin.watch("MintToken", move |call| {
        seen.send(call.input.clone()).expect("test");
    });
    let credential = world.fetch(&link).await.expect("token");
    assert_eq!(
        asked.try_recv().expect("minted"),
        Input::MintToken {
            repositories: Vec::new(),
            permissions: vec![Permission::ReadCode],
        }
    );
    assert_eq!(credential.token.expose(), "m1");
    assert!(!credential.narrowed);
    let lease = world.engine.lease(&acme(), &id(&credential.lease_id)).await;
    let lease = lease.expect("lease");
    assert!(lease.minted && !lease.narrowed && lease.repository.is_empty());
}

/// An installation that may only read says so before a token to write is asked for, in its own words and to whom can grant it.
#[tokio::test]
async fn an_installation_that_only_reads_does_not_write() {
    let (world, link) = installed().await;
    world.plugin.describe_as(|known| {
        known.permissions.push(PermissionScopes {
            permission: Permission::WriteCode,
            scopes: vec!["repo".to_owned()],
            covered_by: vec!["contents:write".to_owned()],
        });
    });
    for (granted, fits) in [("contents:read", false), ("contents:write", true)] {
        let mut record = world.read(&link).await;
        record.granted_scopes = Some(vec![granted.to_owned()]);
        let key = Key::Link(acme(), link.clone());
        world.put(key, Record::Link(record)).await;
        let writes = Wanted {
            access: Access::ReadWrite,
            ..narrow(&link)
        };
        let written = world.engine.fetch_credential(&writes).await;
        assert_eq!(written.is_ok(), fits);
        if let Err(problem) = written {
            assert_eq!(problem.reason, Reason::ScopeMissing);
            assert_eq!(problem.who, Some(Who::OrganizationOwner));
            assert!(problem.message.contains("contents:write"), "{problem}");
        }
        assert!(world.engine.fetch_credential(&narrow(&link)).await.is_ok());
    }
}

/// A minted token that ends sooner than the caller insists on is ended, and leaves no lease: nobody got it.
#[tokio::test]
async fn a_minted_token_that_is_too_short_is_ended() {
    let (world, link) = installed().await;
    let insists = Wanted {
        min_remaining: Duration::from_secs(7200),
        insist: true,
        ..narrow(&link)
    };
    let refused = world.engine.fetch_credential(&insists).await;
    assert_eq!(
        refused.expect_err("too short").reason,
        Reason::TokenTooShort
    );
    assert_eq!(world.plugin.count(OperationKind::Revoke), 1);
    let leases = world.engine.list_leases(&acme(), true).await;
    assert_eq!(leases.expect("leases"), []);
}

/// A token that can't be limited is never called limited, and is refused to who insists.
#[tokio::test]
async fn what_is_not_narrowed_is_not_called_so() {
    let world = World::new().await;
    let link = world.bound(Some(3600)).await.id;
    let wish = Wanted {
        require_narrowed: false,
        ..narrow(&link)
    };
    let credential = world.engine.fetch_credential(&wish).await.expect("token");
    assert!(!credential.narrowed);
    let refused = world.engine.fetch_credential(&narrow(&link)).await;
    assert_eq!(
        refused.expect_err("not narrowed").reason,
        Reason::ProviderUnsupported
    );
}

/// A minted token is durable before it is handed out: where the store does not take it, nobody gets it and it is ended.
#[tokio::test]
async fn a_minted_token_is_durable_before_it_is_used() {
    let (world, link) = installed().await;
    world.store.inject(Call::Commit, 1, Fault::Fail);
    assert!(world.engine.fetch_credential(&narrow(&link)).await.is_err());
    assert_eq!(world.plugin.count(OperationKind::Revoke), 1);
    let handed = world.engine.fetch_credential(&narrow(&link)).await;
    let lease = handed.expect("token").lease_id;
    let mut world = world;
    world.restart().await;
    let lease = world.engine.lease(&acme(), &id(&lease)).await;
    assert!(lease.expect("lease").minted);
}

/// A minted token is revoked by itself when it is given back, once.
#[tokio::test]
async fn giving_back_revokes_once() {
    let (world, link) = installed().await;
    let handed = world.engine.fetch_credential(&narrow(&link)).await;
    let lease = id(&handed.expect("token").lease_id);
    world.forge.named.lock().expect("lock").clear();
    for _ in 0..2 {
        let given = world.engine.revoke_lease(&acme(), &lease, None).await;
        let given = given.expect("given back");
        assert_eq!(given.outcome, Outcome::Done);
        assert!(given.lease.revoked.is_some());
    }
    let acme = acme();
    let key = |body: &[u8]| RequestKey::new("uid:1", "RevokeLease", "6c5f", body);
    let other = world.engine.fetch_credential(&narrow(&link)).await;
    let other = id(&other.expect("token").lease_id);
    let first = key(b"one");
    let given = world.engine.revoke_lease(&acme, &other, first.as_ref());
    given.await.expect("given back");
    let second = key(b"two");
    let reused = world.engine.revoke_lease(&acme, &lease, second.as_ref());
    assert_eq!(
        reused.await.expect_err("reused").reason,
        Reason::RequestIdReused
    );
    assert_eq!(world.plugin.count(OperationKind::Revoke), 2);
    let person = world.bound_as("person", Some(3600)).await.id;
    let shared = world.fetch(&person).await.expect("token").lease_id;
    let given = world.engine.revoke_lease(&acme, &id(&shared), None).await;
    assert!(matches!(
        given.expect("answer").outcome,
        Outcome::Impossible { .. }
    ));
    assert_eq!(world.plugin.count(OperationKind::Revoke), 2);
}

/// O10: an unlink revokes every token that was minted and still lives, before the grant, and goes on after a failure.
#[tokio::test]
async fn o10_an_unlink_revokes_all_leases() {
    let (world, link) = installed().await;
    for _ in 0..2 {
        let handed = world.engine.fetch_credential(&narrow(&link)).await;
        handed.expect("token");
    }
    world
        .plugin
        .on("Revoke", |_| Err(failure(FailureCode::Transport)));
    let unlink = || async {
        let options = UnlinkOptions::default();
        world.engine.unlink(&acme(), &link, options).await
    };
    assert!(unlink().await.is_err());
    world.plugin.forget("Revoke");
    let receipt = unlink().await.expect("receipt").record;
    let leases = receipt
        .steps
        .iter()
        .find(|step| step.kind == StepKind::RevokeLeases);
    assert_eq!(leases.expect("step").outcome, Some(Outcome::Done));
    // One failed, then two leases and the token of the installation.
    assert_eq!(world.plugin.count(OperationKind::Revoke), 4);
    let left = world.engine.list_leases(&acme(), false).await;
    assert!(left.expect("leases").is_empty());
}

/// A forced unlink that could not revoke leaves no token behind in the store.
#[tokio::test]
async fn o10_a_forced_unlink_erases_minted_tokens() {
    let (world, link) = installed().await;
    let handed = world.engine.fetch_credential(&narrow(&link)).await;
    let lease = id(&handed.expect("token").lease_id);
    let host = world.engine.host(&host_name()).await.expect("host").record;
    let key = Key::LeaseToken(
        acme(),
        lease,
        host_name(),
        host.allowed_origins().expect("origins"),
    );
    assert!(world.vault.get(&key).await.expect("vault").is_some());
    world
        .plugin
        .on("Revoke", |_| Err(failure(FailureCode::Transport)));
    let options = UnlinkOptions {
        force: true,
        ..UnlinkOptions::default()
    };
    let receipt = world.engine.unlink(&acme(), &link, options).await;
    assert!(receipt.expect("receipt").record.finished.is_some());
    assert!(world.vault.get(&key).await.expect("vault").is_none());
}

/// A lease can't be made behind the back of an unlink: the token that was minted meanwhile is ended.
#[tokio::test]
async fn no_lease_is_made_behind_an_unlink() {
    let (world, link) = installed().await;
    let world = std::sync::Arc::new(world);
    world.plugin.hold();
    let (own, target) = (std::sync::Arc::clone(&world), link.clone());
    let fetch = tokio::spawn(async move {
        own.engine
            .fetch_credential(&narrow(&target))
            .await
            .map(drop)
    });
    while world.plugin.count(OperationKind::MintToken) == 0 {
        tokio::task::yield_now().await;
    }
    let (own, target) = (std::sync::Arc::clone(&world), link.clone());
    let unlink = tokio::spawn(async move {
        let options = UnlinkOptions::default();
        own.engine.unlink(&acme(), &target, options).await.map(drop)
    });
    while world.plugin.count(OperationKind::Revoke) == 0 {
        tokio::task::yield_now().await;
    }
    world.plugin.release();
    assert_eq!(
        fetch.await.expect("task").expect_err("unlinked").reason,
        Reason::LinkUnlinked
    );
    unlink.await.expect("task").expect("unlinked");
    assert_eq!(world.plugin.count(OperationKind::Revoke), 2);
}

/// A fetch of a shared token costs no write; the sweep writes its lease, and what the link was used for.
#[tokio::test]
async fn shared_leases_are_written_by_the_sweep() {
    let mut world = World::new().await;
    let link = world.bound(None).await.id;
    let before = world.store.calls(Call::Commit);
    let wish = Wanted {
        require_narrowed: false,
        ..narrow(&link)
    };
    for _ in 0..1000 {
        world.engine.fetch_credential(&wish).await.expect("token");
    }
    assert_eq!(world.store.calls(Call::Commit), before);
    assert_eq!(
        world
            .engine
            .list_leases(&acme(), false)
            .await
            .expect("leases")
            .len(),
        1
    );
    world.engine.sweep().await.expect("sweep");
    world.restart().await;
    let leases = world.engine.list_leases(&acme(), false).await;
    assert_eq!(leases.expect("leases").len(), 1);
    let shown = world.read(&link).await;
    assert!(shown.upkeep.handed_out.is_some());
    assert_eq!(shown.seen.repositories[0].full_name, "acme/api");
    let written = world.store.calls(Call::Commit);
    world.fetch(&link).await.expect("token");
    world.clock.advance(Duration::from_secs(60));
    world.engine.sweep().await.expect("sweep");
    // The new lease of the new process; the link is not written again for that.
    assert_eq!(world.store.calls(Call::Commit), written + 1);
}

/// Leases are forgotten a week after their end.
#[tokio::test]
async fn ended_leases_are_forgotten() {
    let (world, link) = installed().await;
    let handed = world.engine.fetch_credential(&narrow(&link)).await;
    handed.expect("token");
    world.clock.advance(Duration::from_secs(3600));
    assert!(
        world
            .engine
            .list_leases(&acme(), false)
            .await
            .expect("leases")
            .is_empty()
    );
    assert_eq!(
        world
            .engine
            .list_leases(&acme(), true)
            .await
            .expect("leases")
            .len(),
        1
    );
    world.clock.advance(RETENTION);
    world.engine.sweep().await.expect("sweep");
    assert!(
        world
            .engine
            .list_leases(&acme(), true)
            .await
            .expect("leases")
            .is_empty()
    );
}

/// Who insists on a lifetime that no token has is told the longest; who does not gets what there is.
#[tokio::test]
async fn too_short_is_said() {
    let world = World::new().await;
    let link = world.bound(Some(600)).await.id;
    let mut wish = Wanted {
        min_remaining: Duration::from_secs(7200),
        ..wanted(&link)
    };
    assert!(world.engine.fetch_credential(&wish).await.is_ok());
    wish.insist = true;
    let problem = world.engine.fetch_credential(&wish).await;
    let problem = problem.expect_err("short");
    assert_eq!(problem.reason, Reason::TokenTooShort);
    assert!(problem.metadata.contains(&("longest", "600".to_owned())));
}

/// A host that is switched off hands out nothing.
#[tokio::test]
async fn a_host_that_is_off_hands_out_nothing() {
    let world = World::new().await;
    let link = world.bound(Some(3600)).await.id;
    let mut host: Host = world.engine.host(&host_name()).await.expect("host").record;
    host.desired = Desired::Disabled(Wish {
        reason: "maintenance".to_owned(),
        actor: "uid:0".to_owned(),
        since: bindery_core::time::Timestamp::default(),
    });
    world.put(Key::Host(host_name()), Record::Host(host)).await;
    let problem = world.fetch(&link).await.expect_err("off");
    assert_eq!(problem.reason, Reason::HostDisabled);
}

/// A token that the provider does not know any more is given back all the same.
#[tokio::test]
async fn what_is_gone_is_given_back() {
    let (world, link) = installed().await;
    let handed = world.engine.fetch_credential(&narrow(&link)).await;
    let lease = id(&handed.expect("token").lease_id);
    world.plugin.on("Revoke", |_| {
        Ok(Output::Revocation(Revocation {
            outcome: RevocationOutcome::AlreadyAbsent,
            message: "not there".to_owned(),
            action_uri: String::new(),
        }))
    });
    let given = world.engine.revoke_lease(&acme(), &lease, None).await;
    assert_eq!(given.expect("answer").outcome, Outcome::AlreadyAbsent);
}
