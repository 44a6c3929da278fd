//! Disconnecting a repository. The last source of a hook takes it away; for the others it stays.

use bindery_core::{
    hook::{Hook, HookStep},
    port::{Change, Expect, Key, Listing, Record},
    problem::{Problem, Reason},
    receipt::{Outcome, ReceiptStep, StepKind},
    source::SourceName,
    trigger::Trigger,
};

use super::{SourceView, key};
use crate::{
    Engine, RequestKey, Versioned,
    hooks::{Gone, Through, absent, forgotten},
    namespaces::check_etag,
    records::change,
};

/// How to disconnect a source.
#[derive(Clone, Debug, Default)]
pub struct Disconnect {
    /// The source must be at this version.
    pub expect: Option<u64>,
    /// The hook stays at the provider.
    pub keep_hook: bool,
    /// Everything is checked, and nothing is changed.
    pub validate_only: bool,
    /// What makes a repetition known.
    pub request: Option<RequestKey>,
}

/// What becomes of the id of a source that goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum OldId {
    /// A trace keeps it from being used again.
    Traced,
    /// Its link goes, whose own id is never used again.
    GoesWithLink,
}

/// What becomes of a hook when one of its sources goes.
pub(crate) enum Left {
    /// Other sources use it.
    Shared,
    /// It stays at the provider, as was asked for, and is forgotten here.
    Kept,
    /// It is to be taken away.
    Going(Box<Hook>),
    /// There is none.
    Nothing,
}

impl Engine {
    /// Disconnects a source, and says what was done about its hook and what stays.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, `ETAG_MISMATCH`, `REQUEST_ID_REUSED`, and what the vault says. What the provider refuses is in the steps.
    pub async fn delete_source(
        &self,
        name: &SourceName,
        options: Disconnect,
    ) -> Result<Vec<ReceiptStep>, Problem> {
        let before = self.recall(options.request.as_ref()).await?;
        let view = match self.source(name).await {
            Err(problem) if problem.reason == Reason::NotFound && before.is_some() => {
                return Ok(vec![gone_before(name)]);
            }
            outcome => outcome?,
        };
        check_etag(options.expect, view.source.version)?;
        if options.validate_only {
            return Ok(vec![planned(&view)]);
        }
        let (engine, name) = (self.clone(), name.clone());
        // A caller that goes away must not leave it half done.
        let work = tokio::spawn(async move { engine.disconnect_now(&name, &view, options).await });
        let stopped = |_| Problem::new(Reason::ShuttingDown, "the daemon stops; try again");
        work.await.map_err(stopped)?
    }

    async fn disconnect_now(
        &self,
        name: &SourceName,
        view: &SourceView,
        options: Disconnect,
    ) -> Result<Vec<ReceiptStep>, Problem> {
        let source = &view.source.record;
        let _alone = self.hooks().place(&source.host, &source.repository).await;
        let remember = self
            .remember(options.request.as_ref(), &name.to_string())
            .await?;
        if options.keep_hook {
            self.leave_alone(view).await?;
        }
        let left = self
            .part(name, options.keep_hook, OldId::Traced, || {
                remember_again(remember.as_ref())
            })
            .await?;
        let (outcome, message) = match left {
            Left::Nothing => (Outcome::AlreadyAbsent, "there was no webhook".to_owned()),
            Left::Shared => (Outcome::Done, shared(&source.full_name)),
            Left::Kept => match &view.hook {
                Some(hook) => self.kept(hook).await,
                None => (Outcome::AlreadyAbsent, "there was no webhook".to_owned()),
            },
            Left::Going(hook) => self.carry_away(&hook).await?,
        };
        let finished = Some(self.now());
        Ok(vec![step(
            &source.full_name,
            Some(outcome),
            message,
            finished,
        )])
    }

    /// A hook that is to stay without any source is remembered before it is forgotten.
    async fn leave_alone(&self, view: &SourceView) -> Result<(), Problem> {
        match &view.hook {
            Some(hook) if hook.sources.len() == 1 && hook.has_own() => self.leave_hook(hook).await,
            _ => Ok(()),
        }
    }

    /// Takes the source out of its hook and out of the store, but for the trace of its id, with its triggers, in one transaction
    /// with `others`. The place of its repository must be held. What is left to do about the hook stands in its journal by then.
    pub(crate) async fn part(
        &self,
        name: &SourceName,
        keep_hook: bool,
        id: OldId,
        others: impl Fn() -> Vec<Change>,
    ) -> Result<Left, Problem> {
        loop {
            let Some(source) = self.find_source(name).await? else {
                return Ok(Left::Nothing);
            };
            let trace = (id == OldId::Traced).then(|| source.record.trace(self.now()));
            let expect = Expect::Version(source.version);
            let mut changes = vec![change(key(name), expect, trace.map(Record::Source))];
            let behind = source.record.behind.clone();
            let behind = behind.map(|id| change(Key::KnownRefs(id), Expect::Any, None));
            changes.extend(behind);
            changes.extend(self.forgotten_triggers(name).await?);
            changes.extend(others());
            let Some(hook) = self.find_hook(&source.record.hook).await? else {
                self.commit(changes).await?;
                return Ok(Left::Nothing);
            };
            match self.part_from(hook, name, keep_hook, changes).await {
                Err(problem) if problem.reason == Reason::StoreConflict => {}
                outcome => return outcome,
            }
        }
    }

    async fn part_from(
        &self,
        known: Versioned<Hook>,
        name: &SourceName,
        keep_hook: bool,
        mut changes: Vec<Change>,
    ) -> Result<Left, Problem> {
        let mut hook = known.record.clone();
        let last = hook.sources.iter().all(|source| source == name);
        if last && keep_hook {
            changes.extend(forgotten(&hook));
            self.commit(changes).await?;
            self.hook_forgotten(&hook);
            return Ok(Left::Kept);
        }
        if last {
            // The name stays: its link is the one that can.
            hook.step = Some(HookStep::Delete);
        } else {
            hook.sources.retain(|source| source != name);
            if hook.by_app {
                // It may have been the one that the app's hook served; that is looked at now.
                hook.checked = None;
            }
        }
        let (after, version) = (hook.clone(), known.version);
        self.put_hook(&known.record, after, version, changes)
            .await?;
        Ok(if last {
            Left::Going(Box::new(hook))
        } else {
            Left::Shared
        })
    }

    /// Takes a hook away whose last source has gone. What can't be done now goes on by itself.
    async fn carry_away(&self, hook: &Hook) -> Result<(Outcome, String), Problem> {
        match self.take_away(hook, Through::Sources).await? {
            Gone::Over(outcome, message) => {
                self.forget_hook(hook, &outcome).await?;
                Ok((outcome, message))
            }
            Gone::Later(problem) => {
                let message = format!(
                    "the webhook of {} stays for now ({}); it is tried again by itself",
                    hook.full_name, problem.message
                );
                let reason = problem.reason.as_str().to_owned();
                Ok((Outcome::Failed { reason }, message))
            }
        }
    }

    /// What is said of a hook that stays because somebody asked for it.
    pub(crate) async fn kept(&self, hook: &Hook) -> (Outcome, String) {
        if !hook.has_own() {
            return absent(hook);
        }
        let action_uri = self.page_of(hook).await;
        let message = format!(
            "the webhook of {} stays at the provider, as was asked for; connecting the repository again takes it over, and a \
             person removes it at {action_uri}",
            hook.full_name
        );
        (Outcome::Impossible { action_uri }, message)
    }

    /// What removes the triggers of a source.
    async fn forgotten_triggers(&self, name: &SourceName) -> Result<Vec<Change>, Problem> {
        let listing = Listing::Triggers(name.namespace.clone());
        let all = self.list_all(&listing, as_trigger).await?;
        let own = all
            .into_iter()
            .map(|entry| entry.record)
            .filter(|trigger| trigger.link == name.link && trigger.source == name.source);
        let keys = own.flat_map(|trigger| {
            let id = trigger.id;
            [
                Key::Trigger(name.clone(), id.clone()),
                Key::TriggerSecret(name.clone(), id),
                Key::TriggerPlace(trigger.place),
            ]
        });
        Ok(keys.map(|key| change(key, Expect::Any, None)).collect())
    }
}

fn as_trigger(record: Record) -> Option<Trigger> {
    if let Record::Trigger(trigger) = record {
        Some(trigger)
    } else {
        None
    }
}

/// The change that remembers a request, once more for a transaction that is repeated.
fn remember_again(remember: Option<&Change>) -> Vec<Change> {
    let again = remember.and_then(|remember| match &remember.write {
        Some(Record::Request(memory)) => Some(Change {
            key: remember.key.clone(),
            expect: Expect::Any,
            write: Some(Record::Request(memory.clone())),
        }),
        _ => None,
    });
    again.into_iter().collect()
}

/// What is said of a hook that others use.
pub(crate) fn shared(full_name: &str) -> String {
    format!("the webhook of {full_name} stays for the other sources that use it")
}

/// A step about the hook of one repository.
pub(crate) fn step(
    full_name: &str,
    outcome: Option<Outcome>,
    message: String,
    finished: Option<bindery_core::time::Timestamp>,
) -> ReceiptStep {
    ReceiptStep {
        kind: StepKind::DeleteHooks,
        outcome,
        message,
        subject: full_name.to_owned(),
        finished,
        retry: None,
    }
}

fn gone_before(name: &SourceName) -> ReceiptStep {
    let message = format!("{name} was disconnected before");
    step("", Some(Outcome::AlreadyAbsent), message, None)
}

/// What would be done.
pub(crate) fn planned(view: &SourceView) -> ReceiptStep {
    let full_name = &view.source.record.full_name;
    let others = view
        .hook
        .as_ref()
        .is_some_and(|hook| hook.sources.len() > 1);
    let by_app = view.hook.as_ref().is_some_and(|hook| !hook.has_own());
    let message = if others {
        shared(full_name)
    } else if by_app {
        format!("{full_name} has no webhook of its own: the webhook of the app serves it")
    } else {
        format!("the webhook of {full_name} would be deleted")
    };
    step(full_name, None, message, None)
}
