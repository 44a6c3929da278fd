//! What the API says about things, with all the keys that GitHub's own answers have

use data_encoding::BASE64;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Inner;
use super::seed::{Permission, Role};
use super::world::{Org, Repo, Token, User, World};
use crate::repositories::Ref;

/// A repository's URLs: the key, and what follows the repository's own URL
const REPO_URLS: [(&str, &str); 35] = [
    ("forks_url", "/forks"),
    ("keys_url", "/keys{/key_id}"),
    ("collaborators_url", "/collaborators{/collaborator}"),
    ("teams_url", "/teams"),
    ("hooks_url", "/hooks"),
    ("issue_events_url", "/issues/events{/number}"),
    ("events_url", "/events"),
    ("assignees_url", "/assignees{/user}"),
    ("branches_url", "/branches{/branch}"),
    ("tags_url", "/tags"),
    ("blobs_url", "/git/blobs{/sha}"),
    ("git_tags_url", "/git/tags{/sha}"),
    ("git_refs_url", "/git/refs{/sha}"),
    ("trees_url", "/git/trees{/sha}"),
    ("statuses_url", "/statuses/{sha}"),
    ("languages_url", "/languages"),
    ("stargazers_url", "/stargazers"),
    ("contributors_url", "/contributors"),
    ("subscribers_url", "/subscribers"),
    ("subscription_url", "/subscription"),
    ("commits_url", "/commits{/sha}"),
    ("git_commits_url", "/git/commits{/sha}"),
    ("comments_url", "/comments{/number}"),
    ("issue_comment_url", "/issues/comments{/number}"),
    ("contents_url", "/contents/{+path}"),
    ("compare_url", "/compare/{base}...{head}"),
    ("merges_url", "/merges"),
    ("archive_url", "/{archive_format}{/ref}"),
    ("downloads_url", "/downloads"),
    ("issues_url", "/issues{/number}"),
    ("pulls_url", "/pulls{/number}"),
    ("milestones_url", "/milestones{/number}"),
    ("labels_url", "/labels{/name}"),
    ("releases_url", "/releases{/id}"),
    ("deployments_url", "/deployments"),
];

/// An account's URLs: the key, and what follows the account's own URL
const USER_URLS: [(&str, &str); 9] = [
    ("followers_url", "/followers"),
    ("following_url", "/following{/other_user}"),
    ("gists_url", "/gists{/gist_id}"),
    ("starred_url", "/starred{/owner}{/repo}"),
    ("subscriptions_url", "/subscriptions"),
    ("organizations_url", "/orgs"),
    ("repos_url", "/repos"),
    ("events_url", "/events{/privacy}"),
    ("received_events_url", "/received_events"),
];

const ORG_URLS: [(&str, &str); 6] = [
    ("repos_url", "/repos"),
    ("events_url", "/events"),
    ("hooks_url", "/hooks"),
    ("issues_url", "/issues"),
    ("members_url", "/members{/member}"),
    ("public_members_url", "/public_members{/member}"),
];

/// A time as the API writes it
pub(super) fn time(seconds: i64) -> String {
    let time = Timestamp::from_second(seconds).unwrap_or_default();
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A person, as others' answers mention them
pub(super) fn user(inner: &Inner, user: &User) -> Value {
    account(inner, &user.login, user.id, "User")
}

/// A person in an answer of their own; `private` is for whoever may read the profile
pub(super) fn user_full(inner: &Inner, world: &World, user: &User, private: bool) -> Value {
    let mut json = self::user(inner, user);
    let owned = |private| {
        let repos = world.repos.iter();
        repos
            .filter(|repo| repo.owner == user.login && repo.private == private)
            .count()
    };
    extend(
        &mut json,
        json!({
            "name": user.name, "company": null, "blog": "", "location": null,
            "email": format!("{}@users.example", user.login), "hireable": null, "bio": null,
            "twitter_username": null, "notification_email": null, "public_repos": owned(false),
            "public_gists": 0, "followers": 0, "following": 0,
            "created_at": time(user.created), "updated_at": time(user.created),
        }),
    );
    if private {
        extend(
            &mut json,
            json!({
                "private_gists": 0, "total_private_repos": owned(true),
                "owned_private_repos": owned(true), "disk_usage": 0, "collaborators": 0,
                "two_factor_authentication": true,
                "plan": { "name": "free", "space": 976_562_499, "collaborators": 0,
                    "private_repos": 10_000 },
            }),
        );
    }
    json
}

/// An organization, as lists have it
pub(super) fn org(inner: &Inner, org: &Org) -> Value {
    let url = format!("{}/orgs/{}", inner.api, org.login);
    let mut json = json!({
        "login": org.login, "id": org.id, "node_id": node_id("Organization", org.id),
        "url": url, "avatar_url": avatar(inner, org.id), "description": null,
    });
    add_urls(&mut json, &url, &ORG_URLS);
    json
}

/// What a person is in an organization
pub(super) fn membership(inner: &Inner, org: &Org, user: &User, role: Role) -> Value {
    let organization = self::org(inner, org);
    let url = &organization["url"];
    json!({
        "url": format!("{}/orgs/{}/memberships/{}", inner.api, org.login, user.login),
        "state": "active", "role": if role == Role::Owner { "admin" } else { "member" },
        "organization_url": url, "organization": organization, "user": self::user(inner, user),
    })
}

/// An organization in an answer of its own
pub(super) fn org_full(inner: &Inner, world: &World, org: &Org) -> Value {
    let mut json = self::org(inner, org);
    let repos = world.repos.iter();
    let public = repos
        .filter(|repo| repo.owner == org.login && !repo.private)
        .count();
    extend(
        &mut json,
        json!({
            "name": org.login, "company": org.login, "blog": "", "location": "London",
            "email": format!("{}@users.example", org.login),
            "is_verified": false, "has_organization_projects": true,
            "has_repository_projects": true, "public_repos": public, "public_gists": 0,
            "followers": 0, "following": 0, "html_url": format!("{}/{}", inner.web, org.login),
            "created_at": time(org.created), "updated_at": time(org.created),
            "archived_at": null, "type": "Organization",
        }),
    );
    json
}

/// A repository, as lists have it
pub(super) fn repo(inner: &Inner, world: &World, repo: &Repo, token: Option<&Token>) -> Value {
    let full_name = repo.full_name();
    let (api, web) = (&inner.api, &inner.web);
    let url = format!("{api}/repos/{full_name}");
    let html = format!("{web}/{full_name}");
    let host = web.split_once("://").map_or("", |(_, host)| host);
    let mut json = json!({
        "id": repo.id, "node_id": node_id("Repository", repo.id), "name": repo.name,
        "full_name": full_name, "private": repo.private, "owner": owner(inner, world, repo),
        "html_url": html, "description": null, "fork": false, "url": url,
        "notifications_url": format!("{url}/notifications{{?since,all,participating}}"),
        "created_at": time(repo.created), "updated_at": time(repo.created),
        "pushed_at": time(repo.created), "git_url": format!("git://{host}/{full_name}.git"),
        "ssh_url": format!("git@{host}:{full_name}.git"), "clone_url": format!("{html}.git"),
        "svn_url": html, "default_branch": "main", "archived": repo.archived,
        "visibility": if repo.private { "private" } else { "public" },
    });
    extend(&mut json, quiet_repo());
    add_urls(&mut json, &url, &REPO_URLS);
    if let Some(token) = token {
        json["permissions"] = permissions(world.reach(token, repo), repo.private);
    }
    json
}

/// What the API says about a repository that nobody has done anything with
fn quiet_repo() -> Value {
    json!({
        "homepage": null, "size": 0, "stargazers_count": 0,
        "watchers_count": 0, "language": null, "has_issues": true, "has_projects": true,
        "has_downloads": true, "has_wiki": true, "has_pages": false, "has_discussions": false,
        "forks_count": 0, "mirror_url": null, "disabled": false,
        "open_issues_count": 0, "license": null, "allow_forking": true, "is_template": false,
        "web_commit_signoff_required": false, "topics": [],
        "forks": 0, "open_issues": 0, "watchers": 0,
    })
}

/// A repository in an answer of its own
pub(super) fn repo_full(inner: &Inner, world: &World, repo: &Repo, token: Option<&Token>) -> Value {
    let mut json = self::repo(inner, world, repo, token);
    extend(
        &mut json,
        json!({
            "temp_clone_token": "", "allow_squash_merge": true, "allow_merge_commit": true,
            "allow_rebase_merge": true, "allow_auto_merge": false,
            "delete_branch_on_merge": false, "allow_update_branch": false,
            "use_squash_pr_title_as_default": false, "network_count": 0, "subscribers_count": 0,
        }),
    );
    if world.org(&repo.owner).is_some() {
        json["organization"] = owner(inner, world, repo);
    }
    json
}

/// A branch, as lists have it
pub(super) fn branch(inner: &Inner, repo: &Repo, found: &Ref) -> Value {
    let url = format!(
        "{}/repos/{}/commits/{}",
        inner.api,
        repo.full_name(),
        found.commit
    );
    json!({
        "name": found.short(), "commit": { "sha": found.commit, "url": url }, "protected": false,
    })
}

/// A branch in an answer of its own
pub(super) fn branch_full(inner: &Inner, repo: &Repo, found: &Ref) -> Value {
    let base = format!("{}/repos/{}", inner.api, repo.full_name());
    let html = format!("{}/{}", inner.web, repo.full_name());
    let mut json = branch(inner, repo, found);
    let own = format!("{base}/branches/{}", found.short());
    let commit = &found.commit;
    let person = json!({ "name": "Stand-in", "email": "git@users.example",
        "date": time(repo.created) });
    json["commit"] = json!({
        "sha": commit, "node_id": node_id("Commit", repo.id),
        "url": format!("{base}/commits/{commit}"),
        "html_url": format!("{html}/commit/{commit}"),
        "comments_url": format!("{base}/commits/{commit}/comments"),
        "commit": {
            "url": format!("{base}/git/commits/{commit}"), "author": person, "committer": person,
            "message": "", "comment_count": 0,
            "tree": { "sha": commit, "url": format!("{base}/git/trees/{commit}") },
        },
        "author": null, "committer": null, "parents": [],
    });
    json["_links"] = json!({ "self": own, "html": format!("{html}/tree/{}", found.short()) });
    json["protection"] = json!({ "enabled": false });
    json["protection_url"] = format!("{own}/protection").into();
    json
}

pub(super) fn tag(inner: &Inner, repo: &Repo, found: &Ref) -> Value {
    let base = format!("{}/repos/{}", inner.api, repo.full_name());
    json!({
        "name": found.short(),
        "zipball_url": format!("{base}/zipball/{}", found.name),
        "tarball_url": format!("{base}/tarball/{}", found.name),
        "commit": { "sha": found.commit, "url": format!("{base}/commits/{}", found.commit) },
        "node_id": node_id(&found.name, repo.id),
    })
}

/// A reference; annotated tags point to a tag object
pub(super) fn git_ref(inner: &Inner, repo: &Repo, found: &Ref) -> Value {
    let base = format!("{}/repos/{}/git", inner.api, repo.full_name());
    let (kind, object) = (&found.kind, &found.object);
    json!({
        "ref": found.name, "node_id": node_id(&found.name, repo.id),
        "url": format!("{base}/{}", found.name),
        "object": { "sha": object, "type": kind, "url": format!("{base}/{kind}s/{object}") },
    })
}

/// Whoever owns something: a person or an organization
pub(super) fn account_of(inner: &Inner, world: &World, login: &str) -> Value {
    if let Some(org) = world.org(login) {
        return account(inner, &org.login, org.id, "Organization");
    }
    world
        .user(login)
        .map_or(Value::Null, |owner| user(inner, owner))
}

fn owner(inner: &Inner, world: &World, repo: &Repo) -> Value {
    account_of(inner, world, &repo.owner)
}

fn account(inner: &Inner, login: &str, id: u64, kind: &str) -> Value {
    let url = format!("{}/users/{login}", inner.api);
    let mut json = json!({
        "login": login, "id": id, "node_id": node_id(kind, id), "avatar_url": avatar(inner, id),
        "gravatar_id": "", "url": url, "html_url": format!("{}/{login}", inner.web),
        "type": kind, "user_view_type": "public", "site_admin": false,
    });
    add_urls(&mut json, &url, &USER_URLS);
    json
}

fn permissions(permission: Option<Permission>, private: bool) -> Value {
    let at_least = |least| permission.is_some_and(|permission| permission >= least);
    let (admin, push) = (at_least(Permission::Admin), at_least(Permission::Push));
    json!({
        "admin": admin, "maintain": admin, "push": push, "triage": push,
        "pull": !private || at_least(Permission::Pull),
    })
}

fn avatar(inner: &Inner, id: u64) -> String {
    format!("{}/avatars/u/{id}?v=4", inner.web)
}

pub(super) fn node_id(kind: &str, id: u64) -> String {
    BASE64.encode(format!("0{}:{kind}{id}", kind.len()).as_bytes())
}

fn add_urls(json: &mut Value, base: &str, urls: &[(&str, &str)]) {
    for (key, rest) in urls {
        json[*key] = format!("{base}{rest}").into();
    }
}

fn extend(json: &mut Value, more: Value) {
    if let (Value::Object(json), Value::Object(more)) = (json, more) {
        json.extend(more);
    }
}
