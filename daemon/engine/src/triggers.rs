//! Triggers: URLs by which people and scripts start a build of a source, without the provider.
//!
//! A trigger's URL holds an opaque place and no credential; its token goes into a header. Triggers go with their source.
//!
//! | Module | What it does |
//! |---|---|
//! | `create` | makes a trigger with its first token |
//! | `list` | reads triggers |
//! | `change` | changes, rotates and deletes |
//! | `token` | tokens: made, compared, and shown again to a repetition |
//! | `fire` | turns a firing into an event |
//! | `goal` | which commit of which ref is built |

mod change;
mod create;
mod fire;
mod goal;
mod list;
mod token;

use std::time::Duration;

use bindery_core::{
    port::Key,
    problem::Problem,
    secret::Secret,
    trigger::{Trigger, TriggerName, is_full_ref},
};

pub use self::{change::TriggerChange, create::NewTrigger};
use crate::{Engine, Versioned};

/// How long an old token is accepted beside a new one where nobody says.
pub const OVERLAP: Duration = Duration::from_secs(3600);

/// Longest time for which an old token is accepted beside a new one.
pub const LONGEST_OVERLAP: Duration = Duration::from_secs(7 * 86_400);

/// What people say about a trigger.
#[derive(Clone, Debug, Default)]
pub struct TriggerSettings {
    /// Name for people; may be empty.
    pub display_name: String,
    /// Full name of the branch or tag to build where a firing names none; may be empty.
    pub default_ref: String,
    /// It is switched off.
    pub disabled: bool,
}

/// A trigger and its token, which is shown once.
#[derive(Debug)]
pub struct WithToken {
    /// The trigger. Of one that was only checked nothing is stored, and its version is 0.
    pub trigger: Versioned<Trigger>,
    /// The token; empty where nothing is stored.
    pub token: Secret,
}

impl Engine {
    /// Where a trigger is fired.
    #[must_use]
    pub fn trigger_url(&self, trigger: &Trigger) -> String {
        format!("{}/triggers/{}", self.config().public_url, trigger.place)
    }
}

/// Where a trigger is kept.
fn key(name: &TriggerName) -> Key {
    Key::Trigger(name.source.clone(), name.trigger.clone())
}

/// Where its tokens are kept.
fn secret_key(name: &TriggerName) -> Key {
    Key::TriggerSecret(name.source.clone(), name.trigger.clone())
}

/// Refuses what is no full name of a branch or tag. Empty is none.
fn check_ref(field: &'static str, text: &str) -> Result<(), Problem> {
    if text.is_empty() || is_full_ref(text) {
        return Ok(());
    }
    let message =
        format!("{field} is no full name of a branch or tag; write it as refs/heads/main");
    Err(Problem::invalid(field, message))
}
