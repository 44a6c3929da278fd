//! Who asks the provider about a hook: the first of its sources whose link works.

use bindery_core::{
    hook::Hook,
    host::Host,
    link::Link,
    name::{LinkId, NamespaceName},
    port::Listing,
    problem::{Problem, Reason},
    provider::Input,
    secret::Secret,
};
use futures_util::FutureExt;

use crate::{Engine, operation::Outcome, records::as_link};

/// Links that are tried at most in the place of those that were refused.
const DEPUTIES: usize = 8;

/// Through whom the provider is asked.
#[derive(Clone, Copy)]
pub(crate) enum Through<'a> {
    /// The links of the hook's sources.
    Sources,
    /// A link that is being unlinked, which nobody but its saga uses any more.
    Last(&'a Link, &'a Host),
}

/// Whether a problem is a "no" that another link need not get, and that waiting does not mend. All others pass, or leave
/// open what became of the request.
pub(crate) const fn refuses(problem: &Problem) -> bool {
    matches!(
        problem.reason,
        Reason::ProviderDenied
            | Reason::ProviderNotFound
            | Reason::ProviderLimitReached
            | Reason::ProviderUnsupported
            | Reason::ScopeMissing
            | Reason::OrganizationRestricted
            | Reason::SsoRequired
            | Reason::TokenRefused
            | Reason::AppNotInstalled
            | Reason::IdentitySuspended
            | Reason::InvalidArgument
            | Reason::LinkNeedsReauthorization
            | Reason::LinkNotBound
            | Reason::LinkUnlinked
            | Reason::NotFound
    )
}

/// Whether another link may do what this one can't. Where the answer of the first may be on its way, none does.
const fn next_may(problem: &Problem) -> bool {
    refuses(problem) || matches!(problem.reason, Reason::LinkDisabled)
}

impl Engine {
    /// Asks the provider about a hook. Fails with what the first link says where no link can.
    pub(crate) async fn act(
        &self,
        hook: &Hook,
        through: Through<'_>,
        input: &Input,
        secret: Option<&Secret>,
    ) -> Result<Outcome, Problem> {
        if hook.is_app() {
            return self.act_as_app(hook, input, secret).await;
        }
        if let Through::Last(link, host) = through {
            return self.act_last(link, host, input, secret).await;
        }
        let mut refusal = None;
        for (namespace, link) in links(hook) {
            let asked = self.ask_with(namespace, link, input.clone(), secret).await;
            match asked {
                Ok((outcome, _)) => return Ok(outcome),
                Err(problem) if next_may(&problem) => refusal = refusal.or(Some(problem)),
                Err(problem) => return Err(problem),
            }
        }
        Err(refusal.unwrap_or_else(nobody))
    }

    /// A link that is being unlinked asks for the last time: with a token that was refreshed if it must be.
    async fn act_last(
        &self,
        link: &Link,
        host: &Host,
        input: &Input,
        secret: Option<&Secret>,
    ) -> Result<Outcome, Problem> {
        let stale = self.last_refresh(link).boxed().await.err();
        let token = self.last_token(link, host).await?;
        let asked = self.ask_once(link, host, &token, input.clone(), secret);
        match asked.await {
            // That an old token is refused says nothing while a refresh may still succeed.
            Err(problem) if problem.reason == Reason::TokenRefused => Err(stale.unwrap_or(problem)),
            outcome => outcome,
        }
    }

    /// As [`Engine::act`]; where no link of the hook's sources can, other links of their namespaces on the same host are
    /// tried. Only for what does no harm when it is done twice.
    pub(super) async fn act_or_deputy(
        &self,
        hook: &Hook,
        through: Through<'_>,
        input: &Input,
    ) -> Result<Outcome, Problem> {
        let problem = match self.act(hook, through, input, None).await {
            Err(problem) if refuses(&problem) => problem,
            outcome => return outcome,
        };
        for (namespace, link) in self.deputies(hook).await? {
            let asked = self.ask_with(&namespace, &link, input.clone(), None).await;
            if let Ok((outcome, _)) = asked {
                return Ok(outcome);
            }
        }
        Err(problem)
    }

    /// Usable links of the same namespaces and host that are none of the hook's own.
    async fn deputies(&self, hook: &Hook) -> Result<Vec<(NamespaceName, LinkId)>, Problem> {
        let own = links(hook);
        let mut namespaces: Vec<_> = own
            .iter()
            .map(|(namespace, _)| (*namespace).clone())
            .collect();
        namespaces.dedup();
        let mut deputies = Vec::new();
        for namespace in namespaces {
            let all = self.list_all(&Listing::Links(namespace), as_link).await?;
            let able = all.into_iter().map(|entry| entry.record).filter(|link| {
                let other = !own.contains(&(&link.namespace, &link.id));
                other && link.host == hook.host && link.usable().is_ok()
            });
            deputies.extend(able.map(|link| (link.namespace, link.id)));
        }
        deputies.truncate(DEPUTIES);
        Ok(deputies)
    }
}

/// The links of a hook's sources, each once, in their order.
pub(super) fn links(hook: &Hook) -> Vec<(&NamespaceName, &LinkId)> {
    let mut links = Vec::new();
    for source in &hook.sources {
        let link = (&source.namespace, &source.link);
        if !links.contains(&link) {
            links.push(link);
        }
    }
    links
}

fn nobody() -> Problem {
    let message = "no link is left that could ask the provider about this webhook";
    Problem::new(Reason::LinkUnlinked, message)
}
