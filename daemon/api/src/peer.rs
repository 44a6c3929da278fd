//! Who is at the other end of a connection. Found out once, when it is accepted.

use rustls_pki_types::CertificateDer;
use x509_parser::{
    extensions::GeneralName,
    prelude::{FromDer, X509Certificate},
};

use crate::Surface;

/// The other end of a connection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Peer {
    /// What it is called in flows, logs and the audit log.
    name: String,
    /// All that a rule of the policy may name.
    principals: Vec<String>,
}

/// A certificate that names nobody.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "the client certificate has no usable name; it needs exactly one SPIFFE id or a DNS name without wildcard as subject \
     alternative name"
)]
pub(crate) struct Nameless;

impl Peer {
    /// A process on this machine. Its process id is never used: it may be reused at any time (THREATS G3).
    pub(crate) fn of_process(uid: u32, gid: u32) -> Self {
        let name = format!("uid:{uid}");
        let principals = vec![name.clone(), format!("gid:{gid}")];
        Self { name, principals }
    }

    /// The owner of a certificate that the TLS layer has verified. Its common name is ignored (THREATS G4).
    pub(crate) fn of_certificate(certificate: &CertificateDer<'_>) -> Result<Self, Nameless> {
        let (_, certificate) = X509Certificate::from_der(certificate).map_err(|_| Nameless)?;
        let names = certificate
            .subject_alternative_name()
            .map_err(|_| Nameless)?;
        let names = &names.ok_or(Nameless)?.value.general_names;
        let principals = names
            .iter()
            .filter_map(principal)
            .collect::<Result<Vec<_>, _>>()?;
        let ids = principals
            .iter()
            .filter(|name| name.starts_with("spiffe://"));
        match (ids.count(), principals.first()) {
            // A SPIFFE certificate has exactly one id.
            (2.., _) | (_, None) => Err(Nameless),
            _ => Ok(Self::named(principals)),
        }
    }

    fn named(mut principals: Vec<String>) -> Self {
        // The SPIFFE id, where there is one, is the name.
        principals.sort_by_key(|name| !name.starts_with("spiffe://"));
        Self {
            name: principals.first().cloned().unwrap_or_default(),
            principals,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn principals(&self) -> &[String] {
        &self.principals
    }
}

fn principal(name: &GeneralName<'_>) -> Option<Result<String, Nameless>> {
    match name {
        GeneralName::URI(uri) => uri.starts_with("spiffe://").then(|| spiffe(uri)),
        GeneralName::DNSName(name) => Some(dns(name)),
        _ => None,
    }
}

/// `spiffe://trust-domain/path`, compared as it is.
fn spiffe(uri: &str) -> Result<String, Nameless> {
    let canonical = is_spiffe(uri);
    canonical.then(|| uri.to_owned()).ok_or(Nameless)
}

/// Whether a text is a SPIFFE id in its one canonical form.
pub(crate) fn is_spiffe(text: &str) -> bool {
    let Some((domain, path)) = text
        .strip_prefix("spiffe://")
        .and_then(|rest| rest.split_once('/'))
    else {
        return false;
    };
    let domain_char = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || b"-._".contains(&c);
    let path_char = |c: u8| c.is_ascii_alphanumeric() || b"-._".contains(&c);
    let segment =
        |part: &str| !part.is_empty() && part != "." && part != ".." && part.bytes().all(path_char);
    !domain.is_empty()
        && text.len() <= 2048
        && domain.bytes().all(domain_char)
        && path.split('/').all(segment)
}

fn dns(name: &str) -> Result<String, Nameless> {
    let name = name.to_ascii_lowercase();
    is_dns(&name).then(|| format!("dns:{name}")).ok_or(Nameless)
}

/// Whether a text is a plain DNS name in lower case: no wildcard, no trailing dot.
pub(crate) fn is_dns(text: &str) -> bool {
    let label = |part: &str| {
        (1..=63).contains(&part.len())
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part
                .bytes()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'_')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// The other end of a connection, and the door that it came through.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    peer: std::sync::Arc<Peer>,
    surface: Surface,
}

impl Caller {
    pub(crate) fn new(peer: std::sync::Arc<Peer>, surface: Surface) -> Self {
        Self { peer, surface }
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &str {
        self.peer.name()
    }

    /// All that a rule may name.
    pub(crate) fn principals(&self) -> &[String] {
        self.peer.principals()
    }

    /// Whether the policy does not apply. On the admin surface only admins get as far as this.
    pub(crate) fn omnipotent(&self) -> bool {
        self.surface == Surface::Admin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// G4: only canonical names become principals.
    #[test]
    fn g4_names_are_canonical() {
        assert!(is_spiffe("spiffe://example.org/registry"));
        for odd in [
            "spiffe://example.org",
            "spiffe://example.org/",
            "spiffe:///x",
            "spiffe://EXAMPLE.org/x",
            "spiffe://example.org/a//b",
            "spiffe://example.org/../x",
            "spiffe://e/x?y",
            "https://e/x",
        ] {
            assert!(!is_spiffe(odd), "{odd}");
        }
        assert!(is_dns("registry.example.org"));
        for odd in [
            "",
            "*.example.org",
            "a..b",
            "a.",
            "A.example",
            "-a.example",
            "a b",
        ] {
            assert!(!is_dns(odd), "{odd}");
        }
    }

    /// G3: a process is its user and group, and nothing else.
    #[test]
    fn g3_process_is_uid_and_gid() {
        let peer = Peer::of_process(1000, 100);
        assert_eq!(peer.name(), "uid:1000");
        assert_eq!(peer.principals(), ["uid:1000", "gid:100"]);
    }
}
