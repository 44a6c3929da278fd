//! How hard a host may be used: by all of its links together, on every leg.
//!
//! [`Budgeted`] stands before the egress. A request waits for a place among those that run at the same time, in the order
//! in which they came, and no longer than [`LONGEST_WAIT`]. It is refused at once where the hour's requests are used up, or
//! where the host said that nothing is left until some moment: asking again would only make that worse. What is refused
//! here was not sent, so nothing is used up, and a refresh is tried again later.
//!
//! Providers count by token for the most part. So a token that has used up its own allowance is held back alone, whichever
//! link it is of, and only a host that asks for a pause (`Retry-After`) is left alone by all.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bindery_core::{
    exchange::{
        DeviceAuthorization, DeviceCall, Exchanged, HttpRequest, HttpResponse, Post, ProbeReport,
        Reach, RevokeCall, RevokeOutcome, Route, TokenCall, TokenOutcome, TokenReply,
    },
    host::{Certificates, Host, HostNetwork},
    name::HostName,
    port::{BoxFuture, Clock, Egress, Providers},
    problem::{Problem, Reason},
    provider::RateLimitHeaders,
    time::Timestamp,
};
use futures_util::future::{Either, select};
use tokio::sync::OwnedSemaphorePermit;

use self::state::{State, Token};
use crate::{Ports, sha256};

mod state;

/// A request that has waited this long for its place is refused; callers have deadlines of their own.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// No host may close itself for longer by one header.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// What is assumed where a host stops a request by a limit and does not say for how long.
const USUAL_PAUSE: Duration = Duration::from_secs(60);

/// An egress that keeps to the budgets of hosts.
pub(crate) struct Budgeted {
    inner: Arc<dyn Egress>,
    clock: Arc<dyn Clock>,
    providers: Arc<dyn Providers>,
    hosts: Mutex<BTreeMap<HostName, State>>,
}

impl Budgeted {
    /// The ports, with a budget before their egress.
    pub(crate) fn over(ports: Ports) -> Ports {
        let budgeted = Self {
            inner: Arc::clone(&ports.egress),
            clock: Arc::clone(&ports.clock),
            providers: Arc::clone(&ports.providers),
            hosts: Mutex::default(),
        };
        Ports {
            egress: Arc::new(budgeted),
            ..ports
        }
    }

    /// Waits for a place, and counts the request that it is for.
    async fn place(
        &self,
        host: &Host,
        token: Option<&Token>,
    ) -> Result<OwnedSemaphorePermit, Problem> {
        let places = self.with(host, |state, now| {
            state.open(host, token, now)?;
            Ok(state.places(host.rate_budget))
        })?;
        let limit = self.clock.sleep_until(self.clock.now().after(LONGEST_WAIT));
        let waiting = std::pin::pin!(places.acquire_owned());
        let Either::Left((Ok(place), _)) = select(waiting, limit).await else {
            return Err(busy(host));
        };
        // What came back in the meantime counts for those who waited as well.
        self.with(host, |state, now| {
            state.open(host, token, now)?;
            state.spend(host, now)
        })?;
        Ok(place)
    }

    fn with<T>(&self, host: &Host, act: impl FnOnce(&mut State, Timestamp) -> T) -> T {
        let now = self.clock.now();
        let mut hosts = self.hosts();
        act(hosts.entry(host.name.clone()).or_default(), now)
    }

    fn hosts(&self) -> MutexGuard<'_, BTreeMap<HostName, State>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send_in_budget(
        &self,
        request: &HttpRequest,
        route: Route<'_>,
    ) -> Result<Exchanged, Problem> {
        let host = route.reach.host;
        let token = route.secrets.get("access_token");
        let token = token.map(|token| sha256(token.expose().as_bytes()));
        let _place = self.place(host, token.as_ref()).await?;
        let exchanged = self.inner.send(request, route).await?;
        self.learn(host, token, &exchanged.response);
        Ok(exchanged)
    }

    async fn token_in_budget(&self, call: TokenCall<'_>) -> TokenReply {
        let host = call.reach.host;
        let _place = match self.place(host, None).await {
            Ok(place) => place,
            Err(problem) => return TokenOutcome::NotNow(problem).into(),
        };
        let reply = self.inner.token(call).await;
        if let TokenOutcome::NotNow(problem) = &reply.outcome
            && problem.reason == Reason::ProviderRateLimited
        {
            let pause = problem.retry_after.unwrap_or(USUAL_PAUSE);
            self.with(host, |state, now| {
                state.pause(now.after(pause.min(LONGEST_PAUSE)))
            });
        }
        reply
    }

    /// Takes what an answer says about limits.
    fn learn(&self, host: &Host, token: Option<Token>, answer: &HttpResponse) {
        let names = self.rate_limits(host);
        let limited = matches!(answer.status, 403 | 429 | 503);
        if let Some(pause) = seconds(answer, "retry-after").filter(|_| limited) {
            let pause = Duration::from_secs(pause).min(LONGEST_PAUSE);
            self.with(host, |state, now| state.pause(now.after(pause)));
            return;
        }
        let used_up = seconds(answer, &names.remaining) == Some(0);
        if used_up || answer.status == 429 {
            let reset = seconds(answer, &names.reset);
            self.with(host, |state, now| {
                let until = reset.map(|at| Timestamp::from_unix_ms(at.saturating_mul(1000)));
                let until = until.unwrap_or_else(|| now.after(USUAL_PAUSE));
                state.hold(token, until.min(now.after(LONGEST_PAUSE)), now);
            });
        }
    }

    fn rate_limits(&self, host: &Host) -> RateLimitHeaders {
        let setting = host.settings.get("edition").map(String::as_str);
        let known = self.providers.describe(&host.provider);
        known.map_or_else(RateLimitHeaders::default, |description| {
            let edition = description.edition_at(&host.web_url, setting);
            edition.rate_limits.clone()
        })
    }
}

impl Egress for Budgeted {
    fn send<'a>(
        &'a self,
        request: &'a HttpRequest,
        route: Route<'a>,
    ) -> BoxFuture<'a, Result<Exchanged, Problem>> {
        Box::pin(self.send_in_budget(request, route))
    }

    fn token<'a>(&'a self, call: TokenCall<'a>) -> BoxFuture<'a, TokenReply> {
        Box::pin(self.token_in_budget(call))
    }

    fn revoke<'a>(&'a self, call: RevokeCall<'a>) -> BoxFuture<'a, RevokeOutcome> {
        Box::pin(async move {
            let _place = match self.place(call.reach.host, None).await {
                Ok(place) => place,
                Err(problem) => return RevokeOutcome::Failed(problem),
            };
            self.inner.revoke(call).await
        })
    }

    fn authorize_device<'a>(
        &'a self,
        call: DeviceCall<'a>,
    ) -> BoxFuture<'a, Result<DeviceAuthorization, Problem>> {
        Box::pin(async move {
            let _place = self.place(call.reach.host, None).await?;
            self.inner.authorize_device(call).await
        })
    }

    /// Operators probe when something is wrong, so a probe never waits and is never refused.
    fn probe<'a>(&'a self, url: &'a str, reach: Reach<'a>) -> BoxFuture<'a, ProbeReport> {
        self.inner.probe(url, reach)
    }

    fn admit(&self, reach: Reach<'_>) -> Result<(), Problem> {
        self.inner.admit(reach)
    }

    fn forget(&self) {
        self.inner.forget();
    }

    fn certificates(&self, network: &HostNetwork) -> Certificates {
        self.inner.certificates(network)
    }

    fn admit_post(&self, url: &str) -> Result<(), Problem> {
        self.inner.admit_post(url)
    }

    fn post<'a>(&'a self, post: Post<'a>) -> BoxFuture<'a, Result<u16, Problem>> {
        self.inner.post(post)
    }
}

/// A header that holds a number; nothing for a name that is not known.
fn seconds(answer: &HttpResponse, name: &str) -> Option<u64> {
    let named = |(known, _): &&(String, String)| !name.is_empty() && known == name;
    let (_, value) = answer.headers.iter().find(named)?;
    value.trim().parse().ok()
}

fn busy(host: &Host) -> Problem {
    let message = format!(
        "too many requests to hosts/{} wait for a place; try again later, or raise its rate budget",
        host.name
    );
    Problem::new(Reason::Overloaded, message)
        .retry(Some(LONGEST_WAIT))
        .with("host", host.name.as_str())
}

#[cfg(test)]
mod tests;
