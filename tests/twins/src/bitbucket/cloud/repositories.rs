//! Repositories, what one may do to them, and their refs

use serde_json::{Value, json};

use crate::{
    http::{Request, Response},
    time,
    world::{Found, Owner, Ref, Repository, Role},
};

use super::{
    Cloud,
    access::{Caller, Needs},
    reply, uuid,
};

impl Cloud {
    pub(super) fn list_repositories(
        &self,
        caller: &Caller,
        request: &Request,
        slug: &str,
    ) -> Result<Response, Response> {
        caller.needs(Needs::Read)?;
        let owner = self.workspace(caller, slug)?.owner;
        let least = match request.query("role") {
            Some("owner") => Some(Role::Owner),
            Some("admin") => Some(Role::Admin),
            Some("contributor") => Some(Role::Write),
            Some("member") => Some(Role::Read),
            _ => None,
        };
        let wanted = quoted(request, "name ~ ")
            .unwrap_or_default()
            .to_lowercase();
        let found = self.in_workspace(owner).filter(|found| {
            let role = self.state.world.role(caller.person, found);
            let seen = self.state.world.may_read(Some(caller.person), found);
            seen && role >= least && found.name.to_lowercase().contains(&wanted)
        });
        let values: Vec<_> = found
            .map(|found| self.repository_value(caller, found))
            .collect();
        Ok(reply::page(&self.web, request, &values))
    }

    /// By the names that it has now, or by id with any workspace; one that moved answers with a redirect
    pub(super) fn one_repository(
        &self,
        caller: &Caller,
        slug: &str,
        name: &str,
    ) -> Result<Response, Response> {
        caller.needs(Needs::Read)?;
        let found = self.visible(caller, slug, name)?;
        Ok(Response::json(200, &self.repository_value(caller, found)))
    }

    pub(super) fn list_permissions(
        &self,
        caller: &Caller,
        request: &Request,
        slug: &str,
    ) -> Result<Response, Response> {
        caller.needs(Needs::Account)?;
        caller.needs(Needs::Read)?;
        let owner = self.workspace(caller, slug)?.owner;
        let wanted = quoted(request, "repository.full_name=");
        let values = self.in_workspace(owner).filter_map(|found| {
            let path = self.state.world.full_path(found);
            let role = self.state.world.role(caller.person, found)?;
            let asked = wanted.as_ref().is_none_or(|wanted| *wanted == path);
            asked.then(|| permission_value(caller, found, &path, role))
        });
        Ok(reply::page(&self.web, request, &values.collect::<Vec<_>>()))
    }

    pub(super) fn list_refs(
        &self,
        caller: &Caller,
        request: &Request,
        (slug, name): (&str, &str),
        list: &str,
    ) -> Result<Response, Response> {
        caller.needs(Needs::Read)?;
        let found = self.visible(caller, slug, name)?;
        let (folder, kind) = match list {
            "branches" => ("refs/heads/", "branch"),
            "tags" => ("refs/tags/", "tag"),
            _ => return Err(reply::not_found()),
        };
        let refs = found.refs.iter();
        let named = refs.filter_map(|one| Some((one, one.name.strip_prefix(folder)?)));
        let values: Vec<_> = named
            .map(|(one, name)| ref_value(found, one, name, kind))
            .collect();
        Ok(reply::page(&self.web, request, &values))
    }

    fn in_workspace(&self, owner: Owner) -> impl Iterator<Item = &Repository> {
        let all = self.state.world.repositories.values();
        all.filter(move |found| found.owner == owner)
    }

    pub(super) fn visible(
        &self,
        caller: &Caller,
        slug: &str,
        name: &str,
    ) -> Result<&Repository, Response> {
        let world = &self.state.world;
        let mut all = world.repositories.values();
        let by_id = all.find(|found| uuid(found.id) == name);
        let found = match by_id {
            Some(found) => Some(Found::Here(found)),
            None => world.repository(&format!("{slug}/{name}")),
        };
        let (found, moved) = match found {
            Some(Found::Here(found)) => (found, false),
            Some(Found::Moved(found)) => (found, true),
            None => return Err(reply::not_found()),
        };
        match world.may_read(Some(caller.person), found) {
            true if moved => {
                let to = format!("{}/repositories/{}", self.api(), world.full_path(found));
                Err(Response::redirect(301, &to))
            }
            true => Ok(found),
            false => Err(reply::not_found()),
        }
    }

    /// A clone URL names the person who asks
    fn repository_value(&self, caller: &Caller, found: &Repository) -> Value {
        let path = self.state.world.full_path(found);
        let person = self.state.world.people.get(&caller.person);
        let login = person
            .map(|person| person.login.as_str())
            .unwrap_or_default();
        let clone = self.web.replacen("://", &format!("://{login}@"), 1);
        let branch = (!found.refs.is_empty())
            .then(|| json!({"type": "branch", "name": found.default_branch}));
        let created = time::rfc3339(found.created);
        json!({
            "type": "repository",
            "uuid": uuid(found.id),
            "full_name": path,
            "slug": found.path,
            "name": found.name,
            "description": "",
            "is_private": found.private,
            "fork_policy": "allow_forks",
            "scm": "git",
            "website": "",
            "language": "",
            "has_wiki": false,
            "has_issues": false,
            "size": 1_116_345,
            "created_on": created,
            "updated_on": created,
            "mainbranch": branch,
            "links": {
                "self": {"href": format!("{}/repositories/{path}", self.api())},
                "html": {"href": format!("{}/{path}", self.web)},
                "clone": [
                    {"name": "https", "href": format!("{clone}/{path}.git")},
                    {"name": "ssh", "href": format!("git@bitbucket.example.com:{path}.git")},
                ],
            },
        })
    }
}

/// What is between the quotes behind some words of the query language
fn quoted(request: &Request, words: &str) -> Option<String> {
    let text = request.query("q")?.strip_prefix(words)?;
    let text = text.strip_prefix('"')?.strip_suffix('"')?;
    Some(text.replace("\\\"", "\"").replace("\\\\", "\\"))
}

fn permission_value(caller: &Caller, found: &Repository, path: &str, role: Role) -> Value {
    let permission = match role {
        Role::Owner | Role::Admin => "admin",
        Role::Write => "write",
        Role::Guest | Role::Read => "read",
    };
    json!({
        "type": "repository_permission",
        "permission": permission,
        "user": {"type": "user", "uuid": uuid(caller.person), "display_name": ""},
        "repository": {"type": "repository", "uuid": uuid(found.id), "full_name": path, "name": found.name},
    })
}

/// The commit, of an annotated tag as well
fn ref_value(found: &Repository, one: &Ref, name: &str, kind: &str) -> Value {
    let annotated = one.tag_object.as_ref();
    json!({
        "type": kind,
        "name": name,
        "message": annotated.map(|_| "an annotated tag\n"),
        "date": annotated.map(|_| time::rfc3339(found.created)),
        "target": {
            "type": "commit",
            "hash": one.commit,
            "date": time::rfc3339(found.created),
            "message": "a commit\n",
        },
    })
}
