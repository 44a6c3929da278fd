//! Backups, damage, and steps back in time.

use std::io::Read;

use bindery_proto::admin::v1::{
    AcceptRollbackRequest, BackupRequest, BackupResponse, BackupSummary, RestoreRequest,
    RestoreResponse, RestoreSettings, Status, VerifyBackupRequest, VerifyBackupSettings,
    admin_service_client::AdminServiceClient, backup_response, restore_request,
    verify_backup_request,
};
use tonic::{Code, Streaming};

use crate::{
    Client, Error, Token,
    call::{Manner, call},
    random,
};

/// A backup on its way.
#[derive(Debug)]
pub struct BackupDownload {
    stream: Streaming<BackupResponse>,
    endpoint: String,
    summary: Option<BackupSummary>,
}

impl BackupDownload {
    /// The next bytes; `None` at the end. Without a [`summary`](Self::summary) after it, the bytes are no backup.
    ///
    /// # Errors
    ///
    /// What the daemon says, and a stream that ends without a summary.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let answer = self.stream.message().await;
        let answer = answer.map_err(|status| Error::from_answer(&status, &self.endpoint))?;
        match answer.and_then(|answer| answer.part) {
            Some(backup_response::Part::Chunk(chunk)) => Ok(Some(chunk)),
            Some(backup_response::Part::Summary(summary)) => {
                self.summary = Some(summary);
                Ok(None)
            }
            None => {
                let cut = tonic::Status::new(Code::Unavailable, "the backup was cut off");
                Err(Error::from_answer(&cut, &self.endpoint))
            }
        }
    }

    /// What the backup holds, as the daemon read it back; `None` before its end.
    #[must_use]
    pub const fn summary(&self) -> Option<&BackupSummary> {
        self.summary.as_ref()
    }
}

/// These calls answer on the admin socket only; elsewhere they are [`Error::Unsupported`].
impl Client {
    /// Begins a backup. With a passphrase, the passphrase and the root key are needed to restore it.
    ///
    /// # Errors
    ///
    /// Those that every call has; what goes wrong on the way comes from [`BackupDownload::next`].
    pub async fn backup(&self, passphrase: Option<&Token>) -> Result<BackupDownload, Error> {
        let endpoint = self.endpoint().to_string();
        let message = BackupRequest {
            passphrase: exposed(passphrase),
        };
        let request = self.request(message, &random::uuid()?);
        let mut service = AdminServiceClient::new(self.channel());
        let answer = service.backup(request).await;
        let answer = answer.map_err(|status| Error::from_answer(&status, &endpoint))?;
        Ok(BackupDownload {
            stream: answer.into_inner(),
            endpoint,
            summary: None,
        })
    }

    /// Restores a backup into a new directory on the daemon's machine. The daemon's own store is not touched.
    ///
    /// # Errors
    ///
    /// [`Error::Precondition`] where it is no whole backup of this store, [`Error::AlreadyExists`] where the directory is
    /// not empty, and those that every call has.
    pub async fn restore(
        &self,
        directory: impl Into<String>,
        passphrase: Option<&Token>,
        backup: impl Read + Send + 'static,
    ) -> Result<RestoreResponse, Error> {
        let settings = RestoreSettings {
            directory: directory.into(),
            passphrase: exposed(passphrase),
        };
        let part = |part| RestoreRequest { part: Some(part) };
        let first = part(restore_request::Part::Settings(settings));
        let rest = chunks(backup).map(move |chunk| part(restore_request::Part::Chunk(chunk)));
        let stream = futures_util::stream::iter(std::iter::once(first).chain(rest));
        let request = self.request(stream, &random::uuid()?);
        let mut service = AdminServiceClient::new(self.channel());
        let answer = service.restore(request).await;
        self.answered(answer)
    }

    /// Reads a backup and checks every record, without writing anything.
    ///
    /// # Errors
    ///
    /// [`Error::Precondition`] where it is no whole backup of this store, [`Error::Sealed`], and those that every call
    /// has.
    pub async fn verify_backup(
        &self,
        passphrase: Option<&Token>,
        backup: impl Read + Send + 'static,
    ) -> Result<BackupSummary, Error> {
        let settings = VerifyBackupSettings {
            passphrase: exposed(passphrase),
        };
        let part = |part| VerifyBackupRequest { part: Some(part) };
        let first = part(verify_backup_request::Part::Settings(settings));
        let rest = chunks(backup).map(move |chunk| part(verify_backup_request::Part::Chunk(chunk)));
        let stream = futures_util::stream::iter(std::iter::once(first).chain(rest));
        let request = self.request(stream, &random::uuid()?);
        let mut service = AdminServiceClient::new(self.channel());
        let answer = service.verify_backup(request).await;
        self.answered(answer)
            .map(|answer| answer.summary.unwrap_or_default())
    }

    /// Accepts that the store is older than the daemon knows that it was. `etag` is that of the rollback in
    /// [`daemon_status`](Self::daemon_status).
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] where there is none, [`Error::Conflict`] where it is another one by now, and those that every
    /// call has.
    pub async fn accept_rollback(
        &self,
        etag: impl Into<String>,
        reason: impl Into<String>,
    ) -> Result<Status, Error> {
        let request = AcceptRollbackRequest {
            etag: etag.into(),
            reason: reason.into(),
        };
        let answer = call!(
            self,
            Manner::ONCE_AT_FORGE,
            AdminServiceClient<_>,
            accept_rollback,
            request
        )?;
        Ok(answer.status.unwrap_or_default())
    }

    fn answered<T>(&self, answer: Result<tonic::Response<T>, tonic::Status>) -> Result<T, Error> {
        let endpoint = self.endpoint().to_string();
        let answer = answer.map_err(|status| Error::from_answer(&status, &endpoint))?;
        Ok(answer.into_inner())
    }
}

fn exposed(passphrase: Option<&Token>) -> String {
    passphrase.map_or_else(String::new, |text| text.expose().to_owned())
}

/// The bytes in pieces. What can't be read any more ends them, and a backup without an end is refused.
fn chunks(mut backup: impl Read) -> impl Iterator<Item = Vec<u8>> {
    std::iter::from_fn(move || {
        let mut chunk = Vec::with_capacity(CHUNK);
        let read = Read::by_ref(&mut backup)
            .take(CHUNK as u64)
            .read_to_end(&mut chunk);
        (read.is_ok() && !chunk.is_empty()).then_some(chunk)
    })
}

const CHUNK: usize = 256 << 10;
