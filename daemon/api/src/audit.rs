//! What of a call goes into the audit log, and when.
//!
//! | Call | Records |
//! |---|---|
//! | reads, or only checks | none |
//! | changes | one before, on the disk, or nothing is done; one after, which says how it ended |
//! | hands out a credential | one, before the answer, or there is no answer |
//! | is refused by the policy | one, unless it only reads; repetitions within a minute are counted (`refusals`) |

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bindery_core::audit::{Deed, Survives};
use tokio::sync::oneshot;

use crate::{
    Api,
    call::Call,
    status::{Failure, code, code_text},
};

/// What a call does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Weight {
    /// It changes nothing.
    Reads,
    /// It changes something.
    Changes,
    /// It hands out a credential.
    HandsOut,
}

/// What the method of a path does. Whatever is not known to read changes something, so that a new call is in the log
/// before anybody thinks of it.
#[must_use]
pub fn weight(path: &str) -> Weight {
    let method = path.rsplit('/').next().unwrap_or_default();
    let reads = ["Get", "List", "Watch"];
    match method {
        "FetchReadCredential" | "FetchReadWriteCredential" => Weight::HandsOut,
        // Asks the provider and keeps nothing.
        "CheckAccess" => Weight::Reads,
        // Moves the caller's own cursor, as often as there are events.
        "AckEvents" => Weight::Reads,
        "Diagnose" | "VerifyAudit" | "VerifyStore" | "VerifyBackup" => Weight::Reads,
        _ if reads.iter().any(|word| method.starts_with(word)) => Weight::Reads,
        _ => Weight::Changes,
    }
}

/// What a call found out about itself, for its record.
#[derive(Clone, Debug, Default)]
pub(crate) struct Note(Arc<Mutex<Noted>>);

#[derive(Debug, Default)]
struct Noted {
    resource: Option<String>,
    repository: String,
    facts: BTreeMap<String, String>,
    /// Where a call goes on after its answer began: who writes how it ended.
    later: Option<oneshot::Sender<Entry>>,
}

/// The end of a call that goes on after its answer began.
pub(crate) struct Later(oneshot::Receiver<Entry>);

impl Later {
    /// Writes how it ended.
    pub(crate) async fn end<R>(self, done: Result<R, Failure>) -> Result<R, Failure> {
        match self.0.await {
            Ok(entry) => entry.end(done).await,
            // It was refused before it began, and that is written.
            Err(_) => done,
        }
    }
}

impl Note {
    /// The resource, where the request does not name it in the usual place.
    pub(crate) fn resource(&self, name: impl Into<String>) {
        self.noted().resource = Some(name.into());
    }

    /// The repository that it is about.
    pub(crate) fn repository(&self, name: &str) {
        name.clone_into(&mut self.noted().repository);
    }

    /// A public fact. Never a secret, nor a text that a caller chooses freely.
    pub(crate) fn fact(&self, name: &str, value: impl Into<String>) {
        self.noted().facts.insert(name.to_owned(), value.into());
    }

    /// The call is not over with its answer: what this is told is how it ended.
    pub(crate) fn later(&self) -> Later {
        let (sender, receiver) = oneshot::channel();
        self.noted().later = Some(sender);
        Later(receiver)
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One call on its way through the log.
pub(crate) struct Entry {
    api: Api,
    weight: Weight,
    deed: Deed,
    note: Note,
    /// That it was about to be done is written.
    begun: bool,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry")
            .field("deed", &self.deed)
            .finish_non_exhaustive()
    }
}

impl Entry {
    /// `path` names the method, `resource` what it is done to; `only_checks` where the caller asked for no more.
    pub(crate) fn new(
        call: &Call,
        path: &str,
        resource: String,
        request_id: &str,
        only_checks: bool,
    ) -> Self {
        let weight = match weight(path) {
            Weight::Changes if only_checks => Weight::Reads,
            weight => weight,
        };
        let deed = match weight {
            Weight::Reads => Deed::default(),
            _ => Deed {
                actor: call.caller.name().to_owned(),
                action: path.trim_start_matches('/').to_owned(),
                resource,
                request_id: request_id.to_owned(),
                ..Deed::default()
            },
        };
        Self {
            api: call.api.clone(),
            weight,
            deed,
            note: call.note.clone(),
            begun: false,
        }
    }

    /// Public facts that are known before it begins.
    pub(crate) fn with(mut self, facts: BTreeMap<String, String>) -> Self {
        self.deed.facts.extend(facts);
        self
    }

    /// Does the work of a call that is allowed.
    pub(crate) async fn around<R>(
        mut self,
        work: impl Future<Output = Result<R, Failure>>,
    ) -> Result<R, Failure> {
        match self.weight {
            Weight::Reads => return work.await,
            // Where it can't be written afterwards, nothing is minted before.
            Weight::HandsOut => self.api.audit().ready().await?,
            Weight::Changes => {
                let begun = self.deed.clone();
                self.api.audit().record(begun, Survives::Machine).await?;
                self.begun = true;
            }
        }
        let done = work.await;
        let later = self.note.noted().later.take();
        match (done, later) {
            (Ok(answer), Some(later)) => {
                // Whoever does the work may be gone already; then nobody knows how it ended.
                let _ = later.send(self);
                Ok(answer)
            }
            (done, _) => self.end(done).await,
        }
    }

    /// Writes how a call ended, or that it was refused.
    pub(crate) async fn end<R>(mut self, done: Result<R, Failure>) -> Result<R, Failure> {
        if self.weight == Weight::Reads {
            return done;
        }
        self.conclude(&done);
        let survives = match self.weight {
            Weight::Changes if done.is_ok() => Survives::Machine,
            _ => Survives::Daemon,
        };
        let written = if done.is_err() && !self.begun {
            self.api.refusals().write(self.deed).await
        } else {
            self.api.audit().record(self.deed, survives).await
        };
        match written {
            Ok(()) => done,
            Err(problem) if self.weight == Weight::HandsOut && done.is_ok() => Err(problem.into()),
            Err(problem) => {
                // It is done, or was refused: the record from before it began stands.
                tracing::error!(error = %problem, "How a call ended is not in the audit log");
                done
            }
        }
    }

    fn conclude<R>(&mut self, done: &Result<R, Failure>) {
        let mut noted = self.note.noted();
        if let Some(resource) = noted.resource.take() {
            self.deed.resource = resource;
        }
        self.deed.repository = std::mem::take(&mut noted.repository);
        self.deed.facts.append(&mut noted.facts);
        let (code, reason) = match done {
            Ok(_) => (tonic::Code::Ok, ""),
            Err(failure) => (code(failure.reason()), failure.reason().as_str_name()),
        };
        code_text(code).clone_into(&mut self.deed.code);
        reason.clone_into(&mut self.deed.reason);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::served;

    /// All calls that leave no record, by name: a new call is not among them by accident.
    #[test]
    fn calls_without_a_record() {
        let reads = |row: &&crate::Row| weight(row.method) == Weight::Reads;
        let method = |row: &crate::Row| row.method.rsplit('/').next().unwrap_or_default();
        let silent = served().iter().filter(reads).map(method);
        let other: Vec<_> = silent
            .filter(|name| !name.starts_with("Get") && !name.starts_with("List"))
            .collect();
        assert_eq!(
            other,
            ["WatchLink", "CheckAccess", "WatchEvents", "AckEvents"]
        );
        let hands_out = served()
            .iter()
            .filter(|row| weight(row.method) == Weight::HandsOut);
        assert_eq!(hands_out.count(), 2);
        for changes in ["/bindery.admin.v1.AdminService/Seal", "/x/Unknown", ""] {
            assert_eq!(weight(changes), Weight::Changes, "{changes}");
        }
    }
}
