//! Accept loops, connections, and what happens around every call.

mod answers;
mod body;
mod connection;
mod gate;
mod preface;
mod routes;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use rustix::process::geteuid;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

#[cfg(any(test, fuzzing))]
pub(crate) use self::connection::serve_echo;
use self::{connection::serve_connection, gate::Gate, routes::Routes};
use crate::{
    Api, Limits, Surface, TlsHandle,
    limits::{Buckets, Counter, Line},
    peer::Peer,
    standing::Standing,
};

/// First and longest pause after an error of `accept`.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));

/// Time between two looks at the deny list.
const FOLLOW: Duration = Duration::from_secs(2);

/// Serves a Unix socket until `shutdown` resolves. Callers are known by the user and group of their process.
///
/// # Errors
///
/// None: errors of single connections are retried or logged.
pub async fn serve_unix(
    api: Api,
    surface: Surface,
    listener: UnixListener,
    limits: Limits,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let shared = Arc::new(Shared::new(api, surface, limits, true));
    serve(shared, listener, open_unix, shutdown).await;
    Ok(())
}

/// Serves TCP with mutual TLS until `shutdown` resolves. Callers are known by the names in their certificates.
///
/// # Errors
///
/// None: errors of single connections are retried or logged.
pub async fn serve_tls(
    api: Api,
    listener: TcpListener,
    tls: TlsHandle,
    limits: Limits,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    api.adopt(tls.clone());
    let followed = follow_deny_list(api.clone(), tls.clone());
    let reflection = limits.reflection_over_tls;
    let handshakes = Arc::new(Counter::new(limits.handshakes_per_address));
    let shared = Arc::new(Shared::new(api, Surface::Public, limits, reflection));
    let open = move |shared: Arc<Shared>, (stream, from): (TcpStream, SocketAddr), stop| {
        open_tls(
            shared,
            tls.clone(),
            Arc::clone(&handshakes),
            stream,
            from.ip(),
            stop,
        )
    };
    tokio::select! {
        () = serve(shared, listener, open, shutdown) => {}
        () = followed => {}
    }
    Ok(())
}

/// Reads the deny list again soon after it changed, so that nobody has to say so.
async fn follow_deny_list(api: Api, tls: TlsHandle) {
    loop {
        tokio::time::sleep(FOLLOW).await;
        let tls = tls.clone();
        // A panic there leaves the list as it is, and the next look comes.
        let followed = tokio::task::spawn_blocking(move || tls.follow_deny_list()).await;
        if let Ok(Some(Ok(keys))) = followed {
            api.followed_deny_list(keys).await;
        }
    }
}

/// A socket that connections come from.
trait Accept {
    /// A connection, and what is known of it.
    type Stream;
    /// Waits for one.
    fn next(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Accept for UnixListener {
    type Stream = UnixStream;

    async fn next(&self) -> io::Result<UnixStream> {
        self.accept().await.map(|(stream, _)| stream)
    }
}

impl Accept for TcpListener {
    type Stream = (TcpStream, SocketAddr);

    async fn next(&self) -> io::Result<Self::Stream> {
        self.accept().await
    }
}

/// What the connections of a listener have in common.
struct Shared {
    api: Api,
    surface: Surface,
    limits: Limits,
    routes: Routes,
    connections: Arc<Semaphore>,
    handshakes: Arc<Line>,
    identities: Counter<String>,
    buckets: Buckets,
    /// Places of the calls under way.
    in_flight: Arc<Semaphore>,
    /// Requests that are not there as a whole.
    requests: Arc<Line>,
    /// Calls of each identity.
    calls: Counter<String>,
}

impl Shared {
    fn new(api: Api, surface: Surface, limits: Limits, reflection: bool) -> Self {
        Self {
            routes: routes::routes(&api, surface, &limits, reflection),
            connections: Arc::new(Semaphore::new(limits.connections)),
            handshakes: Arc::new(Line::new(limits.handshakes)),
            identities: Counter::new(limits.per_identity),
            buckets: Buckets::new(&limits),
            in_flight: Arc::new(Semaphore::new(limits.in_flight)),
            requests: Arc::new(Line::new(limits.in_flight)),
            calls: Counter::new(limits.in_flight_per_identity),
            api,
            surface,
            limits,
        }
    }
}

/// Serves connections until `shutdown`.
async fn serve<L: Accept, F>(
    shared: Arc<Shared>,
    listener: L,
    open: impl Fn(Arc<Shared>, L::Stream, watch::Receiver<bool>) -> F,
    shutdown: impl Future<Output = ()> + Send,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let (api, grace) = (shared.api.clone(), shared.limits.grace);
    let open = |stream, stopped| open(Arc::clone(&shared), stream, stopped);
    let shutdown = async {
        shutdown.await;
        api.stop();
    };
    accept_all(listener, open, shutdown, grace).await;
}

/// Accepts until `shutdown`, then lets the open connections finish for as long as the grace lasts.
async fn accept_all<L: Accept, F>(
    listener: L,
    open: impl Fn(L::Stream, watch::Receiver<bool>) -> F,
    shutdown: impl Future<Output = ()> + Send,
    grace: Duration,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let (stop, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut pause = PAUSE.0;
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.next() => match accepted {
                Ok(stream) => {
                    pause = PAUSE.0;
                    connections.spawn(open(stream, stopped.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "Connection not accepted; trying again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE.1);
                }
            },
        }
    }
    // Nobody listening any more is fine.
    let _ = stop.send(true);
    let finish = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(grace, finish).await.is_err() {
        tracing::warn!("Connections that did not finish are cut off");
    }
}

async fn open_unix(shared: Arc<Shared>, stream: UnixStream, stop: watch::Receiver<bool>) {
    match stream.peer_cred() {
        Ok(process) => {
            serve_peer(
                shared,
                Peer::of_process(process.uid(), process.gid()),
                None,
                stream,
                stop,
            )
            .await
        }
        Err(error) => tracing::debug!(%error, "Peer of a connection not known"),
    }
}

async fn open_tls(
    shared: Arc<Shared>,
    tls: TlsHandle,
    handshakes: Arc<Counter<IpAddr>>,
    stream: TcpStream,
    from: IpAddr,
    stop: watch::Receiver<bool>,
) {
    let Some(shaking) = handshakes.take(from) else {
        return;
    };
    let mut turn = shared.handshakes.enter();
    // A connection without this option is slow, not wrong.
    let _ = stream.set_nodelay(true);
    let handshake = TlsAcceptor::from(Arc::clone(&tls.door().config)).accept(stream);
    let handshake = tokio::select! {
        shaken = tokio::time::timeout(shared.limits.handshake, handshake) => shaken,
        () = turn.pushed_out() => return tracing::debug!(%from, "TLS handshake makes room"),
    };
    let stream = match handshake {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%from, %error, "TLS handshake failed"),
        Err(_) => return tracing::debug!(%from, "TLS handshake took too long"),
    };
    drop((shaking, turn));
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let Some(first) = chain.first() else {
        return tracing::warn!(%from, "Connection without client certificate refused");
    };
    match (Peer::of_certificate(first), Standing::new(tls, chain)) {
        (Ok(peer), Ok(standing)) => {
            serve_peer(shared, peer, Some(Arc::new(standing)), stream, stop).await;
        }
        (Err(error), _) => tracing::warn!(%from, %error, "Connection refused"),
        (_, Err(error)) => tracing::warn!(%from, %error, "Connection refused"),
    }
}

async fn serve_peer<S>(
    shared: Arc<Shared>,
    peer: Peer,
    standing: Option<Arc<Standing>>,
    stream: S,
    stop: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let Some(_one) = shared.identities.take(peer.name().to_owned()) else {
        return tracing::warn!(
            peer = peer.name(),
            "Too many connections of one caller; this one is closed"
        );
    };
    // Known callers only count here: who says nothing takes no place from them. Without a place the connection is closed,
    // which tells an honest client to come again.
    let Ok(_place) = Arc::clone(&shared.connections).try_acquire_owned() else {
        return tracing::warn!(
            peer = peer.name(),
            "Too many connections; this one is closed"
        );
    };
    let limits = shared.limits.clone();
    let gate = Gate::new(shared, peer, standing);
    serve_connection(&limits, gate, stream, stop).await;
}

/// Whether these principals may use the admin surface: root, the daemon's own user, and the admins of the policy.
fn is_admin(api: &Api, principals: &[String]) -> bool {
    let own = format!("uid:{}", geteuid().as_raw());
    let born = principals
        .iter()
        .any(|name| name == "uid:0" || *name == own);
    born || api.policy().current().is_admin(principals)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A listener whose first accepts fail.
    struct Failing {
        errors: Mutex<Vec<io::Error>>,
        accepted: UnixListener,
    }

    impl Accept for Failing {
        type Stream = UnixStream;

        async fn next(&self) -> io::Result<UnixStream> {
            let error = self.errors.lock().expect("lock").pop();
            match error {
                Some(error) => Err(error),
                None => self.accepted.next().await,
            }
        }
    }

    /// D6: no error of accept ends the loop, not even being out of file descriptors.
    #[tokio::test]
    async fn d6_accept_errors_are_survived() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("socket");
        // ECONNABORTED, EMFILE, ENFILE, ENOBUFS, and one that nobody knows.
        let errors = [103, 24, 23, 105].map(io::Error::from_raw_os_error);
        let errors = errors.into_iter().chain([io::Error::other("odd")]);
        let listener = Failing {
            errors: Mutex::new(errors.collect()),
            accepted: UnixListener::bind(&path).expect("bound"),
        };
        let (served, mut opened) = tokio::sync::mpsc::unbounded_channel();
        let accepts = accept_all(
            listener,
            |_, _| {
                let _ = served.send(());
                std::future::ready(())
            },
            std::future::pending(),
            Duration::ZERO,
        );
        let _caller = UnixStream::connect(&path).await.expect("connected");
        tokio::select! {
            () = accepts => panic!("the loop ended"),
            one = opened.recv() => assert!(one.is_some()),
        }
    }
}
