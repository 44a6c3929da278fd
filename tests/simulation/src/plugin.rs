//! Plugins that ask one question: who is this? And that say of a grant that only a person can end it.

use std::{collections::BTreeMap, sync::Arc};

use bindery_core::{
    exchange::{Answer, Effect, EffectKind, EffectResult, Encoding, HttpRequest, Segment},
    name::ProviderName,
    port::{BoxFuture, Next, Operation, Providers, Started, Step},
    provider::{
        AccountKind, Call, Description, Failure, FailureCode, Identity, Input, Output, Revocation,
        RevocationOutcome, TokenFacts,
    },
};

use crate::rules::Kind;

/// A plugin for each kind of forge.
pub(crate) struct Plugins(BTreeMap<ProviderName, Arc<Description>>);

impl Plugins {
    pub(crate) fn new(kinds: &[Kind]) -> Self {
        let all = kinds.iter().map(Kind::description);
        Self(all.map(|one| (one.provider.clone(), one)).collect())
    }
}

impl Providers for Plugins {
    fn list(&self) -> Vec<Arc<Description>> {
        self.0.values().cloned().collect()
    }

    fn describe(&self, provider: &ProviderName) -> Option<Arc<Description>> {
        self.0.get(provider).cloned()
    }

    fn start<'a>(
        &'a self,
        _: &'a ProviderName,
        call: Call,
    ) -> BoxFuture<'a, Result<Started, Failure>> {
        Box::pin(std::future::ready(Ok(started(&call))))
    }
}

fn started(call: &Call) -> Started {
    if let Input::Revoke { .. } = &call.input {
        return Started {
            operation: Box::new(Asking(call.input.clone())),
            step: step(Next::Done(impossible(call))),
        };
    }
    let authorization = vec![Segment::Secret {
        name: "access_token".to_owned(),
        encoding: Encoding::Raw,
        prefix: String::new(),
    }];
    let request = HttpRequest {
        method: "GET".to_owned(),
        url: format!("{}/user", call.api_base),
        headers: vec![("authorization".to_owned(), authorization)],
        body: Vec::new(),
        capture: Vec::new(),
        max_response_bytes: 0,
    };
    let effect = Effect {
        id: 1,
        kind: EffectKind::Http(request),
    };
    Started {
        operation: Box::new(Asking(call.input.clone())),
        step: step(Next::Effects(vec![effect])),
    }
}

/// A forge without a revocation endpoint: a person ends the grant on its page.
fn impossible(call: &Call) -> Output {
    Output::Revocation(Revocation {
        outcome: RevocationOutcome::Impossible,
        message: "a person ends it".to_owned(),
        action_uri: format!("{}/authorizations", call.web_base),
    })
}

const fn step(next: Next) -> Step {
    Step {
        partial: Vec::new(),
        cancelled: Vec::new(),
        next,
    }
}

/// Waits for the forge's answer.
struct Asking(Input);

impl Operation for Asking {
    fn resume(&mut self, results: Vec<EffectResult>) -> BoxFuture<'_, Result<Step, Failure>> {
        let read = read(&self.0, results);
        Box::pin(std::future::ready(read.map(Next::Done).map(step)))
    }
}

fn read(input: &Input, results: Vec<EffectResult>) -> Result<Output, Failure> {
    let status = match results.into_iter().next().map(|result| result.answer) {
        Some(Answer::Http(response)) => response.status,
        _ => return Err(failure(FailureCode::Transport)),
    };
    match (input, status) {
        (Input::Identify, 200) => Ok(Output::Identity(octo())),
        (Input::InspectToken, 200) => Ok(Output::TokenFacts(TokenFacts {
            active: true,
            ..TokenFacts::default()
        })),
        (Input::InspectToken, 401) => Ok(Output::TokenFacts(TokenFacts::default())),
        (_, 401) => Err(failure(FailureCode::Unauthenticated)),
        (_, 429) => Err(failure(FailureCode::RateLimited)),
        (_, 200) => Err(failure(FailureCode::Unsupported)),
        _ => Err(failure(FailureCode::Upstream)),
    }
}

/// The one person of every forge.
pub(crate) fn octo() -> Identity {
    Identity {
        stable_id: "1".to_owned(),
        login: "octo".to_owned(),
        display_name: String::new(),
        kind: AccountKind::User,
        web_uri: String::new(),
    }
}

fn failure(code: FailureCode) -> Failure {
    Failure {
        code,
        message: format!("{code:?}"),
        http_status: 0,
        retry_after: None,
        missing_scopes: Vec::new(),
        action_uri: String::new(),
    }
}
