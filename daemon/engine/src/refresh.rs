//! Carries out a refresh: one in flight for each link, journalled before it is sent, durable before it is used.
//!
//! The rules are decided in [`bindery_core::refresh`]; the order of the steps is kept here.

mod attempt;
mod doubt;
mod gate;
mod minted;
mod recover;
mod rotate;
mod schedule;
mod store;

use std::{collections::HashMap, sync::Mutex, time::Duration};

use bindery_core::{
    host::Host,
    link::{Grant, Link},
    name::{LinkId, NamespaceName},
    problem::{Problem, Reason},
    provider::AuthKind,
    refresh::{Intent, Plan, plan, plan_newer},
    time::Timestamp,
};

use crate::{
    Engine, Versioned,
    deeds::Own,
    flight::{Flight, Whose},
};

use self::rotate::rotates;
pub(crate) use self::{doubt::Doubts, gate::HostGates, schedule::Schedule};

/// How often a caller that joined a refresh which was not meant for it looks again.
const ROUNDS: usize = 2;

/// What a caller wants.
#[derive(Clone, Copy)]
pub(crate) enum Want {
    /// A token with this much lifetime left, or as much as can be had.
    Remaining(Duration),
    /// A newer pair than the one of this generation, whatever is left of that.
    NewerThan(u64),
}

/// New pairs that the store did not take. The forge may have dropped the old ones, so these are kept until it does.
#[derive(Default)]
pub(crate) struct Unsaved(pub(crate) Mutex<HashMap<Whose, Pair>>);

/// A new pair, and the version of the grant that it replaces.
pub(crate) struct Pair {
    replaces: u64,
    grant: Grant,
    scopes: Option<Vec<String>>,
}

/// What a refresh stands on, read together.
struct Stand {
    link: Versioned<Link>,
    host: Host,
    grant: Versioned<Grant>,
    intent: Option<Intent>,
}

impl Engine {
    /// The grant of a link whose token has at least `min_remaining` left, or as much as can be had.
    pub(crate) async fn fresh_grant(
        &self,
        link: &Link,
        host: &Host,
        min_remaining: Duration,
    ) -> Result<Grant, Problem> {
        let mut outcome = Ok(());
        for _ in 0..ROUNDS {
            if let Some(grant) = self.lasting_grant(link, host, min_remaining).await? {
                return Ok(grant);
            }
            let (flight, own) = self.refresh(link, Want::Remaining(min_remaining));
            outcome = flight.await;
            if own || outcome.is_err() {
                break;
            }
            // It was started for somebody who wanted less, perhaps: look again.
        }
        let grant = self.grant(link, host).await?;
        match outcome {
            // A token that is still good is better than an error.
            Err(problem) if !good(&grant, self.now()) || self.in_doubt(link) => Err(problem),
            _ => Ok(grant),
        }
    }

    /// The grant of a link as it is, if its token has at least `min_remaining` left, and is not in doubt.
    pub(crate) async fn lasting_grant(
        &self,
        link: &Link,
        host: &Host,
        min_remaining: Duration,
    ) -> Result<Option<Grant>, Problem> {
        let grant = self.grant(link, host).await?;
        if self.in_doubt(link) {
            return Ok(None);
        }
        let planned = plan(
            &grant,
            link.renewable(&grant),
            None,
            min_remaining,
            self.now(),
        );
        Ok((planned == Plan::UseCurrent).then_some(grant))
    }

    async fn grant(&self, link: &Link, host: &Host) -> Result<Grant, Problem> {
        let found = self.find_grant(link, host).await?;
        found
            .map(|entry| entry.record)
            .ok_or_else(|| no_grant(link))
    }

    /// Replaces the pair of `generation`, which the provider has refused, unless somebody has done so already.
    pub(crate) async fn replace(&self, link: &Link, generation: u64) -> Result<(), Problem> {
        for _ in 0..ROUNDS {
            let (flight, own) = self.refresh(link, Want::NewerThan(generation));
            let outcome = flight.await;
            if own || outcome.is_err() {
                return outcome;
            }
        }
        Ok(())
    }

    /// The grant of a link that is being unlinked, refreshed where it must be. Only its saga may ask, once it has
    /// settled: all others are refused by then, so this one is alone.
    pub(crate) async fn last_refresh(&self, link: &Link) -> Result<(), Problem> {
        let want = Want::Remaining(Duration::ZERO);
        self.refresh_once(&link.namespace, &link.id, want, |_, _| Ok(()))
            .await
    }

    /// Joins the refresh that is under way, or starts one. A caller that goes away does not cancel it.
    fn refresh(&self, link: &Link, want: Want) -> (Flight, bool) {
        let whose = (link.namespace.clone(), link.id.clone());
        let (engine, (namespace, id)) = (self.clone(), whose.clone());
        self.refreshes().join(whose, || async move {
            engine.refresh_once(&namespace, &id, want, in_use).await
        })
    }

    async fn refresh_once(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        want: Want,
        admit: fn(&Link, &Host) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        self.save(namespace, id).await?;
        let stand = self.refresh_stand(namespace, id).await?;
        admit(&stand.link.record, &stand.host)?;
        let (grant, intent) = (&stand.grant.record, stand.intent.as_ref());
        let (now, renewable) = (self.now(), stand.link.record.renewable(grant));
        let planned = match want {
            Want::Remaining(least) => plan(grant, renewable, intent, least, now),
            Want::NewerThan(generation) => {
                let renewable = renewable || rotates(&stand.link.record);
                plan_newer(grant, renewable, intent, generation, now)
            }
        };
        let mut planned = planned;
        if is_current(planned) && self.in_doubt(&stand.link.record) {
            if self.survived(&stand.link.record, &stand.host, grant).await {
                return Ok(());
            }
            let renewable = renewable || rotates(&stand.link.record);
            planned = plan_newer(grant, renewable, intent, grant.generation, self.now());
        }
        match planned {
            Plan::UseCurrent | Plan::UseShort { .. } => Ok(()),
            Plan::Wait { not_before } => {
                Err(waiting(&stand.link.record, intent, not_before.since(now)))
            }
            Plan::Dead(cause) => Err(self.dead(&stand.link.record, cause).await),
            Plan::Send => {
                let own = Own::new("refresh-token", stand.link.record.resource());
                let own = own.with("generation", stand.grant.record.generation.to_string());
                let done = self.send(stand).await;
                self.did(own.ended(&done)).await;
                done
            }
        }
    }

    /// Has a new token made, in the way of the link.
    async fn send(&self, stand: Stand) -> Result<(), Problem> {
        let link = &stand.link.record;
        if link.auth_kind == AuthKind::AppInstallation {
            return self.renew_by_minting(stand).await;
        }
        if rotates(link) {
            return self.rotate(stand).await;
        }
        self.attempt(stand).await
    }

    async fn refresh_stand(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
    ) -> Result<Stand, Problem> {
        let link = self.link(namespace, id).await?;
        let host = self.host(&link.record.host).await?.record;
        let grant = self
            .find_grant(&link.record, &host)
            .await?
            .ok_or_else(|| no_grant(&link.record))?;
        let intent = self
            .find_intent(namespace, id)
            .await?
            .map(|entry| entry.record);
        Ok(Stand {
            link,
            host,
            grant,
            intent,
        })
    }
}

const fn is_current(plan: Plan) -> bool {
    matches!(plan, Plan::UseCurrent | Plan::UseShort { .. })
}

fn good(grant: &Grant, now: Timestamp) -> bool {
    grant.expires.is_none_or(|expires| expires > now)
}

/// Only the token of a link in use is refreshed, and one that a check may bring back: for a disabled link nothing is
/// touched at the provider, and after an unlink a new pair would be left behind.
fn in_use(link: &Link, host: &Host) -> Result<(), Problem> {
    host.usable()?;
    match link.usable() {
        Err(problem) if problem.reason != Reason::LinkNeedsReauthorization => Err(problem),
        _ => Ok(()),
    }
}

fn no_grant(link: &Link) -> Problem {
    Problem::new(
        Reason::LinkNotBound,
        format!("{} holds no credentials; authorize it", link.resource()),
    )
}

fn waiting(link: &Link, intent: Option<&Intent>, wait: Duration) -> Problem {
    let message = format!(
        "the last refresh of {} failed, and the next one has to wait",
        link.resource()
    );
    let reason = match intent {
        Some(intent) if intent.lost => Reason::RefreshOutcomeUnknown,
        Some(intent) if intent.suspect.is_some() => Reason::TokenRefused,
        _ => Reason::ProviderUnavailable,
    };
    Problem::new(reason, message).retry(Some(wait))
}
