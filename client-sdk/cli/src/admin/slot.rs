//! `bindery admin slot`.

use std::path::{Path, PathBuf};

use bindery_client::NewSlot;
use bindery_proto::admin::v1::Slot;
use clap::{Args, Subcommand, ValueEnum};

use super::{key, shares};
use crate::{
    json, moment,
    problem::Problem,
    record::{Record, word},
    secret,
    session::Session,
    table::Cell,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List what opens the seal
    #[command(after_help = "Example:\n  bindery admin slot list")]
    List,
    /// Add a slot; recovery shares are printed once, each for another person
    #[command(after_help = "Examples:\n  \
        bindery admin slot add passphrase --passphrase-file -\n  \
        bindery admin slot add key-file --key-file /etc/bindery/root.key\n  \
        bindery admin slot add recovery-shares --count 5 --needed 3")]
    Add(Add),
    /// Remove a slot; two of different kinds must stay
    #[command(after_help = "Example:\n  bindery admin slot remove 2")]
    Remove {
        /// Its number
        id: i32,
    },
    /// Try recovery shares without changing anything, as a drill; also while sealed
    #[command(after_help = "Example:\n  bindery admin slot verify --shares -")]
    Verify {
        /// The shares, one a line; with - from standard input
        #[arg(long, value_name = "PATH")]
        shares: PathBuf,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Add {
    /// What will open the seal
    kind: Kind,
    /// Name for people
    #[arg(long, default_value = "", hide_default_value = true)]
    label: String,
    /// The passphrase from a file, or with - from standard input
    #[arg(long, value_name = "PATH", required_if_eq("kind", "passphrase"))]
    passphrase_file: Option<PathBuf>,
    /// The key file or credential, which stays where it is: 32 random bytes or more
    #[arg(
        long,
        value_name = "PATH",
        required_if_eq_any([("kind", "key-file"), ("kind", "credential")])
    )]
    key_file: Option<PathBuf>,
    /// How many recovery shares are made
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=16))]
    count: u8,
    /// How many of them are needed
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(2..=16))]
    needed: u8,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Kind {
    Passphrase,
    KeyFile,
    Credential,
    RecoveryShares,
}

pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Problem> {
    let client = session.admin().await?;
    match command {
        Command::List => session.list(&client.daemon_status().await?.slots),
        Command::Add(add) => {
            let added = client.add_slot(&add.slot()?, add.label.as_str()).await?;
            let slot = added.slot.unwrap_or_default();
            print(&slot, &added.recovery_shares, session)
        }
        Command::Remove { id } => session.list(&client.remove_slot(id).await?),
        Command::Verify { shares: path } => {
            let slot = client.verify_recovery_shares(&shares(&path)?).await?;
            session.show(&slot.unwrap_or_default())
        }
    }
}

impl Add {
    fn slot(&self) -> Result<NewSlot, Problem> {
        Ok(match self.kind {
            Kind::Passphrase => NewSlot::Passphrase(secret::read(path(
                self.passphrase_file.as_deref(),
                "--passphrase-file",
            )?)?),
            Kind::KeyFile => NewSlot::KeyFile(key(path(self.key_file.as_deref(), "--key-file")?)?),
            Kind::Credential => {
                NewSlot::SystemdCredential(key(path(self.key_file.as_deref(), "--key-file")?)?)
            }
            Kind::RecoveryShares => NewSlot::RecoveryShares {
                count: self.count,
                needed: self.needed,
            },
        })
    }
}

fn path<'a>(path: Option<&'a Path>, option: &str) -> Result<&'a Path, Problem> {
    path.ok_or_else(|| Problem::usage(format!("this kind of slot needs {option}")))
}

/// The slot, and shares that are shown this once.
fn print(slot: &Slot, shares: &[String], session: &Session) -> Result<(), Problem> {
    if session.is_json() {
        let mut value = json::value(Slot::MESSAGE, slot)?;
        value["recoveryShares"] = shares.into();
        return session.json(&value);
    }
    session.show(slot)?;
    for share in shares {
        session.line(share)?;
    }
    if !shares.is_empty() {
        session.say(
            "the shares are not shown again; give each to another person, then try them with `bindery admin slot verify`",
        );
    }
    Ok(())
}

impl Record for Slot {
    const MESSAGE: &'static str = "bindery.admin.v1.Slot";
    const COLUMNS: &'static [&'static str] = &["SLOT", "KIND", "LABEL", "ADDED", "VERIFIED"];

    /// A slot has a number and no name.
    fn name(&self) -> &str {
        &self.label
    }

    fn row(&self) -> Vec<Cell> {
        vec![
            self.id.to_string().into(),
            kind(self).into(),
            self.label.as_str().into(),
            moment::relative(self.create_time.as_ref()).into(),
            moment::relative(self.verify_time.as_ref()).into(),
        ]
    }

    fn details(&self) -> Vec<(&'static str, Cell)> {
        vec![
            ("slot", self.id.to_string().into()),
            ("kind", kind(self).into()),
            ("label", self.label.as_str().into()),
            ("added", moment::exact(self.create_time.as_ref()).into()),
            ("verified", moment::exact(self.verify_time.as_ref()).into()),
        ]
    }
}

fn kind(slot: &Slot) -> String {
    word(slot.kind().as_str_name(), "SLOT_KIND_")
}
