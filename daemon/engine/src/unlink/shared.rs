//! Grants that several links live on: who would lose it, who is told, and what an unlink would do.

use bindery_core::{
    link::{Cause, Link, Stage},
    name::{LinkId, NamespaceName},
    port::Listing,
    problem::{Problem, Reason, Who},
    provider::{AuthKind, Description},
    receipt::{Outcome, Receipt, StepKind},
};

use super::{SharedGrant, opened};
use crate::{Engine, records::as_link};

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
        receipt.affected = names(&self.siblings(&link).await?);
        for planned in self.planned_hooks(&link).await? {
            receipt.record_one(planned);
        }
        let host = self.host(&link.host).await?.record;
        let description = self.description(&host)?;
        if let Some(page) = by_hand(&link, &description) {
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
        shared: SharedGrant,
    ) -> Result<Vec<String>, Problem> {
        if shared == SharedGrant::Keep || link.generation == 0 {
            return Ok(Vec::new());
        }
        let siblings = names(&self.siblings(link).await?);
        if siblings.is_empty() || shared == SharedGrant::End {
            return Ok(siblings);
        }
        Err(grant_shared(&siblings))
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

    /// Other live links that lose their tokens when the grant of this one ends as a whole.
    pub(super) async fn siblings(&self, link: &Link) -> Result<Vec<Link>, Problem> {
        let host = self.host(&link.host).await?.record;
        let description = self.description(&host)?;
        if !shares(link, &description) {
            return Ok(Vec::new());
        }
        let mut siblings = Vec::new();
        for namespace in self.namespace_names().await? {
            let listing = Listing::Links(namespace);
            let links = self.list_all(&listing, as_link).await?;
            let links = links.into_iter().map(|entry| entry.record);
            siblings.extend(links.filter(|other| is_sibling(link, other)));
        }
        Ok(siblings)
    }
}

/// Whether the end of this link's grant as a whole may end other tokens.
fn shares(link: &Link, description: &Description) -> bool {
    match link.auth_kind {
        AuthKind::OAuthCode | AuthKind::Device => description.revocation.kills_siblings,
        AuthKind::AppInstallation => true,
        AuthKind::AccessToken => false,
    }
}

/// The same identity's grant to the same client, or the same installation. An identity that is not known may be the same.
fn is_sibling(link: &Link, other: &Link) -> bool {
    let oauth = |link: &Link| matches!(link.auth_kind, AuthKind::OAuthCode | AuthKind::Device);
    let same = match link.auth_kind {
        AuthKind::AppInstallation => {
            other.auth_kind == link.auth_kind && other.installation_id == link.installation_id
        }
        _ if !oauth(other) => false,
        _ => match (&link.identity, &other.identity) {
            (Some(one), Some(other)) => one.stable_id == other.stable_id,
            _ => other.generation > 0,
        },
    };
    let live = !matches!(other.observed.stage, Stage::Unlinking | Stage::Unlinked);
    let another = (&link.namespace, &link.id) != (&other.namespace, &other.id);
    same && live && another && other.host == link.host
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

fn grant_shared(siblings: &[String]) -> Problem {
    let named = siblings.iter().take(NAMED).cloned().collect::<Vec<_>>();
    let more = match siblings.len() - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let message = format!(
        "the provider keeps one grant for this link and {}{more}; accept that they lose it, or keep the grant for them",
        named.join(", ")
    );
    let problem = Problem::new(Reason::GrantShared, message).act(Who::User, "");
    let named = named.into_iter();
    named.fold(problem, |problem, link| problem.with("link", link))
}
