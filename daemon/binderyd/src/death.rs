//! Takes the place of `seam` in `binderyd-mortal`: before and after everything that the engine does outside of itself, it
//! counts down what is written in the file `die-at` of the data folder, and kills its own process at zero.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use bindery_core::{
    exchange::{
        DeviceAuthorization, DeviceCall, Exchanged, HttpRequest, Post, ProbeReport, Reach,
        RevokeCall, RevokeOutcome, Route, TokenCall, TokenReply,
    },
    host::{Certificates, HostNetwork},
    port::{
        BoxFuture, Change, Egress, Entry, Key, Listing, Page, Record, Vault, VaultError,
        VaultHealth,
    },
    problem::Problem,
};
use bindery_engine::Ports;
use bindery_web::Readiness;
use prometheus_client::registry::Registry;
use rustix::process::{Signal, getpid, kill_process};

/// Counts down the steps that are left to live.
struct Fate {
    file: PathBuf,
    one_at_a_time: Mutex<()>,
}

impl Fate {
    /// One step. Without the file, nothing is counted.
    fn step(&self) {
        let _one_at_a_time = self
            .one_at_a_time
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let left = std::fs::read_to_string(&self.file).ok();
        match left.and_then(|left| left.trim().parse::<u32>().ok()) {
            Some(0) => die(),
            Some(left) => {
                let _ = std::fs::write(&self.file, (left - 1).to_string());
            }
            None => {}
        }
    }
}

/// As `kill -9` does: nothing is written, closed or told.
fn die() {
    let _ = kill_process(getpid(), Signal::KILL);
}

pub(crate) fn ports(ports: Ports, data_dir: &Path) -> Ports {
    let fate = Arc::new(Fate {
        file: data_dir.join("die-at"),
        one_at_a_time: Mutex::new(()),
    });
    Ports {
        vault: Arc::new(Mortal(ports.vault, Arc::clone(&fate))),
        egress: Arc::new(Mortal(ports.egress, fate)),
        ..ports
    }
}

struct Mortal<T: ?Sized>(Arc<T>, Arc<Fate>);

impl<T: ?Sized> Mortal<T> {
    /// A step before and a step after `work`.
    async fn around<R>(&self, work: impl Future<Output = R>) -> R {
        self.1.step();
        let outcome = work.await;
        self.1.step();
        outcome
    }
}

impl Vault for Mortal<dyn Vault> {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Option<Entry<Record>>, VaultError>> {
        self.0.get(key)
    }

    fn page<'a>(
        &'a self,
        listing: &'a Listing,
        after: Option<&'a [u8]>,
        limit: usize,
    ) -> BoxFuture<'a, Result<Page, VaultError>> {
        self.0.page(listing, after, limit)
    }

    fn commit(&self, changes: Vec<Change>) -> BoxFuture<'_, Result<(), VaultError>> {
        Box::pin(self.around(self.0.commit(changes)))
    }

    fn health(&self) -> VaultHealth {
        self.0.health()
    }

    fn is_sealed(&self) -> bool {
        self.0.is_sealed()
    }
}

impl Egress for Mortal<dyn Egress> {
    fn send<'a>(
        &'a self,
        request: &'a HttpRequest,
        route: Route<'a>,
    ) -> BoxFuture<'a, Result<Exchanged, Problem>> {
        Box::pin(self.around(self.0.send(request, route)))
    }

    fn token<'a>(&'a self, call: TokenCall<'a>) -> BoxFuture<'a, TokenReply> {
        Box::pin(self.around(self.0.token(call)))
    }

    fn authorize_device<'a>(
        &'a self,
        call: DeviceCall<'a>,
    ) -> BoxFuture<'a, Result<DeviceAuthorization, Problem>> {
        Box::pin(self.around(self.0.authorize_device(call)))
    }

    fn revoke<'a>(&'a self, call: RevokeCall<'a>) -> BoxFuture<'a, RevokeOutcome> {
        Box::pin(self.around(self.0.revoke(call)))
    }

    fn probe<'a>(&'a self, url: &'a str, reach: Reach<'a>) -> BoxFuture<'a, ProbeReport> {
        self.0.probe(url, reach)
    }

    fn admit(&self, reach: Reach<'_>) -> Result<(), Problem> {
        self.0.admit(reach)
    }

    fn forget(&self) {
        self.0.forget();
    }

    fn certificates(&self, network: &HostNetwork) -> Certificates {
        self.0.certificates(network)
    }

    fn admit_post(&self, url: &str) -> Result<(), Problem> {
        self.0.admit_post(url)
    }

    fn post<'a>(&'a self, post: Post<'a>) -> BoxFuture<'a, Result<u16, Problem>> {
        Box::pin(self.around(self.0.post(post)))
    }
}

pub(crate) fn pages(pages: axum::Router) -> axum::Router {
    pages
}

pub(crate) fn readiness(readiness: Arc<dyn Readiness>) -> Arc<dyn Readiness> {
    readiness
}

pub(crate) fn metrics(_registry: &mut Registry) {}
