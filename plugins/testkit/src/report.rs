//! What was checked and what came of it

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
};

use serde::Serialize;

/// One check.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Check {
    /// Which of the five groups: `image`, `description`, `recorded`, `faults`, `lives`.
    pub group: &'static str,
    /// What was checked.
    pub name: String,
    /// Whether it is as it should be.
    pub passed: bool,
    /// What is wrong, or what was seen.
    pub detail: String,
}

/// All checks of one plugin.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Report {
    /// Name and version.
    pub plugin: String,
    /// What confined it: `full`, `seccomp` or `process`; empty where it never ran.
    pub isolation: String,
    /// The checks, in order.
    pub checks: Vec<Check>,
    /// Each operation by its name, with what came of its fixtures: as they were recorded, and with each fault in them.
    pub operations: BTreeMap<String, Tally>,
}

/// What came of the checks of one operation's fixtures.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Tally {
    /// Whether the plugin offers it.
    pub offered: bool,
    /// Checks and runs with a fault that went as they should.
    pub passed: usize,
    /// Those that did not.
    pub failed: usize,
}

impl Tally {
    fn count(&mut self, passed: bool) {
        match passed {
            true => self.passed += 1,
            false => self.failed += 1,
        }
    }

    fn verdict(self) -> &'static str {
        match self {
            Self { failed: 1.., .. } => "FAIL",
            Self { offered: false, .. } => "not offered",
            Self { passed: 0, .. } => "not checked",
            _ => "ok",
        }
    }
}

impl Report {
    /// Whether every check passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        !self.checks.is_empty() && self.checks.iter().all(|check| check.passed)
    }

    /// The failed checks as lines.
    #[must_use]
    pub fn failures(&self) -> String {
        let failed = self.checks.iter().filter(|check| !check.passed);
        failed.fold(String::new(), |mut out, check| {
            // Writing to a string can't fail.
            let _ = writeln!(out, "{check}");
            out
        })
    }

    /// Adds a check of an operation's fixture, which counts for the operation as well.
    pub(crate) fn add_of(
        &mut self,
        operation: &str,
        group: &'static str,
        name: impl Into<String>,
        outcome: Result<impl Into<String>, String>,
    ) {
        self.count(operation, outcome.is_ok());
        self.add(group, name, outcome);
    }

    /// Counts what came of one run for its operation.
    pub(crate) fn count(&mut self, operation: &str, passed: bool) {
        let tally = self.operations.entry(operation.to_owned()).or_default();
        tally.count(passed);
    }

    pub(crate) fn add(
        &mut self,
        group: &'static str,
        name: impl Into<String>,
        outcome: Result<impl Into<String>, String>,
    ) {
        let (passed, detail) = match outcome {
            Ok(seen) => (true, seen.into()),
            Err(wrong) => (false, wrong),
        };
        self.checks.push(Check {
            group,
            name: name.into(),
            passed,
            detail,
        });
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.passed { "ok  " } else { "FAIL" };
        write!(f, "{mark}  {:<11}  {}", self.group, self.name)?;
        if self.detail.is_empty() {
            Ok(())
        } else {
            write!(f, ": {}", self.detail)
        }
    }
}

impl Report {
    /// The table of the operations.
    fn table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.operations.is_empty() {
            return Ok(());
        }
        writeln!(f, "\n{:<20}  passed  failed  verdict", "operation")?;
        for (name, tally) in &self.operations {
            let Tally { passed, failed, .. } = tally;
            let verdict = tally.verdict();
            writeln!(f, "{name:<20}  {passed:>6}  {failed:>6}  {verdict}")?;
        }
        writeln!(f)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.checks {
            writeln!(f, "{check}")?;
        }
        self.table(f)?;
        let failed = self.checks.iter().filter(|check| !check.passed).count();
        write!(f, "{}", self.plugin)?;
        if !self.isolation.is_empty() {
            write!(f, ", isolation {}", self.isolation)?;
        }
        write!(f, ": {} checks, {failed} failed", self.checks.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each operation has one line, which fails with any of its checks, and one that is not offered says so.
    #[test]
    fn operations_are_summed_up() {
        let mut report = Report::default();
        for operation in ["identify", "mint_token", "probe"] {
            report.operations.insert(
                operation.to_owned(),
                Tally {
                    offered: operation != "mint_token",
                    ..Tally::default()
                },
            );
        }
        report.add_of("identify", "recorded", "a: result", Ok("fine"));
        report.add_of(
            "identify",
            "recorded",
            "a: secrets",
            Err::<&str, _>("told".to_owned()),
        );
        let shown = report.to_string();
        let line = |name: &str| {
            let found = shown.lines().find(|line| line.starts_with(name));
            let words: Vec<_> = found.expect("a line").split_whitespace().collect();
            words.join(" ")
        };
        assert_eq!(line("identify"), "identify 1 1 FAIL");
        assert_eq!(line("mint_token"), "mint_token 0 0 not offered");
        assert_eq!(line("probe"), "probe 0 0 not checked");
        assert_eq!(report.checks.len(), 2);
    }
}
