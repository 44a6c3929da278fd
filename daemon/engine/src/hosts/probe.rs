//! How far one gets to a host, way by way and layer by layer.

use std::time::Duration;

use bindery_core::{
    exchange::{ProbeReport, Reach},
    host::{App, Host, HostSecrets, Probed},
    name::HostName,
    port::{Expect, Key, Record},
    problem::{Problem, Reason, Who},
    provider::{APP_PRIVATE_KEY, CredentialFacts, Input, Output, ServerFacts},
    secret::SecretSet,
    time::Timestamp,
};

use super::NewHost;
use crate::{
    Engine, Versioned,
    operation::{Context, off_topic},
    records::change,
};

/// From here on clocks differ too much: an app's proof of itself is dated a minute back at most, and codes of some servers
/// live ten seconds.
const MOST_SKEW: Duration = Duration::from_secs(30);

/// How far one gets to a host.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Each way that was tried.
    pub legs: Vec<ProbedLeg>,
    /// What the API says, as the plugin reads it.
    pub server: Result<ServerFacts, Problem>,
    /// How many milliseconds the server's clock is ahead of the daemon's; `None` where it tells no date.
    pub clock_skew_ms: Option<i64>,
    /// What is wrong besides.
    pub findings: Vec<Problem>,
    /// When it was done.
    pub at: Timestamp,
}

/// One way to a host.
#[derive(Clone, Debug)]
pub struct ProbedLeg {
    /// Which part of the host.
    pub leg: Leg,
    /// Base URL that was tried.
    pub url: String,
    /// The daemon itself goes this way; otherwise only people and other machines do.
    pub used: bool,
    /// How far one gets.
    pub report: ProbeReport,
    /// The daemon's time after the answer.
    done: Timestamp,
}

/// Parts of a host.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Leg {
    /// Pages and OAuth endpoints.
    Web,
    /// The API.
    Api,
    /// Git over HTTPS.
    Git,
}

impl Engine {
    /// Looks how far one gets to a host, and notes what it tells of itself.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND`, and what the vault says. What the probe finds is no error.
    pub async fn probe_host(&self, name: &HostName) -> Result<Probe, Problem> {
        let entry = self.host(name).await?;
        let secrets = self.host_secrets(&entry.record).await?;
        let probe = self.probe(&entry.record, &secrets).await?;
        self.note_probe(entry, &probe).await;
        Ok(probe)
    }

    /// Looks how far one would get to a host that is not stored. Nothing is kept.
    ///
    /// # Errors
    ///
    /// As for [`Engine::create_host`]. What the probe finds is no error.
    pub async fn probe_new_host(&self, new: NewHost) -> Result<Probe, Problem> {
        let (host, secrets) = self.admit_host(new)?;
        self.probe(&host, &secrets).await
    }

    async fn probe(&self, host: &Host, secrets: &HostSecrets) -> Result<Probe, Problem> {
        let reach = Reach { host, secrets };
        let mut legs = Vec::new();
        for (leg, url, used) in ways(host) {
            let report = self.ports().egress.probe(&url, reach).await;
            let done = self.now();
            legs.push(ProbedLeg {
                leg,
                url,
                used,
                report,
                done,
            });
        }
        let server = self.ask_server(host, secrets).await;
        let clock_skew_ms = legs.iter().filter(|leg| leg.used).find_map(skew);
        let findings = clock_skew_ms.and_then(|skew| too_skewed(host, skew));
        Ok(Probe {
            legs,
            server,
            clock_skew_ms,
            findings: findings.into_iter().collect(),
            at: self.now(),
        })
    }

    /// Asks the server about itself, as the host's app where there is one.
    async fn ask_server(&self, host: &Host, secrets: &HostSecrets) -> Result<ServerFacts, Problem> {
        let mut facts = CredentialFacts::default();
        let mut named = SecretSet::new();
        if let (Some(app), Some(key)) = (&host.app, &secrets.app_private_key) {
            facts.app_id.clone_from(&app.app_id);
            named.insert(APP_PRIVATE_KEY, key.duplicate());
        }
        let context = Context::new(host, facts, named)?.with_keys(secrets.duplicate());
        match self
            .run(context, Input::Probe)
            .await
            .map_err(|problem| recognized(problem, host))?
            .last
        {
            Output::Server(facts) => Ok(facts),
            _ => Err(off_topic(host)),
        }
    }

    /// Keeps what a probe learned. Somebody who changes the host at the same time wins; the next probe notes it.
    async fn note_probe(&self, entry: Versioned<Host>, probe: &Probe) {
        let mut host = entry.record;
        let slug = probe.server.as_ref().map(|facts| facts.app_slug.clone());
        host.probed = Probed {
            version: match &probe.server {
                Ok(facts) => facts.version.clone(),
                Err(_) => host.probed.version,
            },
            clock_skew_ms: probe.clock_skew_ms,
            at: Some(probe.at),
        };
        if let (Some(App { slug: known, .. }), Ok(slug)) = (&mut host.app, slug)
            && known.is_empty()
        {
            *known = slug;
        }
        let key = Key::Host(host.name.clone());
        let expect = Expect::Version(entry.version);
        let put = change(key, expect, Some(Record::Host(host)));
        if let Err(problem) = self.commit(vec![put]).await {
            tracing::debug!(%problem, "What a probe learned was not kept");
        }
    }
}

/// What is tried: the daemon's own ways, and the public ones where they differ.
fn ways(host: &Host) -> Vec<(Leg, String, bool)> {
    let mut ways = Vec::new();
    let mut add = |leg, public: &str, own: &str| {
        ways.push((leg, own.to_owned(), true));
        if public != own {
            ways.push((leg, public.to_owned(), false));
        }
    };
    add(Leg::Web, &host.web_url, host.token_base());
    add(Leg::Api, &host.api_url, host.api_base());
    if !host.git_url.is_empty() || !host.internal_git_url.is_empty() {
        add(Leg::Git, host.git_base(), host.internal_git_base());
    }
    ways
}

/// An answer that the plugin can't read is another server's.
fn recognized(problem: Problem, host: &Host) -> Problem {
    let other = matches!(
        problem.reason,
        Reason::ProviderNotFound | Reason::HostAnswerUnusable
    );
    if !other {
        return problem;
    }
    let message = format!(
        "what answers at {} is no server of provider {}; correct the API's URL or the provider of this host entry",
        host.api_base(),
        host.provider
    );
    Problem::new(Reason::HostNotRecognized, message)
        .act(Who::HostOperator, "")
        .with("host", host.name.as_str())
}

/// How far the server's clock is ahead. Its date has no parts of seconds, so the daemon's are left away as well.
fn skew(leg: &ProbedLeg) -> Option<i64> {
    let there = i64::try_from(leg.report.date_unix?).ok()?;
    let here = i64::try_from(leg.done.unix_seconds()).ok()?;
    there.checked_sub(here)?.checked_mul(1000)
}

fn too_skewed(host: &Host, skew_ms: i64) -> Option<Problem> {
    let apart = Duration::from_millis(skew_ms.unsigned_abs());
    if apart <= MOST_SKEW {
        return None;
    }
    let way = if skew_ms > 0 { "ahead of" } else { "behind" };
    let message = format!(
        "the clock of hosts/{} is {} seconds {way} the daemon's; set both by a time server, or codes and tokens end too \
         early",
        host.name,
        apart.as_secs()
    );
    let problem = Problem::new(Reason::HostClockSkew, message);
    Some(
        problem
            .act(Who::HostOperator, "")
            .with("host", host.name.as_str()),
    )
}
