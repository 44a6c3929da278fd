//! What certificates say of themselves. They are read, not trusted: what is trusted is decided by rustls.

use bindery_core::{
    exchange::ServerCertificate,
    host::{Certificates, HostNetwork},
    time::Timestamp,
};
use ring::digest::{SHA256, digest};
use rustls_pki_types::CertificateDer;
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, parse_x509_certificate};

use super::{bundle, identity};

/// What is known about the certificates among network rules. Nothing about those that can't be read: `admit` refused them.
pub(crate) fn of(network: &HostNetwork) -> Certificates {
    let bundle = bundle(&network.ca_bundle_pem).unwrap_or_default();
    let own = identity::chain(&network.client_certificate_pem).unwrap_or_default();
    Certificates {
        bundle_expires: bundle.iter().filter_map(expires).min(),
        client_expires: own.first().and_then(expires),
        client_sha256: own.first().map(sha256).unwrap_or_default(),
    }
}

/// A server's certificate, for people.
pub(crate) fn server(certificate: &CertificateDer<'_>) -> Option<ServerCertificate> {
    let (_, parsed) = parse_x509_certificate(certificate).ok()?;
    Some(ServerCertificate {
        subject: parsed.subject().to_string(),
        issuer: parsed.issuer().to_string(),
        names: names(&parsed),
        sha256: sha256(certificate),
        expires: end(&parsed),
    })
}

fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let found = certificate.subject_alternative_name().ok().flatten();
    let names = found.iter().flat_map(|names| &names.value.general_names);
    names.filter_map(name).collect()
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let four = <[u8; 4]>::try_from(*bytes).map(std::net::IpAddr::from);
            let six = || <[u8; 16]>::try_from(*bytes).map(std::net::IpAddr::from);
            four.or_else(|_| six()).ok().map(|ip| ip.to_string())
        }
        _ => None,
    }
}

fn expires(certificate: &CertificateDer<'_>) -> Option<Timestamp> {
    let (_, parsed) = parse_x509_certificate(certificate).ok()?;
    end(&parsed)
}

fn end(certificate: &X509Certificate<'_>) -> Option<Timestamp> {
    let seconds = u64::try_from(certificate.validity().not_after.timestamp()).ok()?;
    Some(Timestamp::from_unix_ms(seconds.checked_mul(1000)?))
}

fn sha256(certificate: &CertificateDer<'_>) -> String {
    data_encoding::HEXLOWER.encode(digest(&SHA256, certificate).as_ref())
}
