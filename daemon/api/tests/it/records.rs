//! What the records of the audit log say: what a call was done to, what it made, and what was refused how often.

use std::time::Duration;

use bindery_api::{Weight, served, weight};
use bindery_core::audit::Deed;
use bindery_proto::{
    admin::v1::{self as admin, admin_service_client::AdminServiceClient},
    v1 as wire,
};
use prost::Message;
use tonic::transport::Channel;

use crate::{
    client::{raw, reason},
    matrix::{connect, described, operate, requests},
    world::World,
};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The records of a call, the oldest first.
async fn records(world: &World, method: &str) -> Vec<Deed> {
    let all = world.audited().await.records.into_iter().rev();
    let deeds = all.map(|record| record.deed);
    deeds.filter(|deed| deed.action == method[1..]).collect()
}

/// The records of an action, once there are as many.
async fn awaited(world: &World, action: &str, count: usize) -> Vec<Deed> {
    let method = format!("/{action}");
    let wait = async {
        loop {
            let found = records(world, &method).await;
            if found.len() >= count {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, wait).await;
    found.unwrap_or_else(|_| panic!("{count} records of {action}"))
}

/// The name in an answer.
type NameOf = fn(&[u8]) -> String;

/// A request that makes something, and the name of what it made.
fn creation(method: &str) -> (Vec<u8>, NameOf) {
    let text = str::to_owned;
    match method {
        "/bindery.v1.HostService/CreateHost" => {
            let urls = wire::host::Urls {
                web: text("https://new.example"),
                ..Default::default()
            };
            let client = wire::host::OAuthClient {
                client_id: text("id"),
                client_secrets: vec![text("BNDRYCANARYnew")],
                ..Default::default()
            };
            let host = wire::Host {
                provider: text("providers/gitea"),
                public_urls: Some(urls),
                oauth_client: Some(client),
                ..Default::default()
            };
            let request = wire::CreateHostRequest {
                host_id: text("new"),
                host: Some(host),
                ..Default::default()
            };
            (request.encode_to_vec(), |answer| {
                wire::Host::decode(answer).expect("host").name
            })
        }
        "/bindery.v1.NamespaceService/CreateNamespace" => {
            let namespace = wire::Namespace {
                kind: wire::namespace::Kind::User.into(),
                display_name: text("Fresh"),
                ..Default::default()
            };
            let request = wire::CreateNamespaceRequest {
                namespace_id: text("fresh"),
                namespace: Some(namespace),
                ..Default::default()
            };
            (request.encode_to_vec(), |answer| {
                wire::Namespace::decode(answer).expect("namespace").name
            })
        }
        "/bindery.v1.LinkService/CreateLink" => {
            let method = wire::OAuthCode::default();
            let link = wire::Link {
                host: text("hosts/forge"),
                ..Default::default()
            };
            let request = wire::CreateLinkRequest {
                parent: text("namespaces/acme"),
                link: Some(link),
                method: Some(wire::create_link_request::Method::OauthCode(method)),
                ..Default::default()
            };
            (request.encode_to_vec(), |answer| {
                let made = wire::CreateLinkResponse::decode(answer).expect("answer");
                made.link.expect("link").name
            })
        }
        "/bindery.v1.SourceService/CreateSource" => {
            let source = wire::Source {
                repository: text("acme/built"),
                ..Default::default()
            };
            let request = wire::CreateSourceRequest {
                parent: text("namespaces/acme/links/bound"),
                source: Some(source),
                ..Default::default()
            };
            (request.encode_to_vec(), |answer| {
                wire::Source::decode(answer).expect("source").name
            })
        }
        "/bindery.v1.EventService/CreateTrigger" => {
            let request = wire::CreateTriggerRequest {
                parent: text("namespaces/acme/links/bound/sources/built"),
                ..Default::default()
            };
            (request.encode_to_vec(), |answer| {
                let made = wire::CreateTriggerResponse::decode(answer).expect("answer");
                made.trigger.expect("trigger").name
            })
        }
        "/bindery.v1.EventService/CreateSubscription" => {
            let subscription = wire::Subscription {
                endpoint_uri: text("https://registry.example/events"),
                ..Default::default()
            };
            let request = wire::CreateSubscriptionRequest {
                parent: text("namespaces/acme"),
                subscription: Some(subscription),
                ..Default::default()
            };
            (request.encode_to_vec(), |answer| {
                let made = wire::CreateSubscriptionResponse::decode(answer).expect("answer");
                made.subscription.expect("subscription").name
            })
        }
        "/bindery.v1.SourceService/RotateHookSecrets" => {
            let request = wire::RotateHookSecretsRequest {
                parent: text("namespaces/acme"),
                ..Default::default()
            };
            (request.encode_to_vec(), |answer| {
                wire::HookRotation::decode(answer).expect("rotation").name
            })
        }
        _ => panic!("{method} makes something and needs a request here"),
    }
}

/// Each call of the schema that changes something or hands out says what to, before it is done and when it is over, also
/// where it is refused; each that makes something names what it made.
#[tokio::test]
async fn records_name_the_resource() {
    let requests = requests();
    let mut made = 0;
    for method in described(bindery_proto::FILE_DESCRIPTOR_SET, "bindery.v1") {
        if weight(&method) == Weight::Reads {
            continue;
        }
        let row = served().iter().find(|row| row.method == method);
        let row = row.unwrap_or_else(|| panic!("{method} needs a row"));
        let creates = method.contains("/Create") || method.ends_with("/RotateHookSecrets");
        let world = World::new().await;
        if !method.ends_with("/CreateSource") {
            connect(&world, row).await;
        }
        let before = records(&world, &method).await.len();
        let nobody = world.caller("nobody").await;
        let usual = requests[method.as_str()].0.clone();
        raw(&nobody, &method, usual.clone())
            .await
            .expect_err("no right");
        let (message, name) = match creates {
            true => creation(&method),
            false => (usual, (|_| String::new()) as fn(&[u8]) -> String),
        };
        let answer = raw(&world.admin(), &method, message).await;
        let deeds = records(&world, &method).await.split_off(before);
        let expected = if weight(&method) == Weight::HandsOut {
            2
        } else {
            3
        };
        assert_eq!(deeds.len(), expected, "{method}: {deeds:?}");
        for deed in &deeds {
            let (of, rest) = deed.resource.split_once('/').unwrap_or_default();
            let known = ["hosts", "namespaces"].contains(&of) && !rest.is_empty();
            assert!(known, "{method}: {deed:?}");
        }
        if creates {
            let answer = answer.unwrap_or_else(|status| panic!("{method}: {status:?}"));
            let last = deeds.last().expect("a record");
            assert_eq!((last.code.as_str(), &last.resource), ("OK", &name(&answer)));
            made += 1;
        }
    }
    assert_eq!(made, 7);
}

/// The same for the operator's calls.
#[tokio::test]
async fn records_name_what_operators_change() {
    let calls = described(
        bindery_proto::admin::FILE_DESCRIPTOR_SET,
        "bindery.admin.v1",
    );
    for method in calls
        .iter()
        .filter(|method| weight(method) != Weight::Reads)
    {
        let world = World::new().await;
        let name = method.rsplit('/').next().expect("a method");
        if name == "Backup" {
            backup(&world, "").await.expect("made");
        } else {
            let _ = raw(&world.admin(), method, operate(name)).await;
        }
        let deeds = records(&world, method).await;
        assert_eq!(deeds.len(), 2, "{method}: {deeds:?}");
        for deed in &deeds {
            let of = deed.resource.split('/').next().unwrap_or_default();
            let known = ["seal", "slots", "keys", "store", "plugins", "policy"];
            assert!(known.contains(&of), "{method}: {deed:?}");
        }
    }
}

/// Takes a backup to its end.
async fn backup(world: &World, passphrase: &str) -> Result<(), tonic::Status> {
    let request = admin::BackupRequest {
        passphrase: passphrase.to_owned(),
    };
    let begun = AdminServiceClient::new(world.admin()).backup(request).await;
    let mut stream = begun?.into_inner();
    while stream.message().await?.is_some() {}
    Ok(())
}

/// A backup is well in the log when it ended well, and not when its stream began.
#[tokio::test]
async fn backups_are_recorded_at_their_end() {
    let world = World::new().await;
    backup(&world, "").await.expect("made");
    backup(&world, "no").await.expect_err("not made");
    let deeds = records(&world, "/bindery.admin.v1.AdminService/Backup").await;
    let ends: Vec<_> = deeds.iter().map(|deed| deed.reason.as_str()).collect();
    assert_eq!(ends, ["", "", "", "BACKUP_INVALID"]);
    let codes: Vec<_> = deeds.iter().map(|deed| deed.code == "OK").collect();
    assert_eq!(codes, [false, true, false, false]);
    assert_eq!(deeds[1].facts["records"], "3");
}

/// Which slot, of which kind, which key, and why: what an operator says is in the record before it is done.
#[tokio::test]
async fn records_of_keys_say_which() {
    let world = World::new().await;
    let mut client = AdminServiceClient::new(world.admin());
    let slot = admin::AddSlotRequest {
        kind: admin::SlotKind::Passphrase.into(),
        label: "safe".to_owned(),
        passphrase: "BNDRYCANARYpassphrase".to_owned(),
        ..Default::default()
    };
    let added = client.add_slot(slot).await.expect("added").into_inner();
    client
        .remove_slot(admin::RemoveSlotRequest { id: 7 })
        .await
        .expect("removed");
    let rotate = admin::RotateKeysRequest {
        target: admin::rotate_keys_request::Target::RootKey.into(),
        ..Default::default()
    };
    client.rotate_keys(rotate).await.expect("rotated");
    let seal = admin::SealRequest {
        reason: "a drill".to_owned(),
    };
    client.seal(seal).await.expect("sealed");
    let of = async |call: &str| {
        let method = format!("/bindery.admin.v1.AdminService/{call}");
        let [begun, ended] = records(&world, &method).await.try_into().expect("two");
        (begun, ended)
    };
    let (begun, ended) = of("AddSlot").await;
    assert_eq!(begun.facts["kind"], "SLOT_KIND_PASSPHRASE");
    assert_eq!(ended.facts["label"], "safe");
    let id = added.slot.expect("a slot").id;
    assert_eq!(ended.resource, format!("slots/{id}"));
    assert!(!format!("{begun:?}{ended:?}").contains("CANARY"));
    assert_eq!(of("RemoveSlot").await.0.resource, "slots/7");
    assert_eq!(of("RotateKeys").await.0.resource, "keys/root");
    assert_eq!(of("Seal").await.0.facts["reason"], "a drill");
}

fn disable(link: &str) -> Vec<u8> {
    let request = wire::DisableLinkRequest {
        name: link.to_owned(),
        ..Default::default()
    };
    request.encode_to_vec()
}

const DISABLE: &str = "/bindery.v1.LinkService/DisableLink";

async fn refused(caller: &Channel, method: &str, message: Vec<u8>) -> String {
    reason(&raw(caller, method, message).await.expect_err("refused"))
}

/// Whoever is refused again and again gets one line for each call and reason, and one that counts the rest. What is refused
/// to others meanwhile is there as ever.
#[tokio::test]
async fn refusals_are_counted() {
    let mut world = World::new().await;
    world.api.set_refusal_window(Duration::from_secs(3600));
    let (other, reader) = (world.caller("other").await, world.caller("reader").await);
    for number in 0..50 {
        let link = format!("namespaces/acme/links/l{number}");
        assert_eq!(refused(&other, DISABLE, disable(&link)).await, "NOT_FOUND");
    }
    let bound = disable("namespaces/acme/links/bound");
    assert_eq!(refused(&reader, DISABLE, bound).await, "PERMISSION_DENIED");
    let fetch = wire::FetchReadCredentialRequest {
        link: "namespaces/acme/links/bound".to_owned(),
        ..Default::default()
    };
    let hands_out = "/bindery.v1.CredentialService/FetchReadCredential";
    assert_eq!(
        refused(&other, hands_out, fetch.encode_to_vec()).await,
        "NOT_FOUND"
    );
    let deeds = records(&world, DISABLE).await;
    let seen: Vec<_> = deeds.iter().map(|deed| deed.code.as_str()).collect();
    assert_eq!(seen, ["NOT_FOUND", "PERMISSION_DENIED"]);
    assert_eq!(deeds[0].resource, "namespaces/acme/links/l0");
    assert_eq!(records(&world, hands_out).await.len(), 1);
    // When the time is over, or the daemon stops, it is told how many there were.
    world.stop().await;
    let deeds = awaited(&world, &DISABLE[1..], 3).await;
    let last = &deeds[2];
    assert_eq!(last.facts["repeats"], "49");
    assert_eq!(last.resource, "namespaces/acme/links/l49");
    assert_eq!(last.actor, "spiffe://test.example/other");
}

/// The time is over without anybody stopping, and the next refusal has a line of its own.
#[tokio::test]
async fn refusals_are_told_when_the_time_is_over() {
    let world = World::new().await;
    world.api.set_refusal_window(Duration::from_millis(1));
    let other = world.caller("other").await;
    let link = "namespaces/acme/links/bound";
    let lines = async {
        while records(&world, DISABLE).await.len() < 3 {
            refused(&other, DISABLE, disable(link)).await;
        }
    };
    tokio::time::timeout(PATIENCE, lines).await.expect("lines");
}

/// A key that is denied and tries to change something is in the log, with the call that it tried.
#[tokio::test]
async fn denied_keys_are_in_the_log() {
    let world = World::new().await;
    let revoked = world.caller("revoked").await;
    let bound = disable("namespaces/acme/links/bound");
    assert_eq!(refused(&revoked, DISABLE, bound).await, "UNAUTHENTICATED");
    let deeds = awaited(&world, &DISABLE[1..], 1).await;
    assert_eq!(
        (deeds[0].actor.as_str(), deeds[0].reason.as_str()),
        ("spiffe://test.example/revoked", "UNAUTHENTICATED")
    );
}

/// What a signal, or a file that changed, made of policy and deny list is in the log, also where it is wrong.
#[tokio::test]
async fn reloads_are_in_the_log() {
    let world = World::new().await;
    // From now on the listener serves.
    world.caller("owner").await;
    std::fs::write(world.path("policy.toml"), "").expect("written");
    world.api.reload().await;
    std::fs::write(world.path("policy.toml"), "admin = 1").expect("written");
    world.api.reload().await;
    let deeds = records(&world, "/daemon/reload-policy").await;
    assert_eq!(deeds.len(), 2);
    assert_eq!(
        (deeds[0].code.as_str(), deeds[0].facts["changed"].as_str()),
        ("OK", "true")
    );
    assert_eq!(deeds[0].facts["denied_keys"], "1");
    assert_eq!(deeds[1].reason, "INVALID_ARGUMENT");
    assert_eq!(
        deeds[0].facts["policy_sha256"],
        deeds[1].facts["policy_sha256"]
    );
    std::fs::write(world.path("denied"), "# nobody any more\n").expect("written");
    let deeds = awaited(&world, "daemon/follow-deny-list", 1).await;
    assert_eq!(deeds[0].facts["denied_keys"], "0");
    assert_eq!(deeds[0].resource, "deny-list");
}
