//! Links.

use bindery_core::{
    link::Link,
    name::{LinkId, NamespaceName},
    namespace::NamespaceKind,
    problem::{Problem, Reason},
};
use bindery_engine::{
    LinkFilter, Versioned,
    unlink::{SharedGrant, UnlinkOptions},
};
use bindery_proto::v1::{self as wire, link_service_server::LinkService, observed_state::Stage};

use super::{Answers, expiring, receipt, slice, watch};
use crate::{
    call::{Call, service},
    convert::{self, common, link::Descriptions},
    fields::{Fields, etag, no_validate_only, request_id},
    filter::Filter,
    names, pages,
    status::Failure,
};

service! {
    LinkService, run;
    serve create_link(wire::CreateLinkRequest) -> wire::CreateLinkResponse = create;
    serve get_link(wire::GetLinkRequest) -> wire::Link = get;
    serve list_links(wire::ListLinksRequest) -> wire::ListLinksResponse = list;
    serve watch_link(wire::WatchLinkRequest) -> Self::WatchLinkStream = watch::watch;
    serve confirm_link(wire::ConfirmLinkRequest) -> wire::Link = confirm;
    serve cancel_link(wire::CancelLinkRequest) -> wire::Link = cancel;
    serve enable_link(wire::EnableLinkRequest) -> wire::Link = enable;
    serve disable_link(wire::DisableLinkRequest) -> wire::Link = disable;
    serve check_link(wire::CheckLinkRequest) -> wire::CheckLinkResponse = check;
    serve list_organizations(wire::ListOrganizationsRequest) -> wire::ListOrganizationsResponse = organizations;
    serve unlink(wire::UnlinkRequest) -> wire::Receipt = unlink;
    serve get_receipt(wire::GetReceiptRequest) -> wire::Receipt = receipt::get;
    serve list_expiring(wire::ListExpiringRequest) -> wire::ListExpiringResponse = expiring::list;
    serve list_receipts(wire::ListReceiptsRequest) -> wire::ListReceiptsResponse = receipt::list;
    later update_link(wire::UpdateLinkRequest) -> wire::Link;
    later complete_link(wire::CompleteLinkRequest) -> wire::Link;
    later reauthorize_link(wire::ReauthorizeLinkRequest) -> wire::ReauthorizeLinkResponse;
    also {
        type WatchLinkStream = Answers<wire::WatchLinkResponse>;
    }
}

async fn create(
    call: Call,
    request: wire::CreateLinkRequest,
) -> Result<wire::CreateLinkResponse, Failure> {
    no_validate_only(request.validate_only)?;
    let key = call.request_key(&request, &request.request_id)?;
    let new = convert::link::new_link(request, call.caller.name())?;
    let created = call.engine().create_link(new, key.as_ref()).await?;
    Ok(wire::CreateLinkResponse {
        link: Some(shown(&call, &created.link).await?),
        authorization: created.authorization.map(convert::link::authorization),
        findings: Vec::new(),
    })
}

async fn get(call: Call, request: wire::GetLinkRequest) -> Result<wire::Link, Failure> {
    let (namespace, id) = names::link(&request.name)?;
    let entry = call.engine().link(&namespace, &id).await?;
    shown(&call, &entry).await
}

/// A link with what its provider says about scopes.
pub(super) async fn shown(call: &Call, entry: &Versioned<Link>) -> Result<wire::Link, Failure> {
    shown_with(call, entry, &mut Descriptions::new()).await
}

async fn shown_with(
    call: &Call,
    entry: &Versioned<Link>,
    known: &mut Descriptions,
) -> Result<wire::Link, Failure> {
    let host = &entry.record.host;
    if !known.contains_key(host) {
        let description = match call.engine().host(host).await {
            Ok(host) => call.engine().provider(host.record.provider.as_str()).ok(),
            // A link that is unlinked may outlive its host.
            Err(problem) if problem.reason == Reason::NotFound => None,
            Err(problem) => return Err(problem.into()),
        };
        known.insert(host.clone(), description);
    }
    let description = known.get(host).and_then(Option::as_deref);
    let mut shown = convert::link::link(entry, description);
    if let Some(token) = &mut shown.token {
        token.last_fetch_time = call.engine().last_hand_out(&entry.record).map(common::time);
    }
    Ok(shown)
}

async fn list(
    call: Call,
    request: wire::ListLinksRequest,
) -> Result<wire::ListLinksResponse, Failure> {
    let namespace = names::namespace(&request.parent)?;
    let (size, place) = (pages::size(&request, 1000)?, call.place(&request)?);
    let filter = Filter::parse(
        &request.filter,
        &["host", "stage", "cause", "desired", "login"],
    )?;
    let host = filter.wanted("host").map(names::host).transpose()?;
    let include_unlinked = filter.wanted("stage") == Some("UNLINKED");
    call.engine().namespace(&namespace).await?;
    let stored = LinkFilter {
        host,
        include_unlinked,
    };
    let page = call
        .engine()
        .list_links(&namespace, &stored, place.as_deref(), size as usize)
        .await?;
    let (mut links, mut known) = (Vec::new(), Descriptions::new());
    for entry in &page.items {
        links.push(shown_with(&call, entry, &mut known).await?);
    }
    links.retain(|link| filter.admits(|field| field_of(link, field)));
    Ok(wire::ListLinksResponse {
        links,
        next_page_token: call.next(&request, page.next.as_deref()),
    })
}

/// What a filter compares with: names of enum values without their prefix.
fn field_of(link: &wire::Link, field: &str) -> String {
    let observed = link.observed.clone().unwrap_or_default();
    let bare = |name: &str, prefix: &str| name.strip_prefix(prefix).unwrap_or(name).to_owned();
    match field {
        "host" => link.host.clone(),
        "stage" => bare(observed.stage().as_str_name(), "STAGE_"),
        "cause" => bare(observed.cause().as_str_name(), "CAUSE_"),
        "desired" => bare(
            link.desired
                .clone()
                .unwrap_or_default()
                .state()
                .as_str_name(),
            "STATE_",
        ),
        _ => link.identity.clone().unwrap_or_default().login,
    }
}

async fn confirm(call: Call, request: wire::ConfirmLinkRequest) -> Result<wire::Link, Failure> {
    request_id(&request.request_id)?;
    let (namespace, id) = names::link(&request.name)?;
    let mut fields = Fields::default();
    fields.check(
        !request.link_code.is_empty(),
        "link_code",
        "is missing; enter the code that the page shows",
    );
    let here =
        request.namespace.is_empty() || request.namespace == format!("namespaces/{namespace}");
    fields.later(here, "namespace");
    fields.finish()?;
    same_version(&call, &namespace, &id, &request.etag).await?;
    same_instance(&call, &namespace, &request).await?;
    let identity = Some(request.identity_stable_id.as_str()).filter(|id| !id.is_empty());
    let principal = call.caller.name();
    let confirming =
        call.engine()
            .confirm_by_starter(&namespace, &id, principal, &request.link_code, identity);
    let confirmed = confirming.await?;
    shown(&call, &confirmed.link).await
}

/// Refuses a confirmation of another instance type or region than the namespace has.
async fn same_instance(
    call: &Call,
    namespace: &NamespaceName,
    request: &wire::ConfirmLinkRequest,
) -> Result<(), Failure> {
    if request.instance_type.is_empty() && request.region.is_empty() {
        return Ok(());
    }
    let (has_type, has_region) = match call.engine().namespace(namespace).await?.record.kind {
        NamespaceKind::Instance {
            instance_type,
            region,
        } => (instance_type, region),
        _ => (String::new(), String::new()),
    };
    let mut fields = Fields::default();
    let fits = |asked: &str, has: &str| asked.is_empty() || asked == has;
    fields.check(
        fits(&request.instance_type, &has_type),
        "instance_type",
        "is not that of the namespace",
    );
    fields.check(
        fits(&request.region, &has_region),
        "region",
        "is not that of the namespace",
    );
    fields.finish()
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

async fn cancel(call: Call, request: wire::CancelLinkRequest) -> Result<wire::Link, Failure> {
    request_id(&request.request_id)?;
    let (namespace, id) = names::link(&request.name)?;
    same_version(&call, &namespace, &id, &request.etag).await?;
    let entry = call.engine().cancel_link(&namespace, &id).await?;
    shown(&call, &entry).await
}

async fn enable(call: Call, request: wire::EnableLinkRequest) -> Result<wire::Link, Failure> {
    reason(&request.request_id, &request.reason)?;
    let (namespace, id) = names::link(&request.name)?;
    let entry = call
        .engine()
        .enable_link(&namespace, &id, etag(&request.etag)?)
        .await?;
    shown(&call, &entry).await
}

async fn disable(call: Call, request: wire::DisableLinkRequest) -> Result<wire::Link, Failure> {
    reason(&request.request_id, &request.reason)?;
    let (namespace, id) = names::link(&request.name)?;
    let (who, expect) = (call.caller.name(), etag(&request.etag)?);
    let entry = call
        .engine()
        .disable_link(&namespace, &id, &request.reason, who, expect)
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
        return Ok(convert::receipt::preview(&preview));
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
        force: request.force,
        expect,
    };
    let unlinked = call.engine().unlink(&namespace, &id, options).await;
    let outcome = match &unlinked {
        Ok(_) => "unlinked",
        Err(problem) => problem.reason.as_str(),
    };
    tracing::info!(target: "audit", who = call.caller.name(), link = request.name, outcome, "Unlink");
    Ok(convert::receipt::receipt(&unlinked?.record))
}

/// Whether nothing will change any more.
pub(super) fn is_final(link: &wire::Link) -> bool {
    link.observed.clone().unwrap_or_default().stage() == Stage::Unlinked
}
