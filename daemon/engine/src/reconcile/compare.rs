//! The refs of a repository as the provider has them, against what events told.

use bindery_core::{
    hook::Hook,
    problem::{Problem, Reason},
    provider::{Input, Output, Ref, RefKind},
    refs::{Refs, compare},
    source::Source,
    time::Timestamp,
};

use super::CaughtUp;
use crate::{Engine, deliveries::Told, hooks::Through, repositories::outputs};

/// Refs a page.
const PAGE: u32 = 100;

/// Pages at most: a repository with more refs is one that nobody builds.
const PAGES: usize = 1000;

/// How often another writer may be faster.
const CONFLICTS: usize = 16;

impl Engine {
    /// All refs of a hook's repository.
    ///
    /// # Errors
    ///
    /// What the provider says; never a part of them.
    pub(crate) async fn current_refs(&self, hook: &Hook) -> Result<Refs, Problem> {
        let (mut refs, mut cursor) = (Refs::new(), String::new());
        for _ in 0..PAGES {
            let input = Input::ListRefs {
                repository: format!("id:{}", hook.repository),
                kind: None,
                cursor,
                page_size: PAGE,
                max_pages: 1,
            };
            let outcome = self.act(hook, Through::Sources, &input, None).await?;
            cursor = String::new();
            for output in outputs(outcome) {
                match output {
                    Output::Refs { items, next_cursor } => {
                        refs.extend(items.into_iter().map(named));
                        cursor = next_cursor;
                    }
                    Output::Empty => {}
                    _ => return Err(other_answer()),
                }
            }
            if cursor.is_empty() {
                return Ok(refs);
            }
        }
        Err(Problem::new(
            Reason::HostAnswerUnusable,
            "the repository has too many refs to be compared",
        ))
    }

    /// Emits what changed without a delivery. The hook's turn must be held.
    pub(super) async fn compare_refs(&self, hook: &Hook) -> Result<CaughtUp, Problem> {
        let refs = self.current_refs(hook).await?;
        for _ in 0..CONFLICTS {
            match self.write_comparison(hook, &refs).await {
                Err(problem) if problem.reason == Reason::StoreConflict => {}
                outcome => return outcome,
            }
        }
        self.write_comparison(hook, &refs).await
    }

    async fn write_comparison(&self, hook: &Hook, refs: &Refs) -> Result<CaughtUp, Problem> {
        let Some(mut changes) = self.changes(&hook.id).await? else {
            return Ok(CaughtUp::default());
        };
        if changes.sources.is_empty() && changes.behind.is_empty() {
            // Disabled meanwhile: it is compared when one is in use again.
            return Ok(CaughtUp::default());
        }
        let now = self.now();
        let found = compare(&mut changes.known, refs);
        let (before, untold) = (changes.before.record.clone(), found.len());
        let mut changed = untold;
        changes.told = found.into_iter().map(|one| Told::found(one, now)).collect();
        for source in std::mem::take(&mut changes.behind) {
            let missed = self.missed_by(&source.record, refs, now).await?;
            changed += missed.len();
            changes.caught_up.push((source, missed));
        }
        let changed = u32::try_from(changed).unwrap_or(u32::MAX);
        changes.after.reconciled = Some(now);
        changes.after.reconcile_due = false;
        let events = self.write_changes(changes, |_| Vec::new()).await?;
        self.doubt(&before, untold, now);
        Ok(CaughtUp {
            changed_refs: changed,
            events,
            ..CaughtUp::default()
        })
    }
}

impl Engine {
    /// What changed since a source was last acted for.
    async fn missed_by(
        &self,
        source: &Source,
        refs: &Refs,
        now: Timestamp,
    ) -> Result<Vec<Told>, Problem> {
        let Some(id) = &source.behind else {
            return Ok(Vec::new());
        };
        let Some(entry) = self.find_known_refs(id).await? else {
            return Ok(Vec::new());
        };
        let mut known = entry.record;
        let missed = compare(&mut known, refs).into_iter();
        Ok(missed.map(|one| Told::found(one, now)).collect())
    }
}

fn named(one: Ref) -> (String, String) {
    let folder = match one.kind {
        RefKind::Branch => "refs/heads",
        RefKind::Tag => "refs/tags",
    };
    (format!("{folder}/{}", one.name), one.commit)
}

fn other_answer() -> Problem {
    let message = "the plugin answered another question; report it to its author";
    Problem::new(Reason::PluginFailed, message)
}
