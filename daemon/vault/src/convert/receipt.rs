//! [`Receipt`].

use bindery_core::{
    name::{HostName, LinkId, NamespaceName},
    receipt::{Outcome, Receipt, ReceiptStep, StepKind},
    time::Timestamp,
};
use bindery_store_proto::v1 as disk;

use super::{Stored, Unreadable, ms, name, time};

impl Stored for Receipt {
    type Message = disk::Receipt;

    fn write(&self) -> disk::Receipt {
        disk::Receipt {
            namespace: self.namespace.to_string(),
            link: self.link.to_string(),
            host: self.host.to_string(),
            login: self.login.clone(),
            started_ms: self.started.unix_ms(),
            finished_ms: ms(self.finished),
            steps: self.steps.iter().map(write_step).collect(),
            actor: self.actor.clone(),
            affected: self.affected.clone(),
            keep_hooks: self.keep_hooks,
        }
    }

    fn read(message: disk::Receipt) -> Result<Self, Unreadable> {
        let steps = message.steps.into_iter().map(read_step);
        Ok(Self {
            namespace: name(NamespaceName::parse, &message.namespace, "namespace")?,
            link: name(LinkId::parse, &message.link, "link id")?,
            host: name(HostName::parse, &message.host, "host")?,
            login: message.login,
            actor: message.actor,
            affected: message.affected,
            keep_hooks: message.keep_hooks,
            started: Timestamp::from_unix_ms(message.started_ms),
            finished: time(message.finished_ms),
            steps: steps.collect::<Result<_, _>>()?,
        })
    }
}

fn write_step(step: &ReceiptStep) -> disk::ReceiptStep {
    let (outcome, reason, action_uri) = match &step.outcome {
        None => (disk::Outcome::Unspecified, "", ""),
        Some(Outcome::Done) => (disk::Outcome::Done, "", ""),
        Some(Outcome::AlreadyAbsent) => (disk::Outcome::AlreadyAbsent, "", ""),
        Some(Outcome::Failed { reason }) => (disk::Outcome::Failed, reason.as_str(), ""),
        Some(Outcome::Impossible { action_uri }) => {
            (disk::Outcome::Impossible, "", action_uri.as_str())
        }
    };
    disk::ReceiptStep {
        kind: write_kind(step.kind).into(),
        outcome: outcome.into(),
        reason: reason.to_owned(),
        action_uri: action_uri.to_owned(),
        message: step.message.clone(),
        subject: step.subject.clone(),
        finished_ms: ms(step.finished),
        retry_ms: ms(step.retry),
    }
}

fn read_step(message: disk::ReceiptStep) -> Result<ReceiptStep, Unreadable> {
    // Not run is a value here, so an unknown number must not read as that.
    let outcome = match disk::Outcome::try_from(message.outcome) {
        Ok(disk::Outcome::Unspecified) => None,
        Ok(disk::Outcome::Done) => Some(Outcome::Done),
        Ok(disk::Outcome::AlreadyAbsent) => Some(Outcome::AlreadyAbsent),
        Ok(disk::Outcome::Failed) => Some(Outcome::Failed {
            reason: message.reason.clone(),
        }),
        Ok(disk::Outcome::Impossible) => Some(Outcome::Impossible {
            action_uri: message.action_uri.clone(),
        }),
        Err(_) => return Err(Unreadable("outcome")),
    };
    Ok(ReceiptStep {
        kind: read_kind(message.kind())?,
        outcome,
        message: message.message,
        subject: message.subject,
        finished: time(message.finished_ms),
        retry: time(message.retry_ms),
    })
}

const fn write_kind(kind: StepKind) -> disk::StepKind {
    match kind {
        StepKind::StopHandOut => disk::StepKind::StopHandOut,
        StepKind::DeleteHooks => disk::StepKind::DeleteHooks,
        StepKind::RevokeLeases => disk::StepKind::RevokeLeases,
        StepKind::RevokeGrant => disk::StepKind::RevokeGrant,
        StepKind::Erase => disk::StepKind::Erase,
    }
}

const fn read_kind(kind: disk::StepKind) -> Result<StepKind, Unreadable> {
    Ok(match kind {
        disk::StepKind::StopHandOut => StepKind::StopHandOut,
        disk::StepKind::DeleteHooks => StepKind::DeleteHooks,
        disk::StepKind::RevokeLeases => StepKind::RevokeLeases,
        disk::StepKind::RevokeGrant => StepKind::RevokeGrant,
        disk::StepKind::Erase => StepKind::Erase,
        disk::StepKind::Unspecified => return Err(Unreadable("step")),
    })
}
