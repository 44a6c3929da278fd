//! TLS: one provider, public CAs, and the operator's own.
//!
//! Public CAs come from the machine (`rustls-native-certs`), not from a list that is compiled in: security updates of the
//! distribution then take a distrusted CA away without a new Bindery, and an administrator's company CA is known at once.

use std::sync::{Arc, OnceLock};

use bindery_core::{
    exchange::Reach,
    problem::{Problem, Reason, Who},
};
use rustls::{
    ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier, client::WantsClientCert,
    crypto::ring,
};
use rustls_pki_types::{CertificateDer, pem::PemObject};

pub(crate) mod facts;
mod identity;
mod witness;

pub(crate) use self::witness::Witness;

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

/// The client side of TLS for one host: the machine's CAs, the operator's bundle, and the client certificate.
pub(crate) fn client_config(reach: Reach<'_>) -> Result<ClientConfig, Problem> {
    let builder = builder()?.with_root_certificates(roots(reach)?);
    finish(builder, reach)
}

/// Without a host: the CAs of this machine, and no certificate of ours.
pub(crate) fn plain_config() -> Result<ClientConfig, Problem> {
    let builder = builder()?.with_root_certificates(machine_roots().clone());
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// The same, with a witness of the certificate that the server shows.
pub(crate) fn witnessed(reach: Reach<'_>) -> Result<(ClientConfig, Arc<Witness>), Problem> {
    let provider = Arc::new(ring::default_provider());
    let witness = Arc::new(Witness::new(roots(reach)?, provider).map_err(|_| no_tls())?);
    let verifier: Arc<Witness> = Arc::clone(&witness);
    let builder = builder()?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    Ok((finish(builder, reach)?, witness))
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, Problem> {
    let provider = Arc::new(ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| no_tls())
}

fn roots(reach: Reach<'_>) -> Result<RootCertStore, Problem> {
    let mut roots = machine_roots().clone();
    roots.add_parsable_certificates(bundle(&reach.host.network.ca_bundle_pem)?);
    Ok(roots)
}

fn finish(
    builder: ConfigBuilder<ClientConfig, WantsClientCert>,
    reach: Reach<'_>,
) -> Result<ClientConfig, Problem> {
    let mut config = match identity::shown(reach)? {
        Some(identity) => builder.with_client_cert_resolver(identity),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn no_tls() -> Problem {
    Problem::new(Reason::Internal, "TLS could not be set up")
}

fn unusable(why: &str) -> Problem {
    let message = format!(
        "the CA bundle of this host entry can't be used: {why}; give CA certificates in PEM"
    );
    Problem::invalid("ca_bundle_pem", message).act(Who::HostOperator, "")
}
