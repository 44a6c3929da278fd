//! Which events a change is

use bindery_twins::hooks::{Change, Push, RefChange};
use serde_json::Value;

use super::super::Inner;
use super::super::world::Repo;
use super::payload;

/// More tags in one push than this are told to nobody, as `push`, `create` or `delete`
const TAGS: usize = 3;
/// More branches in one push than this are told to nobody
const BRANCHES: usize = 5_000;

/// What a hook that is for it is told
pub(super) struct Event {
    pub(super) name: &'static str,
    pub(super) action: Option<&'static str>,
    pub(super) payload: Value,
}

/// All that a change is, in the order in which it is told; the repository is as it is after the change
pub(super) fn events(inner: &Inner, repo: &Repo, change: &Change) -> Vec<Event> {
    let world = inner.world();
    match change {
        Change::Push(push) => {
            let told = told(push);
            let events = told.flat_map(|one| {
                let pushed = event("push", payload::push(inner, &world, repo, push, one));
                let second = match (&one.before, &one.after) {
                    (None, Some(_)) => Some("create"),
                    (Some(_), None) => Some("delete"),
                    _ => None,
                };
                let second = second.map(|name| {
                    event(
                        name,
                        payload::second(inner, &world, repo, push, (name, one)),
                    )
                });
                std::iter::once(pushed).chain(second)
            });
            events.collect()
        }
        Change::Renamed { by, .. } => {
            let changes = payload::name_change(repo);
            about("renamed", payload::about(inner, &world, repo, *by, changes))
        }
        Change::Transferred { by, .. } => {
            let changes = payload::owner_change(inner, &world, repo);
            about(
                "transferred",
                payload::about(inner, &world, repo, *by, changes),
            )
        }
        Change::Deleted { by, .. } => about(
            "deleted",
            payload::about(inner, &world, repo, *by, Value::Null),
        ),
    }
}

/// One push is not told where it has too many tags or branches: of one kind or of the other
fn told(push: &Push) -> impl Iterator<Item = &RefChange> {
    let tags = push.refs.iter().filter(|one| one.is_tag()).count();
    let branches = push.refs.len() - tags;
    push.refs.iter().filter(move |one| match one.is_tag() {
        true => tags <= TAGS,
        false => branches <= BRANCHES,
    })
}

const fn event(name: &'static str, payload: Value) -> Event {
    Event {
        name,
        action: None,
        payload,
    }
}

fn about(action: &'static str, mut payload: Value) -> Vec<Event> {
    payload["action"] = action.into();
    vec![Event {
        name: "repository",
        action: Some(action),
        payload,
    }]
}
