//! What an operator asks.

use bindery_proto::admin::v1::{self as proto, admin_service_server::AdminService};
use futures_util::stream::Empty;
use tonic::{Request, Response, Status};

use super::{
    refusal::{not_found, not_served},
    world::{Keyed, World, now},
};

impl Keyed for proto::GetStatusRequest {}
impl Keyed for proto::DiagnoseRequest {}
impl Keyed for proto::ListPluginsRequest {}
impl Keyed for proto::ReloadPluginRequest {}

/// The methods that are given, and the others as ones that this double does not serve.
macro_rules! admin_service {
    ({ $($served:tt)* } $($method:ident($request:ty) -> $response:ty;)*) => {
        #[tonic::async_trait]
        impl AdminService for World {
            $($served)*

            $(async fn $method(
                &self,
                _: Request<$request>,
            ) -> Result<Response<$response>, Status> {
                Err(not_served(stringify!($method)))
            })*
        }
    };
}

admin_service! {
    {
        type BackupStream = Empty<Result<proto::BackupResponse, Status>>;

        async fn get_status(
            &self,
            request: Request<proto::GetStatusRequest>,
        ) -> Result<Response<proto::Status>, Status> {
            self.enter("GetStatus", &request)?;
            let sealed = self.lock().sealed;
            Ok(Response::new(status(sealed)))
        }

        async fn diagnose(
            &self,
            request: Request<proto::DiagnoseRequest>,
        ) -> Result<Response<proto::DiagnoseResponse>, Status> {
            self.enter("Diagnose", &request)?;
            let checks = self.lock().checks.clone();
            Ok(Response::new(proto::DiagnoseResponse { checks }))
        }

        async fn list_plugins(
            &self,
            request: Request<proto::ListPluginsRequest>,
        ) -> Result<Response<proto::ListPluginsResponse>, Status> {
            self.enter("ListPlugins", &request)?;
            let plugins = self.lock().plugins.clone();
            Ok(Response::new(proto::ListPluginsResponse { plugins }))
        }

        async fn reload_plugin(
            &self,
            request: Request<proto::ReloadPluginRequest>,
        ) -> Result<Response<proto::Plugin>, Status> {
            self.enter("ReloadPlugin", &request)?;
            let name = request.into_inner().name;
            let state = self.lock();
            let found = state.plugins.iter().find(|plugin| plugin.name == name);
            found.cloned().map(Response::new).ok_or_else(|| not_found(&name))
        }
    }
    unseal(proto::UnsealRequest) -> proto::UnsealResponse;
    seal(proto::SealRequest) -> proto::SealResponse;
    add_slot(proto::AddSlotRequest) -> proto::AddSlotResponse;
    remove_slot(proto::RemoveSlotRequest) -> proto::RemoveSlotResponse;
    verify_recovery_shares(proto::VerifyRecoverySharesRequest)
        -> proto::VerifyRecoverySharesResponse;
    rotate_keys(proto::RotateKeysRequest) -> proto::RotateKeysResponse;
    backup(proto::BackupRequest) -> Self::BackupStream;
    restore(tonic::Streaming<proto::RestoreRequest>) -> proto::RestoreResponse;
    verify_backup(tonic::Streaming<proto::VerifyBackupRequest>) -> proto::VerifyBackupResponse;
    verify_store(proto::VerifyStoreRequest) -> proto::VerifyStoreResponse;
    compact_store(proto::CompactStoreRequest) -> proto::CompactStoreResponse;
    accept_rollback(proto::AcceptRollbackRequest) -> proto::AcceptRollbackResponse;
    enable_plugin(proto::EnablePluginRequest) -> proto::Plugin;
    disable_plugin(proto::DisablePluginRequest) -> proto::Plugin;
    list_audit_records(proto::ListAuditRecordsRequest) -> proto::ListAuditRecordsResponse;
    verify_audit(proto::VerifyAuditRequest) -> proto::VerifyAuditResponse;
    reload_policy(proto::ReloadPolicyRequest) -> proto::ReloadPolicyResponse;
}

fn status(sealed: bool) -> proto::Status {
    let seal_state = if sealed {
        proto::SealState::Sealed
    } else {
        proto::SealState::Unsealed
    };
    let seal_message = if sealed {
        "no slot opened the seal; unseal it"
    } else {
        ""
    };
    proto::Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        seal_state: seal_state.into(),
        seal_message: seal_message.to_owned(),
        store: Some(proto::StoreStatus {
            writable: true,
            manifest_checked: true,
            ..proto::StoreStatus::default()
        }),
        start_time: now(),
        ..proto::Status::default()
    }
}
