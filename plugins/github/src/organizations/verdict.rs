//! What may be in the way, who lifts it, and where

use bindery_plugin_sdk::{Cx, Result, v1};

use crate::call::{self, Barrier};

/// What was found out about an organization.
pub(super) struct Verdict {
    pub(super) access: v1::OrganizationAccess,
    pub(super) reason: String,
    pub(super) who: v1::Actor,
    pub(super) page: String,
}

impl Verdict {
    /// As it is told.
    pub(super) fn item(self, id: u64, name: &str, role: String) -> v1::Organization {
        v1::Organization {
            stable_id: id.to_string(),
            login: name.to_owned(),
            display_name: String::new(),
            access: self.access.into(),
            reason: self.reason,
            who: self.who.into(),
            action_uri: self.page,
            role,
        }
    }
}

pub(super) fn barred(cx: &Cx, name: &str, barrier: Barrier) -> Result<Verdict> {
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
        Barrier::Suspended => (
            restricted,
            "the account or the installation is suspended",
            owner,
            String::new(),
        ),
        Barrier::Permission(lacking) => return Ok(too_small(&lacking)),
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

fn too_small(lacking: &[String]) -> Verdict {
    Verdict {
        access: v1::OrganizationAccess::ScopeTooSmall,
        reason: format!("the token lacks {}", lacking.join(", ")),
        who: v1::Actor::User,
        page: String::new(),
    }
}

/// One page serves both: a member asks there, an owner approves there. The refusal hides which of them the identity is.
/// Without a client id only the owner's page is known.
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

pub(super) fn granted() -> Verdict {
    Verdict {
        access: v1::OrganizationAccess::Granted,
        reason: String::new(),
        who: v1::Actor::Unspecified,
        page: String::new(),
    }
}

pub(super) fn invited(cx: &Cx, name: &str) -> Result<Verdict> {
    Ok(Verdict {
        access: v1::OrganizationAccess::NoMembership,
        reason: "the invitation to the organization is not accepted yet".to_owned(),
        who: v1::Actor::User,
        page: cx.web(&["orgs", name, "invitation"])?.into(),
    })
}

pub(super) fn sign_on(page: String) -> Verdict {
    Verdict {
        access: v1::OrganizationAccess::SsoRequired,
        reason: "the organization asks for a single sign-on session".to_owned(),
        who: v1::Actor::User,
        page,
    }
}
