//! Triggers.

use std::time::Duration;

use bindery_proto::v1::{
    self as proto, Event, Trigger, TriggerFiring,
    event::{Change, Origin, TriggerVerdict},
};
use tonic::Status;

use super::{
    refusal::{exists, not_found},
    world::{State, after, now, wrong},
};

/// How long an old token or secret is accepted unless the request says so.
pub(super) const OVERLAP: Duration = Duration::from_secs(3600);

impl State {
    pub(super) fn trigger(&self, name: &str) -> Result<&Trigger, Status> {
        self.triggers.get(name).ok_or_else(|| not_found(name))
    }

    pub(super) fn add_trigger(
        &mut self,
        request: proto::CreateTriggerRequest,
    ) -> Result<(Trigger, String), Status> {
        self.source(&request.parent)?;
        let number = self.next();
        let id = match request.trigger_id.as_str() {
            "" => format!("trigger-{number}"),
            id => id.to_owned(),
        };
        let name = format!("{}/triggers/{id}", request.parent);
        if self.triggers.contains_key(&name) {
            return Err(exists(&name));
        }
        let trigger = Trigger {
            name: name.clone(),
            trigger_uri: format!("https://bindery.example/triggers/{number}"),
            create_time: now(),
            etag: number.to_string(),
            ..request.trigger.unwrap_or_default()
        };
        if request.validate_only {
            return Ok((trigger, String::new()));
        }
        self.triggers.insert(name, trigger.clone());
        Ok((trigger, format!("fake-trigger-token-{number}")))
    }

    pub(super) fn change_trigger(
        &mut self,
        request: proto::UpdateTriggerRequest,
    ) -> Result<Trigger, Status> {
        let change = request.trigger.unwrap_or_default();
        let mut trigger = self.trigger(&change.name)?.clone();
        for path in request.update_mask.unwrap_or_default().paths {
            match path.as_str() {
                "display_name" => trigger.display_name.clone_from(&change.display_name),
                "default_ref" => trigger.default_ref.clone_from(&change.default_ref),
                "disabled" => trigger.disabled = change.disabled,
                _ => return Err(wrong("UPDATE_MASK_INVALID", "update_mask")),
            }
        }
        if !request.validate_only {
            self.triggers.insert(change.name, trigger.clone());
        }
        Ok(trigger)
    }

    pub(super) fn rotate_trigger(
        &mut self,
        request: &proto::RotateTriggerTokenRequest,
    ) -> Result<(Trigger, String), Status> {
        let number = self.next();
        let known = self.triggers.get_mut(&request.name);
        let trigger = known.ok_or_else(|| not_found(&request.name))?;
        trigger.previous_token_until_time = overlap(request.overlap.as_ref());
        Ok((trigger.clone(), format!("fake-trigger-token-{number}")))
    }

    pub(super) fn fire(&mut self, request: &proto::FireTriggerRequest) -> Result<Event, Status> {
        let known = self.triggers.get_mut(&request.name);
        let trigger = known.ok_or_else(|| not_found(&request.name))?;
        trigger.fire_time = now();
        let full_ref = if request.r#ref.is_empty() {
            trigger.default_ref.clone()
        } else {
            request.r#ref.clone()
        };
        let source = request.name.split("/triggers/").next().unwrap_or_default();
        let known = self.source(source)?;
        let event = Event {
            source: known.name.clone(),
            link: parent(&known.name, "/sources/").to_owned(),
            repository_stable_id: known.repository.clone(),
            repository_full_name: known.repository_full_name.clone(),
            origin: Origin::Trigger.into(),
            verdict: TriggerVerdict::Trigger.into(),
            change: Some(Change::TriggerFired(TriggerFiring {
                trigger: request.name.clone(),
                r#ref: full_ref,
                ..TriggerFiring::default()
            })),
            ..Event::default()
        };
        let namespace = parent(source, "/links/").to_owned();
        Ok(self.publish(&namespace, event))
    }
}

/// What comes before a collection in a name.
pub(super) fn parent<'a>(name: &'a str, collection: &str) -> &'a str {
    name.split(collection).next().unwrap_or_default()
}

/// Until when an old token or secret is accepted; `None` where it ends at once.
pub(super) fn overlap(asked: Option<&prost_types::Duration>) -> Option<prost_types::Timestamp> {
    let asked = asked.and_then(|time| Duration::try_from(*time).ok());
    let time = asked.unwrap_or(OVERLAP);
    if time.is_zero() { None } else { after(time) }
}
