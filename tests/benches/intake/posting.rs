//! Posts deliveries over connections that stay, and takes the time.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bindery_tests::{
    pushes::Delivery,
    sender::{Answer, Sender},
};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

/// What senders saw.
pub(crate) struct Seen {
    /// Deliveries that were answered.
    pub(crate) deliveries: u64,
    /// Time until the last one was.
    pub(crate) took: Duration,
    /// Latencies in nanoseconds.
    pub(crate) latencies: Histogram<u64>,
}

/// Deals the deliveries out to so many connections, each of which sends one after the other.
pub(crate) async fn post(server: &str, connections: u8, deliveries: Vec<Delivery>) -> Result<Seen> {
    let mut hands: Vec<Vec<Delivery>> = (0..connections).map(|_| Vec::new()).collect();
    let places = hands.len();
    for (n, delivery) in deliveries.into_iter().enumerate() {
        hands[n % places].push(delivery);
    }
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for (number, hand) in (0..connections).zip(hands) {
        tasks.spawn(send(Sender::new(server, number)?, hand));
    }
    let mut latencies = Histogram::new(3)?;
    while let Some(done) = tasks.join_next().await {
        latencies.add(done??)?;
    }
    Ok(Seen {
        deliveries: latencies.len(),
        took: began.elapsed(),
        latencies,
    })
}

async fn send(mut sender: Sender, deliveries: Vec<Delivery>) -> Result<Histogram<u64>> {
    let mut latencies = Histogram::new(3)?;
    for delivery in deliveries {
        let began = Instant::now();
        let answer = sender.post(&delivery).await?;
        ensure!(answer == Answer::Taken, "{}: {answer:?}", delivery.id);
        latencies.record(u64::try_from(began.elapsed().as_nanos())?)?;
    }
    Ok(latencies)
}
