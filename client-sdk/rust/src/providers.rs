//! Providers: which plugins are loaded.

use std::fmt::Display;

use bindery_proto::v1::{
    GetProviderRequest, ListProvidersRequest, Provider,
    provider_service_client::ProviderServiceClient,
};

use crate::{
    Client, Error, Pages,
    call::{Manner, call},
    page::pages,
};

impl Client {
    /// Lists the providers, those whose plugin does not work included.
    pub fn list_providers(&self) -> Pages<Provider> {
        let request = ListProvidersRequest::default();
        pages!(
            self,
            Manner::READ,
            ProviderServiceClient<_>,
            list_providers,
            request,
            providers
        )
    }

    /// Gets a provider: `providers/{provider}`.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], and those that every call has.
    pub async fn get_provider(&self, name: impl Display) -> Result<Provider, Error> {
        let request = GetProviderRequest {
            name: name.to_string(),
        };
        call!(
            self,
            Manner::READ,
            ProviderServiceClient<_>,
            get_provider,
            request
        )
    }
}
