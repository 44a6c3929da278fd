//! Which path leads where

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use super::{
    ApiPlace, Inner, api, consent, device, git, install_page, oauth, settings, single_sign_on, web,
};

/// What the web host serves
pub(super) fn web(inner: &Arc<Inner>) -> Router {
    let routes = Router::new()
        .route("/", get(web::home))
        .route("/login", get(web::login))
        .route("/session", post(web::sign_in))
        .route("/logout", post(web::sign_out))
        .route(
            "/login/oauth/authorize",
            get(consent::ask).post(consent::decide),
        )
        .route(oauth::TOKEN_PATH, post(oauth::token))
        .route("/login/device/code", post(device::begin))
        .route("/login/device", get(device::ask).post(device::enter))
        .route("/settings/applications", get(settings::applications))
        .route(
            "/settings/connections/applications/{client_id}",
            get(settings::application),
        )
        .route(
            "/settings/connections/applications/{client_id}/revoke",
            post(settings::revoke_application),
        )
        .route(
            "/settings/connections/applications/{client_id}/{org}",
            post(settings::request_access),
        )
        .route("/settings/tokens", get(settings::tokens))
        .route("/settings/tokens/{id}/revoke", post(settings::revoke_token))
        .route(
            "/organizations/{org}/settings/oauth_application_policy",
            get(settings::policy).post(settings::decide_policy),
        )
        .route(
            "/orgs/{org}/sso",
            get(single_sign_on::ask).post(single_sign_on::authorize),
        )
        .fallback(git::or_page);
    let routes = match inner.options.api {
        ApiPlace::Enterprise => routes
            .route("/api/v3/{*path}", axum::routing::any(api::answer))
            .route(
                "/github-apps/{slug}/installations/new",
                get(install_page::ask).post(install_page::install),
            ),
        ApiPlace::OwnHost => routes.route(
            "/apps/{slug}/installations/new",
            get(install_page::ask).post(install_page::install),
        ),
    };
    routes.with_state(Arc::clone(inner))
}

/// What an API host of its own serves
pub(super) fn api(inner: &Arc<Inner>) -> Router {
    Router::new()
        .fallback(api::answer)
        .with_state(Arc::clone(inner))
}
