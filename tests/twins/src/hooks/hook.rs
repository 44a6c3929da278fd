//! One registered hook

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::Outcome;

/// A hook as its forge keeps it
#[derive(Clone)]
pub struct Hook {
    /// The number that never changes
    pub id: u64,
    /// Id of the repository
    pub repository: u64,
    /// Where deliveries go
    pub url: String,
    /// What signs deliveries, or is sent along with them; for assertions only, as forges tell nobody
    pub secret: Option<String>,
    /// A second secret with a scheme of its own: GitLab's signing token
    pub signing: Option<String>,
    /// Names of what it is for, in the forge's words
    pub events: BTreeSet<String>,
    /// Whether a person wants it to be used
    pub active: bool,
    /// Whether the receiver's certificate is looked at
    pub verifies_tls: bool,
    /// Whether deliveries are forms
    pub form: bool,
    /// Who made it
    pub creator: u64,
    /// Milliseconds since 1970
    pub created: u64,
    /// Milliseconds since 1970
    pub updated: u64,
    /// Deliveries that failed one after the other
    pub failures: u32,
    /// Until when the forge leaves it alone
    pub disabled_until: Option<u64>,
    /// What came of the last delivery
    pub last: Option<Outcome>,
    /// What only this forge has: names, filters, modes
    pub extra: Map<String, Value>,
}

/// What a forge says about a hook's health
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Alert {
    /// It is used
    Executable,
    /// It rests for a while
    TemporarilyDisabled,
    /// It rests until somebody tests it with success
    Disabled,
}

impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hook")
            .field("id", &self.id)
            .field("repository", &self.repository)
            .field("events", &self.events)
            .field("active", &self.active)
            .finish_non_exhaustive()
    }
}

impl Hook {
    /// An active one for nothing yet, with neither a secret nor anything special
    #[must_use]
    pub fn new(id: u64, repository: u64, url: &str, now_ms: u64) -> Self {
        Self {
            id,
            repository,
            url: url.to_owned(),
            secret: None,
            signing: None,
            events: BTreeSet::new(),
            active: true,
            verifies_tls: true,
            form: false,
            creator: 0,
            created: now_ms,
            updated: now_ms,
            failures: 0,
            disabled_until: None,
            last: None,
            extra: Map::new(),
        }
    }

    /// Whether it is for this
    #[must_use]
    pub fn wants(&self, event: &str) -> bool {
        self.events.contains(event)
    }

    /// A text that only this forge has
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        let value = self.extra.get(name).and_then(Value::as_str);
        value.unwrap_or_default()
    }
}
