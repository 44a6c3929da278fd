//! Workspaces, and whether the token may act on each

use bindery_plugin_sdk::{Cx, Failure, Response, Result, join_all, v1};
use serde::Deserialize;

use super::{
    call,
    page::{self, Page},
    place::{Found, Place},
};
use crate::common::page_size;

/// Workspaces that are asked about at once.
const AT_ONCE: usize = 10;

/// The list of workspaces that the identity belongs to.
pub(crate) const LIST: [&str; 2] = ["user", "workspaces"];

#[derive(Deserialize)]
pub(crate) struct Access {
    pub(crate) workspace: Workspace,
    #[serde(default)]
    administrator: bool,
    /// Not in the description of the API, and there all the same.
    #[serde(default)]
    permission: String,
}

#[derive(Deserialize)]
pub(crate) struct Workspace {
    uuid: String,
    pub(crate) slug: String,
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct Membership {
    #[serde(default)]
    permission: String,
}

pub(crate) async fn list(cx: &Cx, input: &v1::ListOrganizations) -> Result<()> {
    if let Some(place) = Place::of(cx) {
        return only(cx, place?).await;
    }
    let first = cx.api(&LIST)?.query("pagelen", page_size(input.page_size));
    let mut url = first.query("sort", "slug");
    loop {
        let found: Page<Access> = call::get(cx, url).await?.json()?;
        let next = found.next(cx)?;
        cx.emit(v1::OrganizationPage {
            items: describe_all(cx, &found.values).await?,
            ..v1::OrganizationPage::default()
        });
        match next {
            Some(query) => url = page::at(cx, &LIST, cx.api(&LIST)?, &query)?,
            None => return Ok(()),
        }
    }
}

/// A token that is bound to a workspace knows no other, and is no member of it.
async fn only(cx: &Cx, place: Place<'_>) -> Result<()> {
    let workspace = Place {
        repository: None,
        ..place
    };
    let response = workspace.ask(cx).await?;
    let items = match response.status() {
        // The token of a repository may not see more than that.
        403 | 404 if place.repository.is_some() => Vec::new(),
        _ => {
            let found: Found = call::good(cx, response)?.json()?;
            vec![v1::Organization {
                stable_id: found.uuid,
                login: place.workspace.to_owned(),
                display_name: found.name,
                access: v1::OrganizationAccess::Granted.into(),
                ..v1::Organization::default()
            }]
        }
    };
    let partial = items.is_empty();
    cx.emit(v1::OrganizationPage {
        items,
        partial,
        partial_reason: if partial {
            "the token is one repository's, and may not ask about the workspace".to_owned()
        } else {
            String::new()
        },
        ..v1::OrganizationPage::default()
    });
    Ok(())
}

async fn describe_all(cx: &Cx, found: &[Access]) -> Result<Vec<v1::Organization>> {
    let mut items = Vec::with_capacity(found.len());
    for some in found.chunks(AT_ONCE) {
        let some = some.iter().map(|one| describe(cx, one));
        for one in join_all(some).await {
            items.push(one?);
        }
    }
    Ok(items)
}

/// Membership is listed whatever the workspace thinks of the application; asking about one's own permission tells.
async fn describe(cx: &Cx, found: &Access) -> Result<v1::Organization> {
    let workspace = &found.workspace;
    let organization = v1::Organization {
        stable_id: workspace.uuid.clone(),
        login: workspace.slug.clone(),
        display_name: workspace.name.clone(),
        role: role(found),
        ..v1::Organization::default()
    };
    let url = cx.api(&["user", "workspaces", &workspace.slug, "permission"])?;
    let response = call::ask(cx, url).await?;
    if response.is_success() {
        return granted(organization, &response);
    }
    barred(cx, organization, &response)
}

/// The list tells the role in one of two ways.
fn role(found: &Access) -> String {
    match (found.permission.as_str(), found.administrator) {
        ("", true) => "administrator".to_owned(),
        (told, _) => told.to_owned(),
    }
}

fn granted(organization: v1::Organization, response: &Response) -> Result<v1::Organization> {
    let told = response.json::<Membership>()?.permission;
    Ok(v1::Organization {
        access: v1::OrganizationAccess::Granted.into(),
        role: Some(told)
            .filter(|role| !role.is_empty())
            .unwrap_or(organization.role),
        ..organization
    })
}

/// What keeps the token out. A limit or a refused token is about all of them, and ends the operation.
fn barred(
    cx: &Cx,
    organization: v1::Organization,
    response: &Response,
) -> Result<v1::Organization> {
    use v1::{Actor, OrganizationAccess as Access};

    if let Some(scopes) = call::scopes(response) {
        return Ok(v1::Organization {
            access: Access::ScopeTooSmall.into(),
            reason: format!("the token lacks the scope {}", scopes.missing.join(" or ")),
            who: Actor::User.into(),
            ..organization
        });
    }
    let (access, reason, who) = match response.status() {
        403 => (
            Access::RestrictedByPolicy,
            "the workspace does not let this token in",
            Actor::OrganizationOwner,
        ),
        404 => (
            Access::NoMembership,
            "the account is no member of the workspace",
            Actor::OrganizationOwner,
        ),
        408 | 500..=599 => (
            Access::Unknown,
            "Bitbucket had a problem when it was asked",
            Actor::Unspecified,
        ),
        _ => return Err(call::failure(cx, response)),
    };
    let page = match who {
        Actor::OrganizationOwner => cx
            .web(&[&organization.login, "workspace", "settings"])?
            .into(),
        _ => String::new(),
    };
    Ok(v1::Organization {
        access: access.into(),
        reason: reason.to_owned(),
        who: who.into(),
        action_uri: page,
        ..organization
    })
}

/// Slugs of all workspaces, in order.
pub(crate) async fn slugs(cx: &Cx) -> Result<Vec<String>> {
    let first = cx.api(&LIST)?.query("pagelen", 100).query("sort", "slug");
    let found: Vec<Access> = page::all(cx, &LIST, first).await?;
    let mut slugs: Vec<_> = found.into_iter().map(|one| one.workspace.slug).collect();
    // A cursor is a place in this order, so it is kept here whatever the server did.
    slugs.sort();
    slugs.dedup();
    match slugs
        .iter()
        .any(|slug| slug.is_empty() || slug.contains([':', '/']))
    {
        true => Err(Failure::malformed("a workspace has no name")),
        false => Ok(slugs),
    }
}
