//! Permissions in plain words.

use bindery_core::provider::{Permission, PermissionScopes};

/// One permission as a page shows it.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) what: &'static str,
    pub(crate) why: &'static str,
    pub(crate) scopes: Vec<String>,
}

impl Ask {
    /// All of `permissions`, in order.
    pub(crate) fn all(permissions: Vec<PermissionScopes>) -> Vec<Self> {
        permissions.into_iter().map(Self::from).collect()
    }
}

impl From<PermissionScopes> for Ask {
    fn from(entry: PermissionScopes) -> Self {
        let (what, why) = words(entry.permission);
        Self {
            what,
            why,
            scopes: entry.scopes,
        }
    }
}

const fn words(permission: Permission) -> (&'static str, &'static str) {
    match permission {
        Permission::Identity => (
            "Learn who you are",
            "To show which account is bound, and to notice when another one answers.",
        ),
        Permission::Organizations => (
            "See the organizations that you belong to",
            "To offer their repositories, and to say which of them allow access.",
        ),
        Permission::ReadCode => (
            "Read the code that you can read",
            "To list repositories, branches and tags, and to fetch code for builds.",
        ),
        Permission::WriteCode => (
            "Write code where you can write",
            "To push commits and tags when the registry is told to.",
        ),
        Permission::Webhooks => (
            "Create and delete webhooks",
            "So that a push starts a build, and so that nothing is left behind when you unlink.",
        ),
    }
}
