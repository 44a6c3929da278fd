//! Writing a hook, and telling its sources of a new state in the same transaction.

use bindery_core::{
    event::{Event, EventChange, EventOrigin, HookChange},
    hook::{Hook, HookStep},
    name::HookId,
    port::{Change, Expect, Key, Record},
    problem::{Problem, Reason},
    source::SourceName,
    time::Timestamp,
};
use futures_util::FutureExt;

use crate::{Engine, Versioned, events::Draft, records::change};

impl Engine {
    /// A hook.
    ///
    /// # Errors
    ///
    /// What the vault says.
    pub async fn hook(&self, id: &HookId) -> Result<Option<Versioned<Hook>>, Problem> {
        self.find_hook(id).await
    }

    /// Changes a hook, again and again until no other writer is in between. A new state becomes an event of each of its
    /// sources. `None` where the hook is gone.
    pub(crate) async fn change_hook(
        &self,
        id: &HookId,
        mut change: impl FnMut(&mut Hook),
    ) -> Result<Option<Hook>, Problem> {
        self.change_hook_with(id, |hook| {
            change(hook);
            Vec::new()
        })
        .await
    }

    /// As [`Engine::change_hook`], with what else becomes true at the same moment. The other changes must not expect what
    /// can't come true by waiting: a conflict begins anew.
    pub(crate) async fn change_hook_with(
        &self,
        id: &HookId,
        mut change: impl FnMut(&mut Hook) -> Vec<Change>,
    ) -> Result<Option<Hook>, Problem> {
        loop {
            let Some(Versioned { record, version }) = self.find_hook(id).await? else {
                return Ok(None);
            };
            let mut hook = record.clone();
            let others = change(&mut hook);
            if hook == record && others.is_empty() {
                return Ok(Some(hook));
            }
            let put = self.put_hook(&record, hook.clone(), version, others);
            match put.boxed().await {
                Err(problem) if problem.reason == Reason::StoreConflict => {}
                Err(problem) => return Err(problem),
                Ok(()) => return Ok(Some(hook)),
            }
        }
    }

    /// Writes a hook over the version that was read, with what else becomes true.
    pub(crate) async fn put_hook(
        &self,
        before: &Hook,
        after: Hook,
        version: u64,
        mut others: Vec<Change>,
    ) -> Result<(), Problem> {
        let drafts = state_events(before, &after, self.now());
        let key = Key::Hook(after.id.clone());
        let put = Some(Record::Hook(after.clone()));
        others.push(change(key, Expect::Version(version), put));
        self.append_events(drafts, |_| others).await?;
        self.hook_written(&after);
        Ok(())
    }

    /// A hook was written: it has its next time, and those who wait for it look again.
    pub(crate) fn hook_written(&self, hook: &Hook) {
        self.schedule_hook(hook);
        self.hooks().stir();
    }
}

/// One event for each source whose hook has a new state, or has gone because the app's serves the repository. Of a hook that goes
/// away with its sources nobody is told.
pub(crate) fn state_events(before: &Hook, after: &Hook, now: Timestamp) -> Vec<Draft> {
    let moved = before.by_app && before.has_own() && !after.has_own();
    if (before.state == after.state && !moved) || after.step == Some(HookStep::Delete) {
        return Vec::new();
    }
    let change = HookChange {
        before: before.state,
        after: after.state,
        message: after.message.clone(),
        who: after.who,
        action_uri: after.action_uri.clone(),
    };
    let sources = after.sources.iter();
    sources
        .map(|source| event(after, source, change.clone(), now).into())
        .collect()
}

fn event(hook: &Hook, source: &SourceName, change: HookChange, now: Timestamp) -> Event {
    Event {
        namespace: source.namespace.clone(),
        sequence: 0,
        link: source.link.clone(),
        source: Some(source.source.clone()),
        host: hook.host.clone(),
        repository: hook.repository.clone(),
        full_name: hook.full_name.clone(),
        happened: None,
        received: now,
        origin: EventOrigin::Daemon,
        delivery: None,
        actor: None,
        change: EventChange::Hook(change),
        verdict: None,
        rule: String::new(),
        build: None,
    }
}
