//! Checks that several sections share.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use ipnet::IpNet;

pub(super) fn hours(count: u32) -> Duration {
    Duration::from_secs(3600 * u64::from(count))
}

pub(super) fn minutes(count: u32) -> Duration {
    Duration::from_secs(60 * u64::from(count))
}

pub(super) fn days(count: u16) -> Duration {
    Duration::from_secs(86_400 * u64::from(count))
}

pub(super) fn network(key: &str, text: &str, errors: &mut Vec<String>) -> Option<IpNet> {
    let parsed = text
        .parse()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .ok();
    if parsed.is_none() {
        errors.push(format!(
            "{key}: {text:?} must be an address or a range, like \"10.0.0.0/8\""
        ));
    }
    parsed
}

pub(super) fn absolute(key: &str, path: PathBuf, errors: &mut Vec<String>) -> PathBuf {
    if !path.is_absolute() {
        errors.push(format!(
            "{key} must be an absolute path, not {:?}",
            path.display().to_string()
        ));
    }
    path
}

pub(super) fn address(key: &str, text: &str, errors: &mut Vec<String>) -> SocketAddr {
    text.parse().unwrap_or_else(|_| {
        errors.push(format!(
            "{key} must be an address and a port, like \"127.0.0.1:7080\", not {text:?}"
        ));
        SocketAddr::from(([127, 0, 0, 1], 0))
    })
}

pub(super) const fn mebibytes(count: u64) -> u64 {
    count.saturating_mul(1024 * 1024)
}
