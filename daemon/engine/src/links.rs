//! Links: create, authorize anew, change, enable, disable, check.

mod access;
mod check;
mod counts;
mod create;
mod desire;
mod finding;
mod installation;
mod method;
mod open;
mod preflight;
mod reauthorize;
mod renew;
mod rotation;
mod scopes;
mod survey;
mod token;
pub(crate) mod trouble;
mod unique;
mod update;
mod watch;

use bindery_core::{
    host::Host,
    link::{Grant, Link, Stage},
    problem::{Problem, Reason},
    provider::{AuthKind, CredentialFacts, Description, Identity, Input, Output, TokenFacts},
    secret::Secret,
    time::Timestamp,
};

use crate::{Engine, operation::off_topic};

pub use self::watch::INTERVAL as CHECK_INTERVAL;
pub use self::{
    check::Checked,
    create::{Authorization, Created, NewLink},
    finding::{Finding, Severity},
    method::Method,
    reauthorize::Reauthorize,
    scopes::PermissionKey,
    update::LinkChange,
};
pub(crate) use self::{
    check::{NOTES, explain, note},
    open::kind_of,
    preflight::{Rules, expected, findings, personal},
    renew::{Ticket, on_trial, renewal, same_identity},
    scopes::{extra, missing, scope_problem},
};
pub(crate) use self::{counts::LinkCounts, watch::Checks};

/// What a provider says about a token.
pub(crate) struct Found {
    pub(crate) identity: Identity,
    pub(crate) facts: TokenFacts,
}

impl Engine {
    /// Asks the provider who a token belongs to and what it may do.
    pub(crate) async fn preflight(
        &self,
        link: &Link,
        host: &Host,
        token: &Secret,
    ) -> Result<Found, Problem> {
        let context = self.link_context(link, host, token).await?;
        let identity = self.run(context, Input::Identify).await?.last;
        let Output::Identity(identity) = identity else {
            return Err(off_topic(host));
        };
        let context = self.link_context(link, host, token).await?;
        let facts = self.run(context, Input::InspectToken).await?.last;
        let Output::TokenFacts(facts) = facts else {
            return Err(off_topic(host));
        };
        if !facts.active {
            let message = format!("{} does not accept the token", host.web_url);
            return Err(Problem::new(Reason::TokenRefused, message));
        }
        Ok(Found { identity, facts })
    }
}

/// Makes a link a bound one.
pub(crate) fn bind(link: &mut Link, grant: &Grant, found: Found, now: Timestamp) {
    link.identity = Some(found.identity);
    link.granted_scopes = found.facts.scopes.or_else(|| link.granted_scopes.take());
    link.token_expires = grant.expires;
    link.refreshable = link.renewable(grant);
    (link.upkeep.next_refresh, link.upkeep.refresh_expires) = (None, None);
    // What was lost with the old grant is no loss of the new one.
    link.seen.organizations.clear();
    link.seen.notes.clear();
    link.generation = grant.generation;
    link.flow = None;
    link.observe(Stage::Bound, "", now);
}

/// The kind of a token, by its prefix.
pub(crate) fn token_kind(description: &Description, token: &Secret, auth: AuthKind) -> String {
    description
        .token_kind(token.expose(), auth)
        .map(|kind| kind.name.clone())
        .unwrap_or_default()
}

/// Facts about a link's credential.
pub(crate) fn facts(link: &Link, host: &Host) -> CredentialFacts {
    CredentialFacts {
        auth_kind: Some(link.auth_kind),
        token_kind: link.token_kind.clone(),
        scopes: link.granted_scopes.clone().unwrap_or_default(),
        client_id: host.oauth_client_id.clone().unwrap_or_default(),
        login: link
            .identity
            .as_ref()
            .map(|identity| identity.login.clone())
            .unwrap_or_default(),
        username: link.username.clone(),
        app_id: host
            .app
            .as_ref()
            .map(|app| app.app_id.clone())
            .unwrap_or_default(),
        installation_id: link.installation_id.clone(),
    }
}
