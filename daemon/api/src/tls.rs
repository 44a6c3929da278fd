//! Mutual TLS: the server's certificate, and the authorities that sign callers.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    server::{NoServerSessionStorage, WebPkiClientVerifier},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use thiserror::Error;

/// Certificates that can't be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file can't be read.
    #[error("{path} can't be read: {source}", path = .path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The key is open to everybody.
    #[error("{path} can be read by everybody; take that right away (chmod o-rwx)", path = .path.display())]
    KeyForEverybody {
        /// Which file.
        path: PathBuf,
    },
    /// A file holds something else.
    #[error("{path} holds no usable {what} in PEM", path = .path.display())]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
    /// Certificate and key don't fit, or an authority can't be used.
    #[error("certificate, key and client authorities don't fit together: {0}")]
    Refused(String),
}

/// Certificates of a listener. Cheap to clone; all clones change together.
#[derive(Clone)]
pub struct TlsHandle {
    inner: Arc<Inner>,
}

struct Inner {
    files: Files,
    current: RwLock<Arc<ServerConfig>>,
}

struct Files {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: PathBuf,
}

impl fmt::Debug for TlsHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsHandle")
            .field("certificate", &self.inner.files.certificate)
            .finish_non_exhaustive()
    }
}

impl TlsHandle {
    /// Reads the server's certificate chain, its key, and the authorities that sign callers, all in PEM.
    ///
    /// # Errors
    ///
    /// [`TlsError`].
    pub fn load(
        certificate: impl AsRef<Path>,
        key: impl AsRef<Path>,
        client_ca: impl AsRef<Path>,
    ) -> Result<Self, TlsError> {
        let files = Files {
            certificate: certificate.as_ref().to_owned(),
            key: key.as_ref().to_owned(),
            client_ca: client_ca.as_ref().to_owned(),
        };
        let current = RwLock::new(files.config()?);
        Ok(Self {
            inner: Arc::new(Inner { files, current }),
        })
    }

    /// Reads the files again. New connections use them; where they are wrong, the old ones stay.
    ///
    /// # Errors
    ///
    /// [`TlsError`].
    pub fn reload(&self) -> Result<(), TlsError> {
        let next = self.inner.files.config()?;
        *self
            .inner
            .current
            .write()
            .unwrap_or_else(PoisonError::into_inner) = next;
        Ok(())
    }

    /// Checks the files without using them.
    pub(crate) fn check(&self) -> Result<(), TlsError> {
        self.inner.files.config().map(drop)
    }

    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        let current = self
            .inner
            .current
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current)
    }
}

impl Files {
    fn config(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let refused = |error: &dyn fmt::Display| TlsError::Refused(error.to_string());
        let roots = Arc::new(self.roots()?);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider))
            .build()
            .map_err(|error| refused(&error))?;
        let chain = certificates(&self.certificate)?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| refused(&error))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, self.private_key()?)
            .map_err(|error| refused(&error))?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        // A resumed session would carry a certificate that nobody checks again.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Arc::new(config))
    }

    fn roots(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        for authority in certificates(&self.client_ca)? {
            let added = roots.add(authority);
            added.map_err(|_| unusable(&self.client_ca, "certificate authority"))?;
        }
        Ok(roots)
    }

    fn private_key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        use std::os::unix::fs::PermissionsExt;
        let metadata =
            std::fs::metadata(&self.key).map_err(|error| unreadable(&self.key, error))?;
        if metadata.permissions().mode() & 0o007 != 0 {
            return Err(TlsError::KeyForEverybody {
                path: self.key.clone(),
            });
        }
        let text = std::fs::read(&self.key).map_err(|error| unreadable(&self.key, error))?;
        PrivateKeyDer::from_pem_slice(&text).map_err(|_| unusable(&self.key, "private key"))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = std::fs::read(path).map_err(|error| unreadable(path, error))?;
    let found = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(unusable(path, "certificate")),
    }
}

fn unreadable(path: &Path, source: io::Error) -> TlsError {
    TlsError::Unreadable {
        path: path.to_owned(),
        source,
    }
}

fn unusable(path: &Path, what: &'static str) -> TlsError {
    TlsError::Unusable {
        path: path.to_owned(),
        what,
    }
}
