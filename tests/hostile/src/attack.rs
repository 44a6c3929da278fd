//! What is attacked with, by name
//!
//! | module | holds |
//! |---|---|
//! | `crash` | dying, hanging, eating memory |
//! | `request` | requests that are not allowed, and secrets where none belong |
//! | `flood` | too much of everything |
//! | `system` | ways out of the process |
//! | `bug` | mistakes of authors, for the trial of the conformance kit |

use std::sync::{Mutex, PoisonError};

use bindery_plugin_sdk::{Cx, Failure, Result, v1};

use crate::ESCAPED;

pub(crate) use bug::{hook_request, knows_event, read_delivery};

mod bug;
mod crash;
mod flood;
mod request;
mod system;

/// The attack of the operation that is being started: its provider is made before it sees any setting.
static CONSTRUCTION: Mutex<String> = Mutex::new(String::new());

/// The name in a setting, if it is meant for this operation: `panic`, `identify:panic`.
#[must_use]
pub fn chosen<'a>(setting: &'a str, operation: &str) -> Option<&'a str> {
    match setting.split_once(':') {
        None => Some(setting).filter(|name| !name.is_empty()),
        Some((only, name)) => (only == operation).then_some(name),
    }
}

/// The attack that a request chooses.
pub(crate) fn of(request: &v1::OperationRequest) -> Option<&str> {
    use v1::operation_request::Input;
    let operation = match request.input.as_ref()? {
        Input::Identify(_) => "identify",
        Input::InspectToken(_) => "inspect_token",
        Input::ListOrganizations(_) => "list_organizations",
        Input::ListRepositories(_) => "list_repositories",
        Input::GetRepository(_) => "get_repository",
        Input::ListRefs(_) => "list_refs",
        Input::Revoke(_) => "revoke",
        Input::Probe(_) => "probe",
        Input::MintToken(_) => "mint_token",
        Input::RotateToken(_) => "rotate_token",
        Input::GetInstallation(_) => "get_installation",
        Input::ListHooks(_) => "list_hooks",
        Input::CreateHook(_) => "create_hook",
        Input::UpdateHook(_) => "update_hook",
        Input::DeleteHook(_) => "delete_hook",
        Input::PingHook(_) => "ping_hook",
        Input::ListDeliveries(_) => "list_deliveries",
        Input::Redeliver(_) => "redeliver",
        Input::ParseDelivery(_) => "parse_delivery",
    };
    chosen(request.settings.get("attack")?, operation)
}

/// Keeps the name for [`on_construction`].
pub(crate) fn remember(name: Option<&str>) {
    let mut construction = CONSTRUCTION.lock().unwrap_or_else(PoisonError::into_inner);
    *construction = name.unwrap_or_default().to_owned();
}

/// Called when a provider is made.
///
/// # Panics
///
/// If that is the attack.
pub(crate) fn on_construction() {
    let name = CONSTRUCTION
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    assert!(
        name != "panic_construction",
        "panicked on purpose while the provider is made"
    );
}

/// Carries out the chosen attack. When it comes back without a failure, the operation goes on honestly.
pub(crate) async fn run(cx: &Cx, operation: &str) -> Result<()> {
    let setting = cx.setting("attack").unwrap_or_default().to_owned();
    let Some(name) = chosen(&setting, operation) else {
        return Ok(());
    };
    let known = crash::run(cx, name).await?
        || request::run(cx, name).await?
        || flood::run(cx, name).await?
        || system::run(cx, name)?
        || bug::run(cx, name).await?
        || name == "panic_construction";
    if known {
        Ok(())
    } else {
        Err(Failure::invalid_argument(format!("'{name}' is no attack")))
    }
}

/// The attack worked.
pub(crate) fn escaped(how: &str) -> Failure {
    Failure::upstream(format!("{ESCAPED}: {how}"))
}

/// The attack was refused, as it should be.
pub(crate) fn refused(how: impl std::fmt::Display) -> Failure {
    Failure::permission_denied(format!("refused: {how}"))
}
