//! [`HookRotation`].

use bindery_core::{
    name::{HookId, NamespaceName, RotationId},
    problem::Reason,
    rotation::{HookRotation, HookRotationReport, RotationOutcome},
    time::Timestamp,
};
use bindery_store_proto::v1 as disk;

use super::{
    Stored, Unreadable, duration, duration_ms, each, ms, name,
    source::{read_source_name, write_source_name},
    time,
};

impl Stored for HookRotation {
    type Message = disk::HookRotation;

    fn write(&self) -> disk::HookRotation {
        disk::HookRotation {
            namespace: self.namespace.to_string(),
            id: self.id.to_string(),
            overlap_ms: duration_ms(self.overlap),
            actor: self.actor.clone(),
            created_ms: self.created.unix_ms(),
            finished_ms: ms(self.finished),
            hooks: self.hooks.iter().map(write_report).collect(),
        }
    }

    fn read(message: disk::HookRotation) -> Result<Self, Unreadable> {
        Ok(Self {
            namespace: name(NamespaceName::parse, &message.namespace, "namespace")?,
            id: name(RotationId::parse, &message.id, "rotation id")?,
            overlap: duration(message.overlap_ms),
            actor: message.actor,
            created: Timestamp::from_unix_ms(message.created_ms),
            finished: time(message.finished_ms),
            hooks: each(message.hooks, read_report)?,
        })
    }
}

fn write_report(report: &HookRotationReport) -> disk::HookRotationReport {
    let (outcome, until_ms, reason) = match report.outcome {
        None => (disk::RotationOutcome::Unspecified, 0, ""),
        Some(RotationOutcome::Done(until)) => (disk::RotationOutcome::Done, until.unix_ms(), ""),
        Some(RotationOutcome::Failed(reason)) => {
            (disk::RotationOutcome::Failed, 0, reason.as_str())
        }
        Some(RotationOutcome::Skipped) => (disk::RotationOutcome::Skipped, 0, ""),
    };
    disk::HookRotationReport {
        hook: report.hook.to_string(),
        source: Some(write_source_name(&report.source)),
        outcome: outcome.into(),
        until_ms,
        reason: reason.to_owned(),
        message: report.message.clone(),
    }
}

fn read_report(message: disk::HookRotationReport) -> Result<HookRotationReport, Unreadable> {
    Ok(HookRotationReport {
        hook: name(HookId::parse, &message.hook, "hook id")?,
        outcome: read_outcome(&message)?,
        source: read_source_name(message.source.ok_or(Unreadable("source"))?)?,
        message: message.message,
    })
}

fn read_outcome(message: &disk::HookRotationReport) -> Result<Option<RotationOutcome>, Unreadable> {
    // Not dealt with is a value here, so an unknown number must not read as that.
    Ok(match disk::RotationOutcome::try_from(message.outcome) {
        Ok(disk::RotationOutcome::Unspecified) => None,
        Ok(disk::RotationOutcome::Done) => Some(RotationOutcome::Done(Timestamp::from_unix_ms(
            message.until_ms,
        ))),
        Ok(disk::RotationOutcome::Failed) => {
            Some(RotationOutcome::Failed(read_reason(&message.reason)?))
        }
        Ok(disk::RotationOutcome::Skipped) => Some(RotationOutcome::Skipped),
        Err(_) => return Err(Unreadable("outcome of a rotation")),
    })
}

fn read_reason(text: &str) -> Result<Reason, Unreadable> {
    let mut all = Reason::ALL.iter().copied();
    all.find(|reason| reason.as_str() == text)
        .ok_or(Unreadable("reason"))
}
