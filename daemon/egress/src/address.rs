//! Which addresses may be connected to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Checks resolved addresses for one set of network rules.
#[derive(Clone, Debug)]
pub(crate) enum AddressRule {
    /// Public addresses, and what the operator allows.
    Target(Vec<IpNet>),
    /// Anything but metadata services: the operator named this machine as the proxy.
    Proxy,
}

impl AddressRule {
    /// Whether `address` may be connected to.
    pub(crate) fn permits(&self, address: IpAddr) -> bool {
        let forms = forms(address);
        if forms.iter().any(|form| is_metadata(*form)) {
            return false;
        }
        match self {
            Self::Proxy => true,
            Self::Target(allowed) => {
                let named = |form: &IpAddr| allowed.iter().any(|net| net.contains(form));
                forms.iter().any(named) || forms.iter().all(|form| is_public(*form))
            }
        }
    }
}

/// The address, and every IPv4 address that it carries within. An IPv4-mapped address is only what it maps to, because
/// that is what the kernel connects to.
fn forms(address: IpAddr) -> Vec<IpAddr> {
    match address {
        IpAddr::V4(_) => vec![address],
        IpAddr::V6(six) => match six.to_ipv4_mapped() {
            Some(four) => vec![IpAddr::V4(four)],
            None => std::iter::once(address)
                .chain(embedded(six).into_iter().map(IpAddr::V4))
                .collect(),
        },
    }
}

/// IPv4 addresses inside of transition addresses.
fn embedded(address: Ipv6Addr) -> Vec<Ipv4Addr> {
    let s = address.segments();
    let four = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match s {
        [0x2002, high, low, ..] => vec![four(high, low)],
        [0x2001, 0, high, low, .., hidden_high, hidden_low] => {
            vec![four(high, low), four(!hidden_high, !hidden_low)]
        }
        // NAT64 (RFC 6052, and RFC 8215's local prefix), IPv4-translated, IPv4-compatible and ISATAP.
        [0x64, 0xff9b, .., high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0, 0, 0, 0, 0, 0, high, low]
        | [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => vec![four(high, low)],
        _ => Vec::new(),
    }
}

/// Services of clouds that hand out the machine's credentials to anybody who asks from within.
fn is_metadata(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => METADATA_V4.contains(&address),
        IpAddr::V6(address) => METADATA_V6.contains(&address),
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !SPECIAL_V4.iter().any(|net| net.contains(&address)),
        // Global unicast is the only space that is handed out, so here the list says what may pass.
        IpAddr::V6(address) => {
            GLOBAL_V6.iter().any(|net| net.contains(&address))
                && !SPECIAL_V6.iter().any(|net| net.contains(&address))
        }
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(s: [u16; 4], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(s[0], s[1], s[2], s[3], 0, 0, 0, 0), prefix)
}

const METADATA_V4: [Ipv4Addr; 9] = [
    Ipv4Addr::new(169, 254, 169, 254), // most clouds
    Ipv4Addr::new(169, 254, 169, 253), // AWS resolver
    Ipv4Addr::new(169, 254, 170, 2),   // AWS ECS
    Ipv4Addr::new(169, 254, 170, 23),  // AWS EKS
    Ipv4Addr::new(169, 254, 42, 42),   // Scaleway
    Ipv4Addr::new(169, 254, 0, 23),    // Tencent
    Ipv4Addr::new(100, 100, 100, 200), // Alibaba
    Ipv4Addr::new(168, 63, 129, 16),   // Azure
    Ipv4Addr::new(192, 0, 0, 192),     // Oracle
];

const METADATA_V6: [Ipv6Addr; 4] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), // AWS
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),  // AWS EKS
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),  // Google
    Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42),   // Scaleway
];

const SPECIAL_V4: [Ipv4Net; 15] = [
    v4(0, 0, 0, 0, 8),       // this network
    v4(10, 0, 0, 0, 8),      // private
    v4(100, 64, 0, 0, 10),   // carrier-grade NAT
    v4(127, 0, 0, 0, 8),     // loopback
    v4(169, 254, 0, 0, 16),  // link-local
    v4(172, 16, 0, 0, 12),   // private
    v4(192, 0, 0, 0, 24),    // protocol assignments
    v4(192, 0, 2, 0, 24),    // documentation
    v4(192, 88, 99, 0, 24),  // 6to4 relays
    v4(192, 168, 0, 0, 16),  // private
    v4(198, 18, 0, 0, 15),   // benchmarks
    v4(198, 51, 100, 0, 24), // documentation
    v4(203, 0, 113, 0, 24),  // documentation
    v4(224, 0, 0, 0, 4),     // multicast
    v4(240, 0, 0, 0, 4),     // reserved and broadcast
];

const GLOBAL_V6: [Ipv6Net; 2] = [
    v6([0x2000, 0, 0, 0], 3),
    // NAT64's well-known prefix; the address within is checked by itself.
    Ipv6Net::new_assert(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96),
];

const SPECIAL_V6: [Ipv6Net; 5] = [
    v6([0x2001, 2, 0, 0], 48),     // benchmarks
    v6([0x2001, 0x10, 0, 0], 28),  // ORCHID
    v6([0x2001, 0x20, 0, 0], 28),  // ORCHID v2
    v6([0x2001, 0xdb8, 0, 0], 32), // documentation
    v6([0x3fff, 0, 0, 0], 20),     // documentation
];
