//! Handing out credentials.

use std::{
    fmt::Display,
    time::{Duration, SystemTime},
};

use bindery_proto::v1::{
    self, FetchReadCredentialRequest, FetchReadWriteCredentialRequest, Lease, ListLeasesRequest,
    RevokeLeaseRequest, RevokeLeaseResponse, credential_service_client::CredentialServiceClient,
};

use crate::{
    Client, Error, Pages, Token,
    call::{Manner, call, keyed},
    page::pages,
};

/// Asks for a credential.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
#[must_use]
pub struct CredentialRequest {
    link: String,
    repository: String,
    min_remaining: Option<Duration>,
    require_narrowed: bool,
}

impl CredentialRequest {
    /// For all that a link reaches: `namespaces/{namespace}/links/{link}`.
    pub fn new(link: impl Display) -> Self {
        Self {
            link: link.to_string(),
            ..Self::default()
        }
    }

    /// For one repository, by stable id or full name such as `acme/api`.
    pub fn repository(mut self, repository: impl Into<String>) -> Self {
        self.repository = repository.into();
        self
    }

    /// How long the token must at least stay valid; unless set, 5 minutes.
    pub fn min_remaining(mut self, time: Duration) -> Self {
        self.min_remaining = Some(time);
        self
    }

    /// Refuses a token that reaches more than the repository.
    pub fn require_narrowed(mut self) -> Self {
        self.require_narrowed = true;
        self
    }

    fn duration(&self) -> Option<prost_types::Duration> {
        prost_types::Duration::try_from(self.min_remaining?).ok()
    }
}

/// A token that was handed out, and what is known about it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Credential {
    /// The token, for git over HTTPS or the provider's API.
    pub token: Token,
    /// User name for git over HTTPS.
    pub git_username: String,
    /// When it stops being valid; `None` where it does not or nobody knows.
    pub expires_at: Option<SystemTime>,
    /// The lease, for [`Client::revoke_lease`].
    pub lease: String,
    /// Whether it is limited to the repository.
    pub narrowed: bool,
    /// Whether it may be used for writing.
    pub writable: bool,
    /// Name of the repository that it was asked for; may be empty.
    pub repository: String,
    /// URL for `git clone`; empty where no repository was asked for.
    pub clone_uri: String,
    /// Base URL of the provider's API.
    pub api_uri: String,
}

impl From<v1::Credential> for Credential {
    fn from(credential: v1::Credential) -> Self {
        let writable = credential.permission() == v1::CredentialPermission::ReadWrite;
        Self {
            token: Token::from(credential.token),
            git_username: credential.git_username,
            expires_at: credential.expire_time.and_then(|time| time.try_into().ok()),
            lease: credential.lease,
            narrowed: credential.narrowed,
            writable,
            repository: credential.repository,
            clone_uri: credential.clone_uri,
            api_uri: credential.api_uri,
        }
    }
}

impl Client {
    /// Fetches a token for reading code. One that expires too soon is refreshed first.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::NotBound`], [`Error::LinkDisabled`],
    /// [`Error::NeedsReauthorization`], [`Error::ScopeMissing`], and those that every call has.
    pub async fn read_credential(&self, request: &CredentialRequest) -> Result<Credential, Error> {
        let message = FetchReadCredentialRequest {
            link: request.link.clone(),
            repository: request.repository.clone(),
            min_remaining: request.duration(),
            require_narrowed: request.require_narrowed,
        };
        let manner = Manner::HAND_OUT;
        call!(
            self,
            manner,
            CredentialServiceClient<_>,
            fetch_read_credential,
            message
        )
        .map(Credential::from)
    }

    /// Fetches a token for reading and writing code.
    ///
    /// # Errors
    ///
    /// As for [`read_credential`](Self::read_credential).
    pub async fn read_write_credential(
        &self,
        request: &CredentialRequest,
    ) -> Result<Credential, Error> {
        let message = FetchReadWriteCredentialRequest {
            link: request.link.clone(),
            repository: request.repository.clone(),
            min_remaining: request.duration(),
            require_narrowed: request.require_narrowed,
        };
        let manner = Manner::HAND_OUT;
        call!(
            self,
            manner,
            CredentialServiceClient<_>,
            fetch_read_write_credential,
            message
        )
        .map(Credential::from)
    }

    /// Lists the leases of a namespace, the newest first; an empty filter means all. Those that ended come on request.
    pub fn list_leases(
        &self,
        parent: impl Display,
        filter: impl Into<String>,
        include_ended: bool,
    ) -> Pages<Lease> {
        let request = ListLeasesRequest {
            parent: parent.to_string(),
            filter: filter.into(),
            include_ended,
            ..ListLeasesRequest::default()
        };
        pages!(
            self,
            Manner::READ,
            CredentialServiceClient<_>,
            list_leases,
            request,
            leases
        )
    }

    /// Gives a credential back, by its lease.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], and those that every call has.
    pub async fn revoke_lease(&self, lease: impl Display) -> Result<RevokeLeaseResponse, Error> {
        let message = RevokeLeaseRequest {
            name: lease.to_string(),
            request_id: String::new(),
        };
        keyed!(
            self,
            Manner::KEYED_AT_FORGE,
            CredentialServiceClient<_>,
            revoke_lease,
            message
        )
    }
}
