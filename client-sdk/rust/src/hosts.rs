//! Hosts: deployments of providers.

use std::{fmt::Display, time::Duration};

use bindery_proto::v1::{
    CreateHostRequest, DeleteHostRequest, GetHostRequest, Host, ListHostsRequest, ProbeHostRequest,
    ProbeHostResponse, SetUpAppHookRequest, UpdateHostRequest,
    host_service_client::HostServiceClient, probe_host_request::Target,
};
use prost_types::FieldMask;

use crate::{
    Client, Error, Pages, Token,
    call::{Manner, call, keyed},
    page::pages,
};

/// What the webhook of a host's app gets. Bindery makes the secret unless one is given.
#[derive(Clone)]
pub struct AppHookRequest(SetUpAppHookRequest);

impl std::fmt::Debug for AppHookRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("AppHookRequest").field(&self.0.name).finish()
    }
}

impl AppHookRequest {
    /// For the app of `hosts/{host}`.
    #[must_use]
    pub fn new(host: impl Display) -> Self {
        Self(SetUpAppHookRequest {
            name: host.to_string(),
            ..SetUpAppHookRequest::default()
        })
    }

    /// With this secret.
    #[must_use]
    pub fn secret(mut self, secret: &Token) -> Self {
        self.0.secret = secret.expose().to_owned();
        self
    }

    /// The secret before is accepted for so long: one hour unless set.
    #[must_use]
    pub fn overlap(mut self, overlap: Duration) -> Self {
        self.0.overlap = overlap.try_into().ok();
        self
    }

    /// A person enters URL and secret in the settings of the app; the provider is asked for nothing.
    #[must_use]
    pub const fn by_hand(mut self) -> Self {
        self.0.by_hand = true;
        self
    }
}

impl Client {
    /// Creates a host; nothing is sent to it.
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyExists`], [`Error::InvalidArgument`], [`Error::PermissionDenied`], and those that
    /// every call has.
    pub async fn create_host(&self, id: impl Into<String>, host: Host) -> Result<Host, Error> {
        let request = CreateHostRequest {
            host_id: id.into(),
            host: Some(host),
            ..CreateHostRequest::default()
        };
        keyed!(
            self,
            Manner::KEYED,
            HostServiceClient<_>,
            create_host,
            request
        )
    }

    /// Gets a host: `hosts/{host}`, without its secrets.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], and those that every call has.
    pub async fn get_host(&self, name: impl Display) -> Result<Host, Error> {
        let request = GetHostRequest {
            name: name.to_string(),
        };
        call!(self, Manner::READ, HostServiceClient<_>, get_host, request)
    }

    /// Lists hosts; an empty filter means all.
    pub fn list_hosts(&self, filter: impl Into<String>) -> Pages<Host> {
        let request = ListHostsRequest {
            filter: filter.into(),
            ..ListHostsRequest::default()
        };
        pages!(
            self,
            Manner::READ,
            HostServiceClient<_>,
            list_hosts,
            request,
            hosts
        )
    }

    /// Changes the fields of a host that the mask names, such as `public_urls.web`. A secret that it does
    /// not name stays.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Conflict`] where `etag` is set and old, [`Error::InvalidArgument`],
    /// and those that every call has.
    pub async fn update_host<P: Into<String>>(
        &self,
        host: Host,
        mask: impl IntoIterator<Item = P>,
    ) -> Result<Host, Error> {
        let paths = mask.into_iter().map(Into::into).collect();
        let request = UpdateHostRequest {
            host: Some(host),
            update_mask: Some(FieldMask { paths }),
            ..UpdateHostRequest::default()
        };
        keyed!(
            self,
            Manner::KEYED,
            HostServiceClient<_>,
            update_host,
            request
        )
    }

    /// Exchanges client secrets of a host without a gap: those of `add` are tried before the stored ones, and those with the
    /// fingerprints of `remove`, as `client_secret_facts` has them, are taken away.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::InvalidArgument`] for a fingerprint that is not stored, and those that every call has.
    pub async fn exchange_client_secrets(
        &self,
        name: impl Display,
        add: &[Token],
        remove: impl IntoIterator<Item = String>,
    ) -> Result<Host, Error> {
        let host = Host {
            name: name.to_string(),
            ..Host::default()
        };
        let request = UpdateHostRequest {
            host: Some(host),
            add_client_secrets: add.iter().map(|one| one.expose().to_owned()).collect(),
            remove_client_secrets: remove.into_iter().collect(),
            ..UpdateHostRequest::default()
        };
        keyed!(
            self,
            Manner::KEYED,
            HostServiceClient<_>,
            update_host,
            request
        )
    }

    /// Deletes a host without links, and its secrets.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Precondition`] where it has links, and those that every call has.
    pub async fn delete_host(&self, name: impl Display) -> Result<(), Error> {
        let request = DeleteHostRequest {
            name: name.to_string(),
            ..DeleteHostRequest::default()
        };
        keyed!(
            self,
            Manner::KEYED,
            HostServiceClient<_>,
            delete_host,
            request
        )
    }

    /// Leads the webhook of a host's app to Bindery with a new secret, and says in `app.hook` what is so afterwards.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Precondition`] without an app, [`Error::InvalidArgument`], and those that every call has.
    pub async fn set_up_app_hook(&self, request: AppHookRequest) -> Result<Host, Error> {
        let request = request.0;
        call!(
            self,
            Manner::ONCE_AT_FORGE,
            HostServiceClient<_>,
            set_up_app_hook,
            request
        )
    }

    /// Tries every way to a host, layer by layer. A layer that fails is a verdict, not an error.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], and those that every call has.
    pub async fn probe_host(&self, name: impl Display) -> Result<ProbeHostResponse, Error> {
        self.probe(Target::Name(name.to_string())).await
    }

    /// Tries settings before a host is created with them.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`], and those that every call has.
    pub async fn probe_settings(&self, host: Host) -> Result<ProbeHostResponse, Error> {
        self.probe(Target::Host(host)).await
    }

    async fn probe(&self, target: Target) -> Result<ProbeHostResponse, Error> {
        let request = ProbeHostRequest {
            target: Some(target),
        };
        call!(
            self,
            Manner::READ_AT_FORGE,
            HostServiceClient<_>,
            probe_host,
            request
        )
    }
}
