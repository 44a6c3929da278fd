//! The generated clients.

use bindery_proto::{
    admin::v1::admin_service_client::AdminServiceClient,
    v1::{
        credential_service_client::CredentialServiceClient,
        event_service_client::EventServiceClient, host_service_client::HostServiceClient,
        link_service_client::LinkServiceClient, namespace_service_client::NamespaceServiceClient,
        provider_service_client::ProviderServiceClient,
        repository_service_client::RepositoryServiceClient,
        source_service_client::SourceServiceClient,
    },
};
use tonic::transport::Channel;

/// The generated clients on one connection, for calls that [`Client`](crate::Client) has no method for.
/// [`Error::from_status`](crate::Error::from_status) reads their errors.
#[derive(Clone, Debug)]
pub struct Raw(Channel);

macro_rules! services {
    ($($(#[$doc:meta])* $name:ident: $service:ident;)*) => {
        impl Raw {
            pub(crate) fn new(channel: Channel) -> Self {
                Self(channel)
            }

            $($(#[$doc])*
            #[must_use]
            pub fn $name(&self) -> $service<Channel> {
                $service::new(self.0.clone())
            })*
        }
    };
}

services! {
    /// `AdminService`, on the admin socket only.
    admin: AdminServiceClient;
    /// `CredentialService`.
    credentials: CredentialServiceClient;
    /// `EventService`.
    events: EventServiceClient;
    /// `HostService`.
    hosts: HostServiceClient;
    /// `LinkService`.
    links: LinkServiceClient;
    /// `NamespaceService`.
    namespaces: NamespaceServiceClient;
    /// `ProviderService`.
    providers: ProviderServiceClient;
    /// `RepositoryService`.
    repositories: RepositoryServiceClient;
    /// `SourceService`.
    sources: SourceServiceClient;
}
