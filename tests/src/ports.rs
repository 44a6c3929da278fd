//! Ports for processes that must be told theirs before they run

use std::{
    net::TcpListener,
    sync::atomic::{AtomicU16, Ordering},
};

use anyhow::{Context, Result};

/// What the kernel gives out by itself, to listeners on port 0 and to outgoing connections (ip(7), `ip_local_port_range`).
const EPHEMERAL: &str = "/proc/sys/net/ipv4/ip_local_port_range";
/// Where that starts on a Linux that nobody changed.
const USUAL_START: u16 = 32_768;
/// Nothing below is given out; services of the machine are there.
const FIRST: u16 = 10_000;
/// Two processes of tests start this far apart, as far as their ids do.
const STRIDE: u32 = 97;

static TAKEN: AtomicU16 = AtomicU16::new(0);

/// A port that nothing listens on, and that the kernel gives to nobody else until its process binds it.
///
/// # Errors
///
/// When every port of the range is in use.
pub fn free_port() -> Result<u16> {
    let range = ephemeral_start().saturating_sub(FIRST).max(1);
    (0..range)
        .map(|_| FIRST + next(range))
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .context("every port below the ephemeral ones is in use")
}

fn next(range: u16) -> u16 {
    let own =
        std::process::id().wrapping_mul(STRIDE) + u32::from(TAKEN.fetch_add(1, Ordering::Relaxed));
    u16::try_from(own % u32::from(range)).unwrap_or_default()
}

fn ephemeral_start() -> u16 {
    let told = std::fs::read_to_string(EPHEMERAL).ok();
    let start = told.and_then(|text| text.split_whitespace().next()?.parse().ok());
    start.filter(|start| *start > FIRST).unwrap_or(USUAL_START)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A port that was given out is not the kernel's to give again, and not given twice.
    #[test]
    fn a_port_is_given_once() {
        let ports: Vec<u16> = (0..100).map(|_| free_port().expect("a port")).collect();
        let apart: std::collections::BTreeSet<_> = ports.iter().collect();
        assert_eq!(apart.len(), ports.len(), "{ports:?}");
        assert!(
            ports.iter().all(|port| *port < ephemeral_start()),
            "{ports:?}"
        );
    }
}
