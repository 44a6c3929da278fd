//! The pages. Values are escaped where they are written; what is no value is fixed text.

mod choice;
mod permission;

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use bindery_engine::flows::Place;
use http::StatusCode;

use crate::failure::Words;
pub(crate) use choice::{Offer, chosen};
pub(crate) use permission::Ask;

/// A point in time, for machines and for people.
#[derive(Debug)]
pub(crate) struct When {
    pub(crate) machine: String,
    pub(crate) people: String,
}

impl From<bindery_core::time::Timestamp> for When {
    fn from(at: bindery_core::time::Timestamp) -> Self {
        let seconds = i64::try_from(at.unix_seconds()).unwrap_or(i64::MAX);
        let at = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX);
        Self {
            machine: at.to_string(),
            people: at.strftime("%H:%M UTC").to_string(),
        }
    }
}

/// Who asks for what.
#[derive(Debug, Template)]
#[template(path = "start.html")]
pub(crate) struct StartPage<'a> {
    pub(crate) flow: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) namespace_name: &'a str,
    pub(crate) requester: &'a str,
    pub(crate) provider: &'a str,
    pub(crate) forge: &'a str,
    pub(crate) asks: Vec<Ask>,
    pub(crate) ends: When,
}

/// Who consented to what, and whether it is to be bound.
#[derive(Template)]
#[template(path = "confirm.html")]
pub(crate) struct ConfirmPage<'a> {
    pub(crate) flow: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) namespace_name: &'a str,
    pub(crate) requester: &'a str,
    pub(crate) provider: &'a str,
    pub(crate) forge: &'a str,
    /// What the namespace is.
    pub(crate) kind: &'static str,
    pub(crate) place: &'a Place,
    /// What the person chooses from, the one above first; empty where there is no choice.
    pub(crate) choices: Vec<Offer>,
    /// Builds of a team would hang on this one account.
    pub(crate) personal: bool,
    /// It replaces the grant of a link that was bound before.
    pub(crate) anew: bool,
    pub(crate) link: &'a str,
    pub(crate) login: &'a str,
    pub(crate) display_name: &'a str,
    pub(crate) stable_id: &'a str,
    /// The provider tells what it granted.
    pub(crate) told: bool,
    pub(crate) granted: Vec<Ask>,
    pub(crate) missing: Vec<Ask>,
    /// Scopes that were granted and not asked for.
    pub(crate) extra: Vec<String>,
    /// What else whoever confirms should know.
    pub(crate) warnings: Vec<String>,
    pub(crate) code: &'a str,
}

/// It is bound.
#[derive(Debug, Template)]
#[template(path = "done.html")]
pub(crate) struct DonePage<'a> {
    pub(crate) login: &'a str,
    pub(crate) provider: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) link: &'a str,
}

/// "This is not me" was said.
#[derive(Debug, Template)]
#[template(path = "declined.html")]
pub(crate) struct DeclinedPage;

/// It does not work.
#[derive(Debug, Template)]
#[template(path = "problem.html")]
pub(crate) struct ProblemPage<'a> {
    pub(crate) words: Words,
    pub(crate) id: &'a str,
}

/// A page as a response.
pub(crate) fn render(page: &impl Template, status: StatusCode) -> Response {
    match page.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "A page could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
