//! Handing out tokens that work nowhere.

use bindery_proto::v1::{
    self as proto, Credential, CredentialPermission, credential_service_server::CredentialService,
    desired_state, observed_state::Stage,
};
use tonic::{Code, Request, Response, Status};

use super::{
    Refusal, TokenLife,
    refusal::not_found,
    world::{Keyed, State, World, after, keyed, now},
};
use crate::names::{LinkName, RepositoryName};

impl Keyed for proto::FetchReadCredentialRequest {}
impl Keyed for proto::FetchReadWriteCredentialRequest {}
impl Keyed for proto::ListLeasesRequest {}
keyed!(RevokeLeaseRequest);

#[tonic::async_trait]
impl CredentialService for World {
    async fn fetch_read_credential(
        &self,
        request: Request<proto::FetchReadCredentialRequest>,
    ) -> Result<Response<Credential>, Status> {
        self.enter("FetchReadCredential", &request)?;
        let request = request.into_inner();
        self.think().await;
        let permission = CredentialPermission::Read;
        self.lock()
            .credential(&request.link, &request.repository, permission)
    }

    async fn fetch_read_write_credential(
        &self,
        request: Request<proto::FetchReadWriteCredentialRequest>,
    ) -> Result<Response<Credential>, Status> {
        self.enter("FetchReadWriteCredential", &request)?;
        let request = request.into_inner();
        self.think().await;
        let permission = CredentialPermission::ReadWrite;
        self.lock()
            .credential(&request.link, &request.repository, permission)
    }

    async fn revoke_lease(
        &self,
        request: Request<proto::RevokeLeaseRequest>,
    ) -> Result<Response<proto::RevokeLeaseResponse>, Status> {
        self.enter("RevokeLease", &request)?;
        let name = request.into_inner().name;
        let mut state = self.lock();
        let lease = state.leases.iter_mut().find(|lease| lease.name == name);
        let lease = lease.ok_or_else(|| not_found(&name))?;
        lease.revoke_time = now();
        let step = proto::CleanupStep {
            kind: proto::cleanup_step::Kind::RevokeLeases.into(),
            outcome: proto::cleanup_step::Outcome::Done.into(),
            message: "the token is revoked".to_owned(),
            ..proto::CleanupStep::default()
        };
        Ok(Response::new(proto::RevokeLeaseResponse {
            lease: Some(lease.clone()),
            step: Some(step),
        }))
    }

    async fn list_leases(
        &self,
        request: Request<proto::ListLeasesRequest>,
    ) -> Result<Response<proto::ListLeasesResponse>, Status> {
        self.enter("ListLeases", &request)?;
        let request = request.into_inner();
        let state = self.lock();
        let asked = |lease: &&proto::Lease| request.include_ended || lease.revoke_time.is_none();
        let all: Vec<_> = state.leases.iter().filter(asked).cloned().collect();
        let (leases, next_page_token) = state.page(&all, request.page_size, &request.page_token)?;
        Ok(Response::new(proto::ListLeasesResponse {
            leases,
            next_page_token,
        }))
    }
}

impl World {
    async fn think(&self) {
        let delay = self.lock().delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
    }
}

impl State {
    /// Refuses where a daemon would: absent, disabled, not bound, dead.
    pub(super) fn usable(&self, name: &str) -> Result<(), Status> {
        let link = self.links.get(name).ok_or_else(|| not_found(name))?;
        let desired = link.desired.as_ref().map(proto::DesiredState::state);
        let (reason, message) = match link.observed.as_ref().map(proto::ObservedState::stage) {
            _ if desired == Some(desired_state::State::Disabled) => {
                ("LINK_DISABLED", format!("{name} is disabled; enable it"))
            }
            Some(Stage::Bound) => return Ok(()),
            Some(Stage::NeedsReauthorization) => {
                let message = format!("the provider no longer accepts {name}; authorize it again");
                ("LINK_NEEDS_REAUTHORIZATION", message)
            }
            _ => (
                "LINK_NOT_BOUND",
                format!("{name} is not authorized yet; finish the flow"),
            ),
        };
        Err(Refusal::new(Code::FailedPrecondition, reason, message).into())
    }

    fn credential(
        &mut self,
        link: &str,
        repository: &str,
        permission: CredentialPermission,
    ) -> Result<Response<Credential>, Status> {
        self.usable(link)?;
        let name: LinkName = link.parse().map_err(|_| not_found(link))?;
        let found = match repository {
            "" => None,
            path => Some(self.repository(&RepositoryName::new(&name, path).to_string())?),
        };
        let identity = self.links.get(link).and_then(|link| link.identity.clone());
        let number = self.next();
        let lease = format!("namespaces/{}/leases/lease-{number}", name.namespace);
        let record = proto::Lease {
            name: lease.clone(),
            link: link.to_owned(),
            permission: permission.into(),
            create_time: now(),
            ..proto::Lease::default()
        };
        self.leases.insert(0, record);
        Ok(Response::new(Credential {
            token: format!("fake-token-{number}"),
            git_username: identity.unwrap_or_default().login,
            expire_time: match self.token_life {
                TokenLife::Endless => None,
                TokenLife::Lasting(life) => after(life),
            },
            lease,
            narrowed: false,
            permission: permission.into(),
            clone_uri: found
                .as_ref()
                .map(|found| found.clone_uri.clone())
                .unwrap_or_default(),
            repository: found.map(|found| found.name).unwrap_or_default(),
            api_uri: "https://forge.example/api/v1".to_owned(),
        }))
    }
}
