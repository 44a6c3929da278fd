//! Links: create, enable, disable, check.

use std::{collections::BTreeSet, time::Duration};

use bindery_core::{
    flow::{FLOW_LIFETIME, FLOWS_IN_ALL, FLOWS_PER_PRINCIPAL, Flow, FlowStage},
    host::Host,
    link::{Cause, Desired, Grant, Link, Observed, Stage},
    name::{FlowId, HostName, LinkId, NamespaceName},
    port::{Expect, Key, Listing, Record, VaultHealth},
    problem::{Problem, Reason, Who},
    provider::{
        AuthKind, CredentialFacts, Description, Identity, Input, Output, Permission, TokenFacts,
        TokenKind,
    },
    secret::{Secret, SecretSet},
    time::Timestamp,
};

use crate::{
    Engine, RequestKey, Versioned,
    namespaces::taken,
    operation::{Context, off_topic},
    records::{as_flow, change, origins},
};

/// What a caller asks for.
#[derive(Debug)]
pub struct NewLink {
    /// Namespace that it will belong to.
    pub namespace: NamespaceName,
    /// Its id; `None` to have one made.
    pub id: Option<LinkId>,
    /// Host that it is on.
    pub host: HostName,
    /// Name for people; may be empty.
    pub display_name: String,
    /// What it will be used for.
    pub permissions: BTreeSet<PermissionKey>,
    /// How it is authorized.
    pub method: Method,
    /// Principal that asks.
    pub principal: String,
}

/// A permission that can be kept in an ordered set.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum PermissionKey {
    /// Learn who the identity is; always asked for.
    Identity,
    /// List organizations.
    Organizations,
    /// Read code.
    ReadCode,
    /// Write code.
    WriteCode,
    /// Create and delete webhooks.
    Webhooks,
}

impl From<PermissionKey> for Permission {
    fn from(key: PermissionKey) -> Self {
        match key {
            PermissionKey::Identity => Self::Identity,
            PermissionKey::Organizations => Self::Organizations,
            PermissionKey::ReadCode => Self::ReadCode,
            PermissionKey::WriteCode => Self::WriteCode,
            PermissionKey::Webhooks => Self::Webhooks,
        }
    }
}

/// Ways to authorize a link.
#[derive(Debug)]
pub enum Method {
    /// A person consents in a browser.
    OAuthCode {
        /// Id of a registered return address.
        return_to: Option<String>,
    },
    /// The caller hands a token over.
    AccessToken {
        /// The token.
        token: Secret,
        /// Login that it is expected to belong to; may be empty.
        username: String,
    },
}

/// A new link, and where a person goes on.
#[derive(Debug)]
pub struct Created {
    /// The link.
    pub link: Versioned<Link>,
    /// Start page and its end, for OAuth.
    pub authorization: Option<Authorization>,
}

/// Where a person authorizes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Authorization {
    /// Bindery's start page.
    pub uri: String,
    /// When it ends.
    pub expires: Timestamp,
}

/// What a live check found.
#[derive(Debug)]
pub struct Checked {
    /// The link afterwards.
    pub link: Versioned<Link>,
    /// What is wrong, if anything.
    pub problem: Option<Problem>,
    /// Permissions that the granted scopes do not carry, with the scopes that would.
    pub missing: Vec<bindery_core::provider::PermissionScopes>,
}

impl Engine {
    /// Makes a link: pending for OAuth, bound at once for a token that the provider accepts.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` for the namespace or host, `METHOD_NOT_SUPPORTED`, `TOO_MANY_FLOWS`, `SCOPE_MISSING`, `TOKEN_REFUSED`,
    /// `IDENTITY_MISMATCH`, `STORE_LOW_SPACE`, and what the provider or the vault says.
    pub async fn create_link(
        &self,
        new: NewLink,
        request: Option<&RequestKey>,
    ) -> Result<Created, Problem> {
        if let Some(resource) = self.recall(request).await? {
            return self.created_before(&resource).await;
        }
        match self.create_new_link(new, request).await {
            // The same request, asked twice at the same time: the other one was faster.
            Err(problem) if problem.reason == Reason::AlreadyExists => {
                match self.recall(request).await? {
                    Some(resource) => self.created_before(&resource).await,
                    None => Err(problem),
                }
            }
            outcome => outcome,
        }
    }

    async fn create_new_link(
        &self,
        new: NewLink,
        request: Option<&RequestKey>,
    ) -> Result<Created, Problem> {
        self.room_for_links()?;
        self.namespace(&new.namespace).await?;
        let host = self.host(&new.host).await?.record;
        let description = self.description(&host.provider)?;
        match new.method {
            Method::OAuthCode { ref return_to } => {
                let return_to = self.registered(return_to.clone())?;
                self.start_flow(new, &host, &description, return_to, request)
                    .await
            }
            Method::AccessToken { token, username } => {
                let rest = NewLink {
                    method: Method::OAuthCode { return_to: None },
                    ..new
                };
                self.bind_token(rest, &host, &description, token, &username, request)
                    .await
            }
        }
    }

    async fn created_before(&self, resource: &str) -> Result<Created, Problem> {
        let (namespace, id) = parse_resource(resource)
            .ok_or_else(|| Problem::new(Reason::Internal, "a remembered request names no link"))?;
        let link = self.link(&namespace, &id).await?;
        let pending = link.record.observed.stage == Stage::PendingAuthorization;
        let authorization = pending.then(|| Authorization {
            uri: link.record.observed.action_uri.clone(),
            expires: link.record.observed.until.unwrap_or_default(),
        });
        Ok(Created {
            link,
            authorization,
        })
    }

    fn room_for_links(&self) -> Result<(), Problem> {
        match self.health() {
            VaultHealth::LowSpace => Err(Problem::new(
                Reason::StoreLowSpace,
                "the disk is nearly full, so no new link is taken; existing links are served; free some space",
            )),
            _ => Ok(()),
        }
    }

    fn registered(&self, return_to: Option<String>) -> Result<Option<String>, Problem> {
        match return_to {
            Some(id) if !self.config().return_addresses.contains_key(&id) => Err(Problem::invalid(
                "return_to",
                format!(
                    "return address {id:?} is not registered; add it to linking.return_addresses"
                ),
            )),
            other => Ok(other),
        }
    }

    async fn start_flow(
        &self,
        new: NewLink,
        host: &Host,
        description: &Description,
        return_to: Option<String>,
        request: Option<&RequestKey>,
    ) -> Result<Created, Problem> {
        require_oauth(host, description)?;
        let _one_at_a_time = self.gates().flows.lock().await;
        self.room_for_flows(&new.principal).await?;
        let flow = self.new_flow(&new, host, return_to)?;
        let mut link = self.new_link(&new, host, description, AuthKind::OAuthCode)?;
        link.id = flow.link.clone();
        let uri = format!("{}/link/{}", self.config().public_url, flow.id);
        link.observed.action_uri.clone_from(&uri);
        link.observed.until = Some(flow.expires);
        let authorization = Authorization {
            uri,
            expires: flow.expires,
        };
        let put = change(
            Key::Flow(flow.id.clone()),
            Expect::Absent,
            Some(Record::Flow(flow)),
        );
        let link = self.insert_link(link, host, vec![put], request).await?;
        Ok(Created {
            link,
            authorization: Some(authorization),
        })
    }

    async fn insert_link(
        &self,
        link: Link,
        host: &Host,
        mut others: Vec<bindery_core::port::Change>,
        request: Option<&RequestKey>,
    ) -> Result<Versioned<Link>, Problem> {
        let _stays = self.gates().ground.read().await;
        self.still_there(&link.namespace, host).await?;
        let resource = link.resource();
        others.extend(self.remember(request, &resource).await?);
        self.put_link(link.clone(), Expect::Absent, others)
            .await
            .map_err(|problem| taken(problem, &resource))?;
        Ok(Versioned {
            record: link,
            version: 1,
        })
    }

    /// What a new link stands on may have been taken away, or pointed elsewhere, while the provider was asked.
    async fn still_there(&self, namespace: &NamespaceName, host: &Host) -> Result<(), Problem> {
        self.namespace(namespace).await?;
        if origins(&self.host(&host.name).await?.record)? == origins(host)? {
            return Ok(());
        }
        let message = format!("hosts/{} was changed meanwhile; try again", host.name);
        Err(Problem::new(Reason::StoreConflict, message))
    }

    /// O9: a limit for each principal and one for all.
    async fn room_for_flows(&self, principal: &str) -> Result<(), Problem> {
        let now = self.now();
        let flows = self.list_all(&Listing::Flows, as_flow).await?;
        let open: Vec<_> = flows
            .iter()
            .filter(|entry| entry.record.is_open(now))
            .collect();
        let own = open
            .iter()
            .filter(|entry| entry.record.principal == principal)
            .count();
        if own >= FLOWS_PER_PRINCIPAL || open.len() >= FLOWS_IN_ALL {
            let message = "too many authorizations are open; finish one, or wait ten minutes";
            return Err(Problem::new(Reason::TooManyFlows, message).retry(Some(FLOW_LIFETIME)));
        }
        Ok(())
    }

    fn new_flow(
        &self,
        new: &NewLink,
        host: &Host,
        return_to: Option<String>,
    ) -> Result<Flow, Problem> {
        let now = self.now();
        let id = FlowId::parse(&self.new_id())
            .map_err(|error| Problem::new(Reason::Internal, error.to_string()))?;
        Ok(Flow {
            id,
            namespace: new.namespace.clone(),
            link: self.link_id(new.id.as_ref())?,
            host: host.name.clone(),
            principal: new.principal.clone(),
            return_to,
            state_digest: None,
            browser_digest: None,
            confirm_digest: None,
            pkce_verifier: None,
            stage: FlowStage::Started,
            allow_identity_change: false,
            created: now,
            expires: now.after(FLOW_LIFETIME),
        })
    }

    fn link_id(&self, chosen: Option<&LinkId>) -> Result<LinkId, Problem> {
        match chosen {
            Some(id) => Ok(id.clone()),
            None => LinkId::parse(&self.new_id())
                .map_err(|error| Problem::new(Reason::Internal, error.to_string())),
        }
    }

    fn new_link(
        &self,
        new: &NewLink,
        host: &Host,
        description: &Description,
        auth: AuthKind,
    ) -> Result<Link, Problem> {
        let now = self.now();
        let permissions: Vec<Permission> = wanted(&new.permissions);
        Ok(Link {
            namespace: new.namespace.clone(),
            id: self.link_id(new.id.as_ref())?,
            host: host.name.clone(),
            display_name: new.display_name.clone(),
            auth_kind: auth,
            token_kind: String::new(),
            desired: Desired::Enabled,
            observed: pending(now),
            identity: None,
            requested_scopes: description.scopes_for(&permissions),
            granted_scopes: None,
            token_expires: None,
            refreshable: false,
            refreshed: None,
            refresh_failed: None,
            generation: 0,
            created_by: new.principal.clone(),
            created: now,
            updated: now,
        })
    }

    async fn bind_token(
        &self,
        new: NewLink,
        host: &Host,
        description: &Description,
        token: Secret,
        username: &str,
        request: Option<&RequestKey>,
    ) -> Result<Created, Problem> {
        let mut link = self.new_link(&new, host, description, AuthKind::AccessToken)?;
        require_token(host, description)?;
        refuse_other_kind(description, &token)?;
        link.token_kind = token_kind(description, &token, AuthKind::AccessToken);
        let found = self.preflight(&link, host, &token).await?;
        refuse_other_login(&found.identity, username)?;
        refuse_missing(description, &wanted(&new.permissions), &found.facts, host)?;
        let now = self.now();
        let grant = Grant {
            access_token: token,
            refresh_token: None,
            expires: found.facts.expires,
            obtained: now,
            generation: 1,
        };
        bind(&mut link, &grant, found, now);
        let key = Key::Grant(
            link.namespace.clone(),
            link.id.clone(),
            host.name.clone(),
            origins(host)?,
        );
        let put = change(key, Expect::Absent, Some(Record::Grant(grant)));
        let link = self.insert_link(link, host, vec![put], request).await?;
        Ok(Created {
            link,
            authorization: None,
        })
    }

    /// Asks the provider who a token belongs to and what it may do.
    pub(crate) async fn preflight(
        &self,
        link: &Link,
        host: &Host,
        token: &Secret,
    ) -> Result<Found, Problem> {
        let identity = self
            .run(context(link, host, token)?, Input::Identify)
            .await?
            .last;
        let Output::Identity(identity) = identity else {
            return Err(off_topic(host));
        };
        let facts = self
            .run(context(link, host, token)?, Input::InspectToken)
            .await?
            .last;
        let Output::TokenFacts(facts) = facts else {
            return Err(off_topic(host));
        };
        if !facts.active {
            let message = format!("{} does not accept the token", host.web_url);
            return Err(Problem::new(Reason::TokenRefused, message));
        }
        Ok(Found { identity, facts })
    }

    /// Hands out nothing from now on, and touches nothing at the provider.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, `ETAG_MISMATCH`, `LINK_UNLINKED`, and what the vault says.
    pub async fn disable_link(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        reason: &str,
        actor: &str,
        expect: Option<u64>,
    ) -> Result<Versioned<Link>, Problem> {
        let desired = Desired::Disabled {
            reason: reason.to_owned(),
            actor: actor.to_owned(),
            since: self.now(),
        };
        self.desire(namespace, id, desired, expect).await
    }

    /// Brings a disabled link back at once.
    ///
    /// # Errors
    ///
    /// As for [`Engine::disable_link`].
    pub async fn enable_link(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        expect: Option<u64>,
    ) -> Result<Versioned<Link>, Problem> {
        self.desire(namespace, id, Desired::Enabled, expect).await
    }

    async fn desire(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        desired: Desired,
        expect: Option<u64>,
    ) -> Result<Versioned<Link>, Problem> {
        let now = self.now();
        self.change_link_at(namespace, id, expect, |link| {
            if matches!(link.observed.stage, Stage::Unlinking | Stage::Unlinked) {
                return Err(Problem::new(
                    Reason::LinkUnlinked,
                    format!("{} is unlinked", link.resource()),
                ));
            }
            link.desired = desired.clone();
            link.updated = now;
            Ok(())
        })
        .await
    }

    /// Asks the provider about a link now, and notes what it says.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, `LINK_DISABLED`, `LINK_NOT_BOUND`, `LINK_UNLINKED`, and what the vault says. What is wrong with the
    /// link itself is in the answer.
    pub async fn check_link(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        force: bool,
    ) -> Result<Checked, Problem> {
        let Versioned { record: link, .. } = self.link(namespace, id).await?;
        match link.usable() {
            Err(problem) if problem.reason != Reason::LinkNeedsReauthorization => {
                return Err(problem);
            }
            _ => {}
        }
        let host = self.host(&link.host).await?.record;
        let description = self.description(&host.provider)?;
        let problem = match self.look(&link, &host, force).await {
            Seen::Found(found) => self.note_found(&link, found).await?,
            Seen::Refused(problem) => Some(self.note_refusal(&link, problem).await?),
            Seen::Unclear(problem) => Some(problem),
        };
        let link = self.link(namespace, id).await?;
        let missing = missing(&description, &link.record);
        Ok(Checked {
            link,
            problem,
            missing,
        })
    }

    async fn look(&self, link: &Link, host: &Host, force: bool) -> Seen {
        if force && link.refreshable {
            if let Err(problem) = self.replace(link, link.generation).await {
                return Seen::Unclear(problem);
            }
            return self.look_once(link, host).await.1;
        }
        let (generation, seen) = self.look_once(link, host).await;
        if !matches!(seen, Seen::Refused(_)) || !link.refreshable {
            return seen;
        }
        // The provider may have ended the token early, or a refresh has replaced it: a newer one tells. Where none can be
        // had, that is no verdict on the grant: refreshes have rules of their own.
        match self.replace(link, generation).await {
            Ok(()) => self.look_once(link, host).await.1,
            Err(problem) => Seen::Unclear(problem),
        }
    }

    /// Asks the provider with the current token, and says which one that was.
    async fn look_once(&self, link: &Link, host: &Host) -> (u64, Seen) {
        let grant = match self.fresh_grant(link, host, Duration::ZERO).await {
            Ok(grant) => grant,
            Err(problem) => return (0, Seen::Unclear(problem)),
        };
        let seen = match self.preflight(link, host, &grant.access_token).await {
            Ok(found) => Seen::Found(found),
            Err(problem) if problem.reason == Reason::TokenRefused => Seen::Refused(problem),
            Err(problem) => Seen::Unclear(problem),
        };
        (grant.generation, seen)
    }

    async fn note_found(&self, link: &Link, found: Found) -> Result<Option<Problem>, Problem> {
        let now = self.now();
        let other = link
            .identity
            .as_ref()
            .filter(|known| known.stable_id != found.identity.stable_id)
            .cloned();
        if let Some(known) = other {
            let message = format!(
                "the token now belongs to {}, and the link is bound to {}; authorize it again",
                found.identity.login, known.login
            );
            return Ok(Some(Problem::new(Reason::IdentityMismatch, message)));
        }
        self.change_link(&link.namespace, &link.id, |link| {
            link.identity = Some(found.identity.clone());
            link.granted_scopes = found
                .facts
                .scopes
                .clone()
                .or_else(|| link.granted_scopes.clone());
            if matches!(link.observed.stage, Stage::NeedsReauthorization(_)) {
                link.observe(Stage::Bound, "", now);
            }
            Ok(())
        })
        .await?;
        Ok(None)
    }

    async fn note_refusal(&self, link: &Link, problem: Problem) -> Result<Problem, Problem> {
        self.mark_dead(&link.namespace, &link.id, Cause::TokenRefused)
            .await?;
        Ok(problem)
    }

    /// Notes that a person must authorize a link again.
    pub(crate) async fn mark_dead(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        cause: Cause,
    ) -> Result<Versioned<Link>, Problem> {
        let now = self.now();
        self.change_link(namespace, id, |link| {
            if link.observed.stage == Stage::Bound {
                link.observe(Stage::NeedsReauthorization(cause), explain(cause), now);
                link.observed.who = Some(Who::User);
            }
            link.refresh_failed = Some(now);
            Ok(())
        })
        .await
    }
}

/// What a live look at a link brought.
enum Seen {
    /// The provider takes its token.
    Found(Found),
    /// The provider refuses its token, and there is no newer one.
    Refused(Problem),
    /// That could not be found out.
    Unclear(Problem),
}

/// What a provider says about a token.
pub(crate) struct Found {
    pub(crate) identity: Identity,
    pub(crate) facts: TokenFacts,
}

/// Makes a link a bound one.
pub(crate) fn bind(link: &mut Link, grant: &Grant, found: Found, now: Timestamp) {
    link.identity = Some(found.identity);
    link.granted_scopes = found.facts.scopes.or_else(|| link.granted_scopes.take());
    link.token_expires = grant.expires;
    link.refreshable = grant.refresh_token.is_some();
    link.generation = grant.generation;
    link.observe(Stage::Bound, "", now);
}

/// The kind of a token, by its prefix.
pub(crate) fn token_kind(description: &Description, token: &Secret, auth: AuthKind) -> String {
    description
        .token_kind(token.expose(), auth)
        .map(|kind| kind.name.clone())
        .unwrap_or_default()
}

/// An operation on behalf of a link, with its access token.
pub(crate) fn context<'a>(
    link: &Link,
    host: &'a Host,
    token: &Secret,
) -> Result<Context<'a>, Problem> {
    let mut secrets = SecretSet::new();
    secrets.insert("access_token", token.duplicate());
    Context::new(host, facts(link, host), secrets)
}

/// Facts about a link's credential.
pub(crate) fn facts(link: &Link, host: &Host) -> CredentialFacts {
    CredentialFacts {
        auth_kind: Some(link.auth_kind),
        token_kind: link.token_kind.clone(),
        scopes: link.granted_scopes.clone().unwrap_or_default(),
        client_id: host.oauth_client_id.clone().unwrap_or_default(),
        login: link
            .identity
            .as_ref()
            .map(|identity| identity.login.clone())
            .unwrap_or_default(),
    }
}

/// Permissions that the granted scopes of a link do not carry; none when the provider does not tell the scopes.
pub(crate) fn missing(
    description: &Description,
    link: &Link,
) -> Vec<bindery_core::provider::PermissionScopes> {
    let Some(granted) = &link.granted_scopes else {
        return Vec::new();
    };
    let asked = |entry: &bindery_core::provider::PermissionScopes| {
        entry
            .scopes
            .iter()
            .all(|scope| link.requested_scopes.contains(scope))
    };
    let wanted: Vec<_> = description
        .permissions
        .iter()
        .filter(|entry| asked(entry))
        .map(|entry| entry.permission)
        .collect();
    description.missing(&wanted, granted)
}

/// Parses `namespaces/{namespace}/links/{link}`.
fn parse_resource(resource: &str) -> Option<(NamespaceName, LinkId)> {
    let rest = resource.strip_prefix("namespaces/")?;
    let (namespace, id) = rest.split_once("/links/")?;
    Some((
        NamespaceName::parse(namespace).ok()?,
        LinkId::parse(id).ok()?,
    ))
}

fn pending(now: Timestamp) -> Observed {
    Observed {
        stage: Stage::PendingAuthorization,
        message: "a person must open the page and agree at the provider".to_owned(),
        action_uri: String::new(),
        who: Some(Who::User),
        until: Some(now.after(FLOW_LIFETIME)),
        since: now,
    }
}

/// Identity is always asked for: a link without one can't be told from another.
pub(crate) fn wanted(permissions: &BTreeSet<PermissionKey>) -> Vec<Permission> {
    let all = std::iter::once(PermissionKey::Identity).chain(permissions.iter().copied());
    all.collect::<BTreeSet<_>>()
        .into_iter()
        .map(Permission::from)
        .collect()
}

fn require_oauth(host: &Host, description: &Description) -> Result<(), Problem> {
    if description.method(AuthKind::OAuthCode).is_none() {
        return Err(unsupported(host, "OAuth"));
    }
    if host.oauth_client_id.is_none() {
        let message = format!(
            "hosts/{} has no OAuth client; give it a client id and secret",
            host.name
        );
        return Err(Problem::new(Reason::MethodNotSupported, message).act(Who::HostOperator, ""));
    }
    Ok(())
}

fn require_token(host: &Host, description: &Description) -> Result<(), Problem> {
    let known = description.method(AuthKind::AccessToken).is_some();
    if known {
        Ok(())
    } else {
        Err(unsupported(host, "access tokens"))
    }
}

/// A token whose prefix says that it came another way ends or renews by other rules than one that a person made.
fn refuse_other_kind(description: &Description, token: &Secret) -> Result<(), Problem> {
    let known =
        |kind: &&TokenKind| !kind.prefix.is_empty() && token.expose().starts_with(&kind.prefix);
    let kind = description.token_kinds.iter().find(known);
    let other = kind.filter(|kind| {
        kind.auth_kind
            .is_some_and(|auth| auth != AuthKind::AccessToken)
    });
    let Some(other) = other else {
        return Ok(());
    };
    let message = format!(
        "the token is of kind {}, which no person makes; give an access token",
        other.name
    );
    Err(Problem::invalid("token", message))
}

fn unsupported(host: &Host, what: &str) -> Problem {
    let message = format!(
        "provider {} does not offer {what}; see its authentication methods",
        host.provider
    );
    Problem::new(Reason::MethodNotSupported, message)
}

fn refuse_other_login(identity: &Identity, expected: &str) -> Result<(), Problem> {
    if expected.is_empty() || expected.eq_ignore_ascii_case(&identity.login) {
        return Ok(());
    }
    let message = format!(
        "the token belongs to {}, not to {expected}; give the token of the right account",
        identity.login
    );
    Err(Problem::new(Reason::IdentityMismatch, message))
}

fn refuse_missing(
    description: &Description,
    wanted: &[Permission],
    facts: &TokenFacts,
    host: &Host,
) -> Result<(), Problem> {
    let Some(granted) = &facts.scopes else {
        return Ok(());
    };
    let missing = description.missing(wanted, granted);
    if missing.is_empty() {
        return Ok(());
    }
    Err(scope_problem(&missing, description, host))
}

/// Names missing scopes, what they are for, and where a token with them is made.
pub(crate) fn scope_problem(
    missing: &[bindery_core::provider::PermissionScopes],
    description: &Description,
    host: &Host,
) -> Problem {
    let list: Vec<String> = missing
        .iter()
        .map(|entry| entry.scopes.join(" and "))
        .collect();
    let what: Vec<String> = missing
        .iter()
        .map(|entry| purpose(entry.permission).to_owned())
        .collect();
    let page = description
        .method(AuthKind::AccessToken)
        .map(|method| method.help_uri.replace("{web}", &host.web_url));
    let message = format!(
        "the token lacks {}: it can't {}; make one that has it",
        list.join(", "),
        what.join(", nor ")
    );
    let mut problem =
        Problem::new(Reason::ScopeMissing, message).act(Who::User, page.unwrap_or_default());
    for scope in missing.iter().flat_map(|entry| &entry.scopes) {
        problem = problem.with("missing_scope", scope.clone());
    }
    problem
}

/// What a permission is good for, after "can".
pub(crate) const fn purpose(permission: Permission) -> &'static str {
    match permission {
        Permission::Identity => "tell who it belongs to",
        Permission::Organizations => "list organizations",
        Permission::ReadCode => "read private code",
        Permission::WriteCode => "write code",
        Permission::Webhooks => "create webhooks",
    }
}

/// Why a link must be authorized again, in words.
pub(crate) const fn explain(cause: Cause) -> &'static str {
    match cause {
        Cause::GrantRevoked => "the provider says that the grant was revoked",
        Cause::TokenExpired => "its token has expired and can't be refreshed",
        Cause::RotationLost => {
            "the answer to a token refresh was lost, and the provider has dropped the old token"
        }
        Cause::TokenRefused => "the provider refuses its token",
        Cause::NotConfirmed => "its authorization was not confirmed in time",
    }
}
