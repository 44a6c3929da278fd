//! Grants that several links live on: who would lose it, who is told, and what an unlink would do.

use std::fmt;

use bindery_core::{
    host::Host,
    link::{Cause, Link, Stage},
    name::{LinkId, NamespaceName},
    port::Listing,
    problem::{Problem, Reason, Who},
    provider::{AuthKind, Description},
    receipt::{Outcome, Receipt, StepKind},
};

use super::{SharedGrant, UnlinkOptions, opened};
use crate::{Engine, audience::Audience, hosts::as_host, records::as_link, sha256};

/// How many links a message names.
const NAMED: usize = 10;

impl Engine {
    /// What an unlink would do, without doing it: the steps that can't be done by API, and the links that share the grant.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, and what the vault says.
    pub async fn preview_unlink(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
    ) -> Result<Receipt, Problem> {
        if let Some(receipt) = self.find_receipt(namespace, id).await? {
            return Ok(receipt.record);
        }
        let link = self.link(namespace, id).await?.record;
        let mut receipt = opened(&link, self.now());
        let host = self.host(&link.host).await?.record;
        let description = self.description(&host)?;
        let siblings = self.siblings(&link).await?;
        receipt.affected = names(&lost(&link, &description, &siblings));
        for planned in self.planned_hooks(&link).await? {
            receipt.record_one(planned);
        }
        // A token that others hold as well stays, and nobody is sent to delete it.
        let kept = link.auth_kind == AuthKind::AccessToken && !siblings.is_empty();
        if let Some(page) = by_hand(&link, &description).filter(|_| !kept) {
            let action_uri = host.fill_page(page);
            let message = "the provider has no call for it; a person does it there".to_owned();
            let outcome = Outcome::Impossible { action_uri };
            receipt.record(StepKind::RevokeGrant, outcome, message, self.now());
            for step in &mut receipt.steps {
                step.finished = None;
            }
        }
        Ok(receipt)
    }

    /// The links that will lose their grant with this one; `GRANT_SHARED` where nobody accepted that.
    pub(super) async fn losing(
        &self,
        link: &Link,
        options: &UnlinkOptions,
    ) -> Result<Vec<String>, Problem> {
        if options.shared == SharedGrant::Keep || link.generation == 0 {
            return Ok(Vec::new());
        }
        let host = self.host(&link.host).await?.record;
        let description = self.description(&host)?;
        let siblings = self.siblings(link).await?;
        let losing = lost(link, &description, &siblings);
        if losing.is_empty() || options.shared == SharedGrant::End {
            return Ok(names(&losing));
        }
        Err(grant_shared(
            link,
            &Others::of(link, &losing, &options.audience),
        ))
    }

    /// Refuses to replace a token that other links hold as well: the provider would end it for them.
    pub(crate) async fn refuse_shared_token(
        &self,
        link: &Link,
        audience: &Audience,
    ) -> Result<(), Problem> {
        let siblings = self.siblings(link).await?;
        if siblings.is_empty() {
            return Ok(());
        }
        let others = Others::of(link, &siblings, audience);
        let message = format!(
            "the same token is held by {others}, which would lose it when it is replaced; give each link a token of its own"
        );
        Err(others.named(Problem::new(Reason::GrantShared, message)))
    }

    /// Tells the links that lived on a grant that it is gone.
    pub(super) async fn tell_siblings(
        &self,
        receipt: &Receipt,
        link: &Link,
    ) -> Result<(), Problem> {
        if receipt.affected.is_empty() {
            return Ok(());
        }
        for sibling in self.siblings(link).await? {
            self.mark_dead(&sibling, Cause::GrantRevoked, "").await?;
        }
        Ok(())
    }

    /// Other live links that lose their tokens when the grant of this one ends as a whole, on every host that is the same
    /// forge.
    pub(super) async fn siblings(&self, link: &Link) -> Result<Vec<Link>, Problem> {
        let host = self.host(&link.host).await?.record;
        let description = self.description(&host)?;
        if !shares(link, &description) {
            return Ok(Vec::new());
        }
        let hosts = self.hosts_of_forge(&host, link.auth_kind).await?;
        let token = self.token_print(link, &host).await?;
        let mut siblings = Vec::new();
        for namespace in self.namespace_names().await? {
            let listing = Listing::Links(namespace);
            for entry in self.list_all(&listing, as_link).await? {
                let other = entry.record;
                let Some(theirs) = hosts.iter().find(|host| host.name == other.host) else {
                    continue;
                };
                if is_sibling(link, &other) && self.holds(&other, theirs, token.as_ref()).await? {
                    siblings.push(other);
                }
            }
        }
        Ok(siblings)
    }

    /// Hosts that are the same forge as `host`, itself included; where tokens come from the forge's token endpoint, those with
    /// the same client, to which the forge gives one grant.
    async fn hosts_of_forge(&self, host: &Host, kind: AuthKind) -> Result<Vec<Host>, Problem> {
        let by_client = matches!(kind, AuthKind::OAuthCode | AuthKind::Device);
        let hosts = self.list_all(&Listing::Hosts, as_host).await?;
        let hosts = hosts.into_iter().map(|entry| entry.record);
        Ok(hosts
            .filter(|other| {
                let client = other.oauth_client_id == host.oauth_client_id;
                other.name == host.name || (other.is_same_forge(host) && (client || !by_client))
            })
            .collect())
    }

    /// A digest of the token that a person gave a link; `None` for other links, and where there is none.
    async fn token_print(&self, link: &Link, host: &Host) -> Result<Option<[u8; 32]>, Problem> {
        if link.auth_kind != AuthKind::AccessToken {
            return Ok(None);
        }
        let grant = self.find_grant(link, host).await?;
        Ok(grant.map(|grant| sha256(grant.record.access_token.expose().as_bytes())))
    }

    /// Whether a link that may be a sibling is one. Of tokens that people make only the token itself tells: one person may have
    /// made many. Digests are compared while both tokens are at hand, and none is kept.
    async fn holds(
        &self,
        other: &Link,
        host: &Host,
        token: Option<&[u8; 32]>,
    ) -> Result<bool, Problem> {
        if other.auth_kind != AuthKind::AccessToken {
            return Ok(true);
        }
        let theirs = self.token_print(other, host).await?;
        Ok(theirs.is_some() && theirs.as_ref() == token)
    }
}

/// Whether the end of this link's grant as a whole may end other tokens.
fn shares(link: &Link, description: &Description) -> bool {
    match link.auth_kind {
        AuthKind::OAuthCode | AuthKind::Device => description.revocation.kills_siblings,
        AuthKind::AppInstallation | AuthKind::AccessToken => true,
    }
}

/// Whether another link may stand on the same grant: the same identity's, by the same way, or the same installation. An
/// identity that is not known may be the same.
fn is_sibling(link: &Link, other: &Link) -> bool {
    let oauth = |link: &Link| matches!(link.auth_kind, AuthKind::OAuthCode | AuthKind::Device);
    let same_way = other.auth_kind == link.auth_kind || (oauth(link) && oauth(other));
    let same = match link.auth_kind {
        AuthKind::AppInstallation => other.installation_id == link.installation_id,
        _ => match (&link.identity, &other.identity) {
            (Some(one), Some(other)) => one.stable_id == other.stable_id,
            _ => other.generation > 0,
        },
    };
    let live = !matches!(other.observed.stage, Stage::Unlinking | Stage::Unlinked);
    let another = (&link.namespace, &link.id) != (&other.namespace, &other.id);
    same_way && same && live && another
}

/// Those of the siblings that lose something by this unlink: none, where a person's token can't be revoked by API.
fn lost(link: &Link, description: &Description, siblings: &[Link]) -> Vec<Link> {
    let stays = link.auth_kind == AuthKind::AccessToken && !description.revocation.access_token;
    if stays {
        return Vec::new();
    }
    siblings.to_vec()
}

/// The page where a person revokes, where the API can't.
fn by_hand<'a>(link: &Link, description: &'a Description) -> Option<&'a str> {
    let revocation = &description.revocation;
    match link.auth_kind {
        AuthKind::OAuthCode | AuthKind::Device => {
            let able = revocation.oauth || !description.endpoints.revoke.is_empty();
            (!able).then_some(revocation.oauth_page.as_str())
        }
        AuthKind::AccessToken => {
            (!revocation.access_token).then_some(revocation.access_token_page.as_str())
        }
        AuthKind::AppInstallation => None,
    }
}

fn names(links: &[Link]) -> Vec<String> {
    links.iter().map(Link::resource).collect()
}

fn grant_shared(link: &Link, others: &Others) -> Problem {
    let message = match link.auth_kind {
        AuthKind::AccessToken => {
            format!(
                "the same token is held by {others}; accept that they lose it, or keep it for them"
            )
        }
        _ => format!(
            "the provider keeps one grant for this link and {others}; accept that they lose it, or keep the grant for them"
        ),
    };
    others.named(Problem::new(Reason::GrantShared, message))
}

/// Links that share a grant with another one, as whoever asks about that may know them.
struct Others {
    /// Names of those that they may read.
    named: Vec<String>,
    /// How many more there are.
    hidden: usize,
}

impl Others {
    fn of(link: &Link, others: &[Link], audience: &Audience) -> Self {
        let known = others.iter().filter(|other| audience.may_know(link, other));
        let named: Vec<_> = known.map(Link::resource).collect();
        Self {
            hidden: others.len() - named.len(),
            named,
        }
    }

    fn named(&self, problem: Problem) -> Problem {
        let problem = problem.act(Who::User, "");
        let named = self.named.iter().take(NAMED).cloned();
        let problem = named.fold(problem, |problem, link| problem.with("link", link));
        match self.hidden {
            0 => problem,
            hidden => problem.with("hidden_links", hidden.to_string()),
        }
    }
}

impl fmt::Display for Others {
    /// The first of them, and how many more there are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.named.iter().take(NAMED).cloned();
        let mut parts: Vec<_> = shown.collect();
        match self.named.len() - parts.len() {
            0 => {}
            more => parts.push(format!("{more} more")),
        }
        match self.hidden {
            0 => {}
            1 => parts.push("one link of a namespace that you may not read".to_owned()),
            hidden => parts.push(format!(
                "{hidden} links of namespaces that you may not read"
            )),
        }
        match parts.split_last() {
            Some((last, rest)) if !rest.is_empty() => {
                write!(f, "{} and {last}", rest.join(", "))
            }
            last => f.write_str(last.map_or("", |(last, _)| last)),
        }
    }
}
