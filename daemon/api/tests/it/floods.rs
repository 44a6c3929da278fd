//! Callers that do not behave, by the thousand (THREATS D1, D2, D3).

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bindery_api::Limits;
use bindery_audit::FaultyDisk;
use bindery_proto::v1::{ListHostsRequest, ListProvidersRequest};
use bindery_store::{Call, FaultyStore, MemoryStore};
use prost::Message;
use rustix::net::sockopt;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    task::JoinSet,
};
use tokio_rustls::TlsConnector;
use tonic::transport::Channel;
use tonic_health::pb::health_check_response::ServingStatus;

use crate::{
    certs::{self, Identity, spiffe},
    client::{raw, reason, unary, unix},
    frames::{
        CONTINUATION, DATA, EMPTY, END_HEADERS, END_STREAM, HEADERS, PING, PRIORITY, RST_STREAM,
        SETTINGS, WINDOW_UPDATE, call, frame, header, hello,
    },
    surfaces::health,
    world::World,
};

const LIST: &str = "/bindery.v1.ProviderService/ListProviders";

/// How long anything here may take at most, however slow the machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// Hostile connections of each class.
const EACH: usize = 834;

/// Connections that one identity opens: fewer than it may.
const PER_IDENTITY: usize = 56;

/// What every hostile connection is gone after.
const MINUTE: Duration = Duration::from_secs(60);

/// Whether the deadlines are those of the defaults, and their minute is held.
fn in_full() -> bool {
    std::env::var("BINDERY_FIGURES").is_ok_and(|text| text == "full")
}

/// The deadlines of the defaults. The honest caller asks without a pause; how often one may ask is D4's.
fn whole() -> Limits {
    Limits {
        rate: 0,
        ..Limits::default()
    }
}

/// A tenth of the deadlines: what takes a minute takes six seconds. Keepalive stays as it is, for the hostile answer pings,
/// and an honest one on a busy machine may be late.
fn quick() -> Limits {
    let whole = whole();
    Limits {
        handshake: whole.handshake / 10,
        preface: whole.preface / 10,
        // An honest caller on a machine that is busy with five thousand handshakes may pause for seconds.
        idle: whole.idle / 2,
        idle_grace: whole.idle_grace / 10,
        body: whole.body / 10,
        grace: whole.grace / 10,
        ..whole
    }
}

/// What a hostile connection says before it idles.
#[derive(Clone, Copy, Debug)]
enum Class {
    SilentTcp,
    HalfTls,
    SlowHeaders,
    SlowBody,
    /// It does not go when it is asked to.
    IdleHttp2,
    IdleAfterRequest,
}

const CLASSES: [Class; 6] = [
    Class::SilentTcp,
    Class::HalfTls,
    Class::SlowHeaders,
    Class::SlowBody,
    Class::IdleHttp2,
    Class::IdleAfterRequest,
];

impl Class {
    /// What it says, in TLS but for the first two.
    fn says(self) -> Vec<u8> {
        let open = |flags, rest: &[u8]| {
            let head = frame(HEADERS, flags, 1, &call(LIST));
            [hello(), head, rest.to_vec()].concat()
        };
        match self {
            Self::SilentTcp => Vec::new(),
            Self::HalfTls => b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
            Self::SlowHeaders => open(0, &[]),
            Self::SlowBody => open(END_HEADERS, &frame(DATA, 0, 1, &EMPTY[..2])),
            Self::IdleHttp2 => hello(),
            Self::IdleAfterRequest => open(END_HEADERS, &frame(DATA, END_STREAM, 1, EMPTY)),
        }
    }
}

/// D1: five thousand hostile connections of six classes, from many addresses and identities: all are gone in the end, and
/// honest calls go on meanwhile. The hostile ones answer pings, so that nothing but what they do gives them away.
///
/// With `BINDERY_FIGURES=full` none is there for longer than a minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d1_thousands_of_idle_connections() {
    if !many_files(16 * 1024) {
        eprintln!("not run: not enough file descriptors");
        return;
    }
    let world = Arc::new(World::with(if in_full() { whole() } else { quick() }).await);
    let honest = Honest::start(&world).await;
    let connectors: Vec<_> = (0..4 * EACH / PER_IDENTITY + 1).map(connector).collect();
    let (alive, refused) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
    let mut hostile = JoinSet::new();
    for index in 0..6 * EACH {
        let (alive, refused) = (Arc::clone(&alive), Arc::clone(&refused));
        let class = CLASSES[index % CLASSES.len()];
        let connector = Arc::clone(&connectors[index / 6 * 4 / PER_IDENTITY]);
        let port = world.port;
        hostile.spawn(async move {
            alive.fetch_add(1, Ordering::Relaxed);
            let lived = attack(class, index, port, &connector).await;
            if lived.is_err() {
                refused.fetch_add(1, Ordering::Relaxed);
            }
            alive.fetch_sub(1, Ordering::Relaxed);
            (lived.unwrap_or_default(), class)
        });
        // A connection at a time, as fast as the machine can.
        tokio::task::yield_now().await;
    }
    let gone = async {
        hostile
            .join_all()
            .await
            .into_iter()
            .max_by_key(|(lived, _)| *lived)
    };
    let longest = tokio::time::timeout(PATIENCE, gone).await.ok().flatten();
    let (calls, failed) = honest.stop().await;
    let (alive, refused) = (
        alive.load(Ordering::Relaxed),
        refused.load(Ordering::Relaxed),
    );
    let rate = 100.0 - 100.0 * failed as f64 / calls as f64;
    println!(
        "figure: D1, gRPC: {} hostile connections, {alive} alive in the end ({refused} turned away before they were open), \
         {calls} honest calls, {rate:.2} % answered",
        6 * EACH
    );
    assert_eq!(alive, 0);
    if in_full() {
        println!("figure: D1, gRPC: the longest lived {longest:?}");
        assert!(longest.is_some_and(|(lived, _)| lived <= MINUTE));
    }
    assert!(
        calls > 100 && failed * 1000 <= calls,
        "{failed} of {calls} failed"
    );
}

/// Says its part, answers pings, and waits until it is cut off; how long it was there after that. Fails where it is not even
/// let in.
async fn attack(class: Class, index: usize, port: u16, tls: &TlsConnector) -> io::Result<Duration> {
    let mut stream = from_somewhere(index, port).await?;
    let said = class.says();
    match class {
        Class::SilentTcp | Class::HalfTls => {
            stream.write_all(&said).await?;
            let since = Instant::now();
            drain(stream).await;
            Ok(since.elapsed())
        }
        _ => {
            let name = ServerName::try_from("bindery.test").expect("name");
            let mut stream = tls.connect(name, stream).await?;
            stream.write_all(&said).await?;
            let since = Instant::now();
            pong(class, stream).await;
            Ok(since.elapsed())
        }
    }
}

/// The ping that goes with a farewell: h2 has it to learn that the other end knows of the farewell.
const FAREWELL: [u8; 8] = [0x0b, 0x7b, 0xa2, 0xf0, 0x8b, 0x9b, 0xfe, 0x54];

/// A connection from one of many addresses of the loopback network: ten from each.
async fn from_somewhere(index: usize, port: u16) -> io::Result<TcpStream> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    let group = u16::try_from(index / 10).expect("few");
    let [high, low] = [group / 250, group % 250 + 1].map(|part| u8::try_from(part).expect("small"));
    socket.bind(([127, 7, high, low], 0).into())?;
    let stream = socket.connect(([127, 0, 0, 1], port).into()).await?;
    // Where the other end never had it, as when too many come at once, or has forgotten it, this end must learn of it.
    sockopt::set_socket_keepalive(&stream, true)?;
    sockopt::set_tcp_keepidle(&stream, Duration::from_secs(5))?;
    sockopt::set_tcp_keepintvl(&stream, Duration::from_secs(1))?;
    Ok(stream)
}

/// Reads until the other end closes.
async fn drain(mut stream: impl AsyncRead + Unpin) {
    let mut buffer = [0; 4096];
    while matches!(stream.read(&mut buffer).await, Ok(1..)) {}
}

/// Reads until the other end closes, and answers its pings and settings as an honest client does; one class has no ear for
/// farewells.
async fn pong(class: Class, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut head = [0; 9];
    while stream.read_exact(&mut head).await.is_ok() {
        let [a, b, c, kind, flags, ..] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        if stream.read_exact(&mut payload).await.is_err() {
            return;
        }
        if matches!(class, Class::IdleHttp2) && payload == FAREWELL {
            continue;
        }
        let answer = match (kind, flags & 1) {
            (PING | SETTINGS, 0) => frame(kind, 1, 0, if kind == PING { &payload } else { &[] }),
            _ => continue,
        };
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

/// TLS as a caller of its own.
pub(crate) fn connector(number: usize) -> Arc<TlsConnector> {
    let Identity { certificate, key } =
        certs::authority().client(vec![spiffe(&format!("hostile-{number}"))]);
    let mut roots = rustls::RootCertStore::empty();
    let pem = certs::authority().pem();
    roots
        .add(CertificateDer::from_pem_slice(pem.as_bytes()).expect("authority"))
        .expect("authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).expect("certificate")];
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("key");
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .expect("identity");
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(TlsConnector::from(Arc::new(config)))
}

/// A caller that calls without a pause, over a connection that it makes anew whenever it must.
struct Honest {
    calls: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
    stop: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Honest {
    async fn start(world: &World) -> Self {
        let channel = world.caller("owner").await;
        let (calls, failed, stop) = (Arc::default(), Arc::default(), Arc::default());
        let task = tokio::spawn(insist(
            channel,
            Arc::clone(&calls),
            Arc::clone(&failed),
            Arc::clone(&stop),
        ));
        Self {
            calls,
            failed,
            stop,
            task,
        }
    }

    /// How many calls there were, and how many of them failed.
    async fn stop(self) -> (u64, u64) {
        self.stop.store(1, Ordering::Relaxed);
        self.task.await.expect("no panic");
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (load(&self.calls), load(&self.failed))
    }
}

async fn insist(
    channel: Channel,
    calls: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
    stop: Arc<AtomicUsize>,
) {
    while stop.load(Ordering::Relaxed) == 0 {
        let answer = unary(
            &channel,
            LIST,
            ListProvidersRequest::default().encode_to_vec(),
        )
        .await;
        calls.fetch_add(1, Ordering::Relaxed);
        if let Err(status) = answer {
            eprintln!("an honest call failed: {status:?}");
            failed.fetch_add(1, Ordering::Relaxed);
        }
        tokio::task::yield_now().await;
    }
}

/// Raises the limit of open files of this process.
fn many_files(wanted: u64) -> bool {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let now = getrlimit(Resource::Nofile);
    let current = now.maximum.map_or(wanted, |most| most.min(wanted));
    let raised = Rlimit {
        current: Some(current),
        ..now
    };
    setrlimit(Resource::Nofile, raised).is_ok() && current >= wanted
}

// ---- D2 -------------------------------------------------------------------------------------------------------------

/// Frames that a script sends at most, where nobody stops it.
const FRAMES: u32 = 20_000;

/// A flood: its name, and its frame number `n`.
type Flood = (&'static str, fn(u32) -> Vec<u8>);

/// Number of the stream of call `n`.
fn stream(n: u32) -> u32 {
    2 * n + 1
}

fn open(n: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream(n), &call(LIST))
}

const FLOODS: [Flood; 9] = [
    ("rapid reset", |n| {
        [open(n), frame(RST_STREAM, 0, stream(n), &[0, 0, 0, 8])].concat()
    }),
    ("continuations without end", |n| match n {
        0 => frame(HEADERS, 0, 1, &call(LIST)),
        n => frame(CONTINUATION, 0, 1, &header("x", &n.to_string())),
    }),
    ("empty continuations", |n| match n {
        0 => frame(HEADERS, 0, 1, &call(LIST)),
        _ => frame(CONTINUATION, 0, 1, &[]),
    }),
    ("empty data", |n| match n {
        0 => open(0),
        _ => frame(DATA, 0, 1, &[]),
    }),
    ("settings", |_| {
        frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 255, 255])
    }),
    ("pings", |n| frame(PING, 0, 0, &u64::from(n).to_be_bytes())),
    ("priorities", |n| {
        frame(PRIORITY, 0, stream(n), &[0, 0, 0, 0, 1])
    }),
    ("streams without bodies", open),
    ("windows", |_| frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
];

/// D2: floods of frames, each by a caller that reads nothing and by one that reads: the process stays, its memory stays
/// bounded, and honest calls go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d2_floods_of_frames() {
    let world = World::with(quick()).await;
    let honest = Honest::start(&world).await;
    let before = resident();
    let mut most = before;
    for (name, next) in FLOODS {
        for reads in [false, true] {
            let flood = flood(&world, next, reads);
            let sent = tokio::time::timeout(PATIENCE, flood).await;
            let sent = sent.unwrap_or_else(|_| panic!("{name}: the connection hangs"));
            most = most.max(resident());
            let channel = unix(world.path("public"));
            let answer = raw(&channel, "/bindery.v1.HostService/ListHosts", Vec::new()).await;
            let refused = reason(&answer.expect_err("no right"));
            assert_eq!(refused, "PERMISSION_DENIED", "{name}: still served");
            println!("d2 {name}, reading: {reads}: {sent} frames before the end");
        }
    }
    let (calls, failed) = honest.stop().await;
    println!(
        "figure: D2: resident {} MiB before, {} MiB at most; {calls} honest calls, {failed} failed",
        before >> 20,
        most >> 20
    );
    assert_eq!(failed, 0);
    assert!(most < before + (128 << 20), "{most}");
}

/// Sends frames until the other end closes, or enough are sent; how many there were.
async fn flood(world: &World, next: fn(u32) -> Vec<u8>, reads: bool) -> u32 {
    let socket = UnixStream::connect(world.path("public")).await;
    let (reader, mut writer) = socket.expect("connected").into_split();
    let reading = reads.then(|| tokio::spawn(drain(reader)));
    let sends = async {
        writer.write_all(&hello()).await?;
        for n in 0..FRAMES {
            writer
                .write_all(&next(n))
                .await
                .map_err(|_| io::Error::other(n.to_string()))?;
        }
        io::Result::Ok(())
    };
    let sent = match sends.await {
        Ok(()) => FRAMES,
        Err(error) => error.to_string().parse().unwrap_or(0),
    };
    drop(writer);
    if let Some(reading) = reading {
        reading.abort();
    }
    sent
}

/// Resident memory of this process, in bytes.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/status").expect("status");
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: usize = line
        .and_then(|line| line.split_whitespace().next()?.parse().ok())
        .expect("a number");
    kib << 10
}

// ---- D3 -------------------------------------------------------------------------------------------------------------

/// D3: a message that is nested without end, and an answer that is too large, end the call and nothing else.
#[tokio::test]
async fn d3_nested_messages_and_large_answers() {
    let world = World::with(Limits {
        response_bytes: 16,
        ..Limits::default()
    })
    .await;
    let owner = world.caller("owner").await;
    // Groups of an unknown field, which a decoder has to go into before it can skip them.
    for nested in [vec![0x7b; 60_000], vec![0x0b; 101]] {
        let answer = raw(&owner, "/bindery.v1.HostService/ListHosts", nested).await;
        assert_eq!(reason(&answer.expect_err("nested")), "INVALID_ARGUMENT");
    }
    let list = ListHostsRequest::default().encode_to_vec();
    let answer = raw(&owner, "/bindery.v1.HostService/ListHosts", list).await;
    // It shows after the head of the answer is sent, so there is a code and no more.
    assert_eq!(answer.expect_err("large").code(), tonic::Code::OutOfRange);
    let health = "/grpc.health.v1.Health/Check";
    raw(&owner, health, Vec::new()).await.expect("still there");
}

// ---- D4, D5 ---------------------------------------------------------------------------------------------------------

/// D4: one identity that floods is shed, and another one hardly notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d4_a_flood_of_one_leaves_the_others_alone() {
    let limits = Limits {
        rate: 50,
        burst: 100,
        ..Limits::default()
    };
    let world = World::with(limits).await;
    let (loud, calm) = (world.caller("other").await, world.caller("owner").await);
    let flood: JoinSet<_> = (0..32)
        .map(|_| {
            let loud = loud.clone();
            async move {
                let mut shed = 0_u32;
                for _ in 0..100 {
                    let answer = raw(&loud, LIST, Vec::new()).await;
                    let ended = answer.map_or_else(|status| reason(&status), |_| "OK".to_owned());
                    shed += u32::from(ended == "OVERLOADED");
                }
                shed
            }
        })
        .collect();
    // Fewer than it may at once.
    for _ in 0..90 {
        raw(&calm, LIST, Vec::new()).await.expect("not touched");
    }
    let shed: u32 = flood.join_all().await.into_iter().sum();
    println!("figure: D4: {shed} of 3200 calls of the flood shed, 0 of 90 honest ones");
    assert!(shed > 1000, "{shed}");
}

/// D5: a store that does not answer holds up what waits for it and nothing else: this test has one thread, which every
/// call shares. Health says so meanwhile, and no more when it is over.
#[tokio::test]
async fn d5_a_stalled_store_blocks_nobody_else() {
    let store = Arc::new(FaultyStore::new(MemoryStore::default()));
    let disk = Arc::new(FaultyDisk::default());
    let world = World::over(Limits::default(), disk, store.clone()).await;
    let owner = world.caller("owner").await;
    world.audit.start().await.expect("opened");
    // Two, since the audit log seals its place as well.
    let (mut stall, other) = (store.stall(Call::Commit, 1), store.stall(Call::Commit, 2));
    let changes = bindery_proto::v1::DisableLinkRequest {
        name: "namespaces/acme/links/bound".to_owned(),
        ..Default::default()
    };
    let change = tokio::spawn({
        let (owner, message) = (owner.clone(), changes.encode_to_vec());
        async move { raw(&owner, "/bindery.v1.LinkService/DisableLink", message).await }
    });
    stall.reached().await;
    for _ in 0..50 {
        raw(&owner, LIST, Vec::new()).await.expect("needs no store");
        let get = bindery_proto::v1::GetLinkRequest {
            name: "namespaces/acme/links/bound".to_owned(),
        };
        raw(
            &owner,
            "/bindery.v1.LinkService/GetLink",
            get.encode_to_vec(),
        )
        .await
        .expect("only reads");
        raw(&owner, "/grpc.health.v1.Health/Check", Vec::new())
            .await
            .expect("health");
    }
    assert!(!change.is_finished());
    says(&owner, ServingStatus::NotServing).await;
    raw(&owner, LIST, Vec::new()).await.expect("served still");
    stall.release();
    other.release();
    change.await.expect("no panic").expect("done in the end");
    says(&owner, ServingStatus::Serving).await;
}

/// Asks for the health until it is this.
async fn says(channel: &Channel, wanted: ServingStatus) {
    let asking = async {
        while health(channel.clone(), "").await != Ok(wanted) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let said = tokio::time::timeout(Duration::from_secs(60), asking).await;
    said.unwrap_or_else(|_| panic!("it never said {wanted:?}"));
}
