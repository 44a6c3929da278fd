//! Changing what people say about a source.

use std::{collections::BTreeMap, time::Duration};

use bindery_core::{
    port::{Expect, Record},
    problem::{Problem, Reason},
    source::{Rule, Source, SourceName},
};

use super::{SourceView, key};
use crate::{Engine, RequestKey, Versioned, namespaces::check_etag, records::change};

/// What is to change; `None` leaves it as it is.
#[derive(Clone, Debug, Default)]
pub struct SourceChange {
    /// Name for people.
    pub display_name: Option<String>,
    /// Which changes trigger, all rules.
    pub rules: Option<Vec<Rule>>,
    /// How many events may trigger in a minute.
    pub max_triggers_per_minute: Option<u32>,
    /// Commits that ask for no build trigger all the same.
    pub ignore_skip_marks: Option<bool>,
    /// No event triggers.
    pub paused: Option<bool>,
    /// How often refs are compared; `Some(None)` for the daemon's default.
    pub reconcile: Option<Option<Duration>>,
    /// Key-value pairs for selection, all of them.
    pub labels: Option<BTreeMap<String, String>>,
    /// Key-value pairs for other programs, all of them.
    pub annotations: Option<BTreeMap<String, String>>,
    /// Everything is checked, and nothing is changed.
    pub validate_only: bool,
}

impl SourceChange {
    fn put_into(&self, source: &mut Source) {
        fn put<T: Clone>(new: Option<&T>, place: &mut T) {
            if let Some(new) = new {
                place.clone_from(new);
            }
        }
        put(self.display_name.as_ref(), &mut source.display_name);
        put(self.rules.as_ref(), &mut source.rules);
        put(
            self.max_triggers_per_minute.as_ref(),
            &mut source.max_triggers_per_minute,
        );
        put(
            self.ignore_skip_marks.as_ref(),
            &mut source.ignore_skip_marks,
        );
        put(self.paused.as_ref(), &mut source.paused);
        put(self.reconcile.as_ref(), &mut source.reconcile);
        put(self.labels.as_ref(), &mut source.labels);
        put(self.annotations.as_ref(), &mut source.annotations);
    }
}

impl Engine {
    /// Changes what people say about a source.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, `ETAG_MISMATCH`, `INVALID_ARGUMENT` for rules, `REQUEST_ID_REUSED`, and what the vault says.
    pub async fn update_source(
        &self,
        name: &SourceName,
        wanted: &SourceChange,
        expect: Option<u64>,
        request: Option<&RequestKey>,
    ) -> Result<SourceView, Problem> {
        if let Some(rules) = &wanted.rules {
            bindery_core::rules::check_rules(rules)?;
        }
        loop {
            if let Some(resource) = self.recall(request).await? {
                return self.source_named(&resource).await;
            }
            let view = self.source(name).await?;
            let version = view.source.version;
            check_etag(expect, version)?;
            let mut source = view.source.record.clone();
            wanted.put_into(&mut source);
            if wanted.validate_only || source == view.source.record {
                return Ok(SourceView {
                    source: Versioned {
                        record: source,
                        version,
                    },
                    ..view
                });
            }
            source.updated = self.now();
            let put = Some(Record::Source(source));
            let mut changes = vec![change(key(name), Expect::Version(version), put)];
            changes.extend(self.remember(request, &name.to_string()).await?);
            match self.commit(changes).await {
                Err(problem) if problem.reason == Reason::StoreConflict => {}
                outcome => {
                    outcome?;
                    return self.source(name).await;
                }
            }
        }
    }
}
