//! What a probe found.

use bindery_proto::v1::{
    ProbeHostResponse,
    probe_host_response::{Outcome, Verdict},
};

use crate::{
    json,
    problem::{Exit, Problem},
    record::word,
    session::Session,
    style::{Style, Tone},
    table::{self, Cell},
};

pub(super) fn print(probed: &ProbeHostResponse, session: &Session) -> Result<(), Problem> {
    if session.is_json() {
        return session.json(&json::value("bindery.v1.ProbeHostResponse", probed)?);
    }
    session.text(&table(probed, session.answers))
}

pub(super) fn table(probed: &ProbeHostResponse, style: Style) -> String {
    let rows: Vec<Vec<Cell>> = probed
        .verdicts
        .iter()
        .map(|verdict| {
            let outcome = word(verdict.outcome().as_str_name(), "OUTCOME_");
            let tone = match verdict.outcome() {
                Outcome::Failed if verdict.informational => Tone::Waiting,
                Outcome::Ok => Tone::Good,
                Outcome::Failed => Tone::Bad,
                _ => Tone::Waiting,
            };
            vec![
                way(verdict).into(),
                word(verdict.layer().as_str_name(), "LAYER_").into(),
                Cell::toned(outcome, tone),
                [verdict.reason.as_str(), verdict.message.as_str()]
                    .join(" ")
                    .trim()
                    .into(),
            ]
        })
        .collect();
    let mut text = table::render(&["LEG", "LAYER", "OUTCOME", "MESSAGE"], &rows, style);
    if !probed.server_version.is_empty() {
        text += &format!("server version: {}\n", probed.server_version);
    }
    if let Some(skew) = probed.clock_skew.filter(|skew| skew.seconds.abs() > 1) {
        text += &format!(
            "clock: the server is {} s ahead of the daemon\n",
            skew.seconds
        );
    }
    for finding in &probed.findings {
        text += &format!("note: {}\n", finding.message);
    }
    text
}

/// The leg; where there is a public and an internal way, with its address.
fn way(verdict: &Verdict) -> String {
    let leg = word(verdict.leg().as_str_name(), "LEG_");
    if verdict.informational {
        return format!("{leg} (public: {})", verdict.uri);
    }
    leg
}

pub(super) fn verdict(name: &str, probed: &ProbeHostResponse) -> Result<(), Problem> {
    if probed.healthy {
        return Ok(());
    }
    let message = format!("{name} does not work on every way; see the verdicts that failed");
    Err(Problem::new(Exit::Unavailable, message))
}
