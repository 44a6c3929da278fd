//! What people do to a repository, in words of no forge

use crate::world::{Owner, Ref, World};

/// What stands for a commit where there is none
pub const ZEROS: &str = "0000000000000000000000000000000000000000";

/// Something that hooks may be told
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change {
    /// Branches and tags were pushed, changed or removed, all in one push
    Push(Push),
    /// It got another name
    Renamed {
        /// Id of the repository
        repository: u64,
        /// Its new name
        to: String,
        /// Who did it
        by: u64,
    },
    /// It got another owner
    Transferred {
        /// Id of the repository
        repository: u64,
        /// Its new owner
        to: Owner,
        /// Who did it
        by: u64,
    },
    /// It is gone, and its hooks with it
    Deleted {
        /// Id of the repository
        repository: u64,
        /// Who did it
        by: u64,
    },
}

/// One push
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Push {
    /// Id of the repository
    pub repository: u64,
    /// Who pushed
    pub by: u64,
    /// What changed, in its order
    pub refs: Vec<RefChange>,
}

/// What a push did to one branch or tag
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RefChange {
    /// Full name: `refs/heads/main`
    pub name: String,
    /// What it was; `None` where it was not there
    pub before: Option<Target>,
    /// What it is; `None` where it was removed
    pub after: Option<Target>,
    /// Whether what was there is not in what is there now
    pub forced: bool,
    /// What is new in it, oldest first
    pub commits: Vec<Commit>,
}

/// What a branch or a tag points to
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    /// The commit, or the tag object of an annotated tag
    pub object: String,
    /// The commit
    pub commit: String,
}

/// One commit
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Commit {
    /// Its hash
    pub id: String,
    /// Hash of what it is based on; empty for the first
    pub parent: String,
    /// Its message
    pub message: String,
    /// Name of its author
    pub author: String,
    /// Address of its author
    pub email: String,
    /// Milliseconds since 1970
    pub at_ms: u64,
    /// Files that it added
    pub added: Vec<String>,
    /// Files that it changed
    pub modified: Vec<String>,
    /// Files that it removed
    pub removed: Vec<String>,
}

impl Target {
    /// A commit itself
    #[must_use]
    pub fn commit(commit: &str) -> Self {
        Self::tag(commit, commit)
    }

    /// A tag object that points to a commit
    #[must_use]
    pub fn tag(object: &str, commit: &str) -> Self {
        Self {
            object: object.to_owned(),
            commit: commit.to_owned(),
        }
    }

    /// What a repository's branch or tag points to
    #[must_use]
    pub fn of(found: &Ref) -> Self {
        let object = found.tag_object.as_ref().unwrap_or(&found.commit);
        Self::tag(object, &found.commit)
    }
}

impl RefChange {
    /// A branch that went on to another commit
    #[must_use]
    pub fn updated(name: &str, before: &str, after: &str) -> Self {
        Self {
            name: name.to_owned(),
            before: Some(Target::commit(before)),
            after: Some(Target::commit(after)),
            ..Self::default()
        }
    }

    /// A new branch or tag
    #[must_use]
    pub fn created(name: &str, after: Target) -> Self {
        Self {
            name: name.to_owned(),
            after: Some(after),
            ..Self::default()
        }
    }

    /// A branch or tag that was removed
    #[must_use]
    pub fn deleted(name: &str, before: Target) -> Self {
        Self {
            name: name.to_owned(),
            before: Some(before),
            ..Self::default()
        }
    }

    /// Name without its kind
    #[must_use]
    pub fn short(&self) -> &str {
        let name = self.name.as_str();
        let short = name.strip_prefix("refs/heads/");
        short
            .or_else(|| name.strip_prefix("refs/tags/"))
            .unwrap_or(name)
    }

    /// Whether it is a tag
    #[must_use]
    pub fn is_tag(&self) -> bool {
        self.name.starts_with("refs/tags/")
    }

    /// The object that it was, or zeros
    #[must_use]
    pub fn before(&self) -> &str {
        object(self.before.as_ref())
    }

    /// The object that it is, or zeros
    #[must_use]
    pub fn after(&self) -> &str {
        object(self.after.as_ref())
    }
}

fn object(target: Option<&Target>) -> &str {
    target.map_or(ZEROS, |target| target.object.as_str())
}

impl Change {
    /// Id of the repository that it is about
    #[must_use]
    pub const fn repository(&self) -> u64 {
        match self {
            Self::Push(push) => push.repository,
            Self::Renamed { repository, .. }
            | Self::Transferred { repository, .. }
            | Self::Deleted { repository, .. } => *repository,
        }
    }
}

impl World {
    /// Does what a change says
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Push(push) => self.apply_push(push),
            Change::Renamed { repository, to, .. } => self.rename_repository(*repository, to),
            Change::Transferred { repository, to, .. } => {
                self.transfer_repository(*repository, *to);
            }
            Change::Deleted { repository, .. } => {
                self.repositories.remove(repository);
            }
        }
    }

    fn apply_push(&mut self, push: &Push) {
        let Some(repository) = self.repositories.get_mut(&push.repository) else {
            return;
        };
        for change in &push.refs {
            repository.refs.retain(|known| known.name != change.name);
            let Some(after) = &change.after else { continue };
            let annotated = after.object != after.commit;
            repository.refs.push(Ref {
                name: change.name.clone(),
                commit: after.commit.clone(),
                tag_object: annotated.then(|| after.object.clone()),
            });
        }
    }

    /// What turns one list of branches and tags into another, without commits
    #[must_use]
    pub fn difference(old: &[Ref], new: &[Ref]) -> Vec<RefChange> {
        let in_list = |list: &[Ref], name: &str| {
            let found = list.iter().find(|known| known.name == name);
            found.map(Target::of)
        };
        let gone = old.iter().filter(|was| in_list(new, &was.name).is_none());
        let names = new.iter().chain(gone).map(|found| found.name.as_str());
        let changes = names.map(|name| RefChange {
            name: name.to_owned(),
            before: in_list(old, name),
            after: in_list(new, name),
            ..RefChange::default()
        });
        changes
            .filter(|change| change.before != change.after)
            .collect()
    }
}
