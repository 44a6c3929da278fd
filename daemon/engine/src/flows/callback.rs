//! What the browser brings back from the forge: let through once.

use bindery_core::{
    flow::{Bearer, Callback, Way},
    host::Host,
    name::FlowId,
    problem::{Problem, Reason, Who},
    secret::Secret,
};

use super::{Stand, elsewhere, exchange::Proof, over};
use crate::{Engine, digest::sha256};

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
    /// Id of the installation, from the page on which the app is installed.
    pub installation: Option<&'a str>,
    /// The browser's cookie.
    pub browser: Option<&'a str>,
}

/// What somebody brings back, whoever it is.
pub(super) struct Brought<'a> {
    pub(super) state: &'a str,
    pub(super) issuer: Option<&'a str>,
    pub(super) bearer: Option<Bearer<'a>>,
}

impl Engine {
    /// Takes what the browser brought back: exchanges the code once and keeps the grant pending. Returns the flow's id.
    ///
    /// # Errors
    ///
    /// `FLOW_EXPIRED` and `FLOW_MISMATCH` before anything is sent; `CONSENT_DENIED`, `CLIENT_REFUSED`, `TOKEN_REFUSED`,
    /// `IDENTITY_MISMATCH`, `APP_NOT_INSTALLED` and what the host says afterwards.
    pub async fn callback(&self, returned: Returned<'_>) -> Result<FlowId, Problem> {
        let brought = Brought {
            state: returned.state,
            issuer: returned.issuer,
            bearer: returned
                .browser
                .map(|cookie| Bearer::Browser(sha256(cookie.as_bytes()))),
        };
        let on_path = |host: &Host| host.redirect_id == returned.redirect_id;
        let stand = self.accept(&brought, on_path).await?;
        let flow = stand.flow.record.id.clone();
        if let Some(error) = returned.error {
            return Err(self.refused_by_person(&stand, denied(error)).await?);
        }
        let proof = match proof(&stand, returned.code, returned.installation) {
            Ok(proof) => proof,
            Err(problem) => return Err(self.refused_by_person(&stand, problem).await?),
        };
        self.exchange_detached(stand, proof).await?;
        Ok(flow)
    }

    /// Ends a flow that brought nothing, and hands on why.
    async fn refused_by_person(&self, stand: &Stand, problem: Problem) -> Result<Problem, Problem> {
        self.end_flow(&stand.flow.record, &problem.message).await?;
        Ok(problem)
    }

    /// Exchanges a code in a task of its own: who brought it may go away, the exchange of a single-use code may not.
    pub(super) async fn exchange_detached(
        &self,
        stand: Stand,
        proof: Proof,
    ) -> Result<(), Problem> {
        let engine = self.clone();
        let exchange = tokio::spawn(async move { engine.exchange_code(stand, proof).await });
        exchange.await.map_err(|_| {
            Problem::new(
                Reason::ShuttingDown,
                "the daemon stops; start the link again",
            )
        })?
    }

    /// Finds the flow of a `state` and lets the first one through who may bring it.
    pub(super) async fn accept(
        &self,
        brought: &Brought<'_>,
        on_path: impl Fn(&Host) -> bool,
    ) -> Result<Stand, Problem> {
        let (id, _) = brought.state.rsplit_once('.').ok_or_else(over)?;
        let mut stand = self.stand(id).await?;
        if !on_path(&stand.host) || !stand.host.is_issuer(brought.issuer) {
            return Err(elsewhere());
        }
        let callback = Callback {
            state_digest: sha256(brought.state.as_bytes()),
            bearer: brought.bearer,
            host: &stand.host.name,
        };
        stand.flow.record.accept(&callback, self.now())?;
        match self.put_flow(&mut stand.flow).await {
            // Another callback with the same state was faster, or the flow was ended.
            Err(problem) if problem.reason == Reason::StoreConflict => Err(over()),
            Err(problem) => Err(problem),
            Ok(()) => Ok(stand),
        }
    }
}

/// What the forge sent, as far as the way of the flow needs it.
fn proof(
    stand: &Stand,
    code: Option<Secret>,
    installation: Option<&str>,
) -> Result<Proof, Problem> {
    let code = code.ok_or_else(|| denied("no code"));
    if !matches!(stand.flow.record.way, Way::Installation) {
        return Ok(Proof {
            code: code?,
            installation: None,
        });
    }
    // Without the right to install, a person can only ask an owner for it, and comes back without an installation.
    let installation = installation.ok_or_else(|| {
        let message = "the app is not installed yet: an owner of the organization must approve it; link again afterwards";
        Problem::new(Reason::AppNotInstalled, message).act(Who::OrganizationOwner, "")
    })?;
    Ok(Proof {
        code: code?,
        installation: Some(installation.to_owned()),
    })
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
