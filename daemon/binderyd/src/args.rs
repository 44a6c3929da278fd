//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// The Bindery daemon: keeps the links between a registry and the places where source lives.
#[derive(Debug, Parser)]
#[command(name = "binderyd", version)]
pub(crate) struct Args {
    /// Configuration file.
    #[arg(
        long,
        global = true,
        env = "BINDERY_CONFIG",
        default_value = "/etc/bindery/bindery.toml"
    )]
    pub(crate) config: PathBuf,
    /// What to do; `run` when nothing is named.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs the daemon.
    Run(Mode),
    /// Makes the root key, its slots and the store.
    Init(Slots),
    /// Checks the configuration, and prints what is wrong with it.
    CheckConfig,
    /// Lists the slots that open the root key.
    Slots,
    /// Opens the vault with two recovery shares from standard input, and makes a new key file.
    Recover {
        /// The key file to make, mode 0400.
        #[arg(long, value_name = "PATH")]
        key_file: PathBuf,
    },
    /// Restores a backup into the data folder, which must hold no store.
    Restore(Restore),
    /// Installed plugins, and what the operator agreed to run.
    #[command(subcommand)]
    Plugin(Plugin),
}

/// What to restore, and with what.
#[derive(Debug, clap::Args)]
pub(crate) struct Restore {
    /// The backup.
    #[arg(long, value_name = "PATH")]
    pub(crate) backup: PathBuf,
    /// Reads recovery shares from standard input, one a line, instead of the configured sources of the root key.
    #[arg(long)]
    pub(crate) recovery_shares: bool,
    /// The passphrase that the backup was made with, in this file.
    #[arg(long, value_name = "PATH")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Does not ask.
    #[arg(long)]
    pub(crate) yes: bool,
}

/// How to run.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Mode {
    /// For trying out: one key file beside the data is enough, plugins need no signature. Never with real credentials.
    #[arg(long)]
    pub(crate) development: bool,
}

/// The slots to make. At least two of different kinds, one of them kept elsewhere.
#[derive(Debug, clap::Args)]
pub(crate) struct Slots {
    /// Makes a key file, mode 0400.
    #[arg(long, value_name = "PATH")]
    pub(crate) key_file: Option<PathBuf>,
    /// Uses a systemd credential that is there: its name in `$CREDENTIALS_DIRECTORY`, or its path.
    #[arg(long, value_name = "NAME")]
    pub(crate) credential: Option<PathBuf>,
    /// Uses the passphrase in this file; `-` reads one line from standard input.
    #[arg(long, value_name = "PATH")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Makes three recovery shares, of which two open the vault, and asks for two of them back.
    #[arg(long)]
    pub(crate) recovery_shares: bool,
    /// One slot is enough. Never with real credentials.
    #[arg(long)]
    pub(crate) development: bool,
}

/// Plugins.
#[derive(Debug, Subcommand)]
pub(crate) enum Plugin {
    /// Agrees to run a plugin: checks it, shows what changes, and writes the lock file.
    Pin {
        /// Name and version, like `github@0.1.0`.
        plugin: String,
        /// Writes without asking.
        #[arg(long)]
        yes: bool,
        /// Goes back to an older version.
        #[arg(long)]
        allow_downgrade: bool,
    },
}
