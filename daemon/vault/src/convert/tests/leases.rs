//! Leases, their tokens, and remembered requests.

use bindery_core::{lease::Access, name::LeaseId};

use super::*;

pub(super) fn samples() -> Vec<Record> {
    vec![
        Record::Request(RequestMemory {
            key: "principal|Create|1".to_owned(),
            request_digest: [7; 32],
            resource: "namespaces/acme".to_owned(),
            expires: at(5),
        }),
        Record::Lease(full_lease()),
        Record::Lease(Lease {
            repository: String::new(),
            access: Access::Read,
            narrowed: false,
            minted: false,
            expires: None,
            revoked: None,
            ..full_lease()
        }),
        Record::LeaseToken(lease_token()),
    ]
}

pub(super) fn full_lease() -> Lease {
    Lease {
        namespace: namespace_name(),
        id: LeaseId::parse("e1").unwrap(),
        link: link_id(),
        repository: "7".to_owned(),
        access: Access::ReadWrite,
        narrowed: true,
        minted: true,
        holder: "someone".to_owned(),
        created: at(1),
        expires: Some(at(2)),
        revoked: Some(at(3)),
    }
}

pub(super) fn lease_token() -> LeaseToken {
    LeaseToken {
        token: canary(),
        expires: at(1),
    }
}
