//! What was checked and what came of it

use std::fmt::{self, Write as _};

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

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.checks {
            writeln!(f, "{check}")?;
        }
        let failed = self.checks.iter().filter(|check| !check.passed).count();
        write!(f, "{}", self.plugin)?;
        if !self.isolation.is_empty() {
            write!(f, ", isolation {}", self.isolation)?;
        }
        write!(f, ": {} checks, {failed} failed", self.checks.len())
    }
}
