//! What filters compare, and the names that events have in text.

use super::{Event, EventChange, EventOrigin, Verdict};
use crate::{hook::HookState, provider::Happening};

/// What a filter of events can ask for.
pub const FILTER_FIELDS: [&str; 6] = ["link", "source", "repository", "change", "ref", "verdict"];

impl Event {
    /// What a filter compares: one of [`FILTER_FIELDS`].
    #[must_use]
    pub fn field(&self, field: &str) -> String {
        match field {
            "link" => self.link_name(),
            "source" => self.source_name(),
            "repository" => self.full_name.clone(),
            "change" => self.change.kind().to_owned(),
            "ref" => self.change.reference().to_owned(),
            _ => Verdict::text(self.verdict).to_owned(),
        }
    }

    /// `namespaces/{namespace}/events/{event}`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("namespaces/{}/events/{}", self.namespace, self.sequence)
    }

    /// `namespaces/{namespace}/links/{link}`.
    #[must_use]
    pub fn link_name(&self) -> String {
        format!("namespaces/{}/links/{}", self.namespace, self.link)
    }

    /// Name of the source; empty where the event concerns the link as a whole.
    #[must_use]
    pub fn source_name(&self) -> String {
        let below = |id| format!("{}/sources/{id}", self.link_name());
        self.source.as_ref().map(below).unwrap_or_default()
    }
}

impl EventChange {
    /// The kind of a change, by the name that it has in an event.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Provider(Happening::Push(_)) => "push",
            Self::Provider(Happening::TagCreated(_)) => "tag_created",
            Self::Provider(Happening::RefDeleted(_)) => "ref_deleted",
            Self::Provider(Happening::RepositoryChanged(_)) => "repository_changed",
            Self::Access(_) => "access_changed",
            Self::Hook(_) => "hook_changed",
            Self::Trigger(_) => "trigger_fired",
        }
    }

    /// Full name of the branch or tag; empty where it concerns none.
    #[must_use]
    pub fn reference(&self) -> &str {
        match self {
            Self::Provider(Happening::Push(push)) => &push.reference,
            Self::Provider(Happening::TagCreated(tag)) => &tag.reference,
            Self::Provider(Happening::RefDeleted(deleted)) => &deleted.reference,
            Self::Trigger(firing) => &firing.reference,
            _ => "",
        }
    }
}

impl EventOrigin {
    /// Its name in text.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Delivery => "DELIVERY",
            Self::Redelivery => "REDELIVERY",
            Self::Reconciliation => "RECONCILIATION",
            Self::Trigger => "TRIGGER",
            Self::Daemon => "DAEMON",
        }
    }
}

impl Verdict {
    /// Its name in text, as filters have it.
    #[must_use]
    pub const fn text(verdict: Option<Self>) -> &'static str {
        match verdict {
            None => "UNSPECIFIED",
            Some(Self::Trigger) => "TRIGGER",
            Some(Self::Excluded) => "EXCLUDED",
            Some(Self::Skipped) => "SKIPPED",
            Some(Self::HeldBack) => "HELD_BACK",
            Some(Self::Paused) => "PAUSED",
        }
    }
}

impl HookState {
    /// Its name in text.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Verified => "VERIFIED",
            Self::Silent => "SILENT",
            Self::Rejecting => "REJECTING",
            Self::DisabledByProvider => "DISABLED_BY_PROVIDER",
            Self::Missing => "MISSING",
            Self::Forbidden => "FORBIDDEN",
            Self::Changed => "CHANGED",
        }
    }
}
