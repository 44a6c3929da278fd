//! Deliveries that nobody signed, as fast as they can be sent, while a forge delivers its own.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};
use bindery_client::proto::v1::hook;
use bindery_tests::{
    pushes::{Delivery, Hooked, Pushed},
    sender::{Answer, Sender},
    volley::Volley,
};
use http::StatusCode;
use tokio::{sync::watch, task::JoinSet, time::timeout};

use super::{Busy, NAMESPACE, PATIENCE, delivered, ledger::Ledger};

/// Bad deliveries that are sent at least. If each left its body behind, the daemon would grow by more than twice the bound.
const BAD: usize = 10_000;
/// Good ones that have to pass.
const GOOD: usize = 300;
const BAD_SENDERS: u8 = 32;
const GOOD_SENDERS: u8 = 4;
/// Bytes of a bad body.
const BODY: usize = 8 << 10;
/// How much the daemon may grow, in KiB.
const GROWTH: u64 = 32 << 10;

/// What the storm has come to.
#[derive(Default)]
struct Storm {
    sent: watch::Sender<usize>,
    over: watch::Sender<bool>,
}

impl Storm {
    /// Waits until so many were sent. Fails where a bad sender does.
    async fn reach(&self, count: usize, bad: &mut JoinSet<Result<()>>) -> Result<()> {
        let mut sent = self.sent.subscribe();
        tokio::select! {
            reached = sent.wait_for(|sent| *sent >= count) => reached.map(drop).context("no storm"),
            Some(ended) = bad.join_next() => ended?.and(Err(anyhow!("a bad sender has ended"))),
        }
    }
}

/// W7: a storm of deliveries that nobody signed takes nothing from those that are right, under the default limits: who comes again
/// when told to has all of them taken. None of the storm gets in, and the daemon does not grow by it.
#[tokio::test(flavor = "multi_thread")]
async fn w7_good_deliveries_pass_through_a_storm_of_bad_ones() -> Result<()> {
    let busy = Busy::start(2, "").await?;
    let storm = Arc::new(Storm::default());
    let began = Instant::now();
    let mut bad = rage(&busy, &storm).await?;
    storm.reach(BAD / 4, &mut bad).await?;
    let before = resident(&busy)?;
    let ledger = Arc::new(Ledger::default());
    let good = timeout(PATIENCE, all_good(&busy, &ledger));
    let waits = good.await.context("good deliveries do not pass")??;
    storm.reach(BAD, &mut bad).await?;
    let after = resident(&busy)?;
    let during = began.elapsed();
    storm.over.send_replace(true);
    while let Some(ended) = bad.join_next().await {
        ended??;
    }
    print(&storm, during, waits, (before, after));
    ensure!(
        after < before + GROWTH,
        "the daemon grew from {before} to {after} KiB"
    );
    told(&busy, &ledger).await
}

/// Every good one is one event, none of the storm is, and the hooks count as working.
async fn told(busy: &Busy, ledger: &Ledger) -> Result<()> {
    let mut watch = busy.world.client.events(NAMESPACE).oldest().watch();
    let mut seen = 0;
    while seen < GOOD {
        let event = timeout(PATIENCE, watch.next()).await??;
        seen += usize::from(delivered(&event).is_some());
    }
    let account = ledger.judge(&busy.events().await?)?;
    ensure!(account.promised == GOOD, "{account:?}");
    for source in &busy.sources {
        let source = busy.world.client.get_source(source).await?;
        let state = source.hook.context("no hook")?.state();
        ensure!(state == hook::State::Verified, "{state:?}");
    }
    Ok(())
}

/// Lets all bad senders send, each the whole choice of bad deliveries at once, again and again.
async fn rage(busy: &Busy, storm: &Arc<Storm>) -> Result<JoinSet<Result<()>>> {
    let hook = busy.hooks.first().context("no hook")?;
    let choice = hook.forgeries(BODY);
    let mut tasks = JoinSet::new();
    for number in 0..BAD_SENDERS {
        let volley = Volley::of(&busy.world.daemon.web_url(), number, &choice).await?;
        tasks.spawn(send_bad(volley, Arc::clone(storm)));
    }
    Ok(tasks)
}

async fn send_bad(mut volley: Volley, storm: Arc<Storm>) -> Result<()> {
    let over = storm.over.subscribe();
    while !*over.borrow() {
        let answers = volley.fire().await?;
        let wrong = answers
            .iter()
            .find(|answer| **answer != StatusCode::UNAUTHORIZED);
        ensure!(wrong.is_none(), "{wrong:?}");
        storm.sent.send_modify(|sent| *sent += answers.len());
    }
    Ok(())
}

/// Sends all good deliveries, each until it is taken. Returns how often one was to come again.
async fn all_good(busy: &Busy, ledger: &Arc<Ledger>) -> Result<usize> {
    let mut tasks = JoinSet::new();
    for (number, hook) in (0..GOOD_SENDERS).zip(busy.hooks.iter().cycle()) {
        let sender = Sender::new(&busy.world.daemon.web_url(), 100 + number)?;
        tasks.spawn(send_good(number, sender, hook.clone(), Arc::clone(ledger)));
    }
    let mut waits = 0;
    while let Some(ended) = tasks.join_next().await {
        waits += ended??;
    }
    Ok(waits)
}

async fn send_good(
    number: u8,
    mut sender: Sender,
    hook: Hooked,
    ledger: Arc<Ledger>,
) -> Result<usize> {
    let mut waits = 0;
    let own = (0..GOOD).skip(number.into()).step_by(GOOD_SENDERS.into());
    for commit in own.map(|n| format!("{:040x}", n + 1)) {
        let branch = format!("good-{commit}");
        let push = Pushed {
            branch: &branch,
            before: None,
            after: &commit,
        };
        let delivery = hook.push(&commit, push);
        while let Answer::Later(seconds) = taken_or_later(&mut sender, &delivery).await? {
            waits += 1;
            // What it asks for, and no hope for anything: it may ask for more.
            tokio::time::sleep(Duration::from_secs(seconds)).await;
        }
        ledger.promise(&commit);
    }
    Ok(waits)
}

async fn taken_or_later(sender: &mut Sender, delivery: &Delivery) -> Result<Answer> {
    let answer = sender.post(delivery).await?;
    ensure!(!matches!(answer, Answer::Refused(_)), "{answer:?}");
    Ok(answer)
}

/// Memory of the daemon, in KiB.
fn resident(busy: &Busy) -> Result<u64> {
    let id = busy.world.daemon.id().context("binderyd does not run")?;
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let amount = line.context("no VmRSS")?.trim().trim_end_matches(" kB");
    Ok(amount.parse()?)
}

fn print(storm: &Storm, during: Duration, waits: usize, (before, after): (u64, u64)) {
    let sent = *storm.sent.borrow();
    let rate = u128::try_from(sent).unwrap_or_default() * 1000 / during.as_millis().max(1);
    println!(
        "figure: W7: {sent} bad deliveries, {rate} a second; {GOOD} good ones passed, {waits} times later; the daemon took {before} KiB, then \
         {after} KiB"
    );
}
