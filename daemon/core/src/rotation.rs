//! The rotation of the secrets of many hooks.

use std::time::Duration;

use crate::{
    name::{HookId, NamespaceName, RotationId},
    problem::Reason,
    source::SourceName,
    time::Timestamp,
};

/// One call that gives many hooks new secrets. It goes on by itself, over restarts too.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HookRotation {
    /// Its namespace.
    pub namespace: NamespaceName,
    /// Its id.
    pub id: RotationId,
    /// How long old and new secret are both accepted.
    pub overlap: Duration,
    /// Who asked for it.
    pub actor: String,
    /// When.
    pub created: Timestamp,
    /// When the last hook was dealt with; `None` while it runs.
    pub finished: Option<Timestamp>,
    /// The hooks, in the order in which they are dealt with.
    pub hooks: Vec<HookRotationReport>,
}

/// What a rotation did to one hook.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HookRotationReport {
    /// The hook.
    pub hook: HookId,
    /// A source of the namespace that it serves.
    pub source: SourceName,
    /// How it went; `None` while it was not dealt with.
    pub outcome: Option<RotationOutcome>,
    /// One sentence for people; may be empty.
    pub message: String,
}

/// How the rotation of one hook's secret went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RotationOutcome {
    /// It has its new secret; the old one is accepted until then.
    Done(Timestamp),
    /// It keeps its old secret.
    Failed(Reason),
    /// It needs none: the webhook of the host's app serves its repository, or it is gone by now.
    Skipped,
}
