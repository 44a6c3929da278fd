//! Taking access away: there is no API for it, only pages

use bindery_plugin_sdk::{Cx, Result, v1};

use super::{
    describe::{API_TOKEN, API_TOKENS_PAGE, AUTHORIZATIONS_PAGE},
    place::Place,
};

pub(crate) fn revoke(cx: &Cx) -> Result<v1::Revocation> {
    let (what, page) = match cx.credential().auth_kind() {
        v1::AuthKind::AccessToken => token_page(cx)?,
        _ => (
            "revoke the application's access there",
            format!("{}{AUTHORIZATIONS_PAGE}", cx.web_base()),
        ),
    };
    Ok(v1::Revocation {
        outcome: v1::RevocationOutcome::Impossible.into(),
        message: format!("Bitbucket Cloud has no API to revoke: {what}"),
        action_uri: page,
    })
}

fn token_page(cx: &Cx) -> Result<(&'static str, String)> {
    if cx.credential().token_kind == API_TOKEN {
        return Ok(("delete the API token there", API_TOKENS_PAGE.to_owned()));
    }
    let page = match Place::of(cx) {
        Some(Ok(place)) => match place.repository {
            Some(name) => cx.web(&[place.workspace, name, "admin", "access-tokens"])?,
            None => cx.web(&[place.workspace, "workspace", "settings", "access-tokens"])?,
        },
        // Where it is from was never said.
        _ => cx.web(&["account", "workspaces"])?,
    };
    Ok(("revoke the access token in these settings", page.into()))
}
