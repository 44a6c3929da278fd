//! Who may reach the daemon, and how: gRPC, pages.

use std::{net::SocketAddr, path::PathBuf};

use ipnet::IpNet;

use super::{
    check::{absolute, address, network},
    raw,
};

/// gRPC listeners.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Api {
    /// Unix socket.
    pub(crate) socket: PathBuf,
    /// Its mode.
    pub(crate) socket_mode: u32,
    /// Unix socket of the admin services.
    pub(crate) admin_socket: PathBuf,
    /// Calls a second of one caller on one listener in the long run; 0 for no limit.
    pub(crate) requests_per_second: u32,
    /// Calls under way at the same time on one listener.
    pub(crate) calls_at_once: usize,
    /// The same of one caller.
    pub(crate) calls_at_once_per_caller: usize,
    /// Links of one caller within a minute that are told of; 0 for never.
    pub(crate) alarm_links_per_minute: usize,
    /// Mutual TLS; `None` for none.
    pub(crate) tls: Option<Tls>,
}

/// A mutual TLS listener.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Tls {
    /// Address.
    pub(crate) listen: SocketAddr,
    /// Server certificate chain, PEM.
    pub(crate) certificate: PathBuf,
    /// Its key, PEM.
    pub(crate) key: PathBuf,
    /// CA of the clients, PEM.
    pub(crate) client_ca: PathBuf,
    /// Keys of clients that are not let in.
    pub(crate) deny_list: Option<PathBuf>,
}

/// The pages.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Web {
    /// Address; a proxy with TLS stands before it.
    pub(crate) listen: SocketAddr,
    /// Base URL under which browsers reach it.
    pub(crate) public_url: String,
    /// Proxies whose `X-Forwarded-For` is believed, for rate limits by address.
    pub(crate) trusted_proxies: Vec<IpNet>,
}

pub(super) fn api(raw: raw::Api, errors: &mut Vec<String>) -> Api {
    let mode = u32::from_str_radix(&raw.socket_mode, 8)
        .ok()
        .filter(|mode| *mode <= 0o777);
    if mode.is_none_or(|mode| mode & 0o007 != 0) {
        errors.push(
            "api.socket_mode must be an octal mode without rights for others, like \"0660\""
                .to_owned(),
        );
    }
    // A semaphore holds no more than a fraction of what a number can be, and a listener without a place serves nobody.
    let places = 1..=1_000_000;
    if !places.contains(&raw.calls_at_once) || !places.contains(&raw.calls_at_once_per_caller) {
        errors.push(
            "api.calls_at_once and api.calls_at_once_per_caller must be 1 to 1000000".to_owned(),
        );
    }
    Api {
        socket: absolute("api.socket", raw.socket, errors),
        socket_mode: mode.unwrap_or(0o660),
        admin_socket: absolute("api.admin_socket", raw.admin_socket, errors),
        requests_per_second: raw.requests_per_second,
        calls_at_once: raw.calls_at_once,
        calls_at_once_per_caller: raw.calls_at_once_per_caller,
        alarm_links_per_minute: usize::try_from(raw.alarm_links_per_minute).unwrap_or(usize::MAX),
        tls: raw.tls.map(|tls| Tls {
            listen: address("api.tls.listen", &tls.listen, errors),
            certificate: absolute("api.tls.certificate", tls.certificate, errors),
            key: absolute("api.tls.key", tls.key, errors),
            client_ca: absolute("api.tls.client_ca", tls.client_ca, errors),
            deny_list: tls
                .deny_list
                .map(|path| absolute("api.tls.deny_list", path, errors)),
        }),
    }
}

pub(super) fn web(raw: raw::Web, plaintext: bool, errors: &mut Vec<String>) -> Web {
    Web {
        listen: address("web.listen", &raw.listen, errors),
        public_url: public_url(&raw.public_url, plaintext, errors),
        trusted_proxies: raw
            .trusted_proxies
            .iter()
            .filter_map(|text| network("web.trusted_proxies", text, errors))
            .collect(),
    }
}

fn public_url(text: &str, plaintext: bool, errors: &mut Vec<String>) -> String {
    let trimmed = text.trim_end_matches('/');
    let parsed = url::Url::parse(trimmed)
        .ok()
        .filter(|url| url.query().is_none() && url.fragment().is_none());
    let Some(url) = parsed.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
    else {
        errors.push(
            "web.public_url must be set to an absolute https URL, like \"https://bindery.example\""
                .to_owned(),
        );
        return String::new();
    };
    let loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    if url.scheme() == "http" && !loopback && !plaintext {
        errors.push(
            "web.public_url must be https, since authorization codes travel over it; put a proxy with TLS before it"
                .to_owned(),
        );
    }
    trimmed.to_owned()
}
