//! Self-managed hosts that can be reached by their operator's rules only: every leg of a link's whole life goes by them.
//!
//! Behind one wall, nobody gets in without a client certificate. Behind the other, the forge listens where the host entry
//! does not say, and only a proxy knows where that is. What the forge was asked for has therefore come through.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result, ensure};
use bindery_client::{
    ConfirmRequest, LinkRequest, RepositoryQuery, SourceRequest, UnlinkRequest,
    proto::v1::{AuthMethodKind, Host, Permission, Source, host, observed_state::Stage},
};
use bindery_tests::{
    daemon::{Daemon, Options},
    forge::{Forge, GitHubForge},
    github::{self, Decision},
    inside::{Changing, Inside},
    ports::free_port,
};
use rcgen::SanType;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::{
    mtls::{Authority, dns},
    world::{World, host_of},
};

/// Nothing here takes longer, or it hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// A leg of a link's life: method, and how the path begins and ends.
type Leg = (&'static str, &'static str, &'static str, &'static str);

/// What the forge is asked for in a link's life, each by the daemon alone.
const LEGS: [Leg; 11] = [
    ("identity", "GET", "/user", "/user"),
    ("list", "GET", "/user/repos", ""),
    ("refs", "GET", "/repos/octo/hello/", "/branches"),
    ("webhook", "POST", "/repos/octo/hello/hooks", "/hooks"),
    ("deliveries", "GET", "/repos/octo/hello/", "/deliveries"),
    ("redelivery", "POST", "/repos/octo/hello/", "/attempts"),
    ("device authorization", "POST", "/login/device/code", ""),
    ("revoked token", "DELETE", "/applications/", "/token"),
    ("deleted webhook", "DELETE", "/repos/octo/hello/hooks/", ""),
    ("revoked grant", "DELETE", "/applications/", "/grant"),
    ("probe", "GET", "/meta", ""),
];

/// Where codes, refresh tokens and device codes are exchanged.
const TOKEN: &str = "/login/oauth/access_token";

type GitHubWorld = World<GitHubForge>;

fn loopback() -> SanType {
    SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

/// A forge over HTTPS that is known by `authority`.
fn tls(authority: &Authority) -> Result<github::Tls> {
    let server = authority.identity("forge", loopback())?;
    Ok(github::Tls {
        cert_pem: std::fs::read_to_string(server.certificate)?,
        key_pem: std::fs::read_to_string(server.key)?,
        root_pem: authority.pem.clone(),
    })
}

/// The forge as the operator describes it: over HTTPS alone, by a CA that is nobody else's.
fn walled(forge: &GitHubForge, authority: &Authority, inside: Option<u16>) -> Host {
    let ports = [forge.standin.web_url().port(), inside];
    let ports = ports.into_iter().flatten().map(u32::from);
    let https_ports = ports.map(|port| host::PortRange {
        first: port,
        last: port,
    });
    let https_ports = https_ports.collect();
    Host {
        ca_bundle_pem: authority.pem.clone(),
        port_policy: Some(host::PortPolicy {
            https_ports,
            ..Default::default()
        }),
        allowed_methods: [AuthMethodKind::OauthCode, AuthMethodKind::DeviceFlow]
            .map(i32::from)
            .to_vec(),
        ..host_of(forge)
    }
}

async fn daemon() -> Result<Daemon> {
    let options = Options {
        plugins: vec![GitHubForge::PLUGIN],
        ..Options::default()
    };
    Daemon::start(&options).await
}

/// A host that lets nobody in without a client certificate is reached on every leg of a link's life; without the
/// certificate nothing reaches it, and the link says why.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_lives_behind_a_wall_of_client_certificates() -> Result<()> {
    let authority = Authority::new()?;
    let person = authority.identity("person", dns("octo.example.org")?)?;
    let clients = github::Clients {
        root_pem: authority.pem.clone(),
        cert_pem: std::fs::read_to_string(person.certificate)?,
        key_pem: std::fs::read_to_string(person.key)?,
    };
    let forge = GitHubForge::start_tls(tls(&authority)?, Some(clients)).await?;
    let own = authority.identity("bindery", dns("bindery.example.org")?)?;
    let host = Host {
        client_certificate: Some(host::ClientCertificate {
            certificate_pem: std::fs::read_to_string(own.certificate)?,
            private_key_pem: std::fs::read_to_string(own.key)?,
            ..Default::default()
        }),
        ..walled(&forge, &authority, None)
    };
    let mut world = World::described(forge, daemon().await?, host).await?;
    live(&mut world).await?;

    let link = world.link().await?;
    let before = world.forge.standin.requests("/").len();
    let without = Host {
        name: "hosts/forge".to_owned(),
        ..Default::default()
    };
    world
        .client
        .update_host(without, ["client_certificate"])
        .await?;
    let listed = world
        .client
        .list_repositories(&link, RepositoryQuery::default());
    let refused = listed.all().await;
    ensure!(
        matches!(&refused, Err(error) if error.reason() == "HOST_UNREACHABLE"),
        "{refused:?}"
    );
    let after = world.forge.standin.requests("/").len();
    ensure!(before == after, "{} requests came in", after - before);
    Ok(())
}

/// A host that only its proxy can reach, at an address inside that nobody listens on otherwise: every leg of a link's life
/// opens tunnels there, and token endpoints one for each request.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_lives_behind_a_proxy() -> Result<()> {
    let authority = Authority::new()?;
    let forge = GitHubForge::start_tls(tls(&authority)?, None).await?;
    let inside = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
    let outside = forge.standin.web_url();
    let outside = outside.socket_addrs(|| None)?;
    let proxy = Proxy::start(inside, *outside.first().context("no address")?).await?;
    let host = Host {
        internal_urls: Some(host::Urls {
            web: format!("https://{inside}"),
            api: format!("https://{inside}/api/v3"),
            ..Default::default()
        }),
        proxy: Some(host::Proxy {
            uri: format!("http://{}", proxy.address),
            username: "bindery".to_owned(),
            password: "let-me-through".to_owned(),
            ..Default::default()
        }),
        ..walled(&forge, &authority, Some(inside.port()))
    };
    let mut world = World::described(forge, daemon().await?, host).await?;
    ensure!(proxy.tunnels() == 0, "asked before there is a link");
    live(&mut world).await?;

    let fresh = [TOKEN, "/login/device/code"];
    let fresh = fresh.map(|path| world.forge.standin.requests(path).len());
    let least = fresh.iter().sum::<usize>();
    ensure!(
        proxy.tunnels() > least,
        "{} tunnels for {least} requests to token endpoints, and all others",
        proxy.tunnels()
    );
    println!("{} tunnels, {least} of token endpoints", proxy.tunnels());
    Ok(())
}

/// Links by consent and by device, looks around, makes a hook, asks for a lost delivery, refreshes, unlinks, and probes.
async fn live(world: &mut GitHubWorld) -> Result<()> {
    let link = world.link_with_hooks().await?;
    world.forge.lengthen()?;
    let found = world
        .client
        .list_repositories(&link, RepositoryQuery::default())
        .all()
        .await?;
    let hello = found.iter().find(|one| one.full_name == "octo/hello");
    let hello = hello.context("octo/hello is not listed")?;
    let refs = world.client.list_refs(&hello.name, None).all().await?;
    ensure!(!refs.is_empty(), "no refs");
    let source = SourceRequest::new(&link, "octo/hello");
    let source = world.client.create_source(source).await?;
    recovers(world, &source).await?;
    let refreshes = world.forge.refreshes().await?;
    world.client.check_link_refreshed(&link).await?;
    ensure!(world.forge.refreshes().await? > refreshes, "not refreshed");
    let by_device = link_by_device(world).await?;
    // Both are one grant at the forge, which ends with the second.
    let token_alone = UnlinkRequest::new(&by_device).keep_shared_grant(true);
    for unlink in [token_alone, UnlinkRequest::new(&link)] {
        let receipt = world.client.unlink(unlink).await?;
        ensure!(receipt.complete, "{receipt:?}");
    }
    let hooks = format!("{}/hooks/", world.daemon.web_url());
    ensure!(
        world.forge.hooks_pointing_at(&hooks) == 0,
        "the hook is left"
    );
    ensure!(
        world.forge.standin.live_tokens().is_empty(),
        "a token lives"
    );
    let probed = world.client.probe_host("hosts/forge").await?;
    ensure!(probed.healthy, "{probed:?}");
    every_leg_was_gone(world)
}

/// A delivery that failed is asked for again.
async fn recovers(world: &GitHubWorld, source: &Source) -> Result<()> {
    let forge = &world.forge;
    forge.told().await;
    // Long enough ago that it is not on its way any more.
    forge.standin.set_clock_offset(-300);
    forge.fail_next_deliveries(1);
    forge.commit("main", ("NEWS.md", "missed\n"))?;
    forge.told().await;
    forge.standin.set_clock_offset(0);
    let since = SystemTime::now() - Duration::from_secs(3600);
    let caught = world
        .client
        .catch_up_source(&source.name, Some(since))
        .await?;
    ensure!(caught.recovered_deliveries == 1, "{caught:?}");
    Ok(())
}

async fn link_by_device(world: &GitHubWorld) -> Result<String> {
    let request = LinkRequest::device_flow("namespaces/globex", "hosts/forge")
        .permissions([Permission::ReadCode]);
    let created = world.client.create_link(request).await?;
    let code = created.authorization.context("no code")?.user_code;
    let link = created.link.context("no link")?.name;
    let (github, octo) = (&world.forge.standin, world.forge.person());
    let mut browser = github.browser();
    github
        .let_device_in(&mut browser, octo, &code, Decision::Agree)
        .await?;
    let who = timeout(PATIENCE, agreed(world, &link)).await;
    let who = who.context("nobody agrees")??;
    let confirm = ConfirmRequest::new(&link).identity(who);
    world.client.confirm(confirm).await?;
    Ok(link)
}

/// Stable id of who agreed, once the daemon knows.
async fn agreed(world: &GitHubWorld, link: &str) -> Result<String> {
    let mut watch = world.client.watch_link(link);
    while let Some(watched) = watch.next().await? {
        let observed = watched.link.observed.unwrap_or_default();
        let who = watched.link.flow.and_then(|flow| flow.pending_identity);
        if let (Stage::PendingConfirmation, Some(who)) = (observed.stage(), who) {
            return Ok(who.stable_id);
        }
    }
    anyhow::bail!("the link ended")
}

fn every_leg_was_gone(world: &GitHubWorld) -> Result<()> {
    let good = |path: &str| {
        let asked = world.forge.standin.requests(path).into_iter();
        asked.filter(|one| one.status.is_some_and(|status| status.is_success()))
    };
    for (leg, method, begin, end) in LEGS {
        ensure!(
            good(begin).any(|one| one.method == method && one.path.ends_with(end)),
            "{leg}: no {method} of {begin}...{end} was answered"
        );
    }
    let tokens = good(TOKEN).count();
    ensure!(tokens >= 3, "{tokens} of code, refresh and device");
    Ok(())
}

/// A proxy that opens tunnels to one address, for whoever knows the password, and knows where that really is.
struct Proxy {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

/// `bindery` and `let-me-through`, as RFC 7617 writes them.
const BASIC: &str = "Basic YmluZGVyeTpsZXQtbWUtdGhyb3VnaA==";

impl Proxy {
    async fn start(inside: SocketAddr, outside: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let kept = Arc::clone(&heads);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(tunnel(stream, (inside, outside), Arc::clone(&kept)));
            }
        });
        Ok(Self { address, heads })
    }

    /// How many it has opened.
    fn tunnels(&self) -> usize {
        self.heads.lock().map_or(0, |heads| heads.len())
    }
}

/// One tunnel. Who asks for another place, or without the password, gets none.
async fn tunnel(
    mut stream: TcpStream,
    (inside, outside): (SocketAddr, SocketAddr),
    heads: Arc<Mutex<Vec<String>>>,
) -> Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head)?;
    let known = head.lines().any(|line| line.ends_with(BASIC));
    if !known || !head.starts_with(&format!("CONNECT {inside} ")) {
        let refusal = b"HTTP/1.1 407 Who are you\r\ncontent-length: 0\r\n\r\n";
        return Ok(stream.write_all(refusal).await?);
    }
    if let Ok(mut heads) = heads.lock() {
        heads.push(head);
    }
    let mut onward = TcpStream::connect(outside).await?;
    stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await?;
    copy_bidirectional(&mut stream, &mut onward).await?;
    Ok(())
}
