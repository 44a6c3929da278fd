//! People, organizations, repositories and refs as the API writes them

use serde_json::{Value, json};

use crate::{
    time,
    world::{Group, Owner, Person, Repository, Role, World},
};

pub(super) fn person(web: &str, person: &Person) -> Value {
    let api = format!("{web}/api/v5/users/{}", person.login);
    json!({
        "id": person.id,
        "login": person.login,
        "name": person.name,
        "avatar_url": format!("{web}/assets/no_portrait.png"),
        "url": api,
        "html_url": format!("{web}/{}", person.login),
        "remark": "",
        "followers_url": format!("{api}/followers"),
        "following_url": format!("{api}/following_url{{/other_user}}"),
        "gists_url": format!("{api}/gists{{/gist_id}}"),
        "starred_url": format!("{api}/starred{{/owner}}{{/repo}}"),
        "subscriptions_url": format!("{api}/subscriptions"),
        "organizations_url": format!("{api}/orgs"),
        "repos_url": format!("{api}/repos"),
        "events_url": format!("{api}/events"),
        "received_events_url": format!("{api}/received_events"),
        "type": "User",
    })
}

pub(super) fn organization(web: &str, group: &Group) -> Value {
    let api = format!("{web}/api/v5/orgs/{}", group.path);
    json!({
        "id": group.id,
        "login": group.path,
        "name": group.name,
        "url": api,
        "avatar_url": format!("{web}/assets/no_portrait.png"),
        "repos_url": format!("{api}/repos"),
        "events_url": format!("{api}/events"),
        "members_url": format!("{api}/members{{/member}}"),
        "description": "",
        "follow_count": 0,
    })
}

pub(super) fn membership(web: &str, group: &Group, who: &Person, role: Role) -> Value {
    let api = format!("{web}/api/v5/orgs/{}", group.path);
    json!({
        "url": format!("{api}/memberships/{}", who.login),
        "active": true,
        "remark": null,
        "role": if role >= Role::Admin { "admin" } else { "member" },
        "organization_url": api,
        "organization": organization(web, group),
        "user": person(web, who),
    })
}

/// `html_url` is the clone URL, and `name` is for people
pub(super) fn repository(web: &str, world: &World, caller: u64, found: &Repository) -> Value {
    let path = world.full_path(found);
    let api = format!("{web}/api/v5/repos/{path}");
    let role = world.role(caller, found);
    json!({
        "id": found.id,
        "full_name": path,
        "human_name": format!("{}/{}", world.owner_path(found.owner), found.name),
        "url": api,
        "namespace": namespace(web, world, found.owner),
        "path": found.path,
        "name": found.name,
        "description": "",
        "private": found.private,
        "public": !found.private,
        "internal": false,
        "fork": false,
        "html_url": format!("{web}/{path}.git"),
        "ssh_url": format!("git@gitee.example.com:{path}.git"),
        "hooks_url": format!("{api}/hooks"),
        "default_branch": found.default_branch,
        "created_at": time::rfc3339(found.created),
        "permission": {
            "pull": role >= Some(Role::Read) || !found.private,
            "push": role >= Some(Role::Write),
            "admin": role >= Some(Role::Admin),
        },
        "relation": if role >= Some(Role::Owner) { "master" } else { "developer" },
        "status": if found.archived { "关闭" } else { "开始" },
        "empty_repo": found.refs.is_empty(),
        "enterprise": null,
    })
}

fn namespace(web: &str, world: &World, owner: Owner) -> Value {
    let path = world.owner_path(owner);
    let (id, kind) = match owner {
        Owner::Person(id) => (id, "personal"),
        Owner::Group(id) => (id, "group"),
    };
    json!({
        "id": id,
        "type": kind,
        "name": path,
        "path": path,
        "html_url": format!("{web}/{path}"),
    })
}

pub(super) fn branches(found: &Repository) -> Vec<Value> {
    let named = named(found, "refs/heads/");
    let value = |(name, commit): (&str, &str)| {
        json!({
            "name": name,
            "commit": {"sha": commit, "url": ""},
            "protected": name == found.default_branch,
            "protection_url": "",
        })
    };
    named.map(value).collect()
}

/// Of an annotated tag, the commit: Gitee peels it
pub(super) fn tags(found: &Repository) -> Vec<Value> {
    let date = time::rfc3339(found.created);
    let value = |(name, commit): (&str, &str)| json!({"name": name, "message": "", "commit": {"sha": commit, "date": date}});
    named(found, "refs/tags/").map(value).collect()
}

fn named<'a>(found: &'a Repository, folder: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let refs = found.refs.iter();
    refs.filter_map(move |one| Some((one.name.strip_prefix(folder)?, one.commit.as_str())))
}
