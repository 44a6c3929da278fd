//! Checks the chain, from the oldest file that is kept to the newest record that was written.

use std::{io, path::Path};

use bindery_core::{
    audit::{AuditMark, AuditVerdict},
    problem::{Problem, Reason},
};
use ring::hmac;

use crate::{Inner, files, line::Misfit, scan::Lines, unavailable, writer::describe};

impl Inner {
    pub(crate) async fn verify(&self) -> Result<AuditVerdict, Problem> {
        let Some(running) = self.running().await? else {
            let message = "the daemon is sealed, and the key of the audit log with it; unseal it";
            return Err(Problem::new(Reason::Sealed, message));
        };
        let _kept = running.files.read().await;
        let head = self.head().await?;
        // What was sealed counts as well: a log that lost its end goes on after it.
        let mut last = *running.written.borrow();
        if head.last.sequence > last.sequence {
            last = head.last;
        }
        let (folder, key) = (self.config.folder.clone(), running.key.clone());
        let checked =
            tokio::task::spawn_blocking(move || check(&folder, &key, head.before, last)).await;
        checked
            .map_err(|_| unavailable("it could not be checked"))?
            .map_err(|error| unavailable(&describe(&error)))
    }
}

/// Follows the chain from `before` to `last`. Blocks.
fn check(
    folder: &Path,
    key: &hmac::Key,
    before: AuditMark,
    last: AuditMark,
) -> io::Result<AuditVerdict> {
    let (mut mark, mut records) = (before, 0);
    for path in files::list(folder)? {
        if mark.sequence >= last.sequence {
            break;
        }
        let lines = Lines::read(&path)?;
        match lines.before {
            Some(from) if from == mark => {}
            // A file that should have gone: all of it lies before what is kept.
            Some(from) if from.sequence < before.sequence && records == 0 => continue,
            Some(from) if from.sequence > mark.sequence => {
                return Ok(missing(records, mark, from.sequence));
            }
            Some(_) => return Ok(broken(records, mark, "does not go on from the one before")),
            None => {
                return Ok(broken(
                    records,
                    mark,
                    "stands in a file whose beginning is damaged",
                ));
            }
        }
        let followed = lines.follow(key, mark, last.sequence);
        (mark, records) = (followed.mark, records + followed.records);
        match followed.misfit {
            None => {}
            Some(Misfit::Number(found)) if found > mark.sequence + 1 => {
                return Ok(missing(records, mark, found - 1));
            }
            Some(Misfit::Number(found)) => {
                let what = format!("is missing: record {found} stands in its place");
                return Ok(broken(records, mark, &what));
            }
            Some(Misfit::Unreadable) => return Ok(broken(records, mark, "can't be read")),
            Some(Misfit::Chain) => return Ok(broken(records, mark, "was changed")),
        }
    }
    if mark.sequence < last.sequence {
        return Ok(missing(records, mark, last.sequence));
    }
    if mark != last {
        return Ok(broken(records, mark, "is another one than was written"));
    }
    Ok(AuditVerdict {
        records,
        broken: None,
    })
}

/// The record after `mark` does not fit.
fn broken(records: u64, mark: AuditMark, what: &str) -> AuditVerdict {
    let next = mark.sequence + 1;
    AuditVerdict {
        records,
        broken: Some((next, format!("record {next} {what}"))),
    }
}

/// All records after `mark` up to `to` are not there.
fn missing(records: u64, mark: AuditMark, to: u64) -> AuditVerdict {
    let next = mark.sequence + 1;
    let what = if next == to {
        format!("record {next} is missing")
    } else {
        format!("records {next} to {to} are missing")
    };
    AuditVerdict {
        records,
        broken: Some((next, what)),
    }
}
