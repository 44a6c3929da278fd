//! Projects, which is what GitLab calls repositories

use serde_json::{Map, Value, json};

use crate::{
    http::{Request, Response},
    time,
    world::{Found, Owner, Repository},
};

use super::{
    API, GitLab,
    access::Caller,
    groups::{least, level},
    paging, reply,
};

impl GitLab {
    pub(super) fn list_projects(
        &self,
        caller: &Caller,
        request: &Request,
    ) -> Result<Response, Response> {
        caller.needs(&["api", "read_api"])?;
        let seen = |repository: &&Repository| self.lists(caller, request, repository);
        let simple = request.query("simple") == Some("true");
        let all = self.state.world.repositories.values().filter(seen);
        let all: Vec<_> = all
            .map(|found| (found.id, self.project_value(caller, found, simple)))
            .collect();
        if request.query("pagination") == Some("keyset") {
            return Ok(paging::by_keyset(&self.web, request, &all));
        }
        let all: Vec<_> = all.into_iter().map(|(_, value)| value).collect();
        Ok(paging::by_offset(&self.web, request, &all))
    }

    fn lists(&self, caller: &Caller, request: &Request, repository: &Repository) -> bool {
        let world = &self.state.world;
        let role = world.role(caller.person, repository);
        let member = request.query("membership") != Some("true") || role.is_some();
        let least = least(request);
        let enough = least == 0 || role.is_some_and(|role| level(role) >= least);
        let path = || world.full_path(repository).to_lowercase();
        let searched = request.query("search");
        let found = searched.is_none_or(|search| path().contains(&search.to_lowercase()));
        let kept = match request.query("archived") {
            Some("true") => repository.archived,
            Some("false") => !repository.archived,
            _ => true,
        };
        (role.is_some() || !repository.private) && member && enough && found && kept
    }

    pub(super) fn project(
        &self,
        caller: &Caller,
        request: &Request,
        id: &str,
    ) -> Result<Response, Response> {
        caller.needs(&["api", "read_api"])?;
        let repository = self.visible_project(caller, request, id)?;
        Ok(Response::json(
            200,
            &self.project_value(caller, repository, false),
        ))
    }

    /// A project by id or path; one that moved answers with a redirect, one that may not be seen is not there
    pub(super) fn visible_project(
        &self,
        caller: &Caller,
        request: &Request,
        id: &str,
    ) -> Result<&Repository, Response> {
        let world = &self.state.world;
        let by_id = id
            .parse()
            .ok()
            .and_then(|id: u64| world.repositories.get(&id));
        let found = by_id.map(Found::Here).or_else(|| world.repository(id));
        let (repository, moved) = match found {
            Some(Found::Here(repository)) => (repository, false),
            Some(Found::Moved(repository)) => (repository, true),
            None => return Err(no_project()),
        };
        let member = world.role(caller.person, repository).is_some();
        if repository.private && !member {
            return Err(no_project());
        }
        if moved && request.method == "GET" {
            let to = format!("{}{API}/projects/{}", self.web, repository.id);
            return Err(Response::redirect(301, &to));
        }
        Ok(repository)
    }

    fn project_value(&self, caller: &Caller, repository: &Repository, simple: bool) -> Value {
        let path = self.state.world.full_path(repository);
        let created = time::rfc3339(repository.created);
        let basic = json!({
            "id": repository.id,
            "description": "",
            "name": repository.name,
            "name_with_namespace": format!("{} / {}", self.state.world.owner_path(repository.owner), repository.name),
            "path": repository.path,
            "path_with_namespace": path,
            "created_at": created,
            "default_branch": repository.default_branch,
            "tag_list": [],
            "topics": [],
            "ssh_url_to_repo": format!("git@gitlab.example.com:{path}.git"),
            "http_url_to_repo": format!("{}/{path}.git", self.web),
            "web_url": format!("{}/{path}", self.web),
            "readme_url": format!("{}/{path}/-/blob/{}/README.md", self.web, repository.default_branch),
            "forks_count": 0,
            "avatar_url": null,
            "star_count": 0,
            "last_activity_at": created,
            "namespace": self.namespace_value(repository.owner),
        });
        if simple {
            return basic;
        }
        joined([
            basic,
            self.project_links(repository),
            self.project_state(caller, repository),
        ])
    }

    fn namespace_value(&self, owner: Owner) -> Value {
        let path = self.state.world.owner_path(owner);
        let last = path.rsplit('/').next().unwrap_or_default();
        let (id, kind, parent) = match owner {
            Owner::Person(id) => (id, "user", None),
            Owner::Group(id) => {
                let group = self.state.world.groups.get(&id);
                (id, "group", group.and_then(|group| group.parent))
            }
        };
        json!({
            "id": id,
            "name": last,
            "path": last,
            "kind": kind,
            "full_path": path,
            "parent_id": parent,
            "avatar_url": null,
            "web_url": format!("{}/{path}", self.web),
        })
    }

    fn project_links(&self, repository: &Repository) -> Value {
        let this = format!("{}{API}/projects/{}", self.web, repository.id);
        json!({"_links": {
            "self": this,
            "issues": format!("{this}/issues"),
            "merge_requests": format!("{this}/merge_requests"),
            "repo_branches": format!("{this}/repository/branches"),
            "labels": format!("{this}/labels"),
            "events": format!("{this}/events"),
            "members": format!("{this}/members"),
        }})
    }

    fn project_state(&self, caller: &Caller, repository: &Repository) -> Value {
        let role = self.state.world.role(caller.person, repository).map(level);
        let access = role.map(|level| json!({"access_level": level, "notification_level": 3}));
        let (project, group) = match repository.owner {
            Owner::Person(_) => (access, None),
            Owner::Group(_) => (None, access),
        };
        json!({
            "archived": repository.archived,
            "visibility": if repository.private { "private" } else { "public" },
            "empty_repo": repository.refs.is_empty(),
            "creator_id": caller.person,
            "permissions": {"project_access": project, "group_access": group},
            "resolve_outdated_diff_discussions": null,
            "container_registry_enabled": null,
            "issues_enabled": true,
            "merge_requests_enabled": true,
            "wiki_enabled": true,
            "jobs_enabled": true,
            "snippets_enabled": false,
            "shared_runners_enabled": true,
            "lfs_enabled": true,
            "import_status": "none",
            "open_issues_count": 0,
            "public_jobs": true,
            "ci_config_path": null,
            "shared_with_groups": [],
            "only_allow_merge_if_pipeline_succeeds": false,
            "request_access_enabled": true,
            "only_allow_merge_if_all_discussions_are_resolved": null,
            "printing_merge_request_link_enabled": true,
            "approvals_before_merge": 0,
        })
    }
}

fn no_project() -> Response {
    reply::error(404, "404 Project Not Found")
}

fn joined<const N: usize>(parts: [Value; N]) -> Value {
    let members = parts.into_iter().filter_map(|part| match part {
        Value::Object(members) => Some(members),
        _ => None,
    });
    Value::Object(members.flatten().collect::<Map<_, _>>())
}
