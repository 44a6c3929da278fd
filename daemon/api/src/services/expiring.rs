//! What ends soon.

use std::time::Duration;

use bindery_engine::expiring::{Expiring, ExpiringKind, Horizon};
use bindery_proto::v1 as wire;

use super::slice;
use crate::{
    call::Call,
    convert::common,
    fields::wrong,
    pages,
    policy::{Action, Verdict},
    status::Failure,
};

/// How far to look where the caller does not say.
const WITHIN: Duration = Duration::from_secs(30 * 86_400);

pub(super) async fn list(
    call: Call,
    request: wire::ListExpiringRequest,
) -> Result<wire::ListExpiringResponse, Failure> {
    let (size, offset) = (pages::size(&request, 1000)?, call.offset(&request)?);
    let within = match request.within.map(common::duration) {
        None => WITHIN,
        Some(Some(within)) => within,
        Some(None) => return Err(wrong("within", "is negative; send 0 or more")),
    };
    let horizon = Horizon {
        within,
        include_refreshable: request.include_refreshable,
    };
    let namespaces = call.visible(&request.parent).await?;
    let mut all = call.engine().expiring_links(&namespaces, horizon).await?;
    if operates(&call) {
        all.extend(call.engine().expiring_hosts(horizon).await?);
        all.sort_by_key(|one| one.expires);
    }
    let (page, next) = slice(all, offset, size);
    Ok(wire::ListExpiringResponse {
        expiring: page.into_iter().map(shown).collect(),
        next_page_token: call.next_cursor(&request, &next),
    })
}

/// Secrets of hosts are the operator's affair.
fn operates(call: &Call) -> bool {
    let verdict = || call.policy().judge(&call.caller, Action::Host, None);
    call.caller.omnipotent() || verdict() == Verdict::Allowed
}

fn shown(expiring: Expiring) -> wire::Expiring {
    use wire::expiring::Kind;
    let kind = match expiring.kind {
        ExpiringKind::AccessToken => Kind::AccessToken,
        ExpiringKind::RefreshToken => Kind::RefreshToken,
        ExpiringKind::AppKey => Kind::AppKey,
        ExpiringKind::ClientSecret => Kind::ClientSecret,
        ExpiringKind::CaBundle => Kind::CaBundle,
        ExpiringKind::ClientCertificate => Kind::ClientCertificate,
    };
    wire::Expiring {
        kind: kind.into(),
        resource: expiring.resource,
        expire_time: Some(common::time(expiring.expires)),
        message: expiring.message,
        who_must_act: common::who(expiring.who).into(),
        action_uri: String::new(),
    }
}
