//! Tokens that may be dead: the answer to a refresh was lost, and the forge may have ended the old pair with it.
//!
//! Such a token is not handed out before the forge was asked about it. Where the forge takes it, nothing was rotated; where
//! it does not, the old refresh token is tried once more, and the link says what came of that (THREATS R3, R4).

use std::{collections::HashSet, sync::Mutex};

use bindery_core::{
    host::Host,
    link::{Grant, Link},
    provider::{Input, Output},
};

use crate::{
    Engine,
    flight::{Whose, lock},
};

/// The links whose token may be dead.
#[derive(Default)]
pub(crate) struct Doubts(Mutex<HashSet<Whose>>);

impl Doubts {
    pub(super) fn raise(&self, whose: Whose) {
        lock(&self.0).insert(whose);
    }

    pub(super) fn dispel(&self, whose: &Whose) {
        lock(&self.0).remove(whose);
    }

    fn about(&self, link: &Link) -> bool {
        let doubts = lock(&self.0);
        // Nearly always empty: the names need not be copied then.
        !doubts.is_empty() && doubts.contains(&(link.namespace.clone(), link.id.clone()))
    }
}

impl Engine {
    /// Whether the token of a link may be dead, as far as is known here.
    pub(super) fn in_doubt(&self, link: &Link) -> bool {
        self.doubts().about(link)
    }

    /// Asks the forge about a token that may be dead. What can't be found out stays in doubt.
    pub(super) async fn survived(&self, link: &Link, host: &Host, grant: &Grant) -> bool {
        let Ok(context) = self.link_context(link, host, &grant.access_token).await else {
            return false;
        };
        let asked = self.run(context, Input::InspectToken).await;
        let taken = asked.is_ok_and(|outcome| match outcome.last {
            Output::TokenFacts(facts) => facts.active,
            _ => false,
        });
        if taken {
            self.doubts()
                .dispel(&(link.namespace.clone(), link.id.clone()));
        }
        taken
    }
}
