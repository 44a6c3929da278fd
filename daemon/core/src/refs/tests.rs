use super::*;
use crate::provider::RepositoryChange;

const MAIN: &str = "refs/heads/main";
const V1: &str = "refs/tags/v1";

fn push(before: &str, after: &str) -> Happening {
    Happening::Push(Push {
        reference: MAIN.to_owned(),
        before: before.to_owned(),
        after: after.to_owned(),
        ..Push::default()
    })
}

fn tag(commit: &str) -> Happening {
    Happening::TagCreated(TagCreated {
        reference: V1.to_owned(),
        commit: commit.to_owned(),
        ..TagCreated::default()
    })
}

fn deletion(reference: &str, before: &str) -> Happening {
    deleted(reference.to_owned(), before.to_owned())
}

fn refs(all: &[(&str, &str)]) -> Refs {
    all.iter()
        .map(|(name, commit)| ((*name).to_owned(), (*commit).to_owned()))
        .collect()
}

/// What was seen at `all` already.
fn seen(all: &[(&str, &str)]) -> KnownRefs {
    let mut known = KnownRefs::default();
    assert_eq!(compare(&mut known, &refs(all)), vec![]);
    known
}

fn told(known: &mut KnownRefs, all: &[Happening]) -> Vec<Admission> {
    all.iter().map(|one| admit(known, one)).collect()
}

/// In order each is new; each again is known.
#[test]
fn in_order_each_change_is_told_once() {
    let mut known = KnownRefs::default();
    let all = [push("", "a"), push("a", "b"), tag("b")];
    assert_eq!(told(&mut known, &all), [Admission::New; 3]);
    let again = [push("a", "b"), tag("b")];
    assert_eq!(told(&mut known, &again), [Admission::Known; 2]);
    let gone = [deletion(V1, "object"), deletion(V1, "object")];
    assert_eq!(told(&mut known, &gone), [Admission::New, Admission::Known]);
}

/// Where a tag or a deleted ref was is filled in where nobody tells it: of a new tag, and of what is not known, there is nothing
/// to fill in, and what is told stays.
#[test]
fn where_a_ref_was_is_filled_in() {
    let known = seen(&[(MAIN, "a"), (V1, "b")]);
    let filled = |happening| with_before(&known, happening);
    assert_eq!(filled(deletion(V1, "")), deletion(V1, "b"));
    assert_eq!(filled(deletion(MAIN, "")), deletion(MAIN, "a"));
    assert_eq!(filled(deletion(MAIN, "x")), deletion(MAIN, "x"));
    let unknown = deletion("refs/tags/v2", "");
    assert_eq!(filled(unknown.clone()), unknown);
    assert_eq!(filled(tag("b")), tag("b"));
    let Happening::TagCreated(moved) = filled(tag("c")) else {
        panic!("no tag");
    };
    assert_eq!((moved.before.as_str(), moved.commit.as_str()), ("b", "c"));
    let mut gone = known.clone();
    admit(&mut gone, &deletion(V1, ""));
    assert_eq!(with_before(&gone, tag("c")), tag("c"));
    assert_eq!(filled(push("", "b")), push("", "b"));
}

/// Of two pushes that come the wrong way round both are told, and the ref is where the second one left it.
#[test]
fn a_late_push_is_told_and_moves_nothing() {
    let mut known = seen(&[(MAIN, "a")]);
    let all = [
        push("b", "c"),
        push("a", "b"),
        push("b", "c"),
        push("c", "d"),
    ];
    assert_eq!(
        told(&mut known, &all),
        [
            Admission::Gap,
            Admission::Late,
            Admission::Known,
            Admission::New
        ]
    );
    assert_eq!(known.refs[MAIN].commit, "d");
}

/// What comparing refs found is not told again by the deliveries that come afterwards, wherever they lie on the way.
#[test]
fn what_was_found_is_not_told_again() {
    let mut known = seen(&[(MAIN, "a")]);
    let found = compare(&mut known, &refs(&[(MAIN, "c"), (V1, "c")]));
    assert_eq!(found.len(), 2);
    assert_eq!(found[0], push("a", "c"));
    assert_eq!(
        compare(&mut known, &refs(&[(MAIN, "c"), (V1, "c")])),
        vec![]
    );
    let late = [push("a", "b"), push("b", "c"), tag("c")];
    assert_eq!(
        told(&mut known, &late),
        [Admission::Late, Admission::Known, Admission::Known]
    );
    assert_eq!(known.refs[MAIN].commit, "c");
    let gone = compare(&mut known, &refs(&[(MAIN, "c")]));
    assert_eq!(gone, vec![deletion(V1, "c")]);
    assert_eq!(admit(&mut known, &deletion(V1, "c")), Admission::Known);
}

/// The first look only fills in, for what is there may be old; but what deliveries told before it is not lost.
#[test]
fn the_first_look_tells_nothing_old() {
    let mut known = KnownRefs::default();
    admit(&mut known, &push("a", "b"));
    let found = compare(&mut known, &refs(&[(MAIN, "c"), (V1, "x")]));
    assert_eq!(found, vec![push("b", "c")]);
    assert!(known.complete);
    assert_eq!(compare(&mut known, &refs(&[(MAIN, "c")])).len(), 1);
}

/// A branch that comes back is told, and what comes after its end is looked at.
#[test]
fn what_was_deleted_comes_back_with_a_look() {
    let mut known = seen(&[(MAIN, "a")]);
    let all = [deletion(MAIN, "a"), push("", "a")];
    assert_eq!(told(&mut known, &all), [Admission::New, Admission::Gap]);
    assert_eq!(known.refs[MAIN].commit, "a");
    assert_eq!(admit(&mut known, &deletion(MAIN, "x")), Admission::Gap);
    let gone = compare(&mut known, &Refs::new());
    assert_eq!((gone, known.refs.len()), (vec![], 0));
}

/// A moved tag is told; a forced push back is, too.
#[test]
fn moves_are_told() {
    let mut known = seen(&[(MAIN, "b"), (V1, "b")]);
    let all = [tag("c"), push("b", "a"), push("a", "b")];
    assert_eq!(told(&mut known, &all), [Admission::New; 3]);
}

/// Only what the provider says as well is confirmed.
#[test]
fn only_the_provider_confirms() {
    let now = refs(&[(MAIN, "b")]);
    assert!(confirms(&now, &push("a", "b")) && confirms(&now, &deletion(V1, "")));
    for other in [push("b", "c"), tag("b"), deletion(MAIN, "b")] {
        assert!(!confirms(&now, &other), "{other:?}");
    }
}

/// What comparing refs told of is no second event when its delivery comes after all, also when the ref is further by then;
/// the steps in between are told, once.
#[test]
fn a_late_delivery_of_what_was_found_is_no_second_event() {
    let push = |before: &str, after: &str| {
        Happening::Push(Push {
            reference: "refs/heads/main".to_owned(),
            before: before.to_owned(),
            after: after.to_owned(),
            ..Push::default()
        })
    };
    let at = |commit: &str| Refs::from([("refs/heads/main".to_owned(), commit.to_owned())]);
    let mut known = KnownRefs::default();
    assert!(compare(&mut known, &at("a")).is_empty());
    assert_eq!(compare(&mut known, &at("c")).len(), 1);
    assert!(admit(&mut known, &push("c", "d")).is_told());
    assert!(admit(&mut known, &push("a", "b")).is_told());
    assert!(!admit(&mut known, &push("b", "c")).is_told());
    // Once forgotten it is a change again: somebody went back.
    assert!(admit(&mut known, &push("d", "c")).is_told());
}

/// A repository does not change twice in the same way: the second is told by another hook. There and back again is three changes.
#[test]
fn the_same_change_of_a_repository_is_told_once() {
    let renamed = |before: &str, after: &str| {
        Happening::RepositoryChanged(RepositoryChanged {
            kind: RepositoryChange::Renamed,
            before: before.to_owned(),
            after: after.to_owned(),
        })
    };
    let (there, back) = (renamed("acme/a", "acme/b"), renamed("acme/b", "acme/a"));
    let mut known = KnownRefs::default();
    let all = [there.clone(), there.clone(), back, there.clone(), there];
    let told: Vec<_> = told(&mut known, &all)
        .iter()
        .map(|one| one.is_told())
        .collect();
    assert_eq!(told, [true, false, true, true, false]);
}
