//! Bodies of deliveries, with all the keys that recorded ones have

use bindery_twins::hooks::{Commit, Hook, Push, RefChange, Target};
use serde_json::{Value, json};

use super::super::world::{Repo, World};
use super::super::{Inner, json};
use super::value;

const ZEN: &str = "Non-blocking is better than blocking.";
/// A push that brings more commits names the last ones of them
const COMMITS: usize = 2_048;

/// What is the same in all of them
fn common(inner: &Inner, world: &World, repo: &Repo, by: u64) -> Value {
    let mut value = json!({
        "repository": repository(inner, world, repo),
        "sender": sender(inner, world, repo, by),
    });
    if let Some(org) = world.org(&repo.owner) {
        value["organization"] = json::org(inner, org);
    }
    value
}

fn repository(inner: &Inner, world: &World, repo: &Repo) -> Value {
    let mut value = json::repo(inner, world, repo, None);
    value["custom_properties"] = json!({});
    value
}

fn sender(inner: &Inner, world: &World, repo: &Repo, by: u64) -> Value {
    let person = world.users.iter().find(|user| user.id == by);
    person.map_or_else(
        || json::account_of(inner, world, &repo.owner),
        |user| json::user(inner, user),
    )
}

pub(super) fn ping(inner: &Inner, world: &World, repo: &Repo, hook: &Hook) -> Value {
    let mut value = common(inner, world, repo, hook.creator);
    value["zen"] = ZEN.into();
    value["hook_id"] = hook.id.into();
    value["hook"] = value::hook(inner, repo, hook);
    value
}

pub(super) fn push(
    inner: &Inner,
    world: &World,
    repo: &Repo,
    push: &Push,
    one: &RefChange,
) -> Value {
    let mut value = common(inner, world, repo, push.by);
    let sender = value["sender"]["login"].clone();
    as_pushes_have_it(inner, repo, &mut value);
    let list = one.commits.iter().filter(|_| !one.is_tag());
    let skipped = one.commits.len().saturating_sub(COMMITS);
    let list = list
        .skip(skipped)
        .map(|commit| self::commit(inner, repo, commit));
    let head = one
        .after
        .as_ref()
        .map(|after| head(inner, repo, one, after));
    let more = json!({
        "ref": one.name,
        "before": one.before(),
        "after": one.after(),
        "created": one.before.is_none(),
        "deleted": one.after.is_none(),
        "forced": one.forced,
        "base_ref": base(world, repo, one),
        "compare": compare(inner, repo, one),
        "commits": list.collect::<Vec<_>>(),
        "head_commit": head,
        "pusher": {"name": sender, "email": format!("{}@users.example", sender.as_str().unwrap_or_default())},
    });
    extend(&mut value, more);
    value
}

/// In pushes a repository is written in an older way
fn as_pushes_have_it(inner: &Inner, repo: &Repo, value: &mut Value) {
    let repository = &mut value["repository"];
    repository["created_at"] = repo.created.into();
    repository["pushed_at"] = inner.now().into();
    repository["url"] = repository["html_url"].clone();
    repository["stargazers"] = 0.into();
    repository["master_branch"] = "main".into();
    repository["owner"]["name"] = repo.owner.clone().into();
    repository["owner"]["email"] = format!("{}@users.example", repo.owner).into();
    if !value["organization"].is_null() {
        value["repository"]["organization"] = repo.owner.clone().into();
    }
}

/// The branch that a new branch or tag begins at
fn base(world: &World, repo: &Repo, one: &RefChange) -> Option<String> {
    let after = one.after.as_ref().filter(|_| one.before.is_none())?;
    let refs = world.refs.get(&repo.id)?;
    let mut heads = refs.iter().filter(|found| found.name != one.name);
    let base =
        heads.find(|found| found.name.starts_with("refs/heads/") && found.commit == after.commit);
    base.map(|found| found.name.clone())
}

fn compare(inner: &Inner, repo: &Repo, one: &RefChange) -> String {
    let base = format!("{}/{}/compare", inner.web, repo.full_name());
    let short = |hash: &str| hash.get(..12).unwrap_or(hash).to_owned();
    match (&one.before, &one.after) {
        (None, _) => format!("{base}/{}", one.short()),
        (Some(before), None) => format!("{base}/{}^...000000000000", short(&before.commit)),
        (Some(before), Some(after)) => {
            format!(
                "{base}/{}...{}",
                short(&before.commit),
                short(&after.commit)
            )
        }
    }
}

/// The commit that is there now, also behind an annotated tag
fn head(inner: &Inner, repo: &Repo, one: &RefChange, after: &Target) -> Value {
    let told = one.commits.iter().find(|commit| commit.id == after.commit);
    let told = told.cloned().or_else(|| {
        let found = inner.repositories.commit_of(repo.id, &after.commit);
        found.ok().flatten()
    });
    let commit = told.unwrap_or_else(|| Commit {
        id: after.commit.clone(),
        ..Commit::default()
    });
    self::commit(inner, repo, &commit)
}

fn commit(inner: &Inner, repo: &Repo, commit: &Commit) -> Value {
    let person = json!({
        "name": commit.author, "email": commit.email, "username": commit.author,
    });
    json!({
        "id": commit.id,
        // Nothing looks at trees, so a commit stands for its own.
        "tree_id": commit.id,
        "distinct": true,
        "message": commit.message,
        "timestamp": value::time(commit.at_ms),
        "url": format!("{}/{}/commit/{}", inner.web, repo.full_name(), commit.id),
        "author": person,
        "committer": person,
        "added": commit.added,
        "removed": commit.removed,
        "modified": commit.modified,
    })
}

/// `create` or `delete`, whose `ref` is the short name
pub(super) fn second(
    inner: &Inner,
    world: &World,
    repo: &Repo,
    push: &Push,
    (name, one): (&str, &RefChange),
) -> Value {
    let mut value = common(inner, world, repo, push.by);
    let more = json!({
        "ref": one.short(),
        "ref_type": if one.is_tag() { "tag" } else { "branch" },
        "pusher_type": "user",
    });
    extend(&mut value, more);
    if name == "create" {
        extend(
            &mut value,
            json!({"master_branch": "main", "description": null}),
        );
    }
    value
}

/// `repository`, but for its action
pub(super) fn about(inner: &Inner, world: &World, repo: &Repo, by: u64, changes: Value) -> Value {
    let mut value = common(inner, world, repo, by);
    if !changes.is_null() {
        value["changes"] = changes;
    }
    value
}

pub(super) fn name_change(repo: &Repo) -> Value {
    let from = repo.former.last().map(|(_, name)| name);
    json!({"repository": {"name": {"from": from}}})
}

pub(super) fn owner_change(inner: &Inner, world: &World, repo: &Repo) -> Value {
    let from = repo.former.last().map_or("", |(owner, _)| owner.as_str());
    let kind = if world.org(from).is_some() {
        "organization"
    } else {
        "user"
    };
    json!({"owner": {"from": {kind: json::account_of(inner, world, from)}}})
}

fn extend(value: &mut Value, more: Value) {
    if let (Value::Object(value), Value::Object(more)) = (value, more) {
        value.extend(more);
    }
}
