//! A code becomes tokens, once.

use bindery_core::{
    exchange::{Reach, TokenCall, TokenGrant, TokenOutcome, Tokens},
    flow::Way,
    host::Host,
    link::Grant,
    problem::{Problem, Reason, Who},
    secret::Secret,
};

use super::{Stand, oauth_method, over, pending::Arrival};
use crate::{Engine, records::origins};

/// What shows that somebody agreed at the forge.
pub(super) struct Proof {
    pub(super) code: Secret,
    /// Id of the installation that they say they made.
    pub(super) installation: Option<String>,
}

impl Engine {
    pub(super) async fn exchange_code(
        &self,
        mut stand: Stand,
        proof: Proof,
    ) -> Result<(), Problem> {
        let verifier = stand.flow.record.pkce_verifier.take();
        let redirect = self.redirect_of(&stand.flow.record, &stand.host)?;
        let grant = TokenGrant::Code {
            code: &proof.code,
            redirect_uri: &redirect,
            verifier: verifier.as_ref(),
        };
        let problem = match self
            .present(&stand.host, &stand.flow.record.way, grant)
            .await
        {
            Ok(TokenOutcome::Granted(tokens)) => {
                return self.arrived(&stand, tokens, proof.installation).await;
            }
            Ok(other) => exchange_problem(other, &stand.host),
            Err(problem) => problem,
        };
        self.end_flow(&stand.flow.record, &problem.message).await?;
        Err(problem)
    }

    async fn arrived(
        &self,
        stand: &Stand,
        tokens: Tokens,
        installation: Option<String>,
    ) -> Result<(), Problem> {
        let arrival = Arrival::of(tokens, self.now());
        let Some(id) = installation else {
            return self.keep_pending(stand, arrival).await;
        };
        match self.installed(stand, &arrival.grant, &id).await {
            Ok(arrival) => self.keep_pending(stand, arrival).await,
            Err(problem) => {
                self.end_flow(&stand.flow.record, &problem.message).await?;
                Err(problem)
            }
        }
    }

    /// The person proves with a grant of their own that the installation is theirs; it is given back at once, and the app's
    /// own tokens are used from then on.
    async fn installed(&self, stand: &Stand, person: &Grant, id: &str) -> Result<Arrival, Problem> {
        let mut link = stand.subject();
        let as_person = bindery_core::link::Link {
            auth_kind: bindery_core::provider::AuthKind::OAuthCode,
            ..link.clone()
        };
        let proven = self
            .prove_installation(&as_person, &stand.host, &person.access_token, id)
            .await;
        self.give_back(&as_person, &stand.host, person).await;
        proven?;
        let installed = self.install(&mut link, &stand.host, id).await?;
        Ok(Arrival {
            grant: installed.grant,
            scopes: Some(installed.scopes),
            installation: Some((installed.id, installed.account)),
        })
    }

    /// Presents a code at the token endpoint.
    pub(super) async fn present(
        &self,
        host: &Host,
        way: &Way,
        grant: TokenGrant<'_>,
    ) -> Result<TokenOutcome, Problem> {
        let description = self.description(host)?;
        let (allowed, secrets) = (origins(host)?, self.host_secrets(host).await?);
        let call = TokenCall {
            endpoint: &description.endpoints.token_uri(host.token_base()),
            client_id: host.oauth_client_id.as_deref().unwrap_or_default(),
            method: oauth_method(&description, way)?,
            reach: Reach {
                host,
                secrets: &secrets,
            },
            origins: &allowed,
            grant,
        };
        Ok(self.call_token(call).await)
    }
}

fn exchange_problem(outcome: TokenOutcome, host: &Host) -> Problem {
    match outcome {
        TokenOutcome::ClientRefused => {
            let message = format!(
                "{} refused the OAuth client of hosts/{}; check its id and secrets",
                host.web_url, host.name
            );
            Problem::new(Reason::ClientRefused, message).act(Who::HostOperator, "")
        }
        TokenOutcome::Refused { error, .. } => {
            let message = format!(
                "{} refused the code ({error}); start the link again",
                host.web_url
            );
            Problem::new(Reason::TokenRefused, message)
        }
        TokenOutcome::NotNow(problem) | TokenOutcome::Lost(problem) => problem,
        TokenOutcome::Granted(_) => over(),
    }
}
