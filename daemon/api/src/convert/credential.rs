//! Credentials: the one message with a token.

use std::time::Duration;

use bindery_core::lease::Lease;
use bindery_engine::credentials::{Access, Credential};
use bindery_proto::v1 as wire;

use super::common;
use crate::{fields::wrong, names::encoded, status::Failure};

/// Lifetime that a token must have left where the caller does not say.
const REMAINING: Duration = Duration::from_secs(300);

/// The most that a caller may ask for.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// What was asked for, besides the link.
pub(crate) struct About {
    /// Name of the namespace: `namespaces/{namespace}`.
    pub(crate) namespace: String,
    /// Name of the repository; empty where none was asked for.
    pub(crate) repository: String,
    /// URL to clone it; empty where none was asked for.
    pub(crate) clone_uri: String,
}

pub(crate) fn credential(handed: Credential, about: About) -> wire::Credential {
    wire::Credential {
        token: handed.token.expose().to_owned(),
        git_username: handed.git_username,
        expire_time: handed.expires.map(common::time),
        lease: format!("{}/leases/{}", about.namespace, handed.lease_id),
        narrowed: handed.narrowed,
        permission: permission(handed.access).into(),
        repository: about.repository,
        clone_uri: about.clone_uri,
        api_uri: handed.api,
    }
}

const fn permission(access: Access) -> wire::CredentialPermission {
    match access {
        Access::Read => wire::CredentialPermission::Read,
        Access::ReadWrite => wire::CredentialPermission::ReadWrite,
    }
}

/// A lease; it holds no token.
pub(crate) fn lease(lease: &Lease) -> wire::Lease {
    let namespace = format!("namespaces/{}", lease.namespace);
    let link = format!("{namespace}/links/{}", lease.link);
    let repository = match lease.repository.as_str() {
        "" => String::new(),
        named => {
            let id = named.strip_prefix("id:").unwrap_or(named);
            format!("{link}/repositories/{}", encoded(id))
        }
    };
    wire::Lease {
        name: format!("{namespace}/leases/{}", lease.id),
        link,
        repository,
        permission: permission(lease.access).into(),
        narrowed: lease.narrowed,
        holder: Some(common::principal(&lease.holder)),
        create_time: Some(common::time(lease.created)),
        expire_time: lease.expires.map(common::time),
        revoke_time: lease.revoked.map(common::time),
    }
}

/// How long a token must at least stay valid.
pub(crate) fn min_remaining(wire: Option<prost_types::Duration>) -> Result<Duration, Failure> {
    match wire.map(common::duration) {
        None => Ok(REMAINING),
        Some(Some(asked)) if asked <= LONGEST => Ok(asked),
        Some(_) => Err(wrong("min_remaining", "is not between 0 and 24 hours")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A lifetime is between nothing and a day.
    #[test]
    fn lifetimes_are_bounded() {
        let of = |seconds, nanos| min_remaining(Some(prost_types::Duration { seconds, nanos }));
        assert_eq!(min_remaining(None).expect("default"), REMAINING);
        assert_eq!(of(60, 0).expect("minute"), Duration::from_secs(60));
        for (seconds, nanos) in [(-1, 0), (86_401, 0), (i64::MAX, 0), (0, -1)] {
            assert!(of(seconds, nanos).is_err(), "{seconds} {nanos}");
        }
    }
}
