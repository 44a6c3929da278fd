//! What a delivery says
//!
//! Deliveries are of the kinds that a hook of ours asks for, and of those that a GitHub App gets without asking. All others
//! are valid and say nothing of interest.

mod push;
mod repository;

use bindery_plugin_sdk::{
    Result, delivery,
    v1::{self, Delivered, DeliveredRepository, Person},
};
use serde::Deserialize;

/// What deliveries of every kind have.
#[derive(Deserialize)]
struct Frame {
    #[serde(default)]
    action: String,
    repository: Option<Named>,
    installation: Option<Installation>,
    sender: Option<Sender>,
}

#[derive(Deserialize)]
struct Named {
    id: u64,
    full_name: String,
}

/// Of the app whose hook delivers.
#[derive(Deserialize)]
struct Installation {
    id: u64,
}

#[derive(Deserialize)]
struct Sender {
    id: Option<u64>,
    login: String,
}

pub(crate) fn parse(input: &v1::ParseDelivery) -> Result<Delivered> {
    let frame: Frame = delivery::json(input)?;
    let mut delivered = Delivered::default();
    match input.event.as_str() {
        "ping" => delivered.ping = true,
        "push" => push::read(input, &mut delivered)?,
        "repository" => delivered.happenings = repository::read(input)?,
        event => delivered.access_changed = ends_access(event, &frame.action),
    }
    // An authorization is its person's, whatever installations there are.
    let about = frame
        .installation
        .filter(|_| delivered.access_changed && input.event != "github_app_authorization");
    delivered.installation_id = about.map_or_else(String::new, |found| found.id.to_string());
    delivered.repository = frame.repository.map(|found| DeliveredRepository {
        stable_id: found.id.to_string(),
        full_name: found.full_name,
    });
    delivered.actor = frame.sender.map(|sender| Person {
        stable_id: sender.id.map_or_else(String::new, |id| id.to_string()),
        login: sender.login,
        ..Person::default()
    });
    Ok(delivered)
}

/// Whether it may be that a link can do less than before, or more again. Creations and deletions of refs are told by pushes as well.
fn ends_access(event: &str, action: &str) -> bool {
    matches!(
        (event, action),
        (
            "installation",
            "deleted" | "suspend" | "unsuspend" | "new_permissions_accepted"
        ) | ("installation_repositories", "added" | "removed")
            | ("github_app_authorization", "revoked")
    )
}
