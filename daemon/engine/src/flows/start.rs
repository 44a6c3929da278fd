//! The start page, and the way from there to the forge.

use bindery_core::{
    flow::FlowStage,
    host::Host,
    link::Link,
    port::{Expect, Key, Record},
    problem::{Problem, Reason},
    provider::{Description, Permission, PermissionScopes},
    secret::Secret,
};

use super::{elsewhere, oauth_method, over};
use crate::{
    Engine, Versioned,
    digest::{pkce_challenge, sha256},
    records::change,
};

/// What the start page shows: who asks for what.
#[derive(Debug)]
pub struct StartView {
    /// Resource name of the namespace.
    pub namespace: String,
    /// Name of the namespace for people; may be empty.
    pub namespace_display_name: String,
    /// Resource name of the link.
    pub link: String,
    /// Principal that asks.
    pub requester: String,
    /// Provider for people: `GitHub`.
    pub provider: String,
    /// Web base URL of the forge.
    pub forge: String,
    /// Scopes that will be asked for, with what each is for.
    pub scopes: Vec<PermissionScopes>,
    /// When the flow ends.
    pub expires: bindery_core::time::Timestamp,
}

impl Engine {
    /// What the start page shows.
    ///
    /// # Errors
    ///
    /// `FLOW_EXPIRED` for one that does not exist, is over, or was used.
    pub async fn start_view(&self, id: &str) -> Result<StartView, Problem> {
        let stand = self.stand(id).await?;
        if stand.flow.record.stage > FlowStage::AtForge {
            return Err(over());
        }
        let description = self.description(&stand.host)?;
        let link = &stand.link.record;
        let namespace = self.namespace(&link.namespace).await?.record;
        Ok(StartView {
            namespace: format!("namespaces/{}", link.namespace),
            namespace_display_name: namespace.display_name,
            link: link.resource(),
            requester: stand.flow.record.principal.clone(),
            provider: description.display_name.clone(),
            forge: stand.host.web_url.clone(),
            scopes: asked(&description, link),
            expires: stand.flow.record.expires,
        })
    }

    /// Sends a browser to the forge: binds the flow to it, and returns the authorization URL.
    ///
    /// # Errors
    ///
    /// `FLOW_EXPIRED`, and `FLOW_MISMATCH` when another browser has started it.
    pub async fn leave_for_forge(&self, id: &str, browser: &str) -> Result<String, Problem> {
        let stand = self.stand(id).await?;
        let Versioned {
            record: mut flow,
            version,
        } = stand.flow;
        let cookie = sha256(browser.as_bytes());
        if flow.stage > FlowStage::AtForge {
            return Err(over());
        }
        if flow.browser_digest.is_some_and(|known| known != cookie) {
            return Err(elsewhere());
        }
        let description = self.description(&stand.host)?;
        let method = oauth_method(&description)?;
        // The ticket is what counts; the id before it only says where to look.
        let state = format!("{}.{}", flow.id, self.new_ticket());
        let verifier = self.new_ticket();
        flow.browser_digest = Some(cookie);
        flow.state_digest = Some(sha256(state.as_bytes()));
        flow.stage = FlowStage::AtForge;
        flow.pkce_verifier = method.pkce.then(|| Secret::new(verifier.clone()));
        let key = Key::Flow(flow.id.clone());
        self.commit(vec![change(
            key,
            Expect::Version(version),
            Some(Record::Flow(flow)),
        )])
        .await?;
        let challenge = method.pkce.then(|| pkce_challenge(&verifier));
        self.authorize_url(
            &stand.host,
            &stand.link.record,
            &description,
            &state,
            challenge.as_deref(),
        )
    }

    fn authorize_url(
        &self,
        host: &Host,
        link: &Link,
        description: &Description,
        state: &str,
        challenge: Option<&str>,
    ) -> Result<String, Problem> {
        let method = oauth_method(description)?;
        let page = description.endpoints.authorize_uri(&host.web_url);
        let mut url = url::Url::parse(&page).map_err(|_| {
            Problem::new(
                Reason::PluginFailed,
                "the provider's authorization page is no URL",
            )
        })?;
        let separator = match method.scope_separator.as_str() {
            "" => " ",
            given => given,
        };
        let client_id = host.oauth_client_id.as_deref().unwrap_or_default();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", client_id)
            .append_pair("redirect_uri", &self.redirect_uri(host))
            .append_pair("scope", &link.requested_scopes.join(separator))
            .append_pair("state", state)
            .extend_pairs(pkce_parameters(challenge))
            .extend_pairs(&method.authorize_parameters);
        Ok(url.into())
    }

    /// The redirect URI of a host: a path of its own for each (THREATS O3).
    #[must_use]
    pub fn redirect_uri(&self, host: &Host) -> String {
        format!(
            "{}/oauth/{}/callback",
            self.config().public_url,
            host.redirect_id
        )
    }
}

fn pkce_parameters(challenge: Option<&str>) -> impl Iterator<Item = (&str, &str)> {
    let parameters = challenge.map(|challenge| {
        [
            ("code_challenge", challenge),
            ("code_challenge_method", "S256"),
        ]
    });
    parameters.into_iter().flatten()
}

/// The permissions whose scopes are all asked for.
pub(super) fn asked(description: &Description, link: &Link) -> Vec<PermissionScopes> {
    let all_asked = |entry: &&PermissionScopes| {
        entry
            .scopes
            .iter()
            .all(|scope| link.requested_scopes.contains(scope))
    };
    let worth_saying = |entry: &&PermissionScopes| {
        entry.permission == Permission::Identity || !entry.scopes.is_empty()
    };
    description
        .permissions
        .iter()
        .filter(all_asked)
        .filter(worth_saying)
        .cloned()
        .collect()
}
