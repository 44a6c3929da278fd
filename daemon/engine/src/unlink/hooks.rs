//! The hooks of a link that is being unlinked: each is taken away with the last token, left to other sources, or named.
//!
//! Each repository has an entry of its own in the receipt, written together with what became true, so that a repetition
//! neither loses nor doubles one.

use bindery_core::{
    hook::{Hook, HookStep},
    host::Host,
    link::Link,
    port::{Change, Expect, Key, Listing, Record},
    problem::{Problem, Reason},
    receipt::{Outcome, Receipt, ReceiptStep, StepKind},
    source::Source,
};

use super::steps::left_behind;
use crate::{
    Engine, Versioned,
    hooks::{Gone, Through, as_hook, deletion, forgotten},
    records::change,
    sources::{OldId, planned, shared, step},
};

impl Engine {
    /// Disconnects the sources of a link, and takes their hooks away. With `force` what can't be done now is left behind and
    /// named.
    pub(super) async fn unlink_hooks(
        &self,
        link: &Link,
        receipt: &Receipt,
        force: bool,
    ) -> Result<(Outcome, String), Problem> {
        let host = self.host(&link.host).await?.record;
        for source in self.sources_of(&link.namespace, Some(&link.id)).await? {
            self.unlink_source(&source.record, receipt.keep_hooks)
                .await?;
        }
        for hook in self.going_hooks(link).await? {
            self.unlink_hook(link, &host, &hook, force).await?;
        }
        let left = self
            .link(&link.namespace, &link.id)
            .await?
            .record
            .left_hooks;
        for hook in &left {
            self.unlink_left_hook(link, &host, hook, force).await?;
        }
        let receipt = self.receipt(&link.namespace, &link.id).await?.record;
        Ok(match receipt.count(StepKind::DeleteHooks) {
            0 => {
                let message = "no webhook was made for this link";
                (Outcome::AlreadyAbsent, message.to_owned())
            }
            count => (
                Outcome::Done,
                format!("the webhooks of {count} repositories are dealt with, each as is said"),
            ),
        })
    }

    /// Takes one source out of its hook. What is over with that is noted in the same transaction.
    async fn unlink_source(&self, source: &Source, keep_hooks: bool) -> Result<(), Problem> {
        let place = self.hooks().place(&source.host, &source.repository);
        let _alone = place.await;
        let ended = match self.find_hook(&source.hook).await? {
            Some(hook) => self.ended(source, &hook.record, keep_hooks).await,
            None => None,
        };
        let receipt = self.receipt(&source.namespace, &source.link).await?.record;
        let noted = || match &ended {
            Some(one) => vec![put_receipt(&receipt, one, Expect::Any)],
            None => Vec::new(),
        };
        // The saga is the only one that writes the receipt while it runs.
        let left = self
            .part(&source.name(), keep_hooks, OldId::GoesWithLink, noted)
            .await;
        left.map(drop)
    }

    /// What becomes of a hook when a source goes, where that is all.
    async fn ended(&self, source: &Source, hook: &Hook, keep_hooks: bool) -> Option<ReceiptStep> {
        let name = source.name();
        let others = hook.sources.iter().any(|other| *other != name);
        let (outcome, message) = match (others, keep_hooks) {
            (true, _) => (Outcome::Done, shared(&source.full_name)),
            (false, true) => self.kept(hook).await,
            (false, false) => return None,
        };
        let now = Some(self.now());
        Some(step(&source.full_name, Some(outcome), message, now))
    }

    /// Hooks that are to go, and that this link is to take away.
    async fn going_hooks(&self, link: &Link) -> Result<Vec<Hook>, Problem> {
        let all = self.list_all(&Listing::Hooks, as_hook).await?;
        let hooks = all.into_iter().map(|entry| entry.record);
        Ok(hooks.filter(|hook| is_going(hook, link)).collect())
    }

    async fn unlink_hook(
        &self,
        link: &Link,
        host: &Host,
        hook: &Hook,
        force: bool,
    ) -> Result<(), Problem> {
        let _alone = self.hooks().place(&hook.host, &hook.repository).await;
        // Another link may have connected the repository meanwhile, and has the hook now.
        let Some(Versioned { record: hook, .. }) = self.find_hook(&hook.id).await? else {
            return Ok(());
        };
        if !is_going(&hook, link) {
            return Ok(());
        }
        let hook = &hook;
        let one = self.last_try(link, host, hook, force).await?;
        let own = deletion(hook, one.outcome.as_ref());
        self.note_with(link, one, || forgotten(hook)).await?;
        self.did(own).await;
        self.hook_forgotten(hook);
        Ok(())
    }

    /// Takes a hook away with the link's last token, and says what came of it.
    async fn last_try(
        &self,
        link: &Link,
        host: &Host,
        hook: &Hook,
        force: bool,
    ) -> Result<ReceiptStep, Problem> {
        let (outcome, message) = match self.take_away(hook, Through::Last(link, host)).await? {
            Gone::Over(outcome, message) => (outcome, message),
            Gone::Later(problem) if force => {
                let page = self.page_of(hook).await;
                let (outcome, message) = left_behind(&problem);
                let message = format!(
                    "the webhook of {} stays, since {message}; a person removes it at {page}",
                    hook.full_name
                );
                (outcome, message)
            }
            Gone::Later(problem) => return Err(problem),
        };
        let now = Some(self.now());
        Ok(step(&hook.full_name, Some(outcome), message, now))
    }

    /// A hook that stayed when its source was disconnected. One that was to go is tried once more, with the rights of today.
    async fn unlink_left_hook(
        &self,
        link: &Link,
        host: &Host,
        hook: &Hook,
        force: bool,
    ) -> Result<(), Problem> {
        let _alone = self.hooks().place(&hook.host, &hook.repository).await;
        // Whoever connected the repository since then has taken it over.
        let place = self.find_hook_place(&hook.host, &hook.repository).await?;
        let receipt = self.receipt(&link.namespace, &link.id).await?.record;
        if place.is_some() || is_named(&receipt, hook) {
            return Ok(());
        }
        let one = if hook.step == Some(HookStep::Delete) {
            let one = self.last_try(link, host, hook, force).await?;
            self.did(deletion(hook, one.outcome.as_ref())).await;
            one
        } else {
            let (outcome, message) = self.kept(hook).await;
            step(&hook.full_name, Some(outcome), message, Some(self.now()))
        };
        self.note_with(link, one, Vec::new).await
    }

    /// What an unlink would do about hooks.
    pub(super) async fn planned_hooks(&self, link: &Link) -> Result<Vec<ReceiptStep>, Problem> {
        let mut steps = Vec::new();
        for source in self.sources_of(&link.namespace, Some(&link.id)).await? {
            steps.push(planned(&self.with_hook(source).await?));
        }
        let left = link.left_hooks.iter().map(|hook| {
            let message = format!(
                "the webhook of {} stayed when it was disconnected; it would be looked for again",
                hook.full_name
            );
            step(&hook.full_name, None, message, None)
        });
        steps.extend(left);
        Ok(steps)
    }

    /// Notes what became of one hook, together with what becomes true.
    async fn note_with(
        &self,
        link: &Link,
        one: ReceiptStep,
        others: impl Fn() -> Vec<Change>,
    ) -> Result<(), Problem> {
        loop {
            let Versioned { record, version } = self.receipt(&link.namespace, &link.id).await?;
            let mut changes = vec![put_receipt(&record, &one, Expect::Version(version))];
            changes.extend(others());
            match self.commit(changes).await {
                Err(problem) if problem.reason == Reason::StoreConflict => {}
                outcome => return outcome,
            }
        }
    }
}

/// Whether a receipt says what became of a hook. It is said once, for the saga repeats a step that has changed the receipt.
fn is_named(receipt: &Receipt, hook: &Hook) -> bool {
    let mut steps = receipt.steps.iter();
    steps.any(|step| step.kind == StepKind::DeleteHooks && step.subject == hook.full_name)
}

fn put_receipt(receipt: &Receipt, one: &ReceiptStep, expect: Expect) -> Change {
    let mut receipt = receipt.clone();
    receipt.record_one(one.clone());
    let key = Key::Receipt(receipt.namespace.clone(), receipt.link.clone());
    change(key, expect, Some(Record::Receipt(receipt)))
}

/// Whether a hook is to go, and this link is to take it away.
fn is_going(hook: &Hook, link: &Link) -> bool {
    let mut sources = hook.sources.iter();
    hook.step == Some(HookStep::Delete)
        && sources.any(|name| name.namespace == link.namespace && name.link == link.id)
}
