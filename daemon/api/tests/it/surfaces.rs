//! What each listener serves: admin calls, health, reflection.

use bindery_api::Limits;
use bindery_proto::admin::v1::{
    self as wire, CompactStoreRequest, DiagnoseRequest, GetStatusRequest, ListPluginsRequest,
    ReloadPluginRequest, ReloadPolicyRequest, RotateKeysRequest, SealRequest, UnsealRequest,
    VerifyAuditRequest, admin_service_client::AdminServiceClient, check, rotate_keys_request,
};
use prost::Message;
use tonic::{Code, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::{
    client::{raw, reason},
    world::World,
};

/// Full names of all admin calls.
fn admin_calls() -> Vec<String> {
    let set = prost_types::FileDescriptorSet::decode(bindery_proto::admin::FILE_DESCRIPTOR_SET)
        .expect("schema");
    let services = set
        .file
        .iter()
        .filter(|file| file.package() == "bindery.admin.v1")
        .flat_map(|file| &file.service);
    let calls = services.flat_map(|service| {
        let path = |method: &prost_types::MethodDescriptorProto| {
            format!("/bindery.admin.v1.{}/{}", service.name(), method.name())
        };
        service.method.iter().map(path).collect::<Vec<_>>()
    });
    calls.collect()
}

/// G5: on the public listeners no admin call exists, not even for root.
#[tokio::test]
async fn g5_admin_calls_are_on_one_socket() {
    let world = World::new().await;
    let calls = admin_calls();
    assert!(calls.len() > 15);
    for channel in [world.public(), world.caller("owner").await] {
        for call in &calls {
            let status = raw(&channel, call, Vec::new()).await.expect_err("absent");
            assert_eq!(status.code(), Code::Unimplemented, "{call}");
        }
    }
}

/// The operator learns how the daemon is, reloads plugins and policy, and has the audit log checked.
#[tokio::test]
async fn operator_is_served() {
    let world = World::new().await;
    let mut admin = AdminServiceClient::new(world.admin());
    let status = admin
        .get_status(GetStatusRequest {})
        .await
        .expect("status")
        .into_inner();
    assert!(status.development && status.store.expect("store").writable);
    let checks = admin
        .diagnose(DiagnoseRequest {})
        .await
        .expect("diagnosis")
        .into_inner()
        .checks;
    assert_eq!(checks.len(), 2);
    assert_eq!(checks[0].outcome(), check::Outcome::Ok);
    assert_eq!(checks[1].outcome(), check::Outcome::Failed);
    assert_eq!(
        (checks[1].id.as_str(), checks[1].action.as_str()),
        ("state.folder", "chmod 700")
    );
    let plugins = admin
        .list_plugins(ListPluginsRequest {})
        .await
        .expect("plugins")
        .into_inner()
        .plugins;
    assert_eq!(plugins.len(), 2);
    let reload = |name: &str| ReloadPluginRequest {
        name: name.to_owned(),
    };
    admin
        .reload_plugin(reload("gitea"))
        .await
        .expect("reloaded");
    assert_eq!(
        reason(&admin.reload_plugin(reload("x")).await.expect_err("absent")),
        "NOT_FOUND"
    );
    let chain = admin
        .verify_audit(VerifyAuditRequest::default())
        .await
        .expect("verified")
        .into_inner();
    assert!(chain.intact);
    std::fs::write(world.path("policy.toml"), "admin = 1").expect("write");
    let status = admin
        .reload_policy(ReloadPolicyRequest::default())
        .await
        .expect_err("wrong");
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::InvalidArgument, "INVALID_ARGUMENT")
    );
    assert!(status.message().contains("admin"));
    std::fs::write(world.path("policy.toml"), "").expect("write");
    let reloaded = admin
        .reload_policy(ReloadPolicyRequest::default())
        .await
        .expect("right")
        .into_inner();
    assert_eq!((reloaded.changed, reloaded.rule_count), (true, 0));
}

/// A backup comes in pieces with its summary last, goes back in pieces behind its settings, and what is wrong with it or
/// with the request is told by reason.
#[tokio::test]
async fn operator_is_served_backups() {
    use wire::{backup_response, restore_request, verify_backup_request};
    let world = World::new().await;
    let mut admin = AdminServiceClient::new(world.admin());
    let request = |passphrase: &str| wire::BackupRequest {
        passphrase: passphrase.to_owned(),
    };
    let mut stream = admin.backup(request("")).await.expect("begun").into_inner();
    let mut bytes = Vec::new();
    let summary = loop {
        let part = stream.message().await.expect("part").expect("not the end");
        match part.part.expect("a part") {
            backup_response::Part::Chunk(chunk) => bytes.extend(chunk),
            backup_response::Part::Summary(summary) => break summary,
        }
    };
    assert_eq!(
        (bytes.as_slice(), summary.record_count),
        (b"whole".as_slice(), 3)
    );
    assert!(stream.message().await.expect("end").is_none());
    let mut stream = admin
        .backup(request("no"))
        .await
        .expect("begun")
        .into_inner();
    let refused = loop {
        match stream.message().await {
            Ok(part) => assert!(part.is_some(), "it ended without a word"),
            Err(status) => break status,
        }
    };
    assert_eq!(reason(&refused), "BACKUP_INVALID");

    let settings = |directory: &str| wire::RestoreRequest {
        part: Some(restore_request::Part::Settings(wire::RestoreSettings {
            directory: directory.to_owned(),
            passphrase: "words".to_owned(),
        })),
    };
    let chunk = |text: &str| wire::RestoreRequest {
        part: Some(restore_request::Part::Chunk(text.into())),
    };
    let whole = vec![settings("/new"), chunk("who"), chunk("le")];
    let restored = admin.restore(futures_util::stream::iter(whole)).await;
    assert_eq!(restored.expect("restored").into_inner().directory, "/new");
    for (messages, why) in [
        (vec![settings("/new"), chunk("who")], "BACKUP_INVALID"),
        (vec![settings("new"), chunk("whole")], "INVALID_ARGUMENT"),
        (vec![chunk("whole")], "INVALID_ARGUMENT"),
        (vec![], "INVALID_ARGUMENT"),
    ] {
        let refused = admin.restore(futures_util::stream::iter(messages)).await;
        assert_eq!(reason(&refused.expect_err(why)), why);
    }
    let settings = verify_backup_request::Part::Settings(wire::VerifyBackupSettings::default());
    let chunk = verify_backup_request::Part::Chunk("whole".into());
    let parts = [settings, chunk].map(|part| wire::VerifyBackupRequest { part: Some(part) });
    let read = admin.verify_backup(futures_util::stream::iter(parts)).await;
    let summary = read.expect("read").into_inner().summary.expect("summary");
    assert_eq!(summary.store_version, 7);
}

/// Damage of the store is an answer; a rollback is accepted by its etag and with a reason.
#[tokio::test]
async fn operator_is_told_of_damage_and_rollbacks() {
    let world = World::new().await;
    let mut admin = AdminServiceClient::new(world.admin());
    let found = admin.verify_store(wire::VerifyStoreRequest {}).await;
    let found = found.expect("verified").into_inner();
    assert!(!found.intact && found.record_count == 3);
    assert_eq!(found.findings[0].reason, "RECORD_TAMPERED");
    let accept = |etag: &str, reason: &str| wire::AcceptRollbackRequest {
        etag: etag.to_owned(),
        reason: reason.to_owned(),
    };
    let accepted = admin.accept_rollback(accept("right", "a drill")).await;
    assert!(accepted.expect("accepted").into_inner().status.is_some());
    for (etag, why, expected) in [
        ("wrong", "a drill", "NOT_FOUND"),
        ("right", "", "INVALID_ARGUMENT"),
        ("", "a drill", "INVALID_ARGUMENT"),
    ] {
        let refused = admin.accept_rollback(accept(etag, why)).await;
        assert_eq!(reason(&refused.expect_err(expected)), expected);
    }
}

/// New keys are of one kind or the other, the seal opens with exactly one thing, and a reason is short.
#[tokio::test]
async fn keys_are_asked_for_whole() {
    let world = World::new().await;
    let mut admin = AdminServiceClient::new(world.admin());
    let refused = admin.rotate_keys(RotateKeysRequest::default()).await;
    assert_eq!(reason(&refused.expect_err("no target")), "INVALID_ARGUMENT");
    let root = RotateKeysRequest {
        target: rotate_keys_request::Target::RootKey.into(),
        ..RotateKeysRequest::default()
    };
    let rotated = admin.rotate_keys(root).await.expect("rotated").into_inner();
    assert_eq!((rotated.epochs.len(), rotated.lost_slots.len()), (1, 1));
    let compacted = admin.compact_store(CompactStoreRequest {}).await;
    let compacted = compacted.expect("compacted").into_inner();
    assert_eq!((compacted.before_bytes, compacted.after_bytes), (9, 3));
    let both = UnsealRequest {
        passphrase: "correct horse battery".into(),
        recovery_share: "A-SHARE".into(),
        ..UnsealRequest::default()
    };
    for wrong in [both, UnsealRequest::default()] {
        let refused = admin.unseal(wrong).await.expect_err("not exactly one");
        assert_eq!(reason(&refused), "INVALID_ARGUMENT");
    }
    let long = SealRequest {
        reason: "r".repeat(1001),
    };
    let refused = admin.seal(long).await.expect_err("too long");
    assert_eq!(reason(&refused), "INVALID_ARGUMENT");
}

pub(crate) async fn health(channel: Channel, service: &str) -> Result<ServingStatus, Code> {
    let request = HealthCheckRequest {
        service: service.to_owned(),
    };
    let checked = HealthClient::new(channel).check(request).await;
    checked
        .map(|answer| answer.into_inner().status())
        .map_err(|status| status.code())
}

/// Health answers for the daemon and each of its services, and says when the vault can't serve.
#[tokio::test]
async fn health_follows_the_vault() {
    let world = World::new().await;
    for service in ["", "bindery.v1.LinkService", "bindery.v1.EventService"] {
        assert_eq!(
            health(world.public(), service).await,
            Ok(ServingStatus::Serving),
            "{service}"
        );
    }
    assert_eq!(
        health(world.public(), "bindery.admin.v1.AdminService").await,
        Err(Code::NotFound)
    );
    assert_eq!(
        health(world.admin(), "bindery.admin.v1.AdminService").await,
        Ok(ServingStatus::Serving)
    );
    world.vault.seal().await;
    assert_eq!(
        health(world.public(), "").await,
        Ok(ServingStatus::NotServing)
    );
    let status = raw(
        &world.admin(),
        "/bindery.v1.HostService/ListHosts",
        Vec::new(),
    )
    .await
    .expect_err("sealed");
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::Unavailable, "SEALED")
    );
}

/// The services that reflection names.
async fn reflected(channel: Channel) -> Result<Vec<String>, Code> {
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let requests = tokio_stream::iter([ask]);
    let answers = ServerReflectionClient::new(channel)
        .server_reflection_info(requests)
        .await;
    let mut answers = answers.map_err(|status| status.code())?.into_inner();
    let answer = answers
        .message()
        .await
        .map_err(|status| status.code())?
        .expect("an answer");
    match answer.message_response {
        Some(MessageResponse::ListServicesResponse(list)) => {
            Ok(list.service.into_iter().map(|known| known.name).collect())
        }
        other => panic!("{other:?}"),
    }
}

/// G8: reflection names what a listener serves and no more, and is off over TLS unless it is asked for.
#[tokio::test]
async fn g8_reflection_is_bounded() {
    let world = World::new().await;
    let public = reflected(world.public()).await.expect("reflection");
    assert!(public.contains(&"bindery.v1.LinkService".to_owned()));
    assert!(!public.iter().any(|name| name.contains("admin")));
    let admin = reflected(world.admin()).await.expect("reflection");
    assert!(admin.contains(&"bindery.admin.v1.AdminService".to_owned()));
    assert_eq!(
        reflected(world.caller("owner").await).await,
        Err(Code::Unimplemented)
    );
    let open = World::with(Limits {
        reflection_over_tls: true,
        ..Limits::default()
    })
    .await;
    assert!(reflected(open.caller("owner").await).await.is_ok());
}
