//! Looks step by step how far one gets to a URL. Sends no secret but the proxy's password, to the proxy.

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use bindery_core::{
    exchange::{ProbeReport, Reach},
    problem::{Problem, Reason},
};
use reqwest::{Method, Request};
use rustls_pki_types::ServerName;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_rustls::TlsConnector;
use url::Url;

use crate::{
    Limits,
    clients::Clients,
    exchange::{self, Answer},
    failure, policy,
    resolve::ResolveError,
    tls,
};

/// Probes `url`. Through a proxy, name and connection are the proxy's, and TLS is judged by the answer.
pub(crate) async fn run(
    clients: &Clients,
    limits: Limits,
    url: &str,
    reach: Reach<'_>,
) -> ProbeReport {
    let prober = Prober {
        clients,
        limits,
        reach,
    };
    let mut report = ProbeReport::default();
    // What the rules forbid is told as the first step's problem, because that step was refused.
    if let Err(problem) = prober.steps(&mut report, url).await {
        report.dns = Some(Err(problem));
    }
    report
}

struct Prober<'a> {
    clients: &'a Clients,
    limits: Limits,
    reach: Reach<'a>,
}

impl Prober<'_> {
    async fn steps(&self, report: &mut ProbeReport, url: &str) -> Result<(), Problem> {
        let network = &self.reach.host.network;
        let url = policy::url(url, network)?;
        let proxied = !network.proxy_url.is_empty();
        let next = if proxied {
            policy::proxy(&network.proxy_url)?
        } else {
            url.clone()
        };
        let Some(addresses) = self.resolve(report, &next).await else {
            return Ok(());
        };
        let Some(stream) = self.connect(report, &next, &addresses).await else {
            return Ok(());
        };
        if url.scheme() == "https" && !proxied {
            self.handshake(report, &url, stream).await;
            if matches!(report.tls, Some(Err(_))) {
                return Ok(());
            }
        }
        self.http(report, url).await;
        Ok(())
    }

    async fn resolve(&self, report: &mut ProbeReport, url: &Url) -> Option<Vec<SocketAddr>> {
        let (found, took) = timed(self.addresses(report, url)).await;
        report.took.dns = Some(took);
        let texts = |found: &Vec<SocketAddr>| {
            let texts = found.iter().map(|address| address.ip().to_string());
            texts.collect::<Vec<_>>().join(", ")
        };
        report.dns = Some(found.as_ref().map(texts).map_err(Clone::clone));
        found.ok()
    }

    async fn addresses(
        &self,
        report: &mut ProbeReport,
        url: &Url,
    ) -> Result<Vec<SocketAddr>, Problem> {
        let port = url.port_or_known_default().unwrap_or_default();
        if let Some(address) = policy::literal_address(url) {
            report.addresses = vec![address];
            return Ok(vec![SocketAddr::new(address, port)]);
        }
        let host = url.host_str().unwrap_or_default();
        let resolver = self.clients.resolver(&self.reach.host.network);
        let found = match timeout(self.limits.connect, resolver.found(host)).await {
            Ok(found) => found.map_err(|error| failure::resolve(&error, host))?,
            Err(_) => return Err(unresolved_in_time(host)),
        };
        report.addresses.clone_from(&found);
        let permitted = resolver.permitted(found);
        let permitted = permitted.map_err(|error: ResolveError| failure::resolve(&error, host))?;
        let permitted = permitted.into_iter();
        Ok(permitted.map(|ip| SocketAddr::new(ip, port)).collect())
    }

    async fn connect(
        &self,
        report: &mut ProbeReport,
        url: &Url,
        addresses: &[SocketAddr],
    ) -> Option<TcpStream> {
        let host = url.host_str().unwrap_or_default();
        let connecting = async {
            let stream = TcpStream::connect(addresses).await?;
            let to = stream.peer_addr()?;
            Ok::<_, std::io::Error>((stream, to))
        };
        let (connected, took) = timed(timeout(self.limits.connect, connecting)).await;
        report.took.tcp = Some(took);
        let connected = match connected {
            Ok(connected) => connected.map_err(|error| failure::classify(&error, host)),
            Err(_) => Err(failure::unreachable(host, "it did not answer in time")),
        };
        let to = connected.as_ref().map(|(_, to)| to.to_string());
        report.tcp = Some(to.map_err(Clone::clone));
        connected.ok().map(|(stream, _)| stream)
    }

    async fn handshake(&self, report: &mut ProbeReport, url: &Url, stream: TcpStream) {
        let (config, witness) = match tls::witnessed(self.reach) {
            Ok(both) => both,
            Err(problem) => {
                report.tls = Some(Err(problem));
                return;
            }
        };
        let connector = TlsConnector::from(Arc::new(config));
        let (shaken, took) = timed(self.shake(&connector, url, stream)).await;
        report.took.tls = Some(took);
        report.tls = Some(shaken);
        let shown = witness.shown();
        report.certificate = shown.and_then(|shown| tls::facts::server(&shown));
    }

    async fn shake(
        &self,
        connector: &TlsConnector,
        url: &Url,
        stream: TcpStream,
    ) -> Result<String, Problem> {
        let host = url.host_str().unwrap_or_default();
        // Brackets belong to the URL, not to the IPv6 address that a certificate names.
        let bare = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let name = ServerName::try_from(bare)
            .map_err(|_| failure::unusable(host, "its name can't stand in a certificate"))?;
        match timeout(self.limits.connect, connector.connect(name, stream)).await {
            Ok(Ok(stream)) => {
                let version = stream.get_ref().1.protocol_version();
                let version = version.and_then(|version| version.as_str());
                Ok(version.unwrap_or("TLS").to_owned())
            }
            Ok(Err(error)) => Err(failure::classify(&error, host)),
            Err(_) => Err(failure::unreachable(
                host,
                "the TLS handshake took too long",
            )),
        }
    }

    async fn http(&self, report: &mut ProbeReport, url: Url) {
        let asking = async {
            let client = self.clients.fresh(self.reach)?;
            let request = Request::new(Method::GET, url);
            exchange::run(&client, request, &self.limits, self.limits.body)
                .await
                .map_err(|failure| failure.problem)
        };
        let (outcome, took) = timed(asking).await;
        report.took.http = Some(took);
        report.date_unix = outcome.as_ref().ok().and_then(date);
        report.http_status = outcome.as_ref().map_or(0, |answer| answer.status);
        match outcome {
            Err(problem) if problem.reason == Reason::HostCertificateUnknown => {
                report.tls = Some(Err(problem));
            }
            outcome => {
                report.http = Some(outcome.map(|answer| format!("status {}", answer.status)))
            }
        }
    }
}

async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let start = Instant::now();
    let outcome = work.await;
    (outcome, start.elapsed())
}

fn date(answer: &Answer) -> Option<u64> {
    let text = answer.headers.get(http::header::DATE)?.to_str().ok()?;
    let date = httpdate::parse_http_date(text).ok()?;
    let since = date.duration_since(std::time::SystemTime::UNIX_EPOCH);
    since.ok().map(|since| since.as_secs())
}

fn unresolved_in_time(host: &str) -> Problem {
    let message =
        format!("the name {host} was not resolved in time; check the name servers of this machine");
    Problem::new(Reason::HostNameUnresolved, message).with("host", host)
}
