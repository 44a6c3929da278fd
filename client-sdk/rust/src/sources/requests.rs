//! What calls on sources are asked with.

use std::{fmt::Display, time::Duration};

use bindery_proto::v1::{CreateSourceRequest, DeleteSourceRequest, Rule, Source};

/// Asks to connect a repository.
///
/// ```
/// use bindery_client::{SourceRequest, proto::v1::{Pattern, Rule, pattern::Kind}};
///
/// let releases = Rule {
///     id: "releases".to_owned(),
///     tags: vec![Pattern { kind: Some(Kind::Glob("v*".to_owned())) }],
///     ..Rule::default()
/// };
/// let request = SourceRequest::new("namespaces/acme/links/8c1f", "acme/api").rules([releases]);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct SourceRequest(CreateSourceRequest);

impl SourceRequest {
    /// Connects a repository of `namespaces/{namespace}/links/{link}`, by stable id or full name.
    pub fn new(link: impl Display, repository: impl Into<String>) -> Self {
        let source = Source {
            repository: repository.into(),
            ..Source::default()
        };
        Self::of(link, source)
    }

    /// Connects what a message describes; its `name` is ignored.
    pub fn of(link: impl Display, source: Source) -> Self {
        Self(CreateSourceRequest {
            parent: link.to_string(),
            source: Some(source),
            ..CreateSourceRequest::default()
        })
    }

    fn source(&mut self) -> &mut Source {
        self.0.source.get_or_insert_default()
    }

    /// Its id: 1 to 63 of `a-z`, `0-9` and `-`; the daemon makes one unless set.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.0.source_id = id.into();
        self
    }

    /// Which changes become events, and what is built for them; the first rule that matches counts.
    pub fn rules(mut self, rules: impl IntoIterator<Item = Rule>) -> Self {
        self.source().rules.extend(rules);
        self
    }

    /// Name for people.
    pub fn display_name(mut self, name: impl Into<String>) -> Self {
        self.source().display_name = name.into();
        self
    }

    /// How many events of it may trigger in a minute; 0 means no limit.
    pub fn max_triggers_per_minute(mut self, limit: u32) -> Self {
        self.source().max_triggers_per_minute = limit;
        self
    }

    /// How often refs are compared with what deliveries told; zero means never.
    pub fn reconcile_interval(mut self, interval: Duration) -> Self {
        self.source().reconcile_interval = interval.try_into().ok();
        self
    }

    /// Pairs for selection.
    pub fn labels(mut self, labels: impl IntoIterator<Item = (String, String)>) -> Self {
        self.source().labels.extend(labels);
        self
    }

    /// Checks everything, also at the provider, and changes nothing.
    pub fn preview(mut self, preview: bool) -> Self {
        self.0.validate_only = preview;
        self
    }

    /// A UUID of the caller's own, to repeat the same intent after a crash.
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.0.request_id = id.into();
        self
    }

    pub(crate) fn into_message(self) -> CreateSourceRequest {
        self.0
    }
}

/// Asks to disconnect a source.
#[derive(Clone, Debug)]
#[must_use]
pub struct DisconnectRequest(DeleteSourceRequest);

impl DisconnectRequest {
    /// Disconnects `namespaces/{namespace}/links/{link}/sources/{source}`.
    pub fn new(name: impl Display) -> Self {
        Self(DeleteSourceRequest {
            name: name.to_string(),
            ..DeleteSourceRequest::default()
        })
    }

    /// Refuses where the source changed since this `etag` was read.
    pub fn etag(mut self, etag: impl Into<String>) -> Self {
        self.0.etag = etag.into();
        self
    }

    /// Leaves the hook at the provider.
    pub fn keep_hook(mut self, keep: bool) -> Self {
        self.0.keep_hook = keep;
        self
    }

    /// Succeeds where the source does not exist.
    pub fn allow_missing(mut self, allow: bool) -> Self {
        self.0.allow_missing = allow;
        self
    }

    /// Does nothing and returns what would be done.
    pub fn preview(mut self, preview: bool) -> Self {
        self.0.validate_only = preview;
        self
    }

    pub(crate) fn into_message(self) -> DeleteSourceRequest {
        self.0
    }
}
