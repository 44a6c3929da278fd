//! Organizations, and what the identity may do in each

use bindery_plugin_sdk::{Cx, Failure, Result, join_all, v1};
use serde::Deserialize;

use crate::{
    account,
    call::{self, Refusal},
    paging::{has_next, page_size, page_url},
};

/// Organizations that are asked about at once.
const AT_ONCE: usize = 10;

#[derive(Deserialize)]
struct Organization {
    id: u64,
    /// The login since 1.16; older versions have `username`, newer ones both.
    name: Option<String>,
    username: Option<String>,
    #[serde(default)]
    full_name: String,
}

#[derive(Deserialize)]
struct Permissions {
    #[serde(default)]
    is_owner: bool,
    #[serde(default)]
    is_admin: bool,
    #[serde(default)]
    can_write: bool,
    #[serde(default)]
    can_read: bool,
}

impl Permissions {
    /// The most that the server grants, in its own words.
    fn role(&self) -> &'static str {
        match self {
            Self { is_owner: true, .. } => "owner",
            Self { is_admin: true, .. } => "admin",
            Self {
                can_write: true, ..
            } => "write",
            Self { can_read: true, .. } => "read",
            _ => "",
        }
    }
}

pub(crate) async fn list(cx: &Cx, input: &v1::ListOrganizations) -> Result<()> {
    let size = page_size(input.page_size);
    let mut login = cx.credential().login.clone();
    for page in 1.. {
        let response = call::get(cx, page_url(cx, &["user", "orgs"], page, size)?).await?;
        let found: Vec<Organization> = call::list(&response)?;
        let go_on = has_next(&response, page, found.len());
        if login.is_empty() && !found.is_empty() {
            login = account::user(cx).await?.login;
        }
        let mut items = Vec::with_capacity(found.len());
        for some in found.chunks(AT_ONCE) {
            let some = some.iter().map(|one| describe(cx, &login, one));
            items.extend(
                join_all(some)
                    .await
                    .into_iter()
                    .collect::<Result<Vec<_>>>()?,
            );
        }
        cx.emit(page_of(cx, items));
        if !go_on {
            break;
        }
    }
    Ok(())
}

/// A token with `public-only` is not shown organizations that are not public.
fn page_of(cx: &Cx, items: Vec<v1::Organization>) -> v1::OrganizationPage {
    let partial = call::sees_only_public(cx);
    let reason = if partial {
        "the token has the scope public-only: what is not public is left out"
    } else {
        ""
    };
    v1::OrganizationPage {
        items,
        partial,
        partial_reason: reason.to_owned(),
        ..v1::OrganizationPage::default()
    }
}

/// A listed organization is one that the identity belongs to, and no policy keeps an application out. What is left to
/// find out is whether its teams let the identity read.
async fn describe(cx: &Cx, login: &str, found: &Organization) -> Result<v1::Organization> {
    let name = found.name.as_deref().or(found.username.as_deref());
    let name = name.ok_or_else(|| Failure::malformed("an organization has no name"))?;
    let mut organization = v1::Organization {
        stable_id: found.id.to_string(),
        login: name.to_owned(),
        display_name: found.full_name.clone(),
        ..v1::Organization::default()
    };
    let url = cx.api(&["users", login, "orgs", name, "permissions"])?;
    let response = call::ask(cx, url).await?;
    if response.status() == 404 {
        // Before 1.17 there is no such endpoint.
        return Ok(granted(organization));
    }
    match call::refusal(&response) {
        Some(Refusal::Scope(_)) => return Ok(scope_too_small(organization, LACKS_SCOPE)),
        Some(Refusal::PublicOnly) => return Ok(scope_too_small(organization, PUBLIC_ONLY)),
        _ => {}
    }
    let permissions: Permissions = call::good(cx, response)?.json()?;
    permissions.role().clone_into(&mut organization.role);
    match permissions.role() {
        "" => no_team(cx, organization),
        _ => Ok(granted(organization)),
    }
}

fn granted(organization: v1::Organization) -> v1::Organization {
    v1::Organization {
        access: v1::OrganizationAccess::Granted.into(),
        ..organization
    }
}

const LACKS_SCOPE: &str = "the token lacks the scope read:organization or read:user";
const PUBLIC_ONLY: &str = "the token has the scope public-only, and the organization is not public";

fn scope_too_small(organization: v1::Organization, reason: &str) -> v1::Organization {
    v1::Organization {
        access: v1::OrganizationAccess::ScopeTooSmall.into(),
        reason: reason.to_owned(),
        who: v1::Actor::User.into(),
        ..organization
    }
}

/// A member whose teams cover single units or repositories only: some repositories may be there all the same.
fn no_team(cx: &Cx, organization: v1::Organization) -> Result<v1::Organization> {
    let page = cx.web(&["org", &organization.login, "teams"])?;
    Ok(v1::Organization {
        access: v1::OrganizationAccess::Unknown.into(),
        reason: "no team of the organization lets this account read all of its code".to_owned(),
        who: v1::Actor::OrganizationOwner.into(),
        action_uri: page.into(),
        ..organization
    })
}
