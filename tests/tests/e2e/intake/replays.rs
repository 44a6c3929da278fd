//! Whoever caught a delivery sends it again, under ids of their own.

use anyhow::{Context, Result, ensure};
use bindery_client::proto::v1::{Event, event::Change};
use bindery_tests::{
    pushes::Delivery,
    sender::{Answer, Sender},
};
use tokio::{task::JoinSet, time::timeout};

use super::{Busy, NAMESPACE, PATIENCE, delivered, limits};

const REPLAYS: usize = 1000;
const SENDERS: u8 = 8;

/// W2: 1,000 replays of one delivery under new ids, half of them after a death, are answered as the first one was and make no
/// second event, whatever is compared because of them.
#[tokio::test(flavor = "multi_thread")]
async fn w2_a_thousand_replays_under_new_ids_are_one_event() -> Result<()> {
    let mut busy = Busy::start(1, &limits(100_000)).await?;
    let repository = "octo/busy-0";
    let commit = pushed(&busy, repository).await?;
    let caught = caught(&busy, &commit)?;
    replay(&busy, &caught, 0..REPLAYS / 2).await?;
    busy.world.crash().await?;
    replay(&busy, &caught, REPLAYS / 2..REPLAYS).await?;

    // The next one comes after all that the replays made the daemon do.
    for source in &busy.sources {
        busy.world.client.catch_up_source(source, None).await?;
    }
    let last = pushed(&busy, repository).await?;
    let events = busy.events().await?;
    let pushes: Vec<_> = events.iter().filter_map(delivered).collect();
    ensure!(pushes == [&commit, &last], "{pushes:?}");
    let refs = events.iter().filter(|event| is_about_a_ref(event));
    ensure!(
        refs.count() == 2,
        "comparing refs told of something: {events:#?}"
    );
    Ok(())
}

const fn is_about_a_ref(event: &Event) -> bool {
    matches!(
        event.change,
        Some(Change::Push(_) | Change::TagCreated(_) | Change::RefDeleted(_))
    )
}

/// A real push, and its event has come. Returns the commit.
async fn pushed(busy: &Busy, repository: &str) -> Result<String> {
    let mut watch = busy.world.client.events(NAMESPACE).oldest().watch();
    let standin = &busy.world.forge.standin;
    let content = format!("{} events so far\n", busy.events().await?.len());
    let commit = standin.commit(repository, "main", ("README.md", &content))?;
    standin.deliveries_done().await;
    loop {
        let event = timeout(PATIENCE, watch.next()).await??;
        if delivered(&event) == Some(&commit) {
            return Ok(commit);
        }
    }
}

/// The delivery of a push, as it was on the wire.
fn caught(busy: &Busy, commit: &str) -> Result<Delivery> {
    let sent = busy.world.forge.standin.deliveries();
    let tells = |body: &[u8]| memchr::memmem::find(body, commit.as_bytes()).is_some();
    let mut pushes = sent.iter().filter(|sent| sent.delivery.event == "push");
    let push = pushes.find(|sent| tells(&sent.delivery.request.body));
    Delivery::caught(&push.context("the push was not delivered")?.delivery.request)
}

async fn replay(busy: &Busy, caught: &Delivery, numbers: std::ops::Range<usize>) -> Result<()> {
    let mut tasks = JoinSet::new();
    for number in 0..SENDERS {
        let mut sender = Sender::new(&busy.world.daemon.web_url(), number)?;
        let own = numbers.clone().skip(number.into()).step_by(SENDERS.into());
        let own: Vec<_> = own
            .map(|n| caught.again_as(&format!("replay-{n}")))
            .collect();
        tasks.spawn(async move {
            for delivery in own {
                let answer = sender.post(&delivery).await?;
                ensure!(answer == Answer::Taken, "{}: {answer:?}", delivery.id);
            }
            Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}
