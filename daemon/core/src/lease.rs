//! A credential that was handed out, without the credential.

use std::time::Duration;

use crate::{
    name::{LeaseId, LinkId, NamespaceName},
    secret::Secret,
    time::Timestamp,
};

/// How long a lease is kept after its end.
pub const RETENTION: Duration = Duration::from_secs(7 * 86_400);

/// When a lease counts as ended whose token has no end, so that its record does not stay for ever.
pub const WITHOUT_END: Duration = Duration::from_secs(86_400);

/// Longest text that a repository is named by, in bytes.
pub const LONGEST_REPOSITORY: usize = 1000;

/// Whether a text may be the full name of a repository, such as `acme/api`: of letters, digits and `-_.~+`, none of its parts
/// empty or a step up.
#[must_use]
pub fn is_full_name(text: &str) -> bool {
    let part = |part: &str| {
        let plain = |c: u8| c.is_ascii_alphanumeric() || b"-_.~+".contains(&c);
        !part.is_empty() && part != "." && part != ".." && part.bytes().all(plain)
    };
    text.len() <= LONGEST_REPOSITORY && text.contains('/') && text.split('/').all(part)
}

/// Whether a text may be a provider's stable id of a repository: visible ASCII without a slash.
#[must_use]
pub fn is_stable_id(text: &str) -> bool {
    let visible = |c: u8| c.is_ascii_graphic() && c != b'/';
    (1..=LONGEST_REPOSITORY).contains(&text.len()) && text.bytes().all(visible)
}

/// A record that a credential was handed out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Lease {
    /// Namespace of the link.
    pub namespace: NamespaceName,
    /// Its id.
    pub id: LeaseId,
    /// The link.
    pub link: LinkId,
    /// Stable id of the repository that it was asked for; empty where it was asked for the link.
    pub repository: String,
    /// What it is good for.
    pub access: Access,
    /// The provider limits the token to the repository.
    pub narrowed: bool,
    /// The token was made for this lease alone, and can be revoked by itself.
    pub minted: bool,
    /// Who got it.
    pub holder: String,
    /// When it was handed out.
    pub created: Timestamp,
    /// When the token ends; `None` where it does not, or nobody knows.
    pub expires: Option<Timestamp>,
    /// When it was revoked.
    pub revoked: Option<Timestamp>,
}

impl Lease {
    /// Whether its token is of no use any more, as far as this daemon knows.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.revoked.is_some() || self.expires.is_some_and(|expires| expires <= now)
    }

    /// Whether its record may be removed.
    #[must_use]
    pub fn may_be_forgotten(&self, now: Timestamp) -> bool {
        let end = self.revoked.or(self.expires);
        let end = end.unwrap_or_else(|| self.created.after(WITHOUT_END));
        now.since(end) >= RETENTION
    }
}

/// What a credential is good for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Access {
    /// Reading code.
    Read,
    /// Reading and writing code.
    ReadWrite,
}

/// The token of a lease that was minted for it alone. Sealed, bound to the host and its allowed origins.
#[derive(Debug)]
pub struct LeaseToken {
    /// The token.
    pub token: Secret,
    /// When it ends.
    pub expires: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(expires: Option<u64>, revoked: Option<u64>) -> Lease {
        let at = |seconds: u64| Timestamp::from_unix_ms(seconds * 1000);
        Lease {
            namespace: NamespaceName::parse("acme").expect("name"),
            id: LeaseId::parse("e").expect("name"),
            link: LinkId::parse("l").expect("name"),
            repository: String::new(),
            access: Access::Read,
            narrowed: false,
            minted: false,
            holder: "uid:1000".to_owned(),
            created: at(0),
            expires: expires.map(at),
            revoked: revoked.map(at),
        }
    }

    /// What a caller says of a repository becomes part of a key: nothing long, nothing odd.
    #[test]
    fn odd_repositories_are_none() {
        let long = "a".repeat(LONGEST_REPOSITORY);
        assert!(
            ["acme/api", "a/b/c~d", "A+b/.c"]
                .into_iter()
                .all(is_full_name)
        );
        assert!(
            ["42", "{uuid}", "a:b", long.as_str()]
                .into_iter()
                .all(is_stable_id)
        );
        let long = format!("{long}/b");
        for odd in [
            "", "acme", "acme/", "/api", "a/../b", "a//b", "a b/c", "a/b\n", "a/\u{e9}", &long,
        ] {
            assert!(!is_full_name(odd), "{odd:?}");
        }
        for odd in ["", "a/b", "a b", "\u{e9}", "\n", &long] {
            assert!(!is_stable_id(odd), "{odd:?}");
        }
    }

    /// A lease is over at its end or when it was revoked, and its record goes a week later; one without an end goes too.
    #[test]
    fn leases_end_and_are_forgotten() {
        let week = RETENTION.as_secs();
        let at = |seconds: u64| Timestamp::from_unix_ms(seconds * 1000);
        for (expires, revoked, end) in [
            (Some(100), None, 100),
            (Some(100), Some(50), 50),
            (None, None, WITHOUT_END.as_secs()),
        ] {
            let lease = lease(expires, revoked);
            assert_eq!(lease.is_over(at(99)), revoked.is_some());
            assert_eq!(lease.is_over(at(100)), expires.is_some());
            assert!(!lease.may_be_forgotten(at(end + week - 1)));
            assert!(lease.may_be_forgotten(at(end + week)));
        }
    }
}
