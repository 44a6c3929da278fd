//! How many flows may be open at the same time, and which one makes room for another (THREATS O9).

use super::{Flow, FlowStage};
use crate::{name::NamespaceName, time::Timestamp};

/// Open flows that one principal may have in one namespace. A principal is a registry with all its users, a namespace is one of
/// them, or their organization: who starts flows and never ends them stands in the own way alone.
pub const FLOWS_PER_NAMESPACE: usize = 5;

/// Open flows that one principal may have in all its namespaces.
pub const FLOWS_PER_PRINCIPAL: usize = 250;

/// Open flows in all.
pub const FLOWS_IN_ALL: usize = 1000;

/// Whether one more flow may be opened.
#[derive(Debug)]
pub enum Room<'a, F> {
    /// There is room.
    Free,
    /// There is, once this one is ended, which nobody has followed yet.
    After(&'a F),
    /// There is none.
    Full,
}

/// Whether `principal` may open one more flow in `namespace`, beside `flows`, at `now`. Where its namespace is full, its oldest
/// flow there makes room that nobody has followed to the forge; one whose start page was not even opened goes first. Flows of
/// other namespaces and principals are never ended for it.
pub fn room<'a, F>(
    flows: &'a [F],
    flow: impl Fn(&F) -> &Flow,
    principal: &str,
    namespace: &NamespaceName,
    now: Timestamp,
) -> Room<'a, F> {
    let open = || flows.iter().filter(|one| flow(one).is_open(now));
    let of_principal = || open().filter(|one| flow(one).principal == principal);
    let own = || of_principal().filter(|one| flow(one).namespace == *namespace);
    if own().count() >= FLOWS_PER_NAMESPACE {
        let unused = own().filter(|one| flow(one).stage == FlowStage::Started);
        let oldest =
            unused.min_by_key(|one| (flow(one).browser_digest.is_some(), flow(one).created));
        return oldest.map_or(Room::Full, Room::After);
    }
    if of_principal().count() >= FLOWS_PER_PRINCIPAL || open().count() >= FLOWS_IN_ALL {
        return Room::Full;
    }
    Room::Free
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::{FlowId, HostName, LinkId};

    fn name(text: &str) -> NamespaceName {
        NamespaceName::parse(text).expect("name")
    }

    /// A flow that was started so many seconds after the beginning.
    fn flow(principal: &str, namespace: &str, second: u64) -> Flow {
        let host = HostName::parse("github.com").expect("host");
        let (id, link) = (FlowId::parse("f"), LinkId::parse("l"));
        let started = Timestamp::default().after(std::time::Duration::from_secs(second));
        let (id, link) = (id.expect("id"), link.expect("id"));
        Flow {
            principal: principal.to_owned(),
            ..Flow::new(id, name(namespace), link, host, started)
        }
    }

    fn at(flows: &[Flow], principal: &str, namespace: &str) -> String {
        let now = Timestamp::default().after(std::time::Duration::from_secs(300));
        match room(flows, |flow| flow, principal, &name(namespace), now) {
            Room::Free => "free".to_owned(),
            Room::Full => "full".to_owned(),
            Room::After(flow) => flow.created.unix_seconds().to_string(),
        }
    }

    /// O9: who opens flows without ending them stands in the own way: the oldest one that nobody followed makes room, and other
    /// namespaces of the same registry don't notice.
    #[test]
    fn o9_a_namespace_makes_room_for_itself() {
        let mut flows: Vec<_> = (1..=5).map(|n| flow("registry", "acme", n)).collect();
        assert_eq!(at(&flows[1..], "registry", "acme"), "free");
        assert_eq!(at(&flows, "registry", "acme"), "1");
        assert_eq!(at(&flows, "registry", "umbrella"), "free");
        assert_eq!(at(&flows, "another", "acme"), "free");
        flows[0].browser_digest = Some([1; 32]);
        assert_eq!(at(&flows, "registry", "acme"), "2");
        for flow in &mut flows[1..] {
            flow.stage = FlowStage::AtForge;
        }
        assert_eq!(at(&flows, "registry", "acme"), "1");
        flows[0].stage = FlowStage::Granted;
        assert_eq!(at(&flows, "registry", "acme"), "full");
        flows[0].stage = FlowStage::Finished;
        assert_eq!(at(&flows, "registry", "acme"), "free");
    }

    /// O9: a principal, and all of them together, have a limit that nothing makes room in.
    #[test]
    fn o9_principals_and_all_are_limited() {
        let of = |principal: &str, count: usize| -> Vec<_> {
            let names = (0..count).map(|n| format!("ns-{n}"));
            names.map(|name| flow(principal, &name, 1)).collect()
        };
        let registry = of("registry", FLOWS_PER_PRINCIPAL);
        assert_eq!(at(&registry[1..], "registry", "acme"), "free");
        assert_eq!(at(&registry, "registry", "acme"), "full");
        assert_eq!(at(&registry, "another", "acme"), "free");
        let all: Vec<_> = (0..4)
            .flat_map(|n| of(&format!("registry-{n}"), FLOWS_PER_PRINCIPAL))
            .collect();
        assert_eq!(all.len(), FLOWS_IN_ALL);
        assert_eq!(at(&all, "another", "acme"), "full");
    }
}
