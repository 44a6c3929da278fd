//! What people call a link, and what they say about it.

use std::collections::BTreeMap;

use bindery_core::{
    link::{Link, Stage},
    name::{LinkId, NamespaceName},
    port::Expect,
    problem::{Problem, Reason},
};

use super::rotation;
use crate::{Engine, RequestKey, Versioned, audience::Audience, namespaces::check_etag};

/// What is to change; `None` leaves it as it is.
#[derive(Clone, Debug, Default)]
pub struct LinkChange {
    /// Name for people.
    pub display_name: Option<String>,
    /// The identity is an account for machines.
    pub service_account: Option<bool>,
    /// A token that a person made is replaced by itself before it ends.
    pub rotate_token: Option<bool>,
    /// Key-value pairs for selection, all of them.
    pub labels: Option<BTreeMap<String, String>>,
    /// Key-value pairs for other programs, all of them.
    pub annotations: Option<BTreeMap<String, String>>,
    /// Everything is checked, and nothing is changed.
    pub validate_only: bool,
    /// Which links of a shared token may be named to whoever asks.
    pub audience: Audience,
}

impl LinkChange {
    fn put_into(&self, link: &mut Link) {
        fn put<T: Clone>(new: Option<&T>, place: &mut T) {
            if let Some(new) = new {
                place.clone_from(new);
            }
        }
        put(self.display_name.as_ref(), &mut link.display_name);
        put(self.service_account.as_ref(), &mut link.service_account);
        if let Some(rotate) = self.rotate_token {
            rotation::set(link, rotate);
        }
        put(self.labels.as_ref(), &mut link.labels);
        put(self.annotations.as_ref(), &mut link.annotations);
    }
}

impl Engine {
    /// Changes what people say about a link.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, `ETAG_MISMATCH`, `LINK_UNLINKED`, `METHOD_NOT_SUPPORTED` where the token can't be replaced, `GRANT_SHARED`
    /// where other links hold the same one, and what the vault says.
    pub async fn update_link(
        &self,
        namespace: &NamespaceName,
        id: &LinkId,
        wanted: &LinkChange,
        expect: Option<u64>,
        request: Option<&RequestKey>,
    ) -> Result<Versioned<Link>, Problem> {
        loop {
            if let Some(resource) = self.recall(request).await? {
                return self.link_named(&resource).await;
            }
            let Versioned {
                record: mut link,
                version,
            } = self.link(namespace, id).await?;
            check_etag(expect, version)?;
            refuse_over(&link)?;
            if wanted.rotate_token == Some(true) {
                let host = self.host(&link.host).await?.record;
                rotation::rotatable(&link, self.description(&host)?.as_ref())?;
                self.refuse_shared_token(&link, &wanted.audience).await?;
            }
            let before = link.clone();
            wanted.put_into(&mut link);
            if wanted.validate_only || link == before {
                return Ok(Versioned {
                    record: link,
                    version,
                });
            }
            link.updated = self.now();
            let remember = self.remember(request, &link.resource()).await?;
            let others = remember.into_iter().collect();
            match self
                .put_link(link.clone(), Expect::Version(version), others)
                .await
            {
                Err(problem) if problem.reason == Reason::StoreConflict => {}
                Err(problem) => return Err(problem),
                Ok(()) => {
                    return Ok(Versioned {
                        record: link,
                        version: version + 1,
                    });
                }
            }
        }
    }
}

pub(super) fn refuse_over(link: &Link) -> Result<(), Problem> {
    if matches!(link.observed.stage, Stage::Unlinking | Stage::Unlinked) {
        let message = format!("{} is unlinked", link.resource());
        return Err(Problem::new(Reason::LinkUnlinked, message));
    }
    Ok(())
}
