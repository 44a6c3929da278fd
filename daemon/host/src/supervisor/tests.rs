//! Restarts under a virtual clock

use std::sync::{Arc, Mutex};

use super::*;
use crate::testing::Random;

/// Fails always, and remembers when it was asked.
#[derive(Clone)]
struct Broken {
    starts: Arc<Mutex<Vec<Instant>>>,
    random: Arc<Mutex<Random>>,
}

impl Start for Broken {
    fn start(&self) -> BoxFuture<'_, Result<Worker, StartError>> {
        self.starts.lock().unwrap().push(Instant::now());
        Box::pin(async { Err(StartError::Fatal("no table".into())) })
    }

    fn random(&self) -> u64 {
        self.random.lock().unwrap().next()
    }

    fn report(&self, _cause: &str, _next: Duration) {}
}

fn broken() -> Broken {
    Broken {
        starts: Arc::default(),
        random: Arc::new(Mutex::new(Random::new(6))),
    }
}

/// P4: a plugin that can't start is tried again for ever, within bounds, and its callers are told why and until when.
#[tokio::test(start_paused = true)]
async fn p4_there_is_no_restart_storm() {
    let start = broken();
    let supervised = Supervised::new(Worker::dead(), start.clone());
    sleep(Duration::from_secs(600)).await;
    let starts = start.starts.lock().unwrap().clone();
    assert!((20..200).contains(&starts.len()), "{}", starts.len());
    let gaps = starts.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(gaps.into_iter().all(|gap| gap <= Duration::from_secs(31)));
    let down = supervised.worker().await.expect_err("it never starts");
    assert!(down.cause.contains("no table"), "{}", down.cause);
}

/// P5: nobody restarts a plugin that was replaced.
#[tokio::test(start_paused = true)]
async fn p5_a_replaced_plugin_is_not_restarted() {
    let start = broken();
    let supervised = Supervised::new(Worker::dead(), start.clone());
    sleep(Duration::from_secs(5)).await;
    drop(supervised);
    sleep(Duration::from_secs(1)).await;
    let before = start.starts.lock().unwrap().len();
    sleep(Duration::from_secs(600)).await;
    assert_eq!(start.starts.lock().unwrap().len(), before);
}
