//! The table as it is printed when its last row has ended.

use std::{
    collections::BTreeMap,
    io::Write as _,
    sync::{Mutex, PoisonError},
};

use super::step::Step;

/// Cells of a row, in the order of the steps.
type Cells = [&'static str; Step::ALL.len()];

const NOT_REACHED: &str = "-";
const FAILED: &str = "FAILED";
const OK: &str = "ok";

/// Rows that have ended.
static ENDED: Mutex<BTreeMap<&str, Cells>> = Mutex::new(BTreeMap::new());

/// A row while it runs. It is put down when it is dropped, however it ended.
pub(super) struct Line {
    row: &'static str,
    rows: usize,
    cells: Cells,
}

impl Line {
    /// The row of this name, of so many.
    pub(super) const fn new(row: &'static str, rows: usize) -> Self {
        let cells = [NOT_REACHED; Step::ALL.len()];
        Self { row, rows, cells }
    }

    /// Until it is done, a step has failed.
    pub(super) const fn begins(&mut self, step: Step) {
        self.cells[step.place()] = FAILED;
    }

    /// The step did all that it promises.
    pub(super) const fn done(&mut self, step: Step) {
        self.cells[step.place()] = OK;
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let mut ended = ENDED.lock().unwrap_or_else(PoisonError::into_inner);
        ended.insert(self.row, self.cells);
        if ended.len() == self.rows {
            // Past the test runner, which keeps what a passing test prints to itself.
            let _ = std::io::stderr().write_all(render(&ended).as_bytes());
        }
    }
}

fn render(rows: &BTreeMap<&str, Cells>) -> String {
    let head = ("", Step::ALL.map(Step::name));
    let rows = rows.iter().map(|(name, cells)| (*name, *cells));
    let lines = std::iter::once(head).chain(rows).map(|(name, cells)| {
        let cells: String = cells.map(|cell| format!(" {cell:<11}")).concat();
        format!("{name:<24}{}\n", cells.trim_end())
    });
    lines.collect()
}

/// A row says which step it failed at, and which it did not reach.
#[test]
fn a_row_that_fails_says_where() {
    // Never dropped: it is no row of the table.
    let mut line = std::mem::ManuallyDrop::new(Line::new("forge", 1));
    line.begins(Step::Link);
    line.done(Step::Link);
    line.begins(Step::List);
    let rows = [("forge", line.cells)].into();
    let text = render(&rows);
    let words: Vec<_> = text
        .lines()
        .last()
        .into_iter()
        .flat_map(str::split_whitespace)
        .collect();
    assert_eq!(words[..4], ["forge", "ok", "FAILED", "-"]);
}
