//! Permissions, and the scopes that carry them.

use std::collections::BTreeSet;

use bindery_core::{
    host::Host,
    link::Link,
    problem::{Problem, Reason, Who},
    provider::{AuthKind, Description, Permission, TokenFacts},
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
pub(crate) fn missing(
    description: &Description,
    link: &Link,
) -> Vec<bindery_core::provider::PermissionScopes> {
    let Some(granted) = &link.granted_scopes else {
        return Vec::new();
    };
    let asked = |entry: &bindery_core::provider::PermissionScopes| {
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

pub(super) fn refuse_missing(
    description: &Description,
    wanted: &[Permission],
    facts: &TokenFacts,
    host: &Host,
) -> Result<(), Problem> {
    let Some(granted) = &facts.scopes else {
        return Ok(());
    };
    let missing = description.missing(wanted, granted);
    if missing.is_empty() {
        return Ok(());
    }
    Err(scope_problem(&missing, description, host))
}

/// Names missing scopes, what they are for, and where a token with them is made.
pub(crate) fn scope_problem(
    missing: &[bindery_core::provider::PermissionScopes],
    description: &Description,
    host: &Host,
) -> Problem {
    let list: Vec<String> = missing
        .iter()
        .map(|entry| entry.scopes.join(" and "))
        .collect();
    let what: Vec<String> = missing
        .iter()
        .map(|entry| purpose(entry.permission).to_owned())
        .collect();
    let page = description
        .method(AuthKind::AccessToken)
        .map(|method| method.help_uri.replace("{web}", &host.web_url));
    let message = format!(
        "the token lacks {}: it can't {}; make one that has it",
        list.join(", "),
        what.join(", nor ")
    );
    let mut problem =
        Problem::new(Reason::ScopeMissing, message).act(Who::User, page.unwrap_or_default());
    for scope in missing.iter().flat_map(|entry| &entry.scopes) {
        problem = problem.with("missing_scope", scope.clone());
    }
    problem
}

/// What a permission is good for, after "can".
pub(crate) const fn purpose(permission: Permission) -> &'static str {
    match permission {
        Permission::Identity => "tell who it belongs to",
        Permission::Organizations => "list organizations",
        Permission::ReadCode => "read private code",
        Permission::WriteCode => "write code",
        Permission::Webhooks => "create webhooks",
    }
}
