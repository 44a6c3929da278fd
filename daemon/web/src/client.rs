//! Who calls: an address that limits can be held against.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::HeaderMap;
use ipnet::IpNet;

/// The address at the other end of the connection; an extension of every request that [`serve`](crate::serve()) takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Peer(pub SocketAddr);

/// The address that a request comes from. Proxies that the operator trusts are looked through; what a client itself
/// wrote into the header is never reached.
pub(crate) fn address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let trusts = |address: &IpAddr| trusted.iter().any(|net| net.contains(address));
    let mut nearest = peer.to_canonical();
    let lines: Vec<_> = headers.get_all("x-forwarded-for").into_iter().collect();
    let hops = lines
        .into_iter()
        .rev()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.rsplit(','));
    for hop in hops {
        let (true, Ok(address)) = (trusts(&nearest), hop.trim().parse::<IpAddr>()) else {
            break;
        };
        nearest = address.to_canonical();
    }
    nearest
}

/// What one customer of a network provider holds: an IPv4 address, or a /64.
pub(crate) fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, forwarded: &str) -> String {
        let trusted = ["10.0.0.0/8".parse().expect("network")];
        let mut headers = HeaderMap::new();
        if !forwarded.is_empty() {
            headers.insert("x-forwarded-for", forwarded.parse().expect("header"));
        }
        address(peer.parse().expect("address"), &headers, &trusted).to_string()
    }

    /// D4: nobody but a trusted proxy can say who calls, and only about the one before it.
    #[test]
    fn d4_only_proxies_are_believed() {
        assert_eq!(seen("203.0.113.9", "198.51.100.1"), "203.0.113.9");
        assert_eq!(seen("10.0.0.1", "198.51.100.1"), "198.51.100.1");
        assert_eq!(seen("::ffff:10.0.0.1", "198.51.100.1"), "198.51.100.1");
        assert_eq!(
            seen("10.0.0.1", "1.2.3.4, 198.51.100.1, 10.0.0.2"),
            "198.51.100.1"
        );
        assert_eq!(seen("10.0.0.1", "1.2.3.4, rubbish"), "10.0.0.1");
        assert_eq!(seen("10.0.0.1", ""), "10.0.0.1");
    }

    /// D4: one /64 is one caller.
    #[test]
    fn d4_a_prefix_is_one_caller() {
        let near = |text: &str| neighbourhood(text.parse().expect("address"));
        assert_eq!(near("2001:db8::1"), near("2001:db8::ffff:ffff:ffff:ffff"));
        assert_ne!(near("2001:db8::1"), near("2001:db8:0:1::1"));
        assert_ne!(near("192.0.2.1"), near("192.0.2.2"));
    }
}
