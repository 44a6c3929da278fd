//! Looks step by step how far one gets to a URL. Sends no secret.

use std::{net::SocketAddr, sync::Arc};

use bindery_core::{
    exchange::ProbeReport,
    host::HostNetwork,
    problem::{Problem, Reason},
};
use reqwest::{Method, Request};
use rustls_pki_types::ServerName;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;
use url::Url;

use crate::{
    Limits,
    clients::Clients,
    exchange::{self, Answer},
    failure, policy, tls,
};

/// Probes `url`. Through a proxy, name and connection are the proxy's, and TLS is judged by the answer.
pub(crate) async fn run(
    clients: &Clients,
    limits: Limits,
    url: &str,
    network: &HostNetwork,
) -> ProbeReport {
    let mut report = ProbeReport::default();
    // What the rules forbid is told as the first step's problem, because that step was refused.
    if let Err(problem) = steps(&mut report, clients, limits, url, network).await {
        report.dns = Some(Err(problem));
    }
    report
}

async fn steps(
    report: &mut ProbeReport,
    clients: &Clients,
    limits: Limits,
    url: &str,
    network: &HostNetwork,
) -> Result<(), Problem> {
    let url = policy::url(url, network)?;
    let proxied = !network.proxy_url.is_empty();
    let next = if proxied {
        policy::proxy(&network.proxy_url)?
    } else {
        url.clone()
    };
    let found = resolve(clients, limits, &next, network).await;
    report.dns = Some(
        found
            .as_ref()
            .map(|found| list(found))
            .map_err(Clone::clone),
    );
    let Ok(addresses) = found else { return Ok(()) };

    let connected = connect(limits, &next, &addresses).await;
    report.tcp = Some(
        connected
            .as_ref()
            .map(|(_, to)| to.to_string())
            .map_err(Clone::clone),
    );
    let Ok((stream, _)) = connected else {
        return Ok(());
    };

    if url.scheme() == "https" && !proxied {
        let shaken = handshake(limits, &url, network, stream).await;
        let failed = shaken.is_err();
        report.tls = Some(shaken);
        if failed {
            return Ok(());
        }
    }
    http(report, clients, limits, url, network).await;
    Ok(())
}

async fn resolve(
    clients: &Clients,
    limits: Limits,
    url: &Url,
    network: &HostNetwork,
) -> Result<Vec<SocketAddr>, Problem> {
    let port = url.port_or_known_default().unwrap_or_default();
    if let Some(address) = policy::literal_address(url) {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let host = url.host_str().unwrap_or_default();
    let resolver = clients.resolver(network);
    let found = match timeout(limits.connect, resolver.addresses(host)).await {
        Ok(found) => found.map_err(|error| failure::resolve(&error, host))?,
        Err(_) => {
            let message = format!(
                "the name {host} was not resolved in time; check the name servers of this machine"
            );
            return Err(Problem::new(Reason::HostNameUnresolved, message).with("host", host));
        }
    };
    Ok(found
        .into_iter()
        .map(|ip| SocketAddr::new(ip, port))
        .collect())
}

async fn connect(
    limits: Limits,
    url: &Url,
    addresses: &[SocketAddr],
) -> Result<(TcpStream, SocketAddr), Problem> {
    let host = url.host_str().unwrap_or_default();
    let connecting = async {
        let stream = TcpStream::connect(addresses).await?;
        let to = stream.peer_addr()?;
        Ok::<_, std::io::Error>((stream, to))
    };
    match timeout(limits.connect, connecting).await {
        Ok(connected) => connected.map_err(|error| failure::classify(&error, host)),
        Err(_) => Err(failure::unreachable(host, "it did not answer in time")),
    }
}

async fn handshake(
    limits: Limits,
    url: &Url,
    network: &HostNetwork,
    stream: TcpStream,
) -> Result<String, Problem> {
    let host = url.host_str().unwrap_or_default();
    let connector = TlsConnector::from(Arc::new(tls::client_config(&network.ca_bundle_pem)?));
    // Brackets belong to the URL, not to the IPv6 address that a certificate names.
    let bare = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned();
    let name = ServerName::try_from(bare)
        .map_err(|_| failure::unusable(host, "its name can't stand in a certificate"))?;
    match timeout(limits.connect, connector.connect(name, stream)).await {
        Ok(Ok(stream)) => {
            let version = stream.get_ref().1.protocol_version();
            Ok(version
                .and_then(|version| version.as_str())
                .unwrap_or("TLS")
                .to_owned())
        }
        Ok(Err(error)) => Err(failure::classify(&error, host)),
        Err(_) => Err(failure::unreachable(
            host,
            "the TLS handshake took too long",
        )),
    }
}

async fn http(
    report: &mut ProbeReport,
    clients: &Clients,
    limits: Limits,
    url: Url,
    network: &HostNetwork,
) {
    let outcome = match clients.fresh(network) {
        Ok(client) => {
            let request = Request::new(Method::GET, url);
            exchange::run(&client, request, &limits, limits.body)
                .await
                .map_err(|failure| failure.problem)
        }
        Err(problem) => Err(problem),
    };
    report.date_unix = outcome.as_ref().ok().and_then(date);
    let outcome = outcome.map(|answer| format!("status {}", answer.status));
    match outcome {
        Err(problem) if problem.reason == Reason::HostCertificateUnknown => {
            report.tls = Some(Err(problem));
        }
        outcome => report.http = Some(outcome),
    }
}

fn date(answer: &Answer) -> Option<u64> {
    let text = answer.headers.get(http::header::DATE)?.to_str().ok()?;
    let date = httpdate::parse_http_date(text).ok()?;
    let since = date.duration_since(std::time::SystemTime::UNIX_EPOCH);
    since.ok().map(|since| since.as_secs())
}

fn list(addresses: &[SocketAddr]) -> String {
    let texts: Vec<_> = addresses
        .iter()
        .map(|address| address.ip().to_string())
        .collect();
    texts.join(", ")
}
