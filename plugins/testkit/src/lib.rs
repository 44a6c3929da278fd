//! Conformance kit for provider plugins
//!
//! The kit loads the **shipped** library in the confined worker that the daemon uses, and plays recorded exchanges to
//! it: as they were, with faults in every one of them, cut off after every step, and many at a time. As a command it is
//! `bindery-plugin-test`; in a test it is one line:
//!
//! ```no_run
//! use bindery_plugin_testkit::{Options, assert_conforms};
//!
//! assert_conforms(&Options::new("target/release/libmy_plugin.so", "manifest.toml", "fixtures"));
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`report`] | what was checked and what came of it |
//! | [`fixture`] | recorded exchanges, as JSON that is safe to commit |
//! | [`package`], [`key`] | a plugin as it is installed, signed |
//! | [`fill`] | completes fixtures with what the plugin does |
//! | `checks` | the checks, group by group |
//! | `play` | one operation in the worker, against a fixture |
//! | `show`, `output`, `diff` | messages as JSON, and what differs |

#![forbid(unsafe_code)]

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use bindery_host::{Limits, WorkerConfig, manifest::Manifest};

mod bench;
mod checks;
mod diff;
pub mod fill;
pub mod fixture;
mod input;
pub mod key;
mod output;
pub mod package;
mod play;
pub mod report;
mod show;

pub use fixture::Fixture;
pub use report::{Check, Report, Tally};

/// What to check, and with what.
#[derive(Clone, Debug)]
pub struct Options {
    /// The library as it is shipped.
    pub library: PathBuf,
    /// Its manifest, with or without artefacts.
    pub manifest: PathBuf,
    /// Folder of `*.json` fixtures.
    pub fixtures: PathBuf,
    /// `bindery-plugin-worker`; looked for beside the running program where it is not named.
    pub worker: Option<PathBuf>,
    /// Longest time for one step.
    pub step_time: Duration,
    /// How many operations are started and abandoned to see whether the worker grows.
    pub abandoned: usize,
}

impl Options {
    /// Options with everything else as the daemon has it.
    pub fn new(
        library: impl Into<PathBuf>,
        manifest: impl Into<PathBuf>,
        fixtures: impl Into<PathBuf>,
    ) -> Self {
        Self {
            library: library.into(),
            manifest: manifest.into(),
            fixtures: fixtures.into(),
            worker: None,
            step_time: Limits::default().step_time,
            abandoned: 4000,
        }
    }
}

/// All that the checks are about.
pub(crate) struct Subject {
    pub(crate) library: Vec<u8>,
    pub(crate) manifest: Manifest,
    pub(crate) fixtures: Vec<Fixture>,
    pub(crate) worker: WorkerConfig,
    pub(crate) limits: Limits,
    pub(crate) abandoned: usize,
}

impl Subject {
    pub(crate) fn read(options: &Options) -> Result<Self> {
        let limits = Limits {
            step_time: options.step_time,
            ..Limits::default()
        };
        Ok(Self {
            library: read(&options.library)?,
            manifest: read_manifest(&options.manifest)?,
            fixtures: fixture::read_folder(&options.fixtures)?,
            worker: WorkerConfig {
                path: worker_path(options.worker.as_deref())?,
                ..WorkerConfig::default()
            },
            limits,
            abandoned: options.abandoned,
        })
    }
}

/// Runs all checks.
///
/// # Errors
///
/// A file can't be read, or the worker is not there: nothing is known about the plugin then.
pub fn check(options: &Options) -> Result<Report> {
    let subject = Subject::read(options)?;
    runtime()?.block_on(checks::run(&subject))
}

/// Runs all checks, for a test.
///
/// # Panics
///
/// If one of them fails, with the failed ones in words.
#[track_caller]
pub fn assert_conforms(options: &Options) {
    match check(options) {
        Ok(report) if report.passed() => {}
        Ok(report) => panic!("the plugin does not conform:\n{}", report.failures()),
        Err(error) => panic!("the plugin can't be checked: {error:#}"),
    }
}

pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("a runtime can't be started")
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("{} can't be read", path.display()))
}

pub(crate) fn read_manifest(path: &Path) -> Result<Manifest> {
    Manifest::parse(&read(path)?).with_context(|| format!("{} is no manifest", path.display()))
}

/// The worker's absolute path: as named, or beside this program, or one folder up, where tests find it.
fn worker_path(named: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = named {
        return path
            .canonicalize()
            .with_context(|| format!("there is no worker at {}", path.display()));
    }
    let own = std::env::current_exe().context("this program does not know its own path")?;
    own.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("bindery-plugin-worker"))
        .find(|path| path.is_file())
        .context("bindery-plugin-worker is not beside this program; name it with --worker")
}
