//! Carries out a refresh: one in flight for each link, journalled before it is sent, durable before it is used.
//!
//! The rules are decided in [`bindery_core::refresh`]; the order of the steps is kept here.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use bindery_core::{
    exchange::{TokenCall, TokenGrant, TokenOutcome},
    host::Host,
    link::{Cause, Grant, Link},
    name::{LinkId, NamespaceName},
    port::{BoxFuture, Expect, Key, Record},
    problem::{Problem, Reason, Who},
    provider::AuthKind,
    refresh::{Intent, Plan, Verdict, judge, next_attempt, plan},
    secret::Secret,
};
use futures_util::{FutureExt, future::Shared};

use crate::{
    Engine, Versioned,
    links::explain,
    records::{change, origins},
};

type Flight = Shared<BoxFuture<'static, Result<(), Problem>>>;

/// The refreshes that are under way.
#[derive(Default)]
pub(crate) struct Flights {
    running: Mutex<HashMap<(NamespaceName, LinkId), Flight>>,
}

/// What a refresh stands on, read together.
struct Stand {
    link: Versioned<Link>,
    host: Host,
    grant: Versioned<Grant>,
    intent: Option<Intent>,
}

impl Engine {
    /// The access token of a link with at least a minute left.
    pub(crate) async fn fresh_token(&self, link: &Link, host: &Host) -> Result<Secret, Problem> {
        self.fresh_grant(link, host, Duration::ZERO)
            .await
            .map(|grant| grant.access_token)
    }

    /// The grant of a link whose token has at least `min_remaining` left, or as much as can be had.
    pub(crate) async fn fresh_grant(
        &self,
        link: &Link,
        host: &Host,
        min_remaining: Duration,
    ) -> Result<Grant, Problem> {
        let grant = self
            .find_grant(link, host)
            .await?
            .ok_or_else(|| no_grant(link))?
            .record;
        if plan(&grant, None, min_remaining, self.now()) == Plan::UseCurrent {
            return Ok(grant);
        }
        let refreshed = self.refresh(link, min_remaining).await;
        let grant = self
            .find_grant(link, host)
            .await?
            .ok_or_else(|| no_grant(link))?
            .record;
        match refreshed {
            // A token that is still good is better than an error.
            Err(problem) if !good(&grant, self.now()) => Err(problem),
            _ => Ok(grant),
        }
    }

    /// Refreshes a link's token whatever is left of it.
    pub(crate) async fn refresh_now(&self, link: &Link) -> Result<(), Problem> {
        self.refresh(link, Duration::MAX).await
    }

    /// Joins the refresh that is under way, or starts one. A caller that goes away does not cancel it.
    fn refresh(&self, link: &Link, min_remaining: Duration) -> Flight {
        let key = (link.namespace.clone(), link.id.clone());
        let mut running = lock(&self.flights().running);
        if let Some(flight) = running.get(&key) {
            return flight.clone();
        }
        let (engine, own) = (self.clone(), key.clone());
        let task = tokio::spawn(async move {
            let outcome = engine.refresh_once(&own.0, &own.1, min_remaining).await;
            lock(&engine.flights().running).remove(&own);
            outcome
        });
        let stopped = |_| {
            Err(Problem::new(
                Reason::ShuttingDown,
                "the daemon stops; try again",
            ))
        };
        let flight = task
            .map(move |joined| joined.unwrap_or_else(stopped))
            .boxed()
            .shared();
        running.insert(key, flight.clone());
        flight
    }

    /// Waits until no refresh of this link is under way.
    pub(crate) async fn settle(&self, namespace: &NamespaceName, id: &LinkId) {
        let flight = lock(&self.flights().running)
            .get(&(namespace.clone(), id.clone()))
            .cloned();
        if let Some(flight) = flight {
            // Its outcome is its callers' affair.
            let _ = flight.await;
        }
    }

    async fn refresh_once(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        min_remaining: Duration,
    ) -> Result<(), Problem> {
        let stand = self.refresh_stand(namespace, id).await?;
        let grant = &stand.grant.record;
        let now = self.now();
        match plan(grant, stand.intent.as_ref(), min_remaining, now) {
            Plan::UseCurrent | Plan::UseShort { .. } => Ok(()),
            Plan::Wait { not_before } => Err(waiting(&stand.link.record, not_before.since(now))),
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
        let intent = next_attempt(&grant.record, intent, namespace, id, self.now());
        // Not journalled means not sent.
        self.put_intent(&intent).await?;
        let outcome = self.present_refresh(&host, &grant.record).await?;
        tracing::debug!(link.id = %id, outcome = outcome_name(&outcome), "Token refresh answered");
        let refused = matches!(outcome, TokenOutcome::ClientRefused);
        let random = u64::from_le_bytes(self.random());
        match judge(&grant.record, intent, outcome, random, self.now()) {
            Verdict::Store(new, scopes) => {
                self.store_pair(&link.record, &host, grant.version, new, scopes)
                    .await
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

    async fn present_refresh(&self, host: &Host, grant: &Grant) -> Result<TokenOutcome, Problem> {
        let description = self.description(&host.provider)?;
        let (allowed, secrets) = (origins(host)?, self.host_secrets(host).await?);
        let (Some(method), Some(refresh_token)) = (
            description.method(AuthKind::OAuthCode),
            grant.refresh_token.as_ref(),
        ) else {
            return Ok(TokenOutcome::Refused {
                error: "unsupported".to_owned(),
                dead: false,
            });
        };
        let call = TokenCall {
            endpoint: &description.endpoints.token_uri(host.token_base()),
            client_id: host.oauth_client_id.as_deref().unwrap_or_default(),
            client_secrets: &secrets.client_secrets,
            method,
            network: &host.network,
            origins: &allowed,
            grant: TokenGrant::Refresh { refresh_token },
        };
        Ok(self.ports().egress.token(call).await)
    }

    /// The new pair, the end of the journal entry and the link's facts in one transaction.
    async fn store_pair(
        &self,
        link: &Link,
        host: &Host,
        version: u64,
        new: Grant,
        scopes: Option<Vec<String>>,
    ) -> Result<(), Problem> {
        let (namespace, id) = (link.namespace.clone(), link.id.clone());
        let key = Key::Grant(
            namespace.clone(),
            id.clone(),
            host.name.clone(),
            origins(host)?,
        );
        loop {
            let Versioned {
                record: mut link,
                version: link_version,
            } = self.link(&namespace, &id).await?;
            link.token_expires = new.expires;
            link.refreshable = new.refresh_token.is_some();
            link.refreshed = Some(new.obtained);
            link.generation = new.generation;
            link.granted_scopes = scopes.clone().or(link.granted_scopes);
            let others = vec![
                change(
                    key.clone(),
                    Expect::Version(version),
                    Some(Record::Grant(copy(&new))),
                ),
                change(
                    Key::Intent(namespace.clone(), id.clone()),
                    Expect::Any,
                    None,
                ),
            ];
            match self
                .put_link(link, Expect::Version(link_version), others)
                .await
            {
                Err(problem) if problem.reason == Reason::StoreConflict => {
                    self.same_grant(&key, version).await?
                }
                outcome => return outcome,
            }
        }
    }

    /// After a conflict: goes on when only the link has changed.
    async fn same_grant(&self, key: &Key, version: u64) -> Result<(), Problem> {
        let now = self
            .ports()
            .vault
            .get(key)
            .await
            .map_err(crate::records::problem)?;
        if now.is_some_and(|entry| entry.version == version) {
            return Ok(());
        }
        Err(Problem::new(
            Reason::StoreConflict,
            "the grant was replaced meanwhile; try again",
        ))
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
        for entry in self
            .list_all(&bindery_core::port::Listing::Intents, pick)
            .await?
        {
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

fn good(grant: &Grant, now: bindery_core::time::Timestamp) -> bool {
    grant.expires.is_none_or(|expires| expires > now)
}

fn copy(grant: &Grant) -> Grant {
    Grant {
        access_token: grant.access_token.duplicate(),
        refresh_token: grant.refresh_token.as_ref().map(Secret::duplicate),
        ..*grant
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn no_grant(link: &Link) -> Problem {
    Problem::new(
        Reason::LinkNotBound,
        format!("{} holds no credentials; authorize it", link.resource()),
    )
}

fn waiting(link: &Link, wait: Duration) -> Problem {
    let message = format!(
        "the last refresh of {} failed, and the next one has to wait",
        link.resource()
    );
    Problem::new(Reason::RefreshOutcomeUnknown, message).retry(Some(wait))
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
