//! Mutual TLS: the server's certificate, the authorities that sign callers, and the keys that are not let in.

use std::{
    collections::HashSet,
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::SystemTime,
};

use data_encoding::HEXLOWER_PERMISSIVE;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    server::{NoServerSessionStorage, WebPkiClientVerifier, danger::ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use thiserror::Error;
use tokio::sync::watch;

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
    /// A line of the deny list is no hash of a key.
    #[error("{path}, line {line}: write the SHA-256 of a public key (SPKI, DER) as 64 hexadecimal digits", path = .path.display())]
    NoKeyHash {
        /// Which file.
        path: PathBuf,
        /// Which line, 1 for the first.
        line: usize,
    },
    /// Certificate and key don't fit, or an authority can't be used.
    #[error("certificate, key and client authorities don't fit together: {0}")]
    Refused(String),
    /// More than one thing is wrong.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Several(Vec<Self>),
}

/// Certificates of a listener. Cheap to clone; all clones change together.
#[derive(Clone)]
pub struct TlsHandle {
    inner: Arc<Inner>,
}

/// SHA-256 of the keys that are let in no more.
type Denied = Arc<HashSet<[u8; 32]>>;

struct Inner {
    files: Files,
    current: RwLock<Arc<Door>>,
    /// Held while files are read, so that nobody puts back what somebody else has renewed.
    renewing: Mutex<()>,
    changes: watch::Sender<u64>,
}

struct Files {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: PathBuf,
    deny_list: Option<PathBuf>,
}

/// Who is let in now.
#[derive(Clone)]
pub(crate) struct Door {
    /// For new connections.
    pub(crate) config: Arc<ServerConfig>,
    /// For certificates of open ones.
    pub(crate) verifier: Arc<dyn ClientCertVerifier>,
    /// SHA-256 of the public keys (SPKI) that are not let in.
    pub(crate) denied: Denied,
    /// How often the files were read again.
    pub(crate) generation: u64,
    /// When the deny list was changed last, as its file says.
    changed: Option<SystemTime>,
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
        Self::load_with_deny_list(certificate, key, client_ca, None)
    }

    /// As [`Self::load`]. Each line of `deny_list` is the SHA-256 of a public key (SPKI, DER) as 64 hexadecimal digits;
    /// what follows a `#` is a comment.
    ///
    /// # Errors
    ///
    /// [`TlsError`].
    pub fn load_with_deny_list(
        certificate: impl AsRef<Path>,
        key: impl AsRef<Path>,
        client_ca: impl AsRef<Path>,
        deny_list: Option<&Path>,
    ) -> Result<Self, TlsError> {
        let files = Files {
            certificate: certificate.as_ref().to_owned(),
            key: key.as_ref().to_owned(),
            client_ca: client_ca.as_ref().to_owned(),
            deny_list: deny_list.map(Path::to_owned),
        };
        let current = RwLock::new(Arc::new(files.door()?));
        let inner = Inner {
            files,
            current,
            renewing: Mutex::default(),
            changes: watch::Sender::new(0),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Reads the files again. New connections and the next call on each open one are judged by them. Where the certificates
    /// are wrong the old ones stay, and the deny list counts all the same; and the other way round.
    ///
    /// # Errors
    ///
    /// [`TlsError`], for all that stays as it was.
    pub fn reload(&self) -> Result<(), TlsError> {
        self.renew(true)
    }

    /// Reads the deny list again where it changed since, and tells how many keys are on it then. Reads from the disk, little
    /// and quickly.
    pub(crate) fn follow_deny_list(&self) -> Option<Result<usize, TlsError>> {
        let path = self.inner.files.deny_list.as_ref()?;
        if changed(path) == self.door().changed {
            return None;
        }
        let renewed = self.renew(false);
        match &renewed {
            Ok(()) => tracing::info!("Deny list read again"),
            Err(error) => tracing::error!(%error, "The deny list is not usable; the old one stays"),
        }
        Some(renewed.map(|()| self.door().denied.len()))
    }

    /// Each part by itself: a key is denied also while a certificate is being renewed.
    fn renew(&self, certificates: bool) -> Result<(), TlsError> {
        let renewing = &self.inner.renewing;
        let _alone = renewing.lock().unwrap_or_else(PoisonError::into_inner);
        let (files, mut next) = (&self.inner.files, Door::clone(&self.door()));
        let mut wrong = Vec::new();
        match files.list() {
            Ok((denied, changed)) => (next.denied, next.changed) = (denied, changed),
            Err(error) => wrong.push(error),
        }
        match certificates.then(|| files.trust()) {
            Some(Ok((config, verifier))) => (next.config, next.verifier) = (config, verifier),
            Some(Err(error)) => wrong.push(error),
            None => {}
        }
        next.generation += 1;
        let generation = next.generation;
        let current = &self.inner.current;
        *current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
        self.inner.changes.send_replace(generation);
        match wrong.pop() {
            None => Ok(()),
            Some(one) if wrong.is_empty() => Err(one),
            Some(other) => {
                wrong.push(other);
                Err(TlsError::Several(wrong))
            }
        }
    }

    /// Checks the files without using them.
    pub(crate) fn check(&self) -> Result<(), TlsError> {
        self.inner.files.door().map(drop)
    }

    /// Who is let in now.
    pub(crate) fn door(&self) -> Arc<Door> {
        let current = self
            .inner
            .current
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current)
    }

    /// Tells when the files were read again.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }
}

impl Files {
    fn door(&self) -> Result<Door, TlsError> {
        let (denied, changed) = self.list()?;
        let (config, verifier) = self.trust()?;
        Ok(Door {
            config,
            verifier,
            denied,
            generation: 0,
            changed,
        })
    }

    /// The deny list, and when it was changed.
    fn list(&self) -> Result<(Denied, Option<SystemTime>), TlsError> {
        // The time first: a list that is changed meanwhile is read once more.
        let changed = self.deny_list.as_deref().and_then(changed);
        Ok((Arc::new(self.denied()?), changed))
    }

    /// What new connections are made with, and who signs callers.
    fn trust(&self) -> Result<(Arc<ServerConfig>, Arc<dyn ClientCertVerifier>), TlsError> {
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
            .with_client_cert_verifier(Arc::clone(&verifier))
            .with_single_cert(chain, self.private_key()?)
            .map_err(|error| refused(&error))?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        // A resumed session would carry a certificate that nobody checks again.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok((Arc::new(config), verifier))
    }

    fn denied(&self) -> Result<HashSet<[u8; 32]>, TlsError> {
        let Some(path) = &self.deny_list else {
            return Ok(HashSet::new());
        };
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(path, error))?;
        let mut denied = HashSet::new();
        for (index, line) in text.lines().enumerate() {
            let hash = line.split('#').next().unwrap_or_default().trim();
            if hash.is_empty() {
                continue;
            }
            let bytes = HEXLOWER_PERMISSIVE.decode(hash.as_bytes()).ok();
            let wrong = || TlsError::NoKeyHash {
                path: path.clone(),
                line: index + 1,
            };
            denied.insert(
                bytes
                    .and_then(|bytes| bytes.try_into().ok())
                    .ok_or_else(wrong)?,
            );
        }
        Ok(denied)
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

fn changed(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).ok()?.modified().ok()
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
