//! Kill -9 in a loop: what was acknowledged stays.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::{Result, ensure};
use bindery_client::{Client, RetryPolicy, proto::v1::namespace};
use bindery_tests::daemon::{Daemon, Options};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::Notify;

/// How often the daemon is killed; the store's own loop kills it more often.
const ROUNDS: usize = 20;

/// Writers at a time, so that a kill meets group commits with several writers in them.
const WRITERS: usize = 4;

/// Most acknowledgements before a kill.
const MOST: u8 = 40;

/// Acknowledged namespaces, and who waits for more of them.
#[derive(Default)]
struct Acknowledged {
    names: Mutex<BTreeSet<String>>,
    more: Notify,
}

impl Acknowledged {
    fn add(&self, name: String) {
        self.names
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name);
        self.more.notify_one();
    }

    fn names(&self) -> BTreeSet<String> {
        self.names
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    async fn reach(&self, count: usize) {
        while self.names().len() < count {
            self.more.notified().await;
        }
    }
}

/// K7: a daemon that is killed with -9 while it writes comes back with everything that it acknowledged.
#[tokio::test(flavor = "multi_thread")]
async fn k7_nothing_acknowledged_is_lost() -> Result<()> {
    let mut daemon = Daemon::start(&Options {
        plugins: Vec::new(),
        ..Options::default()
    })
    .await?;
    let acknowledged = Arc::new(Acknowledged::default());
    let next = Arc::new(AtomicUsize::new(0));
    for round in 0..ROUNDS {
        let until = acknowledged.names().len() + random_up_to(MOST)?;
        let mut writers = Vec::new();
        for _ in 0..WRITERS {
            let client = client(&daemon).await?;
            writers.push(tokio::spawn(write(
                client,
                Arc::clone(&next),
                Arc::clone(&acknowledged),
            )));
        }
        acknowledged.reach(until).await;
        daemon.kill()?;
        for writer in writers {
            writer.await?;
        }
        daemon.resume().await?;
        let stored = stored(&client(&daemon).await?).await?;
        let lost: Vec<_> = acknowledged.names().difference(&stored).cloned().collect();
        ensure!(lost.is_empty(), "round {round}: lost {lost:?}");
    }
    let (sent, kept) = (next.load(Ordering::Relaxed), acknowledged.names().len());
    println!(
        "figure: K7: {ROUNDS} kills of the daemon, {sent} writes sent, {kept} acknowledged, 0 lost"
    );
    Ok(())
}

/// Writes until the daemon is gone.
async fn write(client: Client, next: Arc<AtomicUsize>, acknowledged: Arc<Acknowledged>) {
    let organization = bindery_client::proto::v1::Namespace {
        kind: namespace::Kind::Organization.into(),
        ..Default::default()
    };
    loop {
        let id = format!("n{}", next.fetch_add(1, Ordering::Relaxed));
        match client.create_namespace(id, organization.clone()).await {
            Ok(made) => acknowledged.add(made.name),
            Err(_) => return,
        }
    }
}

async fn client(daemon: &Daemon) -> Result<Client> {
    // An answer that was lost must not be asked for again: it is not acknowledged.
    let builder = Client::builder()
        .endpoint(daemon.endpoint())
        .retry(RetryPolicy::never());
    Ok(builder.connect().await?)
}

async fn stored(client: &Client) -> Result<BTreeSet<String>> {
    let all = client.list_namespaces("").all().await?;
    Ok(all.into_iter().map(|namespace| namespace.name).collect())
}

fn random_up_to(most: u8) -> Result<usize> {
    let mut byte = [0];
    SystemRandom::new()
        .fill(&mut byte)
        .map_err(|_| anyhow::anyhow!("no randomness"))?;
    Ok(usize::from(byte[0] % most) + 1)
}
