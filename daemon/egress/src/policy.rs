//! Rules for URLs that need no network: scheme, port, user info, literal addresses.

use std::net::IpAddr;

use bindery_core::{
    exchange::Reach,
    host::{HTTP_FROM, HTTP_PORTS, HTTPS_PORT, HostNetwork},
    problem::{Problem, Reason, Who},
};
use url::{Host as UrlHost, Url};

use crate::{address::AddressRule, failure, tls};

/// Checks all URLs, the CA bundle, the client certificate and the proxy of a host.
pub(crate) fn admit(reach: Reach<'_>) -> Result<(), Problem> {
    let host = reach.host;
    let legs = [
        ("web_url", host.web_url.as_str()),
        ("api_url", &host.api_url),
        ("git_url", host.git_base()),
        ("internal_web_url", host.token_base()),
        ("internal_api_url", host.api_base()),
        ("internal_git_url", host.internal_git_base()),
    ];
    for (field, text) in legs {
        let url = url(text, &host.network).map_err(|problem| problem.with("field", field))?;
        if url.query().is_some() || url.fragment().is_some() {
            let message =
                format!("{field} must end with its path; take away what starts with ? or #");
            return Err(Problem::invalid(field, message));
        }
    }
    if !host.network.proxy_url.is_empty() {
        proxy(&host.network.proxy_url)?;
    }
    tls::client_config(reach).map(drop)
}

/// The URL in `text`, if the network rules let it pass.
pub(crate) fn url(text: &str, network: &HostNetwork) -> Result<Url, Problem> {
    let url = parse(text)?;
    plaintext(&url, network)?;
    port(&url, network)?;
    literal(&url, network)?;
    Ok(url)
}

/// The address that stands in the URL itself, in whichever notation.
pub(crate) fn literal_address(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        UrlHost::Ipv4(address) => Some(IpAddr::V4(address)),
        UrlHost::Ipv6(address) => Some(IpAddr::V6(address)),
        UrlHost::Domain(_) => None,
    }
}

/// The proxy URL in `text`.
pub(crate) fn proxy(text: &str) -> Result<Url, Problem> {
    let wrong = |message: &str| Problem::invalid("proxy_url", message);
    let url = Url::parse(text)
        .map_err(|_| wrong("the proxy URL is no URL; write it like http://proxy.example:3128"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(wrong(
            "the proxy must be an http or https URL; other kinds are not supported",
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong(
            "the proxy URL must not hold a user name or password, because everybody who may read the host entry would see \
             them; give them as the proxy's username and password",
        ));
    }
    match literal_address(&url) {
        Some(address) if !AddressRule::Proxy.permits(address) => Err(failure::address_forbidden(
            url.host_str().unwrap_or_default(),
            address,
        )),
        _ => Ok(url),
    }
}

fn parse(text: &str) -> Result<Url, Problem> {
    let wrong = |message: &str| Problem::new(Reason::InvalidArgument, message);
    let url = Url::parse(text)
        .map_err(|_| wrong("this is no absolute URL; write it like https://git.example.com"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("the URL must start with https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong(
            "the URL must not hold a user name or password; take away what stands before the @",
        ));
    }
    if url
        .host_str()
        .is_none_or(|host| host.is_empty() || host.ends_with('.'))
    {
        return Err(wrong("the URL must name a host without a dot at its end"));
    }
    Ok(url)
}

fn plaintext(url: &Url, network: &HostNetwork) -> Result<(), Problem> {
    if url.scheme() == "https" || network.allow_plaintext {
        return Ok(());
    }
    let host = url.host_str().unwrap_or_default();
    let message = format!(
        "{host} is addressed by http, where credentials travel in clear; use https, or allow plain http for this host \
         entry"
    );
    Err(Problem::new(Reason::InvalidArgument, message).with("host", host))
}

fn port(url: &Url, network: &HostNetwork) -> Result<(), Problem> {
    let port = url.port_or_known_default().unwrap_or_default();
    let usual = match url.scheme() {
        "https" => port == HTTPS_PORT,
        _ => HTTP_PORTS.contains(&port) || port >= HTTP_FROM,
    };
    if usual || network.extra_ports.contains(&port) {
        return Ok(());
    }
    let host = url.host_str().unwrap_or_default();
    let message = format!(
        "port {port} of {host} is not one that {} may use; add it to the ports of this host entry",
        url.scheme()
    );
    Err(Problem::new(Reason::HostPortForbidden, message)
        .act(Who::HostOperator, "")
        .with("host", host)
        .with("port", port.to_string()))
}

fn literal(url: &Url, network: &HostNetwork) -> Result<(), Problem> {
    let rule = AddressRule::Target(network.allowed_networks.clone());
    match literal_address(url) {
        Some(address) if !rule.permits(address) => Err(failure::address_forbidden(
            url.host_str().unwrap_or_default(),
            address,
        )),
        _ => Ok(()),
    }
}
