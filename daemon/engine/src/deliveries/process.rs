//! Processes what waits: the deliveries of a hook one after the other, several hooks at once.
//!
//! What the hook of an app brings is looked at in the line of that hook only as far as it takes to know whose it is, and then
//! waits in the line of its repository. So one repository that is slow, or that fails, holds no other one up, and what one
//! repository is told stays in order.

use std::time::Duration;

use bindery_core::{
    delivery::{Delivery, DeliveryState},
    hook::Hook,
    name::HookId,
    port::{Change, Expect, Key, Record},
    problem::{Kind, Problem, Reason},
};
use tokio::task::JoinSet;

use super::{
    note_proof,
    read::{Read, Said},
};
use crate::{Engine, Versioned, records::change};

/// Hooks whose deliveries are processed at once.
const AT_ONCE: usize = 8;

/// How long is slept at most: clocks jump.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// Wait after the first failure; twice as long after each further one.
const FIRST_WAIT: Duration = Duration::from_secs(2);

/// Longest wait after a failure.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// How often the provider is asked about a delivery before it is laid aside.
const TRIES: u32 = 6;

/// How often another writer may be faster before it counts as a failure.
const CONFLICTS: usize = 16;

impl Engine {
    /// Finds what was stored and not processed before the last stop.
    pub(crate) async fn recover_deliveries(&self) -> Result<(), Problem> {
        let (head, _) = self.delivery_numbers().await?;
        for number in head.processed.max(1)..head.reserved {
            let found = self.find_delivery(number).await?;
            let waits = found.filter(|one| one.record.state == DeliveryState::Stored);
            if let Some(delivery) = waits {
                self.open_number(number);
                self.deliveries().push(&delivery.record.hook, number);
            }
        }
        Ok(())
    }

    /// Processes deliveries until the future is dropped.
    pub(crate) async fn process_forever(&self) {
        let mut running = JoinSet::new();
        loop {
            self.start_processing(&mut running);
            let latest = self.now().after(LONGEST_SLEEP);
            let next = self.deliveries().queue.next();
            let next = next.map_or(latest, |next| next.min(latest));
            tokio::select! {
                _ = running.join_next(), if !running.is_empty() => {}
                () = self.deliveries().queue.stirred() => {}
                () = self.ports().clock.sleep_until(next) => {}
            }
        }
    }

    /// Processes all deliveries that wait and are due, and returns when none is left.
    pub async fn process_deliveries(&self) {
        let mut running = JoinSet::new();
        loop {
            self.start_processing(&mut running);
            if running.join_next().await.is_none() {
                return;
            }
        }
    }

    fn start_processing(&self, running: &mut JoinSet<()>) {
        while running.len() < AT_ONCE {
            let Some(hook) = self.deliveries().queue.take(self.now()) else {
                return;
            };
            let engine = self.clone();
            running.spawn(async move {
                // Left however it ends, a panic included.
                let left = Left(engine, hook);
                left.0.process_hook(&left.1).await;
            });
        }
    }

    /// Processes the deliveries of a hook, until there is none or one fails.
    async fn process_hook(&self, hook: &HookId) {
        let queue = &self.deliveries().queue;
        while let Some((number, failures)) = queue.first(hook) {
            // Waits from before, so that a panic is no endless loop.
            let wait = FIRST_WAIT * 2u32.saturating_pow(failures.min(16));
            let wait = wait.min(LONGEST_WAIT);
            queue.hold(hook, self.now().after(wait));
            let last = failures + 1 >= TRIES;
            match self.process_delivery(hook, number, last).await {
                Ok(Next::Over) => {
                    queue.done(hook, number);
                    self.close_number(number);
                }
                Ok(Next::With(repository)) => {
                    queue.push(&repository, number);
                    queue.done(hook, number);
                }
                Err(problem) => {
                    tracing::warn!(hook.id = %hook, number, reason = problem.reason.as_str(), error = %problem, "A delivery could not be processed; it is tried again");
                    return;
                }
            }
        }
    }

    /// Processes one delivery in the line of a hook. `last` says that nobody outside is waited for any more.
    async fn process_delivery(
        &self,
        line: &HookId,
        number: u64,
        last: bool,
    ) -> Result<Next, Problem> {
        let Some(found) = self.find_delivery(number).await? else {
            return Ok(Next::Over);
        };
        if found.record.state != DeliveryState::Stored {
            return Ok(Next::Over);
        }
        let Some(hook) = self.find_hook(line).await? else {
            return self.end_without_hook(found).await;
        };
        let hook = &hook.record;
        if hook.is_app() {
            return self.find_its_line(hook, found, last).await;
        }
        let _turn = self.deliveries().turn(line).await;
        if found.record.hook != *line {
            return self.process_by_app(hook, found, last).await;
        }
        let read = self.read_delivery(hook, &found.record).await;
        let done = self.conclude_read(hook, number, read, last).await;
        done.map(|()| Next::Over)
    }

    /// What becomes of a delivery that was read, or could not be, for the repository of a hook, whose turn must be held.
    pub(super) async fn conclude_read(
        &self,
        hook: &Hook,
        number: u64,
        read: Result<Read, Problem>,
        last: bool,
    ) -> Result<(), Problem> {
        match read {
            Ok(read) => {
                self.look_and_conclude(hook, number, Said::about(hook, read), last)
                    .await
            }
            Err(problem) if passes(&problem) && !last => Err(problem),
            Err(problem) => self.lay_aside(hook, number, &problem).await,
        }
    }

    /// What becomes of a delivery about the repository of a hook, whose turn must be held.
    async fn look_and_conclude(
        &self,
        hook: &Hook,
        number: u64,
        said: Said,
        last: bool,
    ) -> Result<(), Problem> {
        match self.look_up(hook, said).await {
            Ok(said) => self.conclude_again(&hook.id, number, &said).await,
            Err(problem) if passes(&problem) && !last => Err(problem),
            Err(problem) => self.lay_aside(hook, number, &problem).await,
        }
    }

    /// Decides what becomes of a delivery, again and again until no other writer is in between.
    async fn conclude_again(&self, hook: &HookId, number: u64, said: &Said) -> Result<(), Problem> {
        for _ in 0..CONFLICTS {
            match self.conclude(hook, number, said).await {
                Err(problem) if problem.reason == Reason::StoreConflict => {}
                outcome => return outcome,
            }
        }
        self.conclude(hook, number, said).await
    }

    /// What can't be read, or not be confirmed, is kept for people; refs are compared in its place.
    pub(super) async fn lay_aside(
        &self,
        hook: &Hook,
        number: u64,
        problem: &Problem,
    ) -> Result<(), Problem> {
        for _ in 0..CONFLICTS {
            match self.write_unparsed(&hook.id, number, problem).await {
                Err(problem) if problem.reason == Reason::StoreConflict => {}
                outcome => return outcome,
            }
        }
        self.write_unparsed(&hook.id, number, problem).await
    }

    async fn write_unparsed(
        &self,
        hook: &HookId,
        number: u64,
        problem: &Problem,
    ) -> Result<(), Problem> {
        let Some(found) = self.find_delivery(number).await? else {
            return Ok(());
        };
        let Some(hook) = self.find_hook(hook).await? else {
            return self.end_without_hook(found).await.map(drop);
        };
        let mut delivery = found.record;
        delivery.about = (delivery.hook != hook.record.id).then(|| hook.record.id.clone());
        delivery.state = DeliveryState::Unparsed;
        delivery.message = format!("{}; refs are compared instead", problem.message);
        let mut after = hook.record.clone();
        note_delivery(&mut after, &delivery);
        after.reconcile_due = true;
        let put = vec![put_delivery(delivery, found.version)];
        self.put_hook(&hook.record, after, hook.version, put).await
    }

    pub(super) async fn end_without_hook(
        &self,
        found: Versioned<Delivery>,
    ) -> Result<Next, Problem> {
        self.end_ignored(found, "its hook is gone").await
    }

    /// Nothing becomes of a delivery.
    pub(super) async fn end_ignored(
        &self,
        found: Versioned<Delivery>,
        why: &str,
    ) -> Result<Next, Problem> {
        let mut delivery = found.record;
        delivery.state = DeliveryState::Ignored;
        why.clone_into(&mut delivery.message);
        self.commit(vec![put_delivery(delivery, found.version)])
            .await?;
        Ok(Next::Over)
    }
}

/// Where a delivery goes from a line.
pub(super) enum Next {
    /// Nowhere: it is processed.
    Over,
    /// Into the line of this hook, whose repository it is about.
    With(HookId),
}

/// Gives a hook back to the queue.
struct Left(Engine, HookId);

impl Drop for Left {
    fn drop(&mut self) {
        self.0.deliveries().queue.leave(&self.1);
    }
}

/// Whether waiting mends it. A plugin that died may have died of this very delivery.
pub(super) fn passes(problem: &Problem) -> bool {
    let plugin = matches!(
        problem.reason,
        Reason::PluginCrashed | Reason::PluginTimeout | Reason::PluginFailed
    );
    let outside = matches!(
        problem.reason.kind(),
        Kind::Unavailable | Kind::Exhausted | Kind::Conflict
    );
    let store = matches!(problem.reason, Reason::StoreFailed);
    !plugin && (outside || store)
}

/// The hook brought a delivery that is right.
pub(super) fn note_delivery(hook: &mut Hook, delivery: &Delivery) {
    note_proof(hook, delivery.received);
    let (first, last) = hook.deliveries;
    let number = delivery.number;
    let first = if first == 0 {
        number
    } else {
        first.min(number)
    };
    hook.deliveries = (first, last.max(number));
}

pub(super) fn put_delivery(delivery: Delivery, version: u64) -> Change {
    let key = Key::Delivery(delivery.number);
    let put = Some(Record::Delivery(delivery));
    change(key, Expect::Version(version), put)
}
