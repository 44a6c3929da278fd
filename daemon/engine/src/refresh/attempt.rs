//! One request to the token endpoint, and what follows from its answer.

use bindery_core::{
    exchange::{TokenCall, TokenGrant, TokenOutcome},
    host::{Host, HostSecrets},
    link::{Cause, Grant, Link},
    origin::OriginSet,
    port::{Expect, Key, Record},
    problem::{Problem, Reason, Who},
    provider::{AuthKind, Description},
    refresh::{Intent, Verdict, judge, next_attempt},
};

use super::{Pair, Stand, no_grant};
use crate::{
    Engine,
    flight::lock,
    links::explain,
    records::{change, origins},
};

/// All that a call to the token endpoint needs.
struct Client {
    description: std::sync::Arc<Description>,
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
        let description = self.description(&host)?;
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

    pub(super) async fn put_intent(&self, intent: &Intent) -> Result<(), Problem> {
        let key = Key::Intent(intent.namespace.clone(), intent.link.clone());
        self.commit(vec![change(
            key,
            Expect::Any,
            Some(Record::Intent(intent.clone())),
        )])
        .await
    }

    pub(super) async fn note_failure(&self, link: &Link) -> Result<(), Problem> {
        let now = self.now();
        self.change_link(&link.namespace, &link.id, |link| {
            link.refresh_failed = Some(now);
            Ok(())
        })
        .await?;
        Ok(())
    }

    pub(crate) async fn dead(&self, link: &Link, cause: Cause) -> Problem {
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
