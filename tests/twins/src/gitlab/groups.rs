//! Groups

use serde_json::{Value, json};

use crate::{
    http::{Request, Response},
    time,
    world::{Group, Owner, Role},
};

use super::{GitLab, access::Caller, paging, reply::error};

/// GitLab's number for a role
pub(super) const fn level(role: Role) -> u64 {
    match role {
        Role::Guest => 10,
        Role::Read => 20,
        Role::Write => 30,
        Role::Admin => 40,
        Role::Owner => 50,
    }
}

/// The least level that a request asks for
pub(super) fn least(request: &Request) -> u64 {
    let asked = request
        .query("min_access_level")
        .and_then(|text| text.parse().ok());
    asked.unwrap_or(0)
}

impl GitLab {
    pub(super) fn list_groups(
        &self,
        caller: &Caller,
        request: &Request,
    ) -> Result<Response, Response> {
        caller.needs(&["api", "read_api"])?;
        let least = least(request);
        let top = request.query("top_level_only") == Some("true");
        let groups = self.state.world.groups.values().filter(|group| {
            let role = self.state.world.role_in_group(caller.person, group.id);
            let enough = match role {
                Some(role) => level(role) >= least,
                None => least == 0 && self.has_single_project(caller, group),
            };
            enough && !(top && group.parent.is_some())
        });
        let groups: Vec<_> = groups.map(|group| self.group_value(group)).collect();
        Ok(paging::by_offset(&self.web, request, &groups))
    }

    /// Whether somebody who is no member of the group is one of a project in it: the group is listed all the same
    fn has_single_project(&self, caller: &Caller, group: &Group) -> bool {
        let mut projects = self.state.world.repositories.values();
        projects.any(|project| {
            project.owner == Owner::Group(group.id) && project.members.contains_key(&caller.person)
        })
    }

    /// `GET groups/:id`: what restricts a tree of groups shows here
    pub(super) fn group(&self, caller: &Caller, id: &str) -> Result<Response, Response> {
        caller.needs(&["api", "read_api"])?;
        let absent = || error(404, "404 Group Not Found");
        let id: Option<u64> = id.parse().ok();
        let group = id.and_then(|id| self.state.world.groups.get(&id));
        let group = group.ok_or_else(absent)?;
        let role = self.state.world.role_in_group(caller.person, group.id);
        if role.is_none() && !self.has_single_project(caller, group) {
            return Err(absent());
        }
        let path = self.state.world.group_path(group.id);
        let top = path.split('/').next().unwrap_or_default();
        let top_id = self.state.world.group(top).map_or(0, |top| top.id);
        if self.hidden_groups.contains(&top_id) {
            return Err(absent());
        }
        if self.sign_on_groups.contains(&top_id) {
            let page = format!("{}/groups/{top}/-/saml/sso?token=of-the-group", self.web);
            let text = format!(
                "Cannot find valid SSO session. Please login via your group's SSO at {page}"
            );
            return Err(error(403, &text));
        }
        Ok(Response::json(200, &self.group_value(group)))
    }

    fn group_value(&self, group: &Group) -> Value {
        let path = self.state.world.group_path(group.id);
        json!({
            "id": group.id,
            "name": group.name,
            "path": group.path,
            "description": "",
            "visibility": "private",
            "lfs_enabled": true,
            "avatar_url": format!("{}/uploads/group/avatar/{}/group.jpg", self.web, group.id),
            "web_url": format!("{}/groups/{path}", self.web),
            "request_access_enabled": false,
            "full_name": self.state.world.group_names(group.id).join(" / "),
            "full_path": path,
            "parent_id": group.parent,
            "created_at": time::rfc3339(group.created),
        })
    }
}
