//! Repositories, which move about while their ids stay

use std::collections::BTreeMap;

use super::{Role, World};

/// Whose repository it is
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Owner {
    /// A person
    Person(u64),
    /// A group
    Group(u64),
}

/// A branch or a tag
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ref {
    /// Full name: `refs/heads/main`
    pub name: String,
    /// The commit, also where an annotated tag is between
    pub commit: String,
    /// The tag object of an annotated tag
    pub tag_object: Option<String>,
}

/// A repository
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Repository {
    /// The number that never changes
    pub id: u64,
    /// Whose it is
    pub owner: Owner,
    /// Last part of its path
    pub path: String,
    /// Name for people, which may be in any script
    pub name: String,
    /// Whether only those with a role see it
    pub private: bool,
    /// Whether nobody may write to it any more
    pub archived: bool,
    /// People who have a role in it of their own
    pub members: BTreeMap<u64, Role>,
    /// Full paths that it had before
    pub former: Vec<String>,
    /// Its branches and tags
    pub refs: Vec<Ref>,
    /// Its main branch
    pub default_branch: String,
    /// Milliseconds since 1970
    pub created: u64,
}

/// Where a path leads
#[derive(Clone, Copy, Debug)]
pub enum Found<'a> {
    /// To this one
    Here(&'a Repository),
    /// To this one, which has another path now
    Moved(&'a Repository),
}

impl World {
    /// Adds a private repository without any commit, and returns its id
    pub fn add_repository(&mut self, owner: Owner, path: &str, now_ms: u64) -> u64 {
        let id = self.id();
        let repository = Repository {
            id,
            owner,
            path: path.to_owned(),
            name: path.to_owned(),
            private: true,
            archived: false,
            members: BTreeMap::new(),
            former: Vec::new(),
            refs: Vec::new(),
            default_branch: "main".to_owned(),
            created: now_ms,
        };
        self.repositories.insert(id, repository);
        id
    }

    /// Gives a repository another path; the old one leads to it until something else takes it
    pub fn rename_repository(&mut self, id: u64, path: &str) {
        self.change_place(id, |repository| path.clone_into(&mut repository.path));
    }

    /// Gives a repository to another owner; the old path leads to it until something else takes it
    pub fn transfer_repository(&mut self, id: u64, owner: Owner) {
        self.change_place(id, |repository| repository.owner = owner);
    }

    fn change_place(&mut self, id: u64, change: impl FnOnce(&mut Repository)) {
        let before = self
            .repositories
            .get(&id)
            .map(|found| self.full_path(found));
        if let (Some(before), Some(repository)) = (before, self.repositories.get_mut(&id)) {
            repository.former.push(before);
            change(repository);
        }
    }

    /// Path with its owner: `acme/tools/hello`
    #[must_use]
    pub fn full_path(&self, repository: &Repository) -> String {
        format!("{}/{}", self.owner_path(repository.owner), repository.path)
    }

    /// Path of an owner; empty for one that is gone
    #[must_use]
    pub fn owner_path(&self, owner: Owner) -> String {
        match owner {
            Owner::Person(id) => self.people.get(&id).map(|person| person.login.clone()),
            Owner::Group(id) => Some(self.group_path(id)),
        }
        .unwrap_or_default()
    }

    /// A repository by its path, or by one that it had before
    #[must_use]
    pub fn repository(&self, full_path: &str) -> Option<Found<'_>> {
        let same = |known: &str| known.eq_ignore_ascii_case(full_path);
        let mut all = self.repositories.values();
        let here = all.find(|found| same(&self.full_path(found)));
        let mut all = self.repositories.values();
        let moved = all.find(|found| found.former.iter().any(|former| same(former)));
        here.map(Found::Here).or(moved.map(Found::Moved))
    }

    /// What somebody is in a repository, by membership alone: a public one is read by all the same
    #[must_use]
    pub fn role(&self, person: u64, repository: &Repository) -> Option<Role> {
        let inherited = match repository.owner {
            Owner::Person(id) => (id == person).then_some(Role::Owner),
            Owner::Group(id) => self.role_in_group(person, id),
        };
        inherited.max(repository.members.get(&person).copied())
    }

    /// Whether somebody, or anybody, may read it
    #[must_use]
    pub fn may_read(&self, person: Option<u64>, repository: &Repository) -> bool {
        let role = person.and_then(|person| self.role(person, repository));
        !repository.private || role >= Some(Role::Read)
    }

    /// Somebody who owns or administers it: the owner, or the first such member of the group
    #[must_use]
    pub fn keeper(&self, repository: &Repository) -> Option<u64> {
        if let Owner::Person(id) = repository.owner {
            return Some(id);
        }
        let mut people = self.people.keys().copied();
        people.find(|person| self.role(*person, repository) >= Some(Role::Admin))
    }

    /// Replaces what a repository has for branches and tags
    pub fn set_refs(&mut self, id: u64, refs: Vec<Ref>) {
        if let Some(repository) = self.repositories.get_mut(&id) {
            repository.refs = refs;
        }
    }
}
