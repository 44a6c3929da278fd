//! Whose a delivery of an app's hook is: of a repository that the hook serves, of an installation, or of a person's
//! authorization. What a repository has a hook of its own for is left to that.

use std::time::Duration;

use bindery_core::{
    delivery::Delivery,
    hook::{Hook, HookState},
    link::Link,
    name::HostName,
    port::Listing,
    problem::Problem,
    provider::{AuthKind, Delivered},
    time::Timestamp,
};

use super::{
    note_proof,
    process::{Next, passes},
};
use crate::{
    Engine, Versioned,
    hooks::{as_hook, is_installed},
    records::as_link,
};

/// Hooks that are read at once where all are gone through.
const PAGE: usize = 256;

/// Why nothing becomes of what is told of a repository with a hook of its own, or of one that nobody uses.
const NOT_SERVED: &str = "no source is served by the app's webhook for this repository";

/// How often a delivery says anew that the hook works.
pub(crate) const PROOF_EVERY: Duration = Duration::from_secs(60);

impl Engine {
    /// Finds out whose a delivery of an app's hook is. What a repository is told waits in the line of its hook from then on;
    /// what is about no repository that is served ends here.
    pub(super) async fn find_its_line(
        &self,
        app: &Hook,
        found: Versioned<Delivery>,
        last: bool,
    ) -> Result<Next, Problem> {
        let read = match self.read_delivery(app, &found.record).await {
            Ok(read) => read,
            Err(problem) if passes(&problem) && !last => return Err(problem),
            Err(problem) => {
                let number = found.record.number;
                self.want_comparison(app).await?;
                self.lay_aside(app, number, &problem).await?;
                return Ok(Next::Over);
            }
        };
        self.note_app_proof(app, found.record.received).await?;
        if let Some(told) = &read.delivered.repository
            && let Some(hook) = self.hook_of_repository(&app.host, &told.stable_id).await?
            && hook.by_app
        {
            return Ok(Next::With(hook.id));
        }
        if read.delivered.access_changed {
            self.check_links_of(&app.host, &read.delivered).await?;
        }
        self.end_ignored(found, why_ignored(&read.delivered)).await
    }

    /// Processes a delivery of the app's hook in the line of the repository that it is about, whose turn must be held.
    pub(super) async fn process_by_app(
        &self,
        hook: &Hook,
        found: Versioned<Delivery>,
        last: bool,
    ) -> Result<Next, Problem> {
        let Some(app) = self.find_hook(&found.record.hook).await? else {
            return self.end_without_hook(found).await;
        };
        if !hook.by_app {
            // It has got a hook of its own meanwhile, which brings the same.
            return self.end_ignored(found, NOT_SERVED).await;
        }
        let read = self.read_delivery(&app.record, &found.record).await;
        let number = found.record.number;
        self.conclude_read(hook, number, read, last).await?;
        Ok(Next::Over)
    }

    /// The hook of a repository.
    async fn hook_of_repository(
        &self,
        host: &HostName,
        repository: &str,
    ) -> Result<Option<Hook>, Problem> {
        if repository.is_empty() {
            return Ok(None);
        }
        let Some(place) = self.find_hook_place(host, repository).await? else {
            return Ok(None);
        };
        let hook = self.find_hook(&place.record.hook).await?;
        Ok(hook.map(|entry| entry.record))
    }

    /// A delivery of the app's hook could not be read or taken: it may have told of any repository that the hook serves.
    pub(crate) async fn compare_all_served(&self, host: &HostName) -> Result<(), Problem> {
        let mut after = None;
        loop {
            let page = self
                .list(&Listing::Hooks, after.as_deref(), PAGE, as_hook)
                .await?;
            for hook in page.items.into_iter().map(|entry| entry.record) {
                if hook.host == *host && hook.by_app {
                    Box::pin(self.want_comparison(&hook)).await?;
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// The app's hook works.
    async fn note_app_proof(&self, app: &Hook, at: Timestamp) -> Result<(), Problem> {
        let lately = app
            .verified
            .is_some_and(|known| at.since(known) < PROOF_EVERY);
        if lately && app.state == HookState::Verified {
            return Ok(());
        }
        let proven = self
            .change_hook(&app.id, |hook| note_proof(hook, at))
            .await?;
        match proven {
            Some(hook) if hook.state == HookState::Verified && app.state != hook.state => {
                self.look_who_may_move(&hook).await
            }
            _ => Ok(()),
        }
    }

    /// The links that an installation or a person's authorization stands behind are checked now, and so are the repositories
    /// of their sources.
    async fn check_links_of(&self, host: &HostName, told: &Delivered) -> Result<(), Problem> {
        for namespace in self.namespace_names().await? {
            let all = self.list_all(&Listing::Links(namespace), as_link).await?;
            let concerned = all.into_iter().map(|entry| entry.record);
            for link in concerned.filter(|link| link.host == *host && is_about(link, told)) {
                self.check_soon(&link);
                self.look_at_sources_soon(&link).await?;
            }
        }
        Ok(())
    }

    /// What the sources of a link are left with is looked at, and refs are compared: something may have been missed.
    async fn look_at_sources_soon(&self, link: &Link) -> Result<(), Problem> {
        if !link.desired.is_enabled() {
            return Ok(());
        }
        for source in self.sources_of(&link.namespace, Some(&link.id)).await? {
            self.change_hook(&source.record.hook, |hook| {
                hook.checked = None;
                hook.reconcile_due = true;
            })
            .await?;
        }
        Ok(())
    }
}

/// Whether a delivery is about what stands behind a link.
fn is_about(link: &Link, told: &Delivered) -> bool {
    if !told.installation_id.is_empty() {
        return is_installed(link) && link.installation_id == told.installation_id;
    }
    let by_person = matches!(link.auth_kind, AuthKind::OAuthCode | AuthKind::Device);
    let ids = link.identity.as_ref().zip(told.actor.as_ref());
    by_person
        && ids.is_some_and(|(identity, actor)| {
            !actor.stable_id.is_empty() && identity.stable_id == actor.stable_id
        })
}

const fn why_ignored(told: &Delivered) -> &'static str {
    if told.ping {
        "it only shows that the webhook of the app works"
    } else if told.access_changed {
        "the links that it is about are looked at"
    } else if told.repository.is_some() {
        NOT_SERVED
    } else {
        "it tells of nothing that becomes an event"
    }
}
