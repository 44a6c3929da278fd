//! The audit log at the services: what is in it, and that nothing goes on without it.

use std::sync::Arc;

use bindery_api::Limits;
use bindery_audit::{DiskFault, FaultyDisk};
use bindery_core::name::NamespaceName;
use bindery_proto::{
    admin::v1::{self as admin, admin_service_client::AdminServiceClient},
    v1 as wire,
};
use prost::Message;
use tonic::Code;

use crate::{
    client::{raw, reason},
    world::World,
};

const LINK: &str = "namespaces/acme/links/bound";
const FETCH: &str = "/bindery.v1.CredentialService/FetchReadCredential";
const DISABLE: &str = "/bindery.v1.LinkService/DisableLink";

fn fetch() -> Vec<u8> {
    let request = wire::FetchReadCredentialRequest {
        link: LINK.to_owned(),
        ..Default::default()
    };
    request.encode_to_vec()
}

fn disable() -> Vec<u8> {
    let request = wire::DisableLinkRequest {
        name: LINK.to_owned(),
        ..Default::default()
    };
    request.encode_to_vec()
}

/// How a call ended.
async fn ended(world: &World, method: &str, message: Vec<u8>) -> String {
    let answer = raw(&world.admin(), method, message).await;
    answer.as_ref().map_or_else(reason, |_| "OK".to_owned())
}

/// A change is written before it is done and when it ended, a refusal once, and what only reads or checks is not.
#[tokio::test]
async fn changes_are_written_before_and_after() {
    let world = World::new().await;
    let (owner, other) = (world.caller("owner").await, world.caller("other").await);
    raw(&owner, DISABLE, disable()).await.expect("disabled");
    raw(&other, DISABLE, disable()).await.expect_err("hidden");
    let get = wire::GetLinkRequest {
        name: LINK.to_owned(),
    };
    raw(
        &owner,
        "/bindery.v1.LinkService/GetLink",
        get.encode_to_vec(),
    )
    .await
    .expect("read");
    let preview = wire::UnlinkRequest {
        name: LINK.to_owned(),
        validate_only: true,
        ..Default::default()
    };
    raw(
        &owner,
        "/bindery.v1.LinkService/Unlink",
        preview.encode_to_vec(),
    )
    .await
    .expect("previewed");
    let records = world.audited().await.records;
    let seen: Vec<_> = records
        .iter()
        .map(|record| (record.deed.actor.as_str(), record.deed.code.as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            ("spiffe://test.example/other", "NOT_FOUND"),
            ("spiffe://test.example/owner", "OK"),
            ("spiffe://test.example/owner", ""),
        ]
    );
    assert!(records.iter().all(|record| record.deed.resource == LINK));
    assert!(
        records
            .iter()
            .all(|record| record.deed.action == DISABLE[1..])
    );
    assert_eq!(records[1].deed.request_id, records[2].deed.request_id);
    assert!(!records[1].deed.request_id.is_empty());
}

/// A full or dead disk: nothing is handed out and nothing is changed, each with the reason, and what only reads goes on.
/// Once the disk is mended everything goes on.
#[tokio::test]
async fn nothing_goes_on_without_the_log() {
    for fault in [DiskFault::Full, DiskFault::Stalled, DiskFault::NoSync] {
        let disk = Arc::new(FaultyDisk::default());
        let world = World::on(Limits::default(), disk.clone()).await;
        assert_eq!(ended(&world, FETCH, fetch()).await, "OK");
        disk.set(fault);
        // A disk that takes writes and loses them shows at the first one that must be on it.
        if fault == DiskFault::NoSync {
            assert_eq!(ended(&world, DISABLE, disable()).await, "AUDIT_UNAVAILABLE");
        }
        let refused = raw(&world.admin(), FETCH, fetch())
            .await
            .expect_err("refused");
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::Unavailable, "AUDIT_UNAVAILABLE")
        );
        assert!(!format!("{refused:?}").contains("CANARY"));
        assert_eq!(ended(&world, DISABLE, disable()).await, "AUDIT_UNAVAILABLE");
        let get = wire::GetLinkRequest {
            name: LINK.to_owned(),
        };
        let link = raw(
            &world.admin(),
            "/bindery.v1.LinkService/GetLink",
            get.encode_to_vec(),
        )
        .await;
        let link = wire::Link::decode(link.expect("read").as_slice()).expect("link");
        let desired = link.desired.unwrap_or_default();
        assert_eq!(desired.state(), wire::desired_state::State::Enabled);
        disk.set(DiskFault::None);
        if fault == DiskFault::NoSync {
            // Nobody knows what the disk holds; a restart looks.
            assert_eq!(ended(&world, FETCH, fetch()).await, "AUDIT_UNAVAILABLE");
            continue;
        }
        let patience = std::time::Duration::from_secs(30);
        let again = async { while ended(&world, DISABLE, disable()).await != "OK" {} };
        tokio::time::timeout(patience, again)
            .await
            .expect("goes on");
        let verdict = bindery_core::audit::Audit::verify(&*world.audit)
            .await
            .expect("checked");
        assert_eq!(verdict.broken, None);
    }
}

/// A full disk, that nobody has met yet: a credential is refused before anything is asked of the link, so no lease and no
/// token is left alive that nobody has.
#[tokio::test]
async fn nothing_is_minted_without_the_log() {
    let disk = Arc::new(FaultyDisk::default());
    let world = World::on(Limits::default(), disk.clone()).await;
    let acme = NamespaceName::parse("acme").expect("name");
    let held = || async {
        let listed = world.engine.list_leases(&acme, true).await;
        listed.expect("leases").len()
    };
    world.audit.start().await.expect("started");
    let before = held().await;
    for fault in [DiskFault::Full, DiskFault::FullAndStuck] {
        disk.set(fault);
        assert_eq!(ended(&world, FETCH, fetch()).await, "AUDIT_UNAVAILABLE");
        assert_eq!(held().await, before);
        disk.set(DiskFault::None);
    }
    assert_eq!(ended(&world, FETCH, fetch()).await, "OK");
    assert_eq!(held().await, before + 1);
}

/// The operator lists records page by page and checks the chain; what was done on the admin socket is in it too.
#[tokio::test]
async fn operators_list_and_check() {
    let world = World::new().await;
    let mut client = AdminServiceClient::new(world.admin());
    for _ in 0..3 {
        let request = admin::EnablePluginRequest {
            name: "gitea".to_owned(),
        };
        client.enable_plugin(request).await.expect("enabled");
    }
    let request = admin::DisablePluginRequest {
        name: "gitea".to_owned(),
        reason: "it leaks".to_owned(),
    };
    client.disable_plugin(request).await.expect("disabled");
    let mut request = admin::ListAuditRecordsRequest {
        page_size: 2,
        filter: "resource = plugins/gitea AND code = OK".to_owned(),
        ..Default::default()
    };
    let first = client
        .list_audit_records(request.clone())
        .await
        .expect("page");
    let first = first.into_inner();
    assert_eq!(
        first.records[0].action,
        "bindery.admin.v1.AdminService/DisablePlugin"
    );
    assert_eq!(first.records[0].facts["reason"], "it leaks");
    assert_eq!(first.records[0].chain_hash.len(), 64);
    request.page_token.clone_from(&first.next_page_token);
    let second = client
        .list_audit_records(request.clone())
        .await
        .expect("page");
    let second = second.into_inner();
    assert_eq!((first.records.len(), second.records.len()), (2, 2));
    assert!(second.next_page_token.is_empty());
    let numbers = first.records.iter().chain(&second.records);
    let numbers: Vec<_> = numbers.map(|record| record.sequence).collect();
    assert_eq!(numbers, [8, 6, 4, 2]);
    request.filter = "code = OK".to_owned();
    let foreign = client
        .list_audit_records(request.clone())
        .await
        .expect_err("foreign");
    assert_eq!(reason(&foreign), "INVALID_PAGE_TOKEN");
    for (filter, page_size, why) in [
        ("who = x", 0, "FILTER_INVALID"),
        ("", -1, "PAGE_SIZE_INVALID"),
    ] {
        let request = admin::ListAuditRecordsRequest {
            filter: filter.to_owned(),
            page_size,
            ..Default::default()
        };
        let refused = client
            .list_audit_records(request)
            .await
            .expect_err("refused");
        assert_eq!(reason(&refused), why);
    }
    let verdict = client
        .verify_audit(admin::VerifyAuditRequest {})
        .await
        .expect("checked");
    let verdict = verdict.into_inner();
    assert_eq!(
        (
            verdict.intact,
            verdict.record_count,
            verdict.broken_sequence
        ),
        (true, 8, 0)
    );
    let file = std::fs::read_dir(world.path("audit"))
        .expect("folder")
        .next();
    let file = file.expect("a file").expect("entry").path();
    let text = std::fs::read_to_string(&file).expect("text");
    std::fs::write(&file, text.replacen("plugins/gitea", "plugins/gitee", 1)).expect("written");
    let verdict = client
        .verify_audit(admin::VerifyAuditRequest {})
        .await
        .expect("checked");
    let verdict = verdict.into_inner();
    assert_eq!((verdict.intact, verdict.broken_sequence), (false, 1));
    assert_eq!(verdict.message, "record 1 was changed");
}
