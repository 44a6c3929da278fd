//! Webhooks: what is registered, what is to be sent, and what became of it
//!
//! A twin has no socket, so it only says what it would send. Whoever drives it takes what is due with [`Hooks::due`],
//! sends it (or hands it over in memory), and says with [`Hooks::settle`] what was answered. What happens then, another
//! attempt, nothing, a hook that is switched off, follows from the forge's [`Rules`].
//!
//! - [`Hook`]: one registered hook, with the secret that no answer shows
//! - [`Change`]: what people do to a repository, in words of no forge
//! - [`Delivery`]: one HTTP request to a hook
//! - [`sign`]: the ways in which forges prove that a delivery is theirs

mod change;
mod delivery;
mod hook;
mod rules;
pub mod sign;

use std::collections::{BTreeMap, VecDeque};

pub use change::{Change, Commit, Push, RefChange, Target, ZEROS};
pub use delivery::{Delivery, Dropped, Outcome, Outgoing, Sent, Why};
pub use hook::{Alert, Hook};
pub use rules::{Disabling, Rules};

/// What becomes of the reply to a hook's creation that is lost
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lost {
    /// The connection is closed without an answer
    Closed,
    /// This status is answered instead
    Status(u16),
}

/// All hooks of a forge, and all that they are to be sent
#[derive(Debug, Default)]
pub struct Hooks {
    /// What follows when a delivery fails
    pub rules: Rules,
    /// Whether nobody may look at hooks, or make, change and remove any
    pub forbidden: bool,
    all: BTreeMap<u64, Hook>,
    queue: VecDeque<Delivery>,
    sent: Vec<Sent>,
    dropped: Vec<Dropped>,
    drops: u32,
    failures: u32,
    loses: Option<Lost>,
    lost: Option<Lost>,
    last_delivery: u64,
}

impl Hooks {
    /// None yet, under these rules
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            ..Self::default()
        }
    }

    /// Adds one that somebody made through the API; its reply is lost where a test asked for that
    pub fn create(&mut self, hook: Hook) {
        self.lost = self.loses.take();
        self.plant(hook);
    }

    /// Adds one behind everybody's back
    pub fn plant(&mut self, hook: Hook) {
        self.all.insert(hook.id, hook);
    }

    /// One by its id
    #[must_use]
    pub fn get(&self, id: u64) -> Option<&Hook> {
        self.all.get(&id)
    }

    /// One by its id, to be changed behind everybody's back
    pub fn get_mut(&mut self, id: u64) -> Option<&mut Hook> {
        self.all.get_mut(&id)
    }

    /// Removes one, with what waits to be sent to it; says whether there was one
    pub fn remove(&mut self, id: u64) -> bool {
        self.queue.retain(|delivery| delivery.hook != id);
        self.all.remove(&id).is_some()
    }

    /// Removes those of a repository that is gone; what waits is still sent
    pub fn remove_all_of(&mut self, repository: u64) {
        self.all.retain(|_, hook| hook.repository != repository);
    }

    /// Those of a repository, oldest first
    pub fn of(&self, repository: u64) -> impl DoubleEndedIterator<Item = &Hook> {
        let all = self.all.values();
        all.filter(move |hook| hook.repository == repository)
    }

    /// All of them
    pub fn all(&self) -> impl Iterator<Item = &Hook> {
        self.all.values()
    }

    /// How many point at a URL that begins so
    #[must_use]
    pub fn pointing_at(&self, url_prefix: &str) -> usize {
        let all = self.all.values();
        all.filter(|hook| hook.url.starts_with(url_prefix)).count()
    }

    /// Lets so many of the next deliveries be lost: they are never sent, and nothing says so
    pub const fn drop_next(&mut self, deliveries: u32) {
        self.drops += deliveries;
    }

    /// Lets so many of the next deliveries fail on their way: the forge knows that nobody took them
    pub const fn fail_next(&mut self, deliveries: u32) {
        self.failures += deliveries;
    }

    /// Lets the next hook be made, and its reply be lost
    pub const fn lose_next_create(&mut self, lost: Lost) {
        self.loses = Some(lost);
    }

    /// What a reply that was just made turns into, because it is to be lost
    pub const fn take_lost(&mut self) -> Option<Lost> {
        self.lost.take()
    }

    /// Switches one off as the forge does: for good where it has such a state, else as a person would
    pub fn disable(&mut self, id: u64) {
        let disabling = self.rules.disabling;
        let Some(hook) = self.all.get_mut(&id) else {
            return;
        };
        match disabling {
            Some(disabling) => hook.failures = disabling.for_good_after,
            None => hook.active = false,
        }
    }

    /// Whether a hook gets anything at this time
    #[must_use]
    pub fn is_live(&self, hook: &Hook, now_ms: u64) -> bool {
        hook.active && self.alert(hook, now_ms) == Alert::Executable
    }

    /// What the forge says about a hook's health
    #[must_use]
    pub fn alert(&self, hook: &Hook, now_ms: u64) -> Alert {
        let Some(rules) = self.rules.disabling else {
            return Alert::Executable;
        };
        let until = hook.disabled_until.unwrap_or_default();
        if hook.failures >= rules.for_good_after {
            Alert::Disabled
        } else if hook.failures >= rules.after && until >= now_ms {
            Alert::TemporarilyDisabled
        } else {
            Alert::Executable
        }
    }

    /// Puts a delivery in the queue, unless the forge or a test keeps it from being sent
    pub fn queue(&mut self, mut delivery: Delivery, now_ms: u64) {
        self.last_delivery += 1;
        delivery.id = self.last_delivery;
        delivery.due_ms = delivery.due_ms.max(now_ms);
        match self.why_not(&delivery, now_ms) {
            None => self.queue.push_back(delivery),
            Some(why) => self.dropped.push(Dropped {
                hook: delivery.hook,
                event: delivery.event,
                guid: delivery.guid,
                why,
            }),
        }
    }

    fn why_not(&mut self, delivery: &Delivery, now_ms: u64) -> Option<Why> {
        let hook = self.all.get(&delivery.hook);
        let live = hook.is_none_or(|hook| self.is_live(hook, now_ms));
        if !live && !delivery.forced {
            return Some(Why::Disabled);
        }
        if delivery.request.body.len() > self.rules.payload_limit {
            return Some(Why::TooLarge);
        }
        if self.drops > 0 {
            self.drops -= 1;
            return Some(Why::Test);
        }
        None
    }

    /// Takes what is to be sent by now, in the order in which it happened
    pub fn due(&mut self, now_ms: u64) -> Vec<Delivery> {
        let (due, later) = std::mem::take(&mut self.queue)
            .into_iter()
            .partition(|delivery| delivery.due_ms <= now_ms);
        self.queue = later;
        let mut due = Vec::from_iter::<VecDeque<_>>(due);
        let failing = due
            .len()
            .min(usize::try_from(self.failures).unwrap_or(usize::MAX));
        for failed in due.drain(..failing) {
            self.failures -= 1;
            self.settle(failed, Outcome::Unreachable, now_ms);
        }
        due
    }

    /// How many wait, and until when the first one does
    #[must_use]
    pub fn waiting(&self) -> (usize, Option<u64>) {
        let first = self.queue.iter().map(|delivery| delivery.due_ms).min();
        (self.queue.len(), first)
    }

    /// Says what came of a delivery; returns when it is sent again, if it is
    pub fn settle(&mut self, delivery: Delivery, outcome: Outcome, now_ms: u64) -> Option<u64> {
        let again = self.again(&delivery, outcome, now_ms);
        if let Some(hook) = self.all.get_mut(&delivery.hook) {
            hook.last = Some(outcome);
            self.rules.judge(hook, delivery.forced, outcome, now_ms);
        }
        self.sent.push(Sent {
            delivery,
            outcome,
            at_ms: now_ms,
        });
        let again = again?;
        let due = again.due_ms;
        self.queue(again, now_ms);
        Some(due)
    }

    fn again(&self, delivery: &Delivery, outcome: Outcome, now_ms: u64) -> Option<Delivery> {
        let fails = outcome.is_worth_another_try();
        let left = delivery.attempt < self.rules.attempts;
        (fails && left).then(|| delivery.next_attempt(now_ms + self.rules.retry_ms))
    }

    /// What was sent so far, and what was answered
    #[must_use]
    pub fn sent(&self) -> &[Sent] {
        &self.sent
    }

    /// What was never sent, and why
    #[must_use]
    pub fn dropped(&self) -> &[Dropped] {
        &self.dropped
    }
}
