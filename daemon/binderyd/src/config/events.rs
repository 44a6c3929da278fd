//! From a push to the registry: webhooks, events, subscriptions.

use std::time::Duration;

use bindery_engine::{events::EventRetention, intake::LONGEST_BODY};

use super::{
    check::{days, mebibytes, minutes, network},
    raw,
};

/// Webhooks and their deliveries.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Hooks {
    /// What deliveries may take.
    pub(crate) limits: bindery_engine::intake::Limits,
    /// Time between two looks at a hook; zero for none.
    pub(crate) check_interval: Duration,
    /// Time between two comparisons of refs for sources that say nothing; zero for none.
    pub(crate) reconcile_interval: Duration,
}

pub(super) fn hooks(raw: &raw::Hooks, errors: &mut Vec<String>) -> Hooks {
    let least = [
        ("max_body_mib", u32::from(raw.max_body_mib)),
        ("deliveries_per_second", raw.deliveries_per_second),
        (
            "deliveries_per_second_in_all",
            raw.deliveries_per_second_in_all,
        ),
        ("max_waiting", raw.max_waiting),
        ("keep_days", u32::from(raw.keep_days)),
        ("keep_mib", raw.keep_mib),
    ];
    at_least_one("hooks", &least, errors);
    let most = LONGEST_BODY >> 20;
    if usize::from(raw.max_body_mib) > most {
        errors.push(format!("hooks.max_body_mib must be at most {most}"));
    }
    Hooks {
        limits: bindery_engine::intake::Limits {
            body_bytes: usize::from(raw.max_body_mib) << 20,
            per_hook: raw.deliveries_per_second,
            in_all: raw.deliveries_per_second_in_all,
            waiting: usize::try_from(raw.max_waiting).unwrap_or(usize::MAX),
            kept: days(raw.keep_days),
            kept_bytes: mebibytes(u64::from(raw.keep_mib)),
        },
        check_interval: minutes(raw.check_interval_minutes),
        reconcile_interval: minutes(raw.reconcile_interval_minutes),
    }
}

pub(super) fn retention(raw: &raw::Events, errors: &mut Vec<String>) -> EventRetention {
    let least = [
        ("keep_days", u32::from(raw.keep_days)),
        ("keep_count", raw.keep_count),
        ("keep_mib", raw.keep_mib),
    ];
    at_least_one("events", &least, errors);
    EventRetention {
        time: days(raw.keep_days),
        count: u64::from(raw.keep_count),
        bytes: mebibytes(u64::from(raw.keep_mib)),
    }
}

fn at_least_one(section: &str, values: &[(&str, u32)], errors: &mut Vec<String>) {
    for (key, _) in values.iter().filter(|(_, value)| *value == 0) {
        errors.push(format!("{section}.{key} must be at least 1"));
    }
}

pub(super) fn registries(
    raw: raw::Subscriptions,
    errors: &mut Vec<String>,
) -> bindery_egress::Registries {
    if raw.allow_ports.contains(&0) {
        errors.push("subscriptions.allow_ports must not hold 0".to_owned());
    }
    let key = "subscriptions.allow_networks";
    let networks = raw.allow_networks.iter();
    bindery_egress::Registries {
        allow_networks: networks
            .filter_map(|text| network(key, text, errors))
            .collect(),
        allow_ports: raw.allow_ports,
    }
}
