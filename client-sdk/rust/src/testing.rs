//! A daemon in the own process, to test programs that use Bindery.
//!
//! It keeps what it is told in memory and asks no forge. People are played by the test:
//! [`FakeBindery::consent`] and [`FakeBindery::confirm`]. Failures are played, too:
//! [`FakeBindery::fail_next`] and [`FakeBindery::go_down`].
//!
//! ```
//! use bindery_client::{CredentialRequest, testing::FakeBindery};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let bindery = FakeBindery::start().await?;
//! bindery.add_host("github.com", "github", "https://github.com");
//! bindery.add_namespace("acme");
//! let link = bindery.add_bound_link("acme", "github.com", "octo");
//! let client = bindery.client().await?;
//! let credential = client.read_credential(&CredentialRequest::new(&link)).await?;
//! assert_eq!(credential.git_username, "octo");
//! # Ok(())
//! # }
//! ```

use std::{io, path::Path, sync::Arc, time::Duration};

use bindery_proto::{
    admin::v1::admin_service_server::AdminServiceServer,
    v1::{
        credential_service_server::CredentialServiceServer,
        event_service_server::EventServiceServer, host_service_server::HostServiceServer,
        link_service_server::LinkServiceServer, namespace_service_server::NamespaceServiceServer,
        provider_service_server::ProviderServiceServer,
        repository_service_server::RepositoryServiceServer,
        source_service_server::SourceServiceServer,
    },
};
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, UnixListener},
    task::JoinHandle,
};
use tokio_stream::wrappers::{TcpListenerStream, UnixListenerStream};
use tonic::{
    Status,
    transport::{Certificate, Identity, Server, ServerTlsConfig, server::Router},
};

use crate::{Client, Endpoint, Error};

mod admin;
mod consumers;
mod credentials;
mod events;
mod feed;
mod happenings;
mod hosts;
mod links;
mod namespaces;
mod people;
mod refusal;
mod repositories;
mod sources;
mod subscriptions;
mod triggers;
mod wires;
mod world;

pub use self::{
    refusal::Refusal,
    world::{RecordedCall, TokenLife},
};
use self::{wires::Wires, world::World};

/// A daemon in the own process. It ends when it is dropped.
#[derive(Debug)]
pub struct FakeBindery {
    world: Arc<World>,
    endpoint: Endpoint,
    server: JoinHandle<()>,
    wires: Wires,
    /// Holds the socket.
    _folder: TempDir,
}

impl FakeBindery {
    /// Starts one on a Unix socket in a new folder; all services answer there, `AdminService` too.
    ///
    /// # Errors
    ///
    /// When the socket can't be made.
    pub async fn start() -> io::Result<Self> {
        let folder = TempDir::with_prefix("fake-bindery-")?;
        let socket = folder.path().join("bindery.sock");
        let listener = UnixListener::bind(&socket)?;
        // The admin socket of a daemon is beside its public one.
        std::os::unix::fs::symlink(&socket, folder.path().join("admin.sock"))?;
        let world = Arc::new(World::default());
        let wires = Wires::default();
        let incoming = wires.tapped(UnixListenerStream::new(listener));
        let serve = router(&world, Server::builder()).serve_with_incoming(incoming);
        let server = tokio::spawn(async { drop(serve.await) });
        Ok(Self {
            world,
            endpoint: Endpoint::Unix(socket),
            server,
            wires,
            _folder: folder,
        })
    }

    /// Starts one with mutual TLS on a loopback port, for certificates of `localhost`.
    ///
    /// # Errors
    ///
    /// When the port can't be had or the files can't be read.
    pub async fn start_tls(certificate: &Path, key: &Path, client_ca: &Path) -> io::Result<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let uri = format!("https://localhost:{}", listener.local_addr()?.port());
        let tls = ServerTlsConfig::new()
            .identity(Identity::from_pem(
                std::fs::read(certificate)?,
                std::fs::read(key)?,
            ))
            .client_ca_root(Certificate::from_pem(std::fs::read(client_ca)?));
        let builder = Server::builder()
            .tls_config(tls)
            .map_err(io::Error::other)?;
        let world = Arc::new(World::default());
        let serve = router(&world, builder).serve_with_incoming(TcpListenerStream::new(listener));
        let server = tokio::spawn(async { drop(serve.await) });
        let endpoint = uri.parse().map_err(io::Error::other)?;
        Ok(Self {
            world,
            endpoint,
            server,
            wires: Wires::default(),
            _folder: TempDir::new()?,
        })
    }

    /// Where it is, for [`ClientBuilder::endpoint`](crate::ClientBuilder::endpoint) and
    /// `BINDERY_ENDPOINT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.endpoint.to_string()
    }

    /// A client of it, over its Unix socket.
    ///
    /// # Errors
    ///
    /// When it was started with TLS: make a client with the right files then.
    pub async fn client(&self) -> Result<Client, Error> {
        Client::builder().endpoint(self.endpoint()).connect().await
    }

    /// Makes the next call of a method fail, such as `GetLink`. Further ones queue up.
    pub fn fail_next(&self, method: &str, status: impl Into<Status>) {
        self.fail_times(method, 1, status);
    }

    /// Makes the next calls of a method fail.
    pub fn fail_times(&self, method: &str, times: usize, status: impl Into<Status>) {
        let status = status.into();
        let mut state = self.world.lock();
        let faults = state.faults.entry(method.to_owned()).or_default();
        faults.extend(std::iter::repeat_n(status, times));
    }

    /// Makes every call fail as if no daemon answered, until [`come_up`](Self::come_up).
    pub fn go_down(&self) {
        self.world.lock().down = true;
    }

    /// Ends [`go_down`](Self::go_down).
    pub fn come_up(&self) {
        self.world.lock().down = false;
    }

    /// Cuts every connection over the Unix socket, in the middle of what it carries. The socket stays: clients
    /// can connect again.
    pub fn cut_connections(&self) {
        self.wires.cut();
    }

    /// All calls of a method so far, the failed ones included.
    #[must_use]
    pub fn calls(&self, method: &str) -> Vec<RecordedCall> {
        let state = self.world.lock();
        state
            .calls
            .iter()
            .filter(|call| call.method == method)
            .cloned()
            .collect()
    }

    /// How long the tokens live that it hands out from now on; one hour unless set.
    pub fn set_token_life(&self, life: TokenLife) {
        self.world.lock().token_life = life;
    }

    /// How long it thinks before it answers a call that hands out a credential.
    pub fn set_delay(&self, delay: Duration) {
        self.world.lock().delay = delay;
    }

    /// Pages of lists have at most so many entries, whatever the client asks for.
    pub fn set_longest_page(&self, entries: usize) {
        self.world.lock().longest_page = entries;
    }
}

impl Drop for FakeBindery {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn router(world: &Arc<World>, mut builder: Server) -> Router {
    builder
        .add_service(ProviderServiceServer::from_arc(world.clone()))
        .add_service(HostServiceServer::from_arc(world.clone()))
        .add_service(NamespaceServiceServer::from_arc(world.clone()))
        .add_service(LinkServiceServer::from_arc(world.clone()))
        .add_service(RepositoryServiceServer::from_arc(world.clone()))
        .add_service(CredentialServiceServer::from_arc(world.clone()))
        .add_service(SourceServiceServer::from_arc(world.clone()))
        .add_service(EventServiceServer::from_arc(world.clone()))
        .add_service(AdminServiceServer::from_arc(world.clone()))
}
