//! The truth about a hook: what it should be against what the provider has. What is safe to put right is put right at once;
//! all else is said, with who must act and where.

use bindery_core::{
    hook::{Hook, HookState, HookStep},
    name::HookId,
    problem::{Problem, Reason, Who},
    provider::{HookFacts, Input, OperationKind, Output},
};
use futures_util::FutureExt;

use super::{
    OVERLAP, Through,
    away::somebody,
    is_known_gone,
    judge::{Finding, deviation, standing},
    refuses,
    settle::by_id,
};
use crate::{Engine, Versioned, deliveries::GONE};

impl Engine {
    /// Compares a hook with what the provider has, notes what is so, and puts right what is safe.
    ///
    /// # Errors
    ///
    /// What is in the way of looking, such as a host that is away; what is wrong with the hook is in its state.
    pub(crate) async fn check_hook(&self, id: &HookId) -> Result<(), Problem> {
        let Some(entry) = self.find_hook(id).await? else {
            return Ok(());
        };
        let place = self
            .hooks()
            .place(&entry.record.host, &entry.record.repository);
        let _alone = place.await;
        let Some(Versioned { record: hook, .. }) = self.find_hook(id).await? else {
            return Ok(());
        };
        match self.look_at(&hook).boxed().await {
            // It is said in the hook's state.
            Err(problem) if refuses(&problem) => self.note_forbidden(&hook, &problem).await,
            outcome => outcome,
        }
    }

    async fn look_at(&self, hook: &Hook) -> Result<(), Problem> {
        if hook.is_app() {
            return self.look_at_app(hook).boxed().await;
        }
        if hook.step.is_some() {
            return self.settle(&hook.id, OVERLAP).await;
        }
        self.drop_old_secret(hook).await?;
        self.learn_print(hook).await?;
        if !self.follow_name(hook).boxed().await? {
            return Ok(());
        }
        if hook.by_app {
            return self.look_at_served(hook).boxed().await;
        }
        if self.may_move(hook).await? {
            return self.move_to_app(hook).boxed().await;
        }
        let description = self.hook_description(hook).await?;
        if !description.operations.contains(&OperationKind::ListHooks) {
            let now = self.now();
            let noted = self.change_hook(&hook.id, |hook| hook.checked = Some(now));
            return noted.await.map(drop);
        }
        let all = self.hooks_there(hook, Through::Sources).await?;
        let url = self.hook_url(&hook.id);
        let known = all.iter().find(|facts| facts.hook_id == hook.provider_id);
        let own = known.or_else(|| all.iter().find(|facts| facts.url == url));
        for double in all.iter().filter(|facts| facts.url == url) {
            if own.is_some_and(|own| own.hook_id != double.hook_id) {
                self.remove_double(hook, &double.hook_id).await;
            }
        }
        match own {
            None => self.make_again(hook).boxed().await,
            Some(facts) => match deviation(hook, facts, &url) {
                Some(words) => self.put_right(hook, facts, &words).boxed().await,
                None => self.note_standing(hook, facts).await,
            },
        }
    }

    /// A hook from before fingerprints were kept.
    async fn learn_print(&self, hook: &Hook) -> Result<(), Problem> {
        if !hook.secret_fingerprint.is_empty() {
            return Ok(());
        }
        let secrets = self.secrets_of(hook).await?;
        let print = self.secret_print(&hook.host, &secrets.current).await?;
        self.change_hook(&hook.id, |hook| hook.secret_fingerprint.clone_from(&print))
            .await
            .map(drop)
    }

    /// Somebody removed it: that is told, and it is made again, unless the app's serves the repository now.
    async fn make_again(&self, hook: &Hook) -> Result<(), Problem> {
        if self.serve(hook).await? {
            return Ok(());
        }
        let message = "the webhook was removed at the provider; it is made again";
        let finding = Finding::new(HookState::Missing, message, None);
        self.note_repair(hook, &finding, HookStep::Create, None)
            .await?;
        self.settle(&hook.id, OVERLAP).await?;
        self.ping_quietly(&hook.id).await
    }

    /// Somebody changed it: that is told, and it is put right in place.
    async fn put_right(&self, hook: &Hook, facts: &HookFacts, words: &str) -> Result<(), Problem> {
        let message = format!("the webhook was changed at the provider ({words}); it is put right");
        let finding = Finding::new(HookState::Changed, message, None);
        self.note_repair(hook, &finding, HookStep::Update, Some(facts))
            .await?;
        self.settle(&hook.id, OVERLAP).await?;
        self.ping_quietly(&hook.id).await
    }

    async fn note_repair(
        &self,
        hook: &Hook,
        finding: &Finding,
        step: HookStep,
        facts: Option<&HookFacts>,
    ) -> Result<(), Problem> {
        let now = self.now();
        self.change_hook(&hook.id, |hook| {
            hook.provider_id = facts.map(|facts| facts.hook_id.clone()).unwrap_or_default();
            hook.checked = Some(now);
            hook.step = Some(step);
            finding.put_into(hook);
        })
        .await
        .map(drop)
    }

    async fn note_standing(&self, hook: &Hook, facts: &HookFacts) -> Result<(), Problem> {
        let now = self.now();
        let noted = self
            .change_hook(&hook.id, |hook| {
                hook.provider_id.clone_from(&facts.hook_id);
                if !facts.web_uri.is_empty() {
                    hook.action_uri.clone_from(&facts.web_uri);
                }
                hook.checked = Some(now);
                standing(hook, facts).put_into(hook);
            })
            .await?;
        match noted {
            // Providers that switch hooks off switch them on again after a delivery that is answered.
            Some(hook) if hook.state == HookState::DisabledByProvider => {
                self.ping_quietly(&hook.id).await
            }
            _ => Ok(()),
        }
    }

    /// No link may see or change it.
    async fn note_forbidden(&self, hook: &Hook, problem: &Problem) -> Result<(), Problem> {
        let now = self.now();
        let finding = unseen(hook, problem);
        self.change_hook(&hook.id, |hook| {
            hook.checked = Some(now);
            finding.put_into(hook);
            if !problem.action_uri.is_empty() {
                hook.action_uri.clone_from(&problem.action_uri);
            }
        })
        .await
        .map(drop)
    }

    /// A repository that was renamed keeps its id: its hook and its sources follow the name. Says whether it is there at all.
    async fn follow_name(&self, hook: &Hook) -> Result<bool, Problem> {
        let input = Input::GetRepository {
            repository: by_id(hook),
        };
        let outcome = match self.act(hook, Through::Sources, &input, None).await {
            Err(problem) if problem.reason == Reason::ProviderNotFound => {
                return match self.is_gone(hook).await? {
                    true => Ok(false),
                    false => Err(problem),
                };
            }
            outcome => outcome?,
        };
        self.is_there(hook).await?;
        let Output::Repository(repository) = outcome.last else {
            return Ok(true);
        };
        if repository.full_name == hook.full_name || repository.full_name.is_empty() {
            return Ok(true);
        }
        let renamed = self.rename_hook(&hook.id, &repository.full_name).await;
        renamed.map(|()| true)
    }
}

/// What is said of a hook that no link may see. Many providers don't tell what is hidden from what is not there, but one that
/// said so before is believed now.
fn unseen(hook: &Hook, problem: &Problem) -> Finding {
    if is_known_gone(hook) && problem.reason == Reason::ProviderNotFound {
        return Finding::new(HookState::Missing, GONE, Some(Who::User));
    }
    let message = format!("the webhook can't be looked after: {}", problem.message);
    Finding::new(HookState::Forbidden, message, Some(somebody(hook, problem)))
}

/// Who must see to it that deliveries arrive.
pub(super) const fn reaches() -> Option<Who> {
    Some(Who::HostOperator)
}
