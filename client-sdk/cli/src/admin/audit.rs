//! `bindery admin audit`.

use std::time::SystemTime;

use bindery_proto::admin::v1::{AuditRecord, VerifyAuditResponse};
use clap::Subcommand;

use crate::{
    json, moment,
    problem::{Exit, Problem},
    record::Record,
    session::Session,
    style::Tone,
    table::{self, Cell},
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List what was done and handed out, the newest first
    #[command(after_help = "\
Fields of a filter: actor, action, resource, namespace, code

Example:
  bindery admin audit list --since 2h --filter 'namespace = namespaces/acme AND code = OK'")]
    List {
        /// Which ones, such as 'actor = uid:1000'
        #[arg(long, default_value = "", hide_default_value = true)]
        filter: String,
        /// Only what was done since, such as 10m, 2h, 3d or 2026-11-30T04:20:00Z
        #[arg(long, value_parser = moment::past, value_name = "TIME")]
        since: Option<SystemTime>,
        /// How many at most; 0 for all
        #[arg(long, default_value_t = 50, value_name = "COUNT")]
        limit: usize,
    },
    /// Check the chain of the whole log; exits with 1 where a record was changed or is missing
    #[command(after_help = "Example:\n  bindery admin audit verify")]
    Verify,
}

pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Problem> {
    match command {
        Command::List {
            filter,
            since,
            limit,
        } => list(filter, since, limit, session).await,
        Command::Verify => verify(session).await,
    }
}

async fn list(
    filter: String,
    since: Option<SystemTime>,
    limit: usize,
    session: &Session,
) -> Result<(), Problem> {
    let client = session.admin().await?;
    let mut pages = client.list_audit_records(filter);
    let mut records: Vec<AuditRecord> = Vec::new();
    let since = since.map(prost_types::Timestamp::from);
    while limit == 0 || records.len() < limit {
        let Some(record) = pages.next().await? else {
            break;
        };
        if is_before(&record, since.as_ref()) {
            break;
        }
        records.push(record);
    }
    session.list(&records)
}

fn is_before(record: &AuditRecord, since: Option<&prost_types::Timestamp>) -> bool {
    let order = |time: &prost_types::Timestamp| (time.seconds, time.nanos);
    let written = record.record_time.as_ref().map(order);
    since.is_some_and(|since| written.is_some_and(|written| written < order(since)))
}

async fn verify(session: &Session) -> Result<(), Problem> {
    let verdict = session.admin().await?.verify_audit().await?;
    if session.is_json() {
        session.json(&json::value(
            "bindery.admin.v1.VerifyAuditResponse",
            &verdict,
        )?)?;
    } else {
        session.text(&table::details(&facts(&verdict), session.answers))?;
    }
    if verdict.intact {
        return Ok(());
    }
    let message = format!("the audit log is broken: {}", verdict.message);
    Err(Problem::new(Exit::Failure, &message))
}

fn facts(verdict: &VerifyAuditResponse) -> Vec<(&'static str, Cell)> {
    let chain = if verdict.intact {
        Cell::toned("intact", Tone::Good)
    } else {
        Cell::toned("broken", Tone::Bad)
    };
    vec![
        ("chain", chain),
        ("records that fit", verdict.record_count.to_string().into()),
        ("message", verdict.message.as_str().into()),
    ]
}

impl Record for AuditRecord {
    const MESSAGE: &'static str = "bindery.admin.v1.AuditRecord";
    const COLUMNS: &'static [&'static str] = &[
        "RECORD", "TIME", "ACTOR", "ACTION", "RESOURCE", "OUTCOME", "FACTS",
    ];

    fn name(&self) -> &str {
        &self.chain_hash
    }

    fn row(&self) -> Vec<Cell> {
        vec![
            self.sequence.to_string().into(),
            moment::exact(self.record_time.as_ref()).into(),
            self.actor.clone().unwrap_or_default().id.into(),
            self.action.as_str().into(),
            self.resource.as_str().into(),
            outcome(self),
            said(self).into(),
        ]
    }

    fn details(&self) -> Vec<(&'static str, Cell)> {
        let names = [
            "record", "time", "actor", "action", "resource", "outcome", "facts",
        ];
        names.into_iter().zip(self.row()).collect()
    }
}

fn outcome(record: &AuditRecord) -> Cell {
    match (record.code.as_str(), record.reason.as_str()) {
        ("", _) => Cell::toned("begun", Tone::Waiting),
        ("OK", _) => Cell::toned("OK", Tone::Good),
        (code, "") => Cell::toned(code.to_owned(), Tone::Bad),
        (_, reason) => Cell::toned(reason.to_owned(), Tone::Bad),
    }
}

/// The repository and the other facts, in the order of their names.
fn said(record: &AuditRecord) -> String {
    let mut facts: Vec<_> = record.facts.iter().collect();
    facts.sort();
    let repository = (!record.repository.is_empty()).then(|| record.repository.clone());
    let facts = facts
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"));
    repository
        .into_iter()
        .chain(facts)
        .collect::<Vec<_>>()
        .join(" ")
}
