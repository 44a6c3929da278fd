//! A link by an installation of the host's app: no token of a person, and none that lives long.

use bindery_core::{
    host::Host,
    link::{Grant, Link},
    problem::{Problem, Reason, Who},
    provider::{AccountKind, Identity, Input, Installation, Output, TokenFacts},
    secret::Secret,
};

use super::{
    Created, Found, NewLink, Rules, create::Ground, preflight::findings, token::Vetted, token_kind,
};
use crate::{
    Engine, RequestKey,
    mint::Narrowing,
    operation::{Context, off_topic},
};

/// An installation, and a token that was minted for it.
#[derive(Debug)]
pub(crate) struct Installed {
    pub(crate) id: String,
    pub(crate) account: Identity,
    pub(crate) scopes: Vec<String>,
    pub(crate) grant: Grant,
}

impl Engine {
    pub(super) async fn bind_installation(
        &self,
        new: &NewLink,
        mut link: Link,
        ground: &Ground,
        id: String,
        request: Option<&RequestKey>,
    ) -> Result<Created, Problem> {
        let rules = Rules {
            namespace: &ground.namespace,
            expected_identity: &new.expected_identity,
            allow_personal_account: new.allow_personal_account,
        };
        let vetted = self
            .vet_installation(&mut link, ground, &id, &rules)
            .await?;
        self.bind_new(new, link, &ground.host, vetted, request)
            .await
    }

    /// Looks at an installation as the app. `link` is what it would authorize.
    pub(super) async fn vet_installation(
        &self,
        link: &mut Link,
        ground: &Ground,
        id: &str,
        rules: &Rules<'_>,
    ) -> Result<Vetted, Problem> {
        let (host, description) = (&ground.host, &ground.description);
        let installed = self.install(link, host, id).await?;
        rules.check(link, &installed.account)?;
        let token = &installed.grant.access_token;
        link.token_kind = token_kind(description, token, link.auth_kind);
        let found = Found {
            identity: installed.account,
            facts: TokenFacts {
                scopes: Some(installed.scopes),
                expires: installed.grant.expires,
                active: true,
            },
        };
        link.granted_scopes.clone_from(&found.facts.scopes);
        let now = self.now();
        let mut all = findings(rules.namespace, description, link, &found, None, now);
        all.extend(self.reach(link, host, token).await);
        Ok(Vetted {
            grant: installed.grant,
            found,
            findings: all,
        })
    }

    /// Asks as the app for an installation, and mints a token for it. `link` learns which installation it is on.
    pub(crate) async fn install(
        &self,
        link: &mut Link,
        host: &Host,
        id: &str,
    ) -> Result<Installed, Problem> {
        id.clone_into(&mut link.installation_id);
        let as_app = self.app_context(host).await?;
        let seen = self.installation(as_app, host, id, false).await?;
        if seen.suspended {
            let message = format!(
                "the installation on {} is suspended; have it resumed there",
                seen.account.login
            );
            let problem = Problem::new(Reason::IdentitySuspended, message);
            return Err(problem.act(Who::OrganizationOwner, seen.web_uri));
        }
        let minted = self.mint(link, host, Narrowing::default()).await?;
        let now = self.now();
        Ok(Installed {
            id: id.to_owned(),
            account: account(seen.account),
            scopes: seen.scopes,
            grant: Grant {
                access_token: minted.token,
                refresh_token: None,
                expires: Some(minted.about.expires),
                obtained: now,
                generation: 1,
            },
        })
    }

    /// Whether an installation is on an account that the person of `token` owns. Ids can be guessed, and a callback can name
    /// any; whoever can merely read one repository of an installation may not bind, and end, the whole of it.
    pub(crate) async fn prove_installation(
        &self,
        link: &Link,
        host: &Host,
        token: &Secret,
        id: &str,
    ) -> Result<(), Problem> {
        let context = self.link_context(link, host, token).await?;
        match self.installation(context, host, id, true).await {
            Ok(_) => Ok(()),
            Err(problem) => Err(not_theirs(problem)),
        }
    }

    async fn installation(
        &self,
        context: Context<'_>,
        host: &Host,
        id: &str,
        as_person: bool,
    ) -> Result<Installation, Problem> {
        let input = Input::GetInstallation {
            installation_id: id.to_owned(),
            as_person,
        };
        match self.run(context, input).await?.last {
            Output::Installation(seen) if seen.installation_id == id => Ok(seen),
            _ => Err(off_topic(host)),
        }
    }
}

/// What a provider's refusal means for somebody who says that an installation is theirs.
fn not_theirs(problem: Problem) -> Problem {
    let refused = matches!(
        problem.reason,
        Reason::ProviderDenied | Reason::ProviderNotFound | Reason::AppNotInstalled
    );
    if !refused {
        return problem;
    }
    let message = "the person who agreed does not own the account that the app is installed on; have an owner of it sign in";
    Problem::new(Reason::IdentityMismatch, message).act(Who::OrganizationOwner, "")
}

/// A provider that does not say what an account is has an app on it all the same.
fn account(seen: Identity) -> Identity {
    match seen.kind {
        AccountKind::Unknown => Identity {
            kind: AccountKind::App,
            ..seen
        },
        _ => seen,
    }
}
