//! The thread that writes: one, so that records have one order; many records at once, so that a busy log costs little.

use std::{
    io,
    sync::{Arc, PoisonError},
    time::Instant,
};

use bindery_core::{
    audit::{AuditMark, Deed},
    port::Clock,
};
use ring::hmac;
use tokio::sync::{mpsc, oneshot, watch};

use crate::{keeper::Good, line, tail::Tail};

/// Most records that are written at once.
const AT_ONCE: usize = 512;

/// Why a record was not written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Refused {
    /// Too many wait.
    Full,
    /// The disk said so.
    Disk(String),
    /// The thread is gone.
    Ended,
}

/// A record to write, and who waits for it.
pub(crate) struct Job {
    /// `None` only tries the disk.
    pub(crate) deed: Option<Deed>,
    pub(crate) done: oneshot::Sender<Result<u64, Refused>>,
}

/// The end of the log in the hands of its thread.
pub(crate) struct Writer {
    pub(crate) tail: Tail,
    pub(crate) mark: AuditMark,
    pub(crate) key: hmac::Key,
    pub(crate) file_bytes: u64,
    pub(crate) alarm_bytes: u64,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) written: watch::Sender<AuditMark>,
    pub(crate) good: Good,
    /// That the disk refuses stands in the daemon's log.
    pub(crate) told: bool,
}

impl Writer {
    /// Writes until nobody can send any more.
    pub(crate) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut batch = Vec::new();
        while let Some(job) = jobs.blocking_recv() {
            batch.push(job);
            while batch.len() < AT_ONCE {
                let Ok(job) = jobs.try_recv() else { break };
                batch.push(job);
            }
            self.write(std::mem::take(&mut batch));
        }
    }

    fn write(&mut self, batch: Vec<Job>) {
        if self.tail.length() >= self.file_bytes {
            self.rotate();
        }
        let (mut bytes, mut mark, now) = (Vec::new(), self.mark, self.clock.now());
        let mut waiting = Vec::with_capacity(batch.len());
        for Job { deed, done } in batch {
            // Whoever stopped waiting was refused, so its deed was not done.
            if done.is_closed() {
                continue;
            }
            if let Some(deed) = deed {
                line::append(&mut bytes, &self.key, &mut mark, now, &deed);
            }
            waiting.push((done, mark.sequence));
        }
        if waiting.is_empty() {
            return;
        }
        let outcome = self.append(&bytes, mark);
        for (done, sequence) in waiting {
            // Nobody waiting any more is fine.
            let _ = done.send(outcome.clone().map(|()| sequence));
        }
    }

    /// Writes the records up to `mark`; where there are none, tries whether it could.
    fn append(&mut self, bytes: &[u8], mark: AuditMark) -> Result<(), Refused> {
        let outcome = if bytes.is_empty() {
            self.tail.probe()
        } else {
            self.tail.append(bytes)
        };
        self.tell(&outcome);
        outcome.map_err(|error| Refused::Disk(describe(&error)))?;
        if !bytes.is_empty() {
            self.mark = mark;
            self.written.send_replace(mark);
        }
        Ok(())
    }

    /// Whoever asks whether the log is ready learns it; the daemon's log once until it is over.
    fn tell(&mut self, outcome: &io::Result<()>) {
        let now = outcome.is_ok().then(Instant::now);
        *self.good.lock().unwrap_or_else(PoisonError::into_inner) = now;
        match outcome {
            Err(error) if !self.told => {
                tracing::error!(%error, "Audit records can't be written; nothing is handed out");
            }
            Ok(()) if self.told => tracing::info!("Audit records are written again"),
            _ => {}
        }
        self.told = outcome.is_err();
    }

    /// A file that stays too long is better than none.
    fn rotate(&mut self) {
        if let Err(error) = self.tail.rotate(self.mark) {
            tracing::warn!(%error, "No new file for the audit log; the old one goes on");
            return;
        }
        match self.tail.all_bytes() {
            Ok(bytes) if bytes > self.alarm_bytes => {
                tracing::error!(
                    bytes,
                    "The audit log is long; look who fills it, and see that there is room"
                );
            }
            _ => {}
        }
    }
}

/// What an error says, without paths.
pub(crate) fn describe(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "the disk is full".to_owned(),
        kind => kind.to_string(),
    }
}
