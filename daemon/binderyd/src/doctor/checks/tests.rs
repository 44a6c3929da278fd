//! Each promise, broken one at a time.

use std::collections::BTreeSet;

use super::*;

/// Under the unit, without any leave.
const STRICT: Terms = Terms {
    managed: true,
    development: false,
    root: false,
    unconfined: false,
};

/// As the unit makes it.
fn promised() -> Facts {
    Facts {
        uid: 998,
        capabilities: Some(0),
        no_new_privileges: Some(true),
        filtered: Some(true),
        dumpable: false,
        core_limit: Some(0),
        swapped: Some(0),
        swap_limit: Some(0),
        folder: Some((0o700, 998)),
        exposed: Vec::new(),
        file_system: Some(0xef53),
        free: Some(1 << 30),
        floor: 128 << 20,
        peer: Some(998),
        users: Some(u64::from(u32::MAX)),
        metadata: Vec::new(),
        clock: Some(true),
        plugins: Vec::new(),
        unnamed_proxy: false,
    }
}

/// D4: a proxy that is not named makes one caller of all, which is said.
#[test]
fn d4_a_proxy_without_a_name_is_told() {
    let found = judged(|facts| facts.unnamed_proxy = true, STRICT);
    assert_eq!(found, [("web.proxies", Outcome::Warning)]);
}

fn judged(change: impl FnOnce(&mut Facts), terms: Terms) -> Vec<(&'static str, Outcome)> {
    let mut facts = promised();
    change(&mut facts);
    let found = judge(&facts, terms);
    for check in &found {
        assert_eq!(
            check.outcome == Outcome::Ok,
            check.action.is_empty(),
            "{check:?}"
        );
        assert!(!check.message.is_empty(), "{check:?}");
    }
    let bad = found.iter().filter(|check| check.outcome != Outcome::Ok);
    bad.map(|check| (check.id, check.outcome)).collect()
}

/// What the unit promises is in order, and every check has an id of its own.
#[test]
fn what_is_promised_is_in_order() {
    assert_eq!(judged(|_| {}, STRICT), []);
    let ids: BTreeSet<_> = judge(&promised(), STRICT)
        .iter()
        .map(|check| check.id)
        .collect();
    assert_eq!(ids.len(), 16);
}

/// Each promise that is broken is found alone, with how bad it is.
#[test]
fn each_broken_promise_is_found() {
    use Outcome::{Failed, Warning};
    type Case = (&'static str, Outcome, fn(&mut Facts));
    let cases: [Case; 21] = [
        ("process.capabilities", Failed, |facts| {
            facts.capabilities = Some(0x20_0000)
        }),
        ("process.no_new_privileges", Failed, |facts| {
            facts.no_new_privileges = Some(false)
        }),
        ("process.system_calls", Failed, |facts| {
            facts.filtered = Some(false)
        }),
        ("process.dumpable", Failed, |facts| facts.dumpable = true),
        ("process.core_limit", Failed, |facts| {
            facts.core_limit = None
        }),
        ("process.core_limit", Failed, |facts| {
            facts.core_limit = Some(1)
        }),
        ("memory.swap", Warning, |facts| facts.swap_limit = None),
        ("memory.swap", Warning, |facts| facts.swapped = Some(4)),
        ("state.folder", Failed, |facts| {
            facts.folder = Some((0o750, 998))
        }),
        ("state.folder", Failed, |facts| {
            facts.folder = Some((0o700, 0))
        }),
        ("state.folder", Failed, |facts| facts.folder = None),
        ("state.files", Failed, |facts| {
            facts.exposed = vec!["store/db".into()]
        }),
        ("state.file_system", Warning, |facts| {
            facts.file_system = Some(0x6969)
        }),
        ("state.file_system", Warning, |facts| {
            facts.file_system = Some(0x794c_7630)
        }),
        ("state.space", Warning, |facts| facts.free = Some(1 << 20)),
        ("api.peers", Failed, |facts| facts.peer = Some(65534)),
        ("api.peers", Failed, |facts| facts.users = Some(2)),
        ("network.metadata", Failed, |facts| {
            facts.metadata = vec!["169.254.169.254"]
        }),
        ("clock.synchronised", Warning, |facts| facts.clock = None),
        ("plugins.owners", Warning, |facts| {
            facts.plugins = vec!["plugin.so".into()]
        }),
        ("process.capabilities", Warning, |facts| {
            facts.capabilities = None
        }),
    ];
    for (id, outcome, change) in cases {
        assert_eq!(judged(change, STRICT), [(id, outcome)]);
    }
}

/// Root is refused unless the configuration allows it; its files are then its own.
#[test]
fn root_needs_leave() {
    let root = |facts: &mut Facts| {
        facts.uid = 0;
        facts.folder = Some((0o700, 0));
        facts.peer = Some(0);
    };
    assert_eq!(judged(root, STRICT), [("process.user", Outcome::Failed)]);
    let leave = Terms {
        root: true,
        ..STRICT
    };
    assert_eq!(judged(root, leave), [("process.user", Outcome::Warning)]);
}

/// What only the unit gives is due under systemd, and a weakness elsewhere or where the configuration allows to go without.
#[test]
fn confinement_is_due_under_systemd() {
    let open = |facts: &mut Facts| facts.filtered = Some(false);
    for terms in [
        Terms {
            managed: false,
            ..STRICT
        },
        Terms {
            unconfined: true,
            ..STRICT
        },
    ] {
        assert_eq!(
            judged(open, terms),
            [("process.system_calls", Outcome::Warning)]
        );
    }
}
