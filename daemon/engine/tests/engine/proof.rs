//! Who sent a delivery: the same work for all who can't prove it, and what becomes of one that can't be verified whole.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bindery_core::port::{Change, Expect, Key, Vault};
use bindery_engine::{
    Engine,
    intake::{End, Incoming, Refused, Taken},
};
use tracing::span;

use crate::support::{Hooked, Reads, SECRET, hook_id, incoming, signed};

const BODY: &str = "push refs/heads/main - a";

fn forged() -> Incoming {
    incoming(1, &[("x-forge-signature", "sha256=00")], BODY)
}

fn with_token(n: usize, token: &str) -> Incoming {
    incoming(n, &[("x-forge-token", token)], BODY)
}

/// Counts the MACs that are computed over bodies: each is told at level TRACE.
struct Macs(Arc<AtomicUsize>);

impl tracing::Subscriber for Macs {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "bindery_engine::intake::verify"
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// W6: an unknown hook, one whose name is none, and a wrong or missing signature cost the same reads of the vault and the same
/// MACs, in each scheme; a delivery that passes by as well.
#[tokio::test]
async fn w6_unknown_hook_and_wrong_signature_cost_the_same() {
    for scheme in ["hmac", "time", "token"] {
        let hooked = Hooked::new().await;
        hooked.hook(1, scheme).await;
        let macs = Arc::new(AtomicUsize::new(0));
        let reads = Reads::over(&hooked.world.vault);
        let engine = hooked.world.engine_over(Arc::clone(&reads) as _);
        let _counting = tracing::subscriber::set_default(Macs(Arc::clone(&macs)));
        // The first one looks through the hosts, for those that come in the next second.
        let first = engine.take_delivery(forged()).await;
        assert_eq!(first, Err(Refused::Forged));
        let mut odd = signed(1, "id", BODY);
        odd.hook = "../hook-1".to_owned();
        let all = [
            forged(),
            incoming(1, &[], BODY),
            signed(2, "id", BODY),
            with_token(2, SECRET),
            odd,
        ];
        let mut costs = Vec::new();
        for one in all {
            reads.count();
            macs.swap(0, Ordering::SeqCst);
            assert_eq!(engine.take_delivery(one).await, Err(Refused::Forged));
            costs.push((reads.count(), macs.swap(0, Ordering::SeqCst)));
        }
        assert!(costs[0].0 >= 4 && costs[0].1 >= 1, "{scheme}: {costs:?}");
        assert!(
            costs.iter().all(|one| *one == costs[0]),
            "{scheme}: {costs:?}"
        );
    }
}

/// While deliveries can't be verified a right one is to come again, and so is every other: nothing tells which hooks there are.
/// Afterwards it is taken.
#[tokio::test]
async fn what_can_not_be_verified_is_to_come_again() {
    let hooked = Hooked::new().await;
    let engine = &hooked.world.engine;
    let all = || [signed(1, "id1", BODY), forged(), signed(2, "id1", BODY)];
    hooked.world.plugin.load(false);
    for one in all() {
        let answer = engine.take_delivery(one).await;
        assert_eq!(answer, Err(Refused::Full(Duration::from_secs(60))));
    }
    let passing = engine.pass_delivery(forged()).await.expect("begun");
    let answer = engine.end_passing(passing, End::Whole).await;
    assert_eq!(answer, Err(Refused::Full(Duration::from_secs(60))));
    hooked.world.plugin.load(true);
    hooked.world.clock.advance(Duration::from_secs(1));
    let [right, wrong, unknown] = all();
    assert_eq!(engine.take_delivery(wrong).await, Err(Refused::Forged));
    assert_eq!(engine.take_delivery(unknown).await, Err(Refused::Forged));
    assert_eq!(engine.take_delivery(right).await, Ok(Taken::Stored(1)));
}

/// The same for a hook whose scheme the plugin does not know any more, and for one whose secret is lost.
#[tokio::test]
async fn a_hook_without_scheme_or_secret_loses_no_delivery() {
    for lost in ["scheme", "secret"] {
        let hooked = Hooked::new().await;
        hooked.hook(2, "hmac").await;
        if lost == "scheme" {
            hooked.hook(1, "gone").await;
        } else {
            let remove = Change {
                key: Key::HookSecrets(hook_id(1)),
                expect: Expect::Any,
                write: None,
            };
            hooked
                .world
                .vault
                .commit(vec![remove])
                .await
                .expect("removed");
        }
        let engine = &hooked.world.engine;
        let later = Err(Refused::Full(Duration::from_secs(60)));
        for one in [signed(1, "id", BODY), forged(), signed(3, "id", BODY)] {
            assert_eq!(engine.take_delivery(one).await, later, "{lost}");
        }
        let other = engine.take_delivery(signed(2, "id", BODY)).await;
        assert_eq!(other, Ok(Taken::Stored(1)), "{lost}");
        hooked.hook(1, "hmac").await;
        hooked.world.clock.advance(Duration::from_secs(600));
        let right = engine.take_delivery(signed(1, "id", BODY)).await;
        assert_eq!(right, Ok(Taken::Stored(2)), "{lost}");
    }
}

/// What `incoming` is answered that passes by in two pieces.
async fn passed(engine: &Engine, mut incoming: Incoming, end: End) -> Result<Taken, Refused> {
    let rest = incoming.body.split_off(5);
    let mut passing = engine.pass_delivery(incoming).await?;
    passing.update(&rest);
    engine.end_passing(passing, end).await
}

/// A provider that switches hooks off for a 4xx hears yes for what is too long, and refs are compared; whoever has no secret
/// hears the same for each hook, and nothing is compared.
#[tokio::test]
async fn what_is_too_long_costs_no_hook() {
    let hooked = Hooked::new().await;
    hooked
        .world
        .plugin
        .describe_as(|all| all.hooks.failures_disable = true);
    let engine = &hooked.world.engine;
    for one in [forged(), signed(2, "id", BODY)] {
        let answer = passed(engine, one, End::Whole).await;
        assert_eq!(answer, Err(Refused::TooLong));
    }
    engine.sweep().await.expect("sweep");
    assert!(!hooked.read_hook(1).await.reconcile_due);
    let answer = passed(engine, signed(1, "id", BODY), End::Whole).await;
    assert_eq!(answer, Ok(Taken::Dropped));
    let hook = hooked.read_hook(1).await;
    assert!(hook.reconcile_due && hook.verified.is_some());
}

/// A provider that does not count refusals hears of the length, and refs are compared as well.
#[tokio::test]
async fn what_is_too_long_is_compared() {
    let hooked = Hooked::new().await;
    let engine = &hooked.world.engine;
    let answer = passed(engine, signed(1, "id", BODY), End::Whole).await;
    assert_eq!(answer, Err(Refused::TooLong));
    assert!(hooked.read_hook(1).await.reconcile_due);
}

/// Of a body that does not come whole a token proves who sends it; a signature over the body can't, so refs are compared, once
/// for many.
#[tokio::test]
async fn what_is_too_slow_is_compared() {
    let hooked = Hooked::new().await;
    hooked.hook(2, "token").await;
    hooked
        .world
        .plugin
        .describe_as(|all| all.hooks.failures_disable = true);
    let engine = &hooked.world.engine;
    let later: Result<Taken, Refused> = Err(Refused::Full(Duration::from_secs(5)));
    let right = passed(engine, with_token(2, SECRET), End::TooSlow).await;
    assert_eq!(right, Ok(Taken::Dropped));
    assert!(hooked.read_hook(2).await.reconcile_due);
    let late = |hooked: &Hooked| hooked.world.clock.advance(Duration::from_secs(300));
    for (wait, due) in [(false, false), (true, true)] {
        if wait {
            late(&hooked);
        }
        for one in [
            signed(1, "id", BODY),
            signed(3, "id", BODY),
            with_token(2, "wrong"),
        ] {
            assert_eq!(passed(engine, one, End::TooSlow).await, later);
        }
        engine.sweep().await.expect("sweep");
        assert_eq!(hooked.read_hook(1).await.reconcile_due, due);
    }
}

/// A delivery as long as can be is stored, and processed.
#[tokio::test]
async fn the_longest_delivery_is_kept() {
    let hooked = Hooked::new().await;
    let longest = bindery_engine::intake::LONGEST_BODY;
    assert_eq!(hooked.world.engine.intake_limits().body_bytes, longest);
    let body = format!("{BODY} {}", "x".repeat(longest - BODY.len() - 1));
    let mut one = signed(1, "id", &body);
    // The listener takes 16 KiB of headers.
    one.headers[3].1 = vec![b'h'; 15 << 10];
    let taken = hooked.world.engine.take_delivery(one).await;
    assert_eq!(taken, Ok(Taken::Stored(1)));
    hooked.world.engine.process_deliveries().await;
    assert_eq!(hooked.told().await, [BODY]);
}
