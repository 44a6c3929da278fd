//! Whether a certificate still opens the door: asked for each call, since authorities, the deny list and the clock go on
//! while a connection stays (THREATS G4).

use std::sync::{Mutex, PoisonError};

use ring::digest::{SHA256, digest};
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::tls::{Door, TlsHandle};

/// Why a certificate does not open the door any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Unfit {
    /// Its key is on the deny list.
    #[error(
        "the key of the client certificate is on the deny list; ask the operator for a new identity"
    )]
    Denied,
    /// It is over.
    #[error("the client certificate has run out; connect with a new one")]
    Expired,
    /// Its authority is gone.
    #[error(
        "no authority that is trusted now signed the client certificate; connect with a new one"
    )]
    Unsigned,
    /// It can't be read.
    #[error("the client certificate can't be read")]
    Unreadable,
}

/// The certificate of one connection.
pub(crate) struct Standing {
    tls: TlsHandle,
    chain: Vec<CertificateDer<'static>>,
    /// SHA-256 of its public key (SPKI).
    key: [u8; 32],
    /// When it runs out, in seconds since the epoch.
    ends: u64,
    /// What was found, and for which state of the files.
    judged: Mutex<Option<(u64, Result<(), Unfit>)>>,
}

impl Standing {
    /// Of a chain that the TLS layer has verified.
    pub(crate) fn new(tls: TlsHandle, chain: &[CertificateDer<'_>]) -> Result<Self, Unfit> {
        let first = chain.first().ok_or(Unfit::Unreadable)?;
        let (_, certificate) = X509Certificate::from_der(first).map_err(|_| Unfit::Unreadable)?;
        let ends = certificate.validity().not_after.timestamp();
        let mut key = [0; 32];
        key.copy_from_slice(digest(&SHA256, certificate.public_key().raw).as_ref());
        Ok(Self {
            tls,
            key,
            ends: u64::try_from(ends).unwrap_or_default(),
            chain: chain.iter().map(|one| one.clone().into_owned()).collect(),
            judged: Mutex::default(),
        })
    }

    /// Whether it opens the door now.
    pub(crate) fn check(&self) -> Result<(), Unfit> {
        let now = UnixTime::now();
        if now.as_secs() > self.ends {
            return Err(Unfit::Expired);
        }
        let door = self.tls.door();
        let mut judged = self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        match *judged {
            Some((generation, verdict)) if generation == door.generation => verdict,
            _ => {
                let verdict = self.judge(&door, now);
                *judged = Some((door.generation, verdict));
                verdict
            }
        }
    }

    fn judge(&self, door: &Door, now: UnixTime) -> Result<(), Unfit> {
        if door.denied.contains(&self.key) {
            return Err(Unfit::Denied);
        }
        let (first, rest) = self.chain.split_first().ok_or(Unfit::Unreadable)?;
        let verified = door.verifier.verify_client_cert(first, rest, now);
        verified.map(drop).map_err(|_| Unfit::Unsigned)
    }

    /// Resolves when it does not open the door any more, after the files were read again.
    pub(crate) async fn lost(&self) {
        let mut changes = self.tls.changes();
        while self.check().is_ok() {
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}
