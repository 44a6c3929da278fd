//! Hooks at a provider, what it sent, and what a delivery says

use bindery_core::provider::{
    Commit, Delivered, DeliveredRepository, Happening, HookFacts, Person, Push, RefDeleted,
    RepositoryChange, RepositoryChanged, SentDelivery, TagCreated,
};
use bindery_plugin_proto::v1::{self, happening};

use super::check::{
    Checked, at_most, commit, full_name, invalid, name, optional_commit, optional_name,
    optional_uri, prose, reference, when_ms,
};
use crate::text;

/// Most things that one delivery says.
const HAPPENINGS: usize = 1000;

/// Most commits of one push.
const COMMITS: usize = 100;

/// Most paths of one push.
const PATHS: usize = 1000;

/// Longest message of a commit or tag, in bytes.
const MESSAGE: usize = 4096;

/// Longest URL of a hook, in bytes.
const URL: usize = 2048;

/// Most ways in which a hook differs.
const DEVIATIONS: usize = 16;

/// A hook as the provider has it. Its URL may be anybody's and anything: it is compared, and never called.
pub(crate) fn hook(raw: v1::HookFacts) -> Checked<HookFacts> {
    at_most("hook.deviations", raw.deviations.len(), DEVIATIONS)?;
    Ok(HookFacts {
        hook_id: name("hook.hook_id", raw.hook_id)?,
        url: text::clean(&raw.url, URL),
        active: raw.active,
        disabled: raw.disabled,
        deviations: raw.deviations.iter().map(|one| prose(one)).collect(),
        scheme: optional_name("hook.scheme", raw.scheme)?,
        message: prose(&raw.message),
        failing: raw.failing,
        web_uri: optional_uri("hook.web_uri", raw.web_uri)?,
    })
}

/// A delivery in the provider's own list.
pub(crate) fn sent(raw: v1::SentDelivery) -> Checked<SentDelivery> {
    let status = u16::try_from(raw.status).ok().filter(|code| *code < 1000);
    Ok(SentDelivery {
        sent_id: name("sent_deliveries.sent_id", raw.sent_id)?,
        stable_id: optional_name("sent_deliveries.stable_id", raw.stable_id)?,
        event: optional_name("sent_deliveries.event", raw.event)?,
        sent: when_ms("sent_deliveries.sent_unix_ms", raw.sent_unix_ms)?,
        status: status.ok_or(invalid("sent_deliveries.status", "is no status"))?,
    })
}

/// What a delivery says.
pub(crate) fn delivered(raw: v1::Delivered) -> Checked<Delivered> {
    at_most("delivered.happenings", raw.happenings.len(), HAPPENINGS)?;
    if raw.repository.is_none() && !raw.happenings.is_empty() {
        return Err(invalid("delivered.repository", "is not set"));
    }
    let happenings = raw.happenings.into_iter().map(happening);
    Ok(Delivered {
        ping: raw.ping,
        repository: raw.repository.map(repository).transpose()?,
        actor: raw.actor.map(person).transpose()?,
        happened: when_ms("delivered.happened_unix_ms", raw.happened_unix_ms)?,
        happenings: happenings.collect::<Checked<_>>()?,
        access_changed: raw.access_changed,
        truncated: raw.truncated,
        installation_id: optional_name("delivered.installation_id", raw.installation_id)?,
    })
}

fn repository(raw: v1::DeliveredRepository) -> Checked<DeliveredRepository> {
    Ok(DeliveredRepository {
        stable_id: name("delivered.repository.stable_id", raw.stable_id)?,
        full_name: full_name("delivered.repository.full_name", raw.full_name)?,
    })
}

fn person(raw: v1::Person) -> Checked<Person> {
    Ok(Person {
        stable_id: optional_name("delivered.actor.stable_id", raw.stable_id)?,
        login: optional_name("delivered.actor.login", raw.login)?,
        display_name: prose(&raw.display_name),
    })
}

fn happening(raw: v1::Happening) -> Checked<Happening> {
    let kind = raw.kind.ok_or(invalid("happening", "is not set"))?;
    Ok(match kind {
        happening::Kind::Push(raw) => Happening::Push(push(raw)?),
        happening::Kind::TagCreated(raw) => Happening::TagCreated(tag(raw)?),
        happening::Kind::RefDeleted(raw) => Happening::RefDeleted(RefDeleted {
            reference: reference("ref_deleted.ref", raw.r#ref)?,
            before: optional_commit("ref_deleted.before", raw.before)?,
        }),
        happening::Kind::RepositoryChanged(raw) => Happening::RepositoryChanged(changed(raw)?),
    })
}

fn push(raw: v1::Push) -> Checked<Push> {
    at_most("push.commits", raw.commits.len(), COMMITS)?;
    at_most("push.changed_paths", raw.changed_paths.len(), PATHS)?;
    let paths = raw.changed_paths.into_iter();
    let paths = paths.map(|path| name("push.changed_paths", path));
    let after = optional_commit("push.after", raw.after)?;
    Ok(Push {
        reference: below("push.ref", raw.r#ref, "refs/heads/")?,
        before: optional_commit("push.before", raw.before)?,
        after: name("push.after", after)?,
        forced: raw.forced,
        commits: raw
            .commits
            .into_iter()
            .map(one_commit)
            .collect::<Checked<_>>()?,
        commit_count: raw.commit_count,
        changed_paths: paths.collect::<Checked<_>>()?,
        changed_paths_complete: raw.changed_paths_complete,
    })
}

/// A ref of one kind.
fn below(field: &'static str, value: String, prefix: &str) -> Checked<String> {
    let value = reference(field, value)?;
    if value.starts_with(prefix) {
        Ok(value)
    } else {
        Err(invalid(field, "is a ref of another kind"))
    }
}

fn one_commit(raw: v1::Commit) -> Checked<Commit> {
    Ok(Commit {
        id: commit("push.commits.id", raw.id)?.to_ascii_lowercase(),
        message: text::clean_lines(&raw.message, MESSAGE),
        author_name: prose(&raw.author_name),
        author_email: prose(&raw.author_email),
        time: when_ms("push.commits.time_unix_ms", raw.time_unix_ms)?,
        web_uri: optional_uri("push.commits.web_uri", raw.web_uri)?,
    })
}

fn tag(raw: v1::TagCreated) -> Checked<TagCreated> {
    Ok(TagCreated {
        reference: below("tag_created.ref", raw.r#ref, "refs/tags/")?,
        commit: optional_commit("tag_created.commit", raw.commit)?,
        tag_object: optional_commit("tag_created.tag_object", raw.tag_object)?,
        before: optional_commit("tag_created.before", raw.before)?,
        message: text::clean_lines(&raw.message, MESSAGE),
        commit_message: text::clean_lines(&raw.commit_message, MESSAGE),
    })
}

fn changed(raw: v1::RepositoryChanged) -> Checked<RepositoryChanged> {
    use v1::RepositoryChange as From;
    let kind = match raw.kind() {
        From::Unspecified => return Err(invalid("repository_changed.kind", "is not set")),
        From::Renamed => RepositoryChange::Renamed,
        From::Transferred => RepositoryChange::Transferred,
        From::Deleted => RepositoryChange::Deleted,
        From::Archived => RepositoryChange::Archived,
        From::Unarchived => RepositoryChange::Unarchived,
        From::VisibilityChanged => RepositoryChange::VisibilityChanged,
    };
    let after = path("repository_changed.after", raw.after)?;
    if after.is_empty() != (kind == RepositoryChange::Deleted) {
        return Err(invalid("repository_changed.after", "does not fit the kind"));
    }
    Ok(RepositoryChanged {
        kind,
        before: path("repository_changed.before", raw.before)?,
        after,
    })
}

/// The path of a repository, or nothing.
fn path(field: &'static str, value: String) -> Checked<String> {
    if value.is_empty() {
        Ok(value)
    } else {
        full_name(field, value)
    }
}

#[cfg(test)]
mod tests;
