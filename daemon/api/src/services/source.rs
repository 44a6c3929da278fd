//! Sources: repositories that are connected as automated build sources, and their hooks.

mod deliveries;
mod list;
mod orphans;
mod rotate;

use bindery_core::problem::Reason;
use bindery_engine::sources::{Disconnect, NewSource, SourceChange};
use bindery_proto::v1::{self as wire, source_service_server::SourceService};

use crate::{
    call::{Call, service},
    convert::source as convert,
    fields::{etag, request_id, wrong},
    mask::{Mask, Shape},
    names,
    status::Failure,
};

/// What an update can name.
const SHAPE: Shape = Shape {
    mutable: &[
        "display_name",
        "rules",
        "max_triggers_per_minute",
        "ignore_skip_marks",
        "paused",
        "reconcile_interval",
        "labels",
        "annotations",
    ],
    secret: &[],
    immutable: &[
        "name",
        "repository",
        "repository_full_name",
        "hook",
        "created_by",
        "create_time",
    ],
};

service! {
    SourceService, run;
    serve create_source(wire::CreateSourceRequest) -> wire::Source = create;
    serve get_source(wire::GetSourceRequest) -> wire::Source = get;
    serve list_sources(wire::ListSourcesRequest) -> wire::ListSourcesResponse = list::list;
    serve update_source(wire::UpdateSourceRequest) -> wire::Source = update;
    serve delete_source(wire::DeleteSourceRequest) -> wire::DeleteSourceResponse = delete;
    serve verify_source(wire::VerifySourceRequest) -> wire::Source = verify;
    serve repair_source(wire::RepairSourceRequest) -> wire::Source = repair;
    serve rotate_hook_secrets(wire::RotateHookSecretsRequest) -> wire::HookRotation = rotate::rotate;
    serve get_hook_rotation(wire::GetHookRotationRequest) -> wire::HookRotation = rotate::get;
    serve list_hook_rotation_reports(wire::ListHookRotationReportsRequest) -> wire::ListHookRotationReportsResponse = rotate::reports;
    serve list_orphan_hooks(wire::ListOrphanHooksRequest) -> wire::ListOrphanHooksResponse = orphans::list;
    serve remove_orphan_hooks(wire::RemoveOrphanHooksRequest) -> wire::RemoveOrphanHooksResponse = orphans::remove;
    serve catch_up_source(wire::CatchUpSourceRequest) -> wire::CatchUpSourceResponse = deliveries::catch_up;
    serve list_deliveries(wire::ListDeliveriesRequest) -> wire::ListDeliveriesResponse = deliveries::list;
    serve get_delivery(wire::GetDeliveryRequest) -> wire::Delivery = deliveries::get;
    serve retry_delivery(wire::RetryDeliveryRequest) -> wire::Delivery = deliveries::retry;
}

async fn create(call: Call, request: wire::CreateSourceRequest) -> Result<wire::Source, Failure> {
    let key = call.request_key(&request, &request.request_id)?;
    let (namespace, link) = names::link(&request.parent)?;
    let given = request
        .source
        .ok_or_else(|| wrong("source", "is missing; say which repository"))?;
    let new = NewSource {
        namespace,
        link,
        id: convert::source_id(&request.source_id)?,
        repository: convert::repository(&given.repository)?,
        settings: convert::settings(&given)?,
        principal: call.caller.name().to_owned(),
        validate_only: request.validate_only,
    };
    call.note.repository(&given.repository);
    let created = call.engine().create_source(new, key.as_ref()).await;
    let created = convert::source(call.engine(), created?);
    call.note.resource(created.name.clone());
    Ok(created)
}

async fn get(call: Call, request: wire::GetSourceRequest) -> Result<wire::Source, Failure> {
    let name = names::source(&request.name)?;
    let view = call.engine().source(&name).await?;
    Ok(convert::source(call.engine(), view))
}

async fn update(call: Call, request: wire::UpdateSourceRequest) -> Result<wire::Source, Failure> {
    let key = call.request_key(&request, &request.request_id)?;
    let given = request.source.unwrap_or_default();
    let name = names::source(&given.name)?;
    let settings = convert::settings(&given)?;
    let expect = etag(&given.etag)?;
    let mask = Mask::read(request.update_mask, &SHAPE, |path| is_set(&given, path))?;
    let wanted = SourceChange {
        display_name: mask.pick("display_name", settings.display_name),
        rules: mask.pick("rules", settings.rules),
        max_triggers_per_minute: mask
            .pick("max_triggers_per_minute", settings.max_triggers_per_minute),
        ignore_skip_marks: mask.pick("ignore_skip_marks", settings.ignore_skip_marks),
        paused: mask.pick("paused", settings.paused),
        reconcile: mask.pick("reconcile_interval", settings.reconcile),
        labels: mask.pick("labels", settings.labels),
        annotations: mask.pick("annotations", settings.annotations),
        validate_only: request.validate_only,
    };
    let view = call
        .engine()
        .update_source(&name, &wanted, expect, key.as_ref())
        .await?;
    Ok(convert::source(call.engine(), view))
}

fn is_set(given: &wire::Source, path: &str) -> bool {
    match path {
        "display_name" => !given.display_name.is_empty(),
        "rules" => !given.rules.is_empty(),
        "max_triggers_per_minute" => given.max_triggers_per_minute > 0,
        "ignore_skip_marks" => given.ignore_skip_marks,
        "paused" => given.paused,
        "reconcile_interval" => given.reconcile_interval.is_some(),
        "labels" => !given.labels.is_empty(),
        _ => !given.annotations.is_empty(),
    }
}

async fn delete(
    call: Call,
    request: wire::DeleteSourceRequest,
) -> Result<wire::DeleteSourceResponse, Failure> {
    let name = names::source(&request.name)?;
    let options = Disconnect {
        expect: etag(&request.etag)?,
        keep_hook: request.keep_hook,
        validate_only: request.validate_only,
        request: call.request_key(&request, &request.request_id)?,
    };
    let deleted = call.engine().delete_source(&name, options).await;
    let steps = match deleted {
        Err(problem) if problem.reason == Reason::NotFound && request.allow_missing => Vec::new(),
        outcome => convert::steps(&outcome?),
    };
    Ok(wire::DeleteSourceResponse { steps })
}

async fn verify(call: Call, request: wire::VerifySourceRequest) -> Result<wire::Source, Failure> {
    let name = names::source(&request.name)?;
    let view = call.engine().verify_source(&name).await?;
    Ok(convert::source(call.engine(), view))
}

async fn repair(call: Call, request: wire::RepairSourceRequest) -> Result<wire::Source, Failure> {
    request_id(&request.request_id)?;
    let key = call.request_key(&request, &request.request_id)?;
    let name = names::source(&request.name)?;
    let view = call.engine().repair_source(&name, key.as_ref()).await?;
    Ok(convert::source(call.engine(), view))
}
