//! Certificates for the tests, made once.

use std::sync::OnceLock;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, SanType,
};

/// A certificate authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("key");
        Self(CertifiedIssuer::self_signed(params, key).expect("authority"))
    }

    /// An authority under this one.
    pub(crate) fn under(&self, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "between");
        change(&mut params);
        let key = KeyPair::generate().expect("key");
        Self(CertifiedIssuer::signed_by(params, key, &*self.0).expect("authority"))
    }

    /// A client of this authority, which sends the authority's certificate too.
    pub(crate) fn chained(&self, params: &CertificateParams) -> Identity {
        let identity = self.sign(params);
        Identity {
            certificate: identity.certificate + &self.pem(),
            key: identity.key,
        }
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn sign(&self, params: &CertificateParams) -> Identity {
        let key = KeyPair::generate().expect("key");
        let certificate = params.signed_by(&key, &self.0).expect("signed");
        Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// A client with these names and nothing else.
    pub(crate) fn client(&self, names: Vec<SanType>) -> Identity {
        self.sign(&client(names))
    }
}

/// What a client certificate says.
pub(crate) fn client(names: Vec<SanType>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.subject_alt_names = names;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
}

/// A SPIFFE id as a name.
pub(crate) fn spiffe(path: &str) -> SanType {
    SanType::URI(
        format!("spiffe://test.example/{path}")
            .try_into()
            .expect("ascii"),
    )
}

/// A DNS name as a name.
pub(crate) fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().expect("ascii"))
}

/// The authority of this test run.
pub(crate) fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| Authority::new("tests"))
}

/// The server of this test run.
pub(crate) fn server() -> &'static Identity {
    static SERVER: OnceLock<Identity> = OnceLock::new();
    SERVER.get_or_init(|| {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![dns("bindery.test")];
        authority().sign(&params)
    })
}
