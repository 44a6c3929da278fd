//! Effects: what an operation asks for, and the futures that wait for the answers
//!
//! An effect gets its id when its future is first polled. A step carries at most as many effects as the boundary
//! allows; the others stay queued for the next one. A future that is dropped before its answer came takes its effect
//! back: from the queue silently, from the daemon by its id in `cancelled`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    future::Future,
    marker::PhantomData,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bindery_plugin_abi::limits::EFFECTS_PER_STEP;
use bindery_plugin_proto::v1::{self, Code, effect, effect_result};

use crate::{Failure, Response, Result, random::Random};

/// What an operation and its driver share.
#[derive(Debug)]
pub(crate) struct Exchange(Mutex<State>);

#[derive(Debug)]
struct State {
    last_id: u32,
    queue: Vec<v1::Effect>,
    waiting: BTreeMap<u32, Slot>,
    cancelled: Vec<u32>,
    /// Ids whose late answer is no mistake: the daemon may have had it before it heard of the cancellation.
    unwanted: BTreeSet<u32>,
    logs: Vec<v1::Log>,
    partial: Vec<v1::Output>,
    random: Random,
}

#[derive(Debug)]
enum Slot {
    Open(Waker),
    Answered(effect_result::Kind),
}

impl Exchange {
    pub(crate) fn new(seed: &[u8]) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            last_id: 0,
            queue: Vec::new(),
            waiting: BTreeMap::new(),
            cancelled: Vec::new(),
            unwanted: BTreeSet::new(),
            logs: Vec::new(),
            partial: Vec::new(),
            random: Random::new(seed),
        })))
    }

    /// A panic of an author's code can't leave the state half-written, so poison means nothing here.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn log(&self, level: v1::LogLevel, message: String) {
        self.lock().logs.push(v1::Log {
            level: level.into(),
            message,
        });
    }

    pub(crate) fn emit(&self, output: v1::Output) {
        self.lock().partial.push(output);
    }

    pub(crate) fn fill_random(&self, out: &mut [u8]) {
        self.lock().random.fill(out);
    }

    /// Whether an answer is still to come, or an effect still to be asked for.
    pub(crate) fn is_waiting(&self) -> bool {
        self.lock()
            .waiting
            .values()
            .any(|slot| matches!(slot, Slot::Open(_)))
    }

    /// Takes all that is to be said in this step.
    pub(crate) fn take_step(&self) -> v1::Step {
        let mut state = self.lock();
        let now = state.queue.len().min(EFFECTS_PER_STEP);
        v1::Step {
            effects: state.queue.drain(..now).collect(),
            cancelled: mem::take(&mut state.cancelled),
            logs: mem::take(&mut state.logs),
            partial: mem::take(&mut state.partial),
            outcome: None,
        }
    }

    /// Takes an answer in, and wakes who waits for it.
    pub(crate) fn deliver(&self, answer: v1::EffectResult) -> Result<()> {
        // Woken outside the lock: a waker is foreign code.
        if let Some(waker) = self.accept(answer)? {
            waker.wake();
        }
        Ok(())
    }

    fn accept(&self, answer: v1::EffectResult) -> Result<Option<Waker>> {
        let mut state = self.lock();
        if state.unwanted.remove(&answer.id) {
            return Ok(None);
        }
        let kind = answer
            .kind
            .ok_or_else(|| protocol("an answer is of a kind that is not known"))?;
        let asked = !state.queue.iter().any(|effect| effect.id == answer.id);
        match state.waiting.get_mut(&answer.id) {
            Some(slot @ Slot::Open(_)) if asked => match mem::replace(slot, Slot::Answered(kind)) {
                Slot::Open(waker) => Ok(Some(waker)),
                Slot::Answered(_) => Ok(None),
            },
            _ => Err(protocol("an answer came for an effect that is not open")),
        }
    }
}

impl State {
    fn ask(&mut self, kind: effect::Kind, waker: &Waker) -> u32 {
        self.last_id += 1;
        self.queue.push(v1::Effect {
            id: self.last_id,
            kind: Some(kind),
        });
        self.waiting.insert(self.last_id, Slot::Open(waker.clone()));
        self.last_id
    }

    fn forget(&mut self, id: u32) {
        if !matches!(self.waiting.remove(&id), Some(Slot::Open(_))) {
            return;
        }
        let before = self.queue.len();
        self.queue.retain(|effect| effect.id != id);
        if self.queue.len() == before {
            self.cancelled.push(id);
            self.unwanted.insert(id);
        }
    }
}

#[track_caller]
fn protocol(message: &str) -> Failure {
    Failure::new(Code::Protocol, message)
}

/// Waits for the answer to one effect. Nothing is asked for before it is polled.
#[must_use = "an effect is not asked for until it is awaited"]
pub struct Answer<T> {
    exchange: Arc<Exchange>,
    stage: Stage,
    read: fn(effect_result::Kind) -> Option<T>,
    _gives: PhantomData<fn() -> T>,
}

enum Stage {
    New(Box<effect::Kind>),
    Asked(u32),
    Over,
}

impl<T> Answer<T> {
    pub(crate) fn new(
        exchange: &Arc<Exchange>,
        kind: effect::Kind,
        read: fn(effect_result::Kind) -> Option<T>,
    ) -> Self {
        Self {
            exchange: Arc::clone(exchange),
            stage: Stage::New(Box::new(kind)),
            read,
            _gives: PhantomData,
        }
    }

    fn ask(&mut self, waker: &Waker) {
        match mem::replace(&mut self.stage, Stage::Over) {
            Stage::New(kind) => self.stage = Stage::Asked(self.exchange.lock().ask(*kind, waker)),
            other => self.stage = other,
        }
    }

    fn take(&mut self, id: u32, waker: &Waker) -> Option<effect_result::Kind> {
        let mut state = self.exchange.lock();
        match state.waiting.remove(&id)? {
            Slot::Answered(kind) => Some(kind),
            Slot::Open(_) => {
                state.waiting.insert(id, Slot::Open(waker.clone()));
                None
            }
        }
    }

    fn interpret(&self, kind: effect_result::Kind) -> Result<T> {
        match kind {
            effect_result::Kind::Error(failure) => Err(failure.into()),
            other => (self.read)(other)
                .ok_or_else(|| protocol("an answer is of another kind than its effect")),
        }
    }
}

impl<T> Future for Answer<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.ask(cx.waker());
        let Stage::Asked(id) = self.stage else {
            return Poll::Ready(Err(protocol("an answer was awaited twice")));
        };
        match self.take(id, cx.waker()) {
            None => Poll::Pending,
            Some(kind) => {
                self.stage = Stage::Over;
                Poll::Ready(self.interpret(kind))
            }
        }
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        if let Stage::Asked(id) = self.stage {
            self.exchange.lock().forget(id);
        }
    }
}

impl<T> fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match &self.stage {
            Stage::New(_) => "new",
            Stage::Asked(_) => "asked",
            Stage::Over => "over",
        };
        f.debug_struct("Answer")
            .field("stage", &stage)
            .finish_non_exhaustive()
    }
}

pub(crate) fn read_response(kind: effect_result::Kind) -> Option<Response> {
    match kind {
        effect_result::Kind::Http(response) => Some(Response::new(response)),
        _ => None,
    }
}

pub(crate) fn read_verified(kind: effect_result::Kind) -> Option<bool> {
    match kind {
        effect_result::Kind::Verified(verified) => Some(verified),
        _ => None,
    }
}

pub(crate) fn read_signed(kind: effect_result::Kind) -> Option<()> {
    match kind {
        effect_result::Kind::Signed(true) => Some(()),
        _ => None,
    }
}
