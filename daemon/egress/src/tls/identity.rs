//! The certificate that the daemon shows to a host, and its key.

use std::sync::Arc;

use bindery_core::{
    exchange::Reach,
    problem::{Problem, Who},
    secret::Secret,
};
use rustls::{
    crypto::ring::sign,
    sign::{CertifiedKey, SingleCertAndKey},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use zeroize::Zeroize;

/// What TLS shows to the host; `None` where the host asks for nothing.
pub(super) fn shown(reach: Reach<'_>) -> Result<Option<Arc<SingleCertAndKey>>, Problem> {
    let pem = &reach.host.network.client_certificate_pem;
    if pem.is_empty() {
        return Ok(None);
    }
    let chain = chain(pem)?;
    let key = reach.secrets.client_key.as_ref();
    let key = key.ok_or_else(|| unusable_key("it is missing"))?;
    Ok(Some(Arc::new(certified(chain, key)?.into())))
}

/// A chain and its key, which must belong together.
fn certified(chain: Vec<CertificateDer<'static>>, key: &Secret) -> Result<CertifiedKey, Problem> {
    let mut der = PrivateKeyDer::from_pem_slice(key.expose().as_bytes())
        .map_err(|_| unusable_key("it is no private key in PEM, or one behind a passphrase"))?;
    let signing = sign::any_supported_type(&der);
    der.zeroize();
    let signing = signing.map_err(|_| {
        unusable_key("it is of a kind that is not supported; use RSA from 2048 bits, P-256, P-384 or Ed25519")
    })?;
    let certified = CertifiedKey::new(chain, signing);
    match certified.keys_match() {
        Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => {
            Err(unusable_key("it does not belong to the certificate"))
        }
        // Keys that can't be compared are tried; the host then says whether they fit.
        _ => Ok(certified),
    }
}

/// The certificates of a chain in PEM, the own one first.
pub(super) fn chain(pem: &str) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|_| unusable("it is no PEM"))?;
    if chain.is_empty() {
        return Err(unusable("it holds no certificate"));
    }
    Ok(chain)
}

fn unusable(why: &str) -> Problem {
    let message = format!(
        "the client certificate of this host entry can't be used: {why}; give the chain in PEM, the own certificate first"
    );
    Problem::invalid("client_certificate.certificate_pem", message).act(Who::HostOperator, "")
}

fn unusable_key(why: &str) -> Problem {
    let message = format!(
        "the key of the client certificate of this host entry can't be used: {why}; give the private key in PEM"
    );
    Problem::invalid("client_certificate.private_key_pem", message).act(Who::HostOperator, "")
}
