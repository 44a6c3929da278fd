//! Deliveries that nobody signed, as fast as prepared bytes can be sent, while a forge delivers its own (THREATS W7).

use std::{
    cell::Cell,
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use bindery_tests::{pushes::Delivery, volley::Volley};
use http::StatusCode;
use tokio::{
    sync::watch,
    task::{JoinSet, LocalSet},
};

use crate::{posting::Seen, processor, servers::Server};

/// What is to be withstood, in a second.
const WANTED: f64 = 5000.0;
/// Connections of the storm. Each sends a whole choice of forged deliveries before it reads an answer.
const CONNECTIONS: u8 = 16;
/// How often the choice is sent at once.
const AT_ONCE: usize = 2;
/// Connections that good deliveries come over.
const GOOD_CONNECTIONS: u8 = 4;
/// Bytes of most forged bodies.
const BODY: usize = 8 << 10;

/// What a storm came to.
pub(crate) struct Storm {
    /// Forged deliveries that were answered, and how long that took.
    forged: (usize, Duration),
    /// Seconds of a processor that the sender took, the good deliveries included.
    sender: f64,
    /// The same for the daemon.
    daemon: f64,
    /// The good ones without a storm, and in it.
    calm: Seen,
    stormy: Seen,
}

/// Sends so many forged deliveries at least, and so many good ones before and meanwhile.
pub(crate) async fn measure(server: &mut Server, (forged, good): (usize, usize)) -> Result<Storm> {
    let calm = server.deliveries(good);
    let calm = server.post(GOOD_CONNECTIONS, calm).await?;
    let choice = server.forgeries(BODY);
    let forgeries: Vec<_> = choice
        .iter()
        .cycle()
        .take(choice.len() * AT_ONCE)
        .cloned()
        .collect();
    let own = LocalSet::new();
    let storm = own
        .run_until(rage(server, &forgeries, (forged, good), calm))
        .await?;
    server.told(2 * good).await?;
    Ok(storm)
}

async fn rage(
    server: &mut Server,
    forgeries: &[Delivery],
    (forged, good): (usize, usize),
    calm: Seen,
) -> Result<Storm> {
    let mut volleys = Vec::new();
    for number in 0..CONNECTIONS {
        // Those of the good begin at 0.
        volleys.push(Volley::of(&server.daemon().web_url(), 100 + number, forgeries).await?);
    }
    let good = server.deliveries(good);
    let used = |server: &Server| -> Result<[f64; 2]> {
        let daemon = processor::of_process(server.id()?)?;
        Ok([processor::of_process(std::process::id())?, daemon])
    };
    let (before, began) = (used(server)?, Instant::now());
    let (sent, over) = (Rc::new(Cell::new(0)), watch::Sender::new(false));
    let mut tasks = JoinSet::new();
    for volley in volleys {
        tasks.spawn_local(send(volley, Rc::clone(&sent), over.subscribe()));
    }
    reach(&sent, forged / 4, &mut tasks).await?;
    let stormy = server.post(GOOD_CONNECTIONS, good).await?;
    reach(&sent, forged, &mut tasks).await?;
    let (took, after) = (began.elapsed(), used(server)?);
    let forged = sent.get();
    over.send_replace(true);
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    let [sender, daemon] = std::array::from_fn(|index| after[index] - before[index]);
    Ok(Storm {
        forged: (forged, took),
        sender,
        daemon,
        calm,
        stormy,
    })
}

async fn send(
    mut volley: Volley,
    sent: Rc<Cell<usize>>,
    over: watch::Receiver<bool>,
) -> Result<()> {
    while !*over.borrow() {
        let answers = volley.fire().await?;
        let wrong = answers
            .iter()
            .find(|answer| **answer != StatusCode::UNAUTHORIZED);
        ensure!(wrong.is_none(), "a forged delivery: {wrong:?}");
        sent.set(sent.get() + answers.len());
    }
    Ok(())
}

/// Waits until so many were sent. Fails where a sender does.
async fn reach(sent: &Cell<usize>, count: usize, tasks: &mut JoinSet<Result<()>>) -> Result<()> {
    while sent.get() < count {
        tokio::select! {
            Some(ended) = tasks.join_next() => ended??,
            () = tokio::time::sleep(Duration::from_millis(1)) => {}
        }
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "figures to look at")]
pub(crate) fn print(storm: &Storm) {
    let (forged, took) = storm.forged;
    let seconds = took.as_secs_f64();
    let rate = forged as f64 / seconds;
    let verdict = match rate >= WANTED {
        true => "as many as are to be withstood",
        false => "FEWER than are to be withstood",
    };
    println!(
        "\nStorm: {forged} forged deliveries of {BODY} bytes over {CONNECTIONS} connections: {rate:.0} a second, {verdict} \
         ({WANTED:.0}); processors: sender {:.2}, daemon {:.2}",
        storm.sender / seconds,
        storm.daemon / seconds,
    );
    let at = |seen: &Seen, quantile| seen.latencies.value_at_quantile(quantile) as f64 / 1e6;
    for (when, seen) in [("calm", &storm.calm), ("storm", &storm.stormy)] {
        println!(
            "{when:>6}: all {} good ones taken, {:.0} a second, p50 {:.2} ms, p99 {:.2} ms",
            seen.deliveries,
            seen.deliveries as f64 / seen.took.as_secs_f64(),
            at(seen, 0.5),
            at(seen, 0.99),
        );
    }
}
