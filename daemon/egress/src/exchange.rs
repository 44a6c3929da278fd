//! One request and its answer, under limits of time and size.

use bindery_core::problem::Problem;
use http::HeaderMap;
use reqwest::{Client, Request, Response, StatusCode};
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument, Span, field};

use crate::{
    Limits,
    body::{Collector, Unusable},
    failure::{self, Failure},
};

/// An answer as it came, with its body decompressed. It may hold secrets, so it stays inside of this crate.
pub(crate) struct Answer {
    pub(crate) host: String,
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// Sends `request` and reads at most `cap` bytes of body.
pub(crate) async fn run(
    client: &Client,
    request: Request,
    limits: &Limits,
    cap: usize,
) -> Result<Answer, Failure> {
    let host = request.url().host_str().unwrap_or_default().to_owned();
    let span = tracing::info_span!(
        "exchange",
        method = %request.method(),
        host,
        status = field::Empty,
        elapsed_ms = field::Empty,
    );
    let started = Instant::now();
    let work = async {
        let result = transfer(client, request, limits, cap, host).await;
        note(started, &result);
        result
    };
    work.instrument(span).await
}

async fn transfer(
    client: &Client,
    request: Request,
    limits: &Limits,
    cap: usize,
    host: String,
) -> Result<Answer, Failure> {
    let start = Instant::now();
    let end = start + limits.whole;
    let head = timeout_at(end.min(start + limits.first_byte), client.execute(request)).await;
    let mut response = match head {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return Err(Failure::of(&error, &host)),
        Err(_) => {
            return Err(Failure::sent(failure::unreachable(
                &host,
                "it did not answer in time",
            )));
        }
    };
    let status = response.status().as_u16();
    if response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        // Only a proxy may say so, and it then handed nothing on.
        return Err(Failure::unsent(failure::proxy_unauthorized(&host)));
    }
    let headers = std::mem::take(response.headers_mut());
    let collector = Collector::new(&headers, cap, limits.ratio);
    let reading = async {
        read(
            &mut response,
            collector.map_err(|why| unusable(&host, why))?,
            &host,
        )
        .await
    };
    let body = match timeout_at(end, reading).await {
        Ok(body) => body.map_err(Failure::sent)?,
        Err(_) => {
            return Err(Failure::sent(failure::unusable(
                &host,
                "it came too slowly",
            )));
        }
    };
    Ok(Answer {
        host,
        status,
        headers,
        body,
    })
}

async fn read(
    response: &mut Response,
    mut collector: Collector,
    host: &str,
) -> Result<Vec<u8>, Problem> {
    let broken = |_| failure::unusable(host, "it broke off in the middle");
    while let Some(piece) = response.chunk().await.map_err(broken)? {
        collector.push(&piece).map_err(|why| unusable(host, why))?;
    }
    collector.finish().map_err(|why| unusable(host, why))
}

fn unusable(host: &str, why: Unusable) -> Problem {
    failure::unusable(host, why.as_str())
}

fn note(started: Instant, result: &Result<Answer, Failure>) {
    let elapsed = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Span::current().record("elapsed_ms", elapsed);
    match result {
        Ok(answer) => {
            Span::current().record("status", answer.status);
            tracing::debug!("Exchange finished");
        }
        Err(failure) => {
            tracing::debug!(reason = failure.problem.reason.as_str(), "Exchange failed")
        }
    }
}
