//! Servers, names and rules for the tests.

use std::{
    convert::Infallible,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bindery_core::{
    exchange::{Encoding, Exchanged, HttpRequest, Reach, Route, Segment},
    host::{Host, HostNetwork, HostSecrets},
    name::{HostName, ProviderName},
    origin::{Origin, OriginSet},
    port::{BoxFuture, Egress},
    problem::{Problem, Reason},
    secret::{Secret, SecretSet},
    time::Timestamp,
};
use bindery_egress::{EgressConfig, HttpEgress, Limits, resolve::Lookup};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

/// The secret that must never be seen where it does not belong.
pub(crate) const CANARY: &str = "BNDRYCANARY/7f+3a.9\"c~x";

pub(crate) type Reply = Response<Full<Bytes>>;

/// A request as a server got it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) version: http::Version,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find_map(|(known, value)| (known == name).then_some(value.as_str()))
    }

    pub(crate) fn text(&self) -> String {
        let headers: String = self
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\n"))
            .collect();
        format!(
            "{} {}\n{headers}\n{}",
            self.method,
            self.target,
            String::from_utf8_lossy(&self.body)
        )
    }
}

/// A server that counts connections and remembers requests.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    connections: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Answers each request with what `handler` makes of it.
    pub(crate) async fn http(handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        Self::start(bind(Ipv4Addr::LOCALHOST).await, None, handler).await
    }

    pub(crate) async fn tls(
        acceptor: TlsAcceptor,
        handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::start(bind(Ipv4Addr::LOCALHOST).await, Some(acceptor), handler).await
    }

    pub(crate) async fn start(
        listener: TcpListener,
        acceptor: Option<TlsAcceptor>,
        handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let handler = Arc::new(handler);
        Self::accept(listener, move |server, stream| {
            let (handler, acceptor) = (Arc::clone(&handler), acceptor.clone());
            async move {
                match acceptor {
                    None => serve(server, stream, handler).await,
                    Some(acceptor) => {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            serve(server, stream, handler).await;
                        }
                    }
                }
            }
        })
    }

    /// Hands each connection to `talk`, after the request's head was read.
    pub(crate) async fn raw<F>(talk: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::accept(bind(Ipv4Addr::LOCALHOST).await, move |_, stream| {
            talk(stream)
        })
    }

    fn accept<F>(
        listener: TcpListener,
        talk: impl Fn(Self, TcpStream) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let server = Self {
            address: listener.local_addr().expect("bound"),
            connections: Arc::default(),
            seen: Arc::default(),
        };
        let accepting = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                accepting.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(talk(accepting.clone(), stream));
            }
        });
        server
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("no panic").clone()
    }
}

async fn serve<S>(
    server: Server,
    stream: S,
    handler: Arc<impl Fn(&Seen) -> Reply + Send + Sync + 'static>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let (server, handler) = (server.clone(), Arc::clone(&handler));
        async move {
            let seen = read(request).await;
            server.seen.lock().expect("no panic").push(seen.clone());
            Ok::<_, Infallible>(handler(&seen))
        }
    });
    // HTTP/1.1 and HTTP/2. A client that goes away is what some tests want.
    let builder = auto::Builder::new(TokioExecutor::new());
    drop(
        builder
            .serve_connection(TokioIo::new(stream), service)
            .await,
    );
}

async fn read(request: Request<Incoming>) -> Seen {
    let (head, body) = request.into_parts();
    let value = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Seen {
        method: head.method.to_string(),
        target: head.uri.to_string(),
        version: head.version,
        headers: head
            .headers
            .iter()
            .map(|(name, v)| (name.to_string(), value(v)))
            .collect(),
        body: body
            .collect()
            .await
            .map(|body| body.to_bytes().to_vec())
            .unwrap_or_default(),
    }
}

pub(crate) async fn bind(address: Ipv4Addr) -> TcpListener {
    TcpListener::bind((address, 0)).await.expect("loopback")
}

pub(crate) fn reply(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Reply {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Full::new(body.into())).expect("a response")
}

pub(crate) fn json(status: u16, body: &str) -> Reply {
    reply(
        status,
        &[("content-type", "application/json")],
        body.to_owned(),
    )
}

/// Name resolution by a function of the name and the number of the look-up.
pub(crate) struct Names<F> {
    answer: F,
    count: AtomicUsize,
}

impl<F: Fn(&str, usize) -> Vec<IpAddr>> Names<F> {
    pub(crate) fn new(answer: F) -> Arc<Self> {
        Arc::new(Self {
            answer,
            count: AtomicUsize::new(0),
        })
    }

    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
}

impl<F: Fn(&str, usize) -> Vec<IpAddr> + Send + Sync + 'static> Lookup for Names<F> {
    fn lookup(&self, host: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let found = (self.answer)(host, self.count.fetch_add(1, Ordering::SeqCst));
        Box::pin(async move { Ok(found) })
    }
}

pub(crate) fn short() -> EgressConfig {
    let limits = Limits {
        connect: Duration::from_secs(5),
        first_byte: Duration::from_millis(300),
        whole: Duration::from_millis(600),
        ..Limits::default()
    };
    EgressConfig {
        limits,
        ..EgressConfig::default()
    }
}

pub(crate) fn egress() -> HttpEgress {
    HttpEgress::new(EgressConfig::default())
}

/// Rules under which loopback servers can be called.
pub(crate) fn loopback() -> HostNetwork {
    HostNetwork {
        allowed_networks: vec!["127.0.0.0/8".parse().expect("a network")],
        allow_plaintext: true,
        ..HostNetwork::default()
    }
}

pub(crate) fn origins(urls: &[&str]) -> OriginSet {
    OriginSet::new(
        urls.iter()
            .map(|url| Origin::parse(url).expect("an origin"))
            .collect(),
    )
}

pub(crate) fn secrets(pairs: &[(&str, &str)]) -> SecretSet {
    let mut set = SecretSet::new();
    for (name, text) in pairs {
        set.insert(name, Secret::new((*text).to_owned()));
    }
    set
}

pub(crate) fn literal(text: &str) -> Segment {
    Segment::Literal(text.as_bytes().to_vec())
}

pub(crate) fn secret(name: &str, encoding: Encoding, prefix: &str) -> Segment {
    Segment::Secret {
        name: name.to_owned(),
        encoding,
        prefix: prefix.to_owned(),
    }
}

pub(crate) fn get(url: &str) -> HttpRequest {
    HttpRequest {
        method: "GET".to_owned(),
        url: url.to_owned(),
        headers: Vec::new(),
        body: Vec::new(),
        capture: Vec::new(),
        max_response_bytes: 0,
    }
}

/// A GET that carries the canary as a bearer token.
pub(crate) fn with_token(url: &str) -> HttpRequest {
    let value = vec![
        literal("Bearer "),
        secret("access_token", Encoding::Raw, ""),
    ];
    HttpRequest {
        headers: vec![("authorization".to_owned(), value)],
        ..get(url)
    }
}

/// A host under `network`, and its secrets.
pub(crate) struct Entry {
    pub(crate) host: Host,
    pub(crate) secrets: HostSecrets,
}

impl Entry {
    pub(crate) fn new(network: &HostNetwork) -> Self {
        let name = HostName::parse("forge").expect("a name");
        let provider = ProviderName::parse("gitea").expect("a name");
        let web = "https://forge.example".to_owned();
        let mut host = Host::new(name, provider, web, Timestamp::default());
        host.network = network.clone();
        let secrets = HostSecrets::default();
        Self { host, secrets }
    }

    pub(crate) fn reach(&self) -> Reach<'_> {
        Reach {
            host: &self.host,
            secrets: &self.secrets,
        }
    }
}

/// Sends to the URL's own origin with the canary as `access_token`.
pub(crate) async fn send(
    egress: &HttpEgress,
    network: &HostNetwork,
    request: &HttpRequest,
) -> Result<Exchanged, Problem> {
    let origins = Origin::parse(&request.url).map(|origin| OriginSet::new(vec![origin]));
    let origins = origins.unwrap_or_default();
    let secrets = secrets(&[("access_token", CANARY)]);
    let entry = Entry::new(network);
    egress
        .send(
            request,
            Route {
                reach: entry.reach(),
                origins: &origins,
                secrets: &secrets,
            },
        )
        .await
}

pub(crate) fn reason<T: std::fmt::Debug>(result: Result<T, Problem>) -> Reason {
    result.expect_err("it must not work").reason
}
