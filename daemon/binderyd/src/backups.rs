//! What an operator does against loss: backups, checks of the store, accepting a rollback.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use bindery_api::{BackupFacts, BackupPort, KeptFacts, RollbackFacts, StoreVerdict};
use bindery_core::{
    port::{BoxFuture, Clock},
    problem::{Problem, Reason},
    secret::Secret,
    time::Timestamp,
};
use bindery_store::{SledConfig, SledStore, StoreError};
use bindery_vault::{BackupError, PassphraseCost, Rollback, SealedVault, Target};
use tokio::sync::mpsc;

use crate::{config::Config, ports::SystemClock, sealing::Sealing, vault};

/// Backups of the daemon's vault.
pub(crate) struct Backups {
    seal: Arc<Sealing>,
    /// Holds the time of the last backup, so that it outlives a restart.
    noted: PathBuf,
    config: Config,
    development: bool,
}

impl Backups {
    pub(crate) fn new(seal: Arc<Sealing>, config: &Config, development: bool) -> Self {
        Self {
            seal,
            noted: config.data_dir.join(NOTED),
            config: config.clone(),
            development,
        }
    }

    fn vault(&self) -> &SealedVault {
        self.seal.vault()
    }

    async fn make(
        &self,
        passphrase: Option<Secret>,
        out: mpsc::Sender<Vec<u8>>,
    ) -> Result<BackupFacts, Problem> {
        let passphrase = passphrase.map(|text| (text, PassphraseCost::standard()));
        let made = self.vault().backup(passphrase, SystemClock.now(), out);
        let made = made.await.map_err(refused)?;
        // The time is for people; that it can't be written is no reason to call the backup none.
        if let Err(error) = fs::write(&self.noted, SystemClock.now().unix_ms().to_string()) {
            tracing::warn!(%error, "The time of the backup is not noted");
        }
        Ok(facts(made))
    }

    async fn restore_into(
        &self,
        directory: PathBuf,
        passphrase: Option<Secret>,
        source: mpsc::Receiver<Vec<u8>>,
    ) -> Result<BackupFacts, Problem> {
        let new = NewFolder::make(directory).map_err(|error| unusable(&error))?;
        let target = open_target(new.path.clone()).await?;
        let restored = self
            .vault()
            .restore_backup(source, passphrase, &target)
            .await;
        drop(target);
        match restored {
            Ok(restored) => Ok(facts(restored)),
            Err(error) => {
                new.clear();
                Err(refused(error))
            }
        }
    }

    async fn accept(&self, etag: &str) -> Result<(), Problem> {
        let waiting = self.vault().status().await.rollback;
        let waiting = waiting.ok_or_else(|| Problem::not_found("rollback"))?;
        if etag != self::etag(&waiting) {
            let message =
                "the store has changed since this rollback was shown; look at the status again";
            return Err(Problem::new(Reason::EtagMismatch, message));
        }
        let unlock = vault::unlock(&self.config, self.development);
        let unlock =
            unlock.map_err(|failure| Problem::new(Reason::UnsealRejected, failure.to_string()))?;
        self.seal.accept_rollback(waiting.found, unlock).await
    }
}

impl BackupPort for Backups {
    fn kept(&self) -> BoxFuture<'_, KeptFacts> {
        Box::pin(async {
            let waiting = self.vault().status().await.rollback;
            KeptFacts {
                backed_up: noted(&self.noted),
                rollback: waiting.map(|rollback| RollbackFacts {
                    expected: rollback.known,
                    found: rollback.found,
                    etag: etag(&rollback),
                }),
            }
        })
    }

    fn backup(
        &self,
        passphrase: Option<Secret>,
        out: mpsc::Sender<Vec<u8>>,
    ) -> BoxFuture<'_, Result<BackupFacts, Problem>> {
        Box::pin(self.make(passphrase, out))
    }

    fn restore(
        &self,
        directory: PathBuf,
        passphrase: Option<Secret>,
        source: mpsc::Receiver<Vec<u8>>,
    ) -> BoxFuture<'_, Result<BackupFacts, Problem>> {
        Box::pin(self.restore_into(directory, passphrase, source))
    }

    fn verify_backup(
        &self,
        passphrase: Option<Secret>,
        source: mpsc::Receiver<Vec<u8>>,
    ) -> BoxFuture<'_, Result<BackupFacts, Problem>> {
        Box::pin(async move {
            let read = self.vault().verify_backup(source, passphrase).await;
            read.map(facts).map_err(refused)
        })
    }

    fn verify_store(&self) -> BoxFuture<'_, Result<StoreVerdict, Problem>> {
        Box::pin(async {
            let found = self.vault().inspect().await.map_err(refused)?;
            Ok(StoreVerdict {
                records: found.records,
                damage: found.damage,
            })
        })
    }

    fn accept_rollback<'a>(&'a self, etag: &'a str) -> BoxFuture<'a, Result<(), Problem>> {
        Box::pin(self.accept(etag))
    }
}

/// A folder that was absent or empty.
struct NewFolder {
    path: PathBuf,
    made: bool,
}

impl NewFolder {
    fn make(path: PathBuf) -> io::Result<Self> {
        let made = match fs::DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
            Err(error) => return Err(error),
        };
        if fs::read_dir(&path)?.next().is_some() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        Ok(Self { path, made })
    }

    /// Takes away what a restoration that failed has left in it.
    fn clear(&self) {
        clear_parts(&self.path);
        if self.made {
            // What is left in it was told above.
            let _ = fs::remove_dir(&self.path);
        }
    }
}

/// Whether a folder holds a store or a vault.
pub(crate) fn has_parts(folder: &Path) -> bool {
    folder.join(STORE).exists() || folder.join(VAULT).exists()
}

/// Takes away the store and the vault of a folder that held none before.
pub(crate) fn clear_parts(folder: &Path) {
    let parts = [folder.join(STORE), folder.join(VAULT)];
    for part in parts.iter().filter(|part| part.exists()) {
        if let Err(error) = fs::remove_dir_all(part) {
            tracing::warn!(%error, path = %part.display(), "Left behind by a restoration that failed");
        }
    }
}

/// A store and a vault's place in a new folder, as a daemon has them in its `data_dir`.
pub(crate) async fn open_target(folder: PathBuf) -> Result<Target, Problem> {
    let opening = tokio::task::spawn_blocking(move || {
        let mut settings = SledConfig::default();
        // The daemon that is started on it sets space aside; until then every byte is for the records.
        settings.ballast_bytes = 0;
        let store = SledStore::open(folder.join(STORE), settings)?;
        Ok::<_, bindery_store::OpenError>(Target {
            folder: folder.join(VAULT),
            store: Arc::new(store),
        })
    });
    let opened = opening.await;
    let opened = opened.map_err(|_| Problem::new(Reason::Internal, "the store did not open"))?;
    opened.map_err(|error| {
        let reason = match error {
            bindery_store::OpenError::NoSpace { .. } => Reason::StoreLowSpace,
            _ => Reason::StoreFailed,
        };
        Problem::new(reason, error.to_string())
    })
}

fn unusable(error: &io::Error) -> Problem {
    match error.kind() {
        io::ErrorKind::DirectoryNotEmpty => Problem::new(
            Reason::AlreadyExists,
            "the directory is not empty; name a new one, a restoration never writes over anything",
        ),
        io::ErrorKind::StorageFull => Problem::new(Reason::StoreLowSpace, "the disk is full"),
        _ => Problem::invalid(
            "settings.directory",
            format!(
                "the directory can't be made ({}); its parent must be there and the daemon must be allowed to write there",
                error.kind()
            ),
        ),
    }
}

fn facts(facts: bindery_vault::BackupFacts) -> BackupFacts {
    BackupFacts {
        store_id: facts.store_id,
        created: facts.created,
        records: facts.records,
        size: facts.size,
        sha256: facts.sha256,
        generation: facts.generation,
    }
}

fn refused(error: BackupError) -> Problem {
    let message = error.to_string();
    let full = |error: &io::Error| error.kind() == io::ErrorKind::StorageFull;
    let reason = match &error {
        BackupError::Invalid(_) | BackupError::Key(_) | BackupError::Header(_) => {
            Reason::BackupInvalid
        }
        BackupError::Slot(_) => return Problem::invalid("passphrase", message),
        BackupError::Sealed => Reason::Sealed,
        BackupError::Tampered => Reason::RecordTampered,
        BackupError::Busy => Reason::Overloaded,
        BackupError::KeysChanged => Reason::StoreConflict,
        BackupError::NotEmpty => Reason::AlreadyExists,
        BackupError::Io(source) if full(source) => Reason::StoreLowSpace,
        BackupError::Store(StoreError::Io(source)) if full(source) => Reason::StoreLowSpace,
        BackupError::ReaderGone => Reason::Overloaded,
        _ => Reason::StoreFailed,
    };
    Problem::new(reason, message)
}

fn etag(rollback: &Rollback) -> String {
    format!("{:x}-{:x}", rollback.found, rollback.known)
}

fn noted(path: &Path) -> Option<Timestamp> {
    let text = fs::read_to_string(path).ok()?;
    text.trim().parse().ok().map(Timestamp::from_unix_ms)
}

const NOTED: &str = "last-backup";
const STORE: &str = "store";
const VAULT: &str = "vault";
