//! Whether a link's token is replaced by itself before it ends.

use bindery_core::{
    link::Link,
    problem::{Problem, Reason},
    provider::{AuthKind, Description, OperationKind},
};

/// Sets it, and lets the deadline be planned anew.
pub(super) fn set(link: &mut Link, rotate: bool) {
    if link.upkeep.rotate_token != rotate {
        link.upkeep.rotate_token = rotate;
        link.upkeep.next_refresh = None;
    }
}

/// Refuses it where the provider can't, or where the link holds no token that a person made.
pub(super) fn rotatable(link: &Link, description: &Description) -> Result<(), Problem> {
    let able = description.operations.contains(&OperationKind::RotateToken);
    if able && link.auth_kind == AuthKind::AccessToken {
        return Ok(());
    }
    let message = format!(
        "{} can't replace the token of this link by itself; leave rotate_token out",
        description.display_name
    );
    Err(Problem::new(Reason::MethodNotSupported, message))
}
