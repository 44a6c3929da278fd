//! The contract of [`Store`] as functions. An implementation runs [`all`] in its own tests.
//!
//! Each function takes an empty store and panics where the contract is broken. All work without a runtime of a
//! particular kind.

#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a contract is broken by panicking, and patterns are cut to bytes on purpose"
)]

use std::future::poll_fn;
use std::task::Poll;

use futures_util::future::join_all;

use crate::{Batch, Expect, Health, Store, StoreError, Tree, Write};

/// Runs the whole contract, each part on a store of its own.
pub async fn all<S: Store>(mut empty: impl FnMut() -> S) {
    keeps_what_was_put(&empty()).await;
    keeps_values_of_every_size(&empty()).await;
    keeps_trees_apart(&empty()).await;
    pages_in_order(&empty()).await;
    pages_within_prefix(&empty()).await;
    pages_whole_batches(&empty()).await;
    commits_all_or_nothing(&empty()).await;
    checks_expectations(&empty()).await;
    checks_without_writing(&empty()).await;
    lets_one_of_many_win(&empty()).await;
    commits_in_the_order_of_calls(&empty()).await;
    commits_although_nobody_waits(&empty()).await;
    refuses_invalid_batches(&empty()).await;
    is_healthy_when_new(&empty());
}

/// What was put is read; what was replaced or deleted is gone; deleting nothing is no error.
pub async fn keeps_what_was_put<S: Store>(store: &S) {
    assert_eq!(store.get(ONE, b"key").await.unwrap(), None);
    store
        .commit(Batch::new().put(ONE, b"key", b"first"))
        .await
        .unwrap();
    assert_eq!(
        store.get(ONE, b"key").await.unwrap().as_deref(),
        Some(b"first".as_slice())
    );
    store
        .commit(Batch::new().put(ONE, b"key", b"second"))
        .await
        .unwrap();
    assert_eq!(
        store.get(ONE, b"key").await.unwrap().as_deref(),
        Some(b"second".as_slice())
    );
    store
        .commit(Batch::new().delete(ONE, b"key").delete(ONE, b"never"))
        .await
        .unwrap();
    assert_eq!(store.get(ONE, b"key").await.unwrap(), None);
    store.commit(Batch::new()).await.unwrap();
}

/// Empty, long and very long values come back byte for byte, also when one size replaces another, also in a page.
pub async fn keeps_values_of_every_size<S: Store>(store: &S) {
    let sizes = [0, 1, 4095, 4096, 4097, 8192, 100_000, 3, 1_000_000, 8193, 0];
    for size in sizes {
        let value = pattern(size);
        store
            .commit(Batch::new().put(ONE, b"sized", value.clone()))
            .await
            .unwrap();
        assert_eq!(
            store.get(ONE, b"sized").await.unwrap().as_ref(),
            Some(&value),
            "{size} bytes"
        );
        let page = store.page(ONE, b"", None, 10).await.unwrap();
        assert_eq!(page, [(b"sized".to_vec(), value.clone())], "{size} bytes");
        let same = Batch::new().expect(ONE, b"sized", Expect::Value(value));
        store.commit(same).await.unwrap();
    }
    store
        .commit(Batch::new().put(ONE, b"sized", pattern(50_000)))
        .await
        .unwrap();
    store
        .commit(Batch::new().delete(ONE, b"sized"))
        .await
        .unwrap();
    assert_eq!(store.page(ONE, b"", None, 10).await.unwrap(), []);
}

/// The same key in two trees is two keys, and a page never leaves its tree.
pub async fn keeps_trees_apart<S: Store>(store: &S) {
    let batch = Batch::new()
        .put(ONE, b"same", b"1")
        .put(TWO, b"same", b"2")
        .put(LONGER, b"", b"3");
    store.commit(batch).await.unwrap();
    assert_eq!(
        store.get(ONE, b"same").await.unwrap().as_deref(),
        Some(b"1".as_slice())
    );
    assert_eq!(
        store.get(TWO, b"same").await.unwrap().as_deref(),
        Some(b"2".as_slice())
    );
    for (tree, key, value) in [(ONE, "same", "1"), (TWO, "same", "2"), (LONGER, "", "3")] {
        let page = store.page(tree, b"", None, 10).await.unwrap();
        assert_eq!(page, [(key.into(), value.into())]);
    }
}

/// Pages follow each other in the order of the bytes, each key once, and `limit` is kept.
pub async fn pages_in_order<S: Store>(store: &S) {
    let mut keys: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
    keys.extend((0..=255).map(|byte| vec![byte, 0]));
    for some in keys.chunks(100).rev() {
        let batch = some.iter().fold(Batch::new(), |batch, key| {
            batch.put(ONE, &key[..], &key[..])
        });
        store.commit(batch).await.unwrap();
    }
    keys.sort();
    let mut found: Vec<Vec<u8>> = Vec::new();
    loop {
        let page = store
            .page(ONE, b"", found.last().map(Vec::as_slice), 7)
            .await
            .unwrap();
        assert!(page.len() <= 7);
        if page.is_empty() {
            break;
        }
        found.extend(page.into_iter().map(|(key, _)| key));
    }
    assert_eq!(found, keys);
    assert_eq!(store.page(ONE, b"", None, 0).await.unwrap(), []);
}

/// A page holds its prefix only, wherever `after` points: before it, into it, to an absent key or behind it.
pub async fn pages_within_prefix<S: Store>(store: &S) {
    let keys = ["a", "ab", "ab1", "ab2", "ab\u{7f}", "ac", "b"];
    let batch = keys
        .iter()
        .fold(Batch::new(), |batch, key| batch.put(ONE, *key, *key));
    store.commit(batch).await.unwrap();
    let cases = [
        (None, vec!["ab", "ab1", "ab2", "ab\u{7f}"]),
        (Some("a"), vec!["ab", "ab1", "ab2", "ab\u{7f}"]),
        (Some("ab"), vec!["ab1", "ab2", "ab\u{7f}"]),
        (Some("ab11"), vec!["ab2", "ab\u{7f}"]),
        (Some("ab\u{7f}"), vec![]),
        (Some("b"), vec![]),
    ];
    for (after, expected) in cases {
        let page = store
            .page(ONE, b"ab", after.map(str::as_bytes), 10)
            .await
            .unwrap();
        let found: Vec<_> = page
            .iter()
            .map(|(key, _)| str::from_utf8(key).unwrap())
            .collect();
        assert_eq!(found, expected, "after {after:?}");
    }
}

/// A page shows every batch whole or not at all, while batches are being committed.
pub async fn pages_whole_batches<S: Store>(store: &S) {
    for round in 0..50_u32 {
        let value = pattern(5000 + round as usize % 3);
        let batch = Batch::new()
            .put(ONE, b"left", value.clone())
            .put(ONE, b"right", value);
        let commit = store.commit(batch);
        let page = store.page(ONE, b"", None, 10).await.unwrap();
        assert!(
            page.is_empty() || page[0].1 == page[1].1,
            "round {round} showed half a batch"
        );
        commit.await.unwrap();
    }
}

/// A batch whose last expectation fails leaves no trace, in any tree, and says which operation it was.
pub async fn commits_all_or_nothing<S: Store>(store: &S) {
    store
        .commit(Batch::new().put(TWO, b"taken", b"old"))
        .await
        .unwrap();
    let batch = Batch::new()
        .put(ONE, b"new", pattern(9000))
        .delete(TWO, b"never")
        .create(TWO, b"taken", b"new");
    let refused = store.commit(batch).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict { index: 2 })),
        "{refused:?}"
    );
    assert_eq!(store.get(ONE, b"new").await.unwrap(), None);
    assert_eq!(
        store.get(TWO, b"taken").await.unwrap().as_deref(),
        Some(b"old".as_slice())
    );
}

/// Every kind of expectation against every kind of state.
pub async fn checks_expectations<S: Store>(store: &S) {
    let long = pattern(20_000);
    let mut other = long.clone();
    other[19_999] ^= 1;
    let states = [
        None,
        Some(b"short".to_vec()),
        Some(Vec::new()),
        Some(long.clone()),
    ];
    let values = [b"short".to_vec(), Vec::new(), long, other];
    let mut expectations = vec![Expect::Anything, Expect::Absent];
    expectations.extend(values.map(Expect::Value));
    for state in &states {
        for expect in &expectations {
            let write = state.clone().map_or(Write::Delete, Write::Put);
            let reset = Batch::new().operation(ONE, b"key", Expect::Anything, write);
            store.commit(reset).await.unwrap();
            let outcome = store
                .commit(Batch::new().expect(ONE, b"key", expect.clone()))
                .await;
            assert_eq!(
                outcome.is_ok(),
                expect.holds(state.as_deref()),
                "{outcome:?}"
            );
        }
    }
}

/// An operation that only expects writes nothing, and holds back the batch if it fails.
pub async fn checks_without_writing<S: Store>(store: &S) {
    let guarded = |expect| {
        Batch::new()
            .expect(ONE, b"guard", expect)
            .put(ONE, b"key", b"value")
    };
    let refused = store.commit(guarded(Expect::Value(b"open".to_vec()))).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict { index: 0 })),
        "{refused:?}"
    );
    store.commit(guarded(Expect::Absent)).await.unwrap();
    assert_eq!(store.get(ONE, b"guard").await.unwrap(), None);
    assert!(store.get(ONE, b"key").await.unwrap().is_some());
}

/// Of many concurrent commits that expect the same value exactly one happens.
pub async fn lets_one_of_many_win<S: Store>(store: &S) {
    store
        .commit(Batch::new().put(ONE, b"generation", b"0"))
        .await
        .unwrap();
    let rivals = (1..=20_u8)
        .map(|rival| store.commit(Batch::new().replace(ONE, b"generation", b"0", [rival])));
    let outcomes = join_all(rivals).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let winner = outcomes.iter().position(Result::is_ok).unwrap();
    let kept = store.get(ONE, b"generation").await.unwrap().unwrap();
    assert_eq!(usize::from(kept[0]), winner + 1);
}

/// Commits that are called one after the other take effect in that order, without waiting for each other.
pub async fn commits_in_the_order_of_calls<S: Store>(store: &S) {
    let steps = (0..100_u8).map(|step| match step {
        0 => store.commit(Batch::new().create(ONE, b"step", [0])),
        _ => store.commit(Batch::new().replace(ONE, b"step", [step - 1], [step])),
    });
    let steps: Vec<_> = steps.collect();
    for outcome in join_all(steps).await {
        outcome.unwrap();
    }
    assert_eq!(store.get(ONE, b"step").await.unwrap(), Some(vec![99]));
}

/// A commit whose future is dropped, before or after its first poll, still happens.
pub async fn commits_although_nobody_waits<S: Store>(store: &S) {
    drop(store.commit(Batch::new().put(ONE, b"unpolled", b"kept")));
    let mut polled = store.commit(Batch::new().put(ONE, b"polled", b"kept"));
    poll_fn(|context| {
        _ = polled.as_mut().poll(context);
        Poll::Ready(())
    })
    .await;
    drop(polled);
    // Commits keep their order, so behind this one both are done.
    store
        .commit(Batch::new().put(ONE, b"later", b"kept"))
        .await
        .unwrap();
    assert!(store.get(ONE, b"unpolled").await.unwrap().is_some());
    assert!(store.get(ONE, b"polled").await.unwrap().is_some());
}

/// A batch beyond a limit is refused whole; one at the limit is taken.
pub async fn refuses_invalid_batches<S: Store>(store: &S) {
    let many = |count: usize| {
        (0..count).fold(Batch::new(), |batch, number| {
            batch.put(ONE, number.to_be_bytes(), b"")
        })
    };
    let valid = [
        many(Batch::MAX_OPERATIONS),
        Batch::new()
            .put(ONE, [7; Batch::MAX_KEY], b"")
            .put(TWO, [7; Batch::MAX_KEY], b""),
        Batch::new().put(ONE, b"large", pattern(Batch::MAX_BYTES - 5)),
    ];
    let invalid = [
        many(Batch::MAX_OPERATIONS + 1),
        Batch::new().put(LONGER, [7; Batch::MAX_KEY + 1], b""),
        Batch::new().put(LONGER, b"large", pattern(Batch::MAX_BYTES)),
        Batch::new()
            .put(LONGER, b"twice", b"1")
            .delete(LONGER, b"twice"),
    ];
    for batch in valid {
        store.commit(batch).await.unwrap();
    }
    for batch in invalid {
        let refused = store.commit(batch).await;
        assert!(
            matches!(refused, Err(StoreError::InvalidBatch(_))),
            "{refused:?}"
        );
    }
    assert_eq!(store.page(LONGER, b"", None, 1).await.unwrap(), []);
}

/// A new store takes writes, or says how little room there is.
pub fn is_healthy_when_new<S: Store>(store: &S) {
    let health = store.health();
    assert!(
        matches!(health, Health::Writable | Health::LowSpace { .. }),
        "{health:?}"
    );
}

fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at * 31 % 251) as u8).collect()
}

const ONE: Tree = Tree::new("one");
const TWO: Tree = Tree::new("two");
// Begins like another tree's name: a careless encoding would mix them up.
const LONGER: Tree = Tree::new("one-longer");
