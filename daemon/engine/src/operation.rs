//! Runs one operation of a plugin: effects out through egress, results back in, until it ends.

use std::{collections::HashSet, sync::Arc, time::Duration};

use bindery_core::{
    exchange::{Answer, Effect, EffectKind, EffectResult, HttpRequest, Reach, Route},
    host::{Host, HostSecrets},
    origin::OriginSet,
    port::{Next, Operation, Started, Step},
    problem::{Problem, Reason, Who},
    provider::{Call, CredentialFacts, Failure, FailureCode, Input, Output},
    secret::{Secret, SecretSet},
};
use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use ring::hmac;
use tracing::Instrument;

use crate::{Engine, jwt, records::origins};

/// An operation as a whole may take this long.
const WHOLE_OPERATION: Duration = Duration::from_secs(120);

/// What an operation runs on: a host, facts about a credential, and the secrets that its requests may name.
pub(crate) struct Context<'a> {
    host: &'a Host,
    origins: OriginSet,
    facts: CredentialFacts,
    secrets: Arc<SecretSet>,
    /// What the network rules need; nothing where they need nothing.
    keys: Arc<HostSecrets>,
    keyed: bool,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        host: &'a Host,
        facts: CredentialFacts,
        secrets: SecretSet,
    ) -> Result<Self, Problem> {
        Ok(Self {
            host,
            origins: origins(host)?,
            facts,
            secrets: Arc::new(secrets),
            keys: Arc::default(),
            keyed: false,
        })
    }

    /// The same with one more secret that its requests may name.
    pub(crate) fn with_secret(mut self, name: &str, secret: &Secret) -> Self {
        let mut one = SecretSet::new();
        one.insert(name, secret.duplicate());
        self.secrets = Arc::new(merged(&self.secrets, one));
        self
    }

    /// The same with the host's secrets, where they are at hand already or the host is not stored.
    pub(crate) fn with_keys(mut self, keys: HostSecrets) -> Self {
        self.keys = Arc::new(keys);
        self.keyed = true;
        self
    }
}

/// What an operation gave.
pub(crate) struct Outcome {
    /// Pages that came before the end.
    pub(crate) pages: Vec<Output>,
    /// The end.
    pub(crate) last: Output,
    /// All secrets of the operation: those that it began with, and those that were captured on the way.
    pub(crate) secrets: Arc<SecretSet>,
}

impl Engine {
    /// Runs an operation to its end.
    pub(crate) async fn run(
        &self,
        mut context: Context<'_>,
        input: Input,
    ) -> Result<Outcome, Problem> {
        let span = tracing::debug_span!("call", provider = %context.host.provider, operation = ?input.kind());
        let limit = self
            .ports()
            .clock
            .sleep_until(self.now().after(WHOLE_OPERATION));
        let host = context.host;
        if host.needs_keys() && !context.keyed {
            context.keys = Arc::new(self.host_secrets(host).await?);
        }
        // On the heap: whoever asks a provider is deep in calls already, and would hold all of this on the stack.
        let work = self.drive(context, input).instrument(span).boxed();
        match futures_util::future::select(work, limit).await {
            futures_util::future::Either::Left((outcome, _)) => outcome,
            futures_util::future::Either::Right(_) => Err(Problem::new(
                Reason::ProviderUnavailable,
                format!("{} did not finish in time; try again later", host.name),
            )),
        }
    }

    async fn drive(&self, mut context: Context<'_>, input: Input) -> Result<Outcome, Problem> {
        let host = context.host;
        let call = self.call(&context, input);
        let started = self.ports().providers.start(&host.provider, call).await;
        let Started {
            mut operation,
            mut step,
        } = started.map_err(|failure| refused(failure, host))?;
        let mut run = Run {
            pages: Vec::new(),
            cancelled: HashSet::new(),
        };
        let mut running = FuturesUnordered::new();
        loop {
            let effects = match run.take(step) {
                Next::Done(last) => {
                    return Ok(Outcome {
                        pages: run.pages,
                        last,
                        secrets: context.secrets,
                    });
                }
                Next::Effects(effects) => effects,
            };
            for effect in effects {
                let origins = context.origins.clone();
                let (secrets, keys) = (Arc::clone(&context.secrets), Arc::clone(&context.keys));
                running.push(self.carry_out(host, origins, secrets, keys, effect));
            }
            let results = run.collect(&mut running, &mut context).await;
            step = resume(operation.as_mut(), results, host).await?;
        }
    }

    fn call(&self, context: &Context<'_>, input: Input) -> Call {
        Call {
            now: self.now(),
            seed: self.random(),
            api_base: context.host.api_base().to_owned(),
            web_base: context.host.web_url.clone(),
            settings: context.host.settings.clone(),
            edition: self.edition_name(context.host),
            credential: context.facts.clone(),
            input,
        }
    }

    async fn carry_out(
        &self,
        host: &Host,
        origins: OriginSet,
        secrets: Arc<SecretSet>,
        keys: Arc<HostSecrets>,
        effect: Effect,
    ) -> (EffectResult, SecretSet) {
        let (answer, captured) = match effect.kind {
            EffectKind::Http(request) => {
                let route = Route {
                    reach: Reach {
                        host,
                        secrets: &keys,
                    },
                    origins: &origins,
                    secrets: &secrets,
                };
                self.exchange(route, &request).await
            }
            EffectKind::VerifyMac {
                secret,
                algorithm,
                message,
                mac,
            } => (
                verify(&secrets, &secret, &algorithm, &message, &mac),
                SecretSet::new(),
            ),
            EffectKind::SignJwt {
                secret,
                claims_json,
                store_as,
                ..
            } => {
                let ask = jwt::Ask {
                    secret: &secret,
                    claims: &claims_json,
                    store_as: &store_as,
                };
                match jwt::sign(&secrets, ask, self.now()) {
                    Ok(kept) => (Answer::Signed, kept),
                    Err(problem) => (Answer::Failed(problem), SecretSet::new()),
                }
            }
        };
        (
            EffectResult {
                id: effect.id,
                answer,
            },
            captured,
        )
    }

    async fn exchange(&self, route: Route<'_>, request: &HttpRequest) -> (Answer, SecretSet) {
        match self.ports().egress.send(request, route).await {
            Ok(exchanged) => (Answer::Http(exchanged.response), exchanged.captured),
            Err(problem) => (Answer::Failed(problem), SecretSet::new()),
        }
    }
}

/// What is collected while an operation runs.
struct Run {
    pages: Vec<Output>,
    cancelled: HashSet<u32>,
}

impl Run {
    fn take(&mut self, step: Step) -> Next {
        self.pages.extend(step.partial);
        self.cancelled.extend(step.cancelled);
        step.next
    }

    /// Waits for one result and takes all others that are there; cancelled ones are dropped.
    async fn collect(
        &mut self,
        running: &mut FuturesUnordered<impl Future<Output = (EffectResult, SecretSet)>>,
        context: &mut Context<'_>,
    ) -> Vec<EffectResult> {
        let mut results = Vec::new();
        while results.is_empty() {
            let Some(first) = running.next().await else {
                break;
            };
            self.take_result(first, context, &mut results);
            while let Some(Some(next)) = running.next().now_or_never() {
                self.take_result(next, context, &mut results);
            }
        }
        results
    }

    /// Keeps what was captured, whether or not the answer is still wanted: the next request may name it.
    fn take_result(
        &mut self,
        (result, captured): (EffectResult, SecretSet),
        context: &mut Context<'_>,
        results: &mut Vec<EffectResult>,
    ) {
        if captured.iter().next().is_some() {
            context.secrets = Arc::new(merged(&context.secrets, captured));
        }
        if !self.cancelled.remove(&result.id) {
            results.push(result);
        }
    }
}

fn merged(old: &SecretSet, new: SecretSet) -> SecretSet {
    let mut all = SecretSet::new();
    for (name, secret) in old.iter() {
        all.insert(name, secret.duplicate());
    }
    all.extend(new);
    all
}

async fn resume(
    operation: &mut dyn Operation,
    results: Vec<EffectResult>,
    host: &Host,
) -> Result<Step, Problem> {
    operation
        .resume(results)
        .await
        .map_err(|failure| refused(failure, host))
}

/// Checks a MAC in constant time. An unknown key or algorithm is a mismatch, never an error that tells more.
fn verify(secrets: &SecretSet, name: &str, algorithm: &str, message: &[u8], mac: &[u8]) -> Answer {
    let key = secrets.get(name).filter(|secret| !secret.is_empty());
    let right = key.is_some_and(|secret| match algorithm {
        "hmac-sha256" => mac_matches(hmac::HMAC_SHA256, secret.expose(), message, mac),
        "hmac-sha1" => mac_matches(
            hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            secret.expose(),
            message,
            mac,
        ),
        "equal" => same(secret.expose().as_bytes(), mac),
        _ => false,
    });
    Answer::Verified(right)
}

fn mac_matches(algorithm: hmac::Algorithm, key: &str, message: &[u8], mac: &[u8]) -> bool {
    hmac::verify(&hmac::Key::new(algorithm, key.as_bytes()), message, mac).is_ok()
}

/// Compares in constant time: equal texts have equal MACs under any key.
fn same(secret: &[u8], presented: &[u8]) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    hmac::verify(&key, presented, hmac::sign(&key, secret).as_ref()).is_ok()
}

/// A plugin answered something else than it was asked for.
pub(crate) fn off_topic(host: &Host) -> Problem {
    let message = format!(
        "provider({}): the plugin answered another question; report it to its author",
        host.provider
    );
    Problem::new(Reason::PluginFailed, message)
}

/// What a plugin's failure means to a caller.
pub(crate) fn refused(failure: Failure, host: &Host) -> Problem {
    let mut problem = Problem::new(reason(failure.code), failure.message)
        .retry(failure.retry_after)
        .with("host", host.name.as_str())
        .with("provider", host.provider.as_str());
    for scope in failure.missing_scopes {
        problem = problem.with("missing_scope", scope);
    }
    if failure.action_uri.is_empty() {
        return problem;
    }
    let who = match failure.code {
        FailureCode::OrganizationRestricted | FailureCode::NotInstalled => Who::OrganizationOwner,
        FailureCode::ClientRefused => Who::HostOperator,
        _ => Who::User,
    };
    problem.act(who, failure.action_uri)
}

const fn reason(code: FailureCode) -> Reason {
    match code {
        FailureCode::Unsupported => Reason::ProviderUnsupported,
        FailureCode::InvalidArgument => Reason::InvalidArgument,
        FailureCode::Unauthenticated => Reason::TokenRefused,
        FailureCode::ClientRefused => Reason::ClientRefused,
        FailureCode::Suspended => Reason::IdentitySuspended,
        FailureCode::NotInstalled => Reason::AppNotInstalled,
        FailureCode::SsoRequired => Reason::SsoRequired,
        FailureCode::LimitReached => Reason::ProviderLimitReached,
        FailureCode::PermissionDenied => Reason::ProviderDenied,
        FailureCode::NotFound => Reason::ProviderNotFound,
        FailureCode::RateLimited => Reason::ProviderRateLimited,
        // A conflict at the provider passes; one of the store's own is something else.
        FailureCode::Upstream | FailureCode::Conflict => Reason::ProviderUnavailable,
        FailureCode::MalformedResponse => Reason::HostAnswerUnusable,
        FailureCode::Transport => Reason::HostUnreachable,
        FailureCode::ScopeMissing => Reason::ScopeMissing,
        FailureCode::OrganizationRestricted => Reason::OrganizationRestricted,
        FailureCode::Panic | FailureCode::Protocol | FailureCode::Stuck => Reason::PluginFailed,
        FailureCode::Crashed => Reason::PluginCrashed,
        FailureCode::Timeout => Reason::PluginTimeout,
        FailureCode::RequestNotAllowed => Reason::RequestNotAllowed,
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use bindery_core::{
        name::{HostName, ProviderName},
        secret::Secret,
    };

    use super::*;

    fn host() -> Host {
        let name = HostName::parse("forge").expect("name");
        let provider = ProviderName::parse("forge").expect("name");
        let now = bindery_core::time::Timestamp::default();
        Host::new(name, provider, "https://forge.example".to_owned(), now)
    }

    fn answered(id: u32, captured: &str) -> (EffectResult, SecretSet) {
        let mut secrets = SecretSet::new();
        secrets.insert(captured, Secret::new(captured.to_owned()));
        let answer = Answer::Signed;
        (EffectResult { id, answer }, secrets)
    }

    /// A repository that takes no more hooks is no broken provider, and no right that is missing.
    #[test]
    fn a_limit_is_told_as_one() {
        let failure = Failure {
            code: FailureCode::LimitReached,
            message: "provider(forge): the repository has 20 hooks".to_owned(),
            http_status: 422,
            retry_after: None,
            missing_scopes: Vec::new(),
            action_uri: String::new(),
        };
        let problem = refused(failure, &host());
        assert_eq!(problem.reason, Reason::ProviderLimitReached);
    }

    /// What was captured from answers that came together, wanted or not, can be named by the next request.
    #[tokio::test]
    async fn no_captured_secret_is_dropped() {
        let host = host();
        let facts = CredentialFacts::default();
        let mut context = Context::new(&host, facts, SecretSet::new()).expect("context");
        let mut run = Run {
            pages: Vec::new(),
            cancelled: HashSet::from([3]),
        };
        let mut running: FuturesUnordered<_> = [(1, "one"), (2, "two"), (3, "three")]
            .map(|(id, name)| ready(answered(id, name)))
            .into_iter()
            .collect();
        let results = run.collect(&mut running, &mut context).await;
        assert_eq!(results.len(), 2);
        for name in ["one", "two", "three"] {
            assert!(context.secrets.get(name).is_some(), "{name}");
        }
    }
}
