//! Carries out a refresh: one in flight for each link, journalled before it is sent, durable before it is used.
//!
//! The rules are decided in [`bindery_core::refresh`]; the order of the steps is kept here.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use bindery_core::{
    exchange::{TokenCall, TokenGrant, TokenOutcome},
    host::{Host, HostSecrets},
    link::{Cause, Grant, Link},
    name::{LinkId, NamespaceName},
    origin::OriginSet,
    port::{Expect, Key, Listing, Record},
    problem::{Problem, Reason, Who},
    provider::{AuthKind, Description},
    refresh::{Intent, Plan, Verdict, judge, next_attempt, plan, plan_newer},
    time::Timestamp,
};

use crate::{
    Engine, Versioned,
    flight::{Flight, Whose, lock},
    links::explain,
    records::{change, copy_grant, origins},
};

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
pub(crate) struct Unsaved(Mutex<HashMap<Whose, Pair>>);

/// A new pair, and the version of the grant that it replaces.
struct Pair {
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

/// All that a call to the token endpoint needs.
struct Client {
    description: std::sync::Arc<Description>,
    secrets: HostSecrets,
    allowed: OriginSet,
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
            let grant = self.grant(link, host).await?;
            if plan(&grant, None, min_remaining, self.now()) == Plan::UseCurrent {
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
            Err(problem) if !good(&grant, self.now()) => Err(problem),
            _ => Ok(grant),
        }
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
        self.refresh_once(&link.namespace, &link.id, want, |_| Ok(()))
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
        admit: fn(&Link) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        self.save(namespace, id).await?;
        let stand = self.refresh_stand(namespace, id).await?;
        admit(&stand.link.record)?;
        let (grant, intent) = (&stand.grant.record, stand.intent.as_ref());
        let now = self.now();
        let planned = match want {
            Want::Remaining(least) => plan(grant, intent, least, now),
            Want::NewerThan(generation) => plan_newer(grant, intent, generation, now),
        };
        match planned {
            Plan::UseCurrent | Plan::UseShort { .. } => Ok(()),
            Plan::Wait { not_before } => {
                Err(waiting(&stand.link.record, intent, not_before.since(now)))
            }
            Plan::Dead(cause) => Err(self.dead(&stand.link.record, cause).await),
            Plan::Send => self.attempt(stand).await,
        }
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

    async fn attempt(&self, stand: Stand) -> Result<(), Problem> {
        let Stand {
            link,
            host,
            grant,
            intent,
        } = stand;
        let (namespace, id) = (&link.record.namespace, &link.record.id);
        // All that can fail on this side fails before the journal says that something was sent.
        let client = self.client(&host).await?;
        let intent = next_attempt(&grant.record, intent, namespace, id, self.now());
        // Not journalled means not sent.
        self.put_intent(&intent).await?;
        let outcome = self.present_refresh(&host, &client, &grant.record).await;
        tracing::debug!(link.id = %id, outcome = outcome_name(&outcome), "Token refresh answered");
        let refused = matches!(outcome, TokenOutcome::ClientRefused);
        let random = u64::from_le_bytes(self.random());
        match judge(&grant.record, intent, outcome, random, self.now()) {
            Verdict::Store(new, scopes) => {
                let pair = Pair {
                    replaces: grant.version,
                    grant: new,
                    scopes,
                };
                lock(&self.unsaved().0).insert((namespace.clone(), id.clone()), pair);
                self.save(namespace, id).await
            }
            Verdict::Keep(intent, problem) => {
                let wait = intent.not_before.since(self.now());
                self.put_intent(&intent).await?;
                self.note_failure(&link.record).await?;
                Err(problem
                    .unwrap_or_else(|| not_refreshed(&link.record, &host, refused))
                    .retry(Some(wait)))
            }
            Verdict::Dead(cause) => Err(self.dead(&link.record, cause).await),
        }
    }

    async fn client(&self, host: &Host) -> Result<Client, Problem> {
        let description = self.description(&host.provider)?;
        if description.method(AuthKind::OAuthCode).is_none() {
            let message = format!("provider {} does not offer OAuth", host.provider);
            return Err(Problem::new(Reason::MethodNotSupported, message));
        }
        Ok(Client {
            description,
            secrets: self.host_secrets(host).await?,
            allowed: origins(host)?,
        })
    }

    async fn present_refresh(&self, host: &Host, client: &Client, grant: &Grant) -> TokenOutcome {
        let (Some(method), Some(refresh_token)) = (
            client.description.method(AuthKind::OAuthCode),
            grant.refresh_token.as_ref(),
        ) else {
            return TokenOutcome::Refused {
                error: "unsupported".to_owned(),
                dead: false,
            };
        };
        let call = TokenCall {
            endpoint: &client.description.endpoints.token_uri(host.token_base()),
            client_id: host.oauth_client_id.as_deref().unwrap_or_default(),
            client_secrets: &client.secrets.client_secrets,
            method,
            network: &host.network,
            origins: &client.allowed,
            grant: TokenGrant::Refresh { refresh_token },
        };
        self.ports().egress.token(call).await
    }

    /// Stores the new pair of a link that the store did not take before, if there is one.
    async fn save(&self, namespace: &NamespaceName, id: &LinkId) -> Result<(), Problem> {
        let whose = (namespace.clone(), id.clone());
        let Some(pair) = lock(&self.unsaved().0).remove(&whose) else {
            return Ok(());
        };
        let outcome = self.store_pair(namespace, id, &pair).await;
        if let Err(problem) = &outcome
            && problem.reason != Reason::StoreConflict
        {
            tracing::error!(link.id = %id, error = %problem, "A new token pair could not be stored; it is kept and tried again");
            lock(&self.unsaved().0).entry(whose).or_insert(pair);
        }
        outcome
    }

    /// Tries the store again for every new pair that it did not take.
    pub(crate) async fn save_all(&self) {
        let waiting: Vec<_> = lock(&self.unsaved().0).keys().cloned().collect();
        for (namespace, id) in waiting {
            if let Ok(link) = self.link(&namespace, &id).await {
                // What goes wrong is logged there.
                let _ = self
                    .refresh(&link.record, Want::Remaining(Duration::ZERO))
                    .0
                    .await;
            }
        }
    }

    /// Forgets a new pair of a link that is erased.
    pub(crate) fn forget_unsaved(&self, namespace: &NamespaceName, id: &LinkId) {
        lock(&self.unsaved().0).remove(&(namespace.clone(), id.clone()));
    }

    /// The new pair, the end of the journal entry and the link's facts in one transaction.
    async fn store_pair(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        pair: &Pair,
    ) -> Result<(), Problem> {
        loop {
            let Versioned {
                record: mut link,
                version,
            } = self.link(namespace, id).await?;
            let host = self.host(&link.host).await?.record;
            let others = replacement(&link, &host, pair)?;
            link.token_expires = pair.grant.expires;
            link.refreshable = pair.grant.refresh_token.is_some();
            link.refreshed = Some(pair.grant.obtained);
            link.generation = pair.grant.generation;
            link.granted_scopes = pair.scopes.clone().or(link.granted_scopes);
            match self
                .put_link(link.clone(), Expect::Version(version), others)
                .await
            {
                Err(problem) if problem.reason == Reason::StoreConflict => {
                    if self.stored(&link, &host, pair).await? {
                        return Ok(());
                    }
                }
                outcome => return outcome,
            }
        }
    }

    /// After a conflict: whether the pair is in the store already, because a failed write was carried out after all.
    /// `false` when only the link has changed.
    async fn stored(&self, link: &Link, host: &Host, pair: &Pair) -> Result<bool, Problem> {
        match self.find_grant(link, host).await? {
            Some(entry) if entry.version == pair.replaces => Ok(false),
            Some(entry) if same(&entry.record, &pair.grant) => Ok(true),
            _ => Err(Problem::new(
                Reason::StoreConflict,
                "the grant was replaced meanwhile; try again",
            )),
        }
    }

    async fn put_intent(&self, intent: &Intent) -> Result<(), Problem> {
        let key = Key::Intent(intent.namespace.clone(), intent.link.clone());
        self.commit(vec![change(
            key,
            Expect::Any,
            Some(Record::Intent(intent.clone())),
        )])
        .await
    }

    async fn note_failure(&self, link: &Link) -> Result<(), Problem> {
        let now = self.now();
        self.change_link(&link.namespace, &link.id, |link| {
            link.refresh_failed = Some(now);
            Ok(())
        })
        .await?;
        Ok(())
    }

    async fn dead(&self, link: &Link, cause: Cause) -> Problem {
        tracing::warn!(link.id = %link.id, cause = explain(cause), "Link must be authorized again");
        match self.mark_dead(&link.namespace, &link.id, cause).await {
            Ok(link) => link
                .record
                .usable()
                .err()
                .unwrap_or_else(|| no_grant(&link.record)),
            Err(problem) => problem,
        }
    }

    /// After a restart: a request that was under way has lost its answer.
    pub(crate) async fn recover_intents(&self) -> Result<(), Problem> {
        let pick = |record| {
            if let Record::Intent(intent) = record {
                Some(intent)
            } else {
                None
            }
        };
        for entry in self.list_all(&Listing::Intents, pick).await? {
            let intent = entry.record;
            if intent.in_flight {
                tracing::warn!(link.id = %intent.link, "A token refresh was cut off by the last stop; its outcome is unknown");
                self.put_intent(&intent.recovered()).await?;
            }
        }
        Ok(())
    }
}

const fn outcome_name(outcome: &TokenOutcome) -> &'static str {
    match outcome {
        TokenOutcome::Granted(_) => "granted",
        TokenOutcome::Refused { .. } => "refused",
        TokenOutcome::ClientRefused => "client refused",
        TokenOutcome::NotNow(_) => "not now",
        TokenOutcome::Lost(_) => "lost",
    }
}

fn good(grant: &Grant, now: Timestamp) -> bool {
    grant.expires.is_none_or(|expires| expires > now)
}

fn same(one: &Grant, other: &Grant) -> bool {
    one.generation == other.generation && one.access_token.expose() == other.access_token.expose()
}

/// The new grant in the place of the old, and the end of the journal entry.
fn replacement(
    link: &Link,
    host: &Host,
    pair: &Pair,
) -> Result<Vec<bindery_core::port::Change>, Problem> {
    let (namespace, id) = (link.namespace.clone(), link.id.clone());
    let intent = Key::Intent(namespace.clone(), id.clone());
    let grant = Key::Grant(namespace, id, host.name.clone(), origins(host)?);
    let put = Some(Record::Grant(copy_grant(&pair.grant)));
    Ok(vec![
        change(grant, Expect::Version(pair.replaces), put),
        change(intent, Expect::Any, None),
    ])
}

/// Only the token of a link in use is refreshed, and one that a check may bring back: for a disabled link nothing is
/// touched at the provider, and after an unlink a new pair would be left behind.
fn in_use(link: &Link) -> Result<(), Problem> {
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

fn not_refreshed(link: &Link, host: &Host, client_refused: bool) -> Problem {
    if client_refused {
        let message = format!(
            "{} refused the OAuth client of hosts/{}; check its id and secrets",
            host.web_url, host.name
        );
        return Problem::new(Reason::ClientRefused, message).act(Who::HostOperator, "");
    }
    let message = format!(
        "{} refused to refresh {}; it is asked once more before the link is given up",
        host.web_url,
        link.resource()
    );
    Problem::new(Reason::TokenRefused, message)
}
