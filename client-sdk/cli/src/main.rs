//! The `bindery` command: what people and scripts do with a Bindery daemon.
//!
//! | Module | What is in it |
//! |---|---|
//! | [`args`] | the command line |
//! | [`admin`] | what the operator of a daemon does with its seal and keys |
//! | [`host`], [`namespace`], [`provider`], [`link`], [`repo`], [`credential`], [`lease`], [`source`], [`hooks`], [`events`], [`trigger`], [`subscription`], [`status`], [`doctor`], [`plugin`] | one group of commands each |
//! | [`session`] | the connection, and how answers are printed |
//! | [`problem`] | errors and exit codes |
//! | [`record`], [`table`], [`json`], [`style`], [`moment`], [`progress`] | printing |
#![forbid(unsafe_code)]
#![allow(rustdoc::bare_urls, reason = "comments of arguments are help texts")]

use std::{path::Path, process::ExitCode};

use clap::Parser as _;

use crate::{args::Cli, session::Session};

mod admin;
mod args;
mod credential;
mod doctor;
mod events;
mod hooks;
mod host;
mod json;
mod lease;
mod link;
mod moment;
mod namespace;
mod plugin;
mod problem;
mod progress;
mod provider;
mod record;
mod repo;
mod resource;
mod secret;
mod session;
mod source;
mod status;
mod style;
mod subscription;
mod table;
mod trigger;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let cli = Cli::parse_from(arguments());
    let session = Session::new(&cli.globals);
    match args::run(cli.command, &session).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => problem.report(&session),
    }
}

/// Under the name `git-credential-bindery` it is git's helper.
fn arguments() -> Vec<std::ffi::OsString> {
    let mut arguments: Vec<_> = std::env::args_os().collect();
    let name = arguments.first().map(Path::new).and_then(Path::file_name);
    if name.is_some_and(|name| name == "git-credential-bindery") {
        arguments.splice(1..1, ["credential".into(), "helper".into()]);
    }
    arguments
}
