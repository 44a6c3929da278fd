//! Organizations, and what keeps the link from each
//!
//! No endpoint says "approved". The list holds what the identity belongs to; each organization is then asked about with
//! a question that a barred application gets no answer to.

mod app;
mod requested;
mod verdict;

use std::collections::HashSet;

use bindery_plugin_sdk::{
    Cx, Response, Result, Url, join_all,
    v1::{self, Code},
};
use serde::Deserialize;

use self::verdict::{Verdict, barred, granted, invited, sign_on};
use crate::{
    account, call,
    paging::{next_cursor, page_size, url_of},
};

/// Organizations that are asked about at once. GitHub counts requests that run side by side against a limit.
const AT_ONCE: usize = 5;

#[derive(Deserialize)]
struct Organization {
    id: u64,
    login: String,
}

#[derive(Deserialize)]
struct Membership {
    state: String,
    #[serde(default)]
    role: String,
}

/// How organizations are judged: by asking each of them, or by where the app is installed.
enum Judge {
    ByAsking,
    ByInstallation(app::Installed),
}

pub(crate) async fn list(cx: &Cx, input: &v1::ListOrganizations) -> Result<()> {
    if account::is_installation(cx) {
        return app::of_installation(cx).await;
    }
    let judge = match account::is_app_user(cx) {
        true => Judge::ByInstallation(app::Installed::read(cx).await?),
        false => Judge::ByAsking,
    };
    let own = cx
        .api(&["user", "orgs"])?
        .query("per_page", page_size(input.page_size));
    let mut seen = HashSet::new();
    pages(cx, own, &judge, &mut seen).await?;
    match &judge {
        Judge::ByInstallation(installed) => cx.emit(installed.rest(cx, &seen)),
        Judge::ByAsking if may_be_kept_out(cx) => kept_out(cx, &judge, &mut seen).await?,
        Judge::ByAsking => {}
    }
    Ok(())
}

/// Restrictions on applications are for applications, not for tokens that a person made.
fn may_be_kept_out(cx: &Cx) -> bool {
    let known = cx.credential();
    let kind = known.auth_kind();
    let by_application = matches!(kind, v1::AuthKind::OauthCode | v1::AuthKind::Device);
    by_application && !known.login.is_empty()
}

/// An organization that has not approved the application is left out of the list. Where the person shows the membership
/// to everybody, the public list tells of it all the same. No public list is no failure.
async fn kept_out(cx: &Cx, judge: &Judge, seen: &mut HashSet<u64>) -> Result<()> {
    let login = cx.credential().login.as_str();
    let shown = cx
        .api(&["users", login, "orgs"])?
        .query("per_page", page_size(0));
    match pages(cx, shown, judge, seen).await {
        Err(failure) if matches!(failure.code(), Code::NotFound | Code::PermissionDenied) => Ok(()),
        outcome => outcome,
    }
}

/// Emits what was not seen before.
async fn pages(cx: &Cx, mut url: Url, judge: &Judge, seen: &mut HashSet<u64>) -> Result<()> {
    loop {
        let response = call::get(cx, url).await?;
        let mut found: Vec<Organization> = response.json()?;
        found.retain(|one| seen.insert(one.id));
        let cursor = next_cursor(cx, &response)?;
        if !found.is_empty() || call::left_out(&response).is_some() {
            cx.emit(page(cx, &response, &found, judge).await?);
        }
        if cursor.is_empty() {
            return Ok(());
        }
        url = url_of(cx, &cursor)?;
    }
}

async fn page(
    cx: &Cx,
    response: &Response,
    found: &[Organization],
    judge: &Judge,
) -> Result<v1::OrganizationPage> {
    let left_out = call::left_out(response);
    let signed_off = left_out.clone().unwrap_or_default();
    let mut items = Vec::with_capacity(found.len());
    for some in found.chunks(AT_ONCE) {
        let some = some.iter().map(|one| describe(cx, one, &signed_off, judge));
        let some = join_all(some).await.into_iter();
        items.extend(some.collect::<Result<Vec<_>>>()?);
    }
    let page = v1::OrganizationPage {
        items,
        ..v1::OrganizationPage::default()
    };
    Ok(match left_out {
        None => page,
        Some(missing) => partial(cx, page, missing.len())?,
    })
}

/// GitHub names what it left out by number alone; the person sees all of them on a page of their own.
fn partial(cx: &Cx, page: v1::OrganizationPage, missing: usize) -> Result<v1::OrganizationPage> {
    Ok(v1::OrganizationPage {
        partial: true,
        partial_reason: format!(
            "a single sign-on session is due; organizations that are left out without it: {missing}"
        ),
        partial_uri: cx.web(&["settings", "organizations"])?.into(),
        ..page
    })
}

async fn describe(
    cx: &Cx,
    found: &Organization,
    signed_off: &[String],
    judge: &Judge,
) -> Result<v1::Organization> {
    let (verdict, role) = if signed_off.contains(&found.id.to_string()) {
        (sign_on(String::new()), String::new())
    } else {
        match judge {
            Judge::ByAsking => ask(cx, &found.login).await?,
            Judge::ByInstallation(installed) => (installed.judge(cx, found)?, String::new()),
        }
    };
    Ok(verdict.item(found.id, &found.login, role))
}

/// Whether the identity owns an organization. An app needs `members:read` to be told.
pub(crate) async fn is_owner(cx: &Cx, name: &str) -> Result<bool> {
    let response = call::ask(cx, membership(cx, name)?).await?;
    if response.status() == 404 && call::barrier(&response).is_none() {
        return Ok(false);
    }
    let own: Membership = call::good(cx, response)?.json()?;
    Ok(own.state == "active" && own.role == "admin")
}

fn membership(cx: &Cx, name: &str) -> Result<Url> {
    cx.api(&["user", "memberships", "orgs", name])
}

/// Asks for the identity's own membership, which needs approval as all that is not public does. Where that is hidden,
/// the organization itself is asked for.
async fn ask(cx: &Cx, name: &str) -> Result<(Verdict, String)> {
    let response = call::ask(cx, membership(cx, name)?).await?;
    if response.status() == 404 && call::barrier(&response).is_none() {
        let response = call::ask(cx, cx.api(&["orgs", name])?).await?;
        let verdict = match response.is_success() {
            true => granted(),
            false => refused(cx, name, &response)?,
        };
        return Ok((verdict, String::new()));
    }
    if !response.is_success() {
        return Ok((refused(cx, name, &response)?, String::new()));
    }
    let own: Membership = response.json()?;
    let verdict = match own.state.as_str() {
        "active" => granted(),
        _ => invited(cx, name)?,
    };
    Ok((verdict, own.role))
}

/// A refused token or a used-up limit ends the whole operation. Everything else is about this one organization, and must
/// not hide the others.
fn refused(cx: &Cx, name: &str, response: &Response) -> Result<Verdict> {
    if response.status() == 401 || call::rate_limit(cx, response).is_some() {
        return Err(call::failure(cx, response));
    }
    match call::barrier(response) {
        Some(barrier) => barred(cx, name, barrier),
        None => Ok(Verdict {
            access: v1::OrganizationAccess::Unknown,
            reason: format!("GitHub answered with status {}", response.status()),
            who: v1::Actor::Unspecified,
            page: String::new(),
        }),
    }
}
