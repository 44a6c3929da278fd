//! Permissions, and the scopes that carry them.

use std::collections::BTreeSet;

use bindery_core::{
    host::Host,
    link::Link,
    problem::{Problem, Reason, Who},
    provider::{AuthKind, Description, Permission, PermissionScopes},
};

/// A permission that can be kept in an ordered set.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum PermissionKey {
    /// Learn who the identity is; always asked for.
    Identity,
    /// List organizations.
    Organizations,
    /// Read code.
    ReadCode,
    /// Write code.
    WriteCode,
    /// Create and delete webhooks.
    Webhooks,
}

impl From<PermissionKey> for Permission {
    fn from(key: PermissionKey) -> Self {
        match key {
            PermissionKey::Identity => Self::Identity,
            PermissionKey::Organizations => Self::Organizations,
            PermissionKey::ReadCode => Self::ReadCode,
            PermissionKey::WriteCode => Self::WriteCode,
            PermissionKey::Webhooks => Self::Webhooks,
        }
    }
}

/// Identity is always asked for: a link without one can't be told from another.
pub(crate) fn wanted(permissions: &BTreeSet<PermissionKey>) -> Vec<Permission> {
    let all = std::iter::once(PermissionKey::Identity).chain(permissions.iter().copied());
    all.collect::<BTreeSet<_>>()
        .into_iter()
        .map(Permission::from)
        .collect()
}

/// Permissions that the granted scopes of a link do not carry; none when the provider does not tell the scopes.
pub(crate) fn missing(description: &Description, link: &Link) -> Vec<PermissionScopes> {
    let Some(granted) = &link.granted_scopes else {
        return Vec::new();
    };
    let asked = |entry: &PermissionScopes| {
        entry
            .scopes
            .iter()
            .all(|scope| link.requested_scopes.contains(scope))
    };
    let wanted: Vec<_> = description
        .permissions
        .iter()
        .filter(|entry| asked(entry))
        .map(|entry| entry.permission)
        .collect();
    description.missing(&wanted, granted)
}

/// Scopes to ask for. What an app may do is settled with the app, and nothing is asked for on top of it.
pub(super) fn to_ask(
    description: &Description,
    kind: AuthKind,
    permissions: &[Permission],
) -> Vec<String> {
    match kind {
        AuthKind::AppInstallation => Vec::new(),
        _ => description.scopes_for(permissions),
    }
}

/// Granted scopes that were not asked for. Of an app none are.
pub(crate) fn extra(link: &Link) -> Vec<String> {
    let asked = link.auth_kind != AuthKind::AppInstallation;
    let granted = link.granted_scopes.iter().flatten().filter(|_| asked);
    granted
        .filter(|scope| !link.requested_scopes.contains(scope))
        .cloned()
        .collect()
}

/// As [`extra`], for a token that a person made: a scope that covers what was asked for is not too much.
pub(crate) fn unasked(description: &Description, link: &Link) -> Vec<String> {
    let covers = |scope: &String| {
        let wanted = |entry: &&PermissionScopes| link.permissions.contains(&entry.permission);
        let mut entries = description.permissions.iter().filter(wanted);
        entries.any(|entry| entry.covered_by.contains(scope))
    };
    let mut more = extra(link);
    more.retain(|scope| !covers(scope));
    more
}

pub(super) fn refuse_missing(
    description: &Description,
    link: &Link,
    host: &Host,
) -> Result<(), Problem> {
    let Some(granted) = &link.granted_scopes else {
        return Ok(());
    };
    let missing = description.missing(&link.permissions, granted);
    if missing.is_empty() {
        return Ok(());
    }
    Err(scope_problem(&missing, description, host))
}

/// Names missing scopes, what they are for, and where a token with them is made.
pub(crate) fn scope_problem(
    missing: &[PermissionScopes],
    description: &Description,
    host: &Host,
) -> Problem {
    let list: Vec<String> = missing
        .iter()
        .map(|entry| {
            format!(
                "missing {}: {}",
                entry.scopes.join(" and "),
                loss(entry.permission)
            )
        })
        .collect();
    let page = description
        .method(AuthKind::AccessToken)
        .map(|method| host.fill_page(&method.help_uri));
    let message = format!("{}; make a token that has it", list.join("; "));
    let mut problem =
        Problem::new(Reason::ScopeMissing, message).act(Who::User, page.unwrap_or_default());
    for scope in missing.iter().flat_map(|entry| &entry.scopes) {
        problem = problem.with("missing_scope", scope.clone());
    }
    problem
}

/// What does not work without a permission.
const fn loss(permission: Permission) -> &'static str {
    match permission {
        Permission::Identity => "its owner can't be told",
        Permission::Organizations => "organizations can't be listed",
        Permission::ReadCode => "private code can't be read",
        Permission::WriteCode => "code can't be written",
        Permission::Webhooks => "webhooks can't be created",
    }
}
