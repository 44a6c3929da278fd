//! Hand-out of tokens.

use std::time::Duration;

use bindery_core::{
    host::Host,
    link::{Grant, Link},
    name::{LinkId, NamespaceName, ProviderName},
    problem::{Problem, Reason},
    provider::{AuthKind, Description, Permission},
    secret::Secret,
    time::Timestamp,
};

use crate::{Engine, links::scope_problem};

/// What a credential is good for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// Reading code.
    Read,
    /// Reading and writing code.
    ReadWrite,
}

/// What a caller wants.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Namespace of the link.
    pub namespace: NamespaceName,
    /// The link.
    pub link: LinkId,
    /// What for.
    pub access: Access,
    /// At least this much lifetime.
    pub min_remaining: Duration,
}

/// A token that is handed out.
#[derive(Debug)]
pub struct Credential {
    /// The token.
    pub token: Secret,
    /// User name for git over HTTPS.
    pub git_username: String,
    /// When it expires; `None` when never or not known.
    pub expires: Option<Timestamp>,
    /// What it is good for.
    pub access: Access,
    /// Whether it was narrowed to what was asked for. No provider of this release can.
    pub narrowed: bool,
    /// Id of the lease.
    pub lease_id: String,
    /// Web base URL of the forge that it is for.
    pub forge: String,
    /// API base URL of the forge that it is for.
    pub api: String,
    /// Provider of the forge.
    pub provider: ProviderName,
}

impl Engine {
    /// Hands out a token, refreshed when it would end too soon.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, `LINK_DISABLED`, `LINK_NOT_BOUND`, `LINK_NEEDS_REAUTHORIZATION`, `LINK_UNLINKED`, `SCOPE_MISSING`,
    /// and what the provider or the vault says.
    pub async fn fetch_credential(&self, wanted: &Wanted) -> Result<Credential, Problem> {
        let link = self.link(&wanted.namespace, &wanted.link).await?.record;
        link.usable()?;
        let host = self.host(&link.host).await?.record;
        let description = self.description(&host)?;
        if let Some(problem) = lacking(&description, &link, wanted.access, &host) {
            return Err(problem);
        }
        let grant = match self
            .lasting_grant(&link, &host, wanted.min_remaining)
            .await?
        {
            Some(grant) => grant,
            // Rare and large: on the heap, so that the usual way does not carry its size.
            None => Box::pin(self.refreshed_grant(wanted, &link, &host)).await?,
        };
        Ok(Credential {
            git_username: git_username(&description, &link, &grant.access_token),
            token: grant.access_token,
            expires: grant.expires,
            access: wanted.access,
            narrowed: false,
            lease_id: self.new_id(),
            forge: host.web_url,
            api: host.api_url,
            provider: host.provider,
        })
    }

    async fn refreshed_grant(
        &self,
        wanted: &Wanted,
        link: &Link,
        host: &Host,
    ) -> Result<Grant, Problem> {
        let grant = self.fresh_grant(link, host, wanted.min_remaining).await?;
        // A person may have disabled it while the token was refreshed.
        let link = self.link(&wanted.namespace, &wanted.link).await?;
        link.record.usable()?;
        Ok(grant)
    }
}

fn lacking(description: &Description, link: &Link, access: Access, host: &Host) -> Option<Problem> {
    let granted = link.granted_scopes.as_ref()?;
    let permission = match access {
        Access::Read => Permission::ReadCode,
        Access::ReadWrite => Permission::WriteCode,
    };
    let missing = description.missing(&[permission], granted);
    // A link that was never asked to read private code still reads public code.
    let hard = access == Access::ReadWrite || asked(description, link, permission);
    (hard && !missing.is_empty()).then(|| scope_problem(&missing, description, host))
}

fn asked(description: &Description, link: &Link, permission: Permission) -> bool {
    let scopes = description.scopes_for(&[permission]);
    scopes
        .iter()
        .all(|scope| link.requested_scopes.contains(scope))
}

fn git_username(description: &Description, link: &Link, token: &Secret) -> String {
    let login = link
        .identity
        .as_ref()
        .map_or("", |identity| &identity.login);
    let template = description
        .token_kinds
        .iter()
        .find(|kind| kind.name == link.token_kind)
        .or_else(|| description.token_kind(token.expose(), auth(link)))
        .map_or("{login}", |kind| &kind.git_username);
    template.replace("{login}", login)
}

const fn auth(link: &Link) -> AuthKind {
    link.auth_kind
}

/// A problem that means "authorize again" rather than "try again".
#[must_use]
pub fn needs_person(problem: &Problem) -> bool {
    matches!(
        problem.reason,
        Reason::LinkNeedsReauthorization | Reason::ScopeMissing | Reason::LinkNotBound
    )
}
