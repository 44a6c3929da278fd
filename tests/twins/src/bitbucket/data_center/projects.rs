//! Projects, repositories and their refs

use serde_json::{Value, json};

use crate::{
    http::{Request, Response},
    world::{Found, Group, Owner, Ref, Repository, Role},
};

use super::{DataCenter, access::Caller, reply};

impl DataCenter {
    pub(super) fn list_projects(&self, caller: &Caller, request: &Request) -> Response {
        let least = wanted(request, "PROJECT_").unwrap_or(Role::Guest);
        let groups = self.state.world.groups.values();
        let found = groups
            .filter(|group| self.state.world.role_in_group(caller.person, group.id) >= Some(least));
        let values: Vec<_> = found.map(group_value).collect();
        reply::page(request, &values)
    }

    pub(super) fn list_repositories(&self, caller: &Caller, request: &Request) -> Response {
        let least = wanted(request, "REPO_").unwrap_or(Role::Read);
        let name = request.query("name").unwrap_or_default().to_lowercase();
        let all = self.state.world.repositories.values();
        let found = all.filter(|found| {
            let project = request.query("projectkey");
            project.is_none_or(|key| key.eq_ignore_ascii_case(&self.key(found.owner)))
                && found.name.to_lowercase().contains(&name)
                && caller.may(&self.state.world, found, least)
                // A permission that is asked for by name is one that somebody gave.
                && (request.query("permission").is_none()
                    || self.state.world.role(caller.person, found).is_some())
        });
        reply::page(
            request,
            &found.map(|found| self.value(found)).collect::<Vec<_>>(),
        )
    }

    pub(super) fn list_of_project(
        &self,
        caller: &Caller,
        request: &Request,
        key: &str,
    ) -> Result<Response, Response> {
        let all = self.state.world.repositories.values();
        let found = all.filter(|found| {
            key.eq_ignore_ascii_case(&self.key(found.owner))
                && caller.may(&self.state.world, found, Role::Read)
        });
        let values: Vec<_> = found.map(|found| self.value(found)).collect();
        match values.is_empty() && !self.knows(caller, key) {
            true => Err(reply::error(404, "project.NoSuchProjectException")),
            false => Ok(reply::page(request, &values)),
        }
    }

    fn knows(&self, caller: &Caller, key: &str) -> bool {
        let world = &self.state.world;
        let group = world.group(key);
        group.is_some_and(|group| world.role_in_group(caller.person, group.id).is_some())
    }

    /// A repository that moved answers under its old name with the new one
    pub(super) fn one_repository(
        &self,
        caller: &Caller,
        key: &str,
        slug: &str,
    ) -> Result<Response, Response> {
        let found = self.visible(caller, key, slug)?;
        Ok(Response::json(200, &self.value(found)))
    }

    pub(super) fn list_refs(
        &self,
        caller: &Caller,
        request: &Request,
        (key, slug): (&str, &str),
        list: &str,
    ) -> Result<Response, Response> {
        let found = self.visible(caller, key, slug)?;
        let (folder, kind) = match list {
            "branches" => ("refs/heads/", "BRANCH"),
            "tags" => ("refs/tags/", "TAG"),
            "default-branch" => return default_branch(found),
            _ => return Err(reply::not_found()),
        };
        let refs = found.refs.iter().filter(|one| one.name.starts_with(folder));
        let values: Vec<_> = refs
            .map(|one| ref_value(found, one, folder, kind))
            .collect();
        Ok(reply::page(request, &values))
    }

    pub(super) fn visible(
        &self,
        caller: &Caller,
        key: &str,
        slug: &str,
    ) -> Result<&Repository, Response> {
        let owner = key.strip_prefix('~').unwrap_or(key);
        let absent = || reply::error(404, "repository.NoSuchRepositoryException");
        let path = format!("{owner}/{slug}");
        let Some(Found::Here(found) | Found::Moved(found)) = self.state.world.repository(&path)
        else {
            return Err(absent());
        };
        match caller.may(&self.state.world, found, Role::Read) {
            true => Ok(found),
            false => Err(absent()),
        }
    }

    fn key(&self, owner: Owner) -> String {
        let path = self.state.world.owner_path(owner);
        match owner {
            Owner::Person(_) => format!("~{path}"),
            Owner::Group(_) => path,
        }
    }

    /// The clone URL is by the server's own idea of its address
    pub(super) fn value(&self, found: &Repository) -> Value {
        let key = self.key(found.owner);
        let clone = format!("{}/scm/{}/{}.git", self.web, key.to_lowercase(), found.path);
        let page = format!("{}/projects/{key}/repos/{}/browse", self.web, found.path);
        json!({
            "id": found.id,
            "slug": found.path,
            "name": found.name,
            "description": "",
            "scmId": "git",
            "state": "AVAILABLE",
            "statusMessage": "Available",
            "forkable": true,
            "archived": found.archived,
            "public": !found.private,
            "project": self.project_value(found.owner, &key),
            "links": {
                "clone": [
                    {"name": "ssh", "href": format!("ssh://git@git.example.com:7999/{}/{}.git", key.to_lowercase(), found.path)},
                    {"name": "http", "href": clone},
                ],
                "self": [{"href": page}],
            },
        })
    }

    fn project_value(&self, owner: Owner, key: &str) -> Value {
        let (id, kind) = match owner {
            Owner::Person(id) => (id, "PERSONAL"),
            Owner::Group(id) => (id, "NORMAL"),
        };
        json!({
            "id": id,
            "key": key,
            "name": key,
            "public": false,
            "type": kind,
            "links": {"self": [{"href": format!("{}/projects/{key}", self.web)}]},
        })
    }
}

fn group_value(group: &Group) -> Value {
    json!({
        "id": group.id,
        "key": group.path,
        "name": group.name,
        "public": false,
        "type": "NORMAL",
    })
}

/// The role that a permission is about
fn wanted(request: &Request, prefix: &str) -> Option<Role> {
    match request.query("permission")?.strip_prefix(prefix)? {
        "ADMIN" => Some(Role::Admin),
        "WRITE" => Some(Role::Write),
        _ => Some(Role::Read),
    }
}

/// The configured branch, which an empty repository does not have
fn default_branch(found: &Repository) -> Result<Response, Response> {
    let name = format!("refs/heads/{}", found.default_branch);
    let one = found.refs.iter().find(|one| one.name == name);
    let one = one.ok_or_else(|| reply::error(404, "repository.NoDefaultBranchException"))?;
    Ok(Response::json(
        200,
        &ref_value(found, one, "refs/heads/", "BRANCH"),
    ))
}

/// The commit in `latestCommit`, of an annotated tag as well
fn ref_value(found: &Repository, one: &Ref, folder: &str, kind: &str) -> Value {
    let name = one.name.strip_prefix(folder).unwrap_or(&one.name);
    let mut value = json!({
        "id": one.name,
        "displayId": name,
        "type": kind,
        "latestCommit": one.commit,
        "latestChangeset": one.commit,
    });
    match kind {
        "TAG" => value["hash"] = json!(one.tag_object),
        _ => value["isDefault"] = (name == found.default_branch).into(),
    }
    value
}
