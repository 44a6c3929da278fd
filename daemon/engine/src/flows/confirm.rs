//! The confirm page, and the confirmation that binds a link.

use bindery_core::{
    flow::{ConfirmProof, Flow, FlowStage},
    link::Link,
    name::{LinkId, NamespaceName},
    namespace::{Namespace, NamespaceKind},
    port::{Expect, Key},
    problem::{Problem, Reason},
    provider::{Description, Identity, PermissionScopes, TokenFacts},
    secret::Secret,
};

use super::{
    Stand, elsewhere, over,
    place::{Choice, Place, Shown},
    start::asked,
};
use crate::{
    Engine, RequestKey, Versioned,
    digest::sha256,
    links::{Found, Rules, Ticket, bind, extra, missing, personal, renewal},
    namespaces::check_etag,
    records::change,
};

/// What the confirm page shows.
#[derive(Debug)]
pub struct ConfirmView {
    /// Resource name of the namespace.
    pub namespace: String,
    /// Name of the namespace for people; may be empty.
    pub namespace_display_name: String,
    /// What the namespace is: `user`, `organization` or `instance`.
    pub namespace_kind: &'static str,
    /// What is shown of it for the person to confirm, and must come back as it was.
    pub place: Place,
    /// Namespaces that the person may choose from, the one above first; empty where there is no choice.
    pub choices: Vec<Choice>,
    /// Builds of a team would hang on this one account.
    pub personal: bool,
    /// The link was bound before, and this replaces its grant.
    pub reauthorization: bool,
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
    /// What else whoever confirms should know, in words: organizations that are not reached, an early end.
    pub warnings: Vec<String>,
    /// Registered address where the person goes on after confirming.
    pub return_to: Option<String>,
    /// The code that confirms. It goes to this page and nowhere else.
    pub confirm_code: Secret,
}

/// What the principal that started says.
#[derive(Clone, Copy, Debug)]
pub struct StarterSays<'a> {
    /// The principal.
    pub principal: &'a str,
    /// The code of the page; `None` where no page showed one.
    pub code: Option<&'a str>,
    /// Stable id of the identity that is expected.
    pub identity: Option<&'a str>,
    /// What the person saw of the namespace.
    pub shown: Shown<'a>,
    /// Namespace that the person chose; the principal must be allowed to link in both.
    pub move_to: Option<&'a NamespaceName>,
    /// A personal account is accepted where the namespace requires a service account.
    pub allow_personal_account: bool,
    /// The link must be at this version.
    pub expect: Option<u64>,
}

/// What is said by whoever confirms.
struct Said<'a> {
    proof: ConfirmProof<'a>,
    identity: Option<&'a str>,
    shown: Shown<'a>,
    move_to: Option<&'a NamespaceName>,
    allow_personal_account: bool,
    expect: Option<u64>,
    request: Option<&'a RequestKey>,
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
        asked_here(&stand, browser)?;
        let identity = self.known_identity(&mut stand).await?;
        let code = self.new_id();
        stand.flow.record.confirm_digest = Some(sha256(code.as_bytes()));
        self.put_flow(&mut stand.flow).await?;
        self.shown(stand, identity, Secret::new(code)).await
    }

    /// Whether a flow waits for this browser's answer. Changes nothing.
    ///
    /// # Errors
    ///
    /// `FLOW_EXPIRED` and `FLOW_MISMATCH`.
    pub async fn awaits_browser(&self, id: &str, browser: &str) -> Result<(), Problem> {
        asked_here(&self.stand(id).await?, browser)
    }

    async fn shown(
        &self,
        stand: Stand,
        identity: Identity,
        confirm_code: Secret,
    ) -> Result<ConfirmView, Problem> {
        let description = self.description(&stand.host)?;
        let link = &stand.subject();
        let namespace = self.namespace(&link.namespace).await?.record;
        let choices = self.choices(&stand.flow.record).await?;
        Ok(ConfirmView {
            namespace: format!("namespaces/{}", link.namespace),
            namespace_kind: kind_name(&namespace.kind),
            place: Place::of(&namespace),
            choices,
            personal: personal(&namespace, link, &identity).is_some(),
            namespace_display_name: namespace.display_name,
            reauthorization: stand.flow.record.reauthorization,
            link: link.resource(),
            requester: stand.flow.record.principal.clone(),
            provider: description.display_name.clone(),
            forge: stand.host.web_url.clone(),
            identity,
            told: link.granted_scopes.is_some(),
            granted: granted(&description, link),
            missing: missing(&description, link),
            extra: extra(link),
            warnings: warnings(&stand.link.record),
            return_to: self.return_address(&stand.flow.record),
            confirm_code,
        })
    }

    /// Confirms from the browser that started. `shown` is what its page showed of the namespace: that of the link, or the one
    /// that the person chose of those that were offered. Whoever started the link had the right to link in each.
    ///
    /// # Errors
    ///
    /// `FLOW_EXPIRED`, `FLOW_PENDING`, `FLOW_MISMATCH`, `INVALID_ARGUMENT` when the namespace is not what was shown or offered,
    /// `IDENTITY_MISMATCH`, `SERVICE_ACCOUNT_REQUIRED`, `LINK_EXISTS`, and what the vault says.
    pub async fn confirm_in_browser(
        &self,
        id: &str,
        code: &str,
        browser: &str,
        shown: Shown<'_>,
    ) -> Result<Confirmed, Problem> {
        let (confirm, cookie) = (sha256(code.as_bytes()), sha256(browser.as_bytes()));
        let said = Said {
            proof: ConfirmProof::Browser {
                confirm_digest: &confirm,
                browser_digest: &cookie,
            },
            identity: None,
            shown,
            move_to: None,
            allow_personal_account: false,
            expect: None,
            request: None,
        };
        self.confirm(id, &said).await
    }

    /// Confirms by API: the principal that started, with the code that the page shows where there is one.
    ///
    /// # Errors
    ///
    /// As for [`Engine::confirm_in_browser`]; `IDENTITY_MISMATCH` when the identity is not the expected one.
    pub async fn confirm_by_starter(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        says: StarterSays<'_>,
        request: Option<&RequestKey>,
    ) -> Result<Confirmed, Problem> {
        if let Some(resource) = self.recall(request).await? {
            return Ok(Confirmed {
                link: self.link_named(&resource).await?,
                return_to: None,
            });
        }
        self.link(namespace, id).await?;
        let flow = self.flow_of(namespace, id).await?.ok_or_else(over)?;
        let digest = says.code.map(|code| sha256(code.as_bytes()));
        let said = Said {
            proof: ConfirmProof::Starter {
                principal: says.principal,
                confirm_digest: digest.as_ref(),
            },
            identity: says.identity,
            shown: says.shown,
            move_to: says.move_to.filter(|to| *to != namespace),
            allow_personal_account: says.allow_personal_account,
            expect: says.expect,
            request,
        };
        self.confirm(flow.record.id.as_str(), &said).await
    }

    async fn confirm(&self, id: &str, said: &Said<'_>) -> Result<Confirmed, Problem> {
        loop {
            match self.confirm_once(self.stand(id).await?, said).await {
                // The link was changed, disabled for instance, or somebody else was faster.
                Err(problem) if problem.reason == Reason::StoreConflict => {}
                outcome => return outcome,
            }
        }
    }

    async fn confirm_once(&self, mut stand: Stand, said: &Said<'_>) -> Result<Confirmed, Problem> {
        check_etag(said.expect, stand.link.version)?;
        let mut flow = stand.flow.record.duplicate();
        flow.confirm(&said.proof, self.now())?;
        let identity = self.known_identity(&mut stand).await?;
        if said.identity.is_some_and(|id| id != identity.stable_id) {
            let message =
                "the identity is not the expected one; cancel the link, or confirm what is there";
            return Err(Problem::new(Reason::IdentityMismatch, message));
        }
        let return_to = self.return_address(&flow);
        let chosen = match said.proof {
            ConfirmProof::Browser { .. } => said.shown.choice(&flow)?,
            ConfirmProof::Starter { .. } => said.move_to.cloned(),
        };
        let chosen = chosen.as_ref();
        let link = if flow.reauthorization {
            self.bind_anew(stand, identity, chosen, said).await?
        } else {
            self.bind_first(stand, identity, chosen, said).await?
        };
        Ok(Confirmed { link, return_to })
    }

    /// Binds a new link, in the namespace that was chosen.
    async fn bind_first(
        &self,
        stand: Stand,
        identity: Identity,
        move_to: Option<&NamespaceName>,
        said: &Said<'_>,
    ) -> Result<Versioned<Link>, Problem> {
        let _stays = self.gates().ground.read().await;
        let _alone = self.gates().binding.lock().await;
        let chosen = move_to.unwrap_or(&stand.link.record.namespace);
        let namespace = self.namespace(chosen).await?.record;
        self.admit_identity(&stand, &identity, &namespace, said)
            .await?;
        let grant = self.waiting_grant(&stand).await?.ok_or_else(over)?;
        let mut link = stand.link.record.clone();
        let found = Found {
            identity,
            facts: TokenFacts::default(),
        };
        bind(&mut link, &grant.record, found, self.now());
        link.namespace = namespace.name;
        let mut changes = vec![change(
            Key::Flow(stand.flow.record.id.clone()),
            Expect::Version(stand.flow.version),
            None,
        )];
        changes.extend(self.remember(said.request, &link.resource()).await?);
        if move_to.is_some() {
            return self.put_moved(&stand, link, grant, changes).await;
        }
        let version = stand.link.version;
        self.put_link(link.clone(), Expect::Version(version), changes)
            .await?;
        Ok(Versioned {
            record: link,
            version: version + 1,
        })
    }

    /// Whether an identity may be bound in a namespace.
    async fn admit_identity(
        &self,
        stand: &Stand,
        identity: &Identity,
        namespace: &Namespace,
        said: &Said<'_>,
    ) -> Result<(), Problem> {
        said.shown.check(namespace)?;
        let rules = Rules {
            namespace,
            expected_identity: "",
            allow_personal_account: said.allow_personal_account
                || stand.flow.record.allow_personal_account,
        };
        let link = &stand.link.record;
        rules.account(link, identity)?;
        self.refuse_twin(&namespace.name, link, identity).await
    }

    /// Puts the new grant of a link in the place of the old.
    async fn bind_anew(
        &self,
        stand: Stand,
        identity: Identity,
        move_to: Option<&NamespaceName>,
        said: &Said<'_>,
    ) -> Result<Versioned<Link>, Problem> {
        if move_to.is_some() {
            let message = "can't change when a link is authorized anew; leave it out";
            return Err(Problem::invalid("namespace", message));
        }
        let namespace = self.namespace(&stand.link.record.namespace).await?.record;
        said.shown.check(&namespace)?;
        let grant = self.waiting_grant(&stand).await?.ok_or_else(over)?.record;
        let (subject, flow) = (stand.subject(), &stand.flow.record);
        let ticket = Ticket {
            flow: Some((flow.id.clone(), stand.flow.version)),
            allow_identity_change: flow.allow_identity_change,
            allow_personal_account: said.allow_personal_account || flow.allow_personal_account,
            expect: said.expect,
            request: said.request.cloned(),
        };
        let found = Found {
            identity,
            facts: TokenFacts::default(),
        };
        let renewal = renewal(subject, grant, found);
        let link = &stand.link.record;
        self.renew(&link.namespace, &link.id, renewal, ticket).await
    }

    fn return_address(&self, flow: &Flow) -> Option<String> {
        let id = flow.return_to.as_ref()?;
        self.config().return_addresses.get(id).cloned()
    }
}

/// What is not on the page in words of its own.
fn warnings(link: &Link) -> Vec<String> {
    let notes = link.flow.iter().flat_map(|open| &open.notes);
    let own = Reason::PersonalAccount.as_str();
    let rest = notes.filter(|note| note.reason != own);
    rest.map(|note| note.message.clone()).collect()
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

const fn kind_name(kind: &NamespaceKind) -> &'static str {
    match kind {
        NamespaceKind::User => "user",
        NamespaceKind::Organization => "organization",
        NamespaceKind::Instance { .. } => "instance",
    }
}

/// The page of this flow is open, and in this browser.
fn asked_here(stand: &Stand, browser: &str) -> Result<(), Problem> {
    if stand.flow.record.stage != FlowStage::Granted {
        return Err(over());
    }
    if stand.flow.record.browser_digest != Some(sha256(browser.as_bytes())) {
        return Err(elsewhere());
    }
    Ok(())
}
