//! One link for each identity on a host in a namespace.

use bindery_core::{
    link::{Link, Stage},
    name::NamespaceName,
    port::Listing,
    problem::{Problem, Reason},
    provider::Identity,
};

use crate::{Engine, records::as_link};

impl Engine {
    /// Refuses to bind an identity that another living link of `namespace` is bound to on the same host. Ask it while
    /// holding the gate `binding`, or two could pass at once.
    pub(crate) async fn refuse_twin(
        &self,
        namespace: &NamespaceName,
        link: &Link,
        identity: &Identity,
    ) -> Result<(), Problem> {
        let twin = |other: &Link| {
            let known = other.identity.as_ref();
            let same = known.is_some_and(|known| known.stable_id == identity.stable_id);
            let live = matches!(
                other.observed.stage,
                Stage::Bound | Stage::NeedsReauthorization(_)
            );
            same && live && other.host == link.host && other.id != link.id
        };
        let mut after = None;
        loop {
            let page = self
                .list(
                    &Listing::Links(namespace.clone()),
                    after.as_deref(),
                    256,
                    as_link,
                )
                .await?;
            if let Some(entry) = page.items.iter().find(|entry| twin(&entry.record)) {
                return Err(linked(&entry.record, identity));
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }
}

fn linked(twin: &Link, identity: &Identity) -> Problem {
    let resource = twin.resource();
    let message = format!(
        "{} on hosts/{} is linked to namespaces/{} already; authorize {resource} again instead",
        identity.login, twin.host, twin.namespace
    );
    Problem::new(Reason::LinkExists, message).with("link", resource)
}
