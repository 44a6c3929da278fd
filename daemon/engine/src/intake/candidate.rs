//! Which hook a delivery is held against, and what one is answered that nothing proves.
//!
//! An unknown hook takes the path of one that is there, with another hook's secrets (THREATS W6).

use std::time::Duration;

use bindery_core::{
    hook::{Hook, HookSecrets},
    name::HookId,
    port::Listing,
    problem::Problem,
    provider::{HookSupport, SignatureScheme},
    time::Timestamp,
};

use super::Refused;
use crate::{Engine, Versioned, flight::lock, hooks::as_hook, hosts::as_host};

/// An id that no hook has, as long as those that hooks have.
const NO_HOOK: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaa";

/// When to come again where a delivery can't be verified: a plugin is reloaded by a person.
const BLIND_WAIT: Duration = Duration::from_secs(60);

/// For how long it is remembered whether there are hooks that can't be verified, so that a storm of forged deliveries does not
/// go through all hosts each time.
const LOOKED: Duration = Duration::from_secs(1);

/// For how long after its last delivery a hook without secret or scheme is thought of.
const BLIND_FOR: Duration = Duration::from_secs(600);

/// The hook that a delivery is held against.
pub(super) struct Candidate {
    pub(super) hook: Hook,
    pub(super) secrets: HookSecrets,
    pub(super) support: HookSupport,
    pub(super) scheme: SignatureScheme,
    /// It stands in for one that does not exist: nothing is right.
    pub(super) decoy: bool,
}

/// Whether there are hooks whose deliveries can't be verified.
#[derive(Default)]
pub(super) struct Blindness {
    /// When hosts were gone through, and whether one lacks its plugin.
    hosts: Option<(Timestamp, bool)>,
    /// When a hook was last found without what verifies its deliveries.
    hook: Option<Timestamp>,
}

impl Engine {
    /// The hook of an id, or another one in its place. `None` where there is none that a delivery can be held against.
    pub(super) async fn candidate(
        &self,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<Candidate>, Problem> {
        let Some(none) = HookId::parse(NO_HOOK).ok() else {
            return Ok(None);
        };
        let id = HookId::parse(id).unwrap_or_else(|_| none.clone());
        let known = lock(&self.intake().decoy).clone();
        let stand_in = known.unwrap_or_else(|| none.clone());
        // Of the two one is there and one is not, whichever came: both ways do the same, but for the order.
        let first = self.find_hook(&id).await?;
        let decoy = first.is_none();
        let other = if decoy { &stand_in } else { &none };
        let second = self.find_hook(other).await?;
        let found = match first.or(second) {
            Some(hook) => Some(hook),
            None => self.any_hook().await?,
        };
        let Some(hook) = found.map(|entry| entry.record) else {
            return Ok(None);
        };
        lock(&self.intake().decoy).replace(hook.id.clone());
        self.equipped(hook, decoy, now).await
    }

    /// Any hook that is there; `None` where there is none at all.
    async fn any_hook(&self) -> Result<Option<Versioned<Hook>>, Problem> {
        let mut page = self.list(&Listing::Hooks, None, 1, as_hook).await?;
        Ok(page.items.pop())
    }

    /// A hook with all that its deliveries are verified with.
    async fn equipped(
        &self,
        hook: Hook,
        decoy: bool,
        now: Timestamp,
    ) -> Result<Option<Candidate>, Problem> {
        let secrets = self.find_hook_secrets(&hook.id).await?;
        let host = self.host(&hook.host).await?.record;
        let Ok(description) = self.description(&host) else {
            tracing::warn!(hook.id = %hook.id, "A delivery can't be verified: the plugin of its provider is not loaded");
            return Ok(None);
        };
        let support = description.hooks.clone();
        let scheme = support.scheme(&hook.scheme).cloned();
        let (Some(secrets), Some(scheme)) = (secrets, scheme) else {
            tracing::warn!(hook.id = %hook.id, scheme = hook.scheme, "A delivery can't be verified: the hook's secret is lost, or its plugin does not know the scheme; repair the source");
            lock(&self.intake().blindness).hook = Some(now);
            return Ok(None);
        };
        Ok(Some(Candidate {
            hook,
            secrets: secrets.record,
            support,
            scheme,
            decoy,
        }))
    }

    /// What a delivery is answered that nothing proves. While there are hooks whose deliveries can't be verified it is to come
    /// again, whichever hook it names: a right one must not be lost, and an answer of its own would tell that hook.
    pub(super) async fn unproven(&self, now: Timestamp) -> Refused {
        match self.is_blind(now).await {
            Ok(true) => Refused::Full(BLIND_WAIT),
            Ok(false) => Refused::Forged,
            Err(problem) => Refused::Failed(problem),
        }
    }

    async fn is_blind(&self, now: Timestamp) -> Result<bool, Problem> {
        let (hosts, hook) = {
            let known = lock(&self.intake().blindness);
            (known.hosts, known.hook)
        };
        if hook.is_some_and(|at| now.since(at) < BLIND_FOR) {
            return Ok(true);
        }
        if let Some((at, blind)) = hosts
            && now.since(at) < LOOKED
        {
            return Ok(blind);
        }
        let hosts = self.list_all(&Listing::Hosts, as_host).await?;
        let mut used = hosts.iter().filter(|host| host.record.usable().is_ok());
        let blind = used.any(|host| self.description(&host.record).is_err());
        lock(&self.intake().blindness).hosts = Some((now, blind));
        Ok(blind)
    }

    pub(super) fn note_rejection(&self, candidate: &Candidate, now: Timestamp) {
        lock(&self.intake().rejected).insert(noted(candidate), now);
    }

    /// A delivery did not come whole, so that nobody knows who sent it: refs are compared, but not more often for more of them.
    pub(super) fn note_cut(&self, candidate: &Candidate, now: Timestamp) {
        lock(&self.intake().cut).insert(noted(candidate), now);
    }
}

/// What does not exist is noted as well: it takes as long.
fn noted(candidate: &Candidate) -> HookId {
    let own = candidate.hook.id.clone();
    match HookId::parse(NO_HOOK) {
        Ok(none) if candidate.decoy => none,
        _ => own,
    }
}
