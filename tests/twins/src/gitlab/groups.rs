//! Groups

use serde_json::{Value, json};

use crate::{
    http::{Request, Response},
    time,
    world::{Group, Role},
};

use super::{GitLab, access::Caller, paging};

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
            role.is_some_and(|role| level(role) >= least) && !(top && group.parent.is_some())
        });
        let groups: Vec<_> = groups.map(|group| self.group_value(group)).collect();
        Ok(paging::by_offset(&self.web, request, &groups))
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
