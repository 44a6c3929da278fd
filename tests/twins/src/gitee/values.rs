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

pub(super) fn enterprise(web: &str, group: &Group) -> Value {
    json!({
        "id": group.id,
        "path": group.path,
        "name": group.name,
        "url": format!("{web}/api/v5/enterprises/{}", group.path),
        "avatar_url": format!("{web}/assets/no_portrait.png"),
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
    let keeper = world.keeper(found).and_then(|id| world.people.get(&id));
    let keeper = keeper.map(|keeper| person(web, keeper));
    let mut value = json!({
        "id": found.id,
        "full_name": path,
        "human_name": format!("{}/{}", world.owner_path(found.owner), found.name),
        "url": api,
        "namespace": namespace(web, world, found.owner),
        "path": found.path,
        "name": found.name,
        "owner": keeper,
        "assigner": keeper,
        "description": "",
        "private": found.private,
        "public": !found.private,
        "internal": false,
        "fork": false,
        "html_url": format!("{web}/{path}.git"),
        "ssh_url": format!("git@gitee.example.com:{path}.git"),
        "homepage": format!("{web}/{path}"),
        "default_branch": found.default_branch,
        "project_creator": keeper.as_ref().map(|keeper| keeper["login"].clone()),
        "members": keeper.iter().map(|keeper| keeper["login"].clone()).collect::<Vec<_>>(),
        "permission": {
            "pull": role >= Some(Role::Read) || !found.private,
            "push": role >= Some(Role::Write),
            "admin": role >= Some(Role::Admin),
        },
        "relation": if role >= Some(Role::Owner) { "master" } else { "developer" },
        "assignee": [keeper],
        "testers": [keeper],
        "status": if found.archived { "关闭" } else { "开始" },
        "empty_repo": found.refs.is_empty(),
    });
    for (name, path) in BELOW {
        value[format!("{name}_url")] = format!("{api}/{path}").into();
    }
    for name in ["created_at", "updated_at", "pushed_at"] {
        value[name] = time::rfc3339(found.created).into();
    }
    if let (Some(value), Value::Object(usual)) = (value.as_object_mut(), usual_settings()) {
        value.extend(usual);
    }
    value
}

/// What is below a repository: the name of the member, and its path
const BELOW: [(&str, &str); 18] = [
    ("blobs", "blobs{/sha}"),
    ("branches", "branches{/branch}"),
    ("collaborators", "collaborators{/collaborator}"),
    ("comments", "comments{/number}"),
    ("commits", "commits{/sha}"),
    ("contributors", "contributors"),
    ("forks", "forks"),
    ("hooks", "hooks"),
    ("issue_comment", "issues/comments{/number}"),
    ("issues", "issues{/number}"),
    ("keys", "keys{/key_id}"),
    ("labels", "labels{/name}"),
    ("milestones", "milestones{/number}"),
    ("notifications", "notifications{?since,all,participating}"),
    ("pulls", "pulls{/number}"),
    ("releases", "releases{/id}"),
    ("stargazers", "stargazers"),
    ("tags", "tags"),
];

/// What a repository has that nobody has changed anything of
fn usual_settings() -> Value {
    json!({
        "recommend": false, "gvp": false, "language": null, "forks_count": 0, "stargazers_count": 0,
        "watchers_count": 1, "open_issues_count": 0, "has_issues": true, "has_wiki": true,
        "issue_comment": false, "can_comment": true, "pull_requests_enabled": true,
        "has_page": false, "license": null, "outsourced": false, "parent": null, "paas": null,
        "stared": false, "watched": true, "assignees_number": 1, "testers_number": 1,
        "programs": [], "enterprise": null,
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
    let value = |(name, commit): (&str, &str)| {
        json!({
            "name": name,
            "commit": {"sha": commit, "url": ""},
            "protected": name == found.default_branch,
            "protection_url": "",
        })
    };
    named(found, "refs/heads/").map(value).collect()
}

/// One branch, with its commit as it is, and that whole
pub(super) fn branch(web: &str, world: &World, found: &Repository, name: &str) -> Option<Value> {
    let path = world.full_path(found);
    let api = format!("{web}/api/v5/repos/{path}");
    let (_, sha) = named(found, "refs/heads/").find(|(known, _)| *known == name)?;
    let keeper = world.people.get(&world.keeper(found)?)?;
    let short = json!({
        "id": keeper.id, "login": keeper.login, "avatar_url": format!("{web}/assets/no_portrait.png"),
        "url": format!("{web}/api/v5/users/{}", keeper.login),
    });
    let at = time::rfc3339(found.created);
    let signed = json!({"name": keeper.name, "date": at, "email": keeper.email});
    let commit = json!({
        "author": signed, "committer": signed, "message": "a commit\n",
        "url": format!("{api}/git/commits/{sha}"),
        "tree": {"sha": sha, "url": format!("{api}/git/trees/{sha}")},
    });
    let self_url = format!("{api}/branches/{name}");
    Some(json!({
        "name": name,
        "commit": {
            "sha": sha, "url": format!("{api}/commits/{sha}"), "commit": commit,
            "author": short, "committer": short,
            "parents": [{"sha": sha, "url": format!("{api}/commits/{sha}")}],
        },
        "_links": {"html": format!("{web}/{path}/tree/{name}"), "self": self_url},
        "protected": name == found.default_branch,
        "protection_url": format!("{self_url}/protection"),
    }))
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
