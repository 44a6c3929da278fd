//! What the browser brings back from the forge: let through once, and its code exchanged once.

use bindery_core::{
    exchange::{Reach, TokenCall, TokenGrant, TokenOutcome},
    flow::Callback,
    host::Host,
    name::FlowId,
    origin::Origin,
    port::{Expect, Key, Record},
    problem::{Problem, Reason, Who},
    secret::Secret,
};

use super::{Stand, elsewhere, oauth_method, over};
use crate::{
    Engine, Versioned,
    digest::sha256,
    records::{change, origins},
};

/// What the browser brought back from the forge.
#[derive(Debug)]
pub struct Returned<'a> {
    /// Random part of the redirect path.
    pub redirect_id: &'a str,
    /// `state`.
    pub state: &'a str,
    /// `code`, when the person agreed.
    pub code: Option<Secret>,
    /// `error`, when not.
    pub error: Option<&'a str>,
    /// `iss` (RFC 9207).
    pub issuer: Option<&'a str>,
    /// The browser's cookie.
    pub browser: Option<&'a str>,
}

impl Engine {
    /// Takes what the browser brought back: exchanges the code once and keeps the grant pending. Returns the flow's id.
    ///
    /// # Errors
    ///
    /// `FLOW_EXPIRED` and `FLOW_MISMATCH` before anything is sent; `CONSENT_DENIED`, `CLIENT_REFUSED`, `TOKEN_REFUSED`
    /// and what the host says afterwards.
    pub async fn callback(&self, returned: Returned<'_>) -> Result<FlowId, Problem> {
        let stand = self.accept(&returned).await?;
        let (flow, host) = (stand.flow.record.id.clone(), stand.host.clone());
        if let Some(error) = returned.error {
            self.end_flow(
                &stand.flow.record,
                "the person did not agree at the provider",
            )
            .await?;
            return Err(denied(error));
        }
        let Some(code) = returned.code else {
            self.end_flow(&stand.flow.record, "the provider sent no code")
                .await?;
            return Err(denied("no code"));
        };
        let engine = self.clone();
        // The browser may go away; the exchange of a single-use code may not.
        let exchange = tokio::spawn(async move { engine.exchange_code(stand, code).await });
        exchange.await.map_err(|_| {
            Problem::new(
                Reason::ShuttingDown,
                "the daemon stops; start the link again",
            )
        })??;
        self.note_issuer(&host, returned.issuer).await;
        Ok(flow)
    }

    /// O3: a host that has sent `iss` once must send the same from then on.
    async fn note_issuer(&self, host: &Host, issuer: Option<&str>) {
        let (Some(issuer), None) = (issuer, &host.issuer) else {
            return;
        };
        let Ok(Versioned {
            mut record,
            version,
        }) = self.host(&host.name).await
        else {
            return;
        };
        record.issuer = Some(issuer.to_owned());
        let put = change(
            Key::Host(host.name.clone()),
            Expect::Version(version),
            Some(Record::Host(record)),
        );
        // Somebody who changes the host at the same time wins; the next link notes it.
        let _ = self.commit(vec![put]).await;
    }

    /// Finds the flow of a `state` and lets its first callback through.
    async fn accept(&self, returned: &Returned<'_>) -> Result<Stand, Problem> {
        let (id, _) = returned.state.rsplit_once('.').ok_or_else(over)?;
        let mut stand = self.stand(id).await?;
        if stand.host.redirect_id != returned.redirect_id
            || foreign(returned.issuer, &stand.host.web_url)
        {
            return Err(elsewhere());
        }
        let callback = Callback {
            state_digest: sha256(returned.state.as_bytes()),
            browser_digest: returned.browser.map(|cookie| sha256(cookie.as_bytes())),
            host: &stand.host.name,
            issuer: returned.issuer,
        };
        stand
            .flow
            .record
            .accept(&callback, stand.host.issuer.as_deref(), self.now())?;
        match self.put_flow(&mut stand.flow).await {
            // Another callback with the same state was faster, or the flow was ended.
            Err(problem) if problem.reason == Reason::StoreConflict => Err(over()),
            Err(problem) => Err(problem),
            Ok(()) => Ok(stand),
        }
    }

    async fn exchange_code(&self, mut stand: Stand, code: Secret) -> Result<(), Problem> {
        let verifier = stand.flow.record.pkce_verifier.take();
        let presented = self
            .present_code(&stand.host, &code, verifier.as_ref())
            .await;
        let problem = match presented {
            Ok(TokenOutcome::Granted(tokens)) => return self.keep_pending(&stand, tokens).await,
            Ok(other) => exchange_problem(other, &stand.host),
            Err(problem) => problem,
        };
        self.end_flow(&stand.flow.record, &problem.message).await?;
        Err(problem)
    }

    async fn present_code(
        &self,
        host: &Host,
        code: &Secret,
        verifier: Option<&Secret>,
    ) -> Result<TokenOutcome, Problem> {
        let description = self.description(&host)?;
        let (allowed, secrets) = (origins(host)?, self.host_secrets(host).await?);
        let call = TokenCall {
            endpoint: &description.endpoints.token_uri(host.token_base()),
            client_id: host.oauth_client_id.as_deref().unwrap_or_default(),
            method: oauth_method(&description)?,
            reach: Reach {
                host,
                secrets: &secrets,
            },
            origins: &allowed,
            grant: TokenGrant::Code {
                code,
                redirect_uri: &self.redirect_uri(host),
                verifier,
            },
        };
        Ok(self.call_token(call).await)
    }
}

/// O3: an issuer of another origin than the forge's answers for another forge.
fn foreign(issuer: Option<&str>, web_url: &str) -> bool {
    let Some(issuer) = issuer else {
        return false;
    };
    match (Origin::parse(issuer), Origin::parse(web_url)) {
        (Ok(issuer), Ok(forge)) => issuer != forge,
        _ => true,
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
        TokenOutcome::Granted(_) => Problem::new(Reason::Internal, "a granted code is no problem"),
    }
}

/// O6: a fixed text by error code; what the forge wrote is not repeated.
fn denied(error: &str) -> Problem {
    let message = match error {
        "access_denied" => {
            "the person did not agree at the provider; start the link again if that was a mistake"
        }
        _ => "the provider ended the authorization with an error; start the link again",
    };
    Problem::new(Reason::ConsentDenied, message)
}
