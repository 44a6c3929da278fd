//! What a person reads when it does not work: a fixed text for each cause, and one next step.
//!
//! Nothing that a browser, a forge or a plugin sent gets into these pages (THREATS O6). The details go to the log, under
//! the correlation id that the page shows.

mod words;

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use bindery_core::problem::Problem;
use data_encoding::BASE32_NOPAD;
use http::{HeaderValue, StatusCode, header::RETRY_AFTER};
use ring::rand::{SecureRandom, SystemRandom};

use crate::pages::{self, ProblemPage};

/// Why there is no page.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What the engine says.
    Problem(Problem),
    /// No such page.
    NotFound,
    /// The page takes no such method.
    MethodNotAllowed,
    /// The request is larger than any that a page makes.
    TooLarge,
    /// The form did not come in time.
    TooSlow,
    /// The parameters are not what a page or a forge sends.
    Malformed,
    /// The form comes from another site.
    CrossSite,
    /// Too many requests; come again after this time.
    TooMany(Duration),
    /// The browser brings no cookie of ours.
    NoCookie,
    /// A defect, or no randomness.
    Defect(&'static str),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

/// What a failure's page says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Words {
    pub(crate) status: StatusCode,
    pub(crate) title: &'static str,
    pub(crate) what: &'static str,
    pub(crate) next: &'static str,
}

impl Failure {
    fn words(&self) -> Words {
        match self {
            Self::Problem(problem) => words::of_reason(problem.reason),
            Self::NotFound => words::NOT_FOUND,
            Self::MethodNotAllowed => words::METHOD_NOT_ALLOWED,
            Self::TooLarge => words::TOO_LARGE,
            Self::TooSlow => words::TOO_SLOW,
            Self::Malformed => words::MALFORMED,
            Self::CrossSite => words::CROSS_SITE,
            Self::TooMany(_) => words::TOO_MANY,
            Self::NoCookie => words::NO_COOKIE,
            Self::Defect(_) => words::DEFECT,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooMany(after) => Some(*after),
            Self::Problem(problem) => problem.retry_after,
            _ => None,
        }
    }

    fn log(&self, id: &str) {
        match self {
            Self::Problem(problem) => {
                tracing::info!(correlation = id, reason = problem.reason.as_str(), %problem, "A page shows a problem");
            }
            Self::Defect(what) => tracing::error!(correlation = id, what, "A page failed"),
            other => tracing::debug!(correlation = id, cause = ?other, "A request was refused"),
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (id, words) = (correlation_id(), self.words());
        self.log(&id);
        let page = ProblemPage { words, id: &id };
        let mut response = pages::render(&page, words.status);
        if let Some(after) = self.retry_after() {
            let seconds = after.as_secs_f64().ceil().max(1.0);
            let value = HeaderValue::try_from(format!("{seconds:.0}"));
            response
                .headers_mut()
                .extend(value.ok().map(|value| (RETRY_AFTER, value)));
        }
        response
    }
}

/// 80 random bits: short enough to be read aloud.
fn correlation_id() -> String {
    let mut bytes = [0; 10];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => BASE32_NOPAD.encode(&bytes).to_ascii_lowercase(),
        Err(_) => "none".to_owned(),
    }
}

/// For every path that leads nowhere.
pub(crate) async fn not_found() -> Failure {
    Failure::NotFound
}

/// For a known path with a method that it does not take.
pub(crate) async fn method_not_allowed() -> Failure {
    Failure::MethodNotAllowed
}
