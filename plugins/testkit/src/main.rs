//! `bindery-plugin-test`: checks, packages and signs provider plugins

#![forbid(unsafe_code)]

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use bindery_plugin_testkit::{Options, check, fill::fill, key, package::package};
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Checks, packages and signs provider plugins.
///
/// Exit status: 0 when all is well, 1 when a check failed, 2 when nothing could be checked.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the shipped library in a confined worker against recorded exchanges and faults
    Check {
        #[command(flatten)]
        plugin: Plugin,
        /// How to print the report
        #[arg(long, value_enum, default_value_t = Format::Table)]
        output: Format,
    },
    /// Add requests and results to fixtures that have no 'expect', for you to read
    Fill {
        #[command(flatten)]
        plugin: Plugin,
    },
    /// Write a plugin as it is installed: a folder with its name, and in it one with its version
    Package {
        /// The library
        library: PathBuf,
        /// Its manifest, without artefacts
        #[arg(long)]
        manifest: PathBuf,
        /// Folder to write to
        #[arg(long)]
        out: PathBuf,
        /// Key to sign with, as 'keygen' makes it
        #[arg(long)]
        sign_key: Option<PathBuf>,
    },
    /// Make a publisher's key, and the .pub file for the operators of daemons
    Keygen {
        /// File for the private key; the public one gets '.pub' at its end
        path: PathBuf,
        /// Name of the key, for people
        #[arg(long)]
        name: String,
        /// Plugin that the key may sign; may be given several times
        #[arg(long = "may-sign", required = true)]
        may_sign: Vec<String>,
    },
}

#[derive(Args)]
struct Plugin {
    /// The library
    library: PathBuf,
    /// Its manifest
    #[arg(long)]
    manifest: PathBuf,
    /// Folder of fixtures
    #[arg(long)]
    fixtures: PathBuf,
    /// The worker; looked for beside this program if not given
    #[arg(long)]
    worker: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Table,
    Json,
}

impl From<Plugin> for Options {
    fn from(plugin: Plugin) -> Self {
        Self {
            worker: plugin.worker,
            ..Self::new(plugin.library, plugin.manifest, plugin.fixtures)
        }
    }
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Check { plugin, output } => {
            let report = check(&plugin.into())?;
            match output {
                Format::Table => println!("{report}"),
                Format::Json => println!("{}", serde_json::to_string_pretty(&report)?),
            }
            return Ok(ExitCode::from(u8::from(!report.passed())));
        }
        Command::Fill { plugin } => {
            for name in fill(&plugin.into())? {
                println!("filled in {name}; read it before you commit it");
            }
        }
        Command::Package {
            library,
            manifest,
            out,
            sign_key,
        } => {
            let folder = package(&library, &manifest, &out, sign_key.as_deref())?;
            println!("{}", folder.display());
        }
        Command::Keygen {
            path,
            name,
            may_sign,
        } => {
            let (path, text) = key::generate(&path, &name, &may_sign)?;
            println!("# {}\n{text}", path.display());
        }
    }
    Ok(ExitCode::SUCCESS)
}
