//! Hand-out of tokens.

use std::time::Duration;

use bindery_core::{
    host::Host,
    lease::{Lease, is_full_name, is_stable_id},
    link::{Grant, Link},
    name::{LinkId, NamespaceName, ProviderName},
    port::{Expect, Key, Record},
    problem::{Problem, Reason, Who},
    provider::{AuthKind, Description, Permission, PermissionScopes},
    secret::Secret,
    time::Timestamp,
};

pub use bindery_core::lease::Access;

use crate::{Engine, leases::Same, links::scope_problem, records::change};

/// What a caller wants.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Namespace of the link.
    pub namespace: NamespaceName,
    /// The link.
    pub link: LinkId,
    /// What for.
    pub access: Access,
    /// The repository; `None` for all that the link reaches.
    pub repository: Option<Asked>,
    /// Refuses a token that is not limited to the repository.
    pub require_narrowed: bool,
    /// At least this much lifetime.
    pub min_remaining: Duration,
    /// Refuses a token that lives shorter, even if no other can be had.
    pub insist: bool,
    /// Who gets it.
    pub holder: String,
}

/// The repository that a credential is asked for. Whoever asks chooses the text, which leases are told apart by: so it is short
/// and plain.
#[derive(Clone, Debug)]
pub struct Asked(String);

impl Asked {
    /// `named` is `owner/name`, or the stable id behind `id:`.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` for anything else.
    pub fn new(named: &str) -> Result<Self, Problem> {
        let fits = match named.strip_prefix("id:") {
            Some(id) => is_stable_id(id),
            None => is_full_name(named),
        };
        let message = "is no full name such as acme/api, nor an id";
        fits.then(|| Self(named.to_owned()))
            .ok_or_else(|| Problem::invalid("repository", message))
    }

    /// The text.
    pub(crate) fn named(&self) -> &str {
        &self.0
    }
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
    /// The provider limits it to the repository. `false` where it reaches all that the link reaches.
    pub narrowed: bool,
    /// Id of the lease.
    pub lease_id: String,
    /// Base URL for git over HTTPS at the forge that it is for.
    pub forge: String,
    /// API base URL of the forge that it is for.
    pub api: String,
    /// Provider of the forge.
    pub provider: ProviderName,
}

/// A token on its way out.
struct Drawn {
    token: Secret,
    expires: Option<Timestamp>,
    narrowed: bool,
    lease_id: String,
}

impl Engine {
    /// Hands out a token, refreshed when it would end too soon. That of an installation is minted for the caller alone: for
    /// what it is asked for, and limited to the repository, if one is named.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, `LINK_DISABLED`, `LINK_NOT_BOUND`, `LINK_NEEDS_REAUTHORIZATION`, `LINK_UNLINKED`, `HOST_DISABLED`,
    /// `SCOPE_MISSING`, `TOKEN_TOO_SHORT`, `PROVIDER_UNSUPPORTED` where the token can't be limited and must be, and what
    /// the provider or the vault says.
    pub async fn fetch_credential(&self, wanted: &Wanted) -> Result<Credential, Problem> {
        let link = self.link(&wanted.namespace, &wanted.link).await?.record;
        link.usable()?;
        let host = self.host(&link.host).await?.record;
        host.usable()?;
        let description = self.description(&host)?;
        if let Some(problem) = lacking(&description, &link, wanted.access, &host) {
            // It may have been granted since the last check.
            self.check_soon(&link);
            return Err(problem);
        }
        let drawn = match link.auth_kind {
            // Rare and large: on the heap, so that the usual way does not carry its size.
            AuthKind::AppInstallation => Box::pin(self.draw_minted(wanted, &link, &host)).await?,
            _ => self.draw_shared(wanted, &link, &host).await?,
        };
        Ok(Credential {
            git_username: git_username(&description, &link, &drawn.token),
            token: drawn.token,
            expires: drawn.expires,
            access: wanted.access,
            narrowed: drawn.narrowed,
            lease_id: drawn.lease_id,
            forge: if host.git_url.is_empty() {
                host.web_url
            } else {
                host.git_url
            },
            api: host.api_url,
            provider: host.provider,
        })
    }

    async fn draw_minted(
        &self,
        wanted: &Wanted,
        link: &Link,
        host: &Host,
    ) -> Result<Drawn, Problem> {
        let (lease, token) = self.lease_minted(wanted, link, host).await?;
        Ok(Drawn {
            token: token.token,
            expires: lease.expires,
            narrowed: lease.narrowed,
            lease_id: lease.id.as_str().to_owned(),
        })
    }

    async fn draw_shared(
        &self,
        wanted: &Wanted,
        link: &Link,
        host: &Host,
    ) -> Result<Drawn, Problem> {
        if wanted.require_narrowed {
            return Err(not_narrowed());
        }
        let grant = match self.lasting_grant(link, host, wanted.min_remaining).await? {
            Some(grant) => grant,
            None => Box::pin(self.refreshed_grant(wanted, link, host)).await?,
        };
        long_enough(wanted, grant.expires, self.now())?;
        Ok(Drawn {
            lease_id: self.lease_shared(wanted, &grant).await?,
            token: grant.access_token,
            expires: grant.expires,
            narrowed: false,
        })
    }

    /// The lease of a token that others use as well: in memory, as long as there is room.
    async fn lease_shared(&self, wanted: &Wanted, grant: &Grant) -> Result<String, Problem> {
        let now = self.now();
        let repository = wanted.repository.as_ref().map(Asked::named);
        let same = Same {
            namespace: wanted.namespace.clone(),
            link: wanted.link.clone(),
            generation: grant.generation,
            access: wanted.access,
            repository: repository.unwrap_or_default().to_owned(),
            holder: wanted.holder.clone(),
        };
        if let Some(id) = self.shared().again(&same, now) {
            return Ok(id);
        }
        let lease = Lease {
            namespace: same.namespace.clone(),
            id: self.new_lease_id()?,
            link: same.link.clone(),
            repository: same.repository.clone(),
            access: same.access,
            narrowed: false,
            minted: false,
            holder: same.holder.clone(),
            created: now,
            expires: grant.expires,
            revoked: None,
        };
        let id = lease.id.as_str().to_owned();
        if !self.shared().keep(same, lease.clone(), now) {
            let key = Key::Lease(lease.namespace.clone(), lease.id.clone());
            let put = change(key, Expect::Absent, Some(Record::Lease(lease)));
            Box::pin(self.commit(vec![put])).await?;
        }
        Ok(id)
    }

    /// When a credential of a link was last handed out: what its record says, or memory, which knows it to the minute,
    /// but never before the link was made.
    #[must_use]
    pub fn last_hand_out(&self, link: &Link) -> Option<Timestamp> {
        let lately = self.shared().last_use(&link.namespace, &link.id);
        let last = lately.max(link.upkeep.handed_out)?;
        Some(last.max(link.created))
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

pub(crate) fn not_narrowed() -> Problem {
    let message = "the provider can't limit this token to one repository; ask without require_narrowed, or name a \
                   repository of an app installation";
    Problem::new(Reason::ProviderUnsupported, message)
}

/// Refuses a token that ends before the caller, who insists, is done with it.
pub(crate) fn long_enough(
    wanted: &Wanted,
    expires: Option<Timestamp>,
    now: Timestamp,
) -> Result<(), Problem> {
    let Some(expires) = expires.filter(|_| wanted.insist) else {
        return Ok(());
    };
    let remaining = expires.since(now);
    if remaining >= wanted.min_remaining {
        return Ok(());
    }
    let message = format!(
        "no token of namespaces/{}/links/{} lives longer than {} s; ask for less",
        wanted.namespace,
        wanted.link,
        remaining.as_secs()
    );
    let longest = remaining.as_secs().to_string();
    Err(Problem::new(Reason::TokenTooShort, message).with("longest", longest))
}

/// What the scopes do not carry. Those of an installation are told in words of its own, which cover the scopes.
fn lacking(description: &Description, link: &Link, access: Access, host: &Host) -> Option<Problem> {
    let granted = link.granted_scopes.as_ref()?;
    let permission = match access {
        Access::Read => Permission::ReadCode,
        Access::ReadWrite => Permission::WriteCode,
    };
    let missing = description.missing(&[permission], granted);
    // A link that was never asked to read private code still reads public code.
    let hard = access == Access::ReadWrite || asked(description, link, permission);
    (hard && !missing.is_empty()).then(|| match link.auth_kind {
        AuthKind::AppInstallation => not_permitted(&missing),
        _ => scope_problem(&missing, description, host),
    })
}

/// An installation is not for what is asked; whoever owns the account can grant it.
fn not_permitted(missing: &[PermissionScopes]) -> Problem {
    let words =
        |entry: &PermissionScopes| entry.covered_by.first().or(entry.scopes.first()).cloned();
    let missing: Vec<_> = missing.iter().filter_map(words).collect();
    let message = format!(
        "the installation lacks {}; have the owner of its account grant it to the app",
        missing.join(" and ")
    );
    let problem = Problem::new(Reason::ScopeMissing, message).act(Who::OrganizationOwner, "");
    let missing = missing.into_iter();
    missing.fold(problem, |problem, scope| {
        problem.with("missing_scope", scope)
    })
}

fn asked(description: &Description, link: &Link, permission: Permission) -> bool {
    // Nothing is asked of an installation: its provider refuses what it does not carry.
    if link.auth_kind == AuthKind::AppInstallation {
        return false;
    }
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
        .or_else(|| description.token_kind(token.expose(), link.auth_kind))
        .map_or("{login}", |kind| &kind.git_username);
    template
        .replace("{username}", &link.username)
        .replace("{login}", login)
}

/// A problem that means "authorize again" rather than "try again".
#[must_use]
pub fn needs_person(problem: &Problem) -> bool {
    matches!(
        problem.reason,
        Reason::LinkNeedsReauthorization | Reason::ScopeMissing | Reason::LinkNotBound
    )
}
