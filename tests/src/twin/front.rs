//! From a socket to the twin and back

use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bindery_twins::{Exchange, Git, GitRequest, Twin, http as twins};
use http::{HeaderName, HeaderValue, Request, StatusCode, request::Parts};
use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};

use super::{Inner, now_ms};
use crate::repositories::Call;
use crate::serve::{Answer, Closed};

/// What git asks a server for
const GIT: [&str; 3] = ["/info/refs", "/git-upload-pack", "/git-receive-pack"];

pub(super) struct Front<T>(Arc<Inner<T>>);

impl<T> Front<T> {
    pub(super) const fn new(inner: Arc<Inner<T>>) -> Self {
        Self(inner)
    }
}

impl<T> Clone for Front<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Twin + Send + 'static> Answer for Front<T> {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response, Closed> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Closed)?.to_bytes();
        let path = parts.uri.path();
        let git = GIT
            .iter()
            .find_map(|end| Some((path.strip_suffix(end)?, *end)));
        if let Some((repository, rest)) = git {
            return Ok(self.git(&parts, &body, (repository, rest)).await);
        }
        let request = plain(&parts, &body);
        let exchange = self.0.twin().exchange(&request, now_ms());
        self.0.deliver();
        match exchange {
            Exchange::Answered(answer) => Ok(written(answer)),
            Exchange::Closed { .. } => Err(Closed),
            Exchange::Hung => std::future::pending().await,
        }
    }
}

impl<T: Twin + Send + 'static> Front<T> {
    async fn git(&self, parts: &Parts, body: &Bytes, (path, rest): (&str, &str)) -> Response {
        let query = parts.uri.query().unwrap_or_default();
        let write = rest == "/git-receive-pack" || query.contains("git-receive-pack");
        let basic = plain(parts, &Bytes::new()).basic_credentials();
        let request = GitRequest {
            path,
            user: basic.as_ref().map(|basic| basic.user.as_str()),
            password: basic.as_ref().map(|basic| basic.password.as_str()),
            write,
        };
        let said = {
            let mut twin = self.0.twin();
            let clock = twin.state().knobs.clock(now_ms());
            twin.git(&request, clock)
        };
        let (repository, login) = match said {
            Git::Serve { repository, login } => (repository, login),
            Git::Answer(answer) => return written(redirected(answer, rest, query)),
        };
        let call = Call {
            repository,
            rest: rest.trim_start_matches('/'),
            method: &parts.method,
            query,
            headers: &parts.headers,
            body,
            user: Some(login.as_str()).filter(|login| !login.is_empty()),
        };
        let answer = self.0.repositories.serve(&call).await;
        let told = match write {
            true => self.0.tell_refs(repository, Some(&login)),
            false => Ok(()),
        };
        self.0.deliver();
        answer
            .and_then(|answer| told.map(|()| answer))
            .unwrap_or_else(|error| {
                (StatusCode::INTERNAL_SERVER_ERROR, format!("{error:#}\n")).into_response()
            })
    }
}

/// Git is led on to the same request of the repository's new path
fn redirected(mut answer: twins::Response, rest: &str, query: &str) -> twins::Response {
    let locations = answer
        .headers
        .iter_mut()
        .filter(|(name, _)| name == "location");
    for (_, to) in locations {
        *to = format!("{to}{rest}?{query}");
    }
    answer
}

fn plain(parts: &Parts, body: &Bytes) -> twins::Request {
    let target = parts
        .uri
        .path_and_query()
        .map_or("/", |target| target.as_str());
    let headers = parts.headers.iter().filter_map(|(name, value)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    });
    twins::Request {
        headers: headers.collect(),
        body: body.to_vec(),
        ..twins::Request::new(parts.method.as_str(), target)
    }
}

fn written(answer: twins::Response) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    let status = StatusCode::from_u16(answer.status);
    *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in answer.headers {
        // A twin's own texts are always valid; what a test planted may not be.
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(&value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}
