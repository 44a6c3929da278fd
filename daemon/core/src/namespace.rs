//! Who a link belongs to.

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
    /// When it was made.
    pub created: Timestamp,
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
