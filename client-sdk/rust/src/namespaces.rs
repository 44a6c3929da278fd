//! Namespaces: who links belong to.

use std::fmt::Display;

use bindery_proto::v1::{
    CreateNamespaceRequest, DeleteNamespaceRequest, GetNamespaceRequest, ListNamespacesRequest,
    Namespace, UpdateNamespaceRequest, namespace_service_client::NamespaceServiceClient,
};
use prost_types::FieldMask;

use crate::{
    Client, Error, Pages,
    call::{Manner, call, keyed},
    page::pages,
};

impl Client {
    /// Creates a namespace.
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyExists`], [`Error::InvalidArgument`], [`Error::PermissionDenied`], and those that
    /// every call has.
    pub async fn create_namespace(
        &self,
        id: impl Into<String>,
        namespace: Namespace,
    ) -> Result<Namespace, Error> {
        let request = CreateNamespaceRequest {
            namespace_id: id.into(),
            namespace: Some(namespace),
            ..CreateNamespaceRequest::default()
        };
        keyed!(
            self,
            Manner::KEYED,
            NamespaceServiceClient<_>,
            create_namespace,
            request
        )
    }

    /// Gets a namespace: `namespaces/{namespace}`.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], and those that every call has.
    pub async fn get_namespace(&self, name: impl Display) -> Result<Namespace, Error> {
        let request = GetNamespaceRequest {
            name: name.to_string(),
        };
        call!(
            self,
            Manner::READ,
            NamespaceServiceClient<_>,
            get_namespace,
            request
        )
    }

    /// Lists the namespaces that the caller may see; an empty filter means all.
    pub fn list_namespaces(&self, filter: impl Into<String>) -> Pages<Namespace> {
        let request = ListNamespacesRequest {
            filter: filter.into(),
            ..ListNamespacesRequest::default()
        };
        pages!(
            self,
            Manner::READ,
            NamespaceServiceClient<_>,
            list_namespaces,
            request,
            namespaces
        )
    }

    /// Changes the fields of a namespace that the mask names.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Conflict`] where `etag` is set and old, [`Error::InvalidArgument`],
    /// and those that every call has.
    pub async fn update_namespace<P: Into<String>>(
        &self,
        namespace: Namespace,
        mask: impl IntoIterator<Item = P>,
    ) -> Result<Namespace, Error> {
        let paths = mask.into_iter().map(Into::into).collect();
        let request = UpdateNamespaceRequest {
            namespace: Some(namespace),
            update_mask: Some(FieldMask { paths }),
            ..UpdateNamespaceRequest::default()
        };
        keyed!(
            self,
            Manner::KEYED,
            NamespaceServiceClient<_>,
            update_namespace,
            request
        )
    }

    /// Deletes a namespace without links.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Precondition`] where it has links, and those that every call has.
    pub async fn delete_namespace(&self, name: impl Display) -> Result<(), Error> {
        let request = DeleteNamespaceRequest {
            name: name.to_string(),
            ..DeleteNamespaceRequest::default()
        };
        keyed!(
            self,
            Manner::KEYED,
            NamespaceServiceClient<_>,
            delete_namespace,
            request
        )
    }
}
