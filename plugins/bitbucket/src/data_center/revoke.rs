//! Taking access away
//!
//! OAuth tokens are revoked by the daemon at the endpoint of RFC 7009. An HTTP access token can't delete itself: it may
//! change nothing on behalf of its person, and which of that person's tokens it is, no answer says.

use bindery_plugin_sdk::{Cx, Result, v1};

use super::describe::{ACCOUNT_PAGE, TOKENS_PAGE};

pub(crate) fn revoke(cx: &Cx) -> Result<v1::Revocation> {
    let (message, page) = match cx.credential().auth_kind() {
        v1::AuthKind::AccessToken => (
            "an HTTP access token can't delete itself: delete it there, or in the settings of its project or repository",
            TOKENS_PAGE,
        ),
        _ => (
            "the server has no other API to revoke: end the application's access among the authorized applications",
            ACCOUNT_PAGE,
        ),
    };
    Ok(v1::Revocation {
        outcome: v1::RevocationOutcome::Impossible.into(),
        message: message.to_owned(),
        action_uri: format!("{}{page}", cx.web_base()),
    })
}
