//! Tests of a plugin in process: scripted exchanges instead of a daemon
//!
//! [`Driver`] runs a whole operation against a script. [`Session`] is one level below: a step at a time. Both go through
//! the encoded messages, so what is tested is what crosses the boundary.

use std::{fmt, marker::PhantomData};

use bindery_plugin_abi::limits::STEPS_PER_OPERATION;
use bindery_plugin_proto::v1::{
    self, effect, effect_result, operation_request::Input, output, step,
};
use prost::Message as _;

use crate::{Provider, Task};

pub mod corpus;
pub mod deliveries;
pub mod fixtures;
pub mod manifest;
pub mod openapi;
mod run;
pub mod schemes;
mod show;

pub use corpus::Corpus;
pub use fixtures::Fixtures;
pub use manifest::Manifest;
pub use run::{Run, Sent, ended};
pub use show::show_segments;

/// The description as the host reads it.
pub fn description<P: Provider>() -> v1::Description {
    crate::provider::describe::<P>()
}

/// One operation, a step at a time.
#[derive(Debug)]
pub struct Session(Task);

impl Session {
    /// Starts an operation.
    pub fn start<P: Provider>(request: &v1::OperationRequest) -> (Self, v1::Step) {
        let (task, step) = Task::start::<P>(&request.encode_to_vec());
        (Self(task), recode(&step))
    }

    /// Hands over answers.
    pub fn resume(&mut self, results: Vec<v1::EffectResult>) -> v1::Step {
        recode(&self.0.resume(&v1::Resume { results }.encode_to_vec()))
    }
}

fn recode(step: &v1::Step) -> v1::Step {
    match v1::Step::decode(step.encode_to_vec().as_slice()) {
        Ok(decoded) => decoded,
        Err(error) => panic!("the step can't be decoded: {error}"),
    }
}

/// The input of an operation.
pub trait Ask: Clone {
    /// The operation that it belongs to.
    const OPERATION: v1::Operation;

    /// As it goes into a request.
    fn into_input(self) -> Input;
}

macro_rules! ask {
    ($($input:ident)*) => {$(
        impl Ask for v1::$input {
            const OPERATION: v1::Operation = v1::Operation::$input;

            fn into_input(self) -> Input {
                Input::$input(self)
            }
        }
    )*};
}

ask! {
    Identify InspectToken ListOrganizations ListRepositories GetRepository ListRefs Revoke Probe MintToken
    RotateToken GetInstallation ListHooks CreateHook UpdateHook DeleteHook PingHook ListDeliveries Redeliver
    ParseDelivery
}

/// A scripted answer.
#[derive(Clone, Debug)]
pub struct Reply(effect_result::Kind);

impl Reply {
    /// A response with a status and no body.
    pub fn status(status: u16) -> Self {
        Self::bytes(status, Vec::new())
    }

    /// A JSON response.
    pub fn json(status: u16, body: impl fmt::Display) -> Self {
        Self::bytes(status, body.to_string().into_bytes())
            .header("content-type", "application/json")
    }

    /// A response of any bytes.
    pub fn bytes(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self(effect_result::Kind::Http(v1::HttpResponse {
            status: status.into(),
            headers: Vec::new(),
            body: body.into(),
        }))
    }

    /// Nothing came back.
    pub fn transport_error() -> Self {
        Self(effect_result::Kind::Error(v1::Failure {
            code: v1::Code::Transport.into(),
            message: "the connection was closed".to_owned(),
            ..v1::Failure::default()
        }))
    }

    /// Any result.
    pub fn result(kind: effect_result::Kind) -> Self {
        Self(kind)
    }

    /// Adds a response header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        if let effect_result::Kind::Http(response) = &mut self.0 {
            response.headers.push(v1::PlainHeader {
                name: name.to_ascii_lowercase(),
                value: value.to_owned(),
            });
        }
        self
    }
}

/// Runs an operation of `P` against a script.
///
/// The script holds the exchanges in the order in which the same method and URL are asked; exchanges of different
/// URLs may come in any order, as they do when futures are joined. Every operation is run twice, and both runs must give
/// the same bytes.
#[derive(Debug)]
pub struct Driver<P> {
    request: v1::OperationRequest,
    script: Vec<(String, String, Reply)>,
    one_by_one: bool,
    manifest: Option<Manifest>,
    _provider: PhantomData<fn() -> P>,
}

/// Not derived, since that would ask the provider itself to be `Clone`.
impl<P> Clone for Driver<P> {
    fn clone(&self) -> Self {
        Self {
            request: self.request.clone(),
            script: self.script.clone(),
            one_by_one: self.one_by_one,
            manifest: self.manifest.clone(),
            _provider: PhantomData,
        }
    }
}

impl<P: Provider> Default for Driver<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Provider> Driver<P> {
    /// A host at `https://api.test` and `https://web.test` with an OAuth credential of `octocat`.
    pub fn new() -> Self {
        Self {
            request: v1::OperationRequest {
                schema: 1,
                now_unix_ms: 1_800_000_000_000,
                random_seed: vec![7; 32],
                api_base: "https://api.test".to_owned(),
                web_base: "https://web.test".to_owned(),
                credential: Some(v1::Credential {
                    auth_kind: v1::AuthKind::OauthCode.into(),
                    token_kind: "oauth".to_owned(),
                    client_id: "client-1".to_owned(),
                    login: "octocat".to_owned(),
                    ..v1::Credential::default()
                }),
                ..v1::OperationRequest::default()
            },
            script: Vec::new(),
            one_by_one: false,
            manifest: None,
            _provider: PhantomData,
        }
    }

    /// Other bases.
    #[must_use]
    pub fn host(mut self, web_base: &str, api_base: &str) -> Self {
        web_base.clone_into(&mut self.request.web_base);
        api_base.clone_into(&mut self.request.api_base);
        self
    }

    /// Another edition than the description itself.
    #[must_use]
    pub fn edition(mut self, edition: &str) -> Self {
        edition.clone_into(&mut self.request.edition);
        self
    }

    /// Another credential.
    #[must_use]
    pub fn credential(mut self, credential: v1::Credential) -> Self {
        self.request.credential = Some(credential);
        self
    }

    /// A setting of the host.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.request
            .settings
            .insert(name.to_owned(), value.to_owned());
        self
    }

    /// Scripts one exchange.
    #[must_use]
    pub fn on(mut self, method: &str, url: &str, reply: Reply) -> Self {
        self.script.push((method.to_owned(), url.to_owned(), reply));
        self
    }

    /// Answers one effect at a time, the last one first.
    #[must_use]
    pub fn one_by_one_in_reverse(mut self) -> Self {
        self.one_by_one = true;
        self
    }

    /// Checks every request against a manifest.
    #[must_use]
    pub fn manifest(mut self, manifest: Manifest) -> Self {
        self.manifest = Some(manifest);
        self
    }

    /// Runs the operation.
    ///
    /// # Panics
    ///
    /// If the operation asks for what is not in the script, or not for all of it, or differs between two runs.
    #[track_caller]
    pub fn run(&self, input: impl Ask) -> Run {
        match self.try_run(input) {
            Ok(run) => run,
            Err(mismatch) => panic!("{mismatch}"),
        }
    }

    /// Runs the operation.
    ///
    /// # Errors
    ///
    /// In words, as [`Driver::run`] panics.
    pub fn try_run<I: Ask>(&self, input: I) -> Result<Run, String> {
        let first = self.play(input.clone().into_input())?;
        let second = self.play(input.into_input())?;
        if first != second {
            return Err("two runs of the same operation differ".to_owned());
        }
        if let Some(manifest) = &self.manifest {
            manifest.check_run(I::OPERATION, &self.request, &first)?;
        }
        Ok(first)
    }

    fn play(&self, input: Input) -> Result<Run, String> {
        let mut script = self.script.clone();
        let request = v1::OperationRequest {
            input: Some(input),
            ..self.request.clone()
        };
        let (mut session, mut step) = Session::start::<P>(&request);
        let mut run = Run::default();
        let mut open = Vec::new();
        for _ in 0..STEPS_PER_OPERATION {
            if let Some(outcome) = run.absorb(&mut step, &mut open) {
                return finish(run, outcome, &script);
            }
            let answers = self.answers(&mut script, &mut open)?;
            step = session.resume(answers);
        }
        Err("the operation takes too many steps".to_owned())
    }

    fn answers(
        &self,
        script: &mut Vec<(String, String, Reply)>,
        open: &mut Vec<v1::Effect>,
    ) -> Result<Vec<v1::EffectResult>, String> {
        let now = if self.one_by_one {
            open.len().saturating_sub(1)
        } else {
            0
        };
        let effects = open.drain(now..);
        effects.map(|effect| answer(script, effect)).collect()
    }
}

fn answer(
    script: &mut Vec<(String, String, Reply)>,
    effect: v1::Effect,
) -> Result<v1::EffectResult, String> {
    let (method, url) = match &effect.kind {
        Some(effect::Kind::Http(request)) => (request.method.as_str(), request.url.as_str()),
        Some(effect::Kind::VerifyMac(mac)) => ("VERIFY_MAC", mac.secret.as_str()),
        Some(effect::Kind::SignJwt(jwt)) => ("SIGN_JWT", jwt.secret.as_str()),
        None => return Err("an effect has no kind".to_owned()),
    };
    let found = script.iter().position(|(m, u, _)| m == method && u == url);
    let at =
        found.ok_or_else(|| format!("{method} {url} is not in the script:{}", list(script)))?;
    Ok(v1::EffectResult {
        id: effect.id,
        kind: Some(script.remove(at).2.0),
    })
}

fn finish(
    mut run: Run,
    outcome: step::Outcome,
    script: &[(String, String, Reply)],
) -> Result<Run, String> {
    run.outcome = match outcome {
        step::Outcome::Failed(failure) => Err(failure),
        step::Outcome::Done(v1::Output { kind: Some(kind) }) => Ok(kind),
        step::Outcome::Done(v1::Output { kind: None }) => Ok(output::Kind::Empty(v1::Empty {})),
    };
    if script.is_empty() {
        Ok(run)
    } else {
        Err(format!(
            "never asked for:{}\noutcome: {:?}",
            list(script),
            run.outcome
        ))
    }
}

fn list(script: &[(String, String, Reply)]) -> String {
    let lines = script
        .iter()
        .map(|(method, url, _)| format!("\n  {method} {url}"));
    lines.collect()
}
