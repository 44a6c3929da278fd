//! Who may do what, where: the policy file, and its judgement.
//!
//! ```toml
//! # May use the admin socket, besides root and the user that the daemon runs as.
//! admins = ["gid:997"]
//!
//! [[allow]]
//! principals = ["uid:1000", "spiffe://example.org/registry"]
//! namespaces = ["acme"]
//! actions = ["read", "link", "credential:read"]
//!
//! [[allow]]
//! principals = ["dns:builder.example.org"]
//! namespaces = ["acme"]
//! actions = ["credential:read"]
//! repositories = ["acme/api", "acme-tools/*"]
//! wide_tokens = true
//! ```
//!
//! What no rule allows is refused. Names are compared whole: `*` stands for all namespaces, and `owner/*` for all
//! repositories of one owner; nothing else is a pattern. A rule for some repositories gives tokens that reach no other one,
//! which only an app's installation has, unless `wide_tokens` takes what the provider has instead.

mod parse;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use bindery_core::{name::NamespaceName, port::Rights, trigger::OPERATOR};
use thiserror::Error;

use crate::peer::Caller;

/// What a rule can allow. A closed set.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Action {
    /// `read`: see the namespace, its links, receipts, organizations, repositories and refs.
    Read,
    /// `link`: make, confirm, check, disable, enable and end links.
    Link,
    /// `credential:read`: get tokens for reading code.
    CredentialRead,
    /// `credential:write`: get tokens for writing code.
    CredentialWrite,
    /// `source`: connect repositories as build sources.
    Source,
    /// `event`: watch events and fire triggers.
    Event,
    /// `event:payload`: see the bodies that providers delivered, beside `event` with events and beside `source` with
    /// deliveries. They tell more than events do: names and addresses of people, and whatever a provider adds.
    EventPayload,
    /// `namespace`: make, change and delete the namespace.
    Namespace,
    /// `provider`: see which providers there are.
    Provider,
    /// `host:read`: see which hosts there are.
    HostRead,
    /// `host`: make, change, probe and delete hosts.
    Host,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Read,
        Self::Link,
        Self::CredentialRead,
        Self::CredentialWrite,
        Self::Source,
        Self::Event,
        Self::EventPayload,
        Self::Namespace,
        Self::Provider,
        Self::HostRead,
        Self::Host,
    ];

    /// As it is written in the policy file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Link => "link",
            Self::CredentialRead => "credential:read",
            Self::CredentialWrite => "credential:write",
            Self::Source => "source",
            Self::Event => "event",
            Self::EventPayload => "event:payload",
            Self::Namespace => "namespace",
            Self::Provider => "provider",
            Self::HostRead => "host:read",
            Self::Host => "host",
        }
    }

    /// Whether it holds on the daemon instead of in a namespace.
    const fn is_global(self) -> bool {
        matches!(self, Self::Provider | Self::HostRead | Self::Host)
    }

    const fn is_credential(self) -> bool {
        matches!(self, Self::CredentialRead | Self::CredentialWrite)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A policy that can't be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The file can't be read.
    #[error("the policy file {path} can't be read: {source}", path = .path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Everything that is wrong in it.
    #[error("the policy is wrong: {}", .0.join("; "))]
    Invalid(Vec<String>),
}

/// A rule.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Rule {
    principals: Vec<String>,
    /// `None` for all.
    namespaces: Option<Vec<String>>,
    actions: Vec<Action>,
    /// `None` for all.
    repositories: Option<Vec<Repositories>>,
    /// A token for some repositories may reach others too.
    wide_tokens: bool,
}

impl Rule {
    /// What it gives to one repository, or to all of them where none is named.
    fn reach(&self, full_name: Option<&str>) -> Option<Reach> {
        let Some(names) = &self.repositories else {
            return Some(Reach::Whole);
        };
        let name = full_name?;
        let held = names.iter().any(|known| known.holds(name));
        held.then_some(if self.wide_tokens {
            Reach::Whole
        } else {
            Reach::Repository
        })
    }
}

/// What a token that a rule allows may reach.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Reach {
    /// The repository that was asked for, and nothing else.
    Repository,
    /// All that the link reaches.
    Whole,
}

/// Which repositories a rule is about.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Repositories {
    One(String),
    OfOwner(String),
}

impl Repositories {
    fn holds(&self, full_name: &str) -> bool {
        match self {
            Self::One(name) => name == full_name,
            Self::OfOwner(owner) => full_name
                .rsplit_once('/')
                .is_some_and(|(of, _)| of == owner),
        }
    }
}

/// What the policy says to a caller.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// Go on.
    Allowed,
    /// No, but the caller has another right there.
    Known,
    /// No, and the caller has no right there at all.
    Unknown,
}

/// A policy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Policy {
    rules: Vec<Rule>,
    admins: Vec<String>,
    sha256: [u8; 32],
}

impl Policy {
    /// Whether `caller` may do `action` in `namespace`, for at least some repositories.
    pub(crate) fn judge(
        &self,
        caller: &Caller,
        action: Action,
        namespace: Option<&str>,
    ) -> Verdict {
        self.judge_names(caller.principals(), action, namespace)
    }

    /// As [`Self::judge`], of a caller who is not there at the moment.
    fn judge_names(&self, names: &[String], action: Action, namespace: Option<&str>) -> Verdict {
        let mut verdict = Verdict::Unknown;
        for rule in self.rules_of(names, namespace) {
            if rule.actions.contains(&action) {
                return Verdict::Allowed;
            }
            verdict = Verdict::Known;
        }
        verdict
    }

    /// What a token may reach with which `caller` does `action` to one repository, or to all of them where none is named;
    /// `None` where there is to be none.
    pub(crate) fn reach(
        &self,
        caller: &Caller,
        action: Action,
        namespace: &str,
        full_name: Option<&str>,
    ) -> Option<Reach> {
        if caller.omnipotent() {
            return Some(Reach::Whole);
        }
        self.rules_of(caller.principals(), Some(namespace))
            .filter(|rule| rule.actions.contains(&action))
            .filter_map(|rule| rule.reach(full_name))
            .max()
    }

    fn rules_of<'a>(
        &'a self,
        principals: &'a [String],
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Rule> {
        self.rules.iter().filter(move |rule| {
            let names = |list: &[String], name: &str| list.iter().any(|known| known == name);
            let here = match (namespace, &rule.namespaces) {
                (None, _) | (Some(_), None) => true,
                (Some(name), Some(known)) => names(known, name),
            };
            // A right on the daemon says nothing about a namespace.
            let local =
                namespace.is_none() || rule.actions.iter().any(|action| !action.is_global());
            here && local && principals.iter().any(|name| names(&rule.principals, name))
        })
    }

    /// Whether one of `principals` may use the admin surface.
    pub(crate) fn is_admin(&self, principals: &[String]) -> bool {
        principals.iter().any(|name| self.admins.contains(name))
    }

    /// How many rules there are.
    pub(crate) fn len(&self) -> usize {
        self.rules.len()
    }

    /// SHA-256 of the text that it was read from.
    pub(crate) fn sha256(&self) -> [u8; 32] {
        self.sha256
    }
}

/// The policy that is in force. Cheap to clone; all clones change together.
#[derive(Clone, Debug)]
pub struct PolicyHandle {
    inner: Arc<Inner>,
}

impl Rights for PolicyHandle {
    fn may_see_payloads(&self, names: &[String], namespace: &NamespaceName) -> bool {
        let policy = self.current();
        let namespace = Some(namespace.as_str());
        names.iter().any(|name| name == OPERATOR)
            || policy.judge_names(names, Action::EventPayload, namespace) == Verdict::Allowed
    }
}

#[derive(Debug)]
struct Inner {
    path: Option<PathBuf>,
    current: RwLock<Arc<Policy>>,
}

impl PolicyHandle {
    /// Reads a policy file.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] with everything that is wrong.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, PolicyError> {
        let path = path.as_ref();
        Ok(Self::new(Some(path.to_owned()), read(path)?))
    }

    /// Reads a policy from a text; it can't be reloaded.
    ///
    /// # Errors
    ///
    /// As for [`PolicyHandle::load`].
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        Ok(Self::new(None, parse::policy(text)?))
    }

    /// One user may do everything, and nobody else anything. For development.
    #[must_use]
    pub fn owner_only(uid: u32) -> Self {
        let name = format!("uid:{uid}");
        let rule = Rule {
            principals: vec![name.clone()],
            namespaces: None,
            actions: Action::ALL.into(),
            repositories: None,
            wide_tokens: false,
        };
        let policy = Policy {
            rules: vec![rule],
            admins: vec![name],
            sha256: bindery_engine::sha256(b""),
        };
        Self::new(None, policy)
    }

    fn new(path: Option<PathBuf>, policy: Policy) -> Self {
        let current = RwLock::new(Arc::new(policy));
        Self {
            inner: Arc::new(Inner { path, current }),
        }
    }

    /// Reads the file again. Calls that come from now on are judged by it; where it is wrong, the old policy stays.
    ///
    /// # Errors
    ///
    /// As for [`PolicyHandle::load`].
    pub fn reload(&self) -> Result<(), PolicyError> {
        self.renew().map(drop)
    }

    /// As [`Self::reload`]; returns whether the policy differs from the one before.
    pub(crate) fn renew(&self) -> Result<bool, PolicyError> {
        let Some(next) = self.read_again()? else {
            return Ok(false);
        };
        let changed = *self.current() != next;
        *self
            .inner
            .current
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        Ok(changed)
    }

    /// What the file says now; `None` where there is no file.
    pub(crate) fn read_again(&self) -> Result<Option<Policy>, PolicyError> {
        self.inner.path.as_deref().map(read).transpose()
    }

    /// The policy that is in force.
    pub(crate) fn current(&self) -> Arc<Policy> {
        let current = self
            .inner
            .current
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current)
    }
}

fn read(path: &Path) -> Result<Policy, PolicyError> {
    let text = std::fs::read_to_string(path).map_err(|source| PolicyError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    parse::policy(&text)
}

#[cfg(test)]
mod tests;
