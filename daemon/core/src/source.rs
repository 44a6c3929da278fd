//! A repository of a link that is used as an automated build source, and the rules of what becomes of its changes.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    name::{HookId, HostName, LinkId, NamespaceName, SourceId},
    time::Timestamp,
};

/// One repository of a link, used as an automated build source.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Source {
    /// Namespace of the link.
    pub namespace: NamespaceName,
    /// The link.
    pub link: LinkId,
    /// Its id, never reused.
    pub id: SourceId,
    /// Host that the link is on.
    pub host: HostName,
    /// The provider's id of the repository.
    pub repository: String,
    /// Path of the repository, as last seen.
    pub full_name: String,
    /// Name for people; may be empty.
    pub display_name: String,
    /// Which changes trigger, and what is built; the first that matches counts. Empty means every branch and tag.
    pub rules: Vec<Rule>,
    /// How many events may trigger in a minute; 0 for no limit.
    pub max_triggers_per_minute: u32,
    /// Commits that ask for no build trigger all the same.
    pub ignore_skip_marks: bool,
    /// No event triggers; the hook stays.
    pub paused: bool,
    /// How often refs are compared; `None` for the daemon's default, zero for never.
    pub reconcile: Option<Duration>,
    /// The hook that serves it.
    pub hook: HookId,
    /// Key-value pairs for selection.
    pub labels: BTreeMap<String, String>,
    /// Key-value pairs for other programs.
    pub annotations: BTreeMap<String, String>,
    /// Principal that made it.
    pub created_by: String,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
    /// Where the refs are kept as they were when deliveries were no longer acted on for it, although they were for others of
    /// its hook; `None` where it missed nothing. What it missed is told once it is acted for again.
    pub behind: Option<HookId>,
    /// It was disconnected: this is the trace that keeps its id from being used again. Nothing acts on it, and nobody sees it.
    pub disconnected: Option<Timestamp>,
}

/// Which source of which link of which namespace.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SourceName {
    /// Namespace of the link.
    pub namespace: NamespaceName,
    /// The link.
    pub link: LinkId,
    /// The source.
    pub source: SourceId,
}

impl std::fmt::Display for SourceName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            namespace,
            link,
            source,
        } = self;
        write!(f, "namespaces/{namespace}/links/{link}/sources/{source}")
    }
}

impl Source {
    /// What stays of it when it is disconnected at `now`: its id, and nothing that people said.
    #[must_use]
    pub fn trace(&self, now: Timestamp) -> Self {
        Self {
            namespace: self.namespace.clone(),
            link: self.link.clone(),
            id: self.id.clone(),
            host: self.host.clone(),
            repository: self.repository.clone(),
            full_name: String::new(),
            display_name: String::new(),
            rules: Vec::new(),
            max_triggers_per_minute: 0,
            ignore_skip_marks: false,
            paused: true,
            reconcile: None,
            hook: self.hook.clone(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            created_by: String::new(),
            created: self.created,
            updated: now,
            behind: None,
            disconnected: Some(now),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> SourceName {
        SourceName {
            namespace: self.namespace.clone(),
            link: self.link.clone(),
            source: self.id.clone(),
        }
    }
}

/// Which changes trigger, and what is built for them.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Rule {
    /// Id within the source.
    pub id: String,
    /// What it matches triggers nothing.
    pub exclude: bool,
    /// Branches by short name; empty and no `tags` means all branches and tags.
    pub branches: Vec<Pattern>,
    /// Tags by short name.
    pub tags: Vec<Pattern>,
    /// Only changes to one of these paths; empty for any. A rule that excludes is for changes to nothing else. A change whose
    /// paths are not known is built.
    pub paths: Vec<Pattern>,
    /// What the registry builds.
    pub build: Option<Build>,
}

/// A pattern for names or paths.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Pattern {
    /// `*` matches within a path segment, `**` across, `?` one character.
    Glob(String),
    /// A regular expression that must match the whole name.
    Regex(String),
}

/// What a registry builds. Carried, and not interpreted, but for the tag template.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Build {
    /// Repository of the registry to push to.
    pub image_repository: String,
    /// Template of the image tag; in an event it is filled in.
    pub tag_template: String,
    /// Path of the build context.
    pub context_path: String,
    /// Path of the build file within the context.
    pub file_path: String,
    /// Build arguments.
    pub arguments: BTreeMap<String, String>,
}
