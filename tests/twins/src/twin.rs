//! What a twin is to those who call it

use crate::{
    State,
    hooks::{Change, Lost},
    http::{Request, Response},
    knobs::Fault,
    state::Logged,
    time,
};

/// A forge as a value
pub trait Twin {
    /// What it knows
    fn state(&self) -> &State;
    /// What it knows, to be changed by a test
    fn state_mut(&mut self) -> &mut State;
    /// Tells it under which URL people and programs reach it, without a slash at the end; its answers have it in links
    fn set_web(&mut self, web: &str);
    /// Answers one request at a time of its own clock
    fn answer(&mut self, request: &Request, now_ms: u64) -> Response;
    /// Decides about git over HTTP at a time of its own clock
    fn git(&mut self, request: &GitRequest<'_>, now_ms: u64) -> Git;
    /// What it says when its rate limit is used up, in its own words
    fn rate_limited(&self, retry_after_s: u64, now_ms: u64) -> Response;
    /// What it says of a thing that is not there
    fn not_found(&self) -> Response;
    /// Puts into the queue of hooks what they are told of a change, at a time of its own clock
    ///
    /// What is changed has changed already; what is deleted is still there.
    fn announce(&mut self, change: &Change, now_ms: u64);

    /// Does something to a repository, and tells its hooks: what they are sent waits in `state().hooks`
    fn change(&mut self, change: &Change, now_ms: u64) {
        let clock = self.state().knobs.clock(now_ms);
        if let Change::Deleted { repository, .. } = change {
            self.announce(change, clock);
            self.state_mut().world.apply(change);
            self.state_mut().hooks.remove_all_of(*repository);
        } else {
            self.state_mut().world.apply(change);
            self.announce(change, clock);
        }
    }

    /// Answers one request at the caller's time, with whatever is set to go wrong, and writes it down
    fn exchange(&mut self, request: &Request, now_ms: u64) -> Exchange {
        let fault = self.state_mut().knobs.strike(&request.path, now_ms);
        let clock = self.state().knobs.clock(now_ms);
        let exchange = match fault {
            None => Exchange::Answered(self.answered(request, clock)),
            Some(fault) => self.failed(&fault, request, clock),
        };
        let exchange = match self.state_mut().hooks.take_lost() {
            None => exchange,
            Some(Lost::Closed) => Exchange::Closed { done: true },
            Some(Lost::Status(status)) => {
                Exchange::Answered(Response::text(status, "failed on purpose"))
            }
        };
        self.state_mut().log.push(logged(request, &exchange));
        exchange
    }

    /// As [`Twin::answer`], with what every answer has
    fn answered(&mut self, request: &Request, clock_ms: u64) -> Response {
        let answer = self.answer(request, clock_ms);
        let hides = self.state().knobs.hides_forbidden && answer.status == 403;
        let answer = if hides { self.not_found() } else { answer };
        answer.with("date", &time::http_date(clock_ms))
    }

    /// What becomes of a request that a fault has hit
    fn failed(&mut self, fault: &Fault, request: &Request, clock_ms: u64) -> Exchange {
        match fault {
            Fault::Status(status) => {
                Exchange::Answered(Response::text(*status, "failed on purpose"))
            }
            Fault::RateLimited { retry_after_s } => {
                Exchange::Answered(self.rate_limited(*retry_after_s, clock_ms))
            }
            Fault::Close => Exchange::Closed { done: false },
            Fault::Hang => Exchange::Hung,
            Fault::CommitThenClose => {
                self.answer(request, clock_ms);
                Exchange::Closed { done: true }
            }
            Fault::CommitThenGarbage => {
                self.answer(request, clock_ms);
                let garbage = r#"{"access_token":"abc,"id":12,"login":"#.to_owned();
                Exchange::Answered(Response::body(200, "application/json", garbage))
            }
        }
    }
}

/// What came of one request
#[derive(Clone, Debug)]
pub enum Exchange {
    /// An answer
    Answered(Response),
    /// The connection was closed without one
    Closed {
        /// Whether the request was carried out first
        done: bool,
    },
    /// No answer ever comes
    Hung,
}

/// Who asks for which repository
#[derive(Clone, Copy)]
pub struct GitRequest<'a> {
    /// Path before `/info/refs` and the like, with any relative root: `/root/octo/hello.git`
    pub path: &'a str,
    /// User of the Basic header; `None` without one
    pub user: Option<&'a str>,
    /// Password of the Basic header
    pub password: Option<&'a str>,
    /// Whether it is a push
    pub write: bool,
}

impl std::fmt::Debug for GitRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GitRequest")
            .field("path", &self.path)
            .field("user", &self.user)
            .field("write", &self.write)
            .finish_non_exhaustive()
    }
}

/// What a forge says to git
#[derive(Clone, Debug)]
pub enum Git {
    /// Here it is
    Serve {
        /// Stable id of the repository
        repository: u64,
        /// Login of the one who asks; empty for nobody
        login: String,
    },
    /// Anything but the repository: 401, 403, 404, a redirect
    Answer(Response),
}

fn logged(request: &Request, exchange: &Exchange) -> Logged {
    let names = |pairs: &[(String, String)]| pairs.iter().map(|(name, _)| name.clone()).collect();
    Logged {
        method: request.method.clone(),
        path: request.path.clone(),
        query_names: names(&request.query),
        header_names: names(&request.headers),
        status: match exchange {
            Exchange::Answered(answer) => Some(answer.status),
            Exchange::Closed { .. } | Exchange::Hung => None,
        },
    }
}
