//! Sources. They come with a later release.

use bindery_proto::v1::{self as wire, source_service_server::SourceService};

use crate::call::service;

service! {
    SourceService, run;
    later create_source(wire::CreateSourceRequest) -> wire::Source;
    later get_source(wire::GetSourceRequest) -> wire::Source;
    later list_sources(wire::ListSourcesRequest) -> wire::ListSourcesResponse;
    later update_source(wire::UpdateSourceRequest) -> wire::Source;
    later delete_source(wire::DeleteSourceRequest) -> wire::DeleteSourceResponse;
    later verify_source(wire::VerifySourceRequest) -> wire::Source;
    later repair_source(wire::RepairSourceRequest) -> wire::Source;
    later rotate_hook_secrets(wire::RotateHookSecretsRequest) -> wire::HookRotation;
    later get_hook_rotation(wire::GetHookRotationRequest) -> wire::HookRotation;
    later list_hook_rotation_reports(wire::ListHookRotationReportsRequest) -> wire::ListHookRotationReportsResponse;
    later catch_up_source(wire::CatchUpSourceRequest) -> wire::CatchUpSourceResponse;
    later list_deliveries(wire::ListDeliveriesRequest) -> wire::ListDeliveriesResponse;
    later get_delivery(wire::GetDeliveryRequest) -> wire::Delivery;
    later retry_delivery(wire::RetryDeliveryRequest) -> wire::Delivery;
    later list_orphan_hooks(wire::ListOrphanHooksRequest) -> wire::ListOrphanHooksResponse;
    later remove_orphan_hooks(wire::RemoveOrphanHooksRequest) -> wire::RemoveOrphanHooksResponse;
}
