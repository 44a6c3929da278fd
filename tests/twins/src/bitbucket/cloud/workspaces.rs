//! Workspaces: groups, and one for each person

use serde_json::{Value, json};

use crate::{
    http::{Request, Response},
    world::{Group, Owner, Person, Repository, Role},
};

use super::{
    Cloud,
    access::{Caller, Needs},
    reply, uuid,
};

/// A workspace, and what somebody is in it
pub(super) struct Workspace {
    pub(super) owner: Owner,
    pub(super) slug: String,
    id: u64,
    name: String,
    role: Role,
}

impl Cloud {
    pub(super) fn list_workspaces(
        &self,
        caller: &Caller,
        request: &Request,
    ) -> Result<Response, Response> {
        caller.needs(Needs::Workspaces)?;
        let mut all = self.workspaces(caller);
        all.sort_by(|one, other| one.slug.cmp(&other.slug));
        let values: Vec<_> = all.iter().map(|one| self.access_value(one)).collect();
        Ok(reply::page(&self.web, request, &values))
    }

    pub(super) fn workspace_role(&self, caller: &Caller, slug: &str) -> Result<Response, Response> {
        caller.needs(Needs::Workspaces)?;
        let found = self.workspace(caller, slug)?;
        if self.closed_workspaces.contains(&found.id) {
            let text = "To access this workspace, you must meet its access requirements.";
            return Err(reply::error(403, text));
        }
        let body = json!({
            "type": "workspace_membership",
            "permission": permission(found.role),
            "user": {"type": "user", "uuid": uuid(caller.person)},
            "workspace": {"type": "workspace", "uuid": uuid(found.id), "slug": found.slug, "name": found.name},
        });
        Ok(Response::json(200, &body))
    }

    /// Of what a token of a repository says here nothing is documented: it is refused
    pub(super) fn one_workspace(&self, caller: &Caller, slug: &str) -> Result<Response, Response> {
        let found = self.workspace(caller, slug)?;
        if caller.is_nobody && self.reached(caller).count() == 1 && found.role < Role::Admin {
            return Err(reply::error(403, "Access denied."));
        }
        let body = json!({
            "type": "workspace",
            "uuid": uuid(found.id),
            "slug": found.slug,
            "name": found.name,
            "is_private": true,
        });
        Ok(Response::json(200, &body))
    }

    /// The single repositories that somebody was let into
    fn reached(&self, caller: &Caller) -> impl Iterator<Item = &Repository> {
        let all = self.state.world.repositories.values();
        all.filter(|found| found.members.contains_key(&caller.person))
    }

    /// One that somebody belongs to, by slug or id; all others are not there
    pub(super) fn workspace(&self, caller: &Caller, slug: &str) -> Result<Workspace, Response> {
        let named = |one: &Workspace| one.slug.eq_ignore_ascii_case(slug) || uuid(one.id) == slug;
        let found = self.workspaces(caller).into_iter().find(named);
        found.ok_or_else(reply::not_found)
    }

    fn workspaces(&self, caller: &Caller) -> Vec<Workspace> {
        let world = &self.state.world;
        let groups = world.groups.values().filter(|group| group.parent.is_none());
        let shared =
            groups.filter_map(|group| Some(of_group(group, group.members.get(&caller.person)?)));
        if caller.is_nobody {
            let reached = self.reached(caller).filter_map(|found| self.around(found));
            return shared.chain(reached).collect();
        }
        let own = world.people.get(&caller.person);
        let own = own.map(|person| of_person(person, Role::Owner));
        shared.chain(own).collect()
    }

    /// The workspace that a repository is in, for those who reach that repository alone
    fn around(&self, found: &Repository) -> Option<Workspace> {
        let world = &self.state.world;
        match found.owner {
            Owner::Person(id) => Some(of_person(world.people.get(&id)?, Role::Guest)),
            Owner::Group(id) => Some(of_group(world.groups.get(&id)?, &Role::Guest)),
        }
    }

    fn access_value(&self, workspace: &Workspace) -> Value {
        let link = |path: String| json!({"href": path});
        let role = permission(workspace.role);
        json!({
            "type": "workspace_access",
            "administrator": role == "owner",
            "permission": role,
            "last_accessed": "2026-01-15T10:30:00.000000+00:00",
            "workspace": {
                "type": "workspace_base",
                "uuid": uuid(workspace.id),
                "slug": workspace.slug,
                "name": workspace.name,
                "links": {
                    "self": link(format!("{}/workspaces/{}", self.api(), workspace.slug)),
                    "html": link(format!("{}/{}/", self.web, workspace.slug)),
                    "avatar": link(format!("{}/workspaces/{}/avatar/", self.web, workspace.slug)),
                },
            },
        })
    }
}

fn of_person(person: &Person, role: Role) -> Workspace {
    Workspace {
        owner: Owner::Person(person.id),
        slug: person.login.clone(),
        id: person.id,
        name: person.name.clone(),
        role,
    }
}

fn of_group(group: &Group, role: &Role) -> Workspace {
    Workspace {
        owner: Owner::Group(group.id),
        slug: group.path.clone(),
        id: group.id,
        name: group.name.clone(),
        role: *role,
    }
}

/// Bitbucket's word for a role in a workspace
const fn permission(role: Role) -> &'static str {
    match role {
        Role::Owner | Role::Admin => "owner",
        Role::Write => "create-project",
        Role::Guest | Role::Read => "member",
    }
}
