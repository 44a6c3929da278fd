//! What checks of a link found, kept until the next one.

use crate::{problem::Who, provider::OrganizationAccess, time::Timestamp};

/// What the provider showed the last time that a link was checked.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Seen {
    /// When it was checked.
    pub at: Option<Timestamp>,
    /// Organizations, and whether the link could act in them.
    pub organizations: Vec<SeenOrganization>,
    /// Repositories that credentials were asked for, the most recent last.
    pub repositories: Vec<SeenRepository>,
    /// What was wrong.
    pub notes: Vec<Note>,
}

/// An organization that was seen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SeenOrganization {
    /// Id that never changes.
    pub stable_id: String,
    /// Login at that time.
    pub login: String,
    /// Whether the link could act in it.
    pub access: OrganizationAccess,
}

/// A repository that was seen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SeenRepository {
    /// Id that survives renames.
    pub stable_id: String,
    /// Full name at that time.
    pub full_name: String,
}

/// One thing that a check found, kept until the next one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Note {
    /// How much it matters.
    pub severity: Severity,
    /// Stable reason.
    pub reason: String,
    /// In words for people.
    pub message: String,
    /// Page where somebody acts; may be empty.
    pub action_uri: String,
    /// Who must act.
    pub who: Option<Who>,
    /// Until when.
    pub until: Option<Timestamp>,
}

/// How much a finding matters.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Something will fail later.
    Warning,
    /// Something fails now.
    Error,
}
