//! What browsers and scripts did, for the audit log.
//!
//! Anybody may knock here, so only who has shown the cookie of a flow or the token of a trigger gets a line: nobody fills
//! the log with guesses. What binds, ends or fires is written before it is done, on the disk, or it is not done; and again
//! when it is over, as for a call of the API.

use std::sync::Arc;

use bindery_core::{
    audit::{Audit, Deed, Survives},
    problem::Problem,
};

use crate::state::WebState;

/// Who acts on the pages: nobody that is known by name.
pub(crate) const BROWSER: &str = "browser";

/// Refuses what could not be written afterwards.
pub(crate) async fn ready(state: &WebState) -> Result<(), Problem> {
    state.audit.ready().await
}

/// Does something, between the two records of it. `named` is the resource that came out of it.
pub(crate) async fn around<R>(
    state: &WebState,
    mut deed: Deed,
    work: impl Future<Output = Result<R, Problem>>,
    named: impl FnOnce(&R) -> String,
) -> Result<R, Problem> {
    state.audit.record(deed.clone(), Survives::Machine).await?;
    let done = work.await;
    match &done {
        Ok(result) => {
            deed.resource = named(result);
            "OK".clone_into(&mut deed.code);
        }
        Err(problem) => {
            problem.reason.kind().code().clone_into(&mut deed.code);
            problem.reason.as_str().clone_into(&mut deed.reason);
        }
    }
    over(state, deed).await;
    done
}

/// Writes what was done.
pub(crate) async fn done(state: &WebState, mut deed: Deed) {
    "OK".clone_into(&mut deed.code);
    over(state, deed).await;
}

async fn over(state: &WebState, deed: Deed) {
    let action = deed.action.clone();
    if let Err(error) = state.audit.record(deed, Survives::Machine).await {
        tracing::error!(%error, action, "How it ended is not in the audit log");
    }
}

/// What somebody does.
pub(crate) fn deed(actor: &str, action: &str, resource: String) -> Deed {
    Deed {
        actor: actor.to_owned(),
        action: action.to_owned(),
        resource,
        ..Deed::default()
    }
}

/// The log that a state writes to.
pub(crate) type Log = Arc<dyn Audit>;
