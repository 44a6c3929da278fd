//! `Output`: what a plugin found

use bindery_core::{
    problem::Who,
    provider::{
        AccountKind, Identity, Installation, Minted, Organization, OrganizationAccess, Output, Ref,
        RefKind, Repository, Revocation, RevocationOutcome, ServerFacts, TokenFacts,
    },
    time::Timestamp,
};
use bindery_plugin_proto::v1::{self, output};

use super::{
    check::{
        Checked, at_most, commit, full_name, invalid, name, names, optional_name, optional_uri,
        prose, ssh_uri, uri, when_ms,
    },
    delivery,
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
            partial_reason: prose(&raw.partial_reason),
            partial_uri: optional_uri("organizations.partial_uri", raw.partial_uri)?,
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
            app_slug: optional_name("server.app_slug", raw.app_slug)?,
        }),
        output::Kind::Minted(raw) => Output::Minted(minted(raw)?),
        output::Kind::Installation(raw) => Output::Installation(installation(raw)?),
        output::Kind::Hooks(raw) => Output::Hooks(items(raw.items, delivery::hook)?),
        output::Kind::Hook(raw) => Output::Hook(delivery::hook(raw)?),
        output::Kind::SentDeliveries(raw) => {
            Output::SentDeliveries(items(raw.items, delivery::sent)?)
        }
        output::Kind::Delivered(raw) => Output::Delivered(delivery::delivered(raw)?),
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
            v1::AccountKind::App => AccountKind::App,
        },
        stable_id: name("identity.stable_id", raw.stable_id)?,
        login: name("identity.login", raw.login)?,
        display_name: prose(&raw.display_name),
        web_uri: optional_uri("identity.web_uri", raw.web_uri)?,
    })
}

fn minted(raw: v1::Minted) -> Checked<Minted> {
    let field = "minted.expire_unix";
    Ok(Minted {
        expires: when(field, raw.expire_unix)?.ok_or(invalid(field, "is not set"))?,
        narrowed: raw.narrowed,
        scopes: names("minted.scopes", raw.scopes, 128)?,
    })
}

fn installation(raw: v1::Installation) -> Checked<Installation> {
    let account = raw
        .account
        .ok_or(invalid("installation.account", "is not set"))?;
    Ok(Installation {
        installation_id: name("installation.installation_id", raw.installation_id)?,
        account: identity(account)?,
        scopes: names("installation.scopes", raw.scopes, 128)?,
        suspended: raw.suspended,
        all_repositories: raw.all_repositories,
        web_uri: optional_uri("installation.web_uri", raw.web_uri)?,
    })
}

/// Seconds since the epoch; 0 for no time at all.
fn when(field: &'static str, unix: i64) -> Checked<Option<Timestamp>> {
    let seconds = u64::try_from(unix).map_err(|_| invalid(field, "is negative"))?;
    let when = Timestamp::from_unix_ms(seconds.saturating_mul(1000));
    Ok((seconds != 0).then_some(when))
}

fn token_facts(raw: v1::TokenFacts) -> Checked<TokenFacts> {
    let scopes = names("token_facts.scopes", raw.scopes, 128)?;
    Ok(TokenFacts {
        scopes: raw.scopes_known.then_some(scopes),
        expires: when("token_facts.expire_unix", raw.expire_unix)?,
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
        role: prose(&raw.role),
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
        display_name: prose(&raw.display_name),
        ssh_uri: ssh_uri(raw.ssh_uri),
        fork: raw.fork,
        updated: when_ms("repository.updated_unix_ms", raw.updated_unix_ms)?,
        internal: raw.internal && raw.private,
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
