//! `grpc.health.v1`: whether the daemon can serve, asked of the vault each time.

use std::{pin::Pin, time::Duration};

use bindery_core::port::VaultHealth;
use bindery_engine::Engine;
use futures_util::{Stream, StreamExt, stream};
use tonic::{Request, Response, Status};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
    health_server::Health,
};

/// How often a watcher is told of a change at the latest.
const LOOK: Duration = Duration::from_secs(1);

/// Answers for the daemon as a whole and for each of its services.
#[derive(Clone, Debug)]
pub(crate) struct HealthService {
    engine: Engine,
    services: &'static [&'static str],
}

impl HealthService {
    pub(crate) const fn new(engine: Engine, services: &'static [&'static str]) -> Self {
        Self { engine, services }
    }

    fn status(&self) -> ServingStatus {
        match self.engine.health() {
            VaultHealth::Serving | VaultHealth::LowSpace => ServingStatus::Serving,
            VaultHealth::ReadOnly | VaultHealth::Stalled | VaultHealth::Sealed => {
                ServingStatus::NotServing
            }
        }
    }

    fn knows(&self, service: &str) -> bool {
        service.is_empty() || self.services.contains(&service)
    }
}

#[tonic::async_trait]
impl Health for HealthService {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if !self.knows(&request.get_ref().service) {
            return Err(Status::not_found("this service is not known here"));
        }
        Ok(Response::new(answer(self.status())))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let service = self.clone();
        let known = service.knows(&request.get_ref().service);
        let looks = tokio_stream::wrappers::IntervalStream::new(tokio::time::interval(LOOK));
        let states = looks.map(move |_| {
            if known {
                service.status()
            } else {
                ServingStatus::ServiceUnknown
            }
        });
        let mut last = None;
        let changes = states.filter_map(move |state| {
            let news = (last.replace(state) != Some(state)).then(|| Ok(answer(state)));
            std::future::ready(news)
        });
        Ok(Response::new(Box::pin(changes.chain(stream::empty()))))
    }
}

fn answer(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status.into(),
    }
}
