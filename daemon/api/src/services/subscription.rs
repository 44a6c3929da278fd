//! Subscriptions: events that are posted to a registry.

use bindery_core::problem::Reason;
use bindery_engine::{
    RequestKey,
    subscriptions::{NewSubscription, OVERLAP, Replay, SubscriptionChange},
};
use bindery_proto::v1 as wire;

use super::{event, slice};
use crate::{
    call::Call,
    convert::{self, subscription as convert_in},
    fields::{etag, wrong},
    mask::{Mask, Shape},
    names, pages,
    status::Failure,
};

/// What an update can name.
const SHAPE: Shape = Shape {
    mutable: &[
        "display_name",
        "endpoint_uri",
        "filter",
        "include_payload",
        "paused",
    ],
    secret: &[],
    immutable: &["name", "create_time"],
};

pub(super) async fn create(
    call: Call,
    request: wire::CreateSubscriptionRequest,
) -> Result<wire::CreateSubscriptionResponse, Failure> {
    let key = call.request_key(&request, &request.request_id)?;
    let namespace = names::namespace(&request.parent)?;
    let given = request
        .subscription
        .ok_or_else(|| wrong("subscription", "is missing; say where to deliver to"))?;
    convert_in::check(&given)?;
    event::may_see_payloads(&call, &namespace, given.include_payload)?;
    let new = NewSubscription {
        namespace,
        id: convert_in::id(&request.subscription_id)?,
        display_name: given.display_name,
        endpoint_uri: given.endpoint_uri,
        filter: given.filter,
        include_payload: given.include_payload,
        payload_for: match given.include_payload {
            true => call.names(),
            false => Vec::new(),
        },
        paused: given.paused,
        validate_only: request.validate_only,
    };
    let made = call.engine().create_subscription(new, key.as_ref()).await;
    let made = made?;
    let subscription = convert_in::subscription(made.subscription);
    call.note.resource(subscription.name.clone());
    Ok(wire::CreateSubscriptionResponse {
        signing_secret: made.secret.expose().to_owned(),
        subscription: Some(subscription),
    })
}

pub(super) async fn get(
    call: Call,
    request: wire::GetSubscriptionRequest,
) -> Result<wire::Subscription, Failure> {
    let (namespace, id) = names::subscription(&request.name)?;
    let found = call.engine().subscription(&namespace, &id).await?;
    Ok(convert_in::subscription(found))
}

pub(super) async fn list(
    call: Call,
    request: wire::ListSubscriptionsRequest,
) -> Result<wire::ListSubscriptionsResponse, Failure> {
    let (size, offset) = (pages::size(&request, 1000)?, call.offset(&request)?);
    let namespace = names::namespace(&request.parent)?;
    call.engine().namespace(&namespace).await?;
    let all = call.engine().subscriptions_of(&namespace).await?;
    let (page, next) = slice(all, offset, size);
    Ok(wire::ListSubscriptionsResponse {
        subscriptions: page.into_iter().map(convert_in::subscription).collect(),
        next_page_token: call.next_cursor(&request, &next),
    })
}

pub(super) async fn update(
    call: Call,
    request: wire::UpdateSubscriptionRequest,
) -> Result<wire::Subscription, Failure> {
    let key = call.request_key(&request, &request.request_id)?;
    let given = request.subscription.unwrap_or_default();
    let (namespace, id) = names::subscription(&given.name)?;
    convert_in::check(&given)?;
    let expect = etag(&given.etag)?;
    let mask = Mask::read(request.update_mask, &SHAPE, |path| is_set(&given, path))?;
    let wanted = SubscriptionChange {
        display_name: mask.pick("display_name", given.display_name),
        endpoint_uri: mask.pick("endpoint_uri", given.endpoint_uri),
        filter: mask.pick("filter", given.filter),
        include_payload: mask.pick("include_payload", given.include_payload),
        payload_for: None,
        paused: mask.pick("paused", given.paused),
        validate_only: request.validate_only,
    };
    let wanted = answered_for(&call, &namespace, &id, wanted).await?;
    let updated = call
        .engine()
        .update_subscription(&namespace, &id, &wanted, expect, key.as_ref())
        .await;
    Ok(convert_in::subscription(updated?))
}

/// Who asks for the provider's bodies, or has them sent elsewhere, needs the right to see them, and answers for it from then on.
async fn answered_for(
    call: &Call,
    namespace: &bindery_core::name::NamespaceName,
    id: &bindery_core::name::SubscriptionId,
    wanted: SubscriptionChange,
) -> Result<SubscriptionChange, Failure> {
    let now = call.engine().subscription(namespace, id).await?;
    let payload = wanted.include_payload.unwrap_or(now.include_payload);
    let touched = wanted.include_payload.is_some()
        || wanted.endpoint_uri.is_some()
        || wanted.filter.is_some();
    if wanted.include_payload == Some(false) {
        return Ok(SubscriptionChange {
            payload_for: Some(Vec::new()),
            ..wanted
        });
    }
    if !payload || !touched {
        return Ok(wanted);
    }
    event::may_see_payloads(call, namespace, true)?;
    Ok(SubscriptionChange {
        payload_for: Some(call.names()),
        ..wanted
    })
}

fn is_set(given: &wire::Subscription, path: &str) -> bool {
    match path {
        "display_name" => !given.display_name.is_empty(),
        "endpoint_uri" => !given.endpoint_uri.is_empty(),
        "filter" => !given.filter.is_empty(),
        "include_payload" => given.include_payload,
        _ => given.paused,
    }
}

pub(super) async fn rotate(
    call: Call,
    request: wire::RotateSubscriptionSecretRequest,
) -> Result<wire::RotateSubscriptionSecretResponse, Failure> {
    let key = call.request_key(&request, &request.request_id)?;
    let (namespace, id) = names::subscription(&request.name)?;
    let overlap = match request.overlap {
        None => OVERLAP,
        Some(overlap) => convert::common::duration(overlap)
            .ok_or_else(|| wrong("overlap", "is negative or no duration"))?,
    };
    let rotated = call
        .engine()
        .rotate_subscription_secret(&namespace, &id, overlap, key.as_ref())
        .await;
    let rotated = rotated?;
    Ok(wire::RotateSubscriptionSecretResponse {
        signing_secret: rotated.secret.expose().to_owned(),
        subscription: Some(convert_in::subscription(rotated.subscription)),
    })
}

pub(super) async fn delete(
    call: Call,
    request: wire::DeleteSubscriptionRequest,
) -> Result<(), Failure> {
    let (namespace, id) = names::subscription(&request.name)?;
    let expect = etag(&request.etag)?;
    let deleted = call
        .engine()
        .delete_subscription(&namespace, &id, expect)
        .await;
    match deleted {
        Err(problem) if request.allow_missing && problem.reason == Reason::NotFound => Ok(()),
        outcome => Ok(outcome?),
    }
}

pub(super) async fn dead_letters(
    call: Call,
    request: wire::ListDeadLettersRequest,
) -> Result<wire::ListDeadLettersResponse, Failure> {
    let (size, offset) = (pages::size(&request, 1000)?, call.offset(&request)?);
    let (namespace, id) = names::subscription(&request.parent)?;
    let all = call.engine().dead_letters(&namespace, &id).await?;
    let (page, next) = slice(all, offset, size);
    Ok(wire::ListDeadLettersResponse {
        dead_letters: page.into_iter().map(convert_in::dead_letter).collect(),
        next_page_token: call.next_cursor(&request, &next),
    })
}

/// Has events delivered again. They are of the namespace that the request is about.
pub(super) async fn replay(
    call: &Call,
    name: &str,
    parent: &bindery_core::name::NamespaceName,
    wanted: Replay,
    request: Option<&RequestKey>,
) -> Result<wire::ReplayEventsResponse, Failure> {
    let (namespace, id) = names::subscription(name)?;
    if namespace != *parent {
        return Err(wrong("subscription", "is of another namespace than parent"));
    }
    let replayed = call
        .engine()
        .replay_to_subscription(&namespace, &id, wanted, request)
        .await?;
    Ok(convert::event::replayed(replayed))
}
