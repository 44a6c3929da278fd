//! Which plugins may run.

use bindery_proto::admin::v1 as wire;

use super::plugin;
use crate::{call::Call, fields::wrong, status::Failure};

/// Longest reason for people, in bytes.
const REASON: usize = 1000;

pub(super) async fn enable(
    call: Call,
    request: wire::EnablePluginRequest,
) -> Result<wire::Plugin, Failure> {
    let enabled = call.api.admin().enable_plugin(&request.name).await?;
    Ok(plugin(enabled))
}

pub(super) async fn disable(
    call: Call,
    request: wire::DisablePluginRequest,
) -> Result<wire::Plugin, Failure> {
    if request.reason.len() > REASON {
        return Err(wrong(
            "reason",
            "is longer than 1,000 bytes; say it shorter",
        ));
    }
    let actor = call.caller.name();
    let disabled = call
        .api
        .admin()
        .disable_plugin(&request.name, actor, &request.reason);
    Ok(plugin(disabled.await?))
}
