//! What an unlink did at the provider, step by step.

use crate::{
    name::{HostName, LinkId, NamespaceName},
    time::Timestamp,
};

/// Proof of an unlink. It outlives the link.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Receipt {
    /// Namespace of the link.
    pub namespace: NamespaceName,
    /// The link.
    pub link: LinkId,
    /// Host that the link was on.
    pub host: HostName,
    /// Login of the identity, when there was one.
    pub login: String,
    /// Who asked for it; may be empty.
    pub actor: String,
    /// Names of other links that lost their grant with this one.
    pub affected: Vec<String>,
    /// The webhooks stay at the provider, as was asked for.
    pub keep_hooks: bool,
    /// When the unlink was asked for.
    pub started: Timestamp,
    /// When the last step ended; `None` while it runs.
    pub finished: Option<Timestamp>,
    /// The steps in the order in which they run.
    pub steps: Vec<ReceiptStep>,
}

/// One step of an unlink.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReceiptStep {
    /// Which step.
    pub kind: StepKind,
    /// How it ended; `None` while it has not run.
    pub outcome: Option<Outcome>,
    /// In words for people.
    pub message: String,
    /// What it was done to, such as a repository; empty where it concerns the link.
    pub subject: String,
    /// When it ended.
    pub finished: Option<Timestamp>,
    /// When it is tried again.
    pub retry: Option<Timestamp>,
}

/// The steps of an unlink. Their order matters: after the grant is gone the hooks can no longer be deleted.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum StepKind {
    /// No token is handed out any more.
    StopHandOut,
    /// Webhooks are deleted at the provider.
    DeleteHooks,
    /// Tokens that were handed out are taken back.
    RevokeLeases,
    /// The grant or token is revoked at the provider.
    RevokeGrant,
    /// The credentials are erased here.
    Erase,
}

impl StepKind {
    /// All steps in order.
    pub const ALL: [Self; 5] = [
        Self::StopHandOut,
        Self::DeleteHooks,
        Self::RevokeLeases,
        Self::RevokeGrant,
        Self::Erase,
    ];

    /// The step as callers see it: `REVOKE_GRANT`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StopHandOut => "STOP_HAND_OUT",
            Self::DeleteHooks => "DELETE_HOOK",
            Self::RevokeLeases => "REVOKE_LEASES",
            Self::RevokeGrant => "REVOKE_GRANT",
            Self::Erase => "ERASE",
        }
    }
}

/// How a step ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Done now.
    Done,
    /// Nothing was there any more.
    AlreadyAbsent,
    /// Not done; the reason says why.
    Failed {
        /// Stable reason.
        reason: String,
    },
    /// No API can do it; a person does it there.
    Impossible {
        /// Page where a person does it.
        action_uri: String,
    },
}

impl Receipt {
    /// An unlink that has just been asked for.
    #[must_use]
    pub fn open(
        namespace: NamespaceName,
        link: LinkId,
        host: HostName,
        login: String,
        started: Timestamp,
    ) -> Self {
        let step = |kind| ReceiptStep {
            kind,
            outcome: None,
            message: String::new(),
            subject: String::new(),
            finished: None,
            retry: None,
        };
        let steps = StepKind::ALL.map(step).into();
        Self {
            namespace,
            link,
            host,
            login,
            actor: String::new(),
            affected: Vec::new(),
            keep_hooks: false,
            started,
            finished: None,
            steps,
        }
    }

    /// The first step that has not run.
    #[must_use]
    pub fn next_step(&self) -> Option<StepKind> {
        self.steps
            .iter()
            .find(|step| step.outcome.is_none())
            .map(|step| step.kind)
    }

    /// Notes how a step ended, and when.
    pub fn record(&mut self, kind: StepKind, outcome: Outcome, message: String, now: Timestamp) {
        if let Some(step) = self.step(kind) {
            step.outcome = Some(outcome);
            step.message = message;
            step.finished = Some(now);
            step.retry = None;
        }
    }

    /// Notes what was done to one thing within a step, such as the webhook of one repository. It stands before the step as a
    /// whole; what was noted of the same thing before is replaced.
    pub fn record_one(&mut self, one: ReceiptStep) {
        let of_kind = |step: &ReceiptStep| step.kind == one.kind;
        let same = |step: &ReceiptStep| of_kind(step) && step.subject == one.subject;
        if let Some(known) = self.steps.iter_mut().find(|step| same(step)) {
            *known = one;
            return;
        }
        let whole = |step: &ReceiptStep| of_kind(step) && step.subject.is_empty();
        let at = self.steps.iter().position(whole);
        self.steps.insert(at.unwrap_or(self.steps.len()), one);
    }

    /// How many things a step was done to one by one.
    #[must_use]
    pub fn count(&self, kind: StepKind) -> usize {
        let one = |step: &&ReceiptStep| step.kind == kind && !step.subject.is_empty();
        self.steps.iter().filter(one).count()
    }

    /// Notes why a step has not ended, and when it is tried again.
    pub fn postpone(&mut self, kind: StepKind, message: String, retry: Timestamp) {
        if let Some(step) = self.step(kind).filter(|step| step.outcome.is_none()) {
            step.message = message;
            step.retry = Some(retry);
        }
    }

    fn step(&mut self, kind: StepKind) -> Option<&mut ReceiptStep> {
        let whole = |step: &&mut ReceiptStep| step.kind == kind && step.subject.is_empty();
        self.steps.iter_mut().find(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was done to single things stands before the step as a whole, once each, and does not end it.
    #[test]
    fn single_things_do_not_end_a_step() {
        let mut receipt = receipt();
        let now = Timestamp::default();
        let one = |subject: &str, message: &str| ReceiptStep {
            kind: StepKind::DeleteHooks,
            outcome: Some(Outcome::Done),
            message: message.to_owned(),
            subject: subject.to_owned(),
            finished: None,
            retry: None,
        };
        receipt.record(StepKind::StopHandOut, Outcome::Done, String::new(), now);
        receipt.record_one(one("acme/api", "first"));
        receipt.record_one(one("acme/web", ""));
        receipt.record_one(one("acme/api", "again"));
        assert_eq!(receipt.count(StepKind::DeleteHooks), 2);
        assert_eq!(receipt.next_step(), Some(StepKind::DeleteHooks));
        assert_eq!(receipt.steps[1].message, "again");
        receipt.postpone(StepKind::DeleteHooks, "waits".to_owned(), now);
        assert_eq!(receipt.steps[3].message, "waits");
        receipt.record(
            StepKind::DeleteHooks,
            Outcome::Done,
            "whole".to_owned(),
            now,
        );
        assert_eq!(receipt.next_step(), Some(StepKind::RevokeLeases));
        assert_eq!(receipt.steps[1].message, "again");
    }

    fn receipt() -> Receipt {
        Receipt::open(
            NamespaceName::parse("acme").expect("name"),
            LinkId::parse("l").expect("name"),
            HostName::parse("h").expect("name"),
            "octo".to_owned(),
            Timestamp::default(),
        )
    }

    /// Hooks go before the grant, and the steps run once each in order.
    #[test]
    fn steps_run_in_order() {
        let mut receipt = receipt();
        let mut seen = Vec::new();
        while let Some(kind) = receipt.next_step() {
            seen.push(kind);
            receipt.postpone(kind, "waits".to_owned(), Timestamp::from_unix_ms(1));
            let now = Timestamp::from_unix_ms(2);
            receipt.record(kind, Outcome::Done, String::new(), now);
        }
        let ended = |step: &ReceiptStep| step.finished.is_some() && step.retry.is_none();
        assert!(receipt.steps.iter().all(ended));
        assert_eq!(seen, StepKind::ALL);
        assert!(
            seen.iter().position(|k| *k == StepKind::DeleteHooks)
                < seen.iter().position(|k| *k == StepKind::RevokeGrant)
        );
    }
}
