//! A new link by an access token: checked first, and bound at once.

use bindery_core::{
    host::Host,
    link::Grant,
    port::{Expect, Key, Record},
    problem::{Problem, Reason},
    provider::{AuthKind, Description, Identity, TokenKind},
    secret::Secret,
};

use super::{
    Created, NewLink, bind,
    scopes::{refuse_missing, wanted},
    token_kind,
};
use crate::{
    Engine, RequestKey,
    records::{change, origins},
};

impl Engine {
    pub(super) async fn bind_token(
        &self,
        new: NewLink,
        host: &Host,
        description: &Description,
        token: Secret,
        username: &str,
        request: Option<&RequestKey>,
    ) -> Result<Created, Problem> {
        let mut link = self.new_link(&new, host, description, AuthKind::AccessToken)?;
        require_token(host, description)?;
        refuse_other_kind(description, &token)?;
        link.token_kind = token_kind(description, &token, AuthKind::AccessToken);
        let found = self.preflight(&link, host, &token).await?;
        refuse_other_login(&found.identity, username)?;
        refuse_missing(description, &wanted(&new.permissions), &found.facts, host)?;
        let now = self.now();
        let grant = Grant {
            access_token: token,
            refresh_token: None,
            expires: found.facts.expires,
            obtained: now,
            generation: 1,
        };
        bind(&mut link, &grant, found, now);
        let key = Key::Grant(
            link.namespace.clone(),
            link.id.clone(),
            host.name.clone(),
            origins(host)?,
        );
        let put = change(key, Expect::Absent, Some(Record::Grant(grant)));
        let link = self.insert_link(link, host, vec![put], request).await?;
        Ok(Created {
            link,
            authorization: None,
        })
    }
}

fn require_token(host: &Host, description: &Description) -> Result<(), Problem> {
    let known = description.method(AuthKind::AccessToken).is_some();
    if known {
        Ok(())
    } else {
        Err(unsupported(host, "access tokens"))
    }
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

pub(super) fn unsupported(host: &Host, what: &str) -> Problem {
    let message = format!(
        "provider {} does not offer {what}; see its authentication methods",
        host.provider
    );
    Problem::new(Reason::MethodNotSupported, message)
}

fn refuse_other_login(identity: &Identity, expected: &str) -> Result<(), Problem> {
    if expected.is_empty() || expected.eq_ignore_ascii_case(&identity.login) {
        return Ok(());
    }
    let message = format!(
        "the token belongs to {}, not to {expected}; give the token of the right account",
        identity.login
    );
    Err(Problem::new(Reason::IdentityMismatch, message))
}
