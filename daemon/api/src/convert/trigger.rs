//! Triggers. Their tokens are in the answers that make them, and nowhere else.

use bindery_core::{name::TriggerId, trigger::Trigger};
use bindery_engine::{
    Engine, Versioned,
    triggers::{TriggerSettings, WithToken},
};
use bindery_proto::v1 as wire;

use super::common::time;
use crate::{
    fields::{Fields, wrong},
    status::Failure,
};

/// A trigger, without its token.
pub(crate) fn trigger(engine: &Engine, entry: Versioned<Trigger>) -> wire::Trigger {
    let (record, version) = (entry.record, entry.version);
    let facts = wire::SecretFacts {
        create_time: Some(time(record.token_created)),
        ..wire::SecretFacts::default()
    };
    wire::Trigger {
        name: record.name().to_string(),
        trigger_uri: engine.trigger_url(&record),
        display_name: record.display_name,
        default_ref: record.default_ref,
        token_facts: Some(facts),
        previous_token_until_time: record.previous_token_until.map(time),
        disabled: record.disabled,
        fire_time: record.fired.map(time),
        create_time: Some(time(record.created)),
        etag: version.to_string(),
    }
}

/// A trigger and its token.
pub(crate) fn made(engine: &Engine, made: WithToken) -> (Option<wire::Trigger>, String) {
    let token = made.token.expose().to_owned();
    (Some(trigger(engine, made.trigger)), token)
}

/// What people say about a trigger, checked field by field.
pub(crate) fn settings(given: &wire::Trigger) -> Result<TriggerSettings, Failure> {
    let mut fields = Fields::default();
    fields.text("trigger.display_name", &given.display_name, 200);
    fields.finish()?;
    Ok(TriggerSettings {
        display_name: given.display_name.clone(),
        default_ref: given.default_ref.clone(),
        disabled: given.disabled,
    })
}

/// The id that a caller chose; `None` to have one made.
pub(crate) fn trigger_id(text: &str) -> Result<Option<TriggerId>, Failure> {
    if text.is_empty() {
        return Ok(None);
    }
    let parsed = TriggerId::parse(text).ok().filter(|_| !text.contains('.'));
    let why = "is no id; write 1 to 63 of a-z, 0-9 and '-'";
    parsed.map(Some).ok_or_else(|| wrong("trigger_id", why))
}
