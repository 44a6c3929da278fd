//! Kill -9 while deliveries come in, and while they become events.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use bindery_client::{Client, proto::v1::Event};
use bindery_tests::{
    pushes::Pushed,
    sender::{Answer, Sender},
};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::timeout,
};

use super::{Busy, NAMESPACE, PATIENCE, delivered, ledger::Ledger, limits, senders::Crowd};

/// Deliveries that are sent.
const DELIVERIES: usize = 10_000;
/// Kills while they come in.
const KILLS: usize = 14;
/// Kills afterwards, while those that are stored become events.
const LATE_KILLS: usize = 4;
const REPOSITORIES: usize = 8;
const SENDERS: u8 = 32;

/// A registry that watches all the time, whatever becomes of the daemon.
struct Watcher {
    seen: watch::Receiver<Vec<(i64, String)>>,
    task: JoinHandle<Result<()>>,
}

/// W2: a delivery that was answered 2xx is one event, whenever the daemon is killed; one that was not answered is at most one; one
/// that is sent until it is answered is one. Events are numbered without gaps, and who watches sees each of them once.
#[tokio::test(flavor = "multi_thread")]
async fn w2_each_answered_delivery_is_one_event_through_kills() -> Result<()> {
    let mut busy = Busy::start(REPOSITORIES, &limits(100_000)).await?;
    let ledger = Arc::new(Ledger::default());
    let up = watch::Sender::new(true);
    let crowd = Arc::new(Crowd {
        server: busy.world.daemon.web_url(),
        hooks: busy.hooks.clone(),
        ledger: Arc::clone(&ledger),
        most: DELIVERIES,
        up: up.subscribe(),
        next: 0.into(),
    });
    let mut watcher = Watcher::start(busy.world.client.clone());
    let senders = crowd.start(SENDERS)?;
    let all = timeout(
        PATIENCE,
        storm(&mut busy, &ledger, &up, senders, &mut watcher),
    );
    all.await.context("it hangs")??;
    let events = busy.events().await?;
    let account = ledger.judge(&events)?;
    println!(
        "figure: W2: {} kills: {account:?}, {} events",
        KILLS + LATE_KILLS,
        events.len()
    );
    ensure!(
        account.promised + account.open == DELIVERIES + REPOSITORIES,
        "not all were sent: {account:?}"
    );
    watcher.saw(&events)
}

/// Kills the daemon while senders send, and then while their deliveries become events. Returns when all of them have.
async fn storm(
    busy: &mut Busy,
    ledger: &Ledger,
    up: &watch::Sender<bool>,
    mut senders: JoinSet<Result<()>>,
    watcher: &mut Watcher,
) -> Result<()> {
    for kill in 0..KILLS {
        // Some come right after the start, so that a daemon that is catching up is killed as well.
        let soon = kill % 3 == 2;
        let more = random_up_to(if soon { 20 } else { 2 * DELIVERIES / KILLS })?;
        // What is never answered does not count, so that not all of them can be waited for.
        let until = (ledger.answered() + more).min(DELIVERIES * 9 / 10);
        tokio::select! {
            () = ledger.reach(until) => {}
            Some(ended) = senders.join_next() => ended??,
        }
        crash(busy, up).await?;
    }
    while let Some(ended) = senders.join_next().await {
        ended??;
    }
    for _ in 0..LATE_KILLS {
        let told = watcher.commits();
        let left = ledger.answered().saturating_sub(told);
        watcher.reach(told + left / LATE_KILLS).await?;
        crash(busy, up).await?;
    }
    mark_ends(busy, ledger, watcher).await
}

async fn crash(busy: &mut Busy, up: &watch::Sender<bool>) -> Result<()> {
    busy.world.daemon.kill()?;
    up.send_replace(false);
    busy.world.daemon.resume().await?;
    up.send_replace(true);
    busy.world.connect().await
}

/// A hook's deliveries become events in the order in which they came: when a last one of each has, all have.
async fn mark_ends(busy: &Busy, ledger: &Ledger, watcher: &mut Watcher) -> Result<()> {
    let mut sender = Sender::new(&busy.world.daemon.web_url(), 200)?;
    for (n, hook) in busy.hooks.iter().enumerate() {
        let commit = format!("{:040x}", DELIVERIES + 1 + n);
        let push = Pushed {
            branch: "end",
            before: None,
            after: &commit,
        };
        let answer = sender.post(&hook.push(&commit, push)).await?;
        ensure!(
            answer == Answer::Taken,
            "the last one was answered {answer:?}"
        );
        watcher.see(&commit).await?;
        ledger.promise(&commit);
    }
    Ok(())
}

impl Watcher {
    fn start(client: Client) -> Self {
        let (sender, seen) = watch::channel(Vec::new());
        let task = tokio::spawn(async move {
            let mut watch = client.events(NAMESPACE).oldest().watch();
            loop {
                let event = watch.next().await?;
                let commit = delivered(&event).unwrap_or_default().to_owned();
                sender.send_modify(|seen| seen.push((event.sequence, commit)));
            }
        });
        Self { seen, task }
    }

    /// How many pushes it has seen.
    fn commits(&self) -> usize {
        commits(&self.seen.borrow())
    }

    async fn reach(&mut self, count: usize) -> Result<()> {
        let all = self.seen.wait_for(|seen| commits(seen) >= count).await;
        all.map(drop).context("the watch has ended")
    }

    async fn see(&mut self, commit: &str) -> Result<()> {
        let is_there = |seen: &Vec<(i64, String)>| seen.iter().any(|(_, one)| one == commit);
        let all = self.seen.wait_for(is_there).await;
        all.map(drop).context("the watch has ended")
    }

    /// What it has seen are these events, each once and in order.
    fn saw(self, events: &[Event]) -> Result<()> {
        self.task.abort();
        let seen = self.seen.borrow();
        let right = events
            .iter()
            .map(|event| (event.sequence, delivered(event).unwrap_or_default()));
        let same = seen
            .iter()
            .map(|(number, commit)| (*number, commit.as_str()))
            .eq(right.take(seen.len()));
        ensure!(same, "the watcher saw something else than what there is");
        Ok(())
    }
}

fn commits(seen: &[(i64, String)]) -> usize {
    seen.iter().filter(|(_, commit)| !commit.is_empty()).count()
}

fn random_up_to(most: usize) -> Result<usize> {
    let mut bytes = [0; 8];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.ok().context("no randomness")?;
    Ok(usize::from_ne_bytes(bytes) % most + 1)
}
