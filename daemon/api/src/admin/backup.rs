//! Backups, damage, and steps back in time.

use std::path::PathBuf;

use bindery_core::{
    port::BoxFuture,
    problem::{Problem, Reason},
    secret::Secret,
    time::Timestamp,
};
use bindery_proto::{
    admin::v1 as wire,
    v1::{ErrorReason, Finding, Severity, WhoMustAct},
};
use data_encoding::HEXLOWER;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::{
    call::Call, convert::common::time, fields::Fields, services::Answers, status::Failure,
};

/// What an operator does against loss.
pub trait BackupPort: Send + Sync {
    /// What is known of backups and rollbacks. Works while sealed.
    fn kept(&self) -> BoxFuture<'_, KeptFacts>;
    /// Writes a backup to `out`, and reads back what it wrote.
    ///
    /// Fails with `SEALED`, with `RECORD_TAMPERED` where a record does not open, and with `OVERLOADED` while another
    /// one is made.
    fn backup(
        &self,
        passphrase: Option<Secret>,
        out: mpsc::Sender<Vec<u8>>,
    ) -> BoxFuture<'_, Result<BackupFacts, Problem>>;
    /// Restores a backup of this store into a new directory.
    ///
    /// Fails with `BACKUP_INVALID`, with `ALREADY_EXISTS` where the directory is not empty, and with
    /// `STORE_LOW_SPACE`.
    fn restore(
        &self,
        directory: PathBuf,
        passphrase: Option<Secret>,
        source: mpsc::Receiver<Vec<u8>>,
    ) -> BoxFuture<'_, Result<BackupFacts, Problem>>;
    /// Reads a backup of this store and checks every record.
    ///
    /// Fails with `BACKUP_INVALID` and with `SEALED`.
    fn verify_backup(
        &self,
        passphrase: Option<Secret>,
        source: mpsc::Receiver<Vec<u8>>,
    ) -> BoxFuture<'_, Result<BackupFacts, Problem>>;
    /// Opens every record. Damage is in the answer.
    ///
    /// Fails with `SEALED`.
    fn verify_store(&self) -> BoxFuture<'_, Result<StoreVerdict, Problem>>;
    /// Accepts the rollback that has this etag, and opens the seal.
    ///
    /// Fails with `NOT_FOUND` where there is none, and with `ETAG_MISMATCH`.
    fn accept_rollback<'a>(&'a self, etag: &'a str) -> BoxFuture<'a, Result<(), Problem>>;
}

/// What is known of backups and rollbacks.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KeptFacts {
    /// When the last verified backup ended.
    pub backed_up: Option<Timestamp>,
    /// A rollback that waits to be accepted.
    pub rollback: Option<RollbackFacts>,
}

/// The store is older than the daemon knows that it was.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RollbackFacts {
    /// Number of the last write that is known of.
    pub expected: u64,
    /// Number of the last write in the store.
    pub found: u64,
    /// Names exactly this rollback.
    pub etag: String,
}

/// What a backup holds.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BackupFacts {
    /// Random name of the store.
    pub store_id: [u8; 16],
    /// When it was made.
    pub created: Timestamp,
    /// Records in it.
    pub records: u64,
    /// Length in bytes.
    pub size: u64,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// Number of the last write in it.
    pub generation: u64,
}

/// What opening every record found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct StoreVerdict {
    /// Records that were opened.
    pub records: u64,
    /// What is damaged, one English sentence each.
    pub damage: Vec<String>,
}

pub(super) async fn backup(
    call: Call,
    request: wire::BackupRequest,
) -> Result<Answers<wire::BackupResponse>, Failure> {
    let passphrase = passphrase(request.passphrase);
    let (sink, answers) = mpsc::channel(WAITING);
    let over = call.note.later();
    tokio::spawn(async move {
        let (out, pieces) = mpsc::channel(WAITING);
        let making = call.api.admin().backups().backup(passphrase, out);
        let (made, ()) = tokio::join!(making, forward(pieces, &sink));
        tracing::info!(ok = made.is_ok(), "Backup ended");
        let made = made
            .map_err(Failure::from)
            .and_then(|facts| match sink.is_closed() {
                true => Err(gone()),
                false => Ok(facts),
            });
        if let Ok(facts) = &made {
            call.note.fact("records", facts.records.to_string());
            call.note.fact("sha256", HEXLOWER.encode(&facts.sha256));
        }
        let last = match over.end(made).await {
            Ok(facts) => Ok(answer(wire::backup_response::Part::Summary(summary(
                &facts,
            )))),
            Err(failure) => Err(failure.into_status("")),
        };
        // Nobody there to read the end has no backup, which is what it should be.
        let _ = sink.send(last).await;
    });
    Ok(Box::pin(ReceiverStream::new(answers)))
}

fn gone() -> Failure {
    let message = "the caller went before the backup ended; it has none";
    Failure::new(ErrorReason::DeadlinePassed, message)
}

async fn forward(
    mut pieces: mpsc::Receiver<Vec<u8>>,
    sink: &mpsc::Sender<Result<wire::BackupResponse, Status>>,
) {
    while let Some(piece) = pieces.recv().await {
        let chunk = answer(wire::backup_response::Part::Chunk(piece));
        if sink.send(Ok(chunk)).await.is_err() {
            return;
        }
    }
}

const fn answer(part: wire::backup_response::Part) -> wire::BackupResponse {
    wire::BackupResponse { part: Some(part) }
}

pub(super) async fn restore(
    call: Call,
    mut request: Streaming<wire::RestoreRequest>,
) -> Result<wire::RestoreResponse, Failure> {
    use wire::restore_request::Part;
    let first = request.message().await.ok().flatten();
    let Some(Part::Settings(settings)) = first.and_then(|first| first.part) else {
        return Err(settings_first());
    };
    let directory = PathBuf::from(&settings.directory);
    let mut fields = Fields::default();
    fields.check(
        directory.is_absolute(),
        "settings.directory",
        "must be an absolute path; name a new directory on the daemon's machine",
    );
    fields.finish()?;
    let (sink, source) = mpsc::channel(WAITING);
    let chunk = |message: wire::RestoreRequest| match message.part {
        Some(Part::Chunk(chunk)) => Some(chunk),
        _ => None,
    };
    let sending = feed(request, chunk, sink);
    let given = passphrase(settings.passphrase);
    let port = call.api.admin().backups();
    call.note.fact("directory", settings.directory.clone());
    let (restored, ()) = tokio::join!(port.restore(directory, given, source), sending);
    Ok(wire::RestoreResponse {
        summary: Some(summary(&restored?)),
        directory: settings.directory,
    })
}

pub(super) async fn verify_backup(
    call: Call,
    mut request: Streaming<wire::VerifyBackupRequest>,
) -> Result<wire::VerifyBackupResponse, Failure> {
    use wire::verify_backup_request::Part;
    let first = request.message().await.ok().flatten();
    let Some(Part::Settings(settings)) = first.and_then(|first| first.part) else {
        return Err(settings_first());
    };
    let (sink, source) = mpsc::channel(WAITING);
    let chunk = |message: wire::VerifyBackupRequest| match message.part {
        Some(Part::Chunk(chunk)) => Some(chunk),
        _ => None,
    };
    let sending = feed(request, chunk, sink);
    let port = call.api.admin().backups();
    let reading = port.verify_backup(passphrase(settings.passphrase), source);
    let (read, ()) = tokio::join!(reading, sending);
    Ok(wire::VerifyBackupResponse {
        summary: Some(summary(&read?)),
    })
}

/// Hands the chunks on. Whatever breaks off here is a backup without an end there.
async fn feed<M>(
    mut request: Streaming<M>,
    chunk: impl Fn(M) -> Option<Vec<u8>>,
    sink: mpsc::Sender<Vec<u8>>,
) {
    while let Ok(Some(message)) = request.message().await {
        let Some(chunk) = chunk(message) else {
            return;
        };
        if sink.send(chunk).await.is_err() {
            return;
        }
    }
}

pub(super) async fn verify_store(
    call: Call,
    _: wire::VerifyStoreRequest,
) -> Result<wire::VerifyStoreResponse, Failure> {
    let verdict = call.api.admin().backups().verify_store().await?;
    Ok(wire::VerifyStoreResponse {
        intact: verdict.damage.is_empty(),
        record_count: number(verdict.records),
        findings: verdict.damage.into_iter().map(damage).collect(),
    })
}

fn damage(message: String) -> Finding {
    Finding {
        severity: Severity::Error.into(),
        reason: Reason::RecordTampered.as_str().to_owned(),
        message,
        who_must_act: WhoMustAct::HostOperator.into(),
        ..Finding::default()
    }
}

pub(super) async fn accept_rollback(
    call: Call,
    request: wire::AcceptRollbackRequest,
) -> Result<wire::AcceptRollbackResponse, Failure> {
    let mut fields = Fields::default();
    let reason = "is missing; say why, it is in the audit log";
    fields.check(!request.reason.is_empty(), "reason", reason);
    fields.text("reason", &request.reason, LONGEST_REASON);
    fields.check(
        !request.etag.is_empty(),
        "etag",
        "is missing; it is in the daemon's status",
    );
    fields.finish()?;
    let port = call.api.admin().backups();
    port.accept_rollback(&request.etag).await?;
    let status = super::status(call, wire::GetStatusRequest {}).await?;
    Ok(wire::AcceptRollbackResponse {
        status: Some(status),
    })
}

pub(super) fn rollback(facts: RollbackFacts) -> wire::Rollback {
    wire::Rollback {
        expected_version: number(facts.expected),
        found_version: number(facts.found),
        etag: facts.etag,
    }
}

fn summary(facts: &BackupFacts) -> wire::BackupSummary {
    wire::BackupSummary {
        store_id: HEXLOWER.encode(&facts.store_id),
        create_time: Some(time(facts.created)),
        record_count: number(facts.records),
        size_bytes: number(facts.size),
        sha256: HEXLOWER.encode(&facts.sha256),
        store_version: number(facts.generation),
    }
}

fn settings_first() -> Failure {
    let message = "the first message holds the settings; send them before the bytes";
    Problem::invalid("settings", message).into()
}

fn passphrase(text: String) -> Option<Secret> {
    let text = Secret::new(text);
    (!text.is_empty()).then_some(text)
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Pieces that wait for whoever takes them.
const WAITING: usize = 4;
/// Longest reason in bytes.
const LONGEST_REASON: usize = 1000;
