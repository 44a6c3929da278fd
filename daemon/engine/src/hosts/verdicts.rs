//! What token endpoints say about a host's client secrets.
//!
//! It is kept in memory and shown at once; the sweep writes it down. Between an answer with new tokens and their place in
//! the vault nothing else may be written, and a refresh must not change a host's etag.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bindery_core::{
    exchange::{TokenCall, TokenOutcome, TokenReply},
    host::{Host, SecretFact, SecretKind},
    name::HostName,
    port::{Expect, Key, Listing, Record},
    secret::Secret,
    time::Timestamp,
};

use super::{as_host, facts::fingerprint};
use crate::{Engine, records::change};

/// A verdict that is written down already is written anew after this time only.
const GRAIN: Duration = Duration::from_secs(3600);

/// Verdicts that may not be written down yet.
#[derive(Debug, Default)]
pub(crate) struct Verdicts(Mutex<BTreeMap<HostName, BTreeMap<String, Verdict>>>);

/// When a secret was last taken and refused.
#[derive(Clone, Copy, Debug, Default)]
struct Verdict {
    taken: Option<Timestamp>,
    refused: Option<Timestamp>,
}

impl Verdicts {
    fn note(&self, host: &HostName, fingerprint: String, taken: bool, now: Timestamp) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let verdict = all.entry(host.clone()).or_default().entry(fingerprint);
        let verdict = verdict.or_default();
        if taken {
            verdict.taken = Some(now);
        } else {
            verdict.refused = Some(now);
        }
    }

    /// Puts what is known into the facts of a host.
    pub(crate) fn show(&self, host: &mut Host) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(known) = all.get(&host.name) else {
            return;
        };
        for fact in host.secret_facts.iter_mut().filter(|fact| by_client(fact)) {
            if let Some(verdict) = known.get(&fact.fingerprint) {
                fact.taken = fact.taken.max(verdict.taken);
                fact.refused = fact.refused.max(verdict.refused);
            }
        }
    }
}

const fn by_client(fact: &SecretFact) -> bool {
    matches!(fact.kind, SecretKind::ClientSecret(_))
}

impl Engine {
    /// Calls a token endpoint, and notes which client secrets it took and refused.
    pub(crate) async fn call_token(&self, call: TokenCall<'_>) -> TokenOutcome {
        let reach = call.reach;
        let reply = self.ports().egress.token(call).await;
        self.note_client_secrets(reach.host, &reach.secrets.client_secrets, &reply);
        reply.outcome
    }

    fn note_client_secrets(&self, host: &Host, secrets: &[Secret], reply: &TokenReply) {
        let now = self.now();
        let note = |place: usize, taken: bool| {
            if let Some(secret) = secrets.get(place) {
                let print = fingerprint(&host.fingerprint_key, secret);
                self.verdicts().note(&host.name, print, taken, now);
            }
        };
        reply.taken.iter().for_each(|place| note(*place, true));
        reply.refused.iter().for_each(|place| note(*place, false));
    }

    /// Writes down what token endpoints said since it was last written. Somebody who changes a host at the same time wins;
    /// the next sweep writes it.
    pub(crate) async fn keep_verdicts(&self) {
        let Ok(hosts) = self.list_all(&Listing::Hosts, as_host).await else {
            return;
        };
        for entry in hosts {
            let mut host = entry.record;
            let before = host.secret_facts.clone();
            self.verdicts().show(&mut host);
            let news = before.iter().zip(&host.secret_facts);
            if !news.into_iter().any(|(old, new)| worth(old, new)) {
                continue;
            }
            let key = Key::Host(host.name.clone());
            let expect = Expect::Version(entry.version);
            let put = change(key, expect, Some(Record::Host(host)));
            if let Err(problem) = self.commit(vec![put]).await {
                tracing::debug!(%problem, "Host secrets' facts wait for the next sweep");
            }
        }
    }
}

/// Whether a new fact is worth a write: the first of its kind, or one that is an hour newer.
fn worth(old: &SecretFact, new: &SecretFact) -> bool {
    let later = |old: Option<Timestamp>, new: Option<Timestamp>| match (old, new) {
        (None, Some(_)) => true,
        (Some(old), Some(new)) => old.after(GRAIN) <= new,
        _ => false,
    };
    later(old.taken, new.taken) || later(old.refused, new.refused)
}
