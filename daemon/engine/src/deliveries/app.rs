//! Whose a delivery of an app's hook is: of a repository that the hook serves, of an installation, or of a person's
//! authorization. What a repository has a hook of its own for is left to that.

use std::time::Duration;

use bindery_core::{
    hook::Hook,
    link::Link,
    name::HostName,
    port::Listing,
    problem::Problem,
    provider::{AuthKind, Delivered},
};

use super::{
    note_proof,
    read::{Read, Said},
};
use crate::{Engine, hooks::is_installed, records::as_link};

/// How often a delivery says anew that the hook works.
const PROOF_EVERY: Duration = Duration::from_secs(60);

impl Engine {
    /// Processes a delivery of an app's hook, whose turn must be held.
    pub(super) async fn process_for_app(
        &self,
        app: &Hook,
        number: u64,
        read: Read,
        last: bool,
    ) -> Result<(), Problem> {
        self.note_app_proof(app, number).await?;
        if let Some(told) = &read.delivered.repository
            && let Some(hook) = self.hook_of_repository(&app.host, &told.stable_id).await?
            && hook.by_app
        {
            let _turn = self.deliveries().turn(&hook.id).await;
            let said = Said::about(&hook, read);
            return self.look_and_conclude(&hook, number, said, last).await;
        }
        let Some(found) = self.find_delivery(number).await? else {
            return Ok(());
        };
        if read.delivered.access_changed {
            self.check_links_of(&app.host, &read.delivered).await?;
        }
        self.end_ignored(found, why_ignored(&read.delivered)).await
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

    /// The app's hook works.
    async fn note_app_proof(&self, app: &Hook, number: u64) -> Result<(), Problem> {
        let Some(delivery) = self.find_delivery(number).await? else {
            return Ok(());
        };
        let at = delivery.record.received;
        let lately = app
            .verified
            .is_some_and(|known| at.since(known) < PROOF_EVERY);
        if lately && app.state == bindery_core::hook::HookState::Verified {
            return Ok(());
        }
        self.change_hook(&app.id, |hook| note_proof(hook, at))
            .await
            .map(drop)
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
        "no source is served by the app's webhook for this repository"
    } else {
        "it tells of nothing that becomes an event"
    }
}
