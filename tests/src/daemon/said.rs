//! What a daemon logs and leaves behind.

use anyhow::Result;

use super::Daemon;
use crate::canary::{Leak, MARKER, Scanner};

impl Daemon {
    /// All that it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// What it said when it started: message and fields, a line each.
    #[must_use]
    pub fn messages(&self) -> Vec<String> {
        self.log().lines().filter_map(message).collect()
    }

    /// L1: secrets of the forges of these tests in its log and in its data folder, in any writing.
    ///
    /// # Errors
    ///
    /// When a folder can't be read.
    pub fn left_behind(&self) -> Result<Vec<Leak>> {
        let scanner = Scanner::new([MARKER]);
        let mut leaks = scanner.search("log", self.log().as_bytes());
        if self.path("data").is_dir() {
            leaks.extend(scanner.search_files(&self.path("data"), &[])?);
        }
        Ok(leaks)
    }

    pub(super) fn log_end(&self) -> String {
        let log = self.log();
        log.lines()
            .rev()
            .take(20)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// Message and fields of one line of the log.
fn message(line: &str) -> Option<String> {
    let record: serde_json::Value = serde_json::from_str(line).ok()?;
    let fields = record.get("fields")?.as_object()?;
    let text = fields.get("message")?.as_str()?.to_owned();
    let others = fields.iter().filter(|(name, _)| *name != "message");
    let shown = |(name, value): (&String, &serde_json::Value)| match value.as_str() {
        Some(text) => format!(" {name}={text}"),
        None => format!(" {name}={value}"),
    };
    Some(others.map(shown).fold(text, |all, field| all + &field))
}
