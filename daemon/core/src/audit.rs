//! The audit log: what was done, by whom, to what, and how it ended. It holds no secret.
//!
//! Records are numbered and chained: each has a MAC over itself and the MAC of the one before, with a key that only the
//! vault keeps. How far the chain goes is sealed in the vault, so that a log whose end was cut off does not pass.

use std::collections::BTreeMap;

use crate::{filter::Filter, port::BoxFuture, problem::Problem, secret::Secret, time::Timestamp};

/// What somebody did, or was refused.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Deed {
    /// Who: a principal such as `uid:1000`, or `daemon`.
    pub actor: String,
    /// What: the full name of a call, such as `bindery.v1.LinkService/Unlink`, or of a deed of the daemon.
    pub action: String,
    /// Name of the resource.
    pub resource: String,
    /// For a credential: the repository that it was asked for; may be empty.
    pub repository: String,
    /// Name of a status code, such as `OK`; empty where it was about to be done.
    pub code: String,
    /// Name of a reason; empty where it succeeded.
    pub reason: String,
    /// Id of the request, as in the log.
    pub request_id: String,
    /// Public facts, such as the lease.
    pub facts: BTreeMap<String, String>,
}

/// A deed as it stands in the log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuditRecord {
    /// Its number, 1 for the first.
    pub sequence: u64,
    /// When it was written.
    pub time: Timestamp,
    /// The deed.
    pub deed: Deed,
    /// MAC of this record and the one before.
    pub chain: [u8; 32],
}

/// What a record must survive before the caller goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Survives {
    /// The end of the daemon: the kernel has it.
    Daemon,
    /// The end of the machine: the disk has it.
    Machine,
}

/// A place in the log.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct AuditMark {
    /// Number of a record; 0 before the first.
    pub sequence: u64,
    /// Its MAC.
    pub chain: [u8; 32],
}

/// How far the log goes, and the key of its chain.
#[derive(Debug)]
pub struct AuditHead {
    /// Key of the chain: 64 hexadecimal digits.
    pub key: Secret,
    /// The newest record that is known to be on disk.
    pub last: AuditMark,
    /// The record before the oldest one that is kept.
    pub before: AuditMark,
}

impl AuditHead {
    /// A second copy, said aloud.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self {
            key: self.key.duplicate(),
            last: self.last,
            before: self.before,
        }
    }
}

/// Which records are listed, the newest first.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AuditQuery {
    /// Only records with a lower number.
    pub below: Option<u64>,
    /// Only records from this time on.
    pub since: Option<Timestamp>,
    /// Only records before this time.
    pub until: Option<Timestamp>,
    /// Over `actor`, `action`, `resource`, `namespace` and `code`.
    pub filter: Filter,
    /// How many at most.
    pub limit: usize,
}

/// Fields that a filter of audit records knows.
pub const FIELDS: &[&str] = &["actor", "action", "resource", "namespace", "code"];

/// A page of records.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AuditPage {
    /// The newest first.
    pub records: Vec<AuditRecord>,
    /// Whether there may be older ones.
    pub more: bool,
}

/// What checking the chain found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AuditVerdict {
    /// How many records fit, from the oldest that is kept.
    pub records: u64,
    /// The first one that does not fit, and what is wrong.
    pub broken: Option<(u64, String)>,
}

/// The audit log.
pub trait Audit: Send + Sync + 'static {
    /// Writes a record.
    ///
    /// Fails with `AUDIT_UNAVAILABLE` when it can't be written, at the latest after a few seconds. While the vault is
    /// sealed nothing is handed out: what is refused waits in memory, and what an operator does on the disk, without a MAC.
    fn record(&self, deed: Deed, survives: Survives) -> BoxFuture<'_, Result<(), Problem>>;
    /// Whether a record can be written now. Tries, unless one was written just now: a log that refused the last record is
    /// not ready until the disk takes something again.
    ///
    /// Fails with `AUDIT_UNAVAILABLE`, as [`Self::record`] would.
    fn ready(&self) -> BoxFuture<'_, Result<(), Problem>>;
    /// Lists records.
    fn list(&self, query: AuditQuery) -> BoxFuture<'_, Result<AuditPage, Problem>>;
    /// Checks the chain of all records that are kept. A break is in the answer.
    fn verify(&self) -> BoxFuture<'_, Result<AuditVerdict, Problem>>;
}

impl AuditQuery {
    /// Whether a record is asked for.
    #[must_use]
    pub fn admits(&self, record: &AuditRecord) -> bool {
        self.below.is_none_or(|below| record.sequence < below)
            && self.since.is_none_or(|since| record.time >= since)
            && self.until.is_none_or(|until| record.time < until)
            && self.filter.admits(|field| record.deed.field(field))
    }
}

impl Deed {
    /// What a filter compares.
    fn field(&self, field: &str) -> String {
        let text = match field {
            "actor" => &self.actor,
            "action" => &self.action,
            "resource" => &self.resource,
            "code" => &self.code,
            _ => self.namespace(),
        };
        text.to_owned()
    }

    /// The namespace of its resource, as `namespaces/acme`; empty where it is in none.
    fn namespace(&self) -> &str {
        let Some(rest) = self.resource.strip_prefix("namespaces/") else {
            return "";
        };
        let end = rest.find('/').unwrap_or(rest.len());
        self.resource
            .get(..end + "namespaces/".len())
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(resource: &str, sequence: u64) -> AuditRecord {
        AuditRecord {
            sequence,
            time: Timestamp::from_unix_ms(sequence * 1000),
            deed: Deed {
                actor: "uid:1".to_owned(),
                resource: resource.to_owned(),
                ..Deed::default()
            },
            chain: [0; 32],
        }
    }

    /// A query names its records by number, time and fields, all of which must hold.
    #[test]
    fn queries_are_exact() {
        let query = AuditQuery {
            below: Some(9),
            since: Some(Timestamp::from_unix_ms(5000)),
            until: Some(Timestamp::from_unix_ms(8000)),
            filter: Filter::parse("namespace=namespaces/acme AND actor=uid:1", FIELDS)
                .expect("filter"),
            limit: 1,
        };
        let fits = |resource: &str, sequence| query.admits(&record(resource, sequence));
        assert!(fits("namespaces/acme/links/l", 5) && fits("namespaces/acme", 7));
        for (resource, sequence) in [
            ("namespaces/acme", 4),
            ("namespaces/acme", 8),
            ("namespaces/acm", 5),
            ("namespaces/acme2/links/l", 5),
            ("hosts/acme", 5),
        ] {
            assert!(!fits(resource, sequence), "{resource} {sequence}");
        }
    }
}
