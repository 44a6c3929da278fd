//! Namespaces.

use bindery_proto::v1::{self as proto, Namespace, namespace_service_server::NamespaceService};
use tonic::{Code, Request, Response, Status};

use super::{
    Refusal,
    refusal::{exists, not_found},
    world::{Keyed, World, keyed, now, wrong},
};

impl Keyed for proto::GetNamespaceRequest {}
impl Keyed for proto::ListNamespacesRequest {}
keyed!(
    CreateNamespaceRequest,
    UpdateNamespaceRequest,
    DeleteNamespaceRequest
);

#[tonic::async_trait]
impl NamespaceService for World {
    async fn create_namespace(
        &self,
        request: Request<proto::CreateNamespaceRequest>,
    ) -> Result<Response<Namespace>, Status> {
        self.enter("CreateNamespace", &request)?;
        let request = request.into_inner();
        let mut namespace = request
            .namespace
            .ok_or_else(|| wrong("INVALID_ARGUMENT", "namespace"))?;
        namespace.name = format!("namespaces/{}", request.namespace_id);
        namespace.create_time = now();
        let mut state = self.lock();
        if state.namespaces.contains_key(&namespace.name) {
            return Err(exists(&namespace.name));
        }
        namespace.etag = state.next().to_string();
        state
            .namespaces
            .insert(namespace.name.clone(), namespace.clone());
        Ok(Response::new(namespace))
    }

    async fn get_namespace(
        &self,
        request: Request<proto::GetNamespaceRequest>,
    ) -> Result<Response<Namespace>, Status> {
        self.enter("GetNamespace", &request)?;
        let name = request.into_inner().name;
        let found = self.lock().namespaces.get(&name).cloned();
        found.map(Response::new).ok_or_else(|| not_found(&name))
    }

    async fn list_namespaces(
        &self,
        request: Request<proto::ListNamespacesRequest>,
    ) -> Result<Response<proto::ListNamespacesResponse>, Status> {
        self.enter("ListNamespaces", &request)?;
        let request = request.into_inner();
        let state = self.lock();
        let all: Vec<_> = state.namespaces.values().cloned().collect();
        let (namespaces, next_page_token) =
            state.page(&all, request.page_size, &request.page_token)?;
        Ok(Response::new(proto::ListNamespacesResponse {
            namespaces,
            next_page_token,
        }))
    }

    async fn update_namespace(
        &self,
        request: Request<proto::UpdateNamespaceRequest>,
    ) -> Result<Response<Namespace>, Status> {
        self.enter("UpdateNamespace", &request)?;
        let request = request.into_inner();
        let change = request
            .namespace
            .ok_or_else(|| wrong("INVALID_ARGUMENT", "namespace"))?;
        let mut state = self.lock();
        let namespace = state
            .namespaces
            .get_mut(&change.name)
            .ok_or_else(|| not_found(&change.name))?;
        namespace.display_name = change.display_name;
        namespace.labels = change.labels;
        Ok(Response::new(namespace.clone()))
    }

    async fn delete_namespace(
        &self,
        request: Request<proto::DeleteNamespaceRequest>,
    ) -> Result<Response<()>, Status> {
        self.enter("DeleteNamespace", &request)?;
        let name = request.into_inner().name;
        let mut state = self.lock();
        let prefix = format!("{name}/");
        let children = state
            .links
            .keys()
            .filter(|link| link.starts_with(&prefix))
            .count();
        if children > 0 {
            let message = format!("{name} has {children} links; unlink them first");
            let refusal = Refusal::new(Code::FailedPrecondition, "HAS_CHILDREN", message);
            return Err(refusal.fact("children", children.to_string()).into());
        }
        let removed = state.namespaces.remove(&name);
        removed
            .map(|_| Response::new(()))
            .ok_or_else(|| not_found(&name))
    }
}
