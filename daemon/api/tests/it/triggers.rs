//! Triggers as callers see them: made, shown, changed, rotated, fired and deleted.

use bindery_proto::v1::{
    self as wire, event::Change, event::TriggerVerdict, event_service_client::EventServiceClient,
    source_service_client::SourceServiceClient,
};
use tonic::transport::Channel;

use crate::{client::reason, world::World};

const SOURCE: &str = "namespaces/acme/links/bound/sources/built";
const TRIGGER: &str = "namespaces/acme/links/bound/sources/built/triggers/nightly";
const REQUEST: &str = "0b7e5f9c-2f4f-4a51-9c88-0d2f9a2d7a10";

async fn events(world: &World) -> EventServiceClient<Channel> {
    let source = wire::CreateSourceRequest {
        parent: "namespaces/acme/links/bound".into(),
        source_id: "built".into(),
        source: Some(wire::Source {
            repository: "acme/built".into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let owner = world.caller("owner").await;
    let mut sources = SourceServiceClient::new(owner.clone());
    sources.create_source(source).await.expect("source");
    EventServiceClient::new(owner)
}

fn ask() -> wire::CreateTriggerRequest {
    wire::CreateTriggerRequest {
        parent: SOURCE.into(),
        trigger_id: "nightly".into(),
        trigger: Some(wire::Trigger {
            display_name: "Nightly".into(),
            default_ref: "refs/heads/main".into(),
            ..Default::default()
        }),
        request_id: REQUEST.into(),
        ..Default::default()
    }
}

fn fire(reference: &str) -> wire::FireTriggerRequest {
    wire::FireTriggerRequest {
        name: TRIGGER.into(),
        r#ref: reference.into(),
        ..Default::default()
    }
}

/// A trigger's whole life. Its token is in the answer that made it and in its repetition, never in the trigger.
#[tokio::test]
async fn a_trigger_lives() {
    let world = World::new().await;
    let mut events = events(&world).await;
    let made = events
        .create_trigger(ask())
        .await
        .expect("made")
        .into_inner();
    let again = events.create_trigger(ask()).await.expect("the same");
    assert_eq!(again.into_inner(), made);
    let trigger = made.trigger.expect("trigger");
    let place = trigger
        .trigger_uri
        .strip_prefix("https://bindery.example/triggers/");
    assert_eq!((place.expect("our URL").len(), made.token.len()), (26, 43));
    let list = wire::ListTriggersRequest {
        parent: SOURCE.into(),
        ..Default::default()
    };
    let listed = events.list_triggers(list).await.expect("list").into_inner();
    assert_eq!(listed.triggers, std::slice::from_ref(&trigger));
    assert!(!format!("{listed:?}").contains(&made.token));
    let event = events.fire_trigger(fire("")).await.expect("fired");
    let event = event.into_inner().event.expect("event");
    // The first one told of the hook.
    assert_eq!(
        (event.sequence, event.verdict()),
        (2, TriggerVerdict::Trigger)
    );
    let Some(Change::TriggerFired(firing)) = event.change else {
        panic!("{:?}", event.change);
    };
    assert_eq!(
        (firing.trigger.as_str(), firing.commit_id.as_str()),
        (TRIGGER, "c0ffee")
    );
    assert_eq!(
        firing.principal.expect("who").id,
        "spiffe://test.example/owner"
    );
    let rotate = wire::RotateTriggerTokenRequest {
        name: TRIGGER.into(),
        ..Default::default()
    };
    let rotated = events
        .rotate_trigger_token(rotate)
        .await
        .expect("rotated")
        .into_inner();
    assert_ne!(rotated.token, made.token);
    let rotated = rotated.trigger.expect("trigger");
    assert!(rotated.previous_token_until_time.is_some() && rotated.fire_time.is_some());
    let delete = |etag: &str, allow_missing| wire::DeleteTriggerRequest {
        name: TRIGGER.into(),
        etag: etag.into(),
        allow_missing,
        ..Default::default()
    };
    let stale = events.delete_trigger(delete(&trigger.etag, false)).await;
    assert_eq!(reason(&stale.expect_err("stale")), "ETAG_MISMATCH");
    events
        .delete_trigger(delete(&rotated.etag, false))
        .await
        .expect("gone");
    let gone = events.delete_trigger(delete("", false)).await;
    assert_eq!(reason(&gone.expect_err("gone")), "NOT_FOUND");
    events
        .delete_trigger(delete("", true))
        .await
        .expect("no matter");
}

/// Only what the mask names changes, and what is wrong is refused with its reason.
#[tokio::test]
async fn an_update_changes_what_it_names() {
    let world = World::new().await;
    let mut events = events(&world).await;
    let tried = wire::CreateTriggerRequest {
        validate_only: true,
        request_id: String::new(),
        ..ask()
    };
    let tried = events
        .create_trigger(tried)
        .await
        .expect("valid")
        .into_inner();
    assert_eq!(tried.token, "");
    let get = wire::GetTriggerRequest {
        name: TRIGGER.into(),
    };
    let absent = events
        .get_trigger(get.clone())
        .await
        .expect_err("nothing stored");
    assert_eq!(reason(&absent), "NOT_FOUND");
    events.create_trigger(ask()).await.expect("made");
    let update = |path: &str, default_ref: &str| wire::UpdateTriggerRequest {
        trigger: Some(wire::Trigger {
            name: TRIGGER.into(),
            disabled: true,
            default_ref: default_ref.into(),
            ..Default::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec![path.into()],
        }),
        ..Default::default()
    };
    for (path, default_ref, why) in [
        ("trigger_uri", "", "FIELD_IMMUTABLE"),
        ("token", "", "UPDATE_MASK_INVALID"),
        ("default_ref", "main", "INVALID_ARGUMENT"),
    ] {
        let refused = events.update_trigger(update(path, default_ref)).await;
        assert_eq!(reason(&refused.expect_err(path)), why);
    }
    events
        .update_trigger(update("disabled", ""))
        .await
        .expect("off");
    let now = events.get_trigger(get).await.expect("trigger").into_inner();
    assert!(now.disabled && now.display_name == "Nightly");
    assert_eq!(now.default_ref, "refs/heads/main");
    let refused = events.fire_trigger(fire("")).await.expect_err("off");
    assert_eq!(reason(&refused), "INVALID_ARGUMENT");
}
