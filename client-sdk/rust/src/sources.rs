//! Sources: repositories that are connected as automated build sources, and their deliveries.

use std::{fmt::Display, time::SystemTime};

use bindery_proto::v1::{
    CatchUpSourceRequest, CatchUpSourceResponse, CleanupStep, Delivery, GetDeliveryRequest,
    GetSourceRequest, ListDeliveriesRequest, ListSourcesRequest, RepairSourceRequest,
    RetryDeliveryRequest, Source, UpdateSourceRequest, VerifySourceRequest, delivery,
    source_service_client::SourceServiceClient,
};

use crate::{
    Change, Client, Error, Pages,
    call::{Manner, call, keyed},
    page::pages,
};

mod requests;

pub use requests::{DisconnectRequest, SourceRequest};

/// Every call here can also fail with [`Error::NotBound`], [`Error::LinkDisabled`] and
/// [`Error::NeedsReauthorization`], if it reaches the provider.
impl Client {
    /// Connects a repository and registers its hook, or adopts the one that is there.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] for link or repository, [`Error::AlreadyExists`], [`Error::ScopeMissing`],
    /// [`Error::Precondition`] where the provider refuses, and those that every call has.
    pub async fn create_source(&self, request: SourceRequest) -> Result<Source, Error> {
        let request = request.into_message();
        keyed!(
            self,
            Manner::KEYED_AT_FORGE,
            SourceServiceClient<_>,
            create_source,
            request
        )
    }

    /// Gets a source, with what is known about its hook:
    /// `namespaces/{namespace}/links/{link}/sources/{source}`.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], and those that every call has.
    pub async fn get_source(&self, name: impl Display) -> Result<Source, Error> {
        let name = name.to_string();
        let request = GetSourceRequest { name };
        call!(
            self,
            Manner::READ,
            SourceServiceClient<_>,
            get_source,
            request
        )
    }

    /// Lists the sources of a link in the order of their creation; `-` in the place of namespace or link
    /// means all. An empty filter means all, too.
    pub fn list_sources(&self, parent: impl Display, filter: impl Into<String>) -> Pages<Source> {
        let request = ListSourcesRequest {
            parent: parent.to_string(),
            filter: filter.into(),
            ..ListSourcesRequest::default()
        };
        pages!(
            self,
            Manner::READ,
            SourceServiceClient<_>,
            list_sources,
            request,
            sources
        )
    }

    /// Changes rules, limits, names, labels or the pause of a source.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Conflict`] where `etag` is set and old, [`Error::InvalidArgument`],
    /// and those that every call has.
    pub async fn update_source(&self, change: Change<Source>) -> Result<Source, Error> {
        let request = UpdateSourceRequest {
            source: Some(change.resource),
            update_mask: Some(change.mask),
            validate_only: change.preview,
            ..UpdateSourceRequest::default()
        };
        keyed!(
            self,
            Manner::KEYED,
            SourceServiceClient<_>,
            update_source,
            request
        )
    }

    /// Disconnects a source and deletes its hook, unless other sources use it; returns what was done at the
    /// provider, and what a person still has to do.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Conflict`] where the `etag` is old, and those that every call has.
    pub async fn delete_source(
        &self,
        request: DisconnectRequest,
    ) -> Result<Vec<CleanupStep>, Error> {
        let request = request.into_message();
        let answer = keyed!(
            self,
            Manner::KEYED_AT_FORGE,
            SourceServiceClient<_>,
            delete_source,
            request
        )?;
        Ok(answer.steps)
    }

    /// Compares the hook at the provider with what it should be, and waits up to 30 seconds for a ping. What
    /// is wrong is in the hook's state, not an error.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], and those that every call has.
    pub async fn verify_source(&self, name: impl Display) -> Result<Source, Error> {
        let name = name.to_string();
        let request = VerifySourceRequest { name };
        call!(
            self,
            Manner::ONCE_AT_FORGE,
            SourceServiceClient<_>,
            verify_source,
            request
        )
    }

    /// Puts the hook of a source right in place: URL, events, secret, activity; creates it where it is
    /// missing.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::ScopeMissing`], [`Error::Precondition`] where the provider refuses, and
    /// those that every call has.
    pub async fn repair_source(&self, name: impl Display) -> Result<Source, Error> {
        let request = RepairSourceRequest {
            name: name.to_string(),
            ..RepairSourceRequest::default()
        };
        keyed!(
            self,
            Manner::KEYED_AT_FORGE,
            SourceServiceClient<_>,
            repair_source,
            request
        )
    }

    /// Fetches deliveries that were missed, compares refs, and emits what was missed exactly once. Without a
    /// time it looks back to the last delivery that is known.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], and those that every call has.
    pub async fn catch_up_source(
        &self,
        name: impl Display,
        since: Option<SystemTime>,
    ) -> Result<CatchUpSourceResponse, Error> {
        let request = CatchUpSourceRequest {
            name: name.to_string(),
            since_time: since.map(Into::into),
            ..CatchUpSourceRequest::default()
        };
        keyed!(
            self,
            Manner::KEYED_AT_FORGE,
            SourceServiceClient<_>,
            catch_up_source,
            request
        )
    }

    /// Lists the deliveries of a source that are kept, the newest first and without their bodies; with a
    /// state only those in it.
    pub fn list_deliveries(
        &self,
        source: impl Display,
        state: Option<delivery::State>,
    ) -> Pages<Delivery> {
        let request = ListDeliveriesRequest {
            parent: source.to_string(),
            state: state.unwrap_or_default().into(),
            ..ListDeliveriesRequest::default()
        };
        pages!(
            self,
            Manner::READ,
            SourceServiceClient<_>,
            list_deliveries,
            request,
            deliveries
        )
    }

    /// Gets one delivery, with `include_body` as the provider signed it.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], and those that every call has.
    pub async fn get_delivery(
        &self,
        name: impl Display,
        include_body: bool,
    ) -> Result<Delivery, Error> {
        let request = GetDeliveryRequest {
            name: name.to_string(),
            include_body,
        };
        call!(
            self,
            Manner::READ,
            SourceServiceClient<_>,
            get_delivery,
            request
        )
    }

    /// Processes a kept delivery again; what it became before is not emitted twice.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Unavailable`] and [`Error::Other`] where the plugin fails, and those
    /// that every call has.
    pub async fn retry_delivery(&self, name: impl Display) -> Result<Delivery, Error> {
        let request = RetryDeliveryRequest {
            name: name.to_string(),
            ..RetryDeliveryRequest::default()
        };
        keyed!(
            self,
            Manner::KEYED_AT_FORGE,
            SourceServiceClient<_>,
            retry_delivery,
            request
        )
    }
}
