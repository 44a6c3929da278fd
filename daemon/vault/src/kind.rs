//! Kinds of records: their numbers, their trees, and how long they may be.

use bindery_core::port::Record;
use bindery_store::Tree;

macro_rules! kinds {
    ($($kind:ident = $code:literal in $tree:literal,)*) => {
        /// Kinds of records. The numbers are part of what is sealed and never change.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[repr(u8)]
        pub(crate) enum Kind { $($kind = $code,)* }

        impl Kind {
            /// All of them, in the order of their numbers.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// The tree that holds its records.
            pub(crate) const fn tree(self) -> Tree {
                match self { $(Self::$kind => const { Tree::new($tree) },)* }
            }

            /// The kind of a record.
            pub(crate) const fn of(record: &Record) -> Self {
                match record { $(Record::$kind(_) => Self::$kind,)* }
            }
        }
    };
}

kinds! {
    Host = 1 in "hosts",
    HostSecrets = 2 in "host-secrets",
    Namespace = 3 in "namespaces",
    Link = 4 in "links",
    Grant = 5 in "grants",
    Flow = 6 in "flows",
    Intent = 7 in "intents",
    Receipt = 8 in "receipts",
    Request = 9 in "requests",
    PendingGrant = 10 in "pending-grants",
    Lease = 11 in "leases",
    LeaseToken = 12 in "lease-tokens",
    Source = 13 in "sources",
    Hook = 14 in "hooks",
    HookSecrets = 15 in "hook-secrets",
    HookPlace = 16 in "hook-places",
    KnownRefs = 17 in "known-refs",
    Delivery = 18 in "deliveries",
    DeliveryMark = 19 in "delivery-marks",
    DeliveryHead = 20 in "delivery-head",
    Event = 21 in "events",
    EventHead = 22 in "event-heads",
    Consumer = 23 in "consumers",
    Trigger = 24 in "triggers",
    TriggerSecret = 25 in "trigger-secrets",
    TriggerPlace = 26 in "trigger-places",
    Subscription = 27 in "subscriptions",
    SubscriptionSecret = 28 in "subscription-secrets",
    Outgoing = 29 in "outgoing",
    HookRotation = 30 in "hook-rotations",
    AuditHead = 31 in "audit-head",
}

impl Kind {
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }

    /// The longest sealed value, in bytes.
    pub(crate) const fn longest(self) -> usize {
        if self.is_bulky() { BULKY } else { PLAIN }
    }

    /// How many records are read at once where all are gone through, so that memory stays bounded however long they are.
    pub(crate) const fn at_once(self) -> usize {
        if self.is_bulky() { 8 } else { 500 }
    }

    /// Whether its records grow with what a provider sends, or with the number of refs or hooks.
    pub(crate) const fn is_bulky(self) -> bool {
        matches!(
            self,
            Self::KnownRefs | Self::Delivery | Self::Event | Self::HookRotation
        )
    }
}

/// A host may bring a CA bundle of 256 KiB, a client certificate of 64 KiB, and its texts.
const PLAIN: usize = 512 << 10;
/// A delivery may bring a body of 8 MiB, and its headers. The other three stay below: about 40,000 refs, an event with 100
/// commits of 4 KiB and 1,000 paths, a rotation of 20,000 hooks.
const BULKY: usize = (8 << 20) + PLAIN;

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers and trees are on disk: each is there once, and the numbers have no gap.
    #[test]
    fn numbers_and_trees_are_distinct() {
        let codes: Vec<_> = Kind::ALL.iter().map(|kind| kind.code()).collect();
        assert_eq!(codes, (1..=31).collect::<Vec<_>>());
        let mut trees: Vec<_> = Kind::ALL.iter().map(|kind| kind.tree().name()).collect();
        trees.sort_unstable();
        trees.dedup();
        assert_eq!(trees.len(), Kind::ALL.len());
    }

    /// What is read at once fits into a small machine, for every kind.
    #[test]
    fn what_is_read_at_once_is_bounded() {
        for kind in Kind::ALL {
            assert!(kind.longest() * kind.at_once() <= 256 << 20, "{kind:?}");
        }
    }
}
