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

/// An organization where the API writes a user, as it does of an owner
fn organization_as_user(web: &str, group: &Group) -> Value {
    json!({
        "id": group.id,
        "login": group.path,
        "full_name": group.name,
        "email": "",
        "avatar_url": format!("{web}/user/avatar/{}/-1", group.path),
        "html_url": format!("{web}/{}", group.path),
        "language": "",
        "is_admin": false,
        "last_login": time::rfc3339(0),
        "created": time::rfc3339(group.created),
        "restricted": false,
        "active": false,
        "prohibit_login": false,
        "username": group.path,
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
    let mut value = json!({
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
    });
    if let (Some(value), Value::Object(usual)) = (value.as_object_mut(), usual_settings()) {
        value.extend(usual);
    }
    value
}

/// What a repository has that nobody has changed anything of
fn usual_settings() -> Value {
    json!({
        "template": false, "parent": null, "size": 27, "original_url": "", "website": "",
        "stars_count": 0, "forks_count": 0, "watchers_count": 1, "open_issues_count": 0,
        "open_pr_counter": 0, "release_counter": 0, "has_issues": true,
        "internal_tracker": {
            "enable_time_tracker": true, "allow_only_contributors_to_track_time": true,
            "enable_issue_dependencies": true,
        },
        "has_wiki": true, "has_pull_requests": true, "has_projects": true,
        "ignore_whitespace_conflicts": false, "allow_merge_commits": true,
        "allow_rebase": true, "allow_rebase_explicit": true, "allow_squash_merge": true,
        "default_merge_style": "merge", "avatar_url": "", "internal": false, "mirror_interval": "",
    })
}

fn owner(web: &str, world: &World, owner: Owner) -> Value {
    let value = match owner {
        Owner::Person(id) => world.people.get(&id).map(|found| person(web, found)),
        Owner::Group(id) => world
            .groups
            .get(&id)
            .map(|found| organization_as_user(web, found)),
    };
    value.unwrap_or_default()
}

pub(super) fn branches(web: &str, world: &World, found: &Repository) -> Vec<Value> {
    let home = format!("{web}/{}", world.full_path(found));
    let author = json!({"name": "octo", "email": "octo@example.com", "username": "octo"});
    let value = |one: &Ref| {
        let name = one.name.strip_prefix("refs/heads/")?;
        Some(json!({
            "name": name,
            "commit": {
                "id": one.commit,
                "message": "a commit\n",
                "url": format!("{home}/commit/{}", one.commit),
                "author": author,
                "committer": author,
                "verification": {
                    "verified": false,
                    "reason": "gpg.error.not_signed_commit",
                    "signature": "",
                    "signer": null,
                    "payload": "",
                },
                "timestamp": time::rfc3339(found.created),
                "added": null,
                "removed": null,
                "modified": null,
            },
            "protected": false,
            "required_approvals": 0,
            "enable_status_check": false,
            "status_check_contexts": [],
            "user_can_push": true,
            "user_can_merge": true,
            "effective_branch_protection_name": "",
        }))
    };
    found.refs.iter().filter_map(value).collect()
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
