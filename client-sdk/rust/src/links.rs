//! Links: one identity on one host, bound to one namespace.

use std::{fmt::Display, time::Duration};

use bindery_proto::v1::{
    CancelLinkRequest, CheckLinkRequest, CheckLinkResponse, CompleteLinkRequest,
    CreateLinkResponse, DisableLinkRequest, EnableLinkRequest, Expiring, GetLinkRequest,
    GetReceiptRequest, Link, ListExpiringRequest, ListLinksRequest, ListOrganizationsRequest,
    ListOrganizationsResponse, ListReceiptsRequest, Organization, ReauthorizeLinkResponse, Receipt,
    UpdateLinkRequest, link_service_client::LinkServiceClient,
};
use prost_types::FieldMask;

use crate::{
    Client, Error, Notice, Pages, Token,
    call::{Manner, call, keyed},
    page::pages,
};

mod requests;

pub use requests::{ConfirmRequest, LinkRequest, ReauthorizeRequest, UnlinkRequest};

impl Client {
    /// Starts a link. With a token it is bound when this returns; otherwise the answer's `authorization`
    /// says where a person goes, and [`wait_until_bound`](Self::wait_until_bound) waits for them.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] for namespace or host, [`Error::AlreadyExists`], [`Error::ScopeMissing`],
    /// [`Error::Precondition`] where a token or method is refused, and those that every call has.
    pub async fn create_link(&self, request: LinkRequest) -> Result<CreateLinkResponse, Error> {
        let request = request.into_message();
        keyed!(
            self,
            Manner::KEYED_AT_FORGE,
            LinkServiceClient<_>,
            create_link,
            request
        )
    }

    /// Gets a link: `namespaces/{namespace}/links/{link}`.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], and those that every call has.
    pub async fn get_link(&self, name: impl Display) -> Result<Link, Error> {
        let request = GetLinkRequest {
            name: name.to_string(),
        };
        call!(self, Manner::READ, LinkServiceClient<_>, get_link, request)
    }

    /// Lists the links of a namespace, or with `namespaces/-` all that the caller may see; an empty filter
    /// means all.
    pub fn list_links(&self, parent: impl Display, filter: impl Into<String>) -> Pages<Link> {
        let request = ListLinksRequest {
            parent: parent.to_string(),
            filter: filter.into(),
            ..ListLinksRequest::default()
        };
        pages!(
            self,
            Manner::READ,
            LinkServiceClient<_>,
            list_links,
            request,
            links
        )
    }

    /// Changes the fields of a link that the mask names: `display_name`, `labels`, `annotations` or
    /// `service_account`.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Conflict`] where `etag` is set and old, [`Error::InvalidArgument`],
    /// and those that every call has.
    pub async fn update_link<P: Into<String>>(
        &self,
        link: Link,
        mask: impl IntoIterator<Item = P>,
    ) -> Result<Link, Error> {
        let paths = mask.into_iter().map(Into::into).collect();
        let request = UpdateLinkRequest {
            link: Some(link),
            update_mask: Some(FieldMask { paths }),
            ..UpdateLinkRequest::default()
        };
        keyed!(
            self,
            Manner::KEYED,
            LinkServiceClient<_>,
            update_link,
            request
        )
    }

    /// Hands in what the provider sent to the caller's own callback page.
    ///
    /// # Errors
    ///
    /// [`Error::Precondition`] where the flow is over, [`Error::PermissionDenied`] where it is another's,
    /// and those that every call has.
    pub async fn complete_link(
        &self,
        name: impl Display,
        code: &Token,
        state: &Token,
        issuer: impl Into<String>,
    ) -> Result<Link, Error> {
        let request = CompleteLinkRequest {
            name: name.to_string(),
            code: code.expose().to_owned(),
            state: state.expose().to_owned(),
            issuer: issuer.into(),
            request_id: String::new(),
        };
        keyed!(
            self,
            Manner::KEYED_AT_FORGE,
            LinkServiceClient<_>,
            complete_link,
            request
        )
    }

    /// Confirms that the identity that consented is the right one, with the code that its page showed.
    /// Where `identity` is set, another stable id is refused.
    ///
    /// # Errors
    ///
    /// [`Error::Precondition`] where the flow is over or waits, [`Error::PermissionDenied`] where it is
    /// another's, and those that every call has.
    pub async fn confirm_link(
        &self,
        name: impl Display,
        link_code: &Token,
        identity: Option<&str>,
    ) -> Result<Link, Error> {
        let mut request = ConfirmRequest::new(name).code(link_code);
        if let Some(identity) = identity {
            request = request.identity(identity);
        }
        self.confirm(request).await
    }

    /// Confirms a link with all that a person chose: identity, namespace, instance type and region.
    ///
    /// # Errors
    ///
    /// As for [`confirm_link`](Self::confirm_link).
    pub async fn confirm(&self, request: ConfirmRequest) -> Result<Link, Error> {
        let request = request.into_message();
        keyed!(
            self,
            Manner::KEYED_AT_FORGE,
            LinkServiceClient<_>,
            confirm_link,
            request
        )
    }

    /// Ends a flow that is under way. A link that was bound before stays as it was.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Precondition`] where nothing is under way, and those that every call
    /// has.
    pub async fn cancel_link(&self, name: impl Display) -> Result<Link, Error> {
        let request = CancelLinkRequest {
            name: name.to_string(),
            ..CancelLinkRequest::default()
        };
        keyed!(
            self,
            Manner::KEYED_AT_FORGE,
            LinkServiceClient<_>,
            cancel_link,
            request
        )
    }

    /// Authorizes a link anew, with the same id.
    ///
    /// # Errors
    ///
    /// As for [`create_link`](Self::create_link).
    pub async fn reauthorize_link(
        &self,
        request: ReauthorizeRequest,
    ) -> Result<ReauthorizeLinkResponse, Error> {
        let request = request.into_message();
        keyed!(
            self,
            Manner::KEYED_AT_FORGE,
            LinkServiceClient<_>,
            reauthorize_link,
            request
        )
    }

    /// Switches a link on, at once.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Precondition`] where it is unlinked, and those that every call has.
    pub async fn enable_link(
        &self,
        name: impl Display,
        reason: impl Into<String>,
    ) -> Result<Link, Error> {
        let request = EnableLinkRequest {
            name: name.to_string(),
            reason: reason.into(),
            ..EnableLinkRequest::default()
        };
        keyed!(
            self,
            Manner::KEYED,
            LinkServiceClient<_>,
            enable_link,
            request
        )
    }

    /// Switches a link off, at once: nothing is handed out any more, and nothing is revoked.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Precondition`] where it is unlinked, and those that every call has.
    pub async fn disable_link(
        &self,
        name: impl Display,
        reason: impl Into<String>,
    ) -> Result<Link, Error> {
        let request = DisableLinkRequest {
            name: name.to_string(),
            reason: reason.into(),
            ..DisableLinkRequest::default()
        };
        keyed!(
            self,
            Manner::KEYED,
            LinkServiceClient<_>,
            disable_link,
            request
        )
    }

    /// Checks a link at the provider now. What is wrong is a finding, not an error.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::NotBound`], [`Error::LinkDisabled`], and those that every call has.
    pub async fn check_link(&self, name: impl Display) -> Result<CheckLinkResponse, Error> {
        self.check(name.to_string(), false).await
    }

    /// Refreshes the token of a link now, even where the daemon would wait, and then checks the link.
    ///
    /// # Errors
    ///
    /// As for [`Client::check_link`].
    pub async fn check_link_refreshed(
        &self,
        name: impl Display,
    ) -> Result<CheckLinkResponse, Error> {
        self.check(name.to_string(), true).await
    }

    async fn check(&self, name: String, force_refresh: bool) -> Result<CheckLinkResponse, Error> {
        let request = CheckLinkRequest {
            name,
            force_refresh,
        };
        call!(
            self,
            Manner::ONCE_AT_FORGE,
            LinkServiceClient<_>,
            check_link,
            request
        )
    }

    /// Lists the organizations of a link's identity, and for each whether the link can act in it.
    pub fn list_organizations(&self, link: impl Display) -> Pages<Organization> {
        let request = ListOrganizationsRequest {
            parent: link.to_string(),
            ..ListOrganizationsRequest::default()
        };
        let notice = |answer: &ListOrganizationsResponse| {
            answer.partial.then(|| Notice {
                message: answer.partial_message.clone(),
                url: Some(answer.partial_action_uri.clone()).filter(|url| !url.is_empty()),
            })
        };
        pages!(
            self,
            Manner::READ_AT_FORGE,
            LinkServiceClient<_>,
            list_organizations,
            request,
            organizations,
            notice
        )
    }

    /// Stops hand-out, revokes at the provider, erases the secrets, and returns what was done and what a
    /// person still has to do.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Precondition`] where other links live on the same grant, and those
    /// that every call has.
    pub async fn unlink(&self, request: UnlinkRequest) -> Result<Receipt, Error> {
        let request = request.into_message();
        keyed!(
            self,
            Manner::KEYED_AT_FORGE,
            LinkServiceClient<_>,
            unlink,
            request
        )
    }

    /// Gets a receipt: `namespaces/{namespace}/receipts/{receipt}`.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], and those that every call has.
    pub async fn get_receipt(&self, name: impl Display) -> Result<Receipt, Error> {
        let request = GetReceiptRequest {
            name: name.to_string(),
        };
        call!(
            self,
            Manner::READ,
            LinkServiceClient<_>,
            get_receipt,
            request
        )
    }

    /// Lists what expires within a time, the soonest first: tokens, keys, client secrets and certificates. Without a time
    /// it is 30 days.
    pub fn list_expiring(&self, parent: impl Display, within: Option<Duration>) -> Pages<Expiring> {
        let request = ListExpiringRequest {
            parent: parent.to_string(),
            within: within.and_then(|within| within.try_into().ok()),
            ..ListExpiringRequest::default()
        };
        pages!(
            self,
            Manner::READ,
            LinkServiceClient<_>,
            list_expiring,
            request,
            expiring
        )
    }

    /// Lists the receipts of a namespace, the newest first.
    pub fn list_receipts(&self, parent: impl Display) -> Pages<Receipt> {
        let request = ListReceiptsRequest {
            parent: parent.to_string(),
            ..ListReceiptsRequest::default()
        };
        pages!(
            self,
            Manner::READ,
            LinkServiceClient<_>,
            list_receipts,
            request,
            receipts
        )
    }
}
