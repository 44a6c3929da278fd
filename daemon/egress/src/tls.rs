//! TLS: one provider, public CAs, and the operator's own.
//!
//! Public CAs come from the machine (`rustls-native-certs`), not from a list that is compiled in: security updates of the
//! distribution then take a distrusted CA away without a new Bindery, and an administrator's company CA is known at once.

use std::sync::{Arc, OnceLock};

use bindery_core::problem::{Problem, Reason, Who};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_pki_types::{CertificateDer, pem::PemObject};

/// Makes ring the process-wide provider of rustls. May be called any number of times.
pub fn install() {
    // An error only says that one is installed already.
    drop(ring::default_provider().install_default());
}

/// The CAs that this machine trusts, read once. Certificates that can't be read are left out, as every other program here
/// does.
fn machine_roots() -> &'static RootCertStore {
    static ROOTS: OnceLock<RootCertStore> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let loaded = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (known, unusable) = roots.add_parsable_certificates(loaded.certs);
        let errors = loaded.errors.len();
        tracing::debug!(known, unusable, errors, "Loaded the machine's CAs");
        roots
    })
}

/// The certificates of an operator's CA bundle.
pub(crate) fn bundle(pem: &str) -> Result<Vec<CertificateDer<'static>>, Problem> {
    if pem.trim().is_empty() {
        return Ok(Vec::new());
    }
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|_| unusable("it is no PEM"))?;
    if certificates.is_empty() {
        return Err(unusable("it holds no certificate"));
    }
    let mut trial = RootCertStore::empty();
    for certificate in &certificates {
        let added = trial.add(certificate.clone());
        added.map_err(|_| unusable("one of its certificates can't be read"))?;
    }
    Ok(certificates)
}

/// The client side of TLS for one host: the machine's CAs and the operator's bundle.
pub(crate) fn client_config(pem: &str) -> Result<ClientConfig, Problem> {
    let mut roots = machine_roots().clone();
    roots.add_parsable_certificates(bundle(pem)?);
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| Problem::new(Reason::Internal, "TLS could not be set up"))?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn unusable(why: &str) -> Problem {
    let message = format!(
        "the CA bundle of this host entry can't be used: {why}; give CA certificates in PEM"
    );
    Problem::invalid("ca_bundle_pem", message).act(Who::HostOperator, "")
}
