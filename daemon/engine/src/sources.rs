//! Sources: repositories of links that are used as automated build sources.
//!
//! | Module | What it does |
//! |---|---|
//! | `create` | connects a repository, and sees to its hook |
//! | `list` | reads sources with what is known about their hooks |
//! | `update` | changes rules, limits and names |
//! | `disconnect` | disconnects a repository; the last one takes the hook away |
//! | `refs` | the refs of a repository as they are at the start |

mod create;
mod disconnect;
mod list;
mod refs;
mod update;

use std::{collections::BTreeMap, time::Duration};

use bindery_core::{
    hook::Hook,
    name::{LinkId, NamespaceName, SourceId},
    port::{Key, Record},
    source::{Rule, Source, SourceName},
};

pub(crate) use self::disconnect::{OldId, planned, shared, step};
pub use self::{create::NewSource, disconnect::Disconnect, update::SourceChange};
use crate::Versioned;

/// A source, and the hook that serves it.
#[derive(Debug)]
pub struct SourceView {
    /// The source. Of one that was only checked nothing is stored, and its version is 0.
    pub source: Versioned<Source>,
    /// Its hook; `None` where nothing is stored.
    pub hook: Option<Hook>,
}

/// What people say about a source.
#[derive(Clone, Debug, Default)]
pub struct SourceSettings {
    /// Name for people; may be empty.
    pub display_name: String,
    /// Which changes trigger; the first rule that matches counts.
    pub rules: Vec<Rule>,
    /// How many events may trigger in a minute; 0 for no limit.
    pub max_triggers_per_minute: u32,
    /// Commits that ask for no build trigger all the same.
    pub ignore_skip_marks: bool,
    /// No event triggers.
    pub paused: bool,
    /// How often refs are compared; `None` for the daemon's default, zero for never.
    pub reconcile: Option<Duration>,
    /// Key-value pairs for selection.
    pub labels: BTreeMap<String, String>,
    /// Key-value pairs for other programs.
    pub annotations: BTreeMap<String, String>,
}

/// Where a source is kept.
pub(crate) fn key(name: &SourceName) -> Key {
    Key::Source(
        name.namespace.clone(),
        name.link.clone(),
        name.source.clone(),
    )
}

pub(crate) fn as_source(record: Record) -> Option<Source> {
    if let Record::Source(source) = record {
        Some(source)
    } else {
        None
    }
}

/// Parses `namespaces/{namespace}/links/{link}/sources/{source}`.
pub(crate) fn parse_name(text: &str) -> Option<SourceName> {
    let rest = text.strip_prefix("namespaces/")?;
    let (namespace, rest) = rest.split_once("/links/")?;
    let (link, source) = rest.split_once("/sources/")?;
    Some(SourceName {
        namespace: NamespaceName::parse(namespace).ok()?,
        link: LinkId::parse(link).ok()?,
        source: SourceId::parse(source).ok()?,
    })
}
