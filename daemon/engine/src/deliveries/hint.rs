//! What a delivery says about a repository or an authorization as a whole. It is a hint: the provider is asked, and what it
//! says then shows in the link, in its sources and in their hook.

use bindery_core::{
    hook::{Hook, HookState},
    problem::Who,
    provider::{Delivered, Happening, RepositoryChange, RepositoryChanged},
    source::Source,
};

use crate::Engine;

/// What is said of the hook of a repository that its provider says is gone.
pub(crate) const GONE: &str = "the repository is gone: deleted at the provider, or hidden from all links of its sources; disconnect them";

/// What is to be looked at.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Hint {
    /// The links.
    pub(super) links: bool,
    /// The hook, and with it the name of the repository.
    pub(super) hook: bool,
    /// The repository was deleted.
    pub(super) deleted: bool,
}

impl Hint {
    /// What a delivery of a hook's repository hints at.
    pub(super) fn of(hook: &Hook, delivered: &Delivered) -> Self {
        let mut changes = delivered.happenings.iter().filter_map(whole);
        let deleted = changes
            .clone()
            .any(|changed| changed.kind == RepositoryChange::Deleted);
        let changed = changes.next().is_some();
        let named = delivered.repository.as_ref();
        let renamed = named
            .is_some_and(|named| !named.full_name.is_empty() && named.full_name != hook.full_name);
        Self {
            links: delivered.access_changed || changed,
            hook: changed || renamed,
            deleted,
        }
    }

    /// Shows in a hook what the provider is asked about.
    pub(super) fn put_into(self, hook: &mut Hook, weak: bool) {
        if self.hook {
            hook.checked = None;
        }
        if self.deleted && !weak {
            hook.state = HookState::Missing;
            GONE.clone_into(&mut hook.message);
            hook.who = Some(Who::User);
        }
    }
}

fn whole(happening: &Happening) -> Option<&RepositoryChanged> {
    match happening {
        Happening::RepositoryChanged(changed) => Some(changed),
        _ => None,
    }
}

impl Engine {
    /// What the links of sources are left with is found out now.
    pub(super) async fn check_links_soon(&self, sources: &[Source]) {
        for source in sources {
            let link = self.find_link(&source.namespace, &source.link).await;
            if let Ok(Some(link)) = link {
                self.check_soon(&link.record);
            }
        }
    }
}
