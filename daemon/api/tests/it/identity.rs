//! Who calls: certificates, and users of this machine.

use std::{io::Write, os::unix::process::CommandExt, process::Command};

use bindery_proto::{
    admin::v1::{ReloadPolicyRequest, admin_service_client::AdminServiceClient},
    v1::{GetLinkRequest, WatchLinkRequest, link_service_client::LinkServiceClient},
};
use rcgen::{DnType, SanType};
use tonic::{Code, transport::Channel};

use crate::{
    certs::{self, Authority, Identity, client, dns, spiffe},
    client::{reason, tls, unix},
    world::{World, denied, known},
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

/// Certificates that name nobody, each with what is wrong with it.
fn nameless() -> Vec<(String, Identity)> {
    let uri = |uri: &str| SanType::URI(uri.try_into().expect("ascii"));
    let uris = [
        "https://test.example/owner",
        "SPIFFE://test.example/owner",
        "spiffe://TEST.example/owner",
        "spiffe://test.example",
        "spiffe://test.example/",
        "spiffe:///owner",
        "spiffe://test.example//owner",
        "spiffe://test.example/owner/",
        "spiffe://test.example/x/../owner",
        "spiffe://test.example/./owner",
        "spiffe://test.example/owner?x",
        "spiffe://test.example/owner#x",
        "spiffe://user@test.example/owner",
        "spiffe://test.example:443/owner",
        "spiffe://test.example/%6fwner",
        "spiffe://test.example/owner ",
    ];
    let names = [
        "*.test.example",
        "*",
        ".test.example",
        "registry.test.example.",
        "registry..test.example",
        "-registry.test.example",
        "registry-.test.example",
        "registry test.example",
        "registry.test.example/x",
    ];
    let one = |text: &str, name| (text.to_owned(), vec![name]);
    let mut all: Vec<_> = uris.iter().map(|text| one(text, uri(text))).collect();
    all.extend(names.iter().map(|text| one(text, dns(text))));
    let long = format!("spiffe://test.example/{}", "x".repeat(2048));
    let label = format!("{}.test.example", "x".repeat(64));
    all.extend([
        ("no name".to_owned(), Vec::new()),
        one("an address", SanType::IpAddress([127, 0, 0, 1].into())),
        one(
            "a mailbox",
            SanType::Rfc822Name("owner@test.example".try_into().expect("ascii")),
        ),
        one("a long id", uri(&long)),
        one("a long label", dns(&label)),
        (
            "two ids".to_owned(),
            vec![spiffe("owner"), spiffe("reader")],
        ),
        (
            "a wildcard beside a name".to_owned(),
            vec![dns("registry.test.example"), dns("*.test.example")],
        ),
        (
            "an odd id beside a name".to_owned(),
            vec![dns("registry.test.example"), uri("spiffe://test.example/")],
        ),
    ]);
    let sign = |(what, names)| (what, certs::authority().client(names));
    all.into_iter().map(sign).collect()
}

/// Chains that no authority stands behind, each with what is wrong with it.
fn unsigned() -> Vec<(String, Identity)> {
    use rcgen::{
        BasicConstraints, ExtendedKeyUsagePurpose as Purpose, GeneralSubtree, IsCa, NameConstraints,
    };
    let (authority, owner) = (certs::authority(), || client(vec![spiffe("owner")]));
    let registry = || client(vec![dns("registry.test.example")]);
    let with = |change: &dyn Fn(&mut rcgen::CertificateParams)| {
        let mut params = owner();
        change(&mut params);
        authority.sign(&params)
    };
    let ended = |params: &mut rcgen::CertificateParams| {
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
    };
    let early = |params: &mut rcgen::CertificateParams| {
        params.not_before = rcgen::date_time_ymd(2900, 1, 1);
        params.not_after = rcgen::date_time_ymd(2901, 1, 1);
    };
    let common_name = |params: &mut rcgen::CertificateParams| {
        params.subject_alt_names.clear();
        let name = "spiffe://test.example/owner";
        params.distinguished_name.push(DnType::CommonName, name);
    };
    let only = |names: Vec<GeneralSubtree>, others: Vec<GeneralSubtree>| {
        authority.under(|params| {
            params.name_constraints = Some(NameConstraints {
                permitted_subtrees: names,
                excluded_subtrees: others,
            });
        })
    };
    let elsewhere = vec![GeneralSubtree::DnsName("elsewhere.example".to_owned())];
    let here = vec![GeneralSubtree::DnsName("test.example".to_owned())];
    let stranger = Authority::new("tests");
    let leaf = authority.under(|params| params.is_ca = IsCa::ExplicitNoCa);
    let short = authority.under(|params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let all = [
        (
            "another authority of the same name",
            stranger.client(vec![spiffe("owner")]),
        ),
        (
            "another authority and its certificate",
            stranger.chained(&owner()),
        ),
        (
            "another authority",
            Authority::new("others").client(vec![spiffe("owner")]),
        ),
        (
            "under another authority",
            stranger.under(|_| {}).chained(&owner()),
        ),
        ("over", with(&ended)),
        ("not yet valid", with(&early)),
        ("a common name only", with(&common_name)),
        (
            "for servers",
            with(&|params| params.extended_key_usages = vec![Purpose::ServerAuth]),
        ),
        (
            "for code",
            with(&|params| params.extended_key_usages = vec![Purpose::CodeSigning]),
        ),
        ("signed by a client", leaf.chained(&owner())),
        (
            "an authority too deep",
            short.under(|_| {}).chained(&owner()),
        ),
        (
            "an authority that is over",
            authority.under(ended).chained(&owner()),
        ),
        (
            "without the authority between",
            authority.under(|_| {}).sign(&owner()),
        ),
        (
            "outside of what its authority may name",
            only(elsewhere, vec![]).chained(&registry()),
        ),
        (
            "inside of what its authority may not name",
            only(vec![], here).chained(&registry()),
        ),
    ];
    let named = all.map(|(what, identity)| (what.to_owned(), identity));
    named.into()
}

/// G4: whoever has no certificate, one of another authority, one that is over, or one without exactly one usable name is no
/// caller; chains that are in order are.
#[tokio::test]
async fn g4_bad_certificates_are_refused() {
    let world = World::new().await;
    let bad: Vec<_> = nameless().into_iter().chain(unsigned()).collect();
    assert!(bad.len() >= 40);
    for (what, identity) in &bad {
        assert!(!answered(&world, Some(identity)).await, "{what}");
    }
    assert!(!answered(&world, None).await, "no certificate");
    let between = certs::authority().under(|_| {});
    for good in [
        certs::authority().client(vec![dns("registry.test.example")]),
        between.chained(&client(vec![spiffe("owner")])),
    ] {
        assert!(answered(&world, Some(&good)).await, "in order");
    }
    println!("figure: G4: {} bad chains refused", bad.len());
}

/// How calls on a connection end once its caller is not let in any more.
async fn cut_off(channel: &Channel) {
    let ends = async {
        loop {
            match get_link(channel.clone()).await {
                Err(status) if reason(&status) == "UNAUTHENTICATED" => return,
                // The old connection was closed under the call.
                Err(status) => assert!(!reason(&status).contains('_'), "{status:?}"),
                Ok(()) => tokio::task::yield_now().await,
            }
        }
    };
    let patience = std::time::Duration::from_secs(60);
    tokio::time::timeout(patience, ends).await.expect("cut off");
}

/// G4: a key on the deny list is cut off at its next call on an open connection, and what it follows ends; others go on.
/// Nothing is restarted, and once the key is off the list it is let in again.
#[tokio::test]
async fn g4_denied_keys_are_cut_off() {
    let world = World::new().await;
    let (owner, reader) = (world.caller("owner").await, world.caller("reader").await);
    get_link(owner.clone()).await.expect("let in");
    let request = WatchLinkRequest {
        name: "namespaces/acme/links/bound".into(),
    };
    let watch = LinkServiceClient::new(owner.clone())
        .watch_link(request)
        .await;
    let mut watch = watch.expect("watches").into_inner();
    watch.message().await.expect("first").expect("first");
    let list = std::fs::read_to_string(world.path("denied")).expect("list");
    let both = format!("{list}\n# stolen\n{}", denied(&known("owner")));
    std::fs::write(world.path("denied"), both).expect("written");
    world.tls.reload().expect("reloaded");
    // The very next call on the same connection, which is still open.
    let status = get_link(owner.clone()).await.expect_err("cut off");
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::Unauthenticated, "UNAUTHENTICATED")
    );
    assert!(status.message().contains("deny list"));
    while let Ok(Some(_)) = watch.message().await {}
    get_link(reader).await.expect("others go on");
    cut_off(&world.caller("owner").await).await;
    std::fs::write(world.path("denied"), "not a hash").expect("written");
    let error = world.tls.reload().expect_err("unusable");
    assert!(error.to_string().contains("line 1"), "{error}");
    cut_off(&world.caller("owner").await).await;
    // The list is read again by itself where it changes.
    std::fs::write(world.path("denied"), list).expect("written");
    let again = async { while get_link(world.caller("owner").await).await.is_err() {} };
    let patience = std::time::Duration::from_secs(60);
    tokio::time::timeout(patience, again)
        .await
        .expect("let in again");
}

/// G4: a key is denied also while certificate and key can't be loaded, be it at a call that reloads or since the list
/// changed. The call says what is wrong, and all that is right counts, the policy as well.
#[tokio::test]
async fn g4_keys_are_denied_while_certificates_are_wrong() {
    for followed in [false, true] {
        let world = World::new().await;
        let (owner, reader) = (world.caller("owner").await, world.caller("reader").await);
        get_link(owner.clone()).await.expect("let in");
        get_link(reader.clone()).await.expect("let in");
        std::fs::write(world.path("server.key"), "being renewed").expect("written");
        let list = std::fs::read_to_string(world.path("denied")).expect("list");
        let both = format!("{list}{}", denied(&known("owner")));
        std::fs::write(world.path("denied"), both).expect("written");
        if followed {
            let ends = async { while get_link(owner.clone()).await.is_ok() {} };
            let patience = std::time::Duration::from_secs(60);
            tokio::time::timeout(patience, ends).await.expect("cut off");
        } else {
            std::fs::write(world.path("policy.toml"), "").expect("written");
            let mut admin = AdminServiceClient::new(world.admin());
            let told = admin.reload_policy(ReloadPolicyRequest::default()).await;
            let told = told.expect_err("told");
            assert!(told.message().contains("private key"), "{told:?}");
            let status = get_link(reader).await.expect_err("the policy counts");
            assert_eq!(reason(&status), "NOT_FOUND");
        }
        let status = get_link(owner).await.expect_err("cut off");
        assert!(status.message().contains("deny list"), "{status:?}");
    }
}

/// G4: an authority that is taken away cuts off whom it signed, on open connections too, and a new one counts at once.
#[tokio::test]
async fn g4_authorities_are_read_again() {
    let world = World::new().await;
    let owner = world.caller("owner").await;
    get_link(owner.clone()).await.expect("let in");
    let next = Authority::new("next");
    std::fs::write(world.path("clients.pem"), next.pem()).expect("written");
    world.tls.reload().expect("reloaded");
    let status = get_link(owner).await.expect_err("cut off");
    assert!(status.message().contains("no authority"), "{status:?}");
    let signed = next.client(vec![spiffe("owner")]);
    let channel = tls(world.port, Some(&signed)).await.expect("connected");
    get_link(channel).await.expect("let in");
}

/// G4: a certificate that runs out while its connection is open is cut off.
#[tokio::test]
async fn g4_certificates_run_out() {
    let world = World::new().await;
    let mut params = client(vec![spiffe("owner")]);
    params.not_after = (std::time::SystemTime::now() + std::time::Duration::from_secs(5)).into();
    let identity = certs::authority().sign(&params);
    let channel = tls(world.port, Some(&identity)).await.expect("connected");
    cut_off(&channel).await;
}

/// G3: a socket that is handed to a child stays its opener's: who acts is who connected, not who writes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g3_handed_sockets_stay_their_openers() {
    if !rustix::process::geteuid().is_root() {
        let _ = writeln!(
            std::io::stderr(),
            "not run: only root can start a process of another user"
        );
        return;
    }
    let world = World::new().await;
    world.open_to_all();
    world.set_policy(
        "[[allow]]\nprincipals = [\"uid:0\"]\nnamespaces = [\"acme\"]\nactions = [\"read\"]\n",
    );
    let socket = std::os::unix::net::UnixStream::connect(world.path("public")).expect("connected");
    let mut command = Command::new("sh");
    // It dies at once, and its process id is free for anybody, while the socket lives on in this process.
    command
        .args(["-c", "id -u >&2; exit 0"])
        .stdin(std::os::fd::OwnedFd::from(
            socket.try_clone().expect("socket"),
        ))
        .uid(NOBODY)
        .gid(NOBODY);
    let child = tokio::task::spawn_blocking(move || command.output())
        .await
        .expect("no panic");
    let child = child.expect("a child");
    assert_eq!(
        String::from_utf8_lossy(&child.stderr).trim(),
        NOBODY.to_string()
    );
    socket.set_nonblocking(true).expect("socket");
    let stream = std::sync::Mutex::new(Some(
        tokio::net::UnixStream::from_std(socket).expect("socket"),
    ));
    let connector = tower::service_fn(move |_| {
        let stream = stream.lock().expect("lock").take();
        async move {
            stream
                .map(hyper_util::rt::TokioIo::new)
                .ok_or_else(|| std::io::Error::other("once"))
        }
    });
    let channel = tonic::transport::Endpoint::from_static("http://localhost")
        .connect_with_connector_lazy(connector);
    get_link(channel).await.expect("the opener's rights");
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
    // Who knocks at the operator's door is in the log, also for a call that only reads.
    let record = &world.audited().await.records[0].deed;
    assert_eq!(record.actor, format!("uid:{NOBODY}"));
    assert_eq!(
        (record.resource.as_str(), record.reason.as_str()),
        ("sockets/admin", "PERMISSION_DENIED")
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
