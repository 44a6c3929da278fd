//! What is looked at before a grant is kept: whose it is, what it may do, how long it lasts, how far it reaches.

use std::time::Duration;

use bindery_core::{
    host::Host,
    link::Link,
    namespace::{Namespace, NamespaceKind},
    problem::{Problem, Reason, Who},
    provider::{
        AccountKind, AuthKind, AuthMethod, Description, Identity, Input, OperationKind,
        Organization, OrganizationAccess, Output, Permission, TokenKind, UserName,
    },
    secret::Secret,
    time::Timestamp,
};

use super::{
    Finding, Found, Severity,
    scopes::{extra, unasked},
};
use crate::Engine;

/// A grant that ends sooner is worth a warning.
const SOON: Duration = Duration::from_secs(7 * 86_400);

/// The rules that a grant has to keep.
pub(crate) struct Rules<'a> {
    pub(crate) namespace: &'a Namespace,
    /// Login or stable id; empty for any.
    pub(crate) expected_identity: &'a str,
    pub(crate) allow_personal_account: bool,
}

impl Rules<'_> {
    /// Refuses another identity than the expected one, and a personal account where none may be.
    pub(crate) fn check(&self, link: &Link, identity: &Identity) -> Result<(), Problem> {
        expected(self.expected_identity, identity)?;
        self.account(link, identity)
    }

    /// Refuses a personal account where the namespace requires a service account.
    pub(crate) fn account(&self, link: &Link, identity: &Identity) -> Result<(), Problem> {
        let required = self.namespace.require_service_account && !self.allow_personal_account;
        if !required || for_machines(link, identity) {
            return Ok(());
        }
        let message = format!(
            "{} is a personal account, and namespaces/{} requires a service account; link one, or allow the personal \
             account explicitly",
            identity.login, self.namespace.name
        );
        Err(Problem::new(Reason::ServiceAccountRequired, message).act(Who::User, ""))
    }
}

/// Refuses another identity than the expected one. A login is compared without regard to case, as forges do.
pub(crate) fn expected(expected: &str, identity: &Identity) -> Result<(), Problem> {
    let fits = expected.eq_ignore_ascii_case(&identity.login) || expected == identity.stable_id;
    if expected.is_empty() || fits {
        return Ok(());
    }
    let message = format!(
        "the authorization belongs to {}, not to {expected}; sign in as the right account",
        identity.login
    );
    Err(Problem::new(Reason::IdentityMismatch, message))
}

/// Whether builds hang on no single person: the provider says so, or the caller does where it can't.
pub(crate) fn for_machines(link: &Link, identity: &Identity) -> bool {
    let told = matches!(
        identity.kind,
        AccountKind::Bot | AccountKind::App | AccountKind::Organization
    );
    // An installation on a person's own account ends with that account.
    let app = link.auth_kind == AuthKind::AppInstallation && identity.kind != AccountKind::User;
    told || link.service_account || app
}

/// Checks the user name that comes with a token.
pub(crate) fn user_name(
    method: &AuthMethod,
    kind: Option<&TokenKind>,
    given: &str,
) -> Result<(), Problem> {
    let needed = kind.is_some_and(|kind| kind.needs_username);
    let (required, what) = match method.user_name {
        UserName::Optional => (needed, "user name that belongs to it"),
        UserName::Login => (true, "login of its account"),
        UserName::Email => (needed, "e-mail of its account"),
    };
    if required && given.is_empty() {
        let message =
            format!("the token comes without the {what}; give it as access_token.username");
        return Err(Problem::invalid("access_token.username", message));
    }
    Ok(())
}

/// Refuses a token of another login than the one that came with it. An e-mail says nothing about the login.
pub(crate) fn login_of_token(
    method: &AuthMethod,
    given: &str,
    identity: &Identity,
) -> Result<(), Problem> {
    match method.user_name {
        UserName::Email => Ok(()),
        _ if given.is_empty() || given.eq_ignore_ascii_case(&identity.login) => Ok(()),
        _ => {
            let message = format!(
                "the token belongs to {}, not to {given}; give the token of the right account",
                identity.login
            );
            Err(Problem::new(Reason::IdentityMismatch, message))
        }
    }
}

/// What is worth saying about a grant that is kept: the most severe first. `ends` is when it does, if nobody can renew it.
pub(crate) fn findings(
    namespace: &Namespace,
    description: &Description,
    link: &Link,
    found: &Found,
    ends: Option<Timestamp>,
    now: Timestamp,
) -> Vec<Finding> {
    let about = [
        expiry(ends, now),
        personal(namespace, link, &found.identity),
        untold(description, link),
        surplus(description, link),
    ];
    let mut all: Vec<_> = about.into_iter().flatten().collect();
    all.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    all
}

/// Only a token that nobody can renew is worth a word.
fn expiry(ends: Option<Timestamp>, now: Timestamp) -> Option<Finding> {
    let ends = ends?;
    let left = ends.since(now);
    (left < SOON).then(|| {
        let message = format!(
            "the token ends in {} hours; make a new one and authorize the link again before",
            left.as_secs() / 3600
        );
        Finding {
            until: Some(ends),
            ..Finding::new(
                Severity::Warning,
                Problem::new(Reason::ExpiresSoon, message).act(Who::User, ""),
            )
        }
    })
}

/// The builds of a team should not end with one person's account.
pub(crate) fn personal(namespace: &Namespace, link: &Link, identity: &Identity) -> Option<Finding> {
    let team = !matches!(namespace.kind, NamespaceKind::User);
    (team && !for_machines(link, identity)).then(|| {
        let message = format!(
            "{} is a personal account: the builds of namespaces/{} end with it; link a service account",
            identity.login, namespace.name
        );
        let problem = Problem::new(Reason::PersonalAccount, message).act(Who::User, "");
        Finding::new(Severity::Warning, problem)
    })
}

/// A provider that does not tell the scopes leaves their check to the first call that lacks one.
fn untold(description: &Description, link: &Link) -> Option<Finding> {
    let scoped = description
        .permissions
        .iter()
        .any(|entry| link.permissions.contains(&entry.permission) && !entry.scopes.is_empty());
    (link.granted_scopes.is_none() && scoped).then(|| {
        let message = format!(
            "{} does not tell what the token may do; a missing permission shows when it is first needed",
            description.display_name
        );
        Finding::new(Severity::Info, Problem::new(Reason::ScopeMissing, message))
    })
}

/// O8: more than was asked for is told.
fn surplus(description: &Description, link: &Link) -> Option<Finding> {
    let more = match link.auth_kind {
        AuthKind::AccessToken => unasked(description, link),
        _ => extra(link),
    };
    (!more.is_empty()).then(|| {
        let message = format!(
            "the token may do more than was asked for ({}); make one with fewer scopes if that is not meant",
            more.join(", ")
        );
        Finding::new(Severity::Info, Problem::new(Reason::ScopeExcessive, message))
    })
}

impl Engine {
    /// How far a token reaches. What can't be found out is not said: this is advice, and the token is good.
    pub(crate) async fn reach(&self, link: &Link, host: &Host, token: &Secret) -> Vec<Finding> {
        let Ok(description) = self.description(host) else {
            return Vec::new();
        };
        let can = |operation| description.operations.contains(&operation);
        let mut all = Vec::new();
        if can(OperationKind::ListOrganizations)
            && link.permissions.contains(&Permission::Organizations)
        {
            all.extend(self.organizations_reached(link, host, token).await);
        }
        if can(OperationKind::ListRepositories) && link.permissions.contains(&Permission::ReadCode)
        {
            all.extend(self.repositories_reached(link, host, token).await);
        }
        all
    }

    async fn organizations_reached(
        &self,
        link: &Link,
        host: &Host,
        token: &Secret,
    ) -> Vec<Finding> {
        let input = Input::ListOrganizations { page_size: 100 };
        let Ok(outcome) = self.ask_once(link, host, token, input, None).await else {
            return Vec::new();
        };
        let pages = outcome.pages.into_iter().chain([outcome.last]);
        pages.flat_map(shut).collect()
    }

    async fn repositories_reached(
        &self,
        link: &Link,
        host: &Host,
        token: &Secret,
    ) -> Option<Finding> {
        let input = Input::ListRepositories {
            owner: String::new(),
            query: String::new(),
            cursor: String::new(),
            page_size: 1,
            max_pages: 1,
        };
        let context = self.link_context(link, host, token).await.ok()?;
        let outcome = self.run(context, input).await.ok()?;
        let mut pages = outcome.pages.iter().chain([&outcome.last]);
        let none = pages.all(|page| match page {
            Output::Repositories { items, .. } => items.is_empty(),
            _ => true,
        });
        none.then(|| {
            let message = "the token reaches no repository; give it access to those that are built";
            let problem = Problem::new(Reason::ProviderNotFound, message).act(Who::User, "");
            Finding::new(Severity::Warning, problem)
        })
    }
}

/// The organizations of a page that the token does not reach, and what the page leaves out.
fn shut(page: Output) -> Vec<Finding> {
    let Output::Organizations {
        items,
        partial,
        partial_reason,
        partial_uri,
    } = page
    else {
        return Vec::new();
    };
    let mut all: Vec<_> = items.into_iter().filter_map(unreached).collect();
    if partial {
        let message = match partial_reason.as_str() {
            "" => "the provider leaves organizations out; look at its own page".to_owned(),
            _ => partial_reason,
        };
        let problem = Problem::new(Reason::OrganizationRestricted, message);
        all.push(Finding::new(
            Severity::Info,
            problem.act(Who::User, partial_uri),
        ));
    }
    all
}

fn unreached(organization: Organization) -> Option<Finding> {
    let reason = match organization.access {
        OrganizationAccess::Granted | OrganizationAccess::Unknown => return None,
        OrganizationAccess::SsoRequired => Reason::SsoRequired,
        OrganizationAccess::NotInstalled => Reason::AppNotInstalled,
        OrganizationAccess::ScopeTooSmall => Reason::ScopeMissing,
        OrganizationAccess::RestrictedByPolicy
        | OrganizationAccess::RequestPending
        | OrganizationAccess::NoMembership => Reason::OrganizationRestricted,
    };
    let message = format!(
        "{} is not reached: {}",
        organization.login,
        if organization.reason.is_empty() {
            "the provider does not say why"
        } else {
            &organization.reason
        }
    );
    let who = organization.who.unwrap_or(Who::User);
    let problem = Problem::new(reason, message).act(who, organization.action_uri);
    Some(Finding::new(Severity::Warning, problem))
}
