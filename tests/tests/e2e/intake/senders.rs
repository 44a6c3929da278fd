//! Who posts while the daemon dies: some again and again until they are answered, some once, as GitHub does.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use anyhow::{Result, bail};
use bindery_tests::{
    pushes::{Delivery, Hooked, Pushed},
    sender::{Answer, Sender},
};
use tokio::{sync::watch, task::JoinSet};

use super::ledger::Ledger;

/// What all senders share.
pub(super) struct Crowd {
    pub(super) server: String,
    pub(super) hooks: Vec<Hooked>,
    pub(super) ledger: Arc<Ledger>,
    /// Deliveries that are sent in all.
    pub(super) most: usize,
    /// Whether the daemon is there; it may have died unnoticed.
    pub(super) up: watch::Receiver<bool>,
    pub(super) next: AtomicUsize,
}

/// One sender, with a connection and branches of its own.
struct Member {
    number: u8,
    sender: Sender,
    hook: Hooked,
    crowd: Arc<Crowd>,
    up: watch::Receiver<bool>,
}

impl Crowd {
    /// Lets so many send. Every other one repeats what is not answered.
    pub(super) fn start(self: &Arc<Self>, members: u8) -> Result<JoinSet<Result<()>>> {
        let mut tasks = JoinSet::new();
        for (number, hook) in (0..members).zip(self.hooks.iter().cycle()) {
            let member = Member {
                number,
                sender: Sender::new(&self.server, number)?,
                hook: hook.clone(),
                crowd: Arc::clone(self),
                up: self.up.clone(),
            };
            // Hooks are dealt in turn, so each gets senders of both kinds.
            let repeats = (usize::from(number) / self.hooks.len()).is_multiple_of(2);
            tasks.spawn(async move {
                match repeats {
                    true => member.repeat().await,
                    false => member.send_once().await,
                }
            });
        }
        Ok(tasks)
    }

    /// A commit that nobody else tells of; `None` when all are sent.
    fn commit(&self) -> Option<String> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number < self.most).then(|| format!("{:040x}", number + 1))
    }
}

impl Member {
    /// Pushes to one branch, each push upon the last one, and sends each until it is answered.
    async fn repeat(mut self) -> Result<()> {
        let (branch, mut before) = (format!("line-{}", self.number), None);
        while let Some(commit) = self.crowd.commit() {
            let push = Pushed {
                branch: &branch,
                before: before.as_deref(),
                after: &commit,
            };
            let delivery = self.hook.push(&id(&commit), push);
            while !self.is_taken(&delivery).await? {
                self.crowd.ledger.repeat();
            }
            self.crowd.ledger.promise(&commit);
            before = Some(commit);
        }
        Ok(())
    }

    /// Pushes a branch of its own for each delivery, and never sends one again.
    async fn send_once(mut self) -> Result<()> {
        while let Some(commit) = self.crowd.commit() {
            let branch = format!("once-{commit}");
            let push = Pushed {
                branch: &branch,
                before: None,
                after: &commit,
            };
            let delivery = self.hook.push(&id(&commit), push);
            match self.is_taken(&delivery).await? {
                true => self.crowd.ledger.promise(&commit),
                false => self.crowd.ledger.leave_open(&commit),
            }
        }
        Ok(())
    }

    /// Whether a delivery was answered 2xx. One without an answer is not; the daemon is waited for then.
    async fn is_taken(&mut self, delivery: &Delivery) -> Result<bool> {
        match self.sender.post(delivery).await {
            Ok(Answer::Taken) => Ok(true),
            Ok(refused) => bail!("{}: {refused:?}", delivery.id),
            Err(_) => {
                self.up.wait_for(|up| *up).await?;
                Ok(false)
            }
        }
    }
}

fn id(commit: &str) -> String {
    format!("push-{commit}")
}
