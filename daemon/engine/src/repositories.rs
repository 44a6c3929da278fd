//! Repositories, refs and organizations, as the provider shows them now.

use std::time::Duration;

use bindery_core::{
    host::Host,
    link::{Link, SeenRepository},
    name::{LinkId, NamespaceName},
    problem::{Problem, Reason},
    provider::{HOOK_SECRET, Input, Organization, Output, Ref, RefKind, Repository},
    secret::Secret,
};
use futures_util::FutureExt;

use crate::{
    Engine,
    operation::{Outcome, off_topic},
};

/// Where a listing goes on, and how much of it is wanted.
#[derive(Clone, Debug, Default)]
pub struct Paging {
    /// Opaque cursor of the provider; empty for the start.
    pub cursor: String,
    /// Items, 1 to 100.
    pub size: u32,
}

/// A page of a provider's listing.
#[derive(Debug)]
pub struct RemotePage<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where it goes on; empty at the end.
    pub next_cursor: String,
    /// The provider itself marks the list as incomplete.
    pub partial: bool,
}

/// The organizations of an identity.
#[derive(Debug, Default)]
pub struct Organizations {
    /// The organizations, those that the link can't act in included.
    pub items: Vec<Organization>,
    /// The provider itself marks the list as incomplete.
    pub partial: bool,
    /// What may be missing, in words; may be empty.
    pub partial_reason: String,
    /// Page where a person sees all of them; may be empty.
    pub partial_uri: String,
}

impl Engine {
    /// Repositories that the link sees.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, the reasons of an unusable link, and what the provider says.
    pub async fn list_repositories(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        owner: &str,
        query: &str,
        paging: Paging,
    ) -> Result<RemotePage<Repository>, Problem> {
        let input = Input::ListRepositories {
            owner: owner.to_owned(),
            query: query.to_owned(),
            cursor: paging.cursor,
            page_size: paging.size,
            max_pages: 1,
        };
        let (outcome, host) = self.ask(namespace, id, input).await?;
        let mut page = RemotePage {
            items: Vec::new(),
            next_cursor: String::new(),
            partial: false,
        };
        for output in outputs(outcome) {
            match output {
                Output::Repositories {
                    items,
                    next_cursor,
                    partial,
                } => {
                    page.items.extend(items);
                    page.next_cursor = next_cursor;
                    page.partial |= partial;
                }
                Output::Empty => {}
                _ => return Err(off_topic(&host)),
            }
        }
        Ok(page)
    }

    /// One repository, by `owner/name`, or by its stable id behind `id:`.
    ///
    /// # Errors
    ///
    /// As for [`Engine::list_repositories`]; `PROVIDER_NOT_FOUND` when the link does not see it.
    pub async fn repository(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        name: &str,
    ) -> Result<Repository, Problem> {
        let input = Input::GetRepository {
            repository: name.to_owned(),
        };
        let (outcome, host) = self.ask(namespace, id, input).await?;
        match outcome.last {
            Output::Repository(repository) => Ok(repository),
            _ => Err(off_topic(&host)),
        }
    }

    /// Branches and tags of a repository.
    ///
    /// # Errors
    ///
    /// As for [`Engine::repository`].
    pub async fn list_refs(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        repository: &str,
        kind: Option<RefKind>,
        paging: Paging,
    ) -> Result<RemotePage<Ref>, Problem> {
        let input = Input::ListRefs {
            repository: repository.to_owned(),
            kind,
            cursor: paging.cursor,
            page_size: paging.size,
            max_pages: 1,
        };
        let (outcome, host) = self.ask(namespace, id, input).await?;
        let mut page = RemotePage {
            items: Vec::new(),
            next_cursor: String::new(),
            partial: false,
        };
        for output in outputs(outcome) {
            match output {
                Output::Refs { items, next_cursor } => {
                    page.items.extend(items);
                    page.next_cursor = next_cursor;
                }
                Output::Empty => {}
                _ => return Err(off_topic(&host)),
            }
        }
        Ok(page)
    }

    /// Organizations of the identity: for each one whether the link may act on it, and who can change that.
    ///
    /// # Errors
    ///
    /// As for [`Engine::list_repositories`].
    pub async fn list_organizations(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
    ) -> Result<Organizations, Problem> {
        let (outcome, host) = self
            .ask(namespace, id, Input::ListOrganizations { page_size: 100 })
            .await?;
        let mut page = Organizations::default();
        for output in outputs(outcome) {
            match output {
                Output::Organizations {
                    items,
                    partial,
                    partial_reason,
                    partial_uri,
                } => {
                    page.items.extend(items);
                    page.partial |= partial;
                    if page.partial_reason.is_empty() {
                        (page.partial_reason, page.partial_uri) = (partial_reason, partial_uri);
                    }
                }
                Output::Empty => {}
                _ => return Err(off_topic(&host)),
            }
        }
        Ok(page)
    }

    async fn ask(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        input: Input,
    ) -> Result<(Outcome, Host), Problem> {
        self.ask_with(namespace, id, input, None).await
    }

    /// Runs an operation on behalf of a usable link; its requests may name `hook_secret`. A token that ended early, or that a
    /// refresh has replaced since it was read, is refused: the operation is tried once more with a newer one.
    pub(crate) async fn ask_with(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        input: Input,
        hook_secret: Option<&Secret>,
    ) -> Result<(Outcome, Host), Problem> {
        let link = self.link(namespace, id).await?.record;
        link.usable()?;
        let host = self.host(&link.host).await?.record;
        host.usable()?;
        let known = is_known(&link, &input);
        // On the heap: most that the daemon does asks a provider, and all of it would hold this on the stack.
        let fresh = || self.fresh_grant(&link, &host, Duration::ZERO).boxed();
        let grant = fresh().await?;
        let token = &grant.access_token;
        let once = self.ask_once(&link, &host, token, input.clone(), hook_secret);
        let outcome = match once.boxed().await {
            Err(problem) if problem.reason == Reason::TokenRefused && link.refreshable => {
                self.replace(&link, grant.generation).boxed().await?;
                let token = &fresh().await?.access_token;
                let again = self.ask_once(&link, &host, token, input, hook_secret);
                again.boxed().await
            }
            outcome => outcome,
        };
        match outcome {
            Ok(outcome) => Ok((outcome, host)),
            // The link says at once what is in its way.
            Err(problem) => Err(self.read_sign(&link, known, problem).boxed().await),
        }
    }

    /// Runs an operation with a link's token, once.
    pub(crate) async fn ask_once(
        &self,
        link: &Link,
        host: &Host,
        token: &Secret,
        input: Input,
        hook_secret: Option<&Secret>,
    ) -> Result<Outcome, Problem> {
        let context = match input {
            Input::ListOrganizations { .. } => {
                self.organizations_context(link, host, token).await?
            }
            _ => self.link_context(link, host, token).await?,
        };
        let context = match hook_secret {
            Some(secret) => context.with_secret(HOOK_SECRET, secret),
            None => context,
        };
        self.run(context, input).await
    }
}

/// Whether it is about a repository that the link reached before.
fn is_known(link: &Link, input: &Input) -> bool {
    let (Input::GetRepository { repository } | Input::ListRefs { repository, .. }) = input else {
        return false;
    };
    let same = |seen: &SeenRepository| match repository.strip_prefix("id:") {
        Some(id) => seen.stable_id == id,
        None => seen.full_name == *repository,
    };
    link.seen.repositories.iter().any(same)
}

/// All that an operation gave, in order.
pub(crate) fn outputs(outcome: Outcome) -> impl Iterator<Item = Output> {
    outcome
        .pages
        .into_iter()
        .chain(std::iter::once(outcome.last))
}
