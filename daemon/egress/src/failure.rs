//! What went wrong on the way, as one clear sentence with what to do.

use std::{error::Error, io, net::IpAddr};

use bindery_core::problem::{Problem, Reason, Who};
use rustls::CertificateError;

use crate::resolve::ResolveError;

/// What the client's connector says where the proxy answers 407 to `CONNECT`.
const TUNNEL_UNAUTHORIZED: &str = "tunnel error: proxy authorization required";

/// A failed exchange.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What went wrong.
    pub(crate) problem: Problem,
    /// The request may have reached the host.
    pub(crate) sent: bool,
}

impl Failure {
    /// From the client's error. Its text is never used, because it holds the URL with its query.
    pub(crate) fn of(error: &reqwest::Error, host: &str) -> Self {
        Self {
            problem: classify(error, host),
            sent: !(error.is_connect() || error.is_builder()),
        }
    }

    /// Before anything reached the host.
    pub(crate) fn unsent(problem: Problem) -> Self {
        Self {
            problem,
            sent: false,
        }
    }

    /// After the request was sent.
    pub(crate) fn sent(problem: Problem) -> Self {
        Self {
            problem,
            sent: true,
        }
    }
}

/// The problem behind `error`, found by walking its sources.
pub(crate) fn classify(error: &(dyn Error + 'static), host: &str) -> Problem {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(problem) = cause(error, host) {
            return problem;
        }
        next = error.source();
    }
    unreachable(host, "it did not answer, or closed the connection")
}

/// What one error of the chain says by itself. An [`io::Error`] hides the error that it was made from, so it is opened.
fn cause(error: &(dyn Error + 'static), host: &str) -> Option<Problem> {
    if let Some(error) = error.downcast_ref::<ResolveError>() {
        return Some(resolve(error, host));
    }
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return Some(tls(error, host));
    }
    if let Some(error) = error.downcast_ref::<io::Error>() {
        let inner = error.get_ref().map(|inner| inner as &(dyn Error + 'static));
        return match inner {
            Some(inner) => Some(classify(inner, host)),
            None => connection(error.kind(), host),
        };
    }
    if let Some(error) = error.downcast_ref::<hyper::Error>()
        && error.is_parse()
    {
        return Some(unusable(host, "it is no HTTP"));
    }
    // The error of a refused tunnel has no public type.
    if error.to_string() == TUNNEL_UNAUTHORIZED {
        return Some(proxy_unauthorized(host));
    }
    if let Some(error) = error.downcast_ref::<reqwest::Error>()
        && error.is_timeout()
    {
        return Some(unreachable(host, "it did not answer in time"));
    }
    None
}

/// The proxy does not know this daemon.
pub(crate) fn proxy_unauthorized(host: &str) -> Problem {
    let message = format!(
        "{host} can't be reached: the proxy of this host entry asks for another user name and password; correct the \
         proxy's"
    );
    Problem::new(Reason::HostUnreachable, message)
        .act(Who::HostOperator, "")
        .with("host", host)
}

/// The problem of a failed look-up.
pub(crate) fn resolve(error: &ResolveError, host: &str) -> Problem {
    match error {
        ResolveError::Forbidden(address) => address_forbidden(host, *address),
        ResolveError::Unresolved => {
            let message = format!(
                "the name {host} does not resolve to an address; check the URLs of this host entry and the name servers of \
                 this machine"
            );
            Problem::new(Reason::HostNameUnresolved, message).with("host", host)
        }
    }
}

/// The host leads to an address that may not be connected to.
pub(crate) fn address_forbidden(host: &str, address: IpAddr) -> Problem {
    let message = format!(
        "{host} leads to {address}, which may not be connected to; if it is the right machine, add its range to the \
         allowed networks of this host entry (metadata services stay closed)"
    );
    Problem::new(Reason::HostAddressForbidden, message)
        .act(Who::HostOperator, "")
        .with("host", host)
        .with("address", address.to_string())
}

/// The host can't be talked to.
pub(crate) fn unreachable(host: &str, why: &str) -> Problem {
    let message = format!(
        "{host} can't be reached: {why}; check that it is up, and that this machine may connect to it"
    );
    Problem::new(Reason::HostUnreachable, message).with("host", host)
}

/// The host answered something that can't be used.
pub(crate) fn unusable(host: &str, why: &str) -> Problem {
    let message = format!(
        "{host} gave an answer that can't be used: {why}; check that the URL is the one of the forge, and what stands \
         between"
    );
    Problem::new(Reason::HostAnswerUnusable, message).with("host", host)
}

/// The problem of a failed TLS handshake.
pub(crate) fn tls(error: &rustls::Error, host: &str) -> Problem {
    let message = match error {
        rustls::Error::InvalidCertificate(error) => certificate(error, host),
        rustls::Error::InvalidMessage(_) => {
            return unusable(host, "it does not speak TLS on this port");
        }
        _ => return unreachable(host, "the TLS handshake failed"),
    };
    Problem::new(Reason::HostCertificateUnknown, message)
        .act(Who::HostOperator, "")
        .with("host", host)
}

fn certificate(error: &CertificateError, host: &str) -> String {
    match error {
        CertificateError::UnknownIssuer => format!(
            "the certificate of {host} is signed by a CA that this host entry does not know; add it with --ca-file"
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!("the certificate of {host} has expired; have it renewed there")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!("the certificate of {host} is not valid yet; check the clocks of both machines")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!(
                "the certificate of {host} is for other names; use the name that it is for, or have it made anew"
            )
        }
        CertificateError::Revoked => {
            format!("the certificate of {host} is revoked; have it made anew")
        }
        _ => format!(
            "the certificate of {host} is not acceptable; have it made anew as a server certificate, not as a CA"
        ),
    }
}

fn connection(kind: io::ErrorKind, host: &str) -> Option<Problem> {
    let why = match kind {
        io::ErrorKind::ConnectionRefused => "it refuses the connection",
        io::ErrorKind::TimedOut => "it did not answer in time",
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
            "no route leads there"
        }
        io::ErrorKind::PermissionDenied => "this machine's packet filter forbids it",
        _ => return None,
    };
    Some(unreachable(host, why))
}
