//! Projects, and what the account may do in each

use std::collections::BTreeSet;

use bindery_plugin_sdk::{Cx, Result, join_all, v1};
use serde::Deserialize;

use super::{
    call,
    page::{self, Page},
};
use crate::common::page_size;

/// Permissions that are asked for, from the highest, and what a person calls the role.
const ROLES: [(&str, &str); 3] = [
    ("PROJECT_ADMIN", "admin"),
    ("PROJECT_WRITE", "write"),
    ("PROJECT_READ", "read"),
];

#[derive(Deserialize)]
struct Project {
    id: u64,
    key: String,
    #[serde(default)]
    name: String,
    #[serde(default, rename = "type")]
    kind: String,
}

/// Ids of the projects in which the account has each of [`ROLES`].
type Permitted = Vec<BTreeSet<u64>>;

pub(crate) async fn list(cx: &Cx, input: &v1::ListOrganizations) -> Result<()> {
    let permitted = permitted(cx).await?;
    let size = page_size(input.page_size);
    let mut start = 0;
    loop {
        let url = page::at(cx.api(&["projects"])?, start, size);
        let found: Page<Project> = call::get(cx, url).await?.json()?;
        let next = found.next(start)?;
        let shared = found.values.iter().filter(|one| one.kind != "PERSONAL");
        let items = shared.map(|one| describe(cx, &permitted, one));
        cx.emit(v1::OrganizationPage {
            items: items.collect::<Result<_>>()?,
            ..v1::OrganizationPage::default()
        });
        match next {
            Some(next) => start = next,
            None => return Ok(()),
        }
    }
}

async fn permitted(cx: &Cx) -> Result<Permitted> {
    let lists = ROLES.map(|(permission, _)| ids(cx, permission));
    join_all(lists).await.into_iter().collect()
}

async fn ids(cx: &Cx, permission: &str) -> Result<BTreeSet<u64>> {
    let list = cx.api(&["projects"])?.query("permission", permission);
    let found: Vec<Project> = page::all(cx, list).await?;
    Ok(found.into_iter().map(|project| project.id).collect())
}

/// A project is also listed to whom only some of its repositories are open.
fn describe(cx: &Cx, permitted: &Permitted, found: &Project) -> Result<v1::Organization> {
    let mut roles = ROLES.iter().zip(permitted);
    let role = roles.find(|(_, ids)| ids.contains(&found.id));
    let organization = v1::Organization {
        stable_id: found.id.to_string(),
        login: found.key.clone(),
        display_name: found.name.clone(),
        role: role.map_or_else(String::new, |((_, name), _)| (*name).to_owned()),
        access: v1::OrganizationAccess::Granted.into(),
        ..v1::Organization::default()
    };
    if role.is_some() {
        return Ok(organization);
    }
    Ok(v1::Organization {
        access: v1::OrganizationAccess::Unknown.into(),
        reason: "the project as a whole is not open to this account, only what is public or its own there".to_owned(),
        who: v1::Actor::OrganizationOwner.into(),
        action_uri: cx.web(&["projects", &found.key, "permissions"])?.into(),
        ..organization
    })
}
