//! `bindery admin backup`, `verify`, `restore` and `accept-rollback`.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, IsTerminal as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use bindery_client::{BackupDownload, Client, Token};
use bindery_proto::admin::v1::{BackupSummary, VerifyStoreResponse};
use clap::Args;

use crate::{
    json, moment,
    problem::{Exit, Problem},
    record::Record,
    secret,
    session::Session,
    table::Cell,
};

#[derive(Args, Debug)]
pub(crate) struct Backup {
    /// The file to make; with - standard output, which is not read back from a disk
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
    #[command(flatten)]
    protection: Protection,
}

#[derive(Args, Debug)]
pub(crate) struct Verify {
    /// A backup; without one, the daemon's own store is verified
    #[arg(value_name = "BACKUP")]
    backup: Option<PathBuf>,
    #[command(flatten)]
    protection: Protection,
}

#[derive(Args, Debug)]
pub(crate) struct Restore {
    /// The backup
    #[arg(value_name = "BACKUP")]
    backup: PathBuf,
    /// The new directory on the daemon's machine
    #[arg(long, value_name = "PATH")]
    into: PathBuf,
    #[command(flatten)]
    protection: Protection,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

#[derive(Args, Debug)]
struct Protection {
    /// The passphrase of the backup from a file, or with - from standard input
    #[arg(long, value_name = "PATH")]
    passphrase_file: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct AcceptRollback {
    /// The etag of the rollback, from `bindery admin accept-rollback` without one
    #[arg(long, requires = "reason")]
    etag: Option<String>,
    /// Why; it is in the audit log
    #[arg(long)]
    reason: Option<String>,
}

impl Protection {
    fn passphrase(&self) -> Result<Option<Token>, Problem> {
        self.passphrase_file
            .as_deref()
            .map(secret::read)
            .transpose()
    }
}

pub(crate) async fn backup(command: &Backup, session: &Session) -> Result<(), Problem> {
    let passphrase = command.protection.passphrase()?;
    let client = session.admin().await?;
    let mut download = client.backup(passphrase.as_ref()).await?;
    if command.out == Path::new("-") {
        copy(&mut download, &mut io::stdout().lock()).await?;
        session.say("the backup was read back by the daemon; verify it where it is kept with `bindery admin verify`");
        return Ok(());
    }
    if command.out.exists() {
        let message = format!("{} exists; name a new file", command.out.display());
        return Err(Problem::new(Exit::Conflict, message));
    }
    let part = part_of(&command.out);
    let made = write(&mut download, &part).await;
    let made = match made {
        Ok(summary) => read_back(&client, passphrase.as_ref(), &part, summary).await,
        Err(problem) => Err(problem),
    };
    let summary = made.inspect_err(|_| drop(fs::remove_file(&part)))?;
    fs::rename(&part, &command.out).map_err(Problem::writing)?;
    sync_folder(&command.out)?;
    session.show(&summary)
}

/// Writes to a file that only its owner can read, until it is on the disk.
async fn write(download: &mut BackupDownload, path: &Path) -> Result<BackupSummary, Problem> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(path).map_err(Problem::writing)?;
    copy(download, &mut file).await?;
    file.sync_all().map_err(Problem::writing)?;
    Ok(download.summary().cloned().unwrap_or_default())
}

async fn copy(download: &mut BackupDownload, out: &mut impl io::Write) -> Result<(), Problem> {
    while let Some(chunk) = download.next().await? {
        out.write_all(&chunk).map_err(Problem::writing)?;
    }
    out.flush().map_err(Problem::writing)
}

/// Has the daemon read the file from the disk, and compares.
async fn read_back(
    client: &Client,
    passphrase: Option<&Token>,
    path: &Path,
    made: BackupSummary,
) -> Result<BackupSummary, Problem> {
    let read = client.verify_backup(passphrase, open(path)?).await?;
    if read == made {
        return Ok(made);
    }
    let message = "the file reads back differently than the daemon made it; check the disk and make the backup again";
    Err(Problem::new(Exit::Failure, message))
}

pub(crate) async fn verify(command: &Verify, session: &Session) -> Result<(), Problem> {
    let passphrase = command.protection.passphrase()?;
    let client = session.admin().await?;
    let Some(path) = &command.backup else {
        return tell(&client.verify_store().await?, session);
    };
    let summary = client
        .verify_backup(passphrase.as_ref(), open(path)?)
        .await?;
    session.show(&summary)
}

/// Damage of the store is an answer, and a failure of the command.
fn tell(found: &VerifyStoreResponse, session: &Session) -> Result<(), Problem> {
    if session.is_json() {
        session.json(&json::value("bindery.admin.v1.VerifyStoreResponse", found)?)?;
    } else {
        for finding in &found.findings {
            session.line(&finding.message)?;
        }
        session.say(&format!("{} records were opened", found.record_count));
    }
    if found.intact {
        return Ok(());
    }
    let message = format!("the store is damaged in {} places", found.findings.len());
    Err(Problem::new(Exit::Failure, message))
}

pub(crate) async fn restore(command: &Restore, session: &Session) -> Result<(), Problem> {
    let passphrase = command.protection.passphrase()?;
    let client = session.admin().await?;
    let backup = open(&command.backup)?;
    let summary = client.verify_backup(passphrase.as_ref(), backup).await?;
    session.say(&plan(&summary, &command.into));
    confirm(command.yes)?;
    let directory = command.into.display().to_string();
    let backup = open(&command.backup)?;
    let restored = client
        .restore(directory, passphrase.as_ref(), backup)
        .await?;
    session.show(&restored.summary.unwrap_or_default())
}

/// What will happen, and what it means.
fn plan(summary: &BackupSummary, into: &Path) -> String {
    format!(
        "The backup is whole: {} records of store {}, made {} ({}), up to write {}.\n\
         They are restored into {}; the running store stays as it is.\n\
         What was written after the backup is not in it: links made since are absent, links ended since are back.\n\
         Tokens that rotate may have been replaced since. Each one is used as it is while its provider takes it; then \
         its refresh token is tried once, at most one a second for each host, and where that fails the link must be \
         authorized again.\n\
         A daemon that knows the newer store refuses this one until `bindery admin accept-rollback`.",
        summary.record_count,
        summary.store_id,
        moment::exact(summary.create_time.as_ref()),
        moment::relative(summary.create_time.as_ref()),
        summary.store_version,
        into.display(),
    )
}

fn confirm(yes: bool) -> Result<(), Problem> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(Problem::usage("nobody can be asked here; add --yes"));
    }
    eprint!("Restore it? [y/N] ");
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line);
    if read.is_ok() && matches!(line.trim(), "y" | "yes") {
        return Ok(());
    }
    Err(Problem::new(Exit::Interrupted, "nothing was restored"))
}

pub(crate) async fn accept_rollback(
    command: &AcceptRollback,
    session: &Session,
) -> Result<(), Problem> {
    let client = session.admin().await?;
    if let (Some(etag), Some(reason)) = (&command.etag, &command.reason) {
        client.accept_rollback(etag, reason).await?;
        session.say("the rollback is accepted, and the daemon serves");
        return Ok(());
    }
    let status = client.daemon_status().await?;
    let Some(rollback) = status.rollback else {
        let message = "the store is not rolled back; there is nothing to accept";
        return Err(Problem::new(Exit::NotFound, message));
    };
    session.line(&rollback.etag)?;
    session.say(&format!(
        "The store ends at write {}, and write {} was acknowledged: what was written in between is lost.\n\
         Restore a newer backup if there is one. To go on without: bindery admin accept-rollback --etag {} --reason WHY",
        rollback.found_version, rollback.expected_version, rollback.etag,
    ));
    Ok(())
}

fn open(path: &Path) -> Result<File, Problem> {
    File::open(path).map_err(|error| {
        let message = format!("{} can't be read ({error})", path.display());
        Problem::new(Exit::Configuration, message)
    })
}

/// The name of a file that is not whole yet.
fn part_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    path.with_file_name(name)
}

/// Makes the name of a file last.
fn sync_folder(file: &Path) -> Result<(), Problem> {
    let parent = file
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let folder = File::open(parent.unwrap_or_else(|| Path::new(".")));
    folder
        .and_then(|folder| folder.sync_all())
        .map_err(Problem::writing)
}

impl Record for BackupSummary {
    const MESSAGE: &'static str = "bindery.admin.v1.BackupSummary";
    const COLUMNS: &'static [&'static str] = &["SHA256", "RECORDS", "BYTES", "MADE"];

    /// A backup has a digest and no name.
    fn name(&self) -> &str {
        &self.sha256
    }

    fn row(&self) -> Vec<Cell> {
        vec![
            self.sha256.as_str().into(),
            self.record_count.to_string().into(),
            self.size_bytes.to_string().into(),
            moment::exact(self.create_time.as_ref()).into(),
        ]
    }

    fn details(&self) -> Vec<(&'static str, Cell)> {
        vec![
            ("store", self.store_id.as_str().into()),
            ("made", moment::exact(self.create_time.as_ref()).into()),
            ("records", self.record_count.to_string().into()),
            ("bytes", self.size_bytes.to_string().into()),
            ("up to write", self.store_version.to_string().into()),
            ("sha256", self.sha256.as_str().into()),
        ]
    }
}
