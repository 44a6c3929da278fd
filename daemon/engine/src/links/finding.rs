//! What is worth saying about a link although nothing failed.

pub use bindery_core::link::Severity;
use bindery_core::{problem::Problem, time::Timestamp};

/// One thing that somebody should know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What it is, what to do, and who must.
    pub problem: Problem,
    /// Until when they must; `None` where there is no deadline.
    pub until: Option<Timestamp>,
}

impl Finding {
    /// One without a deadline.
    #[must_use]
    pub const fn new(severity: Severity, problem: Problem) -> Self {
        Self {
            severity,
            problem,
            until: None,
        }
    }
}
