//! One request to the token endpoint, and what follows from its answer.

use bindery_core::{
    exchange::{Reach, TokenCall, TokenGrant, TokenOutcome},
    host::{Host, HostSecrets},
    link::{Cause, Grant, Link},
    origin::OriginSet,
    port::{Expect, Key, Record},
    problem::{Problem, Reason, Who},
    provider::{AuthKind, AuthMethod, Description},
    refresh::{Intent, Verdict, judge, next_attempt},
    time::Timestamp,
};

use super::{Pair, Stand, no_grant};
use crate::{
    Engine,
    flight::lock,
    links::{explain, trouble::troubled},
    records::{change, origins},
};

/// All that a call to the token endpoint needs.
struct Client {
    description: std::sync::Arc<Description>,
    method: AuthMethod,
    redirect_uri: Option<String>,
    secrets: HostSecrets,
    allowed: OriginSet,
}

impl Engine {
    pub(super) async fn attempt(&self, stand: Stand) -> Result<(), Problem> {
        let Stand {
            link,
            host,
            grant,
            intent,
        } = stand;
        let (namespace, id) = (&link.record.namespace, &link.record.id);
        // All that can fail on this side fails before the journal says that something was sent.
        let client = self.client(&host, link.record.auth_kind).await?;
        let pass = self.pass(&host).await?;
        let intent = next_attempt(&grant.record, intent, namespace, id, self.now());
        self.take_turn(&host, &intent)?;
        // Not journalled means not sent.
        self.put_intent(&intent).await?;
        let outcome = self.present_refresh(&host, &client, &grant.record).await;
        self.note_answer(&host, &outcome);
        drop(pass);
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
                let (next, now) = (intent.not_before, self.now());
                self.put_intent(&intent).await?;
                let problem =
                    problem.unwrap_or_else(|| not_refreshed(&link.record, &host, refused));
                self.note_failure(&link.record, &problem, next).await?;
                Err(problem.retry(Some(next.since(now))))
            }
            Verdict::Dead(cause) => {
                let cause = self.sharpened(&link.record, cause);
                Err(self.dead(&link.record, cause).await)
            }
        }
    }

    /// A refresh token that was not used for too long has died by itself: nobody revoked it.
    fn sharpened(&self, link: &Link, cause: Cause) -> Cause {
        let idle = link.upkeep.refresh_expires;
        match cause {
            Cause::GrantRevoked if idle.is_some_and(|end| end <= self.now()) => {
                Cause::RefreshTokenExpired
            }
            other => other,
        }
    }

    async fn client(&self, host: &Host, kind: AuthKind) -> Result<Client, Problem> {
        let description = self.description(host)?;
        let method = description.method(kind).cloned().ok_or_else(|| {
            let message = format!(
                "provider {} does not offer this way of authorization any more",
                host.provider
            );
            Problem::new(Reason::MethodNotSupported, message)
        })?;
        Ok(Client {
            redirect_uri: method
                .redirect_uri_on_refresh
                .then(|| self.redirect_uri(host)),
            method,
            description,
            secrets: self.host_secrets(host).await?,
            allowed: origins(host)?,
        })
    }

    async fn present_refresh(&self, host: &Host, client: &Client, grant: &Grant) -> TokenOutcome {
        let Some(refresh_token) = grant.refresh_token.as_ref() else {
            return TokenOutcome::Refused {
                error: "unsupported".to_owned(),
                dead: false,
            };
        };
        let call = TokenCall {
            endpoint: &client.description.endpoints.token_uri(host.token_base()),
            client_id: host.oauth_client_id.as_deref().unwrap_or_default(),
            method: &client.method,
            reach: Reach {
                host,
                secrets: &client.secrets,
            },
            origins: &client.allowed,
            grant: TokenGrant::Refresh {
                refresh_token,
                redirect_uri: client.redirect_uri.as_deref(),
            },
        };
        self.call_token(call).await
    }

    pub(super) async fn put_intent(&self, intent: &Intent) -> Result<(), Problem> {
        let whose = (intent.namespace.clone(), intent.link.clone());
        let key = Key::Intent(whose.0.clone(), whose.1.clone());
        if intent.lost {
            self.doubts().raise(whose);
        }
        self.commit(vec![change(
            key,
            Expect::Any,
            Some(Record::Intent(intent.clone())),
        )])
        .await
    }

    /// The link says that its token could not be replaced, why, and when that is tried again.
    pub(super) async fn note_failure(
        &self,
        link: &Link,
        problem: &Problem,
        next: Timestamp,
    ) -> Result<(), Problem> {
        let now = self.now();
        self.change_link(&link.namespace, &link.id, |link| {
            link.refresh_failed = Some(now);
            link.upkeep.failures = link.upkeep.failures.saturating_add(1);
            problem
                .reason
                .as_str()
                .clone_into(&mut link.upkeep.failure_reason);
            link.upkeep.next_refresh = Some(next);
            troubled(link, problem, now);
            Ok(())
        })
        .await?;
        Ok(())
    }

    pub(crate) async fn dead(&self, link: &Link, cause: Cause) -> Problem {
        self.dead_at(link, cause, "").await
    }

    /// As [`Engine::dead`], with the page where a person sees to it.
    pub(crate) async fn dead_at(&self, link: &Link, cause: Cause, action_uri: &str) -> Problem {
        tracing::warn!(link.id = %link.id, cause = explain(cause), "Link must be authorized again");
        self.doubts()
            .dispel(&(link.namespace.clone(), link.id.clone()));
        match self.mark_dead(link, cause, action_uri).await {
            Ok(link) => link
                .record
                .usable()
                .err()
                .unwrap_or_else(|| no_grant(&link.record)),
            Err(problem) => problem,
        }
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
