//! Triggers: made, read, changed, rotated, deleted, and fired by right of the caller.

use std::time::Duration;

use bindery_core::problem::Reason;
use bindery_engine::triggers::{LONGEST_OVERLAP, NewTrigger, OVERLAP, TriggerChange};
use bindery_proto::v1 as wire;

use super::slice;
use crate::{
    call::Call,
    convert::{self, common::duration, trigger as shape},
    fields::{etag, wrong},
    mask::{Mask, Shape},
    names, pages,
    status::Failure,
};

/// What an update can name.
const SHAPE: Shape = Shape {
    mutable: &["display_name", "default_ref", "disabled"],
    secret: &[],
    immutable: &[
        "name",
        "trigger_uri",
        "token_facts",
        "previous_token_until_time",
        "fire_time",
        "create_time",
    ],
};

pub(super) async fn create(
    call: Call,
    request: wire::CreateTriggerRequest,
) -> Result<wire::CreateTriggerResponse, Failure> {
    let key = call.request_key(&request, &request.request_id)?;
    let given = request.trigger.unwrap_or_default();
    let new = NewTrigger {
        source: names::source(&request.parent)?,
        id: shape::trigger_id(&request.trigger_id)?,
        settings: shape::settings(&given)?,
        validate_only: request.validate_only,
    };
    let made = call.engine().create_trigger(new, key.as_ref()).await;
    let (trigger, token) = shape::made(call.engine(), made?);
    if let Some(trigger) = &trigger {
        call.note.resource(trigger.name.clone());
    }
    Ok(wire::CreateTriggerResponse { trigger, token })
}

pub(super) async fn get(
    call: Call,
    request: wire::GetTriggerRequest,
) -> Result<wire::Trigger, Failure> {
    let found = call.engine().trigger(&names::trigger(&request.name)?).await;
    Ok(shape::trigger(call.engine(), found?))
}

pub(super) async fn list(
    call: Call,
    request: wire::ListTriggersRequest,
) -> Result<wire::ListTriggersResponse, Failure> {
    let (size, offset) = (pages::size(&request, 1000)?, call.offset(&request)?);
    let source = names::source(&request.parent)?;
    let all = call.engine().triggers_of(&source).await?;
    let (page, next) = slice(all, offset, size);
    let shown = |entry| shape::trigger(call.engine(), entry);
    Ok(wire::ListTriggersResponse {
        triggers: page.into_iter().map(shown).collect(),
        next_page_token: call.next_cursor(&request, &next),
    })
}

pub(super) async fn update(
    call: Call,
    request: wire::UpdateTriggerRequest,
) -> Result<wire::Trigger, Failure> {
    let key = call.request_key(&request, &request.request_id)?;
    let given = request.trigger.unwrap_or_default();
    let name = names::trigger(&given.name)?;
    let (settings, expect) = (shape::settings(&given)?, etag(&given.etag)?);
    let mask = Mask::read(request.update_mask, &SHAPE, |path| is_set(&given, path))?;
    let wanted = TriggerChange {
        display_name: mask.pick("display_name", settings.display_name),
        default_ref: mask.pick("default_ref", settings.default_ref),
        disabled: mask.pick("disabled", settings.disabled),
        validate_only: request.validate_only,
    };
    let changed = call
        .engine()
        .update_trigger(&name, &wanted, expect, key.as_ref())
        .await?;
    Ok(shape::trigger(call.engine(), changed))
}

fn is_set(given: &wire::Trigger, path: &str) -> bool {
    match path {
        "display_name" => !given.display_name.is_empty(),
        "default_ref" => !given.default_ref.is_empty(),
        _ => given.disabled,
    }
}

pub(super) async fn rotate(
    call: Call,
    request: wire::RotateTriggerTokenRequest,
) -> Result<wire::RotateTriggerTokenResponse, Failure> {
    let key = call.request_key(&request, &request.request_id)?;
    let name = names::trigger(&request.name)?;
    let overlap = overlap(request.overlap)?;
    let made = call
        .engine()
        .rotate_trigger_token(&name, overlap, key.as_ref())
        .await;
    let (trigger, token) = shape::made(call.engine(), made?);
    Ok(wire::RotateTriggerTokenResponse { trigger, token })
}

fn overlap(asked: Option<prost_types::Duration>) -> Result<Duration, Failure> {
    let Some(asked) = asked else {
        return Ok(OVERLAP);
    };
    let overlap = duration(asked).filter(|overlap| *overlap <= LONGEST_OVERLAP);
    let why = "is longer than seven days, or no duration; give less";
    overlap.ok_or_else(|| wrong("overlap", why))
}

pub(super) async fn delete(call: Call, request: wire::DeleteTriggerRequest) -> Result<(), Failure> {
    let key = call.request_key(&request, &request.request_id)?;
    let (name, expect) = (names::trigger(&request.name)?, etag(&request.etag)?);
    let gone = call
        .engine()
        .delete_trigger(&name, expect, key.as_ref())
        .await;
    match gone {
        Err(problem) if problem.reason == Reason::NotFound && request.allow_missing => Ok(()),
        outcome => Ok(outcome?),
    }
}

pub(super) async fn fire(
    call: Call,
    request: wire::FireTriggerRequest,
) -> Result<wire::FireTriggerResponse, Failure> {
    let key = call.request_key(&request, &request.request_id)?;
    let name = names::trigger(&request.name)?;
    let fired = call
        .engine()
        .fire_trigger(&name, &request.r#ref, call.caller.name(), key.as_ref())
        .await;
    Ok(wire::FireTriggerResponse {
        event: Some(convert::event::event(&fired?)),
    })
}
