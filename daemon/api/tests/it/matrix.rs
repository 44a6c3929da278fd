//! G1: every call of the schema, as every kind of caller.
//!
//! | Caller | Who it is |
//! |---|---|
//! | owner | every right in the namespace, and on the daemon |
//! | other | every right in another namespace |
//! | nobody | no right anywhere |
//! | reader | may read in the namespace |
//! | builder | may fetch for reading, for one repository |
//! | revoked | the owner's rights, and a key on the deny list |
//! | admin | on the admin socket |
//! | sealed | the owner, while the daemon is sealed |

use std::collections::BTreeMap;

use bindery_api::{Action, Row, Scope, served};
use bindery_proto::{admin::v1 as admin, v1 as wire};
use prost::Message;
use tonic_types::StatusExt;

use crate::{
    client::{raw, reason},
    world::World,
};

const LINK: &str = "namespaces/acme/links/bound";
const SOURCE: &str = "namespaces/acme/links/bound/sources/built";
const SUBSCRIPTION: &str = "namespaces/acme/subscriptions/registry";
const TRIGGER: &str = "namespaces/acme/links/bound/sources/built/triggers/nightly";
const REPOSITORY: &str = "namespaces/acme/links/bound/repositories/acme%2Fapi";

/// A request for each served call, and how it ends for one who may.
#[expect(
    clippy::needless_update,
    reason = "some requests have no field beyond those that are set"
)]
pub(crate) fn requests() -> BTreeMap<&'static str, (Vec<u8>, &'static str)> {
    let mut all = BTreeMap::new();
    macro_rules! request {
        ($($method:literal: $message:ident { $($field:ident: $value:expr),* } => $end:literal;)*) => {
            $(
                let message = wire::$message { $($field: $value,)* ..Default::default() };
                all.insert(concat!("/bindery.v1.", $method), (message.encode_to_vec(), $end));
            )*
        };
    }
    let s = str::to_owned;
    let namespace = || wire::Namespace {
        name: s("namespaces/acme"),
        kind: wire::namespace::Kind::User.into(),
        display_name: s("Acme"),
        ..Default::default()
    };
    let host = || wire::Host {
        name: s("hosts/forge"),
        display_name: s("Forge"),
        ..Default::default()
    };
    let token = wire::AccessToken {
        token: s("x"),
        username: String::new(),
    };
    let method = wire::create_link_request::Method::AccessToken(token);
    let link = wire::Link {
        host: s("hosts/forge"),
        ..Default::default()
    };
    let named = wire::Link {
        name: s(LINK),
        display_name: s("Builds"),
        ..Default::default()
    };
    request! {
        "ProviderService/ListProviders": ListProvidersRequest {} => "OK";
        "ProviderService/GetProvider": GetProviderRequest { name: s("providers/gitea") } => "OK";
        "HostService/CreateHost": CreateHostRequest { host_id: s("new") } => "INVALID_ARGUMENT";
        "HostService/GetHost": GetHostRequest { name: s("hosts/forge") } => "OK";
        "HostService/ListHosts": ListHostsRequest {} => "OK";
        "HostService/UpdateHost": UpdateHostRequest { host: Some(host()) } => "OK";
        "HostService/DeleteHost": DeleteHostRequest { name: s("hosts/forge") } => "HAS_CHILDREN";
        "HostService/ProbeHost": ProbeHostRequest {
            target: Some(wire::probe_host_request::Target::Name(s("hosts/forge")))
        } => "OK";
        "HostService/SetUpAppHook": SetUpAppHookRequest { name: s("hosts/forge") } => "METHOD_NOT_SUPPORTED";
        "NamespaceService/CreateNamespace": CreateNamespaceRequest {
            namespace_id: s("acme"), namespace: Some(namespace())
        } => "ALREADY_EXISTS";
        "NamespaceService/GetNamespace": GetNamespaceRequest { name: s("namespaces/acme") } => "OK";
        "NamespaceService/ListNamespaces": ListNamespacesRequest {} => "OK";
        "NamespaceService/UpdateNamespace": UpdateNamespaceRequest {
            namespace: Some(wire::Namespace { kind: 0, ..namespace() })
        } => "OK";
        "NamespaceService/DeleteNamespace": DeleteNamespaceRequest { name: s("namespaces/acme") } => "HAS_CHILDREN";
        "LinkService/CreateLink": CreateLinkRequest {
            parent: s("namespaces/acme"), link: Some(link), method: Some(method)
        } => "LINK_EXISTS";
        "LinkService/GetLink": GetLinkRequest { name: s(LINK) } => "OK";
        "LinkService/ListLinks": ListLinksRequest { parent: s("namespaces/acme") } => "OK";
        "LinkService/UpdateLink": UpdateLinkRequest { link: Some(named) } => "OK";
        "LinkService/WatchLink": WatchLinkRequest { name: s(LINK) } => "OK";
        "LinkService/ConfirmLink": ConfirmLinkRequest { name: s(LINK), link_code: s("code") } => "FLOW_EXPIRED";
        "LinkService/CompleteLink": CompleteLinkRequest {
            name: s(LINK), code: s("code"), state: s("flow.ticket")
        } => "FLOW_EXPIRED";
        "LinkService/CancelLink": CancelLinkRequest { name: s(LINK) } => "FLOW_USED";
        "LinkService/ReauthorizeLink": ReauthorizeLinkRequest { name: s(LINK) } => "INVALID_ARGUMENT";
        "LinkService/EnableLink": EnableLinkRequest { name: s(LINK) } => "OK";
        "LinkService/DisableLink": DisableLinkRequest { name: s(LINK) } => "OK";
        "LinkService/CheckLink": CheckLinkRequest { name: s(LINK) } => "OK";
        "LinkService/ListOrganizations": ListOrganizationsRequest { parent: s(LINK) } => "OK";
        "LinkService/Unlink": UnlinkRequest { name: s(LINK) } => "OK";
        "LinkService/GetReceipt": GetReceiptRequest { name: s("namespaces/acme/receipts/old") } => "OK";
        "LinkService/ListExpiring": ListExpiringRequest { parent: s("namespaces/acme") } => "OK";
        "LinkService/ListReceipts": ListReceiptsRequest { parent: s("namespaces/acme") } => "OK";
        "RepositoryService/ListRepositories": ListRepositoriesRequest { parent: s(LINK) } => "OK";
        "RepositoryService/GetRepository": GetRepositoryRequest { name: s(REPOSITORY) } => "OK";
        "RepositoryService/ListRefs": ListRefsRequest { parent: s(REPOSITORY) } => "OK";
        "RepositoryService/CheckAccess": CheckAccessRequest { name: s(REPOSITORY), permission: 3 } => "OK";
        "SourceService/CreateSource": CreateSourceRequest { parent: s(LINK), source: Some(built()) } => "SOURCE_EXISTS";
        "SourceService/GetSource": GetSourceRequest { name: s(SOURCE) } => "OK";
        "SourceService/ListSources": ListSourcesRequest { parent: s(LINK) } => "OK";
        "SourceService/UpdateSource": UpdateSourceRequest {
            source: Some(wire::Source { name: s(SOURCE), paused: true, ..Default::default() })
        } => "OK";
        "SourceService/DeleteSource": DeleteSourceRequest { name: s(SOURCE) } => "OK";
        "SourceService/VerifySource": VerifySourceRequest { name: s(SOURCE) } => "OK";
        "SourceService/RepairSource": RepairSourceRequest { name: s(SOURCE) } => "OK";
        "SourceService/RotateHookSecrets": RotateHookSecretsRequest { parent: s("namespaces/acme") } => "OK";
        "SourceService/GetHookRotation": GetHookRotationRequest {
            name: s("namespaces/acme/hookRotations/absent")
        } => "NOT_FOUND";
        "SourceService/ListHookRotationReports": ListHookRotationReportsRequest {
            parent: s("namespaces/acme/hookRotations/absent")
        } => "NOT_FOUND";
        "SourceService/ListOrphanHooks": ListOrphanHooksRequest { parent: s(LINK) } => "OK";
        "SourceService/RemoveOrphanHooks": RemoveOrphanHooksRequest { parent: s("namespaces/acme") } => "OK";
        "SourceService/CatchUpSource": CatchUpSourceRequest { name: s(SOURCE) } => "OK";
        "SourceService/ListDeliveries": ListDeliveriesRequest { parent: s(SOURCE) } => "OK";
        "SourceService/GetDelivery": GetDeliveryRequest {
            name: s("namespaces/acme/links/bound/sources/built/deliveries/1")
        } => "NOT_FOUND";
        "SourceService/RetryDelivery": RetryDeliveryRequest {
            name: s("namespaces/acme/links/bound/sources/built/deliveries/1")
        } => "NOT_FOUND";
        "EventService/CreateTrigger": CreateTriggerRequest { parent: s(SOURCE), trigger_id: s("nightly") } => "ALREADY_EXISTS";
        "EventService/GetTrigger": GetTriggerRequest { name: s(TRIGGER) } => "OK";
        "EventService/ListTriggers": ListTriggersRequest { parent: s(SOURCE) } => "OK";
        "EventService/UpdateTrigger": UpdateTriggerRequest {
            trigger: Some(wire::Trigger { name: s(TRIGGER), disabled: true, ..Default::default() })
        } => "OK";
        "EventService/RotateTriggerToken": RotateTriggerTokenRequest { name: s(TRIGGER) } => "OK";
        "EventService/DeleteTrigger": DeleteTriggerRequest { name: s(TRIGGER) } => "OK";
        "EventService/FireTrigger": FireTriggerRequest { name: s(TRIGGER) } => "OK";
        "CredentialService/FetchReadCredential": FetchReadCredentialRequest {
            link: s(LINK), repository: s("acme/api")
        } => "OK";
        "CredentialService/FetchReadWriteCredential": FetchReadWriteCredentialRequest {
            link: s(LINK), repository: s("acme/api")
        } => "OK";
        "CredentialService/RevokeLease": RevokeLeaseRequest { name: s("namespaces/acme/leases/held") } => "OK";
        "CredentialService/ListLeases": ListLeasesRequest { parent: s("namespaces/acme") } => "OK";
        "EventService/CreateSubscription": CreateSubscriptionRequest {
            parent: s("namespaces/acme"), subscription: Some(wire::Subscription {
                endpoint_uri: s("https://registry.example/events"), ..Default::default()
            })
        } => "OK";
        "EventService/GetSubscription": GetSubscriptionRequest { name: s(SUBSCRIPTION) } => "NOT_FOUND";
        "EventService/ListSubscriptions": ListSubscriptionsRequest { parent: s("namespaces/acme") } => "OK";
        "EventService/UpdateSubscription": UpdateSubscriptionRequest {
            subscription: Some(wire::Subscription { name: s(SUBSCRIPTION), paused: true, ..Default::default() })
        } => "NOT_FOUND";
        "EventService/RotateSubscriptionSecret": RotateSubscriptionSecretRequest { name: s(SUBSCRIPTION) } => "NOT_FOUND";
        "EventService/DeleteSubscription": DeleteSubscriptionRequest { name: s(SUBSCRIPTION) } => "NOT_FOUND";
        "EventService/ListDeadLetters": ListDeadLettersRequest { parent: s(SUBSCRIPTION) } => "NOT_FOUND";
        "EventService/WatchEvents": WatchEventsRequest { parent: s("namespaces/acme") } => "OK";
        "EventService/AckEvents": AckEventsRequest {
            parent: s("namespaces/acme"), consumer_id: s("nobody")
        } => "NOT_FOUND";
        "EventService/GetEvent": GetEventRequest { name: s("namespaces/acme/events/1") } => "NOT_FOUND";
        "EventService/ListEvents": ListEventsRequest { parent: s("namespaces/acme") } => "OK";
        "EventService/ReplayEvents": ReplayEventsRequest {
            parent: s("namespaces/acme"),
            target: Some(wire::replay_events_request::Target::ConsumerId(s("nobody")))
        } => "NOT_FOUND";
        "EventService/ListConsumers": ListConsumersRequest { parent: s("namespaces/acme") } => "OK";
        "EventService/DeleteConsumer": DeleteConsumerRequest {
            name: s("namespaces/acme/consumers/nobody")
        } => "NOT_FOUND";
    }
    all
}

/// A repository that can be connected.
fn built() -> wire::Source {
    wire::Source {
        repository: "acme/built".to_owned(),
        ..Default::default()
    }
}

/// Connects it, where a call is about sources: links alone are the world of all others.
pub(crate) async fn connect(world: &World, row: &Row) {
    let fires = row.method.contains("Trigger");
    if !fires && !row.method.starts_with("/bindery.v1.SourceService/") {
        return;
    }
    let request = wire::CreateSourceRequest {
        parent: LINK.to_owned(),
        source_id: "built".to_owned(),
        source: Some(built()),
        ..Default::default()
    };
    let method = "/bindery.v1.SourceService/CreateSource";
    let made = raw(&world.admin(), method, request.encode_to_vec()).await;
    made.expect("source");
    if fires {
        let request = wire::CreateTriggerRequest {
            parent: SOURCE.to_owned(),
            trigger_id: "nightly".to_owned(),
            ..Default::default()
        };
        let method = "/bindery.v1.EventService/CreateTrigger";
        let made = raw(&world.admin(), method, request.encode_to_vec()).await;
        made.expect("trigger");
    }
}

/// How a call of a caller must end, given how it ends for one who may.
fn expected(role: &str, row: &Row, end: &'static str) -> &'static str {
    let reads = matches!(
        row.action,
        Action::Read | Action::Provider | Action::HostRead
    );
    match (role, row.scope) {
        ("revoked", _) => "UNAUTHENTICATED",
        ("sealed", _) => "SEALED",
        ("owner" | "admin", _) | (_, Scope::Filtered) => end,
        ("reader", _) if reads => end,
        // What it holds it may give back, and what it is there for it may do.
        ("builder", Scope::Present) => end,
        ("builder", _) if row.action == Action::CredentialRead => end,
        ("reader" | "builder", _) | (_, Scope::Made | Scope::Surface) => "PERMISSION_DENIED",
        (_, Scope::Namespaced | Scope::Across | Scope::Present) => "NOT_FOUND",
    }
}

/// How each admin call ends for an operator, and while the daemon is sealed.
#[rustfmt::skip]
const ADMIN: &[(&str, &str, &str)] = &[
    ("GetStatus", "OK", "OK"),
    ("Unseal", "UNSEAL_REJECTED", "UNSEAL_REJECTED"),
    ("Seal", "OK", "OK"),
    ("AddSlot", "OK", "OK"),
    ("RemoveSlot", "OK", "OK"),
    ("VerifyRecoveryShares", "OK", "OK"),
    ("RotateKeys", "OK", "OK"),
    ("Backup", "OK", "OK"),
    ("Restore", "BACKUP_INVALID", "BACKUP_INVALID"),
    ("VerifyBackup", "BACKUP_INVALID", "BACKUP_INVALID"),
    ("VerifyStore", "OK", "OK"),
    ("CompactStore", "OK", "OK"),
    ("AcceptRollback", "OK", "OK"),
    ("ListPlugins", "OK", "OK"),
    ("ReloadPlugin", "OK", "OK"),
    ("EnablePlugin", "OK", "OK"),
    ("DisablePlugin", "OK", "OK"),
    ("ListAuditRecords", "OK", "OK"),
    ("VerifyAudit", "OK", "SEALED"),
    ("ReloadPolicy", "OK", "OK"),
    ("Diagnose", "OK", "OK"),
];

/// A request of an admin call that gets as far as the operator's port.
pub(crate) fn operate(method: &str) -> Vec<u8> {
    let name = "gitea".to_owned();
    let text = str::to_owned;
    match method {
        "Unseal" => admin::UnsealRequest {
            passphrase: text("of no slot"),
            ..Default::default()
        }
        .encode_to_vec(),
        "AddSlot" => admin::AddSlotRequest {
            kind: admin::SlotKind::RecoveryShares.into(),
            ..Default::default()
        }
        .encode_to_vec(),
        "RemoveSlot" => admin::RemoveSlotRequest { id: 1 }.encode_to_vec(),
        "RotateKeys" => admin::RotateKeysRequest {
            target: admin::rotate_keys_request::Target::Epoch.into(),
            ..Default::default()
        }
        .encode_to_vec(),
        "Restore" => {
            let settings = admin::RestoreSettings {
                directory: text("/new"),
                ..Default::default()
            };
            let part = Some(admin::restore_request::Part::Settings(settings));
            admin::RestoreRequest { part }.encode_to_vec()
        }
        "VerifyBackup" => {
            let settings = admin::VerifyBackupSettings::default();
            let part = Some(admin::verify_backup_request::Part::Settings(settings));
            admin::VerifyBackupRequest { part }.encode_to_vec()
        }
        "AcceptRollback" => admin::AcceptRollbackRequest {
            etag: text("right"),
            reason: text("a drill"),
        }
        .encode_to_vec(),
        "ReloadPlugin" => admin::ReloadPluginRequest { name }.encode_to_vec(),
        "EnablePlugin" => admin::EnablePluginRequest { name }.encode_to_vec(),
        "DisablePlugin" => {
            let reason = String::new();
            admin::DisablePluginRequest { name, reason }.encode_to_vec()
        }
        _ => Vec::new(),
    }
}

/// All methods that a schema describes, in its order.
pub(crate) fn described(schema: &[u8], package: &str) -> Vec<String> {
    let set = prost_types::FileDescriptorSet::decode(schema).expect("schema");
    let files = set.file.iter().filter(|file| file.package() == package);
    let services = files.flat_map(|file| &file.service);
    let calls = services.flat_map(|service| {
        let path = |method: &prost_types::MethodDescriptorProto| {
            format!("/{package}.{}/{}", service.name(), method.name())
        };
        service.method.iter().map(path).collect::<Vec<_>>()
    });
    calls.collect()
}

/// Callers of the TLS listener. Who may not comes first, so that all of them meet the same world.
const CALLERS: [&str; 6] = ["revoked", "nobody", "other", "reader", "builder", "owner"];

/// G1: each cell of calls × callers ends as the policy says, and nobody else learns that anything is there. The calls are
/// those that the schema describes: a new one without a row fails here.
#[tokio::test]
async fn g1_every_call_as_every_caller() {
    let requests = requests();
    let calls = described(bindery_proto::FILE_DESCRIPTOR_SET, "bindery.v1");
    let mut cells = 0;
    for method in &calls {
        let row = served().iter().find(|row| row.method == method);
        let row = row.unwrap_or_else(|| panic!("{method} needs a row in the table of rights"));
        let (message, end) = requests
            .get(method.as_str())
            .unwrap_or_else(|| panic!("{method} needs a request in this matrix"));
        let world = World::new().await;
        connect(&world, row).await;
        for role in CALLERS {
            let caller = world.caller(role).await;
            let answer = raw(&caller, method, message.clone()).await;
            cells += check(role, row, end, answer);
        }
        let world = World::new().await;
        connect(&world, row).await;
        let admin = raw(&world.admin(), method, message.clone()).await;
        cells += check("admin", row, end, admin);
        let owner = world.caller("owner").await;
        world.vault.seal().await;
        cells += check(
            "sealed",
            row,
            end,
            raw(&owner, method, message.clone()).await,
        );
    }
    assert_eq!(requests.len(), calls.len(), "a request for no call");
    assert_eq!(cells, calls.len() * 8);
    println!(
        "figure: G1: {} calls as 8 callers, {cells} cells asserted",
        calls.len()
    );
}

/// G1, G5: the same for the operator's calls: they exist on the admin socket and nowhere else.
#[tokio::test]
async fn g1_every_admin_call_as_every_caller() {
    let calls = described(
        bindery_proto::admin::FILE_DESCRIPTOR_SET,
        "bindery.admin.v1",
    );
    let (mut cells, mut wrong) = (0, Vec::new());
    for path in &calls {
        let method = path.rsplit('/').next().expect("a method");
        let row = ADMIN.iter().find(|(known, ..)| *known == method);
        let (_, end, sealed) = row.unwrap_or_else(|| panic!("{method} needs a row in this matrix"));
        let world = World::new().await;
        let mut cell = |role: &str, wanted: &str, answer: Result<Vec<u8>, tonic::Status>| {
            cells += 1;
            let ended = answer.as_ref().map_or_else(reason, |_| "OK".to_owned());
            if ended != wanted {
                wrong.push(format!("{method} as {role}: {ended}, and not {wanted}"));
            }
        };
        for role in CALLERS {
            let caller = world.caller(role).await;
            let wanted = match role {
                "revoked" => "UNAUTHENTICATED",
                _ => "NOT_SERVED_YET",
            };
            cell(role, wanted, raw(&caller, path, operate(method)).await);
        }
        let admin = world.admin();
        cell("admin", end, raw(&admin, path, operate(method)).await);
        world.vault.seal().await;
        cell("sealed", sealed, raw(&admin, path, operate(method)).await);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(ADMIN.len(), calls.len(), "a row for no call");
    assert_eq!(cells, calls.len() * 8);
    println!(
        "figure: G1: {} admin calls as 8 callers, {cells} cells asserted",
        calls.len()
    );
}

fn check(
    role: &str,
    row: &Row,
    end: &'static str,
    answer: Result<Vec<u8>, tonic::Status>,
) -> usize {
    let ended = answer.as_ref().map_or_else(reason, |_| "OK".to_owned());
    assert_eq!(
        ended,
        expected(role, row, end),
        "{} as {role}: {answer:?}",
        row.method
    );
    let hidden = matches!(role, "nobody" | "other" | "revoked");
    if hidden && let Ok(bytes) = &answer {
        let text = String::from_utf8_lossy(bytes);
        assert!(
            !text.contains("acme"),
            "{} tells {role} of acme",
            row.method
        );
    }
    1
}

/// G1: to one who may not, an absent resource and a foreign one look the same, details included.
#[tokio::test]
async fn g1_absent_and_foreign_are_one() {
    let world = World::new().await;
    let other = world.caller("other").await;
    let get = |name: &str| {
        wire::GetLinkRequest {
            name: name.to_owned(),
        }
        .encode_to_vec()
    };
    let mut answers = Vec::new();
    for name in [
        LINK,
        "namespaces/acme/links/absent",
        "namespaces/nowhere/links/bound",
    ] {
        let answer = raw(&other, "/bindery.v1.LinkService/GetLink", get(name)).await;
        let status = answer.expect_err("hidden");
        let shape = format!(
            "{:?} {} {:?}",
            status.code(),
            status.message(),
            status.get_error_details()
        );
        answers.push(shape.replace(name, "NAME"));
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], answers[2]);
    // And an absent one looks to its owner as a foreign one does.
    let owner = world.caller("owner").await;
    let absent = raw(
        &owner,
        "/bindery.v1.LinkService/GetLink",
        get("namespaces/acme/links/absent"),
    )
    .await;
    let foreign = raw(
        &owner,
        "/bindery.v1.LinkService/GetLink",
        get("namespaces/umbrella/links/absent"),
    )
    .await;
    let text = |answer: Result<Vec<u8>, tonic::Status>| {
        let status = answer.expect_err("absent");
        (
            status.code(),
            status.message().replace("umbrella", "acme"),
            reason(&status),
        )
    };
    assert_eq!(text(absent), text(foreign));
}

/// The field that says what a call across namespaces is about, in each of their requests.
#[derive(Clone, PartialEq, Message)]
struct About {
    #[prost(string, tag = "1")]
    target: String,
}

/// The request, about all namespaces instead of one: of a field that comes twice, the last one counts.
fn everywhere(request: &[u8]) -> Vec<u8> {
    let mut about = About::decode(request).expect("a target");
    let all = about.target.replace("namespaces/acme", "namespaces/-");
    assert_ne!(all, about.target, "is about no namespace");
    about.target = all;
    [request, &about.encode_to_vec()].concat()
}

/// G1: who asks about all namespaces is told of those where the right holds, and of no other one, whatever the call.
#[tokio::test]
async fn g1_all_namespaces_are_those_of_the_caller() {
    let requests = requests();
    let mut told = 0;
    for row in served() {
        if row.scope != Scope::Across {
            continue;
        }
        let (message, _) = &requests[row.method];
        let message = everywhere(message);
        let world = World::new().await;
        connect(&world, row).await;
        for role in CALLERS {
            let caller = world.caller(role).await;
            let answer = raw(&caller, row.method, message.clone()).await;
            let may = role == "owner" || role == "reader" && row.action == Action::Read;
            let holds = match &answer {
                Ok(answer) => answer.windows(4).any(|part| part == b"acme"),
                Err(status) => format!("{status:?}").contains("acme"),
            };
            assert!(may || !holds, "{} tells {role}: {answer:?}", row.method);
            told += u32::from(role == "owner" && holds);
        }
    }
    assert!(told >= 4, "the owner is told {told} times only");
}
