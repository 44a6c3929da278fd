//! One operation in the worker, against a fixture

use bindery_host::manual::{ManualWorker, OperationHandle};
use bindery_plugin_abi::{ERR_OOM, ERR_PANIC, OK};
use bindery_plugin_proto::v1::{self, effect_result, output, step};
use prost::Message as _;
use serde_json::Value;

use crate::{Fixture, fixture::Exchange, show};

/// More steps than any recorded exchange needs.
const MOST_STEPS: usize = 200;

/// How an operation ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum End {
    /// With a result or a failure of its own.
    Outcome(Result<output::Kind, v1::Failure>),
    /// In a way that a plugin never should.
    Broken(String),
    /// The fixture had no answer.
    Unanswered(String),
}

/// All that was seen of an operation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Played {
    pub(crate) steps: Vec<Vec<u8>>,
    pub(crate) effects: Vec<v1::Effect>,
    pub(crate) pages: Vec<output::Kind>,
    pub(crate) end: End,
}

/// Where answers come from.
pub(crate) trait Answers {
    /// The answer to an effect, or what is wrong with it.
    fn answer(&mut self, effect: &v1::Effect) -> Result<effect_result::Kind, String>;
}

/// An operation in a worker, ended when this is dropped.
pub(crate) struct Running<'a> {
    worker: &'a ManualWorker,
    handle: OperationHandle,
    open: Vec<v1::Effect>,
    played: Played,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.worker.end(self.handle);
    }
}

/// Plays an operation from its start to its end.
pub(crate) async fn play(
    worker: &ManualWorker,
    request: Vec<u8>,
    answers: &mut impl Answers,
) -> Played {
    let mut running = Running::start(worker, request).await;
    while !running.is_over() {
        running.advance(answers).await;
    }
    running.played.clone()
}

impl<'a> Running<'a> {
    /// Runs an operation to its first step.
    pub(crate) async fn start(worker: &'a ManualWorker, request: Vec<u8>) -> Self {
        let handle = worker.new_handle();
        let mut running = Self {
            worker,
            handle,
            open: Vec::new(),
            played: Played {
                steps: Vec::new(),
                effects: Vec::new(),
                pages: Vec::new(),
                end: End::Unanswered(String::new()),
            },
        };
        let reply = worker.begin(handle, request).await;
        running.take(reply.map_err(|error| error.to_string()));
        running
    }

    pub(crate) fn is_over(&self) -> bool {
        self.played.end != End::Unanswered(String::new())
    }

    pub(crate) fn handle(&self) -> OperationHandle {
        self.handle
    }

    /// What was seen so far.
    pub(crate) fn played(&self) -> &Played {
        &self.played
    }

    pub(crate) fn open(&self) -> &[v1::Effect] {
        &self.open
    }

    /// Answers all open effects and runs to the next step.
    pub(crate) async fn advance(&mut self, answers: &mut impl Answers) {
        let mut results = Vec::new();
        for effect in std::mem::take(&mut self.open) {
            match answers.answer(&effect) {
                Ok(kind) => results.push(v1::EffectResult {
                    id: effect.id,
                    kind: Some(kind),
                }),
                Err(wrong) => {
                    self.played.end = End::Unanswered(wrong);
                    return;
                }
            }
        }
        let resume = v1::Resume { results }.encode_to_vec();
        let reply = self.worker.resume(self.handle, resume).await;
        self.take(reply.map_err(|error| error.to_string()));
    }

    fn take(&mut self, reply: Result<(i32, Vec<u8>), String>) {
        match reply.and_then(bytes).and_then(|bytes| self.absorb(bytes)) {
            Ok(()) => {}
            Err(broken) => self.played.end = End::Broken(broken),
        }
    }

    fn absorb(&mut self, bytes: Vec<u8>) -> Result<(), String> {
        let step = v1::Step::decode(bytes.as_slice())
            .map_err(|_| "PROTOCOL: what came back is no Step message".to_owned())?;
        self.played.steps.push(bytes);
        let pages = step.partial.into_iter().filter_map(|page| page.kind);
        self.played.pages.extend(pages);
        self.played.effects.extend(step.effects.iter().cloned());
        self.open.extend(step.effects);
        self.open
            .retain(|effect| !step.cancelled.contains(&effect.id));
        match step.outcome {
            Some(step::Outcome::Failed(failure)) => self.failed(failure)?,
            Some(step::Outcome::Done(output)) => {
                let kind = output.kind.ok_or("PROTOCOL: a result is not set")?;
                self.played.end = End::Outcome(Ok(kind));
            }
            None if self.open.is_empty() => return Err("STUCK: it asks for nothing".to_owned()),
            None if self.played.steps.len() >= MOST_STEPS => {
                return Err(format!("it did not end within {MOST_STEPS} steps"));
            }
            None => {}
        }
        Ok(())
    }

    /// A failure of its own, or one that no plugin should come to.
    fn failed(&mut self, failure: v1::Failure) -> Result<(), String> {
        use v1::Code;
        if matches!(
            failure.code(),
            Code::Panic | Code::Stuck | Code::Crashed | Code::Timeout | Code::Unspecified
        ) {
            return Err(words(&failure));
        }
        self.played.end = End::Outcome(Err(failure));
        Ok(())
    }
}

/// A failure for people, with its place.
pub(crate) fn words(failure: &v1::Failure) -> String {
    let (code, message) = (show::code(failure.code()), &failure.message);
    match failure.location.as_str() {
        "" => format!("{code}: {message}"),
        location => format!("{code}: {message} (at {location})"),
    }
}

fn bytes((status, bytes): (i32, Vec<u8>)) -> Result<Vec<u8>, String> {
    match status {
        OK => Ok(bytes),
        ERR_PANIC => Err("PANIC: it panicked".to_owned()),
        ERR_OOM => Err("CRASHED: it ran out of memory".to_owned()),
        other => Err(format!("PROTOCOL: it answered with status {other}")),
    }
}

/// The answers of a fixture, each used once, in the order in which the same request is asked.
pub(crate) struct Script<'a> {
    fixture: &'a Fixture,
    used: Vec<bool>,
    /// Requests that are not what was recorded, in words.
    pub(crate) differences: Vec<String>,
}

impl<'a> Script<'a> {
    pub(crate) fn new(fixture: &'a Fixture) -> Self {
        Self {
            fixture,
            used: vec![false; fixture.exchanges.len()],
            differences: Vec::new(),
        }
    }

    /// What was recorded.
    pub(crate) fn exchanges(&self) -> &'a [Exchange] {
        &self.fixture.exchanges
    }

    /// Which exchange an effect belongs to. It is used up then.
    pub(crate) fn find(&mut self, shown: &Value) -> Option<usize> {
        let title = show::title(shown);
        let mut left = self.fixture.exchanges.iter().enumerate();
        let found = left.position(|(at, one)| !self.used[at] && show::title(&one.request) == title);
        if let Some(at) = found {
            self.used[at] = true;
        }
        found
    }

    /// Exchanges that nobody asked for.
    pub(crate) fn unused(&self) -> Vec<String> {
        let exchanges = self.fixture.exchanges.iter().zip(&self.used);
        exchanges
            .filter(|(_, used)| !**used)
            .map(|(one, _)| show::title(&one.request))
            .collect()
    }
}

impl Answers for Script<'_> {
    fn answer(&mut self, effect: &v1::Effect) -> Result<effect_result::Kind, String> {
        let shown = show::effect(effect);
        let Some(at) = self.find(&shown) else {
            let title = show::title(&shown);
            return Err(format!("it asked for {title}, which is not in the fixture"));
        };
        let exchange = &self.fixture.exchanges[at];
        if let Some(difference) = crate::diff::difference(&exchange.request, &shown) {
            let title = show::title(&shown);
            self.differences.push(format!(
                "request {} ({title}) differs at {difference}",
                at + 1
            ));
        }
        Ok(exchange.response.answer())
    }
}
