//! One operation, step by step

use std::{collections::HashSet, sync::Arc, time::Duration};

use bindery_core::{
    exchange::{Effect, EffectResult},
    port::{BoxFuture, Next, Operation, Step},
    provider::{Call, Failure, FailureCode},
};
use bindery_plugin_abi::{
    ERR_OOM, ERR_PANIC, OK,
    frame::Kind,
    limits::{EFFECTS_PER_STEP, REQUEST_LEN, STEPS_PER_OPERATION},
};
use bindery_plugin_proto::v1::{self, step::Outcome};
use prost::Message as _;
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    convert::{self, check},
    guard::Guard,
    limits::PAGES_PER_STEP,
    plugin::Facts,
    worker::{CallError, Reply, Worker},
};

/// Room for tags and lengths around an answer.
const ENVELOPE: usize = 16;

/// An operation in a worker. Dropping it ends it there.
#[derive(Debug)]
pub(crate) struct Running {
    facts: Arc<Facts>,
    worker: Worker,
    handle: u64,
    guard: Guard,
    steps: u32,
    requests: usize,
    seen: HashSet<u32>,
    outstanding: HashSet<u32>,
    over: bool,
    _permit: OwnedSemaphorePermit,
}

impl Running {
    /// Starts an operation and runs it to its first step.
    pub(crate) async fn start(
        facts: Arc<Facts>,
        worker: Worker,
        permit: OwnedSemaphorePermit,
        call: Call,
    ) -> Result<(Self, Step), Failure> {
        let guard = Guard::new(
            &facts.manifest,
            call.input.kind(),
            &call.api_base,
            &call.web_base,
        );
        let request = convert::request::request(call).encode_to_vec();
        if request.len() > REQUEST_LEN {
            return Err(facts.fail(FailureCode::InvalidArgument, "the call is too long"));
        }
        // From here on the operation is dropped in the worker however this ends.
        let mut running = Self {
            handle: worker.new_handle(),
            facts,
            worker,
            guard,
            steps: 0,
            requests: 0,
            seen: HashSet::new(),
            outstanding: HashSet::new(),
            over: false,
            _permit: permit,
        };
        let step = running.step(Kind::Start, request).await?;
        Ok((running, step))
    }

    /// One call, and what comes of it. An operation that failed is over.
    async fn step(&mut self, kind: Kind, body: Vec<u8>) -> Result<Step, Failure> {
        let step = self.try_step(kind, body).await;
        if !matches!(
            &step,
            Ok(Step {
                next: Next::Effects(_),
                ..
            })
        ) {
            self.end();
        }
        step
    }

    async fn try_step(&mut self, kind: Kind, body: Vec<u8>) -> Result<Step, Failure> {
        self.steps += 1;
        if self.steps > STEPS_PER_OPERATION {
            return Err(self.protocol("more steps than an operation may have"));
        }
        let reply = self.worker.call(kind, self.handle, body).await;
        let bytes = self.bytes(reply)?;
        let raw = v1::Step::decode(bytes.as_slice())
            .map_err(|_| self.protocol("what came back is no Step message"))?;
        self.facts.log.write(&self.facts.manifest.name, &raw.logs);
        self.accept(raw)
    }

    fn bytes(&self, reply: Result<Reply, CallError>) -> Result<Vec<u8>, Failure> {
        let code = match &reply {
            Ok((OK, _)) => FailureCode::Protocol,
            Ok((ERR_PANIC, _)) => FailureCode::Panic,
            Ok((ERR_OOM, _)) | Err(CallError::Crashed(_)) => FailureCode::Crashed,
            Ok(_) | Err(CallError::Protocol(_)) => FailureCode::Protocol,
            Err(CallError::Timeout(_)) => FailureCode::Timeout,
        };
        match reply {
            Ok((OK, bytes)) => Ok(bytes),
            Ok((ERR_PANIC, _)) => Err(self.facts.fail(code, "it panicked")),
            Ok((ERR_OOM, _)) => Err(self.facts.fail(code, "it ran out of memory")),
            Ok((status, _)) => Err(self
                .facts
                .fail(code, &format!("it answered with status {status}"))),
            Err(error) => Err(self.facts.fail(code, &error.to_string())),
        }
    }

    fn accept(&mut self, raw: v1::Step) -> Result<Step, Failure> {
        let cancelled = raw
            .cancelled
            .into_iter()
            .filter(|id| self.outstanding.remove(id))
            .collect();
        check::at_most("partial", raw.partial.len(), PAGES_PER_STEP)
            .map_err(|error| self.protocol(&error.to_string()))?;
        let partial = raw
            .partial
            .into_iter()
            .map(convert::output::output)
            .collect::<Result<_, _>>();
        let partial = partial.map_err(|error| self.protocol(&error.to_string()))?;
        let next = match raw.outcome {
            Some(Outcome::Failed(failure)) => {
                return Err(convert::failure::failure(
                    &self.facts.manifest.name,
                    &failure,
                ));
            }
            Some(Outcome::Done(output)) => Next::Done(
                convert::output::output(output)
                    .map_err(|error| self.protocol(&error.to_string()))?,
            ),
            None => Next::Effects(self.effects(raw.effects)?),
        };
        Ok(Step {
            partial,
            cancelled,
            next,
        })
    }

    fn effects(&mut self, raw: Vec<v1::Effect>) -> Result<Vec<Effect>, Failure> {
        if raw.len() > EFFECTS_PER_STEP {
            return Err(self.protocol("more effects than a step may have"));
        }
        self.requests += raw.len();
        if self.requests > self.facts.limits.requests_per_call {
            let most = self.facts.limits.requests_per_call;
            return Err(self.protocol(&format!("more than {most} requests in one call")));
        }
        let effects = raw
            .into_iter()
            .map(|raw| self.effect(raw))
            .collect::<Result<Vec<_>, _>>()?;
        if self.outstanding.is_empty() {
            return Err(self.facts.fail(
                FailureCode::Stuck,
                "it waits for something that it did not ask for",
            ));
        }
        Ok(effects)
    }

    fn effect(&mut self, raw: v1::Effect) -> Result<Effect, Failure> {
        let effect =
            convert::effect::effect(raw).map_err(|error| self.protocol(&error.to_string()))?;
        if !self.seen.insert(effect.id) {
            return Err(self.protocol("two effects with one id"));
        }
        let allowed = self.guard.check(&effect);
        allowed.map_err(|violation| {
            self.facts
                .fail(FailureCode::RequestNotAllowed, &violation.to_string())
        })?;
        self.outstanding.insert(effect.id);
        Ok(effect)
    }

    /// Hands in answers, in as many frames as they need, and joins the steps.
    async fn resume_all(&mut self, results: Vec<EffectResult>) -> Result<Step, Failure> {
        if self.over {
            return Err(self.protocol("the operation is over"));
        }
        // The plugin no longer waits for what it cancelled.
        let awaited = results
            .into_iter()
            .filter(|result| self.outstanding.remove(&result.id));
        let batches = batches(awaited.map(convert::result::result).collect());
        let mut joined: Option<Step> = None;
        for batch in batches {
            let step = self.step(Kind::Resume, batch.encode_to_vec()).await?;
            let done = matches!(step.next, Next::Done(_));
            joined = Some(match joined {
                None => step,
                Some(before) => join(before, step),
            });
            if done {
                break;
            }
        }
        Ok(joined.unwrap_or_else(|| Step {
            partial: Vec::new(),
            cancelled: Vec::new(),
            next: Next::Effects(Vec::new()),
        }))
    }

    fn end(&mut self) {
        if !std::mem::replace(&mut self.over, true) {
            self.worker.drop_operation(self.handle);
        }
    }

    fn protocol(&self, message: &str) -> Failure {
        self.facts.fail(FailureCode::Protocol, message)
    }
}

/// Splits answers so that each frame fits. One answer always does.
fn batches(results: Vec<v1::EffectResult>) -> Vec<v1::Resume> {
    let mut batches: Vec<v1::Resume> = Vec::new();
    let mut room = 0;
    for result in results {
        let size = result.encoded_len() + ENVELOPE;
        match batches.last_mut() {
            Some(batch) if size <= room => batch.results.push(result),
            _ => {
                batches.push(v1::Resume {
                    results: vec![result],
                });
                room = REQUEST_LEN;
            }
        }
        room = room.saturating_sub(size);
    }
    batches
}

fn join(mut before: Step, after: Step) -> Step {
    before.partial.extend(after.partial);
    // An effect that was asked for and cancelled between two frames was never sent.
    let mut cancelled = after.cancelled;
    let next = match (before.next, after.next) {
        (Next::Effects(mut earlier), Next::Effects(later)) => {
            earlier.retain(|effect| {
                let unsent = cancelled.iter().position(|id| *id == effect.id);
                unsent.map(|at| cancelled.swap_remove(at)).is_none()
            });
            earlier.extend(later);
            Next::Effects(earlier)
        }
        (_, next) => next,
    };
    before.cancelled.extend(cancelled);
    Step { next, ..before }
}

impl Operation for Running {
    fn resume(&mut self, results: Vec<EffectResult>) -> BoxFuture<'_, Result<Step, Failure>> {
        Box::pin(self.resume_all(results))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

/// A worker is down; try again then.
pub(crate) fn down(facts: &Facts, cause: &str, retry_after: Duration) -> Failure {
    let failure = facts.fail(
        FailureCode::Crashed,
        &format!("its worker is down: {cause}"),
    );
    Failure {
        retry_after: Some(retry_after),
        ..failure
    }
}

#[cfg(test)]
mod tests;
