//! Where a record is kept, computed from what the reader asks for.
//!
//! A store key is 32 bytes: 16 of the namespace, so that one namespace is one range of keys, and 16 of the record. Both
//! are MACs, so that names don't show on disk. What else a reader must know to open a record is its *binding*.

use ring::digest;

use bindery_core::{
    name::HostName,
    origin::OriginSet,
    port::{Key, Listing, Record},
};
use bindery_store::Tree;

use crate::{crypto::mac_parts, keys::Keys};

/// Kinds of records. The numbers are part of what is sealed and never change.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub(crate) enum Kind {
    Host = 1,
    HostSecrets = 2,
    Namespace = 3,
    Link = 4,
    Grant = 5,
    Flow = 6,
    Intent = 7,
    Receipt = 8,
    Request = 9,
    PendingGrant = 10,
    Lease = 11,
    LeaseToken = 12,
}

/// Where a record is kept, and what it is bound to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Address {
    pub(crate) place: Place,
    /// MAC of the host and the allowed origins; zeros for a record that is not bound to any.
    pub(crate) binding: [u8; 16],
}

/// Where a record is kept.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Place {
    pub(crate) kind: Kind,
    pub(crate) key: [u8; 32],
}

impl Kind {
    pub(crate) const ALL: [Self; 12] = [
        Self::Host,
        Self::HostSecrets,
        Self::Namespace,
        Self::Link,
        Self::Grant,
        Self::Flow,
        Self::Intent,
        Self::Receipt,
        Self::Request,
        Self::PendingGrant,
        Self::Lease,
        Self::LeaseToken,
    ];

    /// The tree that holds its records.
    pub(crate) const fn tree(self) -> Tree {
        match self {
            Self::Host => const { Tree::new("hosts") },
            Self::HostSecrets => const { Tree::new("host-secrets") },
            Self::Namespace => const { Tree::new("namespaces") },
            Self::Link => const { Tree::new("links") },
            Self::Grant => const { Tree::new("grants") },
            Self::Flow => const { Tree::new("flows") },
            Self::Intent => const { Tree::new("intents") },
            Self::Receipt => const { Tree::new("receipts") },
            Self::Request => const { Tree::new("requests") },
            Self::PendingGrant => const { Tree::new("pending-grants") },
            Self::Lease => const { Tree::new("leases") },
            Self::LeaseToken => const { Tree::new("lease-tokens") },
        }
    }

    pub(crate) const fn code(self) -> u8 {
        self as u8
    }

    /// The kind of a record.
    pub(crate) const fn of(record: &Record) -> Self {
        match record {
            Record::Host(_) => Self::Host,
            Record::HostSecrets(_) => Self::HostSecrets,
            Record::Namespace(_) => Self::Namespace,
            Record::Link(_) => Self::Link,
            Record::Grant(_) => Self::Grant,
            Record::Flow(_) => Self::Flow,
            Record::Intent(_) => Self::Intent,
            Record::Receipt(_) => Self::Receipt,
            Record::Request(_) => Self::Request,
            Record::PendingGrant(_) => Self::PendingGrant,
            Record::Lease(_) => Self::Lease,
            Record::LeaseToken(_) => Self::LeaseToken,
        }
    }
}

impl Keys {
    /// Where the record is that is asked for.
    pub(crate) fn address(&self, key: &Key) -> Address {
        let (place, binding) = match key {
            Key::Host(name) => (self.place(Kind::Host, "", name.as_str()), [0; 16]),
            Key::HostSecrets(host, origins) => (
                self.place(Kind::HostSecrets, "", host.as_str()),
                self.binding(host, origins),
            ),
            Key::Namespace(name) => (self.place(Kind::Namespace, "", name.as_str()), [0; 16]),
            Key::Link(namespace, id) => (
                self.place(Kind::Link, namespace.as_str(), id.as_str()),
                [0; 16],
            ),
            Key::Grant(namespace, id, host, origins) => (
                self.place(Kind::Grant, namespace.as_str(), id.as_str()),
                self.binding(host, origins),
            ),
            Key::Flow(id) => (self.place(Kind::Flow, "", id.as_str()), [0; 16]),
            Key::Intent(namespace, id) => (
                self.place(Kind::Intent, namespace.as_str(), id.as_str()),
                [0; 16],
            ),
            Key::Receipt(namespace, id) => (
                self.place(Kind::Receipt, namespace.as_str(), id.as_str()),
                [0; 16],
            ),
            Key::Request(key) => (self.place(Kind::Request, "", key), [0; 16]),
            Key::PendingGrant(namespace, flow, host, origins) => (
                self.place(Kind::PendingGrant, namespace.as_str(), flow.as_str()),
                self.binding(host, origins),
            ),
            Key::Lease(namespace, id) => (
                self.place(Kind::Lease, namespace.as_str(), id.as_str()),
                [0; 16],
            ),
            Key::LeaseToken(namespace, id, host, origins) => (
                self.place(Kind::LeaseToken, namespace.as_str(), id.as_str()),
                self.binding(host, origins),
            ),
        };
        Address { place, binding }
    }

    /// Where a record belongs by what it says of itself; `None` for kinds that don't say it.
    pub(crate) fn own_place(&self, record: &Record) -> Option<Place> {
        let (namespace, id) = match record {
            Record::Host(host) => ("", host.name.as_str()),
            Record::Namespace(namespace) => ("", namespace.name.as_str()),
            Record::Link(link) => (link.namespace.as_str(), link.id.as_str()),
            Record::Flow(flow) => ("", flow.id.as_str()),
            Record::Intent(intent) => (intent.namespace.as_str(), intent.link.as_str()),
            Record::Receipt(receipt) => (receipt.namespace.as_str(), receipt.link.as_str()),
            Record::Request(request) => ("", request.key.as_str()),
            Record::Lease(lease) => (lease.namespace.as_str(), lease.id.as_str()),
            Record::HostSecrets(_)
            | Record::Grant(_)
            | Record::PendingGrant(_)
            | Record::LeaseToken(_) => return None,
        };
        Some(self.place(Kind::of(record), namespace, id))
    }

    /// The kind of a listing and what its store keys start with.
    pub(crate) fn range(&self, listing: &Listing) -> (Kind, Vec<u8>) {
        let within = |kind, namespace: &str| (kind, self.scope(kind, namespace).to_vec());
        match listing {
            Listing::Hosts => (Kind::Host, Vec::new()),
            Listing::Namespaces => (Kind::Namespace, Vec::new()),
            Listing::Links(namespace) => within(Kind::Link, namespace.as_str()),
            Listing::Receipts(namespace) => within(Kind::Receipt, namespace.as_str()),
            Listing::Leases(namespace) => within(Kind::Lease, namespace.as_str()),
            Listing::Flows => (Kind::Flow, Vec::new()),
            Listing::Intents => (Kind::Intent, Vec::new()),
            Listing::Requests => (Kind::Request, Vec::new()),
        }
    }

    fn place(&self, kind: Kind, namespace: &str, id: &str) -> Place {
        let tree = kind.tree().name().as_bytes();
        let parts: [&[u8]; 4] = [b"record", tree, namespace.as_bytes(), id.as_bytes()];
        let mut key = [0; 32];
        key[..16].copy_from_slice(&self.scope(kind, namespace));
        key[16..].copy_from_slice(&mac_parts(&self.index, &parts)[..16]);
        Place { kind, key }
    }

    fn scope(&self, kind: Kind, namespace: &str) -> [u8; 16] {
        let tree = kind.tree().name().as_bytes();
        first_half(mac_parts(
            &self.index,
            &[b"scope", tree, namespace.as_bytes()],
        ))
    }

    fn binding(&self, host: &HostName, origins: &OriginSet) -> [u8; 16] {
        let mut sorted = digest::Context::new(&digest::SHA256);
        for origin in origins.iter() {
            sorted.update(&(origin.as_str().len() as u64).to_be_bytes());
            sorted.update(origin.as_str().as_bytes());
        }
        let sorted = sorted.finish();
        let parts: [&[u8]; 3] = [b"binding", host.as_str().as_bytes(), sorted.as_ref()];
        first_half(mac_parts(&self.index, &parts))
    }
}

fn first_half(mac: [u8; 32]) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&mac[..16]);
    half
}
