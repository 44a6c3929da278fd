//! One running operation: a future that is driven by hand
//!
//! | called | gives |
//! |---|---|
//! | [`Task::start`], once | the first step |
//! | [`Task::resume`] with answers | the next step, until one has an outcome |
//! | drop, at any point | |
//!
//! A step ends when the future is done or waits for answers. The waker is a flag: combinators poll only the children
//! that were woken, and give way by waking themselves, so the future is polled again as long as the flag is up.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use bindery_plugin_proto::v1::{self, Code, output, step};
use prost::Message as _;

use crate::{
    Cx, Failure, Provider, Result,
    exchange::Exchange,
    panics::caught,
    provider::{SCHEMA, run},
};

/// Polls without any progress after which the future is taken to spin.
const MOST_POLLS: u32 = 10_000;

type Running = Pin<Box<dyn Future<Output = Result<output::Kind>> + Send>>;

/// A running operation.
pub struct Task {
    exchange: Arc<Exchange>,
    future: Option<Running>,
    flag: Arc<Flag>,
    waker: Waker,
}

#[derive(Debug, Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

impl Task {
    /// Starts the operation in `request` (an `OperationRequest`) and runs it to its first step. Bytes that are no
    /// request give a step with a failure.
    pub fn start<P: Provider>(request: &[u8]) -> (Self, v1::Step) {
        let request = v1::OperationRequest::decode(request);
        let seed = request
            .as_ref()
            .map_or(&[][..], |request| &request.random_seed);
        let mut task = Self::new(Exchange::new(seed));
        let step = match request {
            Ok(request) if request.schema == SCHEMA => task.begin::<P>(request),
            Ok(request) => task.finish(Err(protocol(format!(
                "the plugin speaks revision {SCHEMA} of the messages, not {}",
                request.schema
            )))),
            Err(_) => task.finish(Err(protocol("the request can't be decoded"))),
        };
        (task, step)
    }

    fn new(exchange: Arc<Exchange>) -> Self {
        let flag = Arc::new(Flag::default());
        Self {
            exchange,
            future: None,
            waker: Waker::from(Arc::clone(&flag)),
            flag,
        }
    }

    fn begin<P: Provider>(&mut self, request: v1::OperationRequest) -> v1::Step {
        let cx = Cx::new(Arc::clone(&self.exchange), &request);
        match caught(|| Box::pin(run::<P>(cx, request.input)) as Running) {
            Ok(future) => {
                self.future = Some(future);
                self.advance()
            }
            Err(failure) => self.finish(Err(failure)),
        }
    }

    /// Takes in `results` (a `Resume`) and runs the operation to its next step.
    pub fn resume(&mut self, results: &[u8]) -> v1::Step {
        if self.future.is_none() {
            return self.finish(Err(protocol("the operation is over")));
        }
        let delivered = v1::Resume::decode(results)
            .map_err(|_| protocol("the answers can't be decoded"))
            .and_then(|resume| self.deliver(resume));
        match delivered {
            Ok(()) => self.advance(),
            Err(failure) => self.finish(Err(failure)),
        }
    }

    /// A waker is an author's code in the end, so this may panic as well.
    fn deliver(&self, resume: v1::Resume) -> Result<()> {
        let mut results = resume.results.into_iter();
        caught(|| results.try_for_each(|result| self.exchange.deliver(result)))?
    }

    fn advance(&mut self) -> v1::Step {
        for _ in 0..MOST_POLLS {
            self.flag.0.store(false, Ordering::Release);
            match self.poll() {
                Ok(Poll::Ready(result)) => return self.finish(result),
                Err(panic) => return self.finish(Err(panic)),
                Ok(Poll::Pending) if self.flag.0.load(Ordering::Acquire) => {}
                Ok(Poll::Pending) => return self.suspend(),
            }
        }
        self.finish(Err(stuck("the operation wakes itself without end")))
    }

    fn poll(&mut self) -> Result<Poll<Result<output::Kind>>> {
        let Some(future) = self.future.as_mut() else {
            return Err(protocol("the operation is over"));
        };
        let mut cx = Context::from_waker(&self.waker);
        caught(|| future.as_mut().poll(&mut cx))
    }

    fn suspend(&mut self) -> v1::Step {
        if self.exchange.is_waiting() {
            self.exchange.take_step()
        } else {
            self.finish(Err(stuck(
                "the operation waits for something that is no answer to an effect, such as a timer or a socket",
            )))
        }
    }

    fn finish(&mut self, result: Result<output::Kind>) -> v1::Step {
        let result = self.discard().and(result);
        let outcome = match result {
            Ok(kind) => step::Outcome::Done(v1::Output { kind: Some(kind) }),
            Err(failure) => step::Outcome::Failed(failure.into_message()),
        };
        v1::Step {
            effects: Vec::new(),
            outcome: Some(outcome),
            ..self.exchange.take_step()
        }
    }

    /// Drops the future, whose own parts may panic while they go.
    fn discard(&mut self) -> Result<()> {
        match self.future.take() {
            Some(future) => caught(|| drop(future)),
            None => Ok(()),
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        // Nobody is left who could be told.
        let _ = self.discard();
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("over", &self.future.is_none())
            .finish_non_exhaustive()
    }
}

fn protocol(message: impl Into<String>) -> Failure {
    Failure::new(Code::Protocol, message)
}

fn stuck(message: &str) -> Failure {
    Failure::new(Code::Stuck, message)
}
