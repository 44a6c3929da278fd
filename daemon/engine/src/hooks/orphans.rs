//! Hooks at providers that point at this daemon and belong to no source: found by looking, removed on request.

use bindery_core::{
    name::{LinkId, NamespaceName},
    problem::{Problem, Reason},
    provider::{HookFacts, Input, OperationKind, Output, Repository},
    receipt::{Outcome, ReceiptStep},
};
use futures_util::{StreamExt, stream};

use super::{is_installed, refuses};
use crate::{
    Engine,
    operation::off_topic,
    repositories::{Paging, outputs},
    sources::step,
    unlink::revoked,
};

/// Repositories that are looked into at the same time.
const IN_FLIGHT: usize = 4;

/// Pages of hooks that are looked through in one repository.
const PAGES: u32 = 50;

/// A hook that points at this daemon and belongs to no source.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Orphan {
    /// Namespace of the link that sees it.
    pub namespace: NamespaceName,
    /// The link that sees it.
    pub link: LinkId,
    /// The provider's id of the repository.
    pub repository: String,
    /// Path of the repository.
    pub full_name: String,
    /// The provider's id of the hook.
    pub hook_id: String,
    /// Where it delivers to.
    pub url: String,
    /// Its page; may be empty.
    pub action_uri: String,
}

impl Engine {
    /// Looks through a page of the repositories of a link. Returns what was found, and where it goes on; empty at the end.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, the reasons of an unusable link, and what the provider says.
    pub async fn orphans_of(
        &self,
        namespace: &NamespaceName,
        link: &LinkId,
        paging: Paging,
    ) -> Result<(Vec<Orphan>, String), Problem> {
        let known = self.link(namespace, link).await?.record;
        let description = self.description(&self.host(&known.host).await?.record)?;
        if !description.operations.contains(&OperationKind::ListHooks) {
            return Ok((Vec::new(), String::new()));
        }
        let page = self
            .list_repositories(namespace, link, "", "", paging)
            .await?;
        let installed = is_installed(&known);
        let all = page.items.into_iter();
        let able = all.filter(|one| one.can_administer || installed);
        let mut looks = Vec::new();
        for repository in able {
            looks.push(self.orphans_in(namespace, link, repository));
        }
        let looks = stream::iter(looks).buffered(IN_FLIGHT);
        let found = looks.collect::<Vec<_>>().await;
        let mut orphans = Vec::new();
        for some in found {
            orphans.extend(some?);
        }
        Ok((orphans, page.next_cursor))
    }

    /// A repository whose hooks this link may not see has none that it could remove.
    async fn orphans_in(
        &self,
        namespace: &NamespaceName,
        link: &LinkId,
        repository: Repository,
    ) -> Result<Vec<Orphan>, Problem> {
        let id = &repository.stable_id;
        let hooks = match self.hooks_seen(namespace, link, id).await {
            Err(problem) if refuses(&problem) => Vec::new(),
            outcome => outcome?,
        };
        let mut orphans = Vec::new();
        for facts in hooks {
            if self.is_orphan(&facts).await? {
                orphans.push(Orphan {
                    namespace: namespace.clone(),
                    link: link.clone(),
                    repository: id.clone(),
                    full_name: repository.full_name.clone(),
                    hook_id: facts.hook_id,
                    url: facts.url,
                    action_uri: facts.web_uri,
                });
            }
        }
        Ok(orphans)
    }

    async fn hooks_seen(
        &self,
        namespace: &NamespaceName,
        link: &LinkId,
        repository: &str,
    ) -> Result<Vec<HookFacts>, Problem> {
        let input = Input::ListHooks {
            repository: format!("id:{repository}"),
            max_pages: PAGES,
        };
        let (outcome, host) = self.ask_with(namespace, link, input, None).await?;
        let mut all = Vec::new();
        for output in outputs(outcome) {
            match output {
                Output::Hooks(items) => all.extend(items),
                Output::Empty => {}
                _ => return Err(off_topic(&host)),
            }
        }
        Ok(all)
    }

    /// Whether a hook has a URL of ours and no source: its id leads nowhere, or to a hook that is another one by now.
    async fn is_orphan(&self, facts: &HookFacts) -> Result<bool, Problem> {
        if self.leads_nowhere(&facts.url).await? {
            return Ok(true);
        }
        let Some(hook) = self.hook_at(&facts.url).await? else {
            return Ok(false);
        };
        let settled = hook.step.is_none() && !hook.provider_id.is_empty();
        Ok(hook.sources.is_empty() || (settled && hook.provider_id != facts.hook_id))
    }

    async fn hook_at(&self, url: &str) -> Result<Option<bindery_core::hook::Hook>, Problem> {
        let id = url.strip_prefix(&self.hook_prefix());
        let id = id.and_then(|id| bindery_core::name::HookId::parse(id).ok());
        match id {
            Some(id) => Ok(self.find_hook(&id).await?.map(|entry| entry.record)),
            None => Ok(None),
        }
    }

    /// Removes a hook that [`Engine::orphans_of`] found. One that belongs to a source by now is left alone. What can't be done
    /// is in the step.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` for the link, and what the vault says.
    pub async fn remove_orphan(&self, orphan: &Orphan) -> Result<ReceiptStep, Problem> {
        let link = self.link(&orphan.namespace, &orphan.link).await?.record;
        let _alone = self.hooks().place(&link.host, &orphan.repository).await;
        let (outcome, message) = match self.remove_orphan_now(orphan).await {
            Ok(ended) => ended,
            Err(problem) => {
                let message = format!(
                    "the webhook {} of {} stays: {}",
                    orphan.hook_id, orphan.full_name, problem.message
                );
                let reason = problem.reason.as_str().to_owned();
                (Outcome::Failed { reason }, message)
            }
        };
        let now = Some(self.now());
        Ok(step(&orphan.full_name, Some(outcome), message, now))
    }

    async fn remove_orphan_now(&self, orphan: &Orphan) -> Result<(Outcome, String), Problem> {
        let (namespace, link) = (&orphan.namespace, &orphan.link);
        let all = self.hooks_seen(namespace, link, &orphan.repository).await?;
        let Some(facts) = all.iter().find(|facts| facts.hook_id == orphan.hook_id) else {
            let message = "it is not there any more".to_owned();
            return Ok((Outcome::AlreadyAbsent, message));
        };
        if !self.is_orphan(facts).await? {
            let message = "it is no webhook of ours, or belongs to a source; it is left alone";
            return Err(Problem::new(Reason::SourceExists, message));
        }
        let input = Input::DeleteHook {
            repository: format!("id:{}", orphan.repository),
            hook_id: orphan.hook_id.clone(),
        };
        let (outcome, host) = self.ask_with(namespace, link, input, None).await?;
        revoked(outcome.last, &host)
    }
}
