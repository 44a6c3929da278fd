//! `binderyd restore`: a backup into the empty data folder of a configuration, where there is no daemon that could.

use std::{
    fs::File,
    io::{BufRead, IsTerminal, Read},
    path::Path,
};

use bindery_core::secret::Secret;
use bindery_vault::{BackupFacts, Opening, Unlock};
use data_encoding::HEXLOWER;
use tokio::sync::mpsc;

use crate::{
    args::Restore,
    backups::{self, clear_parts, has_parts},
    config::Config,
    failure::Failure,
    vault,
};

/// Checks the whole backup, says what will be done, asks, and does it.
pub(crate) async fn restore(config: &Config, asked: &Restore) -> Result<(), Failure> {
    vault::prepare_folder(&config.data_dir)?;
    if has_parts(&config.data_dir) {
        let message = format!(
            "{} holds a store; a restoration never writes over one, so name another data_dir or move it away",
            config.data_dir.display()
        );
        return Err(Failure::Refused("NOT_EMPTY", message));
    }
    let given = Given::read(asked)?;
    let source = pieces(&asked.backup)?;
    let read = bindery_vault::verify(source, given.opening(config)?, given.passphrase());
    let facts = read.await.map_err(unusable)?;
    eprintln!("{}", plan(&facts, &config.data_dir));
    confirm(asked.yes)?;
    let target = backups::open_target(config.data_dir.clone()).await?;
    let source = pieces(&asked.backup)?;
    let restored =
        bindery_vault::restore(source, given.opening(config)?, given.passphrase(), &target);
    let restored = restored.await;
    drop(target);
    if let Err(error) = restored {
        clear_parts(&config.data_dir);
        return Err(unusable(error));
    }
    eprintln!("restored; start the daemon");
    Ok(())
}

/// What somebody brought.
struct Given {
    shares: Vec<Secret>,
    passphrase: Option<Secret>,
}

impl Given {
    fn read(asked: &Restore) -> Result<Self, Failure> {
        let passphrase = asked.passphrase_file.as_deref().map(vault::passphrase);
        let passphrase = passphrase.transpose()?;
        let mut shares = Vec::new();
        if asked.recovery_shares {
            if std::io::stdin().is_terminal() {
                eprintln!(
                    "Type the recovery shares, one a line, and an empty line after the last:"
                );
            }
            let lines = std::io::stdin().lock().lines();
            for line in lines {
                let line = zeroize::Zeroizing::new(line?);
                if line.trim().is_empty() {
                    break;
                }
                shares.push(Secret::new(line.trim().to_owned()));
            }
        }
        Ok(Self { shares, passphrase })
    }

    fn passphrase(&self) -> Option<Secret> {
        self.passphrase.as_ref().map(Secret::duplicate)
    }

    /// The shares, or what the configuration names.
    fn opening(&self, config: &Config) -> Result<Opening, Failure> {
        if self.shares.is_empty() {
            return Ok(Opening::slots(vault::unlock(config, true)?));
        }
        let shares = self.shares.iter().map(Secret::duplicate).collect();
        Ok(Opening::slots(vec![Unlock::Shares(shares)]))
    }
}

/// The bytes of a file. What can't be read any more is a backup without an end.
fn pieces(path: &Path) -> Result<mpsc::Receiver<Vec<u8>>, Failure> {
    let unreadable = |error| Failure::Config(format!("{} can't be read: {error}", path.display()));
    let mut file = File::open(path).map_err(unreadable)?;
    let (sink, source) = mpsc::channel(4);
    tokio::task::spawn_blocking(move || {
        loop {
            let mut piece = Vec::new();
            let read = file.by_ref().take(PIECE).read_to_end(&mut piece);
            if read.is_err() || piece.is_empty() || sink.blocking_send(piece).is_err() {
                return;
            }
        }
    });
    Ok(source)
}

fn plan(facts: &BackupFacts, into: &Path) -> String {
    format!(
        "The backup is whole: {} records of store {}, up to write {}, made at {} ms since 1970.\n\
         They are restored into {}.\n\
         What was written after the backup is not in it: links made since are absent, links ended since are back.\n\
         Tokens that rotate may have been replaced since. Each one is used as it is while its provider takes it; then \
         its refresh token is tried once, at most one a second for each host, and where that fails the link must be \
         authorized again.",
        facts.records,
        HEXLOWER.encode(&facts.store_id),
        facts.generation,
        facts.created.unix_ms(),
        into.display(),
    )
}

fn confirm(yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if std::io::stdin().is_terminal() {
        eprint!("Restore it? [y/N] ");
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line)?;
        if matches!(line.trim(), "y" | "yes") {
            return Ok(());
        }
    }
    let message = "nothing was restored; say y, or add --yes".to_owned();
    Err(Failure::Refused("NOT_CONFIRMED", message))
}

fn unusable(error: bindery_vault::BackupError) -> Failure {
    Failure::Refused("BACKUP_INVALID", error.to_string())
}

const PIECE: u64 = 256 << 10;
