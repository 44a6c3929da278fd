//! Making a link: what is asked for, and what it stands on.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bindery_core::{
    flow::FLOW_LIFETIME,
    host::Host,
    link::{Link, Observed, Stage},
    name::{HostName, LinkId, NamespaceName},
    namespace::Namespace,
    port::{Expect, VaultHealth},
    problem::{Problem, Reason, Who},
    provider::{Description, Permission},
    secret::Secret,
    time::Timestamp,
};

use super::{
    Finding, Method,
    method::offered,
    rotation::rotatable,
    scopes::{PermissionKey, to_ask, wanted},
};
use crate::{Engine, RequestKey, Versioned, namespaces::taken, records::origins};

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
    /// The caller says that the identity is an account for machines.
    pub service_account: bool,
    /// Key-value pairs for selection.
    pub labels: BTreeMap<String, String>,
    /// Key-value pairs for other programs.
    pub annotations: BTreeMap<String, String>,
    /// Login or stable id that is expected; empty for any.
    pub expected_identity: String,
    /// A personal account is accepted where the namespace requires a service account.
    pub allow_personal_account: bool,
    /// A token that a person made is replaced before it ends.
    pub rotate_token: bool,
    /// Other namespaces that the person may choose on the confirm page; the principal must be allowed to link in each.
    pub offered: Vec<NamespaceName>,
    /// Everything is checked, and nothing is stored.
    pub validate_only: bool,
}

impl NewLink {
    /// One without anything that may be left out.
    #[must_use]
    pub const fn new(
        namespace: NamespaceName,
        host: HostName,
        method: Method,
        principal: String,
    ) -> Self {
        Self {
            namespace,
            id: None,
            host,
            display_name: String::new(),
            permissions: BTreeSet::new(),
            method,
            principal,
            service_account: false,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            expected_identity: String::new(),
            allow_personal_account: false,
            rotate_token: false,
            offered: Vec::new(),
            validate_only: false,
        }
    }
}

/// Namespaces that a confirm page offers beside that of the link.
const MOST_OFFERED: usize = 50;

/// A new link, where a person goes on, and what is worth saying.
#[derive(Debug)]
pub struct Created {
    /// The link. Of one that was only checked nothing is stored, and its id means nothing.
    pub link: Versioned<Link>,
    /// What a person needs to go on; `None` where nobody has to.
    pub authorization: Option<Authorization>,
    /// What the preflight found.
    pub findings: Vec<Finding>,
}

/// What a person needs to go on.
#[derive(Debug)]
pub struct Authorization {
    /// The page to open.
    pub uri: String,
    /// What to enter there; `None` where nothing is.
    pub user_code: Option<Secret>,
    /// When the flow ends.
    pub expires: Timestamp,
}

/// What a link is made on.
pub(super) struct Ground {
    pub(super) namespace: Namespace,
    pub(super) host: Host,
    pub(super) description: Arc<Description>,
}

impl Engine {
    /// Makes a link: pending where a person must consent, bound at once for a token or an installation that the provider
    /// accepts.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` for the namespace or host, `METHOD_NOT_SUPPORTED`, `HOST_DISABLED`, `TOO_MANY_FLOWS`, `LINK_EXISTS`,
    /// `SCOPE_MISSING`, `TOKEN_REFUSED`, `IDENTITY_MISMATCH`, `SERVICE_ACCOUNT_REQUIRED`, `STORE_LOW_SPACE`, and what the
    /// provider or the vault says.
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
            Err(problem)
                if matches!(problem.reason, Reason::AlreadyExists | Reason::LinkExists) =>
            {
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
        mut new: NewLink,
        request: Option<&RequestKey>,
    ) -> Result<Created, Problem> {
        self.room_for_links()?;
        let ground = self.ground(&new.namespace, &new.host).await?;
        offered(&ground.host, &ground.description, new.method.kind())?;
        let mut link = self.new_link(&new, &ground)?;
        self.choosable(&new).await?;
        if new.rotate_token {
            rotatable(&link, &ground.description)?;
            link.upkeep.rotate_token = true;
        }
        let way = std::mem::replace(&mut new.method, Method::Device);
        match way {
            Method::AccessToken { token, username } => {
                self.bind_token(&new, link, &ground, token, username, request)
                    .await
            }
            Method::Installation { id: Some(id) } => {
                self.bind_installation(&new, link, &ground, id, request)
                    .await
            }
            way => self.start_flow(&new, link, &ground, &way, request).await,
        }
    }

    /// Only a page can offer a choice, and only of what there is.
    async fn choosable(&self, new: &NewLink) -> Result<(), Problem> {
        let field = "offered_namespaces";
        let by_page = matches!(
            new.method,
            Method::OAuthCode { .. } | Method::Installation { id: None }
        );
        if !by_page && !new.offered.is_empty() {
            let why = "needs a person who confirms in a browser; choose with ConfirmLink.namespace";
            return Err(Problem::invalid(field, why));
        }
        if new.offered.len() > MOST_OFFERED {
            let why = format!("names more than {MOST_OFFERED} namespaces; offer fewer");
            return Err(Problem::invalid(field, why));
        }
        for name in &new.offered {
            self.namespace(name).await?;
        }
        Ok(())
    }

    /// What a link in `namespace` on `host` is made on.
    pub(super) async fn ground(
        &self,
        namespace: &NamespaceName,
        host: &HostName,
    ) -> Result<Ground, Problem> {
        let namespace = self.namespace(namespace).await?.record;
        let host = self.host(host).await?.record;
        let description = self.description(&host)?;
        Ok(Ground {
            namespace,
            host,
            description,
        })
    }

    /// The answer to a request that was carried out before.
    pub(super) async fn created_before(&self, resource: &str) -> Result<Created, Problem> {
        let link = self.link_named(resource).await?;
        Ok(Created {
            authorization: self.authorization_again(&link.record).await?,
            link,
            findings: Vec::new(),
        })
    }

    /// The link that a remembered request led to.
    pub(crate) async fn link_named(&self, resource: &str) -> Result<Versioned<Link>, Problem> {
        let (namespace, id) = parse_resource(resource)
            .ok_or_else(|| Problem::new(Reason::Internal, "a remembered request names no link"))?;
        self.link(&namespace, &id).await
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

    /// The address behind the id of a registered return address (THREATS O5).
    pub(crate) fn registered(&self, id: &str) -> Result<&str, Problem> {
        let address = self.config().return_addresses.get(id);
        address.map(String::as_str).ok_or_else(|| {
            let message = format!(
                "return address {id:?} is not registered; add it to linking.return_addresses"
            );
            Problem::invalid("return_to", message)
        })
    }

    pub(super) async fn insert_link(
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
    pub(crate) async fn still_there(
        &self,
        namespace: &NamespaceName,
        host: &Host,
    ) -> Result<(), Problem> {
        self.namespace(namespace).await?;
        if origins(&self.host(&host.name).await?.record)? == origins(host)? {
            return Ok(());
        }
        let message = format!("hosts/{} was changed meanwhile; try again", host.name);
        Err(Problem::new(Reason::StoreConflict, message))
    }

    fn link_id(&self, chosen: Option<&LinkId>) -> Result<LinkId, Problem> {
        match chosen {
            Some(id) => Ok(id.clone()),
            None => LinkId::parse(&self.new_id())
                .map_err(|error| Problem::new(Reason::Internal, error.to_string())),
        }
    }

    fn new_link(&self, new: &NewLink, ground: &Ground) -> Result<Link, Problem> {
        let now = self.now();
        let permissions: Vec<Permission> = wanted(&new.permissions);
        let id = self.link_id(new.id.as_ref())?;
        let (namespace, host) = (new.namespace.clone(), new.host.clone());
        Ok(Link {
            display_name: new.display_name.clone(),
            observed: pending(now),
            requested_scopes: to_ask(&ground.description, new.method.kind(), &permissions),
            permissions,
            created_by: new.principal.clone(),
            service_account: new.service_account,
            labels: new.labels.clone(),
            annotations: new.annotations.clone(),
            ..Link::new(namespace, id, host, new.method.kind(), now)
        })
    }
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
    let message = "a person must open the page and agree at the provider";
    Observed {
        who: Some(Who::User),
        until: Some(now.after(FLOW_LIFETIME)),
        ..Observed::new(Stage::PendingAuthorization, message, now)
    }
}
