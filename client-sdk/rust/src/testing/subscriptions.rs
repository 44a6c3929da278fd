//! Subscriptions.

use bindery_proto::v1::{self as proto, Subscription};
use tonic::Status;

use super::{
    refusal::{exists, not_found},
    triggers::overlap,
    world::{State, now, wrong},
};

impl State {
    pub(super) fn subscription(&self, name: &str) -> Result<Subscription, Status> {
        let known = self.subscriptions.get(name);
        let mut subscription = known.ok_or_else(|| not_found(name))?.clone();
        let dead = self.dead_letters.get(name).map_or(0, Vec::len);
        subscription.dead_letter_count = i32::try_from(dead).unwrap_or(i32::MAX);
        Ok(subscription)
    }

    pub(super) fn subscribe(
        &mut self,
        request: proto::CreateSubscriptionRequest,
    ) -> Result<(Subscription, String), Status> {
        self.log(&request.parent)?;
        let number = self.next();
        let id = match request.subscription_id.as_str() {
            "" => format!("subscription-{number}"),
            id => id.to_owned(),
        };
        let name = format!("{}/subscriptions/{id}", request.parent);
        if self.subscriptions.contains_key(&name) {
            return Err(exists(&name));
        }
        let template = request.subscription.unwrap_or_default();
        if template.endpoint_uri.is_empty() {
            return Err(wrong("INVALID_ARGUMENT", "subscription.endpoint_uri"));
        }
        let subscription = Subscription {
            name: name.clone(),
            create_time: now(),
            etag: number.to_string(),
            ..template
        };
        if request.validate_only {
            return Ok((subscription, String::new()));
        }
        self.subscriptions.insert(name, subscription.clone());
        Ok((subscription, secret(number)))
    }

    pub(super) fn change_subscription(
        &mut self,
        request: proto::UpdateSubscriptionRequest,
    ) -> Result<Subscription, Status> {
        let change = request.subscription.unwrap_or_default();
        let mut changed = self.subscription(&change.name)?;
        for path in request.update_mask.unwrap_or_default().paths {
            match path.as_str() {
                "display_name" => changed.display_name.clone_from(&change.display_name),
                "endpoint_uri" => changed.endpoint_uri.clone_from(&change.endpoint_uri),
                "filter" => changed.filter.clone_from(&change.filter),
                "include_payload" => changed.include_payload = change.include_payload,
                "paused" => changed.paused = change.paused,
                _ => return Err(wrong("UPDATE_MASK_INVALID", "update_mask")),
            }
        }
        if !request.validate_only {
            self.subscriptions.insert(change.name, changed.clone());
        }
        Ok(changed)
    }

    pub(super) fn rotate_subscription(
        &mut self,
        request: &proto::RotateSubscriptionSecretRequest,
    ) -> Result<(Subscription, String), Status> {
        let number = self.next();
        let known = self.subscriptions.get_mut(&request.name);
        let subscription = known.ok_or_else(|| not_found(&request.name))?;
        subscription.previous_secret_until_time = overlap(request.overlap.as_ref());
        Ok((subscription.clone(), secret(number)))
    }
}

fn secret(number: u64) -> String {
    format!("whsec_fake-secret-{number}")
}
