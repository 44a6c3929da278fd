//! Repositories and refs that a link can see.

use std::fmt::Display;

use bindery_proto::v1::{
    CheckAccessRequest, CheckAccessResponse, GetRepositoryRequest, ListRefsRequest,
    ListRepositoriesRequest, ListRepositoriesResponse, Permission, Ref, Repository, r#ref::Kind,
    repository_service_client::RepositoryServiceClient,
};

use crate::{
    Client, Error, Notice, Pages,
    call::{Manner, call},
    page::pages,
};

/// Which repositories.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[must_use]
pub struct RepositoryQuery {
    /// Text that the path contains; empty means all.
    pub text: String,
    /// Login or path of the owner; empty means all.
    pub owner: String,
    /// Only those that the link may add a webhook to.
    pub can_add_hook_only: bool,
}

impl Client {
    /// Lists the repositories that a link can see.
    pub fn list_repositories(
        &self,
        link: impl Display,
        query: RepositoryQuery,
    ) -> Pages<Repository> {
        let request = ListRepositoriesRequest {
            parent: link.to_string(),
            query: query.text,
            owner: query.owner,
            can_add_hook_only: query.can_add_hook_only,
            ..ListRepositoriesRequest::default()
        };
        let notice = |answer: &ListRepositoriesResponse| {
            let message = answer.partial_message.clone();
            answer.partial.then_some(Notice { message, url: None })
        };
        pages!(
            self,
            Manner::READ_AT_FORGE,
            RepositoryServiceClient<_>,
            list_repositories,
            request,
            repositories,
            notice
        )
    }

    /// Gets a repository; [`RepositoryName`](crate::names::RepositoryName) makes its name of a path.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::NotBound`], [`Error::LinkDisabled`],
    /// [`Error::NeedsReauthorization`], and those that every call has.
    pub async fn get_repository(&self, name: impl Display) -> Result<Repository, Error> {
        let request = GetRepositoryRequest {
            name: name.to_string(),
        };
        let manner = Manner::READ_AT_FORGE;
        call!(
            self,
            manner,
            RepositoryServiceClient<_>,
            get_repository,
            request
        )
    }

    /// Lists branches, tags, or with `None` first the ones and then the others.
    pub fn list_refs(&self, repository: impl Display, kind: Option<Kind>) -> Pages<Ref> {
        let request = ListRefsRequest {
            parent: repository.to_string(),
            kind: kind.unwrap_or_default().into(),
            ..ListRefsRequest::default()
        };
        let manner = Manner::READ_AT_FORGE;
        pages!(
            self,
            manner,
            RepositoryServiceClient<_>,
            list_refs,
            request,
            refs
        )
    }

    /// Says whether the link can do something with a repository and, if not, why and who can change it.
    ///
    /// # Errors
    ///
    /// [`Error::NotBound`], [`Error::LinkDisabled`], [`Error::NeedsReauthorization`], and those that every
    /// call has. A "no" is none.
    pub async fn check_access(
        &self,
        repository: impl Display,
        permission: Permission,
    ) -> Result<CheckAccessResponse, Error> {
        let request = CheckAccessRequest {
            name: repository.to_string(),
            permission: permission.into(),
        };
        let manner = Manner::READ_AT_FORGE;
        call!(
            self,
            manner,
            RepositoryServiceClient<_>,
            check_access,
            request
        )
    }
}
