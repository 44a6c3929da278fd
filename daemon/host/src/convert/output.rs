//! `Output`: what a plugin found

use bindery_core::{
    problem::Who,
    provider::{
        AccountKind, Identity, Organization, OrganizationAccess, Output, Ref, RefKind, Repository,
        Revocation, RevocationOutcome, ServerFacts, TokenFacts,
    },
    time::Timestamp,
};
use bindery_plugin_proto::v1::{self, output};

use super::check::{
    Checked, at_most, commit, full_name, invalid, name, names, optional_name, optional_uri, prose,
    uri,
};
use crate::limits::PAGE_ITEMS;

/// Longest place to go on.
const CURSOR: usize = 2048;

/// A result, whole or a page.
pub(crate) fn output(raw: v1::Output) -> Checked<Output> {
    Ok(match raw.kind.ok_or(invalid("output", "is not set"))? {
        output::Kind::Identity(raw) => Output::Identity(identity(raw)?),
        output::Kind::TokenFacts(raw) => Output::TokenFacts(token_facts(raw)?),
        output::Kind::Organizations(raw) => Output::Organizations {
            items: items(raw.items, organization)?,
            partial: raw.partial,
        },
        output::Kind::Repositories(raw) => Output::Repositories {
            items: items(raw.items, repository)?,
            next_cursor: cursor(raw.next_cursor)?,
            partial: raw.partial,
        },
        output::Kind::Repository(raw) => Output::Repository(repository(raw)?),
        output::Kind::Refs(raw) => Output::Refs {
            items: items(raw.items, git_ref)?,
            next_cursor: cursor(raw.next_cursor)?,
        },
        output::Kind::Revocation(raw) => Output::Revocation(revocation(raw)?),
        output::Kind::Server(raw) => Output::Server(ServerFacts {
            version: prose(&raw.version),
            product: prose(&raw.product),
        }),
        output::Kind::Empty(_) => Output::Empty,
    })
}

fn items<T, U>(raw: Vec<T>, convert: fn(T) -> Checked<U>) -> Checked<Vec<U>> {
    at_most("items", raw.len(), PAGE_ITEMS)?;
    raw.into_iter().map(convert).collect()
}

fn cursor(value: String) -> Checked<String> {
    if value.len() > CURSOR || !value.bytes().all(|c| c.is_ascii_graphic()) {
        return Err(invalid("next_cursor", "is too long or not plain text"));
    }
    Ok(value)
}

fn identity(raw: v1::Identity) -> Checked<Identity> {
    Ok(Identity {
        kind: match raw.kind() {
            v1::AccountKind::Unspecified => AccountKind::Unknown,
            v1::AccountKind::User => AccountKind::User,
            v1::AccountKind::Bot => AccountKind::Bot,
            v1::AccountKind::Organization => AccountKind::Organization,
        },
        stable_id: name("identity.stable_id", raw.stable_id)?,
        login: name("identity.login", raw.login)?,
        display_name: prose(&raw.display_name),
        web_uri: optional_uri("identity.web_uri", raw.web_uri)?,
    })
}

fn token_facts(raw: v1::TokenFacts) -> Checked<TokenFacts> {
    let scopes = names("token_facts.scopes", raw.scopes, 128)?;
    let seconds = u64::try_from(raw.expire_unix)
        .map_err(|_| invalid("token_facts.expire_unix", "is negative"))?;
    let expires = Timestamp::from_unix_ms(seconds.saturating_mul(1000));
    Ok(TokenFacts {
        scopes: raw.scopes_known.then_some(scopes),
        expires: (seconds != 0).then_some(expires),
        active: raw.active,
    })
}

fn organization(raw: v1::Organization) -> Checked<Organization> {
    use OrganizationAccess as To;
    use v1::OrganizationAccess as From;
    Ok(Organization {
        access: match raw.access() {
            From::Unknown => To::Unknown,
            From::Granted => To::Granted,
            From::RestrictedByPolicy => To::RestrictedByPolicy,
            From::RequestPending => To::RequestPending,
            From::SsoRequired => To::SsoRequired,
            From::NotInstalled => To::NotInstalled,
            From::ScopeTooSmall => To::ScopeTooSmall,
            From::NoMembership => To::NoMembership,
        },
        who: match raw.who() {
            v1::Actor::Unspecified => None,
            v1::Actor::User => Some(Who::User),
            v1::Actor::OrganizationOwner => Some(Who::OrganizationOwner),
            v1::Actor::HostOperator => Some(Who::HostOperator),
        },
        stable_id: name("organization.stable_id", raw.stable_id)?,
        login: name("organization.login", raw.login)?,
        display_name: prose(&raw.display_name),
        reason: prose(&raw.reason),
        action_uri: optional_uri("organization.action_uri", raw.action_uri)?,
    })
}

fn repository(raw: v1::Repository) -> Checked<Repository> {
    Ok(Repository {
        stable_id: name("repository.stable_id", raw.stable_id)?,
        full_name: full_name("repository.full_name", raw.full_name)?,
        clone_uri: uri("repository.clone_uri", raw.clone_uri)?,
        web_uri: optional_uri("repository.web_uri", raw.web_uri)?,
        default_branch: optional_name("repository.default_branch", raw.default_branch)?,
        description: prose(&raw.description),
        private: raw.private,
        archived: raw.archived,
        can_read: raw.can_read,
        can_write: raw.can_write,
        can_administer: raw.can_administer,
    })
}

fn git_ref(raw: v1::Ref) -> Checked<Ref> {
    let kind = match raw.kind() {
        v1::RefKind::Unspecified => return Err(invalid("ref.kind", "is not set")),
        v1::RefKind::Branch => RefKind::Branch,
        v1::RefKind::Tag => RefKind::Tag,
    };
    let name = name("ref.name", raw.name)?;
    Ok(Ref {
        name,
        kind,
        commit: commit("ref.commit", raw.commit)?,
        protected: raw.protected,
    })
}

fn revocation(raw: v1::Revocation) -> Checked<Revocation> {
    let outcome = match raw.outcome() {
        v1::RevocationOutcome::Unspecified => {
            return Err(invalid("revocation.outcome", "is not set"));
        }
        v1::RevocationOutcome::Done => RevocationOutcome::Done,
        v1::RevocationOutcome::AlreadyAbsent => RevocationOutcome::AlreadyAbsent,
        v1::RevocationOutcome::Impossible => RevocationOutcome::Impossible,
    };
    let action_uri = optional_uri("revocation.action_uri", raw.action_uri)?;
    Ok(Revocation {
        outcome,
        message: prose(&raw.message),
        action_uri,
    })
}
