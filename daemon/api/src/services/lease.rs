//! Leases of credentials.

use bindery_core::{lease::Lease, receipt::StepKind};
use bindery_engine::leases::GivenBack;
use bindery_proto::v1 as wire;

use super::slice;
use crate::{
    access::denied,
    call::Call,
    convert::{self, credential},
    filter::Filter,
    names, pages,
    policy::{Action, Verdict},
    status::Failure,
};

/// The holder gives back what it got; for what another one got, the right to the link is needed.
pub(super) async fn revoke(
    call: Call,
    request: wire::RevokeLeaseRequest,
) -> Result<wire::RevokeLeaseResponse, Failure> {
    let key = call.request_key(&request, &request.request_id)?;
    let (namespace, id) = names::lease(&request.name)?;
    let lease = call.engine().lease(&namespace, &id).await?;
    may_give_back(&call, &lease)?;
    let given = call
        .engine()
        .revoke_lease(&namespace, &id, key.as_ref())
        .await;
    let GivenBack {
        lease,
        outcome,
        message,
    } = given?;
    let finished = lease.revoked;
    Ok(wire::RevokeLeaseResponse {
        lease: Some(credential::lease(&lease)),
        step: Some(convert::receipt::single(
            StepKind::RevokeLeases,
            outcome,
            message,
            finished,
        )),
    })
}

fn may_give_back(call: &Call, lease: &Lease) -> Result<(), Failure> {
    let policy = call.policy();
    let link = || policy.judge(&call.caller, Action::Link, Some(lease.namespace.as_str()));
    let own = call.caller.name() == lease.holder;
    if own || call.caller.omnipotent() || link() == Verdict::Allowed {
        return Ok(());
    }
    Err(denied(Action::Link))
}

pub(super) async fn list(
    call: Call,
    request: wire::ListLeasesRequest,
) -> Result<wire::ListLeasesResponse, Failure> {
    let (size, offset) = (pages::size(&request, 1000)?, call.offset(&request)?);
    let filter = Filter::parse(&request.filter, &["link", "holder", "permission"])?;
    let mut leases = Vec::new();
    for namespace in call.visible(&request.parent).await? {
        let all = call.engine().list_leases(&namespace, request.include_ended);
        leases.extend(all.await?);
    }
    leases.sort_by_key(|lease| std::cmp::Reverse(lease.created));
    let mut leases: Vec<_> = leases.iter().map(credential::lease).collect();
    leases.retain(|lease| filter.admits(|field| field_of(lease, field)));
    let (leases, next) = slice(leases, offset, size);
    Ok(wire::ListLeasesResponse {
        leases,
        next_page_token: call.next_cursor(&request, &next),
    })
}

fn field_of(lease: &wire::Lease, field: &str) -> String {
    match field {
        "link" => lease.link.clone(),
        "holder" => lease.holder.clone().unwrap_or_default().id,
        _ => {
            let name = lease.permission().as_str_name();
            let bare = name.strip_prefix("CREDENTIAL_PERMISSION_");
            bare.unwrap_or(name).to_owned()
        }
    }
}
