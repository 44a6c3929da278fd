//! What browsers and scripts did, for the audit log. Anybody may knock here, so only what succeeded is written: nobody
//! fills the log with wrong codes.

use std::sync::Arc;

use bindery_core::{
    audit::{Audit, Deed, Survives},
    problem::Problem,
};

use crate::state::WebState;

/// Refuses what could not be written afterwards.
pub(crate) fn ready(state: &WebState) -> Result<(), Problem> {
    state.audit.ready()
}

/// Writes what was done.
pub(crate) async fn done(state: &WebState, actor: &str, action: &str, resource: String) {
    let deed = Deed {
        actor: actor.to_owned(),
        action: action.to_owned(),
        resource,
        code: "OK".to_owned(),
        ..Deed::default()
    };
    if let Err(error) = state.audit.record(deed, Survives::Machine).await {
        tracing::error!(%error, action, "What was done is not in the audit log");
    }
}

/// The log that a state writes to.
pub(crate) type Log = Arc<dyn Audit>;
