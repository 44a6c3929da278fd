//! The command line, as a person and as a script would use it.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use bindery_tests::daemon::Daemon;
use serde_json::Value;

/// Runs a command, and returns what it prints.
pub(crate) fn run(daemon: &Daemon, arguments: &[&str]) -> Result<String> {
    printed(&mut daemon.cli(arguments))
}

/// Runs a command, and returns the API's message that it prints.
pub(crate) fn json(daemon: &Daemon, arguments: &[&str]) -> Result<Value> {
    let text = run(daemon, &[arguments, &["-o", "json"]].concat())?;
    serde_json::from_str(&text).with_context(|| format!("{arguments:?} prints no JSON: {text}"))
}

/// Runs a command that has to fail, and returns the reason that it gives.
pub(super) fn refused(daemon: &Daemon, arguments: &[&str]) -> Result<String> {
    let output = daemon
        .cli(&[arguments, &["--quiet", "-o", "json"]].concat())
        .output()?;
    ensure!(!output.status.success(), "{arguments:?} was not refused");
    let error: Value = serde_json::from_slice(&output.stderr)?;
    text(&error, "/reason").map(str::to_owned)
}

/// What a program prints, which has to end well.
pub(super) fn printed(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    ensure!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// A text in a message.
pub(crate) fn text<'a>(message: &'a Value, pointer: &str) -> Result<&'a str> {
    let found = message.pointer(pointer).and_then(Value::as_str);
    found.with_context(|| format!("no {pointer} in {message}"))
}

/// A command that has printed a page, and waits for a person.
pub(super) struct Waiting {
    child: Child,
    output: BufReader<ChildStdout>,
    /// The page, with the end of its line.
    pub(super) page: String,
}

impl Waiting {
    /// Starts a command, up to the page that it prints.
    pub(super) fn start(daemon: &Daemon, arguments: &[&str]) -> Result<Self> {
        let mut command = daemon.cli(&[arguments, &["--quiet"]].concat());
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let output = child.stdout.take().context("no output")?;
        let mut waiting = Self {
            child,
            output: BufReader::new(output),
            page: String::new(),
        };
        waiting.output.read_line(&mut waiting.page)?;
        Ok(waiting)
    }

    /// Waits for its end, and returns the rest of what it prints.
    pub(super) fn end(mut self) -> Result<String> {
        let rest = std::io::read_to_string(&mut self.output)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "it ended with {status}: {rest}");
        Ok(rest)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
