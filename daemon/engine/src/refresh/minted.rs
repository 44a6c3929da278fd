//! The token of an app installation ends, and is minted anew. Nothing dies by that, so no intent is written before: a lost
//! answer costs a token that nobody knows. Waits after a failure are kept like those of a refresh.

use bindery_core::{
    link::{Grant, Link},
    problem::Problem,
    refresh::{next_attempt, postponed},
};

use super::{Pair, Stand};
use crate::{
    Engine,
    flight::lock,
    links::trouble::{Sign, sign},
    mint::Narrowing,
};

impl Engine {
    pub(super) async fn renew_by_minting(&self, stand: Stand) -> Result<(), Problem> {
        let link = &stand.link.record;
        let whose = (link.namespace.clone(), link.id.clone());
        match self.mint(link, &stand.host, Narrowing::default()).await {
            Ok(minted) => {
                let pair = Pair {
                    replaces: stand.grant.version,
                    grant: Grant {
                        access_token: minted.token,
                        refresh_token: None,
                        expires: Some(minted.about.expires),
                        obtained: self.now(),
                        generation: stand.grant.record.generation + 1,
                    },
                    scopes: Some(minted.about.scopes).filter(|scopes| !scopes.is_empty()),
                };
                lock(&self.unsaved().0).insert(whose.clone(), pair);
                self.save(&whose.0, &whose.1).await
            }
            Err(problem) => match sign(link, &problem) {
                Sign::Dead(cause) => Err(self.dead_at(link, cause, &problem.action_uri).await),
                _ => Err(self.mint_later(stand, problem).await?),
            },
        }
    }

    /// Notes when the next token may be asked for.
    async fn mint_later(&self, stand: Stand, problem: Problem) -> Result<Problem, Problem> {
        let (link, now): (&Link, _) = (&stand.link.record, self.now());
        let (namespace, id) = (&link.namespace, &link.id);
        let attempt = next_attempt(&stand.grant.record, stand.intent, namespace, id, now);
        let random = u64::from_le_bytes(self.random());
        let intent = postponed(attempt, Some(&problem), random, now);
        let next = intent.not_before;
        self.put_intent(&intent).await?;
        self.note_failure(link, &problem, next).await?;
        Ok(problem.retry(Some(next.since(now))))
    }
}
