//! The port policy of a host.

use std::collections::BTreeSet;

use bindery_core::host::{HTTP_FROM, HTTP_PORTS, HTTPS_PORT, HostNetwork};
use bindery_proto::v1::host as part;

use crate::fields::Fields;

/// Additional ports that a host may have.
const MOST_PORTS: usize = 256;

/// Absent for the default policy, which has no `http` at all.
pub(super) fn policy(network: &HostNetwork) -> Option<part::PortPolicy> {
    let one = |port: &u16| part::PortRange {
        first: (*port).into(),
        last: 0,
    };
    let extra = network.extra_ports.iter();
    let mut policy = part::PortPolicy::default();
    if network.allow_plaintext {
        policy.http_ports = HTTP_PORTS.iter().chain(extra.clone()).map(one).collect();
        policy.http_ports.push(part::PortRange {
            first: HTTP_FROM.into(),
            last: u16::MAX.into(),
        });
    }
    if !network.extra_ports.is_empty() {
        policy.https_ports = std::iter::once(&HTTPS_PORT).chain(extra).map(one).collect();
    }
    (policy != part::PortPolicy::default()).then_some(policy)
}

/// Ports beyond the default ones, and whether `http` is allowed: it is where the policy has ports for it.
pub(super) fn read(fields: &mut Fields, policy: Option<&part::PortPolicy>) -> (Vec<u16>, bool) {
    let Some(policy) = policy else {
        return (Vec::new(), false);
    };
    let mut extra = BTreeSet::new();
    let default = |port: u16| port >= HTTP_FROM || HTTP_PORTS.contains(&port);
    for range in &policy.http_ports {
        let ports = range_of(fields, "host.port_policy.http_ports", range);
        extra.extend(ports.filter(|port| !default(*port)).take(MOST_PORTS + 1));
    }
    for range in &policy.https_ports {
        let ports = range_of(fields, "host.port_policy.https_ports", range);
        extra.extend(
            ports
                .filter(|port| *port != HTTPS_PORT)
                .take(MOST_PORTS + 1),
        );
    }
    let few = extra.len() <= MOST_PORTS;
    fields.check(
        few,
        "host.port_policy",
        "names more than 256 ports beyond the default ones; name fewer",
    );
    (extra.into_iter().collect(), !policy.http_ports.is_empty())
}

/// Nothing at all where the range is none.
fn range_of(
    fields: &mut Fields,
    field: &str,
    range: &part::PortRange,
) -> impl Iterator<Item = u16> {
    let last = if range.last == 0 {
        range.first
    } else {
        range.last
    };
    match (u16::try_from(range.first), u16::try_from(last)) {
        (Ok(first), Ok(last)) if 0 < first && first <= last => Some(first..=last),
        _ => {
            fields.refuse(field, "holds a range that is not between 1 and 65535");
            None
        }
    }
    .into_iter()
    .flatten()
}
