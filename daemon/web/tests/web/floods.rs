//! Connections that do not behave, by the thousand (THREATS D1).

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bindery_web::Limits;
use rustix::net::sockopt;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
};

use crate::support::World;

/// How long anything here may take at most, however slow the machine.
const PATIENCE: Duration = Duration::from_secs(240);

/// Hostile connections of each class.
const EACH: usize = 834;

/// What a hostile connection says before it idles.
const CLASSES: [(&str, &[u8]); 6] = [
    ("nothing", b""),
    ("half TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    ("half a request line", b"GET /link/x HT"),
    ("endless headers", b"GET /link/x HTTP/1.1\r\nhost: x\r\nx-slow: "),
    (
        "half a body",
        b"POST /link/x/confirm HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\n\
          content-length: 4000\r\n\r\ncode=",
    ),
    ("idle after a request", b"GET /nowhere HTTP/1.1\r\nhost: x\r\n\r\n"),
];

/// What every hostile connection is gone after.
const MINUTE: Duration = Duration::from_secs(60);

/// Whether the deadlines are those of the defaults, and their minute is held.
fn in_full() -> bool {
    std::env::var("BINDERY_FIGURES").is_ok_and(|text| text == "full")
}

/// The deadlines of the defaults, a twentieth of them; the age, which is for those that behave until then, less.
fn quick() -> Limits {
    let default = Limits::default();
    Limits {
        header: default.header / 20,
        age: default.age / 100,
        grace: default.grace / 20,
        ..default
    }
}

/// D1: five thousand hostile connections of six classes from many addresses: all are gone in the end, and honest requests
/// are answered meanwhile. With `BINDERY_FIGURES=full` none is there for longer than a minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d1_thousands_of_idle_connections() {
    if !many_files(16 * 1024) {
        eprintln!("not run: not enough file descriptors");
        return;
    }
    let limits = if in_full() {
        Limits::default()
    } else {
        quick()
    };
    let world = World::listening(limits).await;
    let stop = Arc::<AtomicUsize>::default();
    let honest = tokio::spawn(insist(world.address, Arc::clone(&stop)));
    let alive = Arc::<AtomicUsize>::default();
    let mut hostile = JoinSet::new();
    for index in 0..6 * EACH {
        let (alive, address) = (Arc::clone(&alive), world.address);
        hostile.spawn(async move {
            alive.fetch_add(1, Ordering::Relaxed);
            // One that is not even let in is gone as well.
            let lived = attack(index, address).await.unwrap_or_default();
            alive.fetch_sub(1, Ordering::Relaxed);
            (lived, CLASSES[index % CLASSES.len()].0)
        });
        tokio::task::yield_now().await;
    }
    let gone = async { hostile.join_all().await.into_iter().max() };
    let longest = tokio::time::timeout(PATIENCE, gone).await.ok().flatten();
    stop.store(1, Ordering::Relaxed);
    let (calls, failed) = honest.await.expect("no panic");
    let alive = alive.load(Ordering::Relaxed);
    println!(
        "figure: D1, pages: {} hostile connections, {alive} alive in the end, {calls} honest requests, {failed} failed",
        6 * EACH
    );
    assert_eq!(alive, 0);
    if in_full() {
        println!("figure: D1, pages: the longest lived {longest:?}");
        assert!(longest.is_some_and(|(lived, _)| lived <= MINUTE));
    }
    assert!(calls > 10 && failed * 1000 <= calls, "{failed} of {calls}");
}

/// Says its part and waits until it is cut off; how long it was there after that.
async fn attack(index: usize, address: SocketAddr) -> io::Result<Duration> {
    let mut stream = from_somewhere(index, address).await?;
    let (_, said) = CLASSES[index % CLASSES.len()];
    stream.write_all(said).await?;
    let since = Instant::now();
    let mut buffer = [0; 4096];
    while matches!(stream.read(&mut buffer).await, Ok(1..)) {}
    Ok(since.elapsed())
}

/// A connection from one of many addresses of the loopback network: ten from each.
async fn from_somewhere(index: usize, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    let group = u16::try_from(index / 10).expect("few");
    let [high, low] = [group / 250, group % 250 + 1].map(|part| u8::try_from(part).expect("small"));
    socket.bind(([127, 8, high, low], 0).into())?;
    let stream = socket.connect(address).await?;
    // Where the other end never had it, as when too many come at once, or has forgotten it, this end must learn of it.
    sockopt::set_socket_keepalive(&stream, true)?;
    sockopt::set_tcp_keepidle(&stream, Duration::from_secs(5))?;
    sockopt::set_tcp_keepintvl(&stream, Duration::from_secs(1))?;
    Ok(stream)
}

/// Asks again and again, each time over a new connection; how often, and how often in vain.
async fn insist(address: SocketAddr, stop: Arc<AtomicUsize>) -> (usize, usize) {
    let (mut calls, mut failed) = (0, 0);
    while stop.load(Ordering::Relaxed) == 0 {
        let answer = tokio::time::timeout(PATIENCE, ask(address)).await;
        calls += 1;
        failed += usize::from(!matches!(answer, Ok(Ok(true))));
    }
    (calls, failed)
}

async fn ask(address: SocketAddr) -> io::Result<bool> {
    let mut stream = TcpStream::connect(address).await?;
    let request = b"GET /nowhere HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer.starts_with(b"HTTP/1.1 404"))
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
