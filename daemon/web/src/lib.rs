//! The HTTP listener: start, callback and confirm pages, deliveries of webhooks, health, metrics.
//!
//! Everything that a person's browser touches, and what providers send. The pages are rendered here and need no script; who asks for what, and
//! whether it may go on, is the engine's business.
//!
//! | Module | What it does |
//! |---|---|
//! | [`mod@serve`] | accepts connections, and ends those that idle |
//! | `flow` | the pages of an authorization |
//! | `hooks` | deliveries of webhooks |
//! | `triggers` | builds that people and scripts start |
//! | `ops` | `/healthz`, `/readyz`, `/metrics`, `/version` |
//! | `pages`, `failure` | what the pages say |
//! | `headers`, `cookie`, `same_site`, `query` | what browsers are told, and what is believed of what they send |
//! | `client`, `limit` | who calls, and how often |
#![forbid(unsafe_code)]

mod assets;
mod audit;
mod client;
mod cookie;
mod failure;
mod flow;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
mod headers;
mod hooks;
mod limit;
mod ops;
mod pages;
mod public_url;
mod query;
mod same_site;
pub mod serve;
mod state;
mod triggers;

use axum::{Router, middleware, routing::get};

pub use crate::{
    client::Peer,
    limit::{Rate, Rates},
    ops::{Check, EngineReadiness, Readiness},
    public_url::{InvalidPublicUrl, PublicUrl},
    serve::{Limits, serve},
    state::WebState,
};

/// Pages, deliveries and operational paths on one listener.
pub fn router(state: WebState) -> Router {
    let routes = pages(&state).merge(hooks::routes());
    finish(routes.merge(ops::routes()), state)
}

/// The pages, and where deliveries come in, for a listener that browsers and providers reach.
pub fn public_router(state: WebState) -> Router {
    finish(pages(&state).merge(hooks::routes()), state)
}

/// `/healthz`, `/readyz`, `/metrics` and `/version` alone, for a listener that only the operator reaches.
pub fn ops_router(state: WebState) -> Router {
    finish(ops::routes(), state)
}

fn pages(state: &WebState) -> Router<WebState> {
    flow::routes()
        .merge(triggers::routes())
        .route_layer(middleware::from_fn_with_state(
            state.clone(),
            limit::throttle,
        ))
        .route("/assets/{file}", get(assets::asset))
}

fn finish(routes: Router<WebState>, state: WebState) -> Router {
    routes
        .fallback(failure::not_found)
        .method_not_allowed_fallback(failure::method_not_allowed)
        .layer(middleware::from_fn_with_state(state.clone(), state::count))
        .layer(middleware::from_fn_with_state(
            state.clone(),
            headers::harden,
        ))
        .with_state(state)
}
