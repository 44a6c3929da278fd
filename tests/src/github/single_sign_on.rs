//! Where a token is authorized for an organization's single sign-on

use std::sync::Arc;

use axum::extract::{Form, Path, Query, State};
use axum::response::Response;
use http::HeaderMap;
use serde::Deserialize;

use super::pages::{hidden, page};
use super::web::{Visitor, see_other};
use super::{Inner, pages};

/// What `X-GitHub-SSO` leads to, and the button there
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    /// The token's number
    authorization_request: u64,
    authenticity_token: Option<String>,
}

/// `GET /orgs/{org}/sso`
pub(super) async fn ask(
    State(inner): State<Arc<Inner>>,
    Path(name): Path<String>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let visitor = Visitor::of(&inner, &headers);
    let number = asked.authorization_request.to_string();
    if visitor.login.is_none() {
        let here = format!("%2Forgs%2F{name}%2Fsso%3Fauthorization_request%3D{number}");
        return see_other(&format!("/login?return_to={here}"));
    }
    if inner.world().org(&name).is_none_or(|org| org.sso.is_none()) {
        return pages::not_found();
    }
    let title = format!("Single sign-on to {name}");
    let body = page(&title).add(&format!(
        "<p>Authenticate to let this token see the organization.</p>\
         <form method=\"post\">{}{}<button class=\"primary\" name=\"continue\" value=\"1\">\
         Continue</button></form>",
        visitor.hidden_token(),
        hidden("authorization_request", &number),
    ));
    visitor.show(&title, &body)
}

/// `POST /orgs/{org}/sso`
pub(super) async fn authorize(
    State(inner): State<Arc<Inner>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    Form(asked): Form<Asked>,
) -> Response {
    let visitor = Visitor::of(&inner, &headers);
    let Some(login) = visitor.sent(asked.authenticity_token.as_deref()) else {
        return pages::stale_form();
    };
    let mut world = inner.world();
    let Some(org) = world.org(&name).map(|org| org.login.clone()) else {
        return pages::not_found();
    };
    let mut tokens = world.tokens.iter_mut();
    let token = tokens.find(|token| token.id == asked.authorization_request);
    match token.filter(|token| token.login == login) {
        Some(token) => token.sso.insert(org),
        None => return pages::not_found(),
    };
    see_other("/settings/tokens")
}
