//! Who calls: certificates, and users of this machine.

use std::{io::Write, os::unix::process::CommandExt, process::Command};

use bindery_proto::v1::{GetLinkRequest, link_service_client::LinkServiceClient};
use rcgen::{DnType, SanType};
use tonic::{Code, transport::Channel};

use crate::{
    certs::{self, Authority, Identity, client, dns, spiffe},
    client::{reason, tls, unix},
    world::World,
};

async fn get_link(channel: Channel) -> Result<(), tonic::Status> {
    let request = GetLinkRequest {
        name: "namespaces/acme/links/bound".into(),
    };
    LinkServiceClient::new(channel)
        .get_link(request)
        .await
        .map(drop)
}

/// Whether a certificate gets as far as an answer.
async fn answered(world: &World, identity: Option<&Identity>) -> bool {
    match tls(world.port, identity).await {
        Err(_) => false,
        Ok(channel) => match get_link(channel).await {
            Ok(()) => true,
            // An answer of the service has a reason; a broken connection has none.
            Err(status) => reason(&status).contains('_'),
        },
    }
}

/// G4: a certificate of another authority, over time, without name, with a common name only, with a wildcard or with two
/// SPIFFE ids is no caller.
#[tokio::test]
async fn g4_bad_certificates_are_refused() {
    let world = World::new().await;
    let sign = |params: &rcgen::CertificateParams| certs::authority().sign(params);
    let mut expired = client(vec![spiffe("owner")]);
    expired.not_before = rcgen::date_time_ymd(2001, 1, 1);
    expired.not_after = rcgen::date_time_ymd(2002, 1, 1);
    let mut early = client(vec![spiffe("owner")]);
    early.not_before = rcgen::date_time_ymd(2900, 1, 1);
    early.not_after = rcgen::date_time_ymd(2901, 1, 1);
    let mut common_name = client(Vec::new());
    common_name
        .distinguished_name
        .push(DnType::CommonName, "spiffe://test.example/owner");
    let mut server_only = client(vec![spiffe("owner")]);
    server_only.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let odd_uri = |uri: &str| SanType::URI(uri.try_into().expect("ascii"));
    let bad = [
        (
            "another authority",
            Authority::new("tests").client(vec![spiffe("owner")]),
        ),
        ("expired", sign(&expired)),
        ("not yet valid", sign(&early)),
        ("common name only", sign(&common_name)),
        ("for servers only", sign(&server_only)),
        ("no name", sign(&client(Vec::new()))),
        ("wildcard", sign(&client(vec![dns("*.test.example")]))),
        (
            "wildcard beside a name",
            sign(&client(vec![
                dns("registry.test.example"),
                dns("*.test.example"),
            ])),
        ),
        (
            "two ids",
            sign(&client(vec![spiffe("owner"), spiffe("reader")])),
        ),
        (
            "another scheme",
            sign(&client(vec![odd_uri("https://test.example/owner")])),
        ),
        (
            "an id with dots",
            sign(&client(vec![odd_uri("spiffe://test.example/x/../owner")])),
        ),
        (
            "an address",
            sign(&client(vec![SanType::IpAddress([127, 0, 0, 1].into())])),
        ),
    ];
    for (what, identity) in &bad {
        assert!(!answered(&world, Some(identity)).await, "{what}");
    }
    assert!(!answered(&world, None).await, "no certificate");
    let good = certs::authority().client(vec![dns("registry.test.example")]);
    assert!(answered(&world, Some(&good)).await, "a DNS name");
}

/// G4: names are compared whole; one that only begins like a known one is nobody.
#[tokio::test]
async fn g4_names_are_compared_whole() {
    let world = World::new().await;
    for name in ["owner2", "owner/x", "Owner"] {
        let status = get_link(world.caller(name).await)
            .await
            .expect_err("nobody");
        assert_eq!(reason(&status), "NOT_FOUND", "{name}");
    }
    get_link(world.caller("owner").await).await.expect("known");
}

/// G4: a changed policy counts for the next call on an open connection.
#[tokio::test]
async fn g4_policy_counts_at_once() {
    let world = World::new().await;
    let reader = world.caller("reader").await;
    get_link(reader.clone()).await.expect("may read");
    world.set_policy("");
    assert_eq!(
        reason(&get_link(reader).await.expect_err("may not")),
        "NOT_FOUND"
    );
}

/// G3: a user of this machine is known by its uid, taken from the socket and from nowhere else.
#[tokio::test]
async fn g3_user_is_the_uid() {
    let world = World::new().await;
    let own = rustix::process::geteuid().as_raw();
    assert_eq!(
        reason(&get_link(world.public()).await.expect_err("no rule")),
        "NOT_FOUND"
    );
    let rule = |principal: String| {
        format!(
            "[[allow]]\nprincipals = [\"{principal}\"]\nnamespaces = [\"acme\"]\nactions = [\"read\"]\n"
        )
    };
    world.set_policy(&rule(format!("uid:{own}")));
    get_link(world.public()).await.expect("known");
    world.set_policy(&rule(format!("uid:{}", own + 1)));
    assert_eq!(
        reason(&get_link(world.public()).await.expect_err("another")),
        "NOT_FOUND"
    );
}

/// Tells a child of this test where to call.
const CHILD: &str = "BINDERY_TEST_API_SOCKET";

/// User that is nobody on every Linux.
const NOBODY: u32 = 65534;

/// What the child of the next test does; by itself it does nothing.
#[tokio::test]
async fn child_calls_a_socket() {
    let Ok(path) = std::env::var(CHILD) else {
        return;
    };
    let ended = get_link(unix(path.into()))
        .await
        .map_or_else(|status| reason(&status), |()| "OK".to_owned());
    println!("ended={ended}.");
}

/// G3, G5: a process of another user is that user: it gets that user's rights, and the admin socket does not serve it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g3_another_user_is_another_caller() {
    if !rustix::process::geteuid().is_root() {
        let _ = writeln!(
            std::io::stderr(),
            "not run: only root can start a process of another user"
        );
        return;
    }
    let world = World::new().await;
    world.open_to_all();
    let policy = format!(
        "[[allow]]\nprincipals = [\"uid:{NOBODY}\"]\nnamespaces = [\"acme\"]\nactions = [\"read\"]\n"
    );
    let (first, _) = (as_nobody(&world, "public").await, world.set_policy(&policy));
    let Some(first) = first else {
        let _ = writeln!(
            std::io::stderr(),
            "not run: the test binary can't be started by another user"
        );
        return;
    };
    assert_eq!(first, "NOT_FOUND");
    assert_eq!(as_nobody(&world, "public").await.as_deref(), Some("OK"));
    assert_eq!(
        as_nobody(&world, "admin").await.as_deref(),
        Some("PERMISSION_DENIED")
    );
    world.set_policy(&format!("admins = [\"gid:{NOBODY}\"]\n{policy}"));
    assert_eq!(as_nobody(&world, "admin").await.as_deref(), Some("OK"));
}

/// How a call of user `nobody` ends; `None` where no such process can be started.
async fn as_nobody(world: &World, socket: &str) -> Option<String> {
    let mut command = Command::new(std::env::current_exe().ok()?);
    command
        .args(["--exact", "identity::child_calls_a_socket", "--nocapture"])
        .env(CHILD, world.path(socket))
        .current_dir("/")
        .uid(NOBODY)
        .gid(NOBODY);
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .ok()?
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (_, rest) = text.split_once("ended=")?;
    rest.split_once('.').map(|(ended, _)| ended.to_owned())
}

/// G5: the daemon's own user may do everything on the admin socket, whatever the policy says.
#[tokio::test]
async fn g5_operator_may_do_everything() {
    let world = World::new().await;
    world.set_policy("");
    get_link(world.admin()).await.expect("operator");
    assert_eq!(
        get_link(world.public()).await.expect_err("no rule").code(),
        Code::NotFound
    );
}
