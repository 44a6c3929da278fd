//! A repository has another path, or is gone, and no delivery told of it: most providers send none. Its sources in use hear of
//! it once, in the commit that writes it down.

use std::time::Duration;

use bindery_core::{
    hook::{Hook, HookState},
    name::HookId,
    port::{Change, Expect, Key, Record},
    problem::{Problem, Reason, Who},
    provider::{Happening, RepositoryChange, RepositoryChanged},
    source::SourceName,
    time::Timestamp,
};

use crate::{
    Engine, Versioned,
    deliveries::{Changes, GONE, Told},
    records::change,
};

/// How often another writer may be faster.
const CONFLICTS: usize = 16;

/// A repository counts as gone that its provider did not know at two looks with this time in between. The first one is kept in
/// the hook's record, so that a restart in between forgets nothing.
pub(super) const BETWEEN_LOOKS: Duration = Duration::from_secs(60);

impl Engine {
    /// Writes the new name of a repository into its hook and its sources.
    pub(crate) async fn rename_hook(&self, id: &HookId, full_name: &str) -> Result<(), Problem> {
        self.change_and_tell(id, |changes| put_name(changes, full_name, self.now()))
            .await?;
        let renamed = self.find_hook(id).await?.map(|entry| entry.record);
        for source in renamed.iter().flat_map(|hook| &hook.sources) {
            if let Some(put) = self.renamed_source(source, full_name).await? {
                // One who was faster read the new name as well, or the next look sets it.
                let _ = self.commit(vec![put]).await;
            }
        }
        Ok(())
    }

    async fn renamed_source(
        &self,
        name: &SourceName,
        full_name: &str,
    ) -> Result<Option<Change>, Problem> {
        let Some(Versioned {
            mut record,
            version,
        }) = self.find_source(name).await?
        else {
            return Ok(None);
        };
        full_name.clone_into(&mut record.full_name);
        let key = Key::Source(
            name.namespace.clone(),
            name.link.clone(),
            name.source.clone(),
        );
        let put = Some(Record::Source(record));
        Ok(Some(change(key, Expect::Version(version), put)))
    }

    /// The provider does not know the repository, whichever of its links asks. Says whether it counts as gone by now: one
    /// answer may be a bad moment of the provider.
    pub(super) async fn is_gone(&self, hook: &Hook) -> Result<bool, Problem> {
        // An app that was taken out of a repository does not see it either, and its own webhook tells of deletions.
        if hook.by_app {
            return Ok(false);
        }
        let now = self.now();
        let Some(first) = hook.unknown_since else {
            self.change_hook(&hook.id, |hook| hook.unknown_since = Some(now))
                .await?;
            return Ok(false);
        };
        if now.since(first) < BETWEEN_LOOKS {
            return Ok(false);
        }
        self.change_and_tell(&hook.id, |changes| put_gone(changes, now))
            .await?;
        Ok(true)
    }

    /// The provider knows the repository.
    pub(super) async fn is_there(&self, hook: &Hook) -> Result<(), Problem> {
        if hook.unknown_since.is_none() {
            return Ok(());
        }
        let known = self.change_hook(&hook.id, |hook| hook.unknown_since = None);
        known.await.map(drop)
    }

    async fn change_and_tell(
        &self,
        id: &HookId,
        alter: impl Fn(&mut Changes),
    ) -> Result<(), Problem> {
        for _ in 0..CONFLICTS {
            match self.try_to_tell(id, &alter).await {
                Err(problem) if problem.reason == Reason::StoreConflict => {}
                outcome => return outcome,
            }
        }
        self.try_to_tell(id, &alter).await
    }

    async fn try_to_tell(&self, id: &HookId, alter: impl Fn(&mut Changes)) -> Result<(), Problem> {
        let Some(mut changes) = self.changes(id).await? else {
            return Ok(());
        };
        alter(&mut changes);
        if changes.after == changes.before.record {
            return Ok(());
        }
        self.write_changes(changes, |_| Vec::new()).await.map(drop)
    }
}

/// Notes a new path, and tells it where it is one and nobody did.
pub(crate) fn put_name(changes: &mut Changes, full_name: &str, now: Timestamp) {
    let before = &changes.before.record.full_name;
    // Some providers tell a path in another case than they answer with.
    if !before.is_empty() && !before.eq_ignore_ascii_case(full_name) {
        let moved = Happening::RepositoryChanged(RepositoryChanged {
            kind: kind_of(before, full_name),
            before: before.clone(),
            after: full_name.to_owned(),
        });
        changes.told.push(Told::found(moved, now));
    }
    full_name.clone_into(&mut changes.after.full_name);
}

fn put_gone(changes: &mut Changes, now: Timestamp) {
    changes.after.checked = Some(now);
    if is_known_gone(&changes.before.record) {
        return;
    }
    changes.after.state = HookState::Missing;
    GONE.clone_into(&mut changes.after.message);
    changes.after.who = Some(Who::User);
    let gone = Happening::RepositoryChanged(RepositoryChanged {
        kind: RepositoryChange::Deleted,
        before: changes.before.record.full_name.clone(),
        after: String::new(),
    });
    changes.told.push(Told::found(gone, now));
}

/// Whether it was told that the repository of a hook is gone.
pub(crate) fn is_known_gone(hook: &Hook) -> bool {
    hook.state == HookState::Missing && hook.message == GONE
}

/// A repository with another owner was transferred, also where it has another name as well.
fn kind_of(before: &str, after: &str) -> RepositoryChange {
    let owner = |path: &str| {
        path.rsplit_once('/')
            .map(|(owner, _)| owner.to_ascii_lowercase())
    };
    if owner(before) == owner(after) {
        RepositoryChange::Renamed
    } else {
        RepositoryChange::Transferred
    }
}
