//! Making a link: what is asked for, and what it stands on.

use std::collections::BTreeSet;

use bindery_core::{
    flow::FLOW_LIFETIME,
    host::Host,
    link::{Link, Observed, Stage},
    name::{HostName, LinkId, NamespaceName},
    port::{Expect, VaultHealth},
    problem::{Problem, Reason, Who},
    provider::{AuthKind, Description, Permission},
    secret::Secret,
    time::Timestamp,
};

use super::scopes::{PermissionKey, wanted};
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
        let description = self.description(&host)?;
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
    async fn still_there(&self, namespace: &NamespaceName, host: &Host) -> Result<(), Problem> {
        self.namespace(namespace).await?;
        if origins(&self.host(&host.name).await?.record)? == origins(host)? {
            return Ok(());
        }
        let message = format!("hosts/{} was changed meanwhile; try again", host.name);
        Err(Problem::new(Reason::StoreConflict, message))
    }

    pub(super) fn link_id(&self, chosen: Option<&LinkId>) -> Result<LinkId, Problem> {
        match chosen {
            Some(id) => Ok(id.clone()),
            None => LinkId::parse(&self.new_id())
                .map_err(|error| Problem::new(Reason::Internal, error.to_string())),
        }
    }

    pub(super) fn new_link(
        &self,
        new: &NewLink,
        host: &Host,
        description: &Description,
        auth: AuthKind,
    ) -> Result<Link, Problem> {
        let now = self.now();
        let permissions: Vec<Permission> = wanted(&new.permissions);
        let id = self.link_id(new.id.as_ref())?;
        let (namespace, host) = (new.namespace.clone(), host.name.clone());
        Ok(Link {
            display_name: new.display_name.clone(),
            observed: pending(now),
            requested_scopes: description.scopes_for(&permissions),
            permissions,
            created_by: new.principal.clone(),
            ..Link::new(namespace, id, host, auth, now)
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
