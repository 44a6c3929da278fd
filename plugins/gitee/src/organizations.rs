//! Organizations and enterprises
//!
//! Gitee has both: an enterprise is a paying customer that owns repositories and organizations of its own. They are
//! numbered apart, so an enterprise's stable id is marked as one. What is listed, the identity belongs to, and no policy
//! keeps an application out of it.

use std::collections::BTreeMap;

use bindery_plugin_sdk::{Cx, Result, v1};
use serde::Deserialize;

use crate::{
    call,
    id::Id,
    paging::{List, page_size},
};

/// Sent always: without it, enterprises are only those that the identity manages.
const ALL: &[(&str, &str)] = &[("admin", "false")];

#[derive(Deserialize, PartialEq)]
struct Organization {
    id: Id,
    login: String,
    name: Option<String>,
}

#[derive(Deserialize, PartialEq)]
struct Membership {
    #[serde(default)]
    active: bool,
    role: Option<String>,
    organization: Organization,
}

#[derive(Deserialize, PartialEq)]
struct Enterprise {
    id: Id,
    path: String,
    name: Option<String>,
}

pub(crate) async fn list(cx: &Cx, input: &v1::ListOrganizations) -> Result<()> {
    let size = page_size(input.page_size);
    let memberships = memberships(cx).await?;
    organizations(cx, size, &memberships).await?;
    enterprises(cx, size).await
}

/// The role in each organization. A server without this endpoint does not tell.
async fn memberships(cx: &Cx) -> Result<BTreeMap<Id, Membership>> {
    let list = List {
        path: vec!["user", "memberships", "orgs"],
        fixed: &[],
        size: page_size(0),
    };
    let mut all = BTreeMap::new();
    for page in 1.. {
        let response = call::ask(cx, list.url(cx, page)?).await?;
        if response.status() == 404 {
            break;
        }
        let response = call::good(cx, response)?;
        let (found, more): (Vec<Membership>, bool) = list.read(cx, page, &response).await?;
        all.extend(
            found
                .into_iter()
                .map(|one| (one.organization.id.clone(), one)),
        );
        if !more {
            break;
        }
    }
    Ok(all)
}

async fn organizations(cx: &Cx, size: u32, memberships: &BTreeMap<Id, Membership>) -> Result<()> {
    let list = List {
        path: vec!["user", "orgs"],
        fixed: ALL,
        size,
    };
    for page in 1.. {
        let (found, more): (Vec<Organization>, bool) = list.get(cx, page).await?;
        let items = found.into_iter().map(|one| {
            let membership = memberships.get(&one.id);
            organization(one, membership)
        });
        cx.emit(v1::OrganizationPage {
            items: items.collect(),
            ..v1::OrganizationPage::default()
        });
        if !more {
            break;
        }
    }
    Ok(())
}

/// An invitation that was not accepted is listed as a membership that is not active.
fn organization(found: Organization, membership: Option<&Membership>) -> v1::Organization {
    let organization = v1::Organization {
        stable_id: found.id.to_string(),
        login: found.login,
        display_name: found.name.unwrap_or_default(),
        access: v1::OrganizationAccess::Granted.into(),
        role: membership
            .and_then(|one| one.role.clone())
            .unwrap_or_default(),
        ..v1::Organization::default()
    };
    match membership {
        Some(membership) if !membership.active => v1::Organization {
            access: v1::OrganizationAccess::NoMembership.into(),
            reason: "the membership is not active: an invitation was not accepted".to_owned(),
            who: v1::Actor::User.into(),
            ..organization
        },
        _ => organization,
    }
}

/// Enterprises need a scope of their own; without it the list is said to be partial.
async fn enterprises(cx: &Cx, size: u32) -> Result<()> {
    let list = List {
        path: vec!["user", "enterprises"],
        fixed: ALL,
        size,
    };
    for page in 1.. {
        let response = call::ask(cx, list.url(cx, page)?).await?;
        if call::missing_scope(&response).is_some() {
            cx.emit(without_enterprises());
            break;
        }
        // A server of an edition without enterprises.
        if response.status() == 404 {
            break;
        }
        let response = call::good(cx, response)?;
        let (found, more): (Vec<Enterprise>, bool) = list.read(cx, page, &response).await?;
        cx.emit(v1::OrganizationPage {
            items: found.into_iter().map(enterprise).collect(),
            ..v1::OrganizationPage::default()
        });
        if !more {
            break;
        }
    }
    Ok(())
}

fn without_enterprises() -> v1::OrganizationPage {
    v1::OrganizationPage {
        partial: true,
        partial_reason: "enterprises are left out: the token lacks the scope enterprises"
            .to_owned(),
        ..v1::OrganizationPage::default()
    }
}

fn enterprise(found: Enterprise) -> v1::Organization {
    v1::Organization {
        stable_id: format!("enterprise:{}", found.id),
        login: found.path,
        display_name: found.name.unwrap_or_default(),
        access: v1::OrganizationAccess::Granted.into(),
        ..v1::Organization::default()
    }
}
