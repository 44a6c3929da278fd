//! Taking a hook away at the provider, and forgetting it here.

use bindery_core::{
    hook::{Hook, HookStep},
    link::Stage,
    port::{Change, Expect, Key},
    problem::{Problem, Reason, Who},
    provider::{Input, OperationKind},
    receipt::Outcome,
};

use super::{Through, act::links, refuses, settle::by_id};
use crate::{Engine, deeds::Own, records::change, unlink::revoked};

/// What became of a hook that was to be taken away.
pub(crate) enum Gone {
    /// It is over: it is gone, or it stays for good, and the words say which.
    Over(Outcome, String),
    /// Not now.
    Later(Problem),
}

impl Engine {
    /// Takes a hook away at the provider. What is not there is done.
    pub(crate) async fn take_away(
        &self,
        hook: &Hook,
        through: Through<'_>,
    ) -> Result<Gone, Problem> {
        match self.delete_there(hook, through).await {
            Ok((outcome, message)) => Ok(Gone::Over(outcome, message)),
            Err(problem) if refuses(&problem) => {
                let (outcome, message) = self.stays(hook, &problem).await;
                Ok(Gone::Over(outcome, message))
            }
            Err(problem) => Ok(Gone::Later(problem)),
        }
    }

    async fn delete_there(
        &self,
        hook: &Hook,
        through: Through<'_>,
    ) -> Result<(Outcome, String), Problem> {
        let mut gone = absent(hook);
        for hook_id in self.ids_there(hook, through).await? {
            let input = Input::DeleteHook {
                repository: by_id(hook),
                hook_id,
            };
            let deleted = match self.act_or_deputy(hook, through, &input).await {
                Err(problem) if problem.reason == Reason::ProviderNotFound => absent(hook),
                outcome => revoked(outcome?.last, &self.host(&hook.host).await?.record)?,
            };
            match deleted.0 {
                Outcome::AlreadyAbsent => {}
                Outcome::Done => {
                    let message = format!("the webhook of {} is deleted", hook.full_name);
                    gone = (Outcome::Done, message);
                }
                _ => return Ok(deleted),
            }
        }
        Ok(gone)
    }

    /// The provider's ids of what is to be taken away. One whose creation was not answered is looked for by its URL.
    async fn ids_there(&self, hook: &Hook, through: Through<'_>) -> Result<Vec<String>, Problem> {
        if !hook.provider_id.is_empty() {
            return Ok(vec![hook.provider_id.clone()]);
        }
        if hook.by_app && hook.step != Some(HookStep::Create) {
            return Ok(Vec::new());
        }
        let description = self.hook_description(hook).await?;
        if !description.operations.contains(&OperationKind::ListHooks) {
            return Ok(Vec::new());
        }
        let url = self.hook_url(&hook.id);
        let all = match self.hooks_there(hook, through).await {
            Err(problem) if problem.reason == Reason::ProviderNotFound => Vec::new(),
            outcome => outcome?,
        };
        let ours = all.into_iter().filter(|facts| facts.url == url);
        Ok(ours.map(|facts| facts.hook_id).collect())
    }

    /// What is said of a hook that no link may delete: a person does it, on its page.
    pub(crate) async fn stays(&self, hook: &Hook, problem: &Problem) -> (Outcome, String) {
        let page = self.page_of(hook).await;
        let message = format!(
            "the webhook of {} stays, since {}; a person removes it at {page}",
            hook.full_name, problem.message
        );
        (Outcome::Impossible { action_uri: page }, message)
    }

    /// The page of a hook, or what comes nearest to it.
    pub(crate) async fn page_of(&self, hook: &Hook) -> String {
        if !hook.action_uri.is_empty() {
            return hook.action_uri.clone();
        }
        let host = self.host(&hook.host).await;
        let web = host.map(|host| host.record.web_url).unwrap_or_default();
        format!("{}/{}", web.trim_end_matches('/'), hook.full_name)
    }

    /// The links of its sources remember a hook that stays at the provider, so that their receipts name it.
    pub(crate) async fn leave_hook(&self, hook: &Hook) -> Result<(), Problem> {
        for (namespace, link) in links(hook) {
            let noted = self.change_link(namespace, link, |link| {
                if link.observed.stage != Stage::Unlinked {
                    link.leave_hook(hook);
                }
                Ok(())
            });
            match noted.await {
                Err(problem) if problem.reason == Reason::NotFound => {}
                outcome => drop(outcome?),
            }
        }
        Ok(())
    }

    /// Forgets a hook that is over: gone, or left at the provider for good.
    pub(crate) async fn forget_hook(&self, hook: &Hook, outcome: &Outcome) -> Result<(), Problem> {
        if !matches!(outcome, Outcome::Done | Outcome::AlreadyAbsent) {
            self.leave_hook(hook).await?;
        }
        self.commit(forgotten(hook)).await?;
        self.hook_forgotten(hook);
        Ok(())
    }

    /// A hook was removed from the store.
    pub(crate) fn hook_forgotten(&self, hook: &Hook) {
        self.hooks().schedule.set(hook.id.clone(), None);
        self.hooks().stir();
    }
}

/// That a hook was taken away at the provider, or stays there, for the audit log.
pub(crate) fn deletion(hook: &Hook, outcome: Option<&Outcome>) -> Own {
    let source = hook.sources.first().map(ToString::to_string);
    let own = Own::new(
        "delete-hook",
        source.unwrap_or_else(|| format!("hosts/{}", hook.host)),
    )
    .about(&hook.full_name)
    .with("hook", hook.id.as_str());
    match outcome {
        Some(outcome) => own.came_to(outcome),
        None => own,
    }
}

/// What removes a hook from the store. Its deliveries go with their time.
pub(crate) fn forgotten(hook: &Hook) -> Vec<Change> {
    let id = || hook.id.clone();
    [
        Key::Hook(id()),
        Key::HookSecrets(id()),
        Key::HookPlace(hook.host.clone(), hook.repository.clone()),
        Key::KnownRefs(id()),
    ]
    .map(|key| change(key, Expect::Any, None))
    .into()
}

/// What is said of a hook that is not there.
pub(crate) fn absent(hook: &Hook) -> (Outcome, String) {
    let message = if hook.by_app {
        format!(
            "{} had no webhook of its own: the webhook of the app, which stays, served it",
            hook.full_name
        )
    } else {
        format!("{} has no webhook of ours any more", hook.full_name)
    };
    (Outcome::AlreadyAbsent, message)
}

/// Says of a problem with a hook who must act, where nobody does.
pub(crate) fn somebody(hook: &Hook, problem: &Problem) -> Who {
    let whose = if hook.is_app() {
        Who::HostOperator
    } else {
        Who::User
    };
    problem.who.unwrap_or(whose)
}
