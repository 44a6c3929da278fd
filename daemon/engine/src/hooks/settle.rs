//! Brings the provider to what the journal of a hook says: made, put right, or taken away.
//!
//! Before a hook is made the provider's list is looked through. One with our URL is there because the answer to its creation
//! was lost: it is taken over. One with a URL of ours that leads to no hook was left behind: it is taken over too, instead of
//! a second one beside it.

use std::{sync::Arc, time::Duration};

use bindery_core::{
    hook::{Hook, HookSecrets, HookState, HookStep},
    link::Stage,
    name::HookId,
    problem::{Problem, Reason, Who},
    provider::{Description, HookFacts, Input, OperationKind, Output, WantedHook},
};

use futures_util::FutureExt;

use super::{
    Gone, Through,
    act::links,
    away::{deletion, somebody},
    duplicate, put_secrets, refuses, standard,
};
use crate::{Engine, Versioned, operation::off_topic, repositories::outputs};

/// What a hook says that is as it should be and that nothing came from yet.
pub(super) const NOTHING_YET: &str =
    "the webhook is there, and nothing has come from it yet; verify it, or push something";

/// Pages of hooks that are looked through; no provider has that many.
const PAGES: u32 = 50;

impl Engine {
    /// Does what is under way for a hook. Its place must be held. Fails with what the provider says; what may pass stays
    /// under way, and is tried again by itself.
    pub(crate) async fn settle(&self, id: &HookId, overlap: Duration) -> Result<(), Problem> {
        // A second round where the provider took another scheme than it was asked for.
        for _ in 0..2 {
            let Some(Versioned { record: hook, .. }) = self.find_hook(id).await? else {
                return Ok(());
            };
            let outcome = match hook.step {
                None => return Ok(()),
                Some(_) if hook.is_app() => {
                    let description = self.hook_description(&hook).await?;
                    let input = self.app_update(&hook);
                    self.put_there(&hook, &description, input, overlap).await
                }
                // On the heap, as all that asks the provider here: together they fill the stack of a thread.
                Some(HookStep::Create) => self.make(&hook, overlap).boxed().await,
                Some(HookStep::Update) => self.mend(&hook, overlap).boxed().await,
                Some(HookStep::Delete) => return self.finish_deletion(&hook).boxed().await,
            };
            if let Err(problem) = outcome {
                self.note_stuck(&hook, &problem).await?;
                return Err(problem);
            }
        }
        Ok(())
    }

    /// The journal says that the hook goes: it is tried once. Where the link is being unlinked its saga does it, with the last
    /// token.
    async fn finish_deletion(&self, hook: &Hook) -> Result<(), Problem> {
        for (namespace, link) in links(hook) {
            let link = self.find_link(namespace, link).await?;
            if link.is_some_and(|link| link.record.observed.stage == Stage::Unlinking) {
                return Ok(());
            }
        }
        match self.take_away(hook, Through::Sources).await? {
            Gone::Later(problem) => Err(problem),
            Gone::Over(outcome, _) => {
                self.forget_hook(hook, &outcome).await?;
                self.did(deletion(hook, Some(&outcome))).await;
                Ok(())
            }
        }
    }

    /// Makes a hook that may be there already.
    async fn make(&self, hook: &Hook, overlap: Duration) -> Result<(), Problem> {
        let description = self.hook_description(hook).await?;
        let found = self.ours_at(hook, &description).await?;
        let wanted = self.wanted(hook);
        let repository = by_id(hook);
        let Some((first, more)) = found.split_first() else {
            let input = Input::CreateHook {
                repository,
                hook: wanted,
            };
            return self.put_there(hook, &description, input, overlap).await;
        };
        for double in more {
            self.remove_double(hook, &double.hook_id).await;
        }
        let input = Input::UpdateHook {
            repository,
            hook_id: first.hook_id.clone(),
            hook: wanted,
        };
        self.put_there(hook, &description, input, overlap).await
    }

    /// Puts a hook right in place; one that is not there is made.
    async fn mend(&self, hook: &Hook, overlap: Duration) -> Result<(), Problem> {
        if hook.provider_id.is_empty() {
            return self.make(hook, overlap).await;
        }
        let description = self.hook_description(hook).await?;
        let input = Input::UpdateHook {
            repository: by_id(hook),
            hook_id: hook.provider_id.clone(),
            hook: self.wanted(hook),
        };
        match self.put_there(hook, &description, input, overlap).await {
            Err(problem) if problem.reason == Reason::ProviderNotFound => {
                self.make(hook, overlap).await
            }
            outcome => outcome,
        }
    }

    /// Sends a creation or an update with the newest secret, and notes the hook as the provider has it then.
    async fn put_there(
        &self,
        hook: &Hook,
        description: &Description,
        input: Input,
        overlap: Duration,
    ) -> Result<(), Problem> {
        let secrets = self.secrets_of(hook).await?;
        let secret = secrets.next.as_ref().unwrap_or(&secrets.current);
        let put = self.act(hook, Through::Sources, &input, Some(secret));
        match put.boxed().await?.last {
            Output::Hook(facts) => {
                self.note_put(hook, description, &secrets, facts, overlap)
                    .await
            }
            _ => Err(off_topic(&self.host(&hook.host).await?.record)),
        }
    }

    /// The provider has it: what comes next is the current secret, and nothing is under way any more.
    async fn note_put(
        &self,
        hook: &Hook,
        description: &Description,
        sent: &HookSecrets,
        facts: HookFacts,
        overlap: Duration,
    ) -> Result<(), Problem> {
        let now = self.now();
        let mut secrets = promoted(sent, now.after(overlap));
        let other = other_scheme(hook, description, &facts);
        let reform = other.as_ref().is_some_and(|scheme| {
            standard(&description.hooks, scheme) != standard(&description.hooks, &hook.scheme)
        });
        if let (true, Some(scheme)) = (reform, &other) {
            secrets.next = Some(self.new_hook_secret(&description.hooks, scheme));
        }
        let replaced = sent.next.is_some();
        let print = self.secret_print(&hook.host, &secrets.current).await?;
        // A provider that can only replace a hook drops what was on its way to the old one.
        let had_another = !hook.provider_id.is_empty() && hook.provider_id != facts.hook_id;
        self.change_hook_with(&hook.id, |hook| {
            hook.reconcile_due |= had_another;
            hook.provider_id.clone_from(&facts.hook_id);
            hook.action_uri.clone_from(&facts.web_uri);
            hook.step = reform.then_some(HookStep::Update);
            hook.checked = Some(now);
            hook.by_app = false;
            hook.secret_fingerprint.clone_from(&print);
            if let Some(scheme) = &other {
                hook.scheme.clone_from(scheme);
            }
            if replaced {
                hook.secret_created = now;
                hook.previous_secret_until = Some(now.after(overlap));
            }
            // What was seen before proves nothing about a hook that was just put right, but a new secret changes nothing
            // that anybody would see.
            if !(replaced && matches!(hook.state, HookState::Verified | HookState::Silent)) {
                hook.verified = None;
                hook.state = HookState::Silent;
                NOTHING_YET.clone_into(&mut hook.message);
                hook.who = None;
            }
            vec![put_secrets(&hook.id, &secrets)]
        })
        .await?;
        if had_another {
            self.compare_soon(&hook.id);
        }
        Ok(())
    }

    /// Compares refs as soon as the hook's place is free; where that fails the hook stays due.
    fn compare_soon(&self, id: &HookId) {
        let (engine, id) = (self.clone(), id.clone());
        tokio::spawn(async move {
            if let Err(problem) = engine.reconcile_hook(&id, None).await {
                tracing::info!(hook.id = %id, error = %problem, "Refs could not be compared; it is tried again");
            }
        });
    }

    /// It could not be done: a refusal is the end of it, and said; all else stays under way, and says what it waits for.
    async fn note_stuck(&self, hook: &Hook, problem: &Problem) -> Result<(), Problem> {
        let over = refuses(problem);
        self.change_hook(&hook.id, |hook| {
            hook.message.clone_from(&problem.message);
            hook.who = problem.who;
            if over {
                hook.step = None;
                hook.state = HookState::Forbidden;
                hook.who = Some(somebody(hook, problem));
                if !problem.action_uri.is_empty() {
                    hook.action_uri.clone_from(&problem.action_uri);
                }
            }
        })
        .await
        .map(drop)
    }

    /// The hooks of the repository that are ours: that with our URL, and those that lead to no hook of this daemon.
    async fn ours_at(
        &self,
        hook: &Hook,
        description: &Description,
    ) -> Result<Vec<HookFacts>, Problem> {
        if !description.operations.contains(&OperationKind::ListHooks) {
            return Ok(Vec::new());
        }
        let all = self.hooks_there(hook, Through::Sources).await?;
        let (url, count) = (self.hook_url(&hook.id), all.len());
        let (mut ours, others): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|facts| facts.url == url);
        for facts in others {
            if self.leads_nowhere(&facts.url).await? {
                ours.push(facts);
            }
        }
        let most = description.hooks.hooks_per_repository as usize;
        if ours.is_empty() && most > 0 && count >= most {
            return Err(too_many(hook, description, most));
        }
        Ok(ours)
    }

    /// Whether a URL is one of our hooks', but of none that there is.
    pub(crate) async fn leads_nowhere(&self, url: &str) -> Result<bool, Problem> {
        let Some(id) = url.strip_prefix(&self.hook_prefix()) else {
            return Ok(false);
        };
        match HookId::parse(id) {
            Ok(id) => Ok(self.find_hook(&id).await?.is_none()),
            Err(_) => Ok(true),
        }
    }

    /// All hooks of a hook's repository, as the provider has them.
    pub(super) async fn hooks_there(
        &self,
        hook: &Hook,
        through: Through<'_>,
    ) -> Result<Vec<HookFacts>, Problem> {
        let input = Input::ListHooks {
            repository: by_id(hook),
            max_pages: PAGES,
        };
        let outcome = match through {
            Through::Sources => self.act(hook, through, &input, None).await?,
            Through::Last(..) => self.act_or_deputy(hook, through, &input).await?,
        };
        let mut all = Vec::new();
        for output in outputs(outcome) {
            match output {
                Output::Hooks(items) => all.extend(items),
                Output::Empty => {}
                _ => return Err(off_topic(&self.host(&hook.host).await?.record)),
            }
        }
        Ok(all)
    }

    /// A second hook of ours delivers all twice. One that stays is found by the next look.
    pub(super) async fn remove_double(&self, hook: &Hook, hook_id: &str) {
        let input = Input::DeleteHook {
            repository: by_id(hook),
            hook_id: hook_id.to_owned(),
        };
        let deleted = self.act(hook, Through::Sources, &input, None).await;
        if let Err(problem) = deleted {
            tracing::warn!(hook.id = %hook.id, error = %problem, "A second webhook of the same repository stays; it is tried again");
        }
    }

    fn wanted(&self, hook: &Hook) -> WantedHook {
        WantedHook {
            url: self.hook_url(&hook.id),
            scheme: hook.scheme.clone(),
        }
    }

    pub(super) async fn hook_description(&self, hook: &Hook) -> Result<Arc<Description>, Problem> {
        self.description(&self.host(&hook.host).await?.record)
    }

    pub(super) async fn secrets_of(&self, hook: &Hook) -> Result<HookSecrets, Problem> {
        let found = self.find_hook_secrets(&hook.id).await?;
        found.map(|entry| entry.record).ok_or_else(|| {
            let message = format!("the secret of hook {} is gone; repair its source", hook.id);
            Problem::new(Reason::RecordTampered, message)
        })
    }
}

/// The repository of a hook, as plugins are asked for it; empty for an app's hook.
pub(crate) fn by_id(hook: &Hook) -> String {
    if hook.is_app() {
        return String::new();
    }
    format!("id:{}", hook.repository)
}

/// The secrets once the provider has the next one.
pub(super) fn promoted(secrets: &HookSecrets, until: bindery_core::time::Timestamp) -> HookSecrets {
    let all = duplicate(secrets);
    match all.next {
        None => all,
        Some(next) => HookSecrets {
            current: next,
            previous: Some((all.current, until)),
            next: None,
        },
    }
}

/// The scheme that the provider set up instead of the one that it was asked for.
fn other_scheme(hook: &Hook, description: &Description, facts: &HookFacts) -> Option<String> {
    let known = description.hooks.scheme(&facts.scheme)?;
    (known.name != hook.scheme).then(|| known.name.clone())
}

fn too_many(hook: &Hook, description: &Description, most: usize) -> Problem {
    let message = format!(
        "{} has {most} webhooks, and {} allows no more; remove one there",
        hook.full_name, description.display_name
    );
    Problem::new(Reason::ProviderLimitReached, message).act(Who::User, "")
}
