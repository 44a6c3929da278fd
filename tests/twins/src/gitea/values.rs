//! People, organizations, repositories and refs as the API writes them

use serde_json::{Value, json};

use crate::{
    time,
    world::{Group, Owner, Person, Ref, Repository, Role, World},
};

pub(super) fn person(web: &str, person: &Person) -> Value {
    json!({
        "id": person.id,
        "login": person.login,
        "full_name": person.name,
        "email": person.email,
        "avatar_url": format!("{web}/user/avatar/{}/-1", person.login),
        "html_url": format!("{web}/{}", person.login),
        "language": "en-US",
        "is_admin": false,
        "last_login": time::rfc3339(person.created),
        "created": time::rfc3339(person.created),
        "restricted": false,
        "active": true,
        "prohibit_login": person.suspended,
        "username": person.login,
    })
}

pub(super) fn organization(web: &str, group: &Group) -> Value {
    json!({
        "id": group.id,
        "name": group.path,
        "username": group.path,
        "full_name": group.name,
        "avatar_url": format!("{web}/user/avatar/{}/-1", group.path),
        "description": "",
        "website": "",
        "location": "",
        "visibility": "public",
        "repo_admin_change_team_access": false,
    })
}

pub(super) fn repository(web: &str, world: &World, caller: u64, found: &Repository) -> Value {
    let path = world.full_path(found);
    let role = world.role(caller, found);
    json!({
        "id": found.id,
        "owner": owner(web, world, found.owner),
        "name": found.path,
        "full_name": path,
        "description": "",
        "empty": found.refs.is_empty(),
        "private": found.private,
        "fork": false,
        "mirror": false,
        "html_url": format!("{web}/{path}"),
        "ssh_url": format!("git@gitea.example.com:{path}.git"),
        "clone_url": format!("{web}/{path}.git"),
        "default_branch": found.default_branch,
        "archived": found.archived,
        "created_at": time::rfc3339(found.created),
        "updated_at": time::rfc3339(found.created),
        "permissions": {
            "admin": role >= Some(Role::Admin),
            "push": role >= Some(Role::Write),
            "pull": role >= Some(Role::Read) || !found.private,
        },
    })
}

fn owner(web: &str, world: &World, owner: Owner) -> Value {
    let path = world.owner_path(owner);
    let (Owner::Person(id) | Owner::Group(id)) = owner;
    json!({
        "id": id,
        "login": path,
        "full_name": "",
        "email": "",
        "avatar_url": format!("{web}/user/avatar/{path}/-1"),
        "username": path,
    })
}

pub(super) fn branches(found: &Repository) -> Vec<Value> {
    let named = found.refs.iter().filter_map(|one| {
        let name = one.name.strip_prefix("refs/heads/")?;
        Some(json!({
            "name": name,
            "commit": {"id": one.commit, "message": "a commit", "timestamp": time::rfc3339(found.created)},
            "protected": false,
        }))
    });
    named.collect()
}

/// `id` is the tag object of an annotated tag, `commit` what it points to
pub(super) fn tags(found: &Repository) -> Vec<Value> {
    let value = |one: &Ref| {
        let name = one.name.strip_prefix("refs/tags/")?;
        let id = one.tag_object.as_ref().unwrap_or(&one.commit);
        Some(json!({
            "name": name,
            "id": id,
            "commit": {"sha": one.commit, "url": "", "created": time::rfc3339(found.created)},
        }))
    };
    found.refs.iter().filter_map(value).collect()
}
