//! `bindery doctor`.

use bindery_proto::admin::v1::{Check, check::Outcome};

use crate::{
    problem::{Exit, Problem},
    record::{Record, word},
    session::Session,
    style::Tone,
    table::Cell,
};

/// Prints all checks. A promise that does not hold is a failure; a weakness is none.
pub(crate) async fn run(session: &Session) -> Result<(), Problem> {
    let checks = session.admin().await?.diagnose().await?;
    session.list(&checks)?;
    let failed = checks
        .iter()
        .filter(|check| check.outcome() == Outcome::Failed);
    match failed.count() {
        0 => Ok(()),
        count => {
            let message = format!(
                "{count} of {} checks failed; do what each of them says",
                checks.len()
            );
            Err(Problem::new(Exit::Failure, message))
        }
    }
}

impl Record for Check {
    const MESSAGE: &'static str = "bindery.admin.v1.Check";
    const COLUMNS: &'static [&'static str] = &["CHECK", "OUTCOME", "FOUND", "WHAT TO DO"];

    fn name(&self) -> &str {
        &self.id
    }

    fn row(&self) -> Vec<Cell> {
        vec![
            self.id.as_str().into(),
            outcome(self),
            self.message.as_str().into(),
            self.action.as_str().into(),
        ]
    }

    fn details(&self) -> Vec<(&'static str, Cell)> {
        vec![
            ("check", self.id.as_str().into()),
            ("outcome", outcome(self)),
            ("found", self.message.as_str().into()),
            ("what to do", self.action.as_str().into()),
        ]
    }
}

fn outcome(check: &Check) -> Cell {
    let text = word(check.outcome().as_str_name(), "OUTCOME_");
    match check.outcome() {
        Outcome::Ok => Cell::toned(text, Tone::Good),
        Outcome::Failed => Cell::toned(text, Tone::Bad),
        _ => Cell::toned(text, Tone::Waiting),
    }
}
