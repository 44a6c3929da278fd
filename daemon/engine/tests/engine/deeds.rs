//! What the daemon does by itself is in the audit log, with the daemon as the actor, how it ended, and without any secret.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bindery_core::{
    audit::{Audit, AuditPage, AuditQuery, AuditVerdict, Deed, Survives},
    exchange::TokenOutcome,
    link::Link,
    port::BoxFuture,
    problem::{Problem, Reason},
    provider::FailureCode,
};
use bindery_engine::{hooks::Rotate, unlink::UnlinkOptions};

use crate::support::{World, acme, failure};

/// A log in memory, which a test can break.
#[derive(Default)]
struct Log {
    deeds: Mutex<Vec<Deed>>,
    broken: bool,
}

impl Audit for Log {
    fn record(&self, deed: Deed, _: Survives) -> BoxFuture<'_, Result<(), Problem>> {
        if self.broken {
            let full = Problem::new(Reason::AuditUnavailable, "the disk is full");
            return Box::pin(async { Err(full) });
        }
        self.deeds.lock().expect("lock").push(deed);
        Box::pin(async { Ok(()) })
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), Problem>> {
        if self.broken {
            return self.record(Deed::default(), Survives::Daemon);
        }
        Box::pin(async { Ok(()) })
    }

    fn list(&self, _: AuditQuery) -> BoxFuture<'_, Result<AuditPage, Problem>> {
        Box::pin(async { Ok(AuditPage::default()) })
    }

    fn verify(&self) -> BoxFuture<'_, Result<AuditVerdict, Problem>> {
        Box::pin(async { Ok(AuditVerdict::default()) })
    }
}

impl Log {
    async fn of(world: &World) -> Arc<Self> {
        let log = Arc::new(Self::default());
        world.engine.keep_audit(Arc::clone(&log) as Arc<dyn Audit>);
        log
    }

    /// Takes what was written: action, resource, code, reason and facts.
    fn take(&self) -> Vec<String> {
        let deeds = std::mem::take(&mut *self.deeds.lock().expect("lock"));
        let told = |deed: Deed| {
            assert_eq!(deed.actor, "daemon", "{deed:?}");
            let facts = deed
                .facts
                .iter()
                .map(|(name, value)| format!(" {name}={value}"));
            let start = [deed.action, deed.resource, deed.code, deed.reason].join(" ");
            start.trim_end().to_owned() + &facts.collect::<String>()
        };
        deeds.into_iter().map(told).collect()
    }
}

fn name(link: &Link) -> String {
    link.resource()
}

/// A refresh, one that fails, and a grant that dies of two refusals: each is there with its outcome.
#[tokio::test]
async fn refreshes_and_dead_grants_are_audited() {
    let world = World::new().await;
    let log = Log::of(&world).await;
    let link = world.bound(Some(3600)).await;
    log.take();
    world.clock.advance(Duration::from_secs(3601));
    world.fetch(&link.id).await.expect("a new token");
    let name = name(&link);
    assert_eq!(
        log.take(),
        [format!("daemon/refresh-token {name} OK generation=1")]
    );
    world.clock.advance(Duration::from_secs(3601));
    for _ in 0..2 {
        world.forge.answer(|_| TokenOutcome::Refused {
            error: "invalid_grant".to_owned(),
            dead: true,
        });
        world.fetch(&link.id).await.expect_err("refused");
        world.clock.advance(Duration::from_secs(60));
    }
    assert_eq!(
        log.take(),
        [
            format!("daemon/refresh-token {name} FAILED_PRECONDITION TOKEN_REFUSED generation=2"),
            format!(
                "daemon/link-stage {name} OK cause=GRANT_REVOKED from=BOUND to=NEEDS_REAUTHORIZATION"
            ),
            format!(
                "daemon/refresh-token {name} FAILED_PRECONDITION LINK_NEEDS_REAUTHORIZATION generation=2"
            ),
        ]
    );
}

/// Each step of an unlink is there when it is over, in its order, also what could not be done.
#[tokio::test]
async fn steps_of_an_unlink_are_audited() {
    let world = World::new().await;
    let log = Log::of(&world).await;
    for (force, code) in [
        (false, "OK outcome=DONE"),
        (true, "FAILED_PRECONDITION HOST_UNREACHABLE outcome=FAILED"),
    ] {
        let link = world.bound(Some(3600)).await;
        log.take();
        if force {
            world
                .plugin
                .on("Revoke", |_| Err(failure(FailureCode::Transport)));
        }
        let options = UnlinkOptions {
            force,
            ..UnlinkOptions::default()
        };
        let receipt = world.engine.unlink(&acme(), &link.id, options).await;
        receipt.expect("receipt");
        let name = name(&link);
        let told = log.take();
        let steps: Vec<_> = told
            .iter()
            .filter(|line| line.starts_with("daemon/unlink-step"))
            .collect();
        let step = |code: &str, step: &str| format!("daemon/unlink-step {name} {code} step={step}");
        assert_eq!(
            steps,
            [
                &step("OK outcome=DONE", "STOP_HAND_OUT"),
                &step("OK outcome=ALREADY_ABSENT", "DELETE_HOOK"),
                &step("OK outcome=ALREADY_ABSENT", "REVOKE_LEASES"),
                &step(code, "REVOKE_GRANT"),
                &step("OK outcome=DONE", "ERASE"),
            ]
        );
        let stages = told.iter().filter(|line| line.contains("link-stage"));
        assert_eq!(stages.count(), 2, "{told:#?}");
    }
}

/// A webhook that is taken away with its link is there with its repository.
#[tokio::test]
async fn deleted_webhooks_are_audited() {
    let world = World::new().await;
    let log = Log::of(&world).await;
    let _forge = world.hooks();
    let link = world.bound(Some(36_000)).await;
    world.connect(&link).await.expect("source");
    log.take();
    let unlinked = world
        .engine
        .unlink(&acme(), &link.id, UnlinkOptions::default())
        .await;
    unlinked.expect("receipt");
    let told = log.take();
    let deletion: Vec<_> = told
        .iter()
        .filter(|line| line.starts_with("daemon/delete-hook"))
        .collect();
    assert_eq!(deletion.len(), 1, "{told:#?}");
    assert!(
        deletion[0].contains(&name(&link)) && deletion[0].contains("OK hook="),
        "{deletion:?}"
    );
}

/// A flow that nobody finishes ends by itself, and its grant is revoked: both are there, and the stages of the link.
#[tokio::test]
async fn flows_that_expire_are_audited() {
    let world = World::new().await;
    let log = Log::of(&world).await;
    let (link, flow) = world.flow().await;
    world.consent(&flow, "cookie").await.expect("callback");
    let pending = world.read(&link).await;
    log.take();
    world.clock.advance(Duration::from_secs(601));
    world.engine.sweep().await.expect("sweep");
    world.engine.sweep().await.expect("sweep");
    let (told, name) = (log.take(), name(&pending));
    for part in [
        format!("daemon/expire-flow {name} OK"),
        format!("daemon/link-stage {name} OK from=PENDING_CONFIRMATION to=UNLINKING"),
        format!("daemon/unlink-step {name} OK outcome=DONE step=REVOKE_GRANT"),
        format!("daemon/link-stage {name} OK from=UNLINKING to=UNLINKED"),
    ] {
        assert!(told.contains(&part), "{part}: {told:#?}");
    }
}

/// New secrets of webhooks are there hook by hook, with who asked for them, and no secret is.
#[tokio::test]
async fn new_secrets_of_webhooks_are_audited_without_them() {
    let world = World::new().await;
    let log = Log::of(&world).await;
    let forge = world.hooks();
    let link = world.bound(Some(36_000)).await;
    world.connect(&link).await.expect("source");
    for (refuses, code) in [
        (None, "OK"),
        (
            Some(FailureCode::PermissionDenied),
            "FAILED_PRECONDITION PROVIDER_DENIED",
        ),
    ] {
        forge.held().refuses = refuses;
        world.clock.advance(Duration::from_secs(1000));
        log.take();
        let sources = world.engine.sources_of(&acme(), None).await;
        let sources = sources.expect("sources").into_iter();
        let asked = Rotate {
            sources: vec![(acme(), sources.map(|entry| entry.record).collect())],
            overlap: Duration::from_secs(600),
            actor: "uid:1000".to_owned(),
            validate_only: false,
            request: None,
        };
        let begun = world.engine.rotate_hook_secrets(asked).await;
        let begun = begun.expect("rotation").remove(0);
        while world
            .engine
            .rotation(&acme(), &begun.id)
            .await
            .expect("rotation")
            .finished
            .is_none()
        {
            world.engine.sweep().await.expect("sweep");
            tokio::task::yield_now().await;
        }
        let told = log.take();
        let own: Vec<_> = told
            .iter()
            .filter(|line| line.starts_with("daemon/rotate-hook-secret"))
            .collect();
        assert_eq!(own.len(), 1, "{told:#?}");
        assert!(
            own[0].contains(code) && own[0].contains("asked_by=uid:1000"),
            "{own:?}"
        );
        for secret in world.forge.hook_secrets.lock().expect("lock").iter() {
            assert!(!told.concat().contains(secret), "a secret is in the log");
        }
    }
}

/// A log that can't be written to holds nothing up: what the daemon must do for its links it does.
#[tokio::test]
async fn a_log_that_fails_stops_no_refresh() {
    let world = World::new().await;
    let log = Log {
        broken: true,
        ..Log::default()
    };
    world.engine.keep_audit(Arc::new(log));
    let link = world.bound(Some(3600)).await.id;
    world.clock.advance(Duration::from_secs(3601));
    assert!(world.fetch(&link).await.is_ok());
}
