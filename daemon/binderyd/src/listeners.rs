//! Sockets: which ones there are, what answers on each, and how they end.
//!
//! One that systemd passed is taken as it is; its unit decides about address, owner and mode. The others are bound.

use std::{
    fs,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::Path,
};

use bindery_api::{Api, Limits, Surface, TlsHandle, serve_tls, serve_unix};
use bindery_web::WebState;
use tokio::{
    net::{TcpListener, UnixListener, UnixStream},
    sync::watch,
    task::JoinHandle,
};

use crate::{
    config::{self, Config, listen::Tls},
    failure::Failure,
    systemd::sockets::{Name, Passed},
};

const PUBLIC: &str = "gRPC, public services";
const OPERATOR: &str = "gRPC, all services, for the operator";

/// Bound sockets, not served yet.
pub(crate) struct Listeners {
    api: UnixListener,
    admin: UnixListener,
    tls: Option<(TcpListener, TlsHandle)>,
    web: TcpListener,
    ops: TcpListener,
    limits: Limits,
    pages: bindery_web::Limits,
}

/// Sockets that are served.
pub(crate) struct Serving {
    tasks: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
    failed: watch::Receiver<bool>,
}

impl Listeners {
    /// Takes or binds all sockets, and says what listens where.
    pub(crate) async fn bind(config: &Config, mut passed: Passed) -> Result<Self, Failure> {
        let api = match passed.unix(Name::Api)? {
            Some(socket) => taken_unix(socket, PUBLIC)?,
            None => unix(&config.api.socket, config.api.socket_mode, PUBLIC).await?,
        };
        let admin = match passed.unix(Name::Admin)? {
            Some(socket) => taken_unix(socket, OPERATOR)?,
            None => unix(&config.api.admin_socket, 0o600, OPERATOR).await?,
        };
        let tls = match &config.api.tls {
            Some(tls) => Some(mutual_tls(tls, passed.tcp(Name::Mtls)?).await?),
            None => None,
        };
        let web = tcp(
            config.web.listen,
            passed.tcp(Name::Http)?,
            "Pages for people",
        )
        .await?;
        let ops = tcp(
            config.ops_listen,
            passed.tcp(Name::Ops)?,
            "Health and metrics",
        )
        .await?;
        passed.nothing_left()?;
        Ok(Self {
            api,
            admin,
            tls,
            web,
            ops,
            limits: limits(&config.api),
            pages: bindery_web::Limits {
                trusted_proxies: config.web.trusted_proxies.clone(),
                ..bindery_web::Limits::default()
            },
        })
    }

    /// Serves all of them.
    pub(crate) fn serve(self, api: Api, web: WebState) -> Serving {
        let (stop, stopped) = watch::channel(false);
        let (fail, failed) = watch::channel(false);
        let until = || {
            let mut stopped = stopped.clone();
            async move {
                // An error means that the sender is gone, which is a stop as well.
                let _ = stopped.wait_for(|stop| *stop).await;
            }
        };
        let limits = || self.limits.clone();
        let mut tasks = vec![
            watched(
                &fail,
                serve_unix(api.clone(), Surface::Public, self.api, limits(), until()),
            ),
            watched(
                &fail,
                serve_unix(api.clone(), Surface::Admin, self.admin, limits(), until()),
            ),
        ];
        if let Some((listener, handle)) = self.tls {
            tasks.push(watched(
                &fail,
                serve_tls(api, listener, handle, limits(), until()),
            ));
        }
        let (pages, operations) = (
            crate::seam::pages(bindery_web::public_router(web.clone())),
            bindery_web::ops_router(web),
        );
        tasks.push(web_task(self.web, pages, self.pages, until()));
        let limits = bindery_web::Limits::default();
        tasks.push(web_task(self.ops, operations, limits, until()));
        Serving {
            tasks,
            stop,
            failed,
        }
    }
}

impl Serving {
    /// Resolves when a listener ends that was not told to.
    pub(crate) async fn failed(&self) {
        let mut failed = self.failed.clone();
        // The senders live as long as the tasks; when all are gone, all have ended.
        let _ = failed.wait_for(|failed| *failed).await;
    }

    /// Stops taking connections, and lets the open ones finish.
    pub(crate) async fn stop(self) {
        // Nobody listening any more is fine.
        let _ = self.stop.send(true);
        for task in self.tasks {
            // A task that panicked has ended.
            let _ = task.await;
        }
    }
}

/// The limits of each gRPC listener. At once a caller may do what it may do in two seconds, as by default.
fn limits(api: &config::Api) -> Limits {
    Limits {
        rate: api.requests_per_second,
        burst: api.requests_per_second.saturating_mul(2),
        in_flight: api.calls_at_once,
        in_flight_per_identity: api.calls_at_once_per_caller,
        ..Limits::default()
    }
}

fn watched(
    fail: &watch::Sender<bool>,
    serve: impl Future<Output = std::io::Result<()>> + Send + 'static,
) -> JoinHandle<()> {
    let fail = fail.clone();
    tokio::spawn(async move {
        if let Err(error) = serve.await {
            tracing::error!(%error, "Listener ended");
            let _ = fail.send(true);
        }
    })
}

/// The pages' listener retries every accept error, so it ends only when it is told to.
fn web_task(
    listener: TcpListener,
    router: axum::Router,
    limits: bindery_web::Limits,
    until: impl Future<Output = ()> + Send + 'static,
) -> JoinHandle<()> {
    tokio::spawn(bindery_web::serve(listener, router, limits, until))
}

async fn tcp(
    address: std::net::SocketAddr,
    passed: Option<TcpListener>,
    what: &str,
) -> Result<TcpListener, Failure> {
    let by_systemd = passed.is_some();
    let listener = match passed {
        Some(listener) => listener,
        None => TcpListener::bind(address).await.map_err(|error| {
            Failure::Config(format!(
                "{address} can't be listened on: {error}; choose another port"
            ))
        })?,
    };
    tracing::info!(address = %listener.local_addr()?, what, by_systemd, "Listening");
    Ok(listener)
}

async fn mutual_tls(
    tls: &Tls,
    passed: Option<TcpListener>,
) -> Result<(TcpListener, TlsHandle), Failure> {
    let deny_list = tls.deny_list.as_deref();
    let handle =
        TlsHandle::load_with_deny_list(&tls.certificate, &tls.key, &tls.client_ca, deny_list)
            .map_err(|error| Failure::Config(format!("api.tls: {error}")))?;
    let what = "gRPC over mutual TLS, public services";
    Ok((tcp(tls.listen, passed, what).await?, handle))
}

fn taken_unix(listener: UnixListener, what: &str) -> Result<UnixListener, Failure> {
    let address = listener.local_addr()?;
    let path = address.as_pathname().unwrap_or_else(|| Path::new(""));
    tracing::info!(address = %path.display(), what, by_systemd = true, "Listening");
    Ok(listener)
}

async fn unix(path: &Path, mode: u32, what: &str) -> Result<UnixListener, Failure> {
    remove_stale(path).await?;
    let can_not =
        |error| Failure::Config(format!("{} can't be listened on: {error}", path.display()));
    let listener = UnixListener::bind(path).map_err(can_not)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(can_not)?;
    tracing::info!(address = %path.display(), what, by_systemd = false, "Listening");
    Ok(listener)
}

/// Removes the socket of a daemon that is gone; one that answers stays.
async fn remove_stale(path: &Path) -> Result<(), Failure> {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !metadata.file_type().is_socket() {
        return Err(Failure::Config(format!(
            "{} is no socket; choose another path",
            path.display()
        )));
    }
    if UnixStream::connect(path).await.is_ok() {
        return Err(Failure::Locked(format!(
            "another daemon listens on {}; stop it first",
            path.display()
        )));
    }
    Ok(fs::remove_file(path)?)
}
