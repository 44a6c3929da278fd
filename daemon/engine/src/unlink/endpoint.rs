//! Ending a pair of tokens at the provider's revocation endpoint (RFC 7009).

use bindery_core::{
    exchange::{Reach, RevokeCall, RevokeOutcome, TokenHint},
    host::Host,
    link::{Grant, Link},
    problem::{Problem, Reason, Who},
    provider::{AuthMethod, Description, Output, Revocation, RevocationOutcome},
    receipt::Outcome,
    secret::Secret,
};

use crate::{Engine, records::origins};

impl Engine {
    /// Ends the refresh token first, for it lives longer, and then the access token: not every server ends one with the
    /// other. A token that the provider does not know any more is done.
    pub(super) async fn revoke_pair(
        &self,
        link: &Link,
        host: &Host,
        description: &Description,
        endpoint: &str,
        grant: &Grant,
    ) -> Result<(Outcome, String), Problem> {
        let method = description
            .method(link.auth_kind)
            .ok_or_else(|| no_method(host))?;
        if let Some(refresh) = &grant.refresh_token {
            self.revoke_one(host, method, endpoint, refresh, TokenHint::Refresh)
                .await?;
        }
        let access = &grant.access_token;
        self.revoke_one(host, method, endpoint, access, TokenHint::Access)
            .await?;
        Ok((
            Outcome::Done,
            "the provider ended the tokens of this link".to_owned(),
        ))
    }

    /// Ends one access token, of which nobody keeps the rest.
    pub(super) async fn revoke_access(
        &self,
        link: &Link,
        host: &Host,
        description: &Description,
        endpoint: &str,
        token: &Secret,
    ) -> Result<Output, Problem> {
        let method = description
            .method(link.auth_kind)
            .ok_or_else(|| no_method(host))?;
        self.revoke_one(host, method, endpoint, token, TokenHint::Access)
            .await?;
        Ok(Output::Revocation(Revocation {
            outcome: RevocationOutcome::Done,
            message: "the provider ended the token".to_owned(),
            action_uri: String::new(),
        }))
    }

    async fn revoke_one(
        &self,
        host: &Host,
        method: &AuthMethod,
        endpoint: &str,
        token: &Secret,
        hint: TokenHint,
    ) -> Result<(), Problem> {
        let secrets = self.host_secrets(host).await?;
        let allowed = origins(host)?;
        let call = RevokeCall {
            endpoint,
            client_id: host.oauth_client_id.as_deref().unwrap_or_default(),
            method,
            reach: Reach {
                host,
                secrets: &secrets,
            },
            origins: &allowed,
            token,
            hint,
        };
        match self.ports().egress.revoke(call).await {
            RevokeOutcome::Done => Ok(()),
            RevokeOutcome::ClientRefused => Err(client_refused(host)),
            RevokeOutcome::Failed(problem) => Err(problem),
        }
    }
}

fn client_refused(host: &Host) -> Problem {
    let message = format!(
        "{} refused the OAuth client of hosts/{}, so nothing was revoked; check its id and secrets",
        host.web_url, host.name
    );
    Problem::new(Reason::ClientRefused, message).act(Who::HostOperator, "")
}

fn no_method(host: &Host) -> Problem {
    let message = format!("provider {} does not offer OAuth any more", host.provider);
    Problem::new(Reason::MethodNotSupported, message)
}
