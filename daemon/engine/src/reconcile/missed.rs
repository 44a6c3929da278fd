//! Deliveries that the provider could not deliver, or that never came: it is asked to send them again.

use std::{collections::HashSet, time::Duration};

use bindery_core::{
    hook::Hook,
    problem::{Problem, Reason},
    provider::{Input, OperationKind, Output, SentDelivery},
    time::Timestamp,
};

use crate::{
    Engine,
    hooks::{Through, by_id},
    intake::{by_id as mark_by_id, seen_mark},
    repositories::outputs,
};

/// Deliveries that are asked for again in one go.
const AT_ONCE: usize = 100;

/// One that was sent just now may be on its way.
const ON_ITS_WAY: Duration = Duration::from_secs(60);

impl Engine {
    /// Asks for what was missed since `since`, or since the last time. Returns for how many. What the provider can't do, or
    /// does not do now, is no loss: refs are compared.
    pub(super) async fn fetch_missed(&self, hook: &Hook, since: Option<Timestamp>) -> u32 {
        match self.try_fetch(hook, since).await {
            Ok(count) => count,
            Err(problem) => {
                tracing::info!(hook.id = %hook.id, reason = problem.reason.as_str(), error = %problem, "The provider's list of deliveries could not be gone through; refs are compared");
                0
            }
        }
    }

    async fn try_fetch(&self, hook: &Hook, since: Option<Timestamp>) -> Result<u32, Problem> {
        let host = self.host(&hook.host).await?.record;
        let can = &self.description(&host)?.operations;
        let both = [OperationKind::ListDeliveries, OperationKind::Redeliver];
        if hook.provider_id.is_empty() || !both.iter().all(|one| can.contains(one)) {
            return Ok(0);
        }
        let now = self.now();
        let since = since.or(hook.caught_up).unwrap_or(hook.created);
        let sent = self.sent_deliveries(hook, since).await?;
        let missed = self.missed(hook, sent, now).await?;
        let asked = self.ask_again(hook, &missed).await;
        // What was sent just now is looked at the next time.
        let until = Timestamp::from_unix_ms(
            now.unix_ms()
                .saturating_sub(u64::try_from(ON_ITS_WAY.as_millis()).unwrap_or(0)),
        );
        if missed.len() < AT_ONCE {
            self.change_hook(&hook.id, |hook| {
                hook.caught_up = hook.caught_up.max(Some(until));
                // Refs are compared once what was asked for had its time.
                hook.reconcile_due |= asked > 0;
            })
            .await?;
        }
        Ok(asked)
    }

    async fn sent_deliveries(
        &self,
        hook: &Hook,
        since: Timestamp,
    ) -> Result<Vec<SentDelivery>, Problem> {
        let input = Input::ListDeliveries {
            repository: by_id(hook),
            hook_id: hook.provider_id.clone(),
            since,
        };
        let outcome = self.act(hook, Through::Sources, &input, None).await?;
        let mut all = Vec::new();
        for output in outputs(outcome) {
            match output {
                Output::SentDeliveries(items) => all.extend(items),
                Output::Empty => {}
                _ => {
                    let message = "the plugin answered another question; report it to its author";
                    return Err(Problem::new(Reason::PluginFailed, message));
                }
            }
        }
        Ok(all)
    }

    /// Those that did not come: whatever the provider says of them, where their id was never seen here; and by its word where
    /// it tells no id. Of several attempts of one, the last counts.
    async fn missed(
        &self,
        hook: &Hook,
        sent: Vec<SentDelivery>,
        now: Timestamp,
    ) -> Result<Vec<SentDelivery>, Problem> {
        let (mut missed, mut looked_at) = (Vec::new(), HashSet::new());
        for one in sent {
            let recent = one.sent.is_some_and(|at| now.since(at) < ON_ITS_WAY);
            let first = one.stable_id.is_empty() || looked_at.insert(one.stable_id.clone());
            if recent || !first || missed.len() >= AT_ONCE {
                continue;
            }
            let came = if one.stable_id.is_empty() {
                (200..300).contains(&one.status)
            } else {
                seen_mark(self, &hook.id, mark_by_id(&hook.id, &one.stable_id)).await?
            };
            if !came {
                missed.push(one);
            }
        }
        // The oldest first, as they happened.
        missed.reverse();
        Ok(missed)
    }

    /// Asks for each. Returns for how many the provider agreed.
    async fn ask_again(&self, hook: &Hook, missed: &[SentDelivery]) -> u32 {
        let mut asked = 0;
        for one in missed {
            let input = Input::Redeliver {
                repository: by_id(hook),
                hook_id: hook.provider_id.clone(),
                sent_id: one.sent_id.clone(),
            };
            // Noted first: it may come before the answer.
            let known_as = if one.stable_id.is_empty() {
                &one.sent_id
            } else {
                &one.stable_id
            };
            if !self.intake().await_again(&hook.id, known_as) {
                continue;
            }
            match self.act(hook, Through::Sources, &input, None).await {
                Ok(_) => asked += 1,
                Err(problem) => {
                    tracing::debug!(hook.id = %hook.id, error = %problem, "A delivery is not sent again");
                }
            }
        }
        asked
    }
}
