//! Organizations, and what keeps the link from each
//!
//! No endpoint says "approved". The list holds what the identity belongs to; each organization is then asked about with
//! a question that a barred application gets no answer to.

use bindery_plugin_sdk::{Cx, Response, Result, join_all, v1};
use serde::Deserialize;

use crate::{
    call::{self, Barrier},
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
}

/// What was found out about an organization.
struct Verdict {
    access: v1::OrganizationAccess,
    reason: String,
    who: v1::Actor,
    page: String,
}

pub(crate) async fn list(cx: &Cx, input: &v1::ListOrganizations) -> Result<()> {
    let mut url = cx
        .api(&["user", "orgs"])?
        .query("per_page", page_size(input.page_size));
    loop {
        let response = call::get(cx, url).await?;
        let found: Vec<Organization> = response.json()?;
        let cursor = next_cursor(cx, &response)?;
        let left_out = call::left_out(&response);
        let signed_off = left_out.clone().unwrap_or_default();
        let mut items = Vec::with_capacity(found.len());
        for some in found.chunks(AT_ONCE) {
            let some = some.iter().map(|one| describe(cx, one, &signed_off));
            items.extend(
                join_all(some)
                    .await
                    .into_iter()
                    .collect::<Result<Vec<_>>>()?,
            );
        }
        cx.emit(v1::OrganizationPage {
            items,
            partial: left_out.is_some(),
            ..v1::OrganizationPage::default()
        });
        if cursor.is_empty() {
            return Ok(());
        }
        url = url_of(cx, &cursor)?;
    }
}

async fn describe(
    cx: &Cx,
    found: &Organization,
    signed_off: &[String],
) -> Result<v1::Organization> {
    let stable_id = found.id.to_string();
    let verdict = if signed_off.contains(&stable_id) {
        sign_on(String::new())
    } else {
        judge(cx, &found.login).await?
    };
    Ok(v1::Organization {
        stable_id,
        login: found.login.clone(),
        display_name: String::new(),
        access: verdict.access.into(),
        reason: verdict.reason,
        who: verdict.who.into(),
        action_uri: verdict.page,
        ..v1::Organization::default()
    })
}

/// Asks for the identity's own membership, which needs approval as all that is not public does. Where that is hidden,
/// the organization itself is asked for.
async fn judge(cx: &Cx, name: &str) -> Result<Verdict> {
    let response = call::ask(cx, cx.api(&["user", "memberships", "orgs", name])?).await?;
    if response.status() == 404 && call::barrier(&response).is_none() {
        let response = call::ask(cx, cx.api(&["orgs", name])?).await?;
        return match response.is_success() {
            true => Ok(granted()),
            false => refused(cx, name, &response),
        };
    }
    if !response.is_success() {
        return refused(cx, name, &response);
    }
    Ok(match response.json::<Membership>()?.state.as_str() {
        "active" => granted(),
        _ => invited(cx, name)?,
    })
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

fn barred(cx: &Cx, name: &str, barrier: Barrier) -> Result<Verdict> {
    let settings = |page: &str| {
        cx.web(&["organizations", name, "settings", page])
            .map(String::from)
    };
    let owner = v1::Actor::OrganizationOwner;
    let restricted = v1::OrganizationAccess::RestrictedByPolicy;
    let (access, reason, who, page) = match barrier {
        Barrier::SignOn(page) => return Ok(sign_on(call::own_page(cx, &page))),
        Barrier::Application => return unapproved(cx, &settings("oauth_application_policy")?),
        Barrier::TokenKind => (
            restricted,
            "the organization does not accept this kind of token",
            owner,
            settings("personal-access-tokens")?,
        ),
        Barrier::Address => (
            restricted,
            "the organization accepts requests from listed addresses only",
            owner,
            settings("security")?,
        ),
        Barrier::Integration => (
            v1::OrganizationAccess::NotInstalled,
            "the app is not installed in the organization, or may not see its members",
            owner,
            settings("installations")?,
        ),
        Barrier::Scope(_) => (
            v1::OrganizationAccess::ScopeTooSmall,
            "the token lacks the scope read:org",
            v1::Actor::User,
            String::new(),
        ),
    };
    Ok(Verdict {
        access,
        reason: reason.to_owned(),
        who,
        page,
    })
}

/// One page serves both: a member asks there, an owner approves there. Without a client id only the owner's is known.
fn unapproved(cx: &Cx, policy: &str) -> Result<Verdict> {
    let request = call::request_page(cx);
    let how = match &request {
        Some(_) => "ask for access on the page of the application",
        None => "ask an owner",
    };
    Ok(Verdict {
        access: v1::OrganizationAccess::RestrictedByPolicy,
        reason: format!(
            "the organization restricts third-party applications and has not approved this one: {how}; \
             an owner decides at {policy}"
        ),
        who: v1::Actor::OrganizationOwner,
        page: request.unwrap_or_else(|| policy.to_owned()),
    })
}

fn granted() -> Verdict {
    Verdict {
        access: v1::OrganizationAccess::Granted,
        reason: String::new(),
        who: v1::Actor::Unspecified,
        page: String::new(),
    }
}

fn invited(cx: &Cx, name: &str) -> Result<Verdict> {
    Ok(Verdict {
        access: v1::OrganizationAccess::NoMembership,
        reason: "the invitation to the organization is not accepted yet".to_owned(),
        who: v1::Actor::User,
        page: cx.web(&["orgs", name, "invitation"])?.into(),
    })
}

fn sign_on(page: String) -> Verdict {
    Verdict {
        access: v1::OrganizationAccess::SsoRequired,
        reason: "the organization asks for a single sign-on session".to_owned(),
        who: v1::Actor::User,
        page,
    }
}
