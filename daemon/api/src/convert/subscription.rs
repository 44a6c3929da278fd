//! Subscriptions and what their endpoints never accepted.

use bindery_core::{
    name::SubscriptionId,
    trigger::{Outgoing, Subscription},
};
use bindery_engine::subscriptions::etag;
use bindery_proto::v1 as wire;

use super::{common::time, event::number};
use crate::{
    fields::{Fields, wrong},
    status::Failure,
};

/// Longest URL of an endpoint.
const LONGEST_URI: usize = 2000;

/// A subscription, without its secret.
pub(crate) fn subscription(subscription: Subscription) -> wire::Subscription {
    let facts = wire::SecretFacts {
        create_time: Some(time(subscription.secret_created)),
        ..wire::SecretFacts::default()
    };
    wire::Subscription {
        name: format!(
            "namespaces/{}/subscriptions/{}",
            subscription.namespace, subscription.id
        ),
        etag: etag(&subscription).to_string(),
        display_name: subscription.display_name,
        endpoint_uri: subscription.endpoint_uri,
        filter: subscription.filter,
        include_payload: subscription.include_payload,
        paused: subscription.paused,
        secret_facts: Some(facts),
        previous_secret_until_time: subscription.previous_secret_until.map(time),
        delivered_sequence: number(subscription.delivered),
        dead_letter_count: i32::try_from(subscription.dead_letters).unwrap_or(i32::MAX),
        last_success_time: subscription.succeeded.map(time),
        last_failure_time: subscription.failed.map(time),
        last_failure_message: subscription.failure,
        create_time: Some(time(subscription.created)),
        update_time: Some(time(subscription.updated)),
    }
}

/// An event that the endpoint never accepted.
pub(crate) fn dead_letter(outgoing: Outgoing) -> wire::DeadLetter {
    wire::DeadLetter {
        event: format!(
            "namespaces/{}/events/{}",
            outgoing.namespace, outgoing.sequence
        ),
        attempts: i32::try_from(outgoing.attempts).unwrap_or(i32::MAX),
        last_attempt_time: Some(time(outgoing.tried)),
        http_status: outgoing.status.into(),
        message: outgoing.message,
    }
}

/// The texts of a subscription, checked. What the endpoint and the filter must be, the engine knows.
pub(crate) fn check(given: &wire::Subscription) -> Result<(), Failure> {
    let mut fields = Fields::default();
    fields.text("subscription.display_name", &given.display_name, 200);
    fields.text(
        "subscription.endpoint_uri",
        &given.endpoint_uri,
        LONGEST_URI,
    );
    fields.finish()
}

/// The id that is asked for; `None` where the daemon makes one.
pub(crate) fn id(text: &str) -> Result<Option<SubscriptionId>, Failure> {
    if text.is_empty() {
        return Ok(None);
    }
    let parsed = SubscriptionId::parse(text).map(Some);
    parsed.map_err(|error| wrong("subscription_id", format!("is no id: {error}")))
}
