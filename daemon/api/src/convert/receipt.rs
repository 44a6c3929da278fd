//! Receipts.

use bindery_core::{
    receipt::{Outcome, Receipt, ReceiptStep, StepKind},
    time::Timestamp,
};
use bindery_proto::v1::{self as wire, cleanup_step};

use super::common::{self, time};

/// A receipt with the names of all links that it affected: who may not know them is told less.
pub(crate) fn receipt(receipt: &Receipt) -> wire::Receipt {
    wire::Receipt {
        name: format!("namespaces/{}/receipts/{}", receipt.namespace, receipt.link),
        link: format!("namespaces/{}/links/{}", receipt.namespace, receipt.link),
        host: format!("hosts/{}", receipt.host),
        login: receipt.login.clone(),
        start_time: Some(time(receipt.started)),
        finish_time: receipt.finished.map(time),
        steps: receipt.steps.iter().map(step).collect(),
        complete: complete(receipt),
        actor: (!receipt.actor.is_empty()).then(|| common::principal(&receipt.actor)),
        affected_links: receipt.affected.clone(),
        hidden_affected_link_count: 0,
        preview: false,
    }
}

/// Whether nothing is left behind, and nothing is left to do.
pub(crate) fn complete(receipt: &Receipt) -> bool {
    let clean =
        |step: &ReceiptStep| matches!(step.outcome, Some(Outcome::Done | Outcome::AlreadyAbsent));
    receipt.steps.iter().all(clean)
}

/// A step that stands by itself.
pub(crate) fn single(
    kind: StepKind,
    outcome: Outcome,
    message: String,
    finished: Option<Timestamp>,
) -> wire::CleanupStep {
    step(&ReceiptStep {
        kind,
        outcome: Some(outcome),
        message,
        subject: String::new(),
        finished,
        retry: None,
    })
}

pub(crate) fn step(step: &ReceiptStep) -> wire::CleanupStep {
    use cleanup_step::{Kind, Outcome as Wire};
    let kind = match step.kind {
        StepKind::StopHandOut => Kind::StopHandOut,
        StepKind::DeleteHooks => Kind::DeleteHook,
        StepKind::RevokeLeases => Kind::RevokeLeases,
        StepKind::RevokeGrant => Kind::RevokeGrant,
        StepKind::Erase => Kind::Erase,
    };
    let (outcome, reason, action_uri) = match &step.outcome {
        None => (Wire::Unspecified, "", ""),
        Some(Outcome::Done) => (Wire::Done, "", ""),
        Some(Outcome::AlreadyAbsent) => (Wire::AlreadyAbsent, "", ""),
        Some(Outcome::Failed { reason }) => (Wire::Failed, reason.as_str(), ""),
        Some(Outcome::Impossible { action_uri }) => (Wire::Impossible, "", action_uri.as_str()),
    };
    wire::CleanupStep {
        kind: kind.into(),
        outcome: outcome.into(),
        reason: reason.to_owned(),
        action_uri: action_uri.to_owned(),
        message: step.message.clone(),
        subject: step.subject.clone(),
        finish_time: step.finished.map(time),
        retry_time: step.retry.map(time),
    }
}

#[cfg(test)]
mod tests {
    use bindery_core::{
        name::{HostName, LinkId, NamespaceName},
        time::Timestamp,
    };

    use super::*;

    /// A receipt with anything left is not complete, and says where a person does the rest.
    #[test]
    fn receipts_tell_what_is_left() {
        let mut record = Receipt::open(
            NamespaceName::parse("acme").expect("name"),
            LinkId::parse("l").expect("name"),
            HostName::parse("forge").expect("name"),
            "octo".into(),
            Timestamp::default(),
        );
        assert!(!receipt(&record).complete);
        for kind in StepKind::ALL {
            record.record(kind, Outcome::Done, String::new(), Timestamp::default());
        }
        assert!(receipt(&record).complete);
        let page = Outcome::Impossible {
            action_uri: "https://forge.example/apps".into(),
        };
        let now = Timestamp::default();
        record.record(StepKind::RevokeGrant, page, "by hand".into(), now);
        let wire = receipt(&record);
        assert!(!wire.complete);
        assert_eq!(wire.steps[3].action_uri, "https://forge.example/apps");
    }
}
