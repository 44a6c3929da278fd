//! What deliveries left out: those that failed are asked for again, and refs are compared with what events told.
//!
//! Providers drop deliveries, send none for many refs at once, and most never try again. So the refs of each repository are
//! looked at from time to time, and at once where something hints at a gap. What differs becomes an event once, whether or not
//! its delivery comes later.
//!
//! | Module | What it does |
//! |---|---|
//! | `missed` | asks the provider for deliveries that failed |
//! | `compare` | compares refs |
//! | `silence` | a hook that nothing comes from although refs change |
//! | `watch` | when each hook is due |

mod compare;
mod missed;
mod silence;
mod watch;

use std::{collections::HashMap, sync::Mutex};

use bindery_core::{
    hook::Hook,
    name::{HookId, NamespaceName},
    problem::{Problem, Reason},
    source::SourceName,
    time::Timestamp,
};

use crate::{Engine, RequestKey};

/// What catching up did.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct CaughtUp {
    /// Deliveries that the provider was asked to send again.
    pub recovered_deliveries: u32,
    /// Refs that had changed without a delivery.
    pub changed_refs: u32,
    /// The events that were emitted: namespace and sequence.
    pub events: Vec<(NamespaceName, u64)>,
}

/// What is known of comparisons beside the records.
#[derive(Default)]
pub(crate) struct Comparisons {
    /// Hooks that could not be looked at, and when they are again.
    held: Mutex<HashMap<HookId, Timestamp>>,
    /// Hooks that did not tell of a change, for as long as their deliveries may be on their way.
    doubts: Mutex<HashMap<HookId, silence::Doubt>>,
}

impl Engine {
    /// Asks for deliveries of a source's hook that were missed, and compares refs. `since` is from when on the provider's list
    /// is gone through; `None` for where it ended the last time. Where deliveries are sent again, refs are compared once those
    /// had their time. A repetition of the request answers the same, and asks nobody.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, `REQUEST_ID_REUSED`, the reasons of links that can't be used, and what the provider and the vault say.
    pub async fn catch_up(
        &self,
        source: &SourceName,
        since: Option<Timestamp>,
        request: Option<&RequestKey>,
    ) -> Result<CaughtUp, Problem> {
        if let Some(text) = self.recall(request).await? {
            return recalled(&text, &source.namespace);
        }
        let found = self.find_source(source).await?;
        let found = found.ok_or_else(|| Problem::not_found(source))?;
        let mut caught = self.catch_up_source(&found.record.hook, since).await?;
        // What other namespaces got is not this one's to see.
        caught
            .events
            .retain(|(namespace, _)| *namespace == source.namespace);
        let remember = self.remember(request, &told(&caught)).await?;
        match self.commit(remember.into_iter().collect()).await {
            // The same request, asked twice at the same time: the other one caught up with it.
            Err(problem) if problem.reason == Reason::StoreConflict => {
                let text = self.recall(request).await?.ok_or(problem)?;
                recalled(&text, &source.namespace)
            }
            outcome => outcome.map(|()| caught),
        }
    }

    /// Catches up with the hook of a source, and before with that of the app where that serves the repository.
    async fn catch_up_source(
        &self,
        id: &HookId,
        since: Option<Timestamp>,
    ) -> Result<CaughtUp, Problem> {
        match self.fetch_by_app(id, since).await? {
            0 => self.reconcile_hook(id, since).await,
            recovered_deliveries => Ok(CaughtUp {
                recovered_deliveries,
                ..CaughtUp::default()
            }),
        }
    }

    /// Asks for what the app's hook missed where it serves the repository of a hook, whose refs are compared once what is sent
    /// again had its time. Returns for how many.
    async fn fetch_by_app(&self, id: &HookId, since: Option<Timestamp>) -> Result<u32, Problem> {
        let served = self.find_hook(id).await?.filter(|hook| hook.record.by_app);
        let Some(served) = served else {
            return Ok(0);
        };
        let Some(app) = self.app_hook(&served.record.host).await? else {
            return Ok(0);
        };
        self.host(&app.host).await?.record.usable()?;
        let recovered = self.fetch_missed(&app, since).await;
        if recovered > 0 {
            self.change_hook(id, |hook| hook.reconcile_due = true)
                .await?;
        }
        Ok(recovered)
    }

    /// Catches up with one hook.
    pub(crate) async fn reconcile_hook(
        &self,
        id: &HookId,
        since: Option<Timestamp>,
    ) -> Result<CaughtUp, Problem> {
        let _turn = self.deliveries().turn(id).await;
        let Some(hook) = self.find_hook(id).await? else {
            return Ok(CaughtUp::default());
        };
        if hook.record.is_app() {
            return self.catch_up_app(&hook.record).await;
        }
        if self.acting_sources(&hook.record).await?.is_empty() {
            return Err(Problem::new(
                Reason::LinkDisabled,
                "no link is in use that could ask the provider; enable or authorize one",
            ));
        }
        let recovered = self.fetch_missed(&hook.record, since).await;
        if recovered > 0 {
            return Ok(CaughtUp {
                recovered_deliveries: recovered,
                ..CaughtUp::default()
            });
        }
        self.compare_refs(&hook.record).await
    }

    /// An app's hook has no refs: what it missed is asked for again, and its repositories are compared by themselves.
    async fn catch_up_app(&self, hook: &Hook) -> Result<CaughtUp, Problem> {
        self.host(&hook.host).await?.record.usable()?;
        let recovered_deliveries = self.fetch_missed(hook, None).await;
        let now = self.now();
        self.change_hook(&hook.id, |hook| {
            hook.reconciled = Some(now);
            hook.reconcile_due = false;
        })
        .await?;
        Ok(CaughtUp {
            recovered_deliveries,
            ..CaughtUp::default()
        })
    }
}

/// Events of an answer that are remembered; what a repetition is not told of is in the list of events.
const REMEMBERED: usize = 10_000;

/// What a request is remembered by that caught up. All events are of one namespace.
fn told(caught: &CaughtUp) -> String {
    let numbers = caught.events.iter().take(REMEMBERED);
    let events = numbers.map(|(_, number)| format!(" {number}"));
    let (recovered, changed) = (caught.recovered_deliveries, caught.changed_refs);
    format!("{recovered} {changed}{}", events.collect::<String>())
}

fn recalled(text: &str, namespace: &NamespaceName) -> Result<CaughtUp, Problem> {
    let numbers: Option<Vec<u64>> = text.split(' ').map(|part| part.parse().ok()).collect();
    let Some([recovered, changed, events @ ..]) = numbers.as_deref() else {
        let message = "a remembered request tells of no catching up";
        return Err(Problem::new(Reason::Internal, message));
    };
    let count = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    Ok(CaughtUp {
        recovered_deliveries: count(*recovered),
        changed_refs: count(*changed),
        events: events
            .iter()
            .map(|number| (namespace.clone(), *number))
            .collect(),
    })
}
