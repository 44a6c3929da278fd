//! Building and parsing resource names.
//!
//! ```
//! use bindery_client::names::{LinkName, RepositoryName};
//!
//! let link: LinkName = "namespaces/acme/links/8c1f".parse()?;
//! assert_eq!(link.namespace, "acme");
//! let repository = RepositoryName::new(&link, "acme/api");
//! assert_eq!(repository.to_string(), "namespaces/acme/links/8c1f/repositories/acme%2Fapi");
//! assert_eq!(repository.to_string().parse::<RepositoryName>()?, repository);
//! # Ok::<(), bindery_client::Error>(())
//! ```

use std::{fmt, str::FromStr};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::Error;

/// What stays as it is in an id: the unreserved characters of a URL.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident($pattern:literal) { $($(#[$part_doc:meta])* $part:ident: $collection:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name {
            $($(#[$part_doc])* pub $part: String,)*
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut separator = "";
                $(
                    let id = utf8_percent_encode(&self.$part, ESCAPED);
                    write!(formatter, "{separator}{}/{id}", $collection)?;
                    separator = "/";
                )*
                let _ = separator;
                Ok(())
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                let mut parts = text.split('/');
                let name = Self {
                    $($part: part(&mut parts, $collection).ok_or_else(|| wrong(text, $pattern))?,)*
                };
                parts.next().is_none().then_some(name).ok_or_else(|| wrong(text, $pattern))
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.to_string()
            }
        }
    )*};
}

names! {
    /// `providers/{provider}`.
    ProviderName("providers/{provider}") {
        /// Id of the provider, such as `github`.
        provider: "providers",
    }
    /// `hosts/{host}`.
    HostName("hosts/{host}") {
        /// Id of the host, such as `github.com`.
        host: "hosts",
    }
    /// `namespaces/{namespace}`.
    NamespaceName("namespaces/{namespace}") {
        /// Id of the namespace.
        namespace: "namespaces",
    }
    /// `namespaces/{namespace}/links/{link}`.
    LinkName("namespaces/{namespace}/links/{link}") {
        /// Id of the namespace.
        namespace: "namespaces",
        /// Id of the link.
        link: "links",
    }
    /// `namespaces/{namespace}/receipts/{receipt}`.
    ReceiptName("namespaces/{namespace}/receipts/{receipt}") {
        /// Id of the namespace.
        namespace: "namespaces",
        /// Id of the receipt, which is the link's.
        receipt: "receipts",
    }
    /// `namespaces/{namespace}/leases/{lease}`.
    LeaseName("namespaces/{namespace}/leases/{lease}") {
        /// Id of the namespace.
        namespace: "namespaces",
        /// Id of the lease.
        lease: "leases",
    }
    /// `namespaces/{namespace}/links/{link}/repositories/{repository}`.
    RepositoryName("namespaces/{namespace}/links/{link}/repositories/{repository}") {
        /// Id of the namespace.
        namespace: "namespaces",
        /// Id of the link.
        link: "links",
        /// Stable id or full name of the repository.
        repository: "repositories",
    }
    /// `namespaces/{namespace}/links/{link}/organizations/{organization}`.
    OrganizationName("namespaces/{namespace}/links/{link}/organizations/{organization}") {
        /// Id of the namespace.
        namespace: "namespaces",
        /// Id of the link.
        link: "links",
        /// Stable id of the organization.
        organization: "organizations",
    }
    /// `namespaces/{namespace}/links/{link}/sources/{source}`.
    SourceName("namespaces/{namespace}/links/{link}/sources/{source}") {
        /// Id of the namespace.
        namespace: "namespaces",
        /// Id of the link.
        link: "links",
        /// Id of the source.
        source: "sources",
    }
    /// `namespaces/{namespace}/links/{link}/sources/{source}/deliveries/{delivery}`.
    DeliveryName("namespaces/{namespace}/links/{link}/sources/{source}/deliveries/{delivery}") {
        /// Id of the namespace.
        namespace: "namespaces",
        /// Id of the link.
        link: "links",
        /// Id of the source.
        source: "sources",
        /// Id of the delivery.
        delivery: "deliveries",
    }
    /// `namespaces/{namespace}/links/{link}/sources/{source}/triggers/{trigger}`.
    TriggerName("namespaces/{namespace}/links/{link}/sources/{source}/triggers/{trigger}") {
        /// Id of the namespace.
        namespace: "namespaces",
        /// Id of the link.
        link: "links",
        /// Id of the source.
        source: "sources",
        /// Id of the trigger.
        trigger: "triggers",
    }
    /// `namespaces/{namespace}/hookRotations/{hook_rotation}`.
    HookRotationName("namespaces/{namespace}/hookRotations/{hook_rotation}") {
        /// Id of the namespace.
        namespace: "namespaces",
        /// Id of the rotation.
        hook_rotation: "hookRotations",
    }
    /// `namespaces/{namespace}/events/{event}`.
    EventName("namespaces/{namespace}/events/{event}") {
        /// Id of the namespace.
        namespace: "namespaces",
        /// Number of the event, in decimal.
        event: "events",
    }
    /// `namespaces/{namespace}/consumers/{consumer}`.
    ConsumerName("namespaces/{namespace}/consumers/{consumer}") {
        /// Id of the namespace.
        namespace: "namespaces",
        /// Id of the consumer.
        consumer: "consumers",
    }
    /// `namespaces/{namespace}/subscriptions/{subscription}`.
    SubscriptionName("namespaces/{namespace}/subscriptions/{subscription}") {
        /// Id of the namespace.
        namespace: "namespaces",
        /// Id of the subscription.
        subscription: "subscriptions",
    }
}

impl HostName {
    /// `hosts/{host}`.
    pub fn new(host: impl Into<String>) -> Self {
        Self { host: host.into() }
    }
}

impl NamespaceName {
    /// `namespaces/{namespace}`.
    pub fn new(namespace: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
        }
    }
}

impl LinkName {
    /// The name of the receipt that unlinking leaves.
    #[must_use]
    pub fn receipt(&self) -> ReceiptName {
        ReceiptName {
            namespace: self.namespace.clone(),
            receipt: self.link.clone(),
        }
    }
}

impl RepositoryName {
    /// A repository of a link, by stable id or full name.
    pub fn new(link: &LinkName, repository: impl Into<String>) -> Self {
        Self {
            namespace: link.namespace.clone(),
            link: link.link.clone(),
            repository: repository.into(),
        }
    }
}

fn part<'a>(parts: &mut impl Iterator<Item = &'a str>, collection: &str) -> Option<String> {
    let found = parts.next()? == collection;
    let id = percent_decode_str(parts.next()?).decode_utf8().ok()?;
    (found && !id.is_empty()).then(|| id.into_owned())
}

fn wrong(text: &str, pattern: &str) -> Error {
    Error::Configuration(format!("{text:?} is no name of the form {pattern}"))
}

#[cfg(test)]
mod tests {
    use super::{HostName, LinkName, RepositoryName};

    /// Names that do not have the shape are refused.
    #[test]
    fn shapes_are_kept() {
        for text in ["", "hosts", "hosts/", "host/a", "hosts/a/b", "/hosts/a"] {
            assert!(text.parse::<HostName>().is_err(), "{text}");
        }
        assert!(
            "namespaces/a/links/b/repositories/c"
                .parse::<LinkName>()
                .is_err()
        );
    }

    /// An id with slashes, percent signs and other scripts survives the way there and back.
    #[test]
    fn ids_are_escaped() {
        let link = "namespaces/acme/links/1".parse().unwrap();
        let name = RepositoryName::new(&link, "gruppe/ünter 100%");
        let text = name.to_string();
        assert_eq!(text.split('/').count(), 6);
        assert_eq!(text.parse::<RepositoryName>().unwrap(), name);
    }
}
