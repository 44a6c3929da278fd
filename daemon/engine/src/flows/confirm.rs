//! The confirm page, and the confirmation that binds a link.

use bindery_core::{
    flow::{ConfirmProof, Flow, FlowStage},
    link::Link,
    name::{LinkId, NamespaceName},
    port::{Expect, Key},
    problem::{Problem, Reason},
    provider::{Description, Identity, PermissionScopes},
    secret::Secret,
};

use super::{Stand, elsewhere, over, start::asked};
use crate::{
    Engine, Versioned,
    digest::sha256,
    links::{Found, bind, missing},
    records::change,
};

/// What the confirm page shows.
#[derive(Debug)]
pub struct ConfirmView {
    /// Resource name of the namespace.
    pub namespace: String,
    /// Name of the namespace for people; may be empty.
    pub namespace_display_name: String,
    /// Resource name of the link.
    pub link: String,
    /// Principal that asks.
    pub requester: String,
    /// Provider for people.
    pub provider: String,
    /// Web base URL of the forge.
    pub forge: String,
    /// Who consented.
    pub identity: Identity,
    /// The forge tells which scopes it granted.
    pub told: bool,
    /// Permissions that were asked for and are not known to be missing.
    pub granted: Vec<PermissionScopes>,
    /// Permissions that the forge did not grant.
    pub missing: Vec<PermissionScopes>,
    /// Scopes that were granted and not asked for. Forges give an application that was allowed more before the whole of it
    /// again, so this is told, not refused: who confirms knows it (THREATS O8).
    pub extra: Vec<String>,
    /// Registered address where the person goes on after confirming.
    pub return_to: Option<String>,
    /// The code that confirms. It goes to this page and nowhere else.
    pub confirm_code: Secret,
}

/// A confirmed flow.
#[derive(Debug)]
pub struct Confirmed {
    /// The bound link.
    pub link: Versioned<Link>,
    /// Registered address where the person goes on.
    pub return_to: Option<String>,
}

impl Engine {
    /// What the confirm page shows, to the browser that started. Each call makes a new confirm code.
    ///
    /// # Errors
    ///
    /// `FLOW_EXPIRED`, `FLOW_MISMATCH`, and what the provider says when it could not be asked before.
    pub async fn confirm_view(&self, id: &str, browser: &str) -> Result<ConfirmView, Problem> {
        let mut stand = self.stand(id).await?;
        if stand.flow.record.stage != FlowStage::Granted {
            return Err(over());
        }
        if stand.flow.record.browser_digest != Some(sha256(browser.as_bytes())) {
            return Err(elsewhere());
        }
        let identity = self.known_identity(&mut stand).await?;
        let code = self.new_id();
        stand.flow.record.confirm_digest = Some(sha256(code.as_bytes()));
        self.put_flow(&mut stand.flow).await?;
        let description = self.description(&stand.host)?;
        let link = &stand.link.record;
        Ok(ConfirmView {
            namespace: format!("namespaces/{}", link.namespace),
            namespace_display_name: self.namespace(&link.namespace).await?.record.display_name,
            link: link.resource(),
            requester: stand.flow.record.principal.clone(),
            provider: description.display_name.clone(),
            forge: stand.host.web_url.clone(),
            identity,
            told: link.granted_scopes.is_some(),
            granted: granted(&description, link),
            missing: missing(&description, link),
            extra: extra(link),
            return_to: self.return_address(&stand.flow.record),
            confirm_code: Secret::new(code),
        })
    }

    /// Who consented; asks again when the forge could not be asked at the callback.
    async fn known_identity(&self, stand: &mut Stand) -> Result<Identity, Problem> {
        if stand.link.record.identity.is_none() {
            let grant = self
                .find_grant(&stand.link.record, &stand.host)
                .await?
                .ok_or_else(over)?;
            self.note_identity(&stand.link.record, &stand.host, &grant.record.access_token)
                .await?;
            let link = &stand.link.record;
            stand.link = self.link(&link.namespace, &link.id).await?;
        }
        let known = stand.link.record.identity.clone();
        known.ok_or_else(|| {
            Problem::new(
                Reason::ProviderUnavailable,
                "the provider did not say whose token it is",
            )
        })
    }

    /// Confirms from the browser that started.
    ///
    /// # Errors
    ///
    /// `FLOW_EXPIRED`, `FLOW_MISMATCH`, and what the vault says.
    pub async fn confirm_in_browser(
        &self,
        id: &str,
        code: &str,
        browser: &str,
    ) -> Result<Confirmed, Problem> {
        let (confirm, cookie) = (sha256(code.as_bytes()), sha256(browser.as_bytes()));
        let proof = ConfirmProof::Browser {
            confirm_digest: &confirm,
            browser_digest: &cookie,
        };
        self.confirm(id, &proof).await
    }

    /// Confirms by API: the principal that started, with the code that the page shows.
    ///
    /// # Errors
    ///
    /// As for [`Engine::confirm_in_browser`]; `IDENTITY_MISMATCH` when the identity is not the expected one.
    pub async fn confirm_by_starter(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        principal: &str,
        code: &str,
        expected_identity: Option<&str>,
    ) -> Result<Confirmed, Problem> {
        let flow = self.flow_of(namespace, id).await?.ok_or_else(over)?;
        let stand = self.stand(flow.record.id.as_str()).await?;
        let identity = stand.link.record.identity.as_ref();
        if expected_identity.is_some()
            && identity.map(|identity| identity.stable_id.as_str()) != expected_identity
        {
            let message =
                "the identity is not the expected one; cancel the link, or confirm what is there";
            return Err(Problem::new(Reason::IdentityMismatch, message));
        }
        let digest = sha256(code.as_bytes());
        self.confirm(
            stand.flow.record.id.as_str(),
            &ConfirmProof::Starter {
                principal,
                confirm_digest: &digest,
            },
        )
        .await
    }

    async fn confirm(&self, id: &str, proof: &ConfirmProof<'_>) -> Result<Confirmed, Problem> {
        loop {
            match self.confirm_once(self.stand(id).await?, proof).await {
                // The link was changed, disabled for instance, or somebody else was faster.
                Err(problem) if problem.reason == Reason::StoreConflict => {}
                outcome => return outcome,
            }
        }
    }

    async fn confirm_once(
        &self,
        mut stand: Stand,
        proof: &ConfirmProof<'_>,
    ) -> Result<Confirmed, Problem> {
        let now = self.now();
        stand.flow.record.confirm(proof, now)?;
        let identity = self.known_identity(&mut stand).await?;
        let grant = self
            .find_grant(&stand.link.record, &stand.host)
            .await?
            .ok_or_else(over)?
            .record;
        let Versioned {
            record: mut link,
            version,
        } = stand.link;
        let facts = bindery_core::provider::TokenFacts::default();
        bind(&mut link, &grant, Found { identity, facts }, now);
        let flow = stand.flow.record;
        let return_to = self.return_address(&flow);
        let drop_flow = change(
            Key::Flow(flow.id),
            Expect::Version(stand.flow.version),
            None,
        );
        self.put_link(link.clone(), Expect::Version(version), vec![drop_flow])
            .await?;
        Ok(Confirmed {
            link: Versioned {
                record: link,
                version: version + 1,
            },
            return_to,
        })
    }

    fn return_address(&self, flow: &Flow) -> Option<String> {
        let id = flow.return_to.as_ref()?;
        self.config().return_addresses.get(id).cloned()
    }
}

/// What was asked for without what is missing.
fn granted(description: &Description, link: &Link) -> Vec<PermissionScopes> {
    let missing = missing(description, link);
    let mut granted = asked(description, link);
    granted.retain(|entry| {
        let lacks = |lost: &PermissionScopes| lost.permission == entry.permission;
        !missing.iter().any(lacks)
    });
    granted
}

/// Granted scopes that were not asked for.
pub(super) fn extra(link: &Link) -> Vec<String> {
    let granted = link.granted_scopes.iter().flatten();
    granted
        .filter(|scope| !link.requested_scopes.contains(scope))
        .cloned()
        .collect()
}
