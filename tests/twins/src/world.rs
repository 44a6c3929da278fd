//! People, groups, repositories, personal tokens: what every forge has, in words of no forge

mod repository;
mod token;

use std::collections::BTreeMap;

pub use repository::{Found, Owner, Ref, Repository};
pub use token::{NewToken, PersonalToken, Refused, Tokens};

/// How far somebody may go in a group or a repository; each one includes those before it
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Role {
    /// Knows that it is there
    Guest,
    /// Reads it
    Read,
    /// Writes to it
    Write,
    /// Administers it
    Admin,
    /// Owns it
    Owner,
}

/// Somebody who can sign in, or the bot that a group's or repository's token acts as
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Person {
    /// The number that never changes
    pub id: u64,
    /// Name to sign in with, which may change
    pub login: String,
    /// Name for people
    pub name: String,
    /// E-mail address
    pub email: String,
    /// Whether an administrator has blocked them
    pub suspended: bool,
    /// Whether it is nobody
    pub bot: bool,
    /// Milliseconds since 1970
    pub created: u64,
}

/// An organization, group or workspace
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Group {
    /// The number that never changes
    pub id: u64,
    /// Path of the last level: `tools`
    pub path: String,
    /// Name for people, which may be in any script
    pub name: String,
    /// The group that it is in
    pub parent: Option<u64>,
    /// People and what they are in it
    pub members: BTreeMap<u64, Role>,
    /// Milliseconds since 1970
    pub created: u64,
}

/// All of it
#[derive(Debug, Default)]
pub struct World {
    /// People by id
    pub people: BTreeMap<u64, Person>,
    /// Groups by id
    pub groups: BTreeMap<u64, Group>,
    /// Repositories by id
    pub repositories: BTreeMap<u64, Repository>,
    /// Personal access tokens and their like
    pub tokens: Tokens,
    ids: u64,
}

impl World {
    /// The next id; ids are of no contiguous range, and nothing may rely on their size
    pub const fn id(&mut self) -> u64 {
        self.ids += 17;
        21_000_000 + self.ids
    }

    /// Adds somebody, and returns their id
    pub fn add_person(&mut self, login: &str, now_ms: u64) -> u64 {
        let id = self.id();
        let person = Person {
            id,
            login: login.to_owned(),
            name: format!("{login} at work"),
            email: format!("{login}@example.com"),
            suspended: false,
            bot: false,
            created: now_ms,
        };
        self.people.insert(id, person);
        id
    }

    /// Adds the account that a token of a group or repository acts for, and returns its id
    pub fn add_bot(&mut self, login: &str, now_ms: u64) -> u64 {
        let id = self.add_person(login, now_ms);
        if let Some(bot) = self.people.get_mut(&id) {
            bot.bot = true;
        }
        id
    }

    /// Lets somebody into a single repository
    pub fn admit(&mut self, person: u64, repository: u64, role: Role) {
        if let Some(repository) = self.repositories.get_mut(&repository) {
            repository.members.insert(person, role);
        }
    }

    /// Adds a group, and returns its id
    pub fn add_group(&mut self, path: &str, parent: Option<u64>, now_ms: u64) -> u64 {
        let id = self.id();
        let group = Group {
            id,
            path: path.to_owned(),
            name: path.to_owned(),
            parent,
            members: BTreeMap::new(),
            created: now_ms,
        };
        self.groups.insert(id, group);
        id
    }

    /// Lets somebody into a group
    pub fn join(&mut self, person: u64, group: u64, role: Role) {
        if let Some(group) = self.groups.get_mut(&group) {
            group.members.insert(person, role);
        }
    }

    /// Takes somebody out of a group
    pub fn leave(&mut self, person: u64, group: u64) {
        if let Some(group) = self.groups.get_mut(&group) {
            group.members.remove(&person);
        }
    }

    /// Blocks somebody, or lets them in again
    pub fn suspend(&mut self, person: u64, suspended: bool) {
        if let Some(person) = self.people.get_mut(&person) {
            person.suspended = suspended;
        }
    }

    /// Somebody by login, without regard to case
    #[must_use]
    pub fn person(&self, login: &str) -> Option<&Person> {
        let mut people = self.people.values();
        people.find(|person| person.login.eq_ignore_ascii_case(login))
    }

    /// Path of a group with those above it: `acme/tools`
    #[must_use]
    pub fn group_path(&self, id: u64) -> String {
        let paths = self.upward(id).map(|group| group.path.as_str());
        let mut paths: Vec<_> = paths.collect();
        paths.reverse();
        paths.join("/")
    }

    /// Names of a group and those above it
    #[must_use]
    pub fn group_names(&self, id: u64) -> Vec<&str> {
        let names = self.upward(id).map(|group| group.name.as_str());
        let mut names: Vec<_> = names.collect();
        names.reverse();
        names
    }

    /// A group by its full path
    #[must_use]
    pub fn group(&self, full_path: &str) -> Option<&Group> {
        let mut groups = self.groups.values();
        groups.find(|group| self.group_path(group.id).eq_ignore_ascii_case(full_path))
    }

    /// What somebody is in a group: the most of what they are there and in those above it
    #[must_use]
    pub fn role_in_group(&self, person: u64, group: u64) -> Option<Role> {
        let roles = self
            .upward(group)
            .filter_map(|group| group.members.get(&person));
        roles.max().copied()
    }

    /// A group and those above it, from the inside out
    fn upward(&self, id: u64) -> impl Iterator<Item = &Group> {
        let parent = |group: &&Group| self.groups.get(&group.parent?);
        std::iter::successors(self.groups.get(&id), parent)
    }
}
