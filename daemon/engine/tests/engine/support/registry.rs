//! A registry's endpoint, scripted.

use std::{collections::VecDeque, sync::Mutex};

use bindery_core::{exchange::Post, port::BoxFuture, problem::Problem};
use tokio::sync::watch;

/// A delivery as the endpoint got it.
#[derive(Clone, Debug)]
pub(crate) struct Posted {
    pub(crate) url: String,
    headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Posted {
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_str()).expect("header")
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// Number of the event.
    pub(crate) fn sequence(&self) -> u64 {
        self.json()["data"]["sequence"].as_u64().expect("number")
    }
}

/// Answers with a status each; 204 where nothing is scripted.
pub(crate) struct Registry {
    answers: Mutex<VecDeque<Result<u16, Problem>>>,
    always: Mutex<Option<u16>>,
    posted: Mutex<Vec<Posted>>,
    count: watch::Sender<usize>,
    /// Deliveries never get an answer while this is set.
    hangs: Mutex<bool>,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            answers: Mutex::default(),
            always: Mutex::default(),
            posted: Mutex::default(),
            count: watch::Sender::new(0),
            hangs: Mutex::default(),
        }
    }
}

impl Registry {
    pub(crate) fn answer(&self, answer: Result<u16, Problem>) {
        self.answers.lock().expect("lock").push_back(answer);
    }

    /// What is answered where nothing else is scripted.
    pub(crate) fn always(&self, status: u16) {
        *self.always.lock().expect("lock") = Some(status);
    }

    pub(crate) fn hang(&self, hangs: bool) {
        *self.hangs.lock().expect("lock") = hangs;
    }

    /// What was posted since the last look.
    pub(crate) fn take(&self) -> Vec<Posted> {
        std::mem::take(&mut *self.posted.lock().expect("lock"))
    }

    /// Waits until so many were posted in all.
    pub(crate) async fn posted(&self, count: usize) {
        let mut seen = self.count.subscribe();
        seen.wait_for(|seen| *seen >= count).await.expect("lives");
    }

    pub(super) fn post<'a>(&'a self, post: Post<'a>) -> BoxFuture<'a, Result<u16, Problem>> {
        self.posted.lock().expect("lock").push(Posted {
            url: post.url.to_owned(),
            headers: post.headers.to_vec(),
            body: post.body.to_vec(),
        });
        self.count.send_modify(|count| *count += 1);
        if *self.hangs.lock().expect("lock") {
            return Box::pin(std::future::pending());
        }
        let answer = self.answers.lock().expect("lock").pop_front();
        let usual = self.always.lock().expect("lock").unwrap_or(204);
        Box::pin(async move { answer.unwrap_or(Ok(usual)) })
    }
}
