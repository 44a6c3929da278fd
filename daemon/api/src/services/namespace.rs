//! Namespaces.

use bindery_core::{name::NamespaceName, namespace::Namespace};
use bindery_engine::{Engine, LinkFilter, Versioned, namespaces::NamespaceChange};
use bindery_proto::v1::{
    self as wire, namespace::Kind, namespace_service_server::NamespaceService,
};

use super::host::missing_is_fine;
use crate::{
    call::{Call, service},
    convert::{self, namespace::pairs},
    fields::{Fields, etag, no_validate_only, request_id},
    filter::{Filter, LABELS, label_of},
    mask::{Mask, Shape},
    names, pages,
    policy::{Action, Verdict},
    status::Failure,
};

/// What an update can name.
const SHAPE: Shape = Shape {
    mutable: &[
        "display_name",
        "require_service_account",
        "labels",
        "annotations",
    ],
    secret: &[],
    immutable: &["name", "kind", "instance_type", "region", "create_time"],
};

service! {
    NamespaceService, run;
    serve create_namespace(wire::CreateNamespaceRequest) -> wire::Namespace = create;
    serve get_namespace(wire::GetNamespaceRequest) -> wire::Namespace = get;
    serve list_namespaces(wire::ListNamespacesRequest) -> wire::ListNamespacesResponse = list;
    serve update_namespace(wire::UpdateNamespaceRequest) -> wire::Namespace = update;
    serve delete_namespace(wire::DeleteNamespaceRequest) -> () = delete;
}

async fn create(
    call: Call,
    request: wire::CreateNamespaceRequest,
) -> Result<wire::Namespace, Failure> {
    no_validate_only(request.validate_only)?;
    let key = call.request_key(&request, &request.request_id)?;
    let new = convert::namespace::new_namespace(&request.namespace_id, request.namespace)?;
    let entry = call.engine().create_namespace(new, key.as_ref()).await?;
    with_links(&call, entry).await
}

async fn get(call: Call, request: wire::GetNamespaceRequest) -> Result<wire::Namespace, Failure> {
    let name = names::namespace(&request.name)?;
    let entry = call.engine().namespace(&name).await?;
    with_links(&call, entry).await
}

async fn with_links(call: &Call, entry: Versioned<Namespace>) -> Result<wire::Namespace, Failure> {
    let links = count(call.engine(), &entry.record.name).await?;
    Ok(convert::namespace::namespace(entry, links))
}

/// Links of a namespace that are not unlinked.
async fn count(engine: &Engine, name: &NamespaceName) -> Result<usize, Failure> {
    let (filter, mut links, mut after) = (LinkFilter::default(), 0, None);
    loop {
        let page = engine
            .list_links(name, &filter, after.as_deref(), 256)
            .await?;
        links += page.items.len();
        after = page.next;
        if after.is_none() {
            return Ok(links);
        }
    }
}

/// The namespaces that the caller may read, and no others. A page may be short although more follow.
async fn list(
    call: Call,
    request: wire::ListNamespacesRequest,
) -> Result<wire::ListNamespacesResponse, Failure> {
    let (size, place) = (pages::size(&request, 1000)?, call.place(&request)?);
    let filter = Filter::parse(
        &request.filter,
        &["kind", "region", "instance_type", LABELS],
    )?;
    let page = call
        .engine()
        .list_namespaces(place.as_deref(), size as usize)
        .await?;
    let mut namespaces = Vec::new();
    for entry in page.items {
        if may_read(&call, &entry.record.name) {
            namespaces.push(convert::namespace::namespace(entry, 0));
        }
    }
    namespaces.retain(|namespace| filter.admits(|field| field_of(namespace, field)));
    Ok(wire::ListNamespacesResponse {
        namespaces,
        next_page_token: call.next(&request, page.next.as_deref()),
    })
}

pub(super) fn may_read(call: &Call, name: &NamespaceName) -> bool {
    let verdict = || {
        call.policy()
            .judge(&call.caller, Action::Read, Some(name.as_str()))
    };
    call.caller.omnipotent() || verdict() == Verdict::Allowed
}

fn field_of(namespace: &wire::Namespace, field: &str) -> String {
    match field {
        "kind" => kind_text(namespace.kind()).to_owned(),
        "region" => namespace.region.clone(),
        "instance_type" => namespace.instance_type.clone(),
        label => label_of(&namespace.labels, label),
    }
}

const fn kind_text(kind: Kind) -> &'static str {
    match kind {
        Kind::Unspecified => "",
        Kind::User => "USER",
        Kind::Organization => "ORGANIZATION",
        Kind::Instance => "INSTANCE",
    }
}

async fn update(
    call: Call,
    request: wire::UpdateNamespaceRequest,
) -> Result<wire::Namespace, Failure> {
    request_id(&request.request_id)?;
    let given = request.namespace.unwrap_or_default();
    let name = names::namespace(&given.name)?;
    let mut fields = Fields::default();
    fields.text("namespace.display_name", &given.display_name, 200);
    pairs(&mut fields, &given);
    fields.finish()?;
    let expect = etag(&given.etag)?;
    let mask = Mask::read(request.update_mask, &SHAPE, |path| is_set(&given, path))?;
    let wanted = NamespaceChange {
        display_name: mask.pick("display_name", given.display_name),
        require_service_account: mask
            .pick("require_service_account", given.require_service_account),
        labels: mask.pick("labels", given.labels),
        annotations: mask.pick("annotations", given.annotations),
        validate_only: request.validate_only,
    };
    let entry = call
        .engine()
        .update_namespace(&name, wanted, expect)
        .await?;
    with_links(&call, entry).await
}

fn is_set(given: &wire::Namespace, path: &str) -> bool {
    match path {
        "display_name" => !given.display_name.is_empty(),
        "require_service_account" => given.require_service_account,
        "labels" => !given.labels.is_empty(),
        _ => !given.annotations.is_empty(),
    }
}

async fn delete(call: Call, request: wire::DeleteNamespaceRequest) -> Result<(), Failure> {
    request_id(&request.request_id)?;
    no_validate_only(request.validate_only)?;
    let name = names::namespace(&request.name)?;
    let deleted = call
        .engine()
        .delete_namespace(&name, etag(&request.etag)?)
        .await;
    missing_is_fine(deleted, request.allow_missing)
}
