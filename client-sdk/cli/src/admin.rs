//! `bindery admin`: what the operator of a daemon does with its seal, keys, audit log and backups.

use std::path::{Path, PathBuf};

use bindery_client::{KeyBytes, Token, UnsealWith};
use bindery_proto::admin::v1::{SealState, UnsealResponse};
use clap::{Args, Subcommand, ValueEnum};

use crate::{
    problem::{Exit, Problem},
    secret,
    session::Session,
};

mod audit;
mod backup;
mod keys;
mod slot;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make the daemon forget its keys; from then on it serves nothing until it is unsealed
    #[command(
        after_help = "Example:\n  bindery admin seal --reason 'the server room is being moved'"
    )]
    Seal {
        /// Why, for those who look at the status
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
    },
    /// Open the seal, with one of three
    #[command(after_help = "Examples:\n  \
        bindery admin unseal --passphrase-file -\n  \
        bindery admin unseal --key-file /media/usb/root.key\n  \
        bindery admin unseal --shares -")]
    Unseal(Unseal),
    /// Begin new keys; records are sealed again in the background, and `bindery admin keys` tells how far
    #[command(
        after_help = "Examples:\n  bindery admin rotate epoch\n  bindery admin rotate root-key"
    )]
    Rotate {
        /// Which keys
        which: Which,
    },
    /// List the epochs of the key ring, and how many records each still seals
    #[command(after_help = "Example:\n  bindery admin keys")]
    Keys,
    /// Erase what was removed: a new key for every record, the old key destroyed, the store copied into a smaller one
    #[command(after_help = "Example:\n  bindery admin compact")]
    Compact,
    /// List, add, remove and try what opens the seal
    #[command(subcommand)]
    Slot(slot::Command),
    /// Look at the audit log, and check that nothing in it was changed
    #[command(subcommand)]
    Audit(audit::Command),
    /// Back up all records into one sealed file, while the daemon serves on
    #[command(after_help = "Examples:\n  \
        bindery admin backup --out /srv/backup/bindery.bdyb\n  \
        bindery admin backup --out /srv/backup/bindery.bdyb --passphrase-file -\n  \
        bindery admin backup --out - | age -r age1... > bindery.bdyb.age")]
    Backup(backup::Backup),
    /// Open every record of a backup, or of the daemon's store, and tell what is damaged
    #[command(after_help = "Examples:\n  \
        bindery admin verify\n  \
        bindery admin verify /srv/backup/bindery.bdyb")]
    Verify(backup::Verify),
    /// Restore a backup into a new directory; the running store is not touched
    #[command(
        after_help = "Example:\n  bindery admin restore bindery.bdyb --into /var/lib/bindery-drill"
    )]
    Restore(backup::Restore),
    /// Show a rollback of the store, or accept it
    #[command(after_help = "Examples:\n  \
        bindery admin accept-rollback\n  \
        bindery admin accept-rollback --etag 1267-12d6 --reason 'restored the backup of Monday'")]
    AcceptRollback(backup::AcceptRollback),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Which {
    /// The key that new records are sealed with
    Epoch,
    /// The key that every slot opens, and a new epoch with it; slots that the daemon can't read by itself are lost
    RootKey,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct Unseal {
    /// A passphrase from a file, or with - from standard input
    #[arg(long, value_name = "PATH")]
    passphrase_file: Option<PathBuf>,
    /// A key file
    #[arg(long, value_name = "PATH")]
    key_file: Option<PathBuf>,
    /// Recovery shares from a file, or with - from standard input, one a line; with fewer than are needed, others hand
    /// in theirs within ten minutes
    #[arg(long, value_name = "PATH")]
    shares: Option<PathBuf>,
}

pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Problem> {
    match command {
        Command::Seal { reason } => {
            session.admin().await?.seal(reason).await?;
            session.say("the daemon is sealed");
            Ok(())
        }
        Command::Unseal(with) => unseal(&with, session).await,
        Command::Rotate { which } => keys::rotate(which, session).await,
        Command::Keys => keys::list(session).await,
        Command::Compact => keys::compact(session).await,
        Command::Slot(command) => slot::run(command, session).await,
        Command::Audit(command) => audit::run(command, session).await,
        Command::Backup(command) => backup::backup(&command, session).await,
        Command::Verify(command) => backup::verify(&command, session).await,
        Command::Restore(command) => backup::restore(&command, session).await,
        Command::AcceptRollback(command) => backup::accept_rollback(&command, session).await,
    }
}

async fn unseal(with: &Unseal, session: &Session) -> Result<(), Problem> {
    let client = session.admin().await?;
    let mut answer = UnsealResponse::default();
    for one in given(with)? {
        answer = client.unseal(&one).await?;
        if answer.seal_state() == SealState::Unsealed {
            session.say("the daemon is unsealed");
            return Ok(());
        }
    }
    let (received, needed) = (answer.shares_received, answer.shares_needed);
    let message = format!(
        "the daemon is still sealed: {received} of {needed} shares were handed in; hand in the others within ten minutes"
    );
    Err(Problem::new(Exit::Unavailable, message))
}

fn given(with: &Unseal) -> Result<Vec<UnsealWith>, Problem> {
    if let Some(path) = &with.passphrase_file {
        return Ok(vec![UnsealWith::Passphrase(secret::read(path)?)]);
    }
    if let Some(path) = &with.key_file {
        return Ok(vec![UnsealWith::Key(key(path)?)]);
    }
    let path = with.shares.as_deref().unwrap_or_else(|| Path::new("-"));
    let shares = shares(path)?.into_iter();
    Ok(shares.map(UnsealWith::RecoveryShare).collect())
}

/// The bytes of a key file.
fn key(path: &Path) -> Result<KeyBytes, Problem> {
    let read = std::fs::read(path).map_err(|error| {
        let message = format!("{} can't be read ({error})", path.display());
        Problem::new(Exit::Configuration, message)
    });
    read.map(KeyBytes::new)
}

/// Recovery shares, one a line.
fn shares(path: &Path) -> Result<Vec<Token>, Problem> {
    let text = secret::read_text(path)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let shares: Vec<Token> = lines.map(Token::from).collect();
    if shares.is_empty() {
        return Err(Problem::usage("there is no share; write one a line"));
    }
    Ok(shares)
}
