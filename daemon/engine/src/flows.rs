//! The person's way through an authorization: start page, forge, callback, confirmation.
//!
//! The browser that starts is the browser that finishes: it holds a cookie whose digest is in the flow. What comes back
//! from the forge is exchanged once, stored as a *pending* grant, and used by nobody until it is confirmed.

use bindery_core::{
    exchange::{TokenCall, TokenGrant, TokenOutcome, Tokens},
    flow::{Callback, ConfirmProof, FLOW_LIFETIME, Flow, FlowStage},
    host::Host,
    link::{Grant, Link, Stage},
    name::{FlowId, LinkId, NamespaceName},
    origin::Origin,
    port::{Expect, Key, Listing, Record},
    problem::{Problem, Reason, Who},
    provider::{AuthKind, AuthMethod, Description, Identity, Input, Permission, PermissionScopes},
    secret::Secret,
};

use crate::{
    Engine, Versioned,
    digest::{pkce_challenge, sha256},
    links::{Found, bind, facts, missing, token_kind},
    operation::Context,
    records::{as_flow, change, copy_grant, origins},
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

/// A confirmed flow.
#[derive(Debug)]
pub struct Confirmed {
    /// The bound link.
    pub link: Versioned<Link>,
    /// Registered address where the person goes on.
    pub return_to: Option<String>,
}

/// Everything that a flow stands on.
struct Stand {
    flow: Versioned<Flow>,
    link: Versioned<Link>,
    host: Host,
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
        let description = self.description(&stand.host.provider)?;
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
        let description = self.description(&stand.host.provider)?;
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
        let separator = if method.scope_separator.is_empty() {
            " "
        } else {
            &method.scope_separator
        };
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("response_type", "code");
            query.append_pair(
                "client_id",
                host.oauth_client_id.as_deref().unwrap_or_default(),
            );
            query.append_pair("redirect_uri", &self.redirect_uri(host));
            query.append_pair("scope", &link.requested_scopes.join(separator));
            query.append_pair("state", state);
            if let Some(challenge) = challenge {
                query.append_pair("code_challenge", challenge);
                query.append_pair("code_challenge_method", "S256");
            }
            for (name, value) in &method.authorize_parameters {
                query.append_pair(name, value);
            }
        }
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
        let description = self.description(&host.provider)?;
        let (allowed, secrets) = (origins(host)?, self.host_secrets(host).await?);
        let call = TokenCall {
            endpoint: &description.endpoints.token_uri(host.token_base()),
            client_id: host.oauth_client_id.as_deref().unwrap_or_default(),
            client_secrets: &secrets.client_secrets,
            method: oauth_method(&description)?,
            network: &host.network,
            origins: &allowed,
            grant: TokenGrant::Code {
                code,
                redirect_uri: &self.redirect_uri(host),
                verifier,
            },
        };
        Ok(self.ports().egress.token(call).await)
    }

    /// The grant is durable before it is used; then the forge is asked whose it is. A grant that can't be kept, because the
    /// link was ended meanwhile or the store takes no writes, is given back.
    async fn keep_pending(&self, stand: &Stand, tokens: Tokens) -> Result<(), Problem> {
        let scopes = tokens.scopes.clone();
        let grant = first(tokens, self.now());
        let kept = loop {
            match self.put_pending(stand, &grant, scopes.clone()).await {
                Err(problem) if problem.reason == Reason::StoreConflict => {}
                outcome => break outcome,
            }
        };
        let token = &grant.access_token;
        let link = match kept {
            Ok(link) => link,
            // A write that is reported as failed may have been carried out.
            Err(problem) => match self.stand(stand.flow.record.id.as_str()).await {
                Ok(now) if now.flow.record.stage == FlowStage::Granted => now.link.record,
                _ => {
                    self.give_back(stand, token).await;
                    return Err(problem);
                }
            },
        };
        if let Err(problem) = self.note_identity(&link, &stand.host, token).await {
            // The grant is kept; the confirm page asks the forge again.
            tracing::warn!(link.id = %link.id, error = %problem, "Identity is not known yet");
        }
        Ok(())
    }

    /// Grant, link and flow in one transaction, if the link still waits for them.
    async fn put_pending(
        &self,
        stand: &Stand,
        grant: &Grant,
        scopes: Option<Vec<String>>,
    ) -> Result<Link, Problem> {
        let now = self.now();
        let before = &stand.link.record;
        let Versioned {
            record: mut link,
            version,
        } = self.link(&before.namespace, &before.id).await?;
        let flow = self
            .find_flow(&stand.flow.record.id)
            .await?
            .filter(|flow| flow.record.stage == FlowStage::Exchanging)
            .filter(|_| link.observed.stage == Stage::PendingAuthorization)
            .ok_or_else(over)?;
        link.token_kind = self.oauth_kind(&stand.host, &grant.access_token);
        link.granted_scopes = scopes;
        link.token_expires = grant.expires;
        link.refreshable = grant.refresh_token.is_some();
        link.generation = grant.generation;
        link.observe(Stage::PendingConfirmation, TO_CONFIRM, now);
        link.observed.until = Some(now.after(FLOW_LIFETIME));
        link.observed.who = Some(Who::User);
        let public_url = &self.config().public_url;
        link.observed.action_uri = format!("{public_url}/link/{}/confirm", flow.record.id);
        let granted = Flow {
            stage: FlowStage::Granted,
            expires: now.after(FLOW_LIFETIME),
            pkce_verifier: None,
            ..flow.record
        };
        let key = Key::Grant(
            link.namespace.clone(),
            link.id.clone(),
            link.host.clone(),
            origins(&stand.host)?,
        );
        let put_grant = change(key, Expect::Absent, Some(Record::Grant(copy_grant(grant))));
        let put_flow = change(
            Key::Flow(granted.id.clone()),
            Expect::Version(flow.version),
            Some(Record::Flow(granted)),
        );
        self.put_link(
            link.clone(),
            Expect::Version(version),
            vec![put_grant, put_flow],
        )
        .await?;
        Ok(link)
    }

    /// The token's kind; none while the plugin is away, which is no reason to lose the token.
    fn oauth_kind(&self, host: &Host, token: &Secret) -> String {
        self.description(&host.provider)
            .map(|description| token_kind(&description, token, AuthKind::OAuthCode))
            .unwrap_or_default()
    }

    /// Revokes a token that nobody will keep. Other tokens of the same person are left alone.
    async fn give_back(&self, stand: &Stand, token: &Secret) {
        let mut link = stand.link.record.clone();
        link.token_kind = self.oauth_kind(&stand.host, token);
        let revoke = async {
            let secrets = self
                .revocation_secrets(&stand.host, token.duplicate())
                .await?;
            let context = Context::new(&stand.host, facts(&link, &stand.host), secrets)?;
            let input = Input::Revoke { whole_grant: false };
            self.run(context, input).await
        };
        match revoke.await {
            Ok(_) => {
                tracing::warn!(link.id = %link.id, "A token could not be kept and was revoked")
            }
            Err(problem) => {
                tracing::error!(link.id = %link.id, error = %problem, "A token could be neither kept nor revoked; revoke the authorization at the forge");
            }
        }
    }

    async fn note_identity(&self, link: &Link, host: &Host, token: &Secret) -> Result<(), Problem> {
        let Found { identity, facts } = self.preflight(link, host, token).await?;
        let description = self.description(&host.provider)?;
        self.change_link(&link.namespace, &link.id, |link| {
            link.identity = Some(identity.clone());
            link.granted_scopes = facts.scopes.clone().or_else(|| link.granted_scopes.take());
            if link.observed.stage == Stage::PendingConfirmation {
                link.observed.message = to_confirm(&description, link);
            }
            Ok(())
        })
        .await?;
        Ok(())
    }

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
        let description = self.description(&stand.host.provider)?;
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

    /// "This is not me", from the browser that started: the pending grant is revoked and erased.
    ///
    /// # Errors
    ///
    /// As for [`Engine::confirm_in_browser`].
    pub async fn decline_in_browser(
        &self,
        id: &str,
        code: &str,
        browser: &str,
    ) -> Result<(), Problem> {
        let (confirm, cookie) = (sha256(code.as_bytes()), sha256(browser.as_bytes()));
        let proof = ConfirmProof::Browser {
            confirm_digest: &confirm,
            browser_digest: &cookie,
        };
        let mut stand = self.stand(id).await?;
        stand.flow.record.confirm(&proof, self.now())?;
        let message = "the person who agreed at the provider declined it afterwards";
        self.end_or_over(&stand.flow.record, message).await
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

    /// Ends a pending link: the grant, if there is one already, is revoked and erased.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, `FLOW_EXPIRED` when the link is not pending, and what the vault says.
    pub async fn cancel_link(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
    ) -> Result<Versioned<Link>, Problem> {
        self.link(namespace, id).await?;
        let flow = self.flow_of(namespace, id).await?.ok_or_else(over)?;
        self.end_or_over(&flow.record, "cancelled by the one who started it")
            .await?;
        self.link(namespace, id).await
    }

    /// Ends a flow for somebody who must know whether that came too late.
    async fn end_or_over(&self, flow: &Flow, message: &str) -> Result<(), Problem> {
        let ended = self.end_flow(flow, message).await?;
        ended.then_some(()).ok_or_else(over)
    }

    /// Removes a flow and ends its link, together. A pending grant goes through the unlink saga, so it is revoked. Says
    /// whether the link was pending still.
    pub(crate) async fn end_flow(&self, flow: &Flow, message: &str) -> Result<bool, Problem> {
        let (namespace, id) = (&flow.namespace, &flow.link);
        loop {
            let Versioned {
                record: mut link,
                version,
            } = self.link(namespace, id).await?;
            let remove = vec![change(Key::Flow(flow.id.clone()), Expect::Any, None)];
            let ended = match link.observed.stage {
                Stage::PendingAuthorization => {
                    link.observe(Stage::Unlinked, message, self.now());
                    self.put_link(link, Expect::Version(version), remove)
                        .await
                        .map(|()| true)
                }
                Stage::PendingConfirmation => {
                    let still = |stage| stage == Stage::PendingConfirmation;
                    self.unlink_in_background(namespace, id, message, still)
                        .await
                }
                _ => self.commit(remove).await.map(|()| false),
            };
            match ended {
                Err(problem) if problem.reason == Reason::StoreConflict => {}
                outcome => return outcome,
            }
        }
    }

    pub(crate) async fn flow_of(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
    ) -> Result<Option<Versioned<Flow>>, Problem> {
        let flows = self.list_all(&Listing::Flows, as_flow).await?;
        Ok(flows
            .into_iter()
            .find(|entry| entry.record.namespace == *namespace && entry.record.link == *id))
    }

    async fn stand(&self, id: &str) -> Result<Stand, Problem> {
        let id = FlowId::parse(id).map_err(|_| over())?;
        let flow = self
            .find_flow(&id)
            .await?
            .filter(|flow| flow.record.is_open(self.now()))
            .ok_or_else(over)?;
        let link = self.link(&flow.record.namespace, &flow.record.link).await?;
        if link.record.observed.stage != fitting(flow.record.stage) {
            return Err(over());
        }
        let host = self.host(&flow.record.host).await?.record;
        Ok(Stand { flow, link, host })
    }

    async fn put_flow(&self, flow: &mut Versioned<Flow>) -> Result<(), Problem> {
        let id = flow.record.id.clone();
        let record = Record::Flow(copy(&flow.record));
        self.commit(vec![change(
            Key::Flow(id),
            Expect::Version(flow.version),
            Some(record),
        )])
        .await?;
        flow.version += 1;
        Ok(())
    }
}

/// What a link waits for whose forge has answered.
const TO_CONFIRM: &str = "the one who started it must confirm";

/// O8: a forge that granted less, or more, than was asked for is told of before anybody confirms.
fn to_confirm(description: &Description, link: &Link) -> String {
    let missing = missing(description, link);
    let scopes: Vec<_> = missing.iter().flat_map(|entry| &entry.scopes).collect();
    if !scopes.is_empty() {
        let scopes: Vec<_> = scopes.into_iter().map(String::as_str).collect();
        let scopes = scopes.join(", ");
        return format!("the forge granted less than was asked for ({scopes}); {TO_CONFIRM}");
    }
    if !extra(link).is_empty() {
        return format!("the forge granted more than was asked for; {TO_CONFIRM}");
    }
    TO_CONFIRM.to_owned()
}

/// The stage of a link whose flow stands there. Any other means that the link went on without its flow.
const fn fitting(stage: FlowStage) -> Stage {
    match stage {
        FlowStage::Started | FlowStage::AtForge | FlowStage::Exchanging => {
            Stage::PendingAuthorization
        }
        FlowStage::Granted | FlowStage::Finished => Stage::PendingConfirmation,
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

fn first(tokens: Tokens, now: bindery_core::time::Timestamp) -> Grant {
    Grant {
        access_token: tokens.access_token,
        refresh_token: tokens.refresh_token,
        expires: tokens.expires_in.map(|lifetime| now.after(lifetime)),
        obtained: now,
        generation: 1,
    }
}

fn copy(flow: &Flow) -> Flow {
    Flow {
        id: flow.id.clone(),
        namespace: flow.namespace.clone(),
        link: flow.link.clone(),
        host: flow.host.clone(),
        principal: flow.principal.clone(),
        return_to: flow.return_to.clone(),
        state_digest: flow.state_digest,
        browser_digest: flow.browser_digest,
        confirm_digest: flow.confirm_digest,
        pkce_verifier: flow.pkce_verifier.as_ref().map(Secret::duplicate),
        stage: flow.stage,
        allow_identity_change: flow.allow_identity_change,
        created: flow.created,
        expires: flow.expires,
    }
}

fn oauth_method(description: &Description) -> Result<&AuthMethod, Problem> {
    description.method(AuthKind::OAuthCode).ok_or_else(|| {
        let message = format!("provider {} does not offer OAuth", description.provider);
        Problem::new(Reason::MethodNotSupported, message)
    })
}

/// The permissions whose scopes are all asked for.
fn asked(description: &Description, link: &Link) -> Vec<PermissionScopes> {
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
fn extra(link: &Link) -> Vec<String> {
    let granted = link.granted_scopes.iter().flatten();
    granted
        .filter(|scope| !link.requested_scopes.contains(scope))
        .cloned()
        .collect()
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

fn over() -> Problem {
    Problem::new(
        Reason::FlowExpired,
        "this authorization is over, was used before, or does not exist; start the link again",
    )
}

fn elsewhere() -> Problem {
    Problem::new(
        Reason::FlowMismatch,
        "this authorization was started elsewhere; open the link in the browser that finishes it",
    )
}
