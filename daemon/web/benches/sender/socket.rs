//! A listener on loopback, and one who sends to it.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use bindery_audit::{AuditConfig, AuditLog};
use bindery_core::name::HookId;
use bindery_engine::Engine;
use bindery_web::{EngineReadiness, Limits, WebState};
use http::{HeaderMap, StatusCode};
use prometheus_client::registry::Registry;
use tokio::{net::TcpListener, runtime::Builder};
use tower::ServiceExt;

use crate::{
    measure::{BODY, KNOWN, UNKNOWN, headers, put_hook},
    support::{Hooked, World},
};

/// What takes the deliveries.
#[derive(Clone, Copy)]
pub(crate) enum Variant {
    /// The router as it is.
    Real,
    /// The control: where there is no such hook nothing is verified.
    RefusesAtOnce,
}

/// Listeners of both variants in a thread of their own, for as long as the process lives.
pub(crate) struct Server {
    real: SocketAddr,
    control: SocketAddr,
    scheme: &'static str,
}

impl Server {
    /// One hook with this scheme, and no other.
    pub(crate) fn start(scheme: &'static str) -> Self {
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let hooked = Hooked::of(World::on_disk().await).await;
                put_hook(&hooked, scheme).await;
                let router = router(&hooked);
                let control = control(&hooked.world.engine, &router, scheme).await;
                let (real, control) = (listen(router).await, listen(control).await);
                tell.send((real, control)).expect("somebody waits");
                std::future::pending::<()>().await;
            });
        });
        let (real, control) = told.recv().expect("listeners");
        Self {
            real,
            control,
            scheme,
        }
    }

    /// A connection to one variant.
    pub(crate) fn sender(&self, variant: Variant) -> Sender {
        let address = match variant {
            Variant::Real => self.real,
            Variant::RefusesAtOnce => self.control,
        };
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("an option");
        let [known, unknown] = [KNOWN, UNKNOWN].map(|id| request(id, self.scheme));
        let mut sender = Sender {
            stream,
            known,
            unknown,
            answer: Vec::new(),
            first: Vec::new(),
        };
        sender.learn();
        sender
    }
}

fn router(hooked: &Hooked) -> Router {
    let engine = hooked.world.engine.clone();
    let world = &hooked.world;
    let config = AuditConfig::new(std::env::temp_dir());
    // No page is called, so that nothing is written to it.
    let audit = AuditLog::new(config, world.vault.clone(), world.clock.clone());
    let metrics = Arc::new(Mutex::new(Registry::default()));
    let readiness = Arc::new(EngineReadiness(engine.clone()));
    let state = WebState::new(engine, Arc::new(audit), metrics, readiness).expect("public URL");
    bindery_web::public_router(state)
}

async fn listen(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("an address");
    // One connection is to live for the whole measure.
    let limits = Limits {
        age: Duration::from_secs(86_400),
        ..Limits::default()
    };
    let served = bindery_web::serve(listener, router, limits, std::future::pending());
    tokio::spawn(served);
    address
}

/// The router behind a layer that answers at once, in the router's own words, what names no hook.
async fn control(engine: &Engine, router: &Router, scheme: &str) -> Router {
    let mut request = http::Request::post(format!("/hooks/{UNKNOWN}"));
    for (name, value) in headers(scheme) {
        request = request.header(name, value);
    }
    let request = request.body(Body::from("x".repeat(BODY))).expect("request");
    let answer = router.clone().oneshot(request).await.expect("an answer");
    let (parts, body) = answer.into_parts();
    let text = to_bytes(body, BODY).await.expect("a body").to_vec();
    let planted = Planted {
        engine: engine.clone(),
        answer: Arc::new((parts.status, parts.headers, text)),
    };
    router
        .clone()
        .layer(middleware::from_fn_with_state(planted, refuse_at_once))
}

#[derive(Clone)]
struct Planted {
    engine: Engine,
    answer: Arc<(StatusCode, HeaderMap, Vec<u8>)>,
}

async fn refuse_at_once(State(planted): State<Planted>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let id = path
        .rsplit('/')
        .next()
        .and_then(|id| HookId::parse(id).ok());
    let id = id.expect("the id of a hook");
    if planted.engine.hook(&id).await.expect("read").is_some() {
        return next.run(request).await;
    }
    let body = to_bytes(request.into_body(), BODY).await.expect("a body");
    drop(body);
    let (status, headers, text) = &*planted.answer;
    (*status, headers.clone(), text.clone()).into_response()
}

/// One who sends deliveries over one connection, and looks at the time.
pub(crate) struct Sender {
    stream: TcpStream,
    known: Vec<u8>,
    unknown: Vec<u8>,
    /// Room for an answer: all are as long.
    answer: Vec<u8>,
    /// The first answer, but for its date.
    first: Vec<u8>,
}

impl Sender {
    /// How long an answer takes, in nanoseconds.
    pub(crate) fn time(&mut self, known: bool) -> f64 {
        let request = if known { &self.known } else { &self.unknown };
        let began = Instant::now();
        self.stream.write_all(request).expect("sent");
        self.stream.read_exact(&mut self.answer).expect("answered");
        let took = began.elapsed();
        assert_eq!(dateless(&self.answer), self.first);
        took.as_secs_f64() * 1e9
    }

    /// What an answer is like.
    fn learn(&mut self) {
        self.stream.write_all(&self.known).expect("sent");
        let mut answer = Vec::new();
        let mut byte = [0];
        while !answer.ends_with(b"Bindery\n") {
            self.stream.read_exact(&mut byte).expect("answered");
            answer.extend_from_slice(&byte);
        }
        assert!(answer.starts_with(b"HTTP/1.1 401 "));
        self.first = dateless(&answer);
        self.answer = answer;
    }
}

/// An answer without the line that tells the date.
fn dateless(answer: &[u8]) -> Vec<u8> {
    let lines = answer.split_inclusive(|byte| *byte == b'\n');
    lines
        .filter(|line| !line.starts_with(b"date:"))
        .flatten()
        .copied()
        .collect()
}

/// A delivery of a hook, with a signature that is not right; but for the id all are the same.
fn request(id: &str, scheme: &str) -> Vec<u8> {
    let mut head = format!(
        "POST /hooks/{id} HTTP/1.1\r\nhost: bindery\r\ncontent-type: application/json\r\ncontent-length: {BODY}\r\n"
    );
    for (name, value) in headers(scheme) {
        head += &format!("{name}: {value}\r\n");
    }
    head += "\r\n";
    head += &"x".repeat(BODY);
    head.into_bytes()
}
