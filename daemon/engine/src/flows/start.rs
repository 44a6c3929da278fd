//! The start page, and the way from there to the forge.

use bindery_core::{
    flow::{Flow, FlowStage, Way},
    host::Host,
    link::Link,
    port::{Expect, Key, Record},
    problem::{Problem, Reason, Who},
    provider::{AuthMethod, Description, Permission, PermissionScopes},
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
        if stand.flow.record.stage > FlowStage::AtForge || !stand.flow.record.has_page() {
            return Err(over());
        }
        let description = self.description(&stand.host)?;
        let link = &stand.subject();
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
        if flow.stage > FlowStage::AtForge || !flow.has_page() {
            return Err(over());
        }
        if flow.browser_digest.is_some_and(|known| known != cookie) {
            return Err(elsewhere());
        }
        flow.browser_digest = Some(cookie);
        let description = self.description(&stand.host)?;
        let uri = self.send_out(&mut flow, &stand.host, &description)?;
        let key = Key::Flow(flow.id.clone());
        self.commit(vec![change(
            key,
            Expect::Version(version),
            Some(Record::Flow(flow)),
        )])
        .await?;
        Ok(uri)
    }

    /// Lets a flow out to the forge with a fresh `state` and PKCE verifier; only the digest of the first is kept. Returns
    /// the page at the forge.
    pub(crate) fn send_out(
        &self,
        flow: &mut Flow,
        host: &Host,
        description: &Description,
    ) -> Result<String, Problem> {
        // The ticket is what counts; the id before it only says where to look.
        let state = format!("{}.{}", flow.id, self.new_ticket());
        flow.state_digest = Some(sha256(state.as_bytes()));
        flow.stage = FlowStage::AtForge;
        if matches!(flow.way, Way::Installation) {
            return installation_url(host, description, &state);
        }
        let method = oauth_method(description, &flow.way)?;
        let verifier = method.pkce.then(|| self.new_ticket());
        let challenge = verifier.as_deref().map(pkce_challenge);
        flow.pkce_verifier = verifier.map(Secret::new);
        let mut url = page(&description.endpoints.authorize_uri(&host.web_url))?;
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair(
                "client_id",
                host.oauth_client_id.as_deref().unwrap_or_default(),
            )
            .append_pair("redirect_uri", &self.redirect_of(flow, host)?)
            .extend_pairs(scope_parameter(method, &flow.requested_scopes))
            .append_pair("state", &state)
            .extend_pairs(pkce_parameters(challenge.as_deref()))
            .extend_pairs(&method.authorize_parameters);
        Ok(url.into())
    }

    /// Where the forge sends the browser of a flow: to the host's own path, or to the registry's own page.
    pub(super) fn redirect_of(&self, flow: &Flow, host: &Host) -> Result<String, Problem> {
        match (&flow.way, &flow.return_to) {
            (Way::Headless, Some(id)) => self.registered(id).map(str::to_owned),
            _ => Ok(self.redirect_uri(host)),
        }
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

/// The page on which a person installs the app.
fn installation_url(
    host: &Host,
    description: &Description,
    state: &str,
) -> Result<String, Problem> {
    let slug = host.app.as_ref().map_or("", |app| app.slug.as_str());
    let template = &description.app_install_uri;
    if slug.is_empty() && template.contains("{app_slug}") {
        let message = format!(
            "the short name of the app of hosts/{} is not known; probe the host, or set it",
            host.name
        );
        return Err(Problem::new(Reason::MethodNotSupported, message).act(Who::HostOperator, ""));
    }
    let mut url = page(&host.fill_page(template))?;
    url.query_pairs_mut().append_pair("state", state);
    Ok(url.into())
}

fn page(text: &str) -> Result<url::Url, Problem> {
    url::Url::parse(text).map_err(|_| {
        Problem::new(
            Reason::PluginFailed,
            "the provider's authorization page is no URL",
        )
    })
}

/// None where the scopes are fixed with the client: such a forge refuses a request that names some.
fn scope_parameter(method: &AuthMethod, scopes: &[String]) -> Option<(&'static str, String)> {
    let separator = match method.scope_separator.as_str() {
        "" => " ",
        given => given,
    };
    (!method.scopes_fixed_by_client).then(|| ("scope", scopes.join(separator)))
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
