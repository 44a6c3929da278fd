//! Repositories and refs.

use bindery_proto::v1::{
    self as proto, Answer, Ref, Repository, repository_service_server::RepositoryService,
};
use tonic::{Request, Response, Status};

use super::{
    refusal::not_found,
    world::{Keyed, State, World},
};
use crate::names::{LinkName, RepositoryName};

impl Keyed for proto::ListRepositoriesRequest {}
impl Keyed for proto::GetRepositoryRequest {}
impl Keyed for proto::ListRefsRequest {}
impl Keyed for proto::CheckAccessRequest {}

#[tonic::async_trait]
impl RepositoryService for World {
    async fn list_repositories(
        &self,
        request: Request<proto::ListRepositoriesRequest>,
    ) -> Result<Response<proto::ListRepositoriesResponse>, Status> {
        self.enter("ListRepositories", &request)?;
        let request = request.into_inner();
        let state = self.lock();
        state.usable(&request.parent)?;
        let text = request.query.to_lowercase();
        let all = state
            .repositories
            .get(&request.parent)
            .cloned()
            .unwrap_or_default();
        let all: Vec<_> = all
            .into_iter()
            .filter(|found| found.full_name.to_lowercase().contains(&text))
            .collect();
        let (repositories, next_page_token) =
            state.page(&all, request.page_size, &request.page_token)?;
        let organizations = state.organizations.get(&request.parent);
        let partial = organizations.is_some_and(|all| {
            all.iter()
                .any(|one| one.access() != proto::organization::AccessState::Granted)
        });
        let partial_message = "repositories of organizations that restrict access are left out";
        Ok(Response::new(proto::ListRepositoriesResponse {
            repositories,
            next_page_token,
            partial,
            partial_message: if partial {
                partial_message.to_owned()
            } else {
                String::new()
            },
        }))
    }

    async fn get_repository(
        &self,
        request: Request<proto::GetRepositoryRequest>,
    ) -> Result<Response<Repository>, Status> {
        self.enter("GetRepository", &request)?;
        self.lock()
            .repository(&request.into_inner().name)
            .map(Response::new)
    }

    async fn list_refs(
        &self,
        request: Request<proto::ListRefsRequest>,
    ) -> Result<Response<proto::ListRefsResponse>, Status> {
        self.enter("ListRefs", &request)?;
        let request = request.into_inner();
        let state = self.lock();
        let repository = state.repository(&request.parent)?;
        let all = state
            .refs
            .get(&repository.stable_id)
            .cloned()
            .unwrap_or_default();
        let wanted = |found: &Ref| request.kind == 0 || found.kind == request.kind;
        let all: Vec<_> = all.into_iter().filter(wanted).collect();
        let (refs, next_page_token) = state.page(&all, request.page_size, &request.page_token)?;
        Ok(Response::new(proto::ListRefsResponse {
            refs,
            next_page_token,
        }))
    }

    async fn check_access(
        &self,
        request: Request<proto::CheckAccessRequest>,
    ) -> Result<Response<proto::CheckAccessResponse>, Status> {
        self.enter("CheckAccess", &request)?;
        let found = self.lock().repository(&request.into_inner().name).ok();
        let allowed = if found.is_some() {
            Answer::Yes
        } else {
            Answer::No
        };
        Ok(Response::new(proto::CheckAccessResponse {
            allowed: allowed.into(),
            repository: found,
            ..proto::CheckAccessResponse::default()
        }))
    }
}

impl State {
    pub(super) fn repository(&self, name: &str) -> Result<Repository, Status> {
        let parsed: RepositoryName = name.parse().map_err(|_| not_found(name))?;
        let link = LinkName {
            namespace: parsed.namespace,
            link: parsed.link,
        }
        .to_string();
        self.usable(&link)?;
        let all = self
            .repositories
            .get(&link)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let wanted = &parsed.repository;
        let found = all
            .iter()
            .find(|found| found.stable_id == *wanted || found.full_name == *wanted);
        found.cloned().ok_or_else(|| not_found(name))
    }
}
