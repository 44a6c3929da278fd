//! Tokens that people make by themselves

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A personal access token, or one of a group or repository that acts as its bot
#[derive(Clone)]
pub struct PersonalToken {
    /// The number that never changes
    pub id: u64,
    /// The token itself
    pub secret: String,
    /// Who acts with it
    pub person: u64,
    /// Its note
    pub name: String,
    /// What it may do
    pub scopes: BTreeSet<String>,
    /// Milliseconds since 1970
    pub created: u64,
    /// When it ends; `None` for never
    pub expires: Option<u64>,
    /// When it was last accepted
    pub last_used: Option<u64>,
    /// Whether somebody revoked it, or rotation did
    pub revoked: bool,
    /// Id of the first token of those that came of each other by rotation
    pub family: u64,
}

impl std::fmt::Debug for PersonalToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PersonalToken")
            .field("id", &self.id)
            .field("person", &self.person)
            .field("revoked", &self.revoked)
            .finish_non_exhaustive()
    }
}

/// A token to be made
#[derive(Clone, Copy, Debug)]
pub struct NewToken<'a> {
    /// Who acts with it
    pub person: u64,
    /// Its note
    pub name: &'a str,
    /// What it may do
    pub scopes: &'a [&'a str],
    /// When it ends; `None` for never
    pub expires: Option<u64>,
}

/// Why a token is not accepted
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refused {
    /// There never was one
    Unknown,
    /// Somebody revoked it
    Revoked,
    /// Its time is over
    Expired,
}

impl PersonalToken {
    /// Whether it is accepted at a time
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn check(&self, now_ms: u64) -> Result<(), Refused> {
        if self.revoked {
            return Err(Refused::Revoked);
        }
        match self.expires {
            Some(end) if now_ms >= end => Err(Refused::Expired),
            _ => Ok(()),
        }
    }
}

/// All of them
#[derive(Debug, Default)]
pub struct Tokens {
    by_id: BTreeMap<u64, PersonalToken>,
    by_secret: HashMap<String, u64>,
}

impl Tokens {
    /// Adds one under an id and a secret that others made
    pub fn add(&mut self, id: u64, secret: String, new: &NewToken<'_>, now_ms: u64) -> u64 {
        let token = PersonalToken {
            id,
            secret,
            person: new.person,
            name: new.name.to_owned(),
            scopes: new.scopes.iter().map(|&scope| scope.to_owned()).collect(),
            created: now_ms,
            expires: new.expires,
            last_used: None,
            revoked: false,
            family: id,
        };
        self.insert(token)
    }

    fn insert(&mut self, token: PersonalToken) -> u64 {
        let id = token.id;
        self.by_secret.insert(token.secret.clone(), id);
        self.by_id.insert(id, token);
        id
    }

    /// One by its id
    #[must_use]
    pub fn get(&self, id: u64) -> Option<&PersonalToken> {
        self.by_id.get(&id)
    }

    /// One by its secret, whatever became of it
    #[must_use]
    pub fn find(&self, secret: &str) -> Option<&PersonalToken> {
        self.by_id.get(self.by_secret.get(secret)?)
    }

    /// The one that this secret is, if it is accepted now; remembers that it was used
    ///
    /// # Errors
    ///
    /// Why it is not.
    pub fn present(&mut self, secret: &str, now_ms: u64) -> Result<&PersonalToken, Refused> {
        let id = self.by_secret.get(secret).ok_or(Refused::Unknown)?;
        let token = self.by_id.get_mut(id).ok_or(Refused::Unknown)?;
        token.check(now_ms)?;
        token.last_used = Some(now_ms);
        Ok(token)
    }

    /// Those that are accepted at a time, by id
    #[must_use]
    pub fn alive(&self, now_ms: u64) -> Vec<u64> {
        let all = self.by_id.iter();
        let alive = all.filter(|(_, token)| token.check(now_ms).is_ok());
        alive.map(|(id, _)| *id).collect()
    }

    /// Revokes one
    pub fn revoke(&mut self, id: u64) {
        if let Some(token) = self.by_id.get_mut(&id) {
            token.revoked = true;
        }
    }

    /// Revokes all that came of each other by rotation
    pub fn revoke_family(&mut self, family: u64) {
        let members = self
            .by_id
            .values_mut()
            .filter(|token| token.family == family);
        members.for_each(|token| token.revoked = true);
    }

    /// Revokes one and puts another in its place, of the same family; `None` where there is no such one
    pub fn rotate(
        &mut self,
        old: u64,
        (id, secret): (u64, String),
        expires: Option<u64>,
        now_ms: u64,
    ) -> Option<&PersonalToken> {
        let before = self.by_id.get_mut(&old)?;
        before.revoked = true;
        let token = PersonalToken {
            id,
            secret,
            created: now_ms,
            expires,
            last_used: None,
            revoked: false,
            ..before.clone()
        };
        let id = self.insert(token);
        self.by_id.get(&id)
    }
}
