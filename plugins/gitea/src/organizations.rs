//! Organizations, and what the identity may do in each

use bindery_plugin_sdk::{Cx, Failure, Result, join_all, v1};
use serde::Deserialize;

use crate::{
    account, call,
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
    can_read: bool,
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
        cx.emit(v1::OrganizationPage {
            items,
            ..v1::OrganizationPage::default()
        });
        if !go_on {
            break;
        }
    }
    Ok(())
}

/// A listed organization is one that the identity belongs to, and no policy keeps an application out. What is left to
/// find out is whether its teams let the identity read.
async fn describe(cx: &Cx, login: &str, found: &Organization) -> Result<v1::Organization> {
    let name = found.name.as_deref().or(found.username.as_deref());
    let name = name.ok_or_else(|| Failure::malformed("an organization has no name"))?;
    let organization = v1::Organization {
        stable_id: found.id.to_string(),
        login: name.to_owned(),
        display_name: found.full_name.clone(),
        ..v1::Organization::default()
    };
    let url = cx.api(&["users", login, "orgs", name, "permissions"])?;
    let response = call::ask(cx, url).await?;
    match response.status() {
        // Before 1.17 there is no such endpoint.
        404 => Ok(granted(organization)),
        _ if call::missing_scopes(&response).is_some() => Ok(scope_too_small(organization)),
        _ => {
            let permissions: Permissions = call::good(cx, response)?.json()?;
            Ok(match permissions.is_owner || permissions.can_read {
                true => granted(organization),
                false => no_team(cx, organization)?,
            })
        }
    }
}

fn granted(organization: v1::Organization) -> v1::Organization {
    v1::Organization {
        access: v1::OrganizationAccess::Granted.into(),
        ..organization
    }
}

fn scope_too_small(organization: v1::Organization) -> v1::Organization {
    v1::Organization {
        access: v1::OrganizationAccess::ScopeTooSmall.into(),
        reason: "the token lacks the scope read:organization or read:user".to_owned(),
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
