//! Recorded hooks and deliveries of real forges: what they have, the twins' have.

use std::path::Path;

use bindery_twins::hooks::{Commit, Delivery, RefChange, Target};
use serde_json::Value;

use crate::{
    corpus::{corpus, covers},
    gitlab_hooks,
    scene::COMMIT,
};

pub(crate) const BEFORE: &str = "1f2e3d4c5b6a79881f2e3d4c5b6a79881f2e3d4c";

fn recorded(corpus: &Path, name: &str) -> Value {
    let text = std::fs::read(corpus.join(name)).expect("a recorded one");
    serde_json::from_slice(&text).expect("JSON")
}

fn told(due: &[Delivery]) -> Value {
    serde_json::from_slice(&due[0].request.body).expect("JSON")
}

/// A push of one commit to the main branch
fn pushed() -> RefChange {
    let mut change = RefChange::updated("refs/heads/main", BEFORE, COMMIT);
    change.commits.push(Commit {
        id: COMMIT.to_owned(),
        parent: BEFORE.to_owned(),
        message: "fixed readme\n".to_owned(),
        author: "octo".to_owned(),
        email: "octo@example.com".to_owned(),
        added: vec!["CHANGELOG".to_owned()],
        modified: vec!["README.md".to_owned()],
        removed: vec!["old".to_owned()],
        ..Commit::default()
    });
    change
}

/// A tag on that commit
fn tagged() -> RefChange {
    RefChange {
        name: "refs/tags/v2.0.0".to_owned(),
        before: None,
        after: Some(Target::commit(COMMIT)),
        forced: false,
        commits: pushed().commits,
    }
}

fn removed(name: &str) -> RefChange {
    RefChange::deleted(name, Target::commit(COMMIT))
}

/// GitLab's hooks and deliveries have what recorded ones have.
#[test]
fn gitlab_tells_what_was_recorded() {
    let Some(corpus) = corpus() else { return };
    let mut hooked = gitlab_hooks::Hooked::new();
    let _id = hooked.hook();
    let mut missing = Vec::new();
    let list = hooked.api("GET", "", &Value::Null).value();
    let known = recorded(&corpus, "gitlab/api/go-scm.hooks.json");
    covers(&list, &known, "hooks", &mut missing);
    let schema = recorded(&corpus, "gitlab/openapi/schema.project_hook.json");
    for name in schema["required"].as_array().expect("a list") {
        let name = name.as_str().expect("a name");
        assert!(list[0].get(name).is_some(), "no {name}");
    }
    let cases = [
        ("go-gitlab.push", pushed()),
        ("woodpecker.HookPush", pushed()),
        ("go-gitlab.tag_push", tagged()),
        ("woodpecker.HookTag", tagged()),
        ("go-scm.tag_delete_subgroup", removed("refs/tags/v2.0.0")),
        ("go-scm.branch_delete", removed("refs/heads/old")),
    ];
    for (name, change) in cases {
        let due = hooked.push(vec![change]);
        let known = recorded(&corpus, &format!("gitlab/webhooks/{name}.json"));
        covers(&told(&due), &known, name, &mut missing);
    }
    assert!(missing.is_empty(), "{missing:#?}");
}
