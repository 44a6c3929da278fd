//! What is counted. Labels come from closed sets, so that no caller can make new ones.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::{Registry, Unit},
};

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Request {
    service: &'static str,
    method: &'static str,
    code: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Call {
    service: &'static str,
    method: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet, Eq, Hash, PartialEq)]
struct Fetch {
    provider: String,
    result: &'static str,
}

/// The metrics of the API.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    requests: Family<Request, Counter>,
    durations: Family<Call, Histogram>,
    fetches: Family<Fetch, Counter>,
    hoards: Counter,
}

/// From a cached read to a slow forge.
const BUCKETS: [f64; 11] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0,
];

impl Metrics {
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            fetches: Family::default(),
            hoards: Counter::default(),
        };
        registry.register(
            "bindery_grpc_requests",
            "Calls by their status code",
            metrics.requests.clone(),
        );
        registry.register_with_unit(
            "bindery_grpc_request_duration",
            "Time until the answer began",
            Unit::Seconds,
            metrics.durations.clone(),
        );
        registry.register(
            "bindery_credentials_fetched",
            "Credentials asked for, by what became of it",
            metrics.fetches.clone(),
        );
        registry.register(
            "bindery_api_grant_alarms",
            "Callers who fetched credentials of unusually many links within a minute",
            metrics.hoards.clone(),
        );
        metrics
    }

    /// A call has ended, or a stream has begun.
    pub(crate) fn call(
        &self,
        service: &'static str,
        method: &'static str,
        code: &'static str,
        took: Duration,
    ) {
        self.requests
            .get_or_create(&Request {
                service,
                method,
                code,
            })
            .inc();
        self.durations
            .get_or_create(&Call { service, method })
            .observe(took.as_secs_f64());
    }

    /// A credential was asked for. `result` is `ok` or a reason.
    pub(crate) fn fetched(&self, provider: &str, result: &'static str) {
        let provider = provider.to_owned();
        self.fetches
            .get_or_create(&Fetch { provider, result })
            .inc();
    }

    /// A caller collects credentials.
    pub(crate) fn hoarded(&self) {
        self.hoards.inc();
    }
}
