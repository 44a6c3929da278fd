//! What is data about both editions

use bindery_plugin_sdk::v1::{Description, Operation, Permission, PermissionScopes};

use crate::{cloud, data_center};

/// Name of the edition that is Bitbucket Cloud.
pub(crate) const CLOUD: &str = "cloud";

pub(crate) fn description() -> Description {
    Description {
        provider: "bitbucket".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        operations: operations(),
        secrets: vec!["access_token".to_owned(), "hook_secret".to_owned()],
        editions: vec![cloud::describe::edition()],
        ..data_center::describe::description()
    }
}

fn operations() -> Vec<i32> {
    let all = [
        Operation::Identify,
        Operation::InspectToken,
        Operation::ListOrganizations,
        Operation::ListRepositories,
        Operation::GetRepository,
        Operation::ListRefs,
        Operation::Revoke,
        Operation::Probe,
        Operation::ListHooks,
        Operation::CreateHook,
        Operation::UpdateHook,
        Operation::DeleteHook,
        Operation::PingHook,
        Operation::ParseDelivery,
    ];
    all.map(i32::from).to_vec()
}

/// A row of the table of permissions.
pub(crate) fn row(
    permission: Permission,
    scopes: &[&str],
    covered_by: &[&str],
) -> PermissionScopes {
    let owned = |names: &[&str]| names.iter().map(|&one| one.to_owned()).collect();
    PermissionScopes {
        permission: permission.into(),
        scopes: owned(scopes),
        covered_by: owned(covered_by),
    }
}
