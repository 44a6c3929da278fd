//! Who a link belongs to.

use std::collections::BTreeMap;

use crate::{name::NamespaceName, time::Timestamp};

/// A user, an organization, or a registry instance that links belong to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Namespace {
    /// Its name.
    pub name: NamespaceName,
    /// What it is.
    pub kind: NamespaceKind,
    /// Name for people; may be empty.
    pub display_name: String,
    /// Its links must belong to service accounts.
    pub require_service_account: bool,
    /// Key-value pairs for selection.
    pub labels: BTreeMap<String, String>,
    /// Key-value pairs for other programs.
    pub annotations: BTreeMap<String, String>,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

impl Namespace {
    /// A namespace with nothing but its name.
    #[must_use]
    pub const fn new(name: NamespaceName, kind: NamespaceKind, now: Timestamp) -> Self {
        Self {
            name,
            kind,
            display_name: String::new(),
            require_service_account: false,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            created: now,
            updated: now,
        }
    }
}

/// What a namespace is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NamespaceKind {
    /// A person.
    User,
    /// An organization or team.
    Organization,
    /// A registry instance.
    Instance {
        /// Type of the instance, in the registry's words: `enterprise`.
        instance_type: String,
        /// Region, in the registry's words: `eu-central-1`.
        region: String,
    },
}
