//! Resource names: `namespaces/{namespace}/links/{link}` and the others, parsed once.

use bindery_core::{
    lease::{is_full_name, is_stable_id},
    name::{
        ConsumerId, HostName, LeaseId, LinkId, NamespaceName, RotationId, SourceId, SubscriptionId,
        TriggerId,
    },
    source::SourceName,
    trigger::TriggerName,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::status::Failure;

/// What stays as it is in the last part of a name.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// `namespaces/{namespace}`.
pub(crate) fn namespace(name: &str) -> Result<NamespaceName, Failure> {
    parts(name, ["namespaces"])
        .and_then(|[namespace]| NamespaceName::parse(namespace).ok())
        .ok_or_else(|| Failure::name(name, "namespaces/{namespace}"))
}

/// `hosts/{host}`.
pub(crate) fn host(name: &str) -> Result<HostName, Failure> {
    parts(name, ["hosts"])
        .and_then(|[host]| HostName::parse(host).ok())
        .ok_or_else(|| Failure::name(name, "hosts/{host}"))
}

/// `providers/{provider}`, without the prefix.
pub(crate) fn provider(name: &str) -> Result<&str, Failure> {
    let provider = parts(name, ["providers"]).map(|[provider]| provider);
    provider.ok_or_else(|| Failure::name(name, "providers/{provider}"))
}

/// `namespaces/{namespace}/links/{link}`.
pub(crate) fn link(name: &str) -> Result<(NamespaceName, LinkId), Failure> {
    below(name, "links").ok_or_else(|| Failure::name(name, "namespaces/{namespace}/links/{link}"))
}

/// `namespaces/{namespace}/receipts/{receipt}`.
pub(crate) fn receipt(name: &str) -> Result<(NamespaceName, LinkId), Failure> {
    below(name, "receipts")
        .ok_or_else(|| Failure::name(name, "namespaces/{namespace}/receipts/{receipt}"))
}

/// `namespaces/{namespace}/links/{link}/sources/{source}`.
pub(crate) fn source(name: &str) -> Result<SourceName, Failure> {
    let parsed = || {
        let [namespace, link, source] = parts(name, ["namespaces", "links", "sources"])?;
        Some(SourceName {
            namespace: NamespaceName::parse(namespace).ok()?,
            link: LinkId::parse(link).ok()?,
            source: SourceId::parse(source).ok()?,
        })
    };
    let pattern = "namespaces/{namespace}/links/{link}/sources/{source}";
    parsed().ok_or_else(|| Failure::name(name, pattern))
}

/// `namespaces/{namespace}/links/{link}/sources/{source}/deliveries/{delivery}`; a delivery is a number.
pub(crate) fn delivery(name: &str) -> Result<(SourceName, u64), Failure> {
    let parsed = || {
        let (parent, number) = name.rsplit_once("/deliveries/")?;
        let plain = number.bytes().all(|c| c.is_ascii_digit()) && !number.starts_with('0');
        let number = number.parse().ok().filter(|_| plain)?;
        Some((source(parent).ok()?, number))
    };
    let pattern = "namespaces/{namespace}/links/{link}/sources/{source}/deliveries/{delivery}";
    parsed().ok_or_else(|| Failure::name(name, pattern))
}

/// `namespaces/{namespace}/links/{link}/sources/{source}/triggers/{trigger}`.
pub(crate) fn trigger(name: &str) -> Result<TriggerName, Failure> {
    let parsed = || {
        let (parent, id) = name.rsplit_once("/triggers/")?;
        Some(TriggerName {
            source: source(parent).ok()?,
            trigger: TriggerId::parse(id).ok()?,
        })
    };
    let pattern = "namespaces/{namespace}/links/{link}/sources/{source}/triggers/{trigger}";
    parsed().ok_or_else(|| Failure::name(name, pattern))
}

/// `namespaces/{namespace}/links/{link}`, where `-` stands for any; `None` is any.
pub(crate) fn any_link(name: &str) -> Result<(Option<NamespaceName>, Option<LinkId>), Failure> {
    let parsed = || {
        let [namespace, link] = parts(name, ["namespaces", "links"])?;
        let namespace = any(namespace, |id| NamespaceName::parse(id).ok())?;
        Some((namespace, any(link, |id| LinkId::parse(id).ok())?))
    };
    parsed().ok_or_else(|| Failure::name(name, "namespaces/{namespace}/links/{link}"))
}

/// `namespaces/{namespace}/hookRotations/{hook_rotation}`, where `-` stands for any namespace.
pub(crate) fn rotation(name: &str) -> Result<(Option<NamespaceName>, RotationId), Failure> {
    let parsed = || {
        let [namespace, id] = parts(name, ["namespaces", "hookRotations"])?;
        let namespace = any(namespace, |id| NamespaceName::parse(id).ok())?;
        Some((namespace, RotationId::parse(id).ok()?))
    };
    let pattern = "namespaces/{namespace}/hookRotations/{hook_rotation}";
    parsed().ok_or_else(|| Failure::name(name, pattern))
}

/// `Some(None)` for `-`, which stands for any.
#[expect(
    clippy::option_option,
    reason = "any, one, and what is no id are three answers"
)]
fn any<T>(id: &str, parse: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
    match id {
        "-" => Some(None),
        id => parse(id).map(Some),
    }
}

/// `namespaces/{namespace}/leases/{lease}`.
pub(crate) fn lease(name: &str) -> Result<(NamespaceName, LeaseId), Failure> {
    let parsed = || {
        let [namespace, id] = parts(name, ["namespaces", "leases"])?;
        let namespace = NamespaceName::parse(namespace).ok()?;
        Some((namespace, LeaseId::parse(id).ok()?))
    };
    parsed().ok_or_else(|| Failure::name(name, "namespaces/{namespace}/leases/{lease}"))
}

/// `namespaces/{namespace}/events/{event}`.
pub(crate) fn event(name: &str) -> Result<(NamespaceName, u64), Failure> {
    let parsed = || {
        let [namespace, sequence] = parts(name, ["namespaces", "events"])?;
        let number: u64 = sequence.parse().ok()?;
        // One event, one name: no leading zeros or signs.
        (number > 0 && number.to_string() == sequence).then_some(())?;
        Some((NamespaceName::parse(namespace).ok()?, number))
    };
    parsed().ok_or_else(|| Failure::name(name, "namespaces/{namespace}/events/{event}"))
}

/// `namespaces/{namespace}/subscriptions/{subscription}`.
pub(crate) fn subscription(name: &str) -> Result<(NamespaceName, SubscriptionId), Failure> {
    let parsed = || {
        let [namespace, id] = parts(name, ["namespaces", "subscriptions"])?;
        let namespace = NamespaceName::parse(namespace).ok()?;
        Some((namespace, SubscriptionId::parse(id).ok()?))
    };
    let pattern = "namespaces/{namespace}/subscriptions/{subscription}";
    parsed().ok_or_else(|| Failure::name(name, pattern))
}

/// `namespaces/{namespace}/consumers/{consumer}`.
pub(crate) fn consumer(name: &str) -> Result<(NamespaceName, ConsumerId), Failure> {
    let parsed = || {
        let [namespace, id] = parts(name, ["namespaces", "consumers"])?;
        let namespace = NamespaceName::parse(namespace).ok()?;
        Some((namespace, ConsumerId::parse(id).ok()?))
    };
    parsed().ok_or_else(|| Failure::name(name, "namespaces/{namespace}/consumers/{consumer}"))
}

fn below(name: &str, collection: &'static str) -> Option<(NamespaceName, LinkId)> {
    let [namespace, id] = parts(name, ["namespaces", collection])?;
    Some((
        NamespaceName::parse(namespace).ok()?,
        LinkId::parse(id).ok()?,
    ))
}

/// A repository of a link: by its full name, or by the provider's stable id.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum RepositoryRef {
    /// `owner/name`.
    FullName(String),
    /// The provider's stable id.
    StableId(String),
}

impl RepositoryRef {
    /// From a decoded text. What holds a slash is a full name.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if is_full_name(text) {
            return Some(Self::FullName(text.to_owned()));
        }
        is_stable_id(text).then(|| Self::StableId(text.to_owned()))
    }

    /// As the engine names it.
    pub(crate) fn to_engine(&self) -> String {
        match self {
            Self::FullName(name) => name.clone(),
            Self::StableId(id) => format!("id:{id}"),
        }
    }
}

/// `namespaces/{namespace}/links/{link}/repositories/{repository}`.
pub(crate) fn repository(name: &str) -> Result<(NamespaceName, LinkId, RepositoryRef), Failure> {
    let parsed = || {
        let [namespace, link, repository] = parts(name, ["namespaces", "links", "repositories"])?;
        let decoded = percent_decode_str(repository).decode_utf8().ok()?;
        // One name, one text: what is encoded another way is another name.
        if encoded(&decoded) != repository {
            return None;
        }
        let repository = RepositoryRef::parse(&decoded)?;
        Some((
            NamespaceName::parse(namespace).ok()?,
            LinkId::parse(link).ok()?,
            repository,
        ))
    };
    parsed().ok_or_else(|| {
        let pattern = "namespaces/{namespace}/links/{link}/repositories/{repository}, with %2F for each slash";
        Failure::name(name, pattern)
    })
}

/// An id of a provider, as the last part of a name.
pub(crate) fn encoded(id: &str) -> String {
    utf8_percent_encode(id, ENCODED).to_string()
}

/// The ids between the collections of a name.
fn parts<'a, const N: usize>(name: &'a str, collections: [&str; N]) -> Option<[&'a str; N]> {
    let mut segments = name.split('/');
    let mut ids = [""; N];
    for (id, collection) in ids.iter_mut().zip(collections) {
        (segments.next() == Some(collection)).then_some(())?;
        *id = segments.next().filter(|id| !id.is_empty())?;
    }
    segments.next().is_none().then_some(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// G2: only the one canonical spelling of a name is taken.
    #[test]
    fn g2_names_have_one_spelling() {
        let (namespace, id) = link("namespaces/acme/links/l1").expect("name");
        assert_eq!((namespace.as_str(), id.as_str()), ("acme", "l1"));
        for odd in [
            "",
            "namespaces/acme",
            "namespaces/acme/links",
            "namespaces/acme/links/",
            "/namespaces/acme/links/l",
            "namespaces/acme/links/l/",
            "namespaces/acme/links/l/x",
            "namespaces/ACME/links/l",
            "namespaces/acme/links/..",
            "namespaces/../acme/links/l",
            "namespaces/acme/links/%6c",
            "namespaces/acme/receipts/l",
            "namespaces/-/links/l",
        ] {
            assert!(link(odd).is_err(), "{odd}");
        }
    }

    /// Repositories are named by full name or stable id, encoded in one way only.
    #[test]
    fn repositories_have_one_spelling() {
        let name = |last: &str| format!("namespaces/a/links/l/repositories/{last}");
        let parse = |last: &str| repository(&name(last)).map(|(_, _, repository)| repository);
        assert_eq!(
            parse("acme%2Fapi").expect("name"),
            RepositoryRef::FullName("acme/api".into())
        );
        assert_eq!(
            parse("42").expect("name"),
            RepositoryRef::StableId("42".into())
        );
        for odd in [
            "acme/api",
            "acme%2fapi",
            "%34%32",
            "acme%2F..%2Fapi",
            "%2Fapi",
            "acme%2F",
            "a%00",
            "a%2Fb%3Fc",
            "%FF",
            "",
        ] {
            assert!(parse(odd).is_err(), "{odd}");
        }
        for id in ["acme/api", "42", "a~b", "{x}", "é"] {
            assert_eq!(
                percent_decode_str(&encoded(id))
                    .decode_utf8()
                    .expect("utf-8"),
                id
            );
        }
    }

    /// Parts that tricks are made of.
    const PARTS: [&str; 24] = [
        "namespaces",
        "links",
        "sources",
        "repositories",
        "acme",
        "l1",
        "/",
        "//",
        "..",
        ".",
        "-",
        "%2F",
        "%2f",
        "%252F",
        "%00",
        " ",
        "\\",
        "é",
        "ａcme",
        "ACME",
        "?",
        "#",
        "",
        "acme%2Fapi",
    ];

    /// G2: however a name is put together from such parts, what is accepted is written in one way only, so no two texts are
    /// one resource.
    #[test]
    fn g2_accepted_names_are_written_in_one_way() {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut random = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state >> 33).expect("31 bits") % below
        };
        let (mut accepted, cases) = (0, 1_000_000);
        for case in 0..cases {
            // Most of them nearly right, or hardly any would be accepted.
            let mut parts = vec!["namespaces", "acme", "links", "l1"];
            if case % 2 == 0 {
                parts.extend(["repositories", "acme%2Fapi"]);
            }
            for _ in 0..random(3) {
                let at = random(parts.len());
                parts[at] = PARTS[random(PARTS.len())];
            }
            let text = parts.join("/");
            if let Ok((namespace, id)) = link(&text) {
                accepted += 1;
                assert_eq!(format!("namespaces/{namespace}/links/{id}"), text);
            }
            if let Ok((namespace, id, found)) = repository(&text) {
                accepted += 1;
                let last = match &found {
                    RepositoryRef::FullName(name) | RepositoryRef::StableId(name) => encoded(name),
                };
                let again = format!("namespaces/{namespace}/links/{id}/repositories/{last}");
                assert_eq!(again, text);
            }
        }
        println!(
            "figure: G2: {accepted} of {cases} resource names accepted, each in its one spelling"
        );
        assert!(accepted > 1000, "{accepted}");
    }
}
