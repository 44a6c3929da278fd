//! A link by an access token: checked first, and bound at once.

use bindery_core::{
    host::Host,
    link::{Grant, Link},
    port::{Expect, Key, Record},
    problem::{Problem, Reason},
    provider::{AuthKind, Description, TokenKind},
    secret::Secret,
};

use super::{
    Created, Finding, Found, NewLink, Rules, bind,
    create::Ground,
    method::offered,
    preflight::{findings, login_of_token, user_name},
    scopes::refuse_missing,
    token_kind,
};
use crate::{
    Engine, RequestKey, Versioned,
    records::{change, origins},
};

/// A grant that keeps the rules, and what is worth saying about it.
pub(super) struct Vetted {
    pub(super) grant: Grant,
    pub(super) found: Found,
    pub(super) findings: Vec<Finding>,
}

impl Engine {
    pub(super) async fn bind_token(
        &self,
        new: &NewLink,
        mut link: Link,
        ground: &Ground,
        token: Secret,
        username: String,
        request: Option<&RequestKey>,
    ) -> Result<Created, Problem> {
        link.username = username;
        let rules = Rules {
            namespace: &ground.namespace,
            expected_identity: &new.expected_identity,
            allow_personal_account: new.allow_personal_account,
        };
        let vetted = self.vet_token(&mut link, ground, token, &rules).await?;
        self.bind_new(new, link, &ground.host, vetted, request)
            .await
    }

    /// Looks at a token before anything is kept. `link` is what it would authorize, and learns the token's kind and scopes.
    pub(super) async fn vet_token(
        &self,
        link: &mut Link,
        ground: &Ground,
        token: Secret,
        rules: &Rules<'_>,
    ) -> Result<Vetted, Problem> {
        let (host, description) = (&ground.host, &ground.description);
        let method = offered(host, description, AuthKind::AccessToken)?;
        refuse_other_kind(description, &token)?;
        let kind = description.token_kind(token.expose(), AuthKind::AccessToken);
        user_name(method, kind, &link.username)?;
        link.token_kind = token_kind(description, &token, AuthKind::AccessToken);
        let found = self.preflight(link, host, &token).await?;
        login_of_token(method, &link.username, &found.identity)?;
        rules.check(link, &found.identity)?;
        link.granted_scopes.clone_from(&found.facts.scopes);
        refuse_missing(description, link, host)?;
        let (now, ends) = (self.now(), found.facts.expires);
        refuse_ended(ends, now)?;
        let mut all = findings(rules.namespace, description, link, &found, ends, now);
        all.extend(self.reach(link, host, &token).await);
        let grant = Grant {
            access_token: token,
            refresh_token: None,
            expires: ends,
            obtained: now,
            generation: 1,
        };
        Ok(Vetted {
            grant,
            found,
            findings: all,
        })
    }

    /// Keeps a new link with a grant that was looked at, or only says what would be kept.
    pub(super) async fn bind_new(
        &self,
        new: &NewLink,
        mut link: Link,
        host: &Host,
        vetted: Vetted,
        request: Option<&RequestKey>,
    ) -> Result<Created, Problem> {
        let _alone = self.gates().binding.lock().await;
        self.refuse_twin(&link.namespace, &link, &vetted.found.identity)
            .await?;
        let Vetted {
            grant,
            found,
            findings,
        } = vetted;
        bind(&mut link, &grant, found, self.now());
        let link = if new.validate_only {
            Versioned {
                record: link,
                version: 0,
            }
        } else {
            let (namespace, id) = (link.namespace.clone(), link.id.clone());
            let key = Key::Grant(namespace, id, host.name.clone(), origins(host)?);
            let put = change(key, Expect::Absent, Some(Record::Grant(grant)));
            self.insert_link(link, host, vec![put], request).await?
        };
        Ok(Created {
            link,
            authorization: None,
            findings,
        })
    }
}

/// Some providers go on naming the owner of a token whose day is over.
fn refuse_ended(
    ends: Option<bindery_core::time::Timestamp>,
    now: bindery_core::time::Timestamp,
) -> Result<(), Problem> {
    if ends.is_none_or(|ends| ends > now) {
        return Ok(());
    }
    let message = "the token has expired; make a new one";
    Err(Problem::new(Reason::TokenRefused, message))
}

/// A token whose prefix says that it came another way ends or renews by other rules than one that a person made.
fn refuse_other_kind(description: &Description, token: &Secret) -> Result<(), Problem> {
    let known =
        |kind: &&TokenKind| !kind.prefix.is_empty() && token.expose().starts_with(&kind.prefix);
    let kind = description.token_kinds.iter().find(known);
    let other = kind.filter(|kind| {
        kind.auth_kind
            .is_some_and(|auth| auth != AuthKind::AccessToken)
    });
    let Some(other) = other else {
        return Ok(());
    };
    let message = format!(
        "the token is of kind {}, which no person makes; give an access token",
        other.name
    );
    Err(Problem::invalid("token", message))
}
