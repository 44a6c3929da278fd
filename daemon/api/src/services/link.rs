//! Links.

mod authorize;
mod list;

use std::collections::HashMap;

use bindery_core::{
    link::Link,
    name::{LinkId, NamespaceName},
    problem::{Problem, Reason},
};
use bindery_engine::{
    Versioned,
    links::LinkChange,
    unlink::{SharedGrant, UnlinkOptions},
};
use bindery_proto::v1::{self as wire, link_service_server::LinkService, observed_state::Stage};

use super::{Answers, expiring, receipt, slice, watch};
use crate::{
    call::{Call, service},
    convert::{self, common, link::Descriptions},
    fields::{Fields, etag, request_id},
    mask::{Mask, Shape},
    names, pages,
    status::Failure,
};

/// What an update can name.
const SHAPE: Shape = Shape {
    mutable: &[
        "display_name",
        "service_account",
        "rotate_token",
        "labels",
        "annotations",
    ],
    secret: &[],
    immutable: &["name", "host", "created_by", "create_time"],
};

service! {
    LinkService, run;
    serve create_link(wire::CreateLinkRequest) -> wire::CreateLinkResponse = authorize::create;
    serve get_link(wire::GetLinkRequest) -> wire::Link = get;
    serve list_links(wire::ListLinksRequest) -> wire::ListLinksResponse = list::list;
    serve update_link(wire::UpdateLinkRequest) -> wire::Link = update;
    serve watch_link(wire::WatchLinkRequest) -> Self::WatchLinkStream = watch::watch;
    serve complete_link(wire::CompleteLinkRequest) -> wire::Link = authorize::complete;
    serve confirm_link(wire::ConfirmLinkRequest) -> wire::Link = authorize::confirm;
    serve cancel_link(wire::CancelLinkRequest) -> wire::Link = authorize::cancel;
    serve reauthorize_link(wire::ReauthorizeLinkRequest) -> wire::ReauthorizeLinkResponse = authorize::reauthorize;
    serve enable_link(wire::EnableLinkRequest) -> wire::Link = enable;
    serve disable_link(wire::DisableLinkRequest) -> wire::Link = disable;
    serve check_link(wire::CheckLinkRequest) -> wire::CheckLinkResponse = check;
    serve list_organizations(wire::ListOrganizationsRequest) -> wire::ListOrganizationsResponse = organizations;
    serve unlink(wire::UnlinkRequest) -> wire::Receipt = unlink;
    serve get_receipt(wire::GetReceiptRequest) -> wire::Receipt = receipt::get;
    serve list_expiring(wire::ListExpiringRequest) -> wire::ListExpiringResponse = expiring::list;
    serve list_receipts(wire::ListReceiptsRequest) -> wire::ListReceiptsResponse = receipt::list;
    also {
        type WatchLinkStream = Answers<wire::WatchLinkResponse>;
    }
}

async fn get(call: Call, request: wire::GetLinkRequest) -> Result<wire::Link, Failure> {
    let (namespace, id) = names::link(&request.name)?;
    let entry = call.engine().link(&namespace, &id).await?;
    shown(&call, &entry).await
}

/// A link with what its provider says about scopes.
pub(super) async fn shown(call: &Call, entry: &Versioned<Link>) -> Result<wire::Link, Failure> {
    shown_with(call, entry, &mut Known::default()).await
}

/// What the links of one answer share.
#[derive(Default)]
struct Known {
    descriptions: Descriptions,
    sources: HashMap<NamespaceName, HashMap<LinkId, i32>>,
}

impl Known {
    async fn learn(&mut self, call: &Call, link: &Link) -> Result<(), Failure> {
        if !self.descriptions.contains_key(&link.host) {
            let description = match call.engine().host(&link.host).await {
                Ok(host) => call.engine().description(&host.record).ok(),
                // A link that is unlinked may outlive its host.
                Err(problem) if problem.reason == Reason::NotFound => None,
                Err(problem) => return Err(problem.into()),
            };
            self.descriptions.insert(link.host.clone(), description);
        }
        if !self.sources.contains_key(&link.namespace) {
            let counted = count_sources(call, &link.namespace).await?;
            self.sources.insert(link.namespace.clone(), counted);
        }
        Ok(())
    }
}

/// How many sources each link of a namespace has.
async fn count_sources(
    call: &Call,
    namespace: &NamespaceName,
) -> Result<HashMap<LinkId, i32>, Failure> {
    let mut counted = HashMap::new();
    for source in call.engine().sources_of(namespace, None).await? {
        let count: &mut i32 = counted.entry(source.record.link).or_default();
        *count = count.saturating_add(1);
    }
    Ok(counted)
}

async fn shown_with(
    call: &Call,
    entry: &Versioned<Link>,
    known: &mut Known,
) -> Result<wire::Link, Failure> {
    let link = &entry.record;
    known.learn(call, link).await?;
    let description = known.descriptions.get(&link.host);
    let mut shown = convert::link::link(entry, description.and_then(Option::as_deref));
    let counted = known.sources.get(&link.namespace);
    shown.source_count = counted
        .and_then(|counted| counted.get(&link.id))
        .copied()
        .unwrap_or_default();
    if let Some(token) = &mut shown.token {
        token.last_fetch_time = call.engine().last_hand_out(&entry.record).map(common::time);
    }
    Ok(shown)
}

async fn update(call: Call, request: wire::UpdateLinkRequest) -> Result<wire::Link, Failure> {
    let key = call.request_key(&request, &request.request_id)?;
    let given = request.link.unwrap_or_default();
    let (namespace, id) = names::link(&given.name)?;
    let mut fields = Fields::default();
    fields.text("link.display_name", &given.display_name, 200);
    fields.labels("link.labels", &given.labels);
    fields.annotations("link.annotations", &given.annotations);
    fields.finish()?;
    let expect = etag(&given.etag)?;
    let mask = Mask::read(request.update_mask, &SHAPE, |path| is_set(&given, path))?;
    let wanted = LinkChange {
        display_name: mask.pick("display_name", given.display_name),
        service_account: mask.pick("service_account", given.service_account),
        rotate_token: mask.pick("rotate_token", given.rotate_token),
        labels: mask.pick("labels", given.labels),
        annotations: mask.pick("annotations", given.annotations),
        validate_only: request.validate_only,
        audience: call.audience(),
    };
    let entry = call
        .engine()
        .update_link(&namespace, &id, &wanted, expect, key.as_ref())
        .await?;
    shown(&call, &entry).await
}

fn is_set(given: &wire::Link, path: &str) -> bool {
    match path {
        "display_name" => !given.display_name.is_empty(),
        "service_account" => given.service_account,
        "rotate_token" => given.rotate_token,
        "labels" => !given.labels.is_empty(),
        _ => !given.annotations.is_empty(),
    }
}

async fn enable(call: Call, request: wire::EnableLinkRequest) -> Result<wire::Link, Failure> {
    reason(&request.request_id, &request.reason)?;
    let key = call.request_key(&request, &request.request_id)?;
    let (namespace, id) = names::link(&request.name)?;
    let (who, expect) = (call.caller.name(), etag(&request.etag)?);
    let (why, key) = (&request.reason, key.as_ref());
    let entry = call
        .engine()
        .enable_link(&namespace, &id, why, who, expect, key)
        .await?;
    shown(&call, &entry).await
}

async fn disable(call: Call, request: wire::DisableLinkRequest) -> Result<wire::Link, Failure> {
    reason(&request.request_id, &request.reason)?;
    let key = call.request_key(&request, &request.request_id)?;
    let (namespace, id) = names::link(&request.name)?;
    let (who, expect) = (call.caller.name(), etag(&request.etag)?);
    let (why, key) = (&request.reason, key.as_ref());
    let entry = call
        .engine()
        .disable_link(&namespace, &id, why, who, expect, key)
        .await?;
    shown(&call, &entry).await
}

fn reason(id: &str, reason: &str) -> Result<(), Failure> {
    request_id(id)?;
    let mut fields = Fields::default();
    fields.text("reason", reason, 1000);
    fields.finish()
}

async fn check(
    call: Call,
    request: wire::CheckLinkRequest,
) -> Result<wire::CheckLinkResponse, Failure> {
    let (namespace, id) = names::link(&request.name)?;
    let checked = call
        .engine()
        .check_link(&namespace, &id, request.force_refresh)
        .await?;
    Ok(wire::CheckLinkResponse {
        link: Some(shown(&call, &checked.link).await?),
        findings: checked.findings.into_iter().map(common::found).collect(),
    })
}

async fn organizations(
    call: Call,
    request: wire::ListOrganizationsRequest,
) -> Result<wire::ListOrganizationsResponse, Failure> {
    let (namespace, id) = names::link(&request.parent)?;
    let (size, offset) = (pages::size(&request, 1000)?, call.offset(&request)?);
    let link = call.engine().link(&namespace, &id).await?.record;
    let seen = call.engine().list_organizations(&namespace, &id).await?;
    let (page, next) = slice(seen.items, offset, size);
    let message = "the provider says that it leaves organizations out; look at its own page of authorized applications";
    Ok(wire::ListOrganizationsResponse {
        organizations: page
            .into_iter()
            .map(|seen| convert::repository::organization(&link, seen))
            .collect(),
        next_page_token: call.next_cursor(&request, &next),
        partial: seen.partial,
        partial_message: match (seen.partial, seen.partial_reason.is_empty()) {
            (false, _) => String::new(),
            (true, true) => message.to_owned(),
            (true, false) => seen.partial_reason,
        },
        partial_action_uri: seen.partial_uri,
    })
}

/// Refuses a call on a link that changed since its etag was read.
async fn same_version(
    call: &Call,
    namespace: &NamespaceName,
    id: &LinkId,
    text: &str,
) -> Result<(), Failure> {
    let Some(expect) = etag(text)? else {
        return Ok(());
    };
    if call.engine().link(namespace, id).await?.version == expect {
        return Ok(());
    }
    let message = "the link changed meanwhile; read it again and repeat the call";
    Err(Problem::new(Reason::EtagMismatch, message).into())
}

async fn unlink(call: Call, request: wire::UnlinkRequest) -> Result<wire::Receipt, Failure> {
    reason(&request.request_id, &request.reason)?;
    let (namespace, id) = names::link(&request.name)?;
    let expect = etag(&request.etag)?;
    let both = request.accept_shared_grant && request.keep_shared_grant;
    if both {
        let why = "says the opposite of accept_shared_grant; set one of them";
        return Err(crate::fields::wrong("keep_shared_grant", why));
    }
    if request.validate_only {
        same_version(&call, &namespace, &id, &request.etag).await?;
        let preview = call.engine().preview_unlink(&namespace, &id).await?;
        return Ok(receipt::preview(&call, &preview));
    }
    let options = UnlinkOptions {
        request: call.request_key(&request, &request.request_id)?,
        shared: match (request.accept_shared_grant, request.keep_shared_grant) {
            (true, _) => SharedGrant::End,
            (_, true) => SharedGrant::Keep,
            _ => SharedGrant::Refuse,
        },
        reason: request.reason,
        actor: call.caller.name().to_owned(),
        audience: call.audience(),
        force: request.force,
        keep_hooks: request.keep_hooks,
        expect,
    };
    let unlinked = call.engine().unlink(&namespace, &id, options).await?;
    Ok(receipt::shown(&call, &unlinked.record))
}

/// Whether nothing will change any more.
pub(super) fn is_final(link: &wire::Link) -> bool {
    link.observed.clone().unwrap_or_default().stage() == Stage::Unlinked
}
