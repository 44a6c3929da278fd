//! Tokens of triggers: 256 random bits each. They are kept sealed, compared in constant time, and shown again only to a
//! repetition of the request that made them.

use bindery_core::{
    name::{LinkId, NamespaceName, SourceId, TriggerId},
    problem::{Problem, Reason},
    secret::Secret,
    source::SourceName,
    time::Timestamp,
    trigger::{OverlappingSecret, TriggerName},
};
use data_encoding::HEXLOWER;
use ring::hmac;

use super::WithToken;
use crate::{Engine, RequestKey, digest::sha256};

/// Bytes of a token's digest that tell which request made it.
const MARK: usize = 16;

/// What is compared where there is no token, so that it takes the same time.
const NOTHING: &str = "there is no such trigger, and nobody has this token";

impl Engine {
    pub(super) fn new_token(&self) -> Secret {
        Secret::new(self.new_ticket())
    }

    /// The trigger that `token` may fire at `place`; `None` for an unknown place, a wrong token and a trigger that is switched
    /// off, which no caller can tell apart.
    ///
    /// # Errors
    ///
    /// What the vault says.
    pub async fn admit_trigger(
        &self,
        place: &str,
        token: &Secret,
    ) -> Result<Option<TriggerName>, Problem> {
        let known = self.find_trigger_place(place).await?;
        let name = known.map(|entry| TriggerName {
            source: entry.record.source,
            trigger: entry.record.trigger,
        });
        // An unknown place costs the same reads.
        let asked = match &name {
            Some(name) => name.clone(),
            None => nowhere()?,
        };
        let secret = self.find_trigger_secret(&asked).await?;
        let trigger = self.find_trigger(&asked).await?;
        let right = accepts(
            secret.as_ref().map(|entry| &entry.record),
            token,
            self.now(),
        );
        let on = trigger.is_some_and(|entry| !entry.record.disabled);
        Ok(name.filter(|_| right & on))
    }

    /// What this request made before, with the token that it made.
    pub(super) async fn made_before(
        &self,
        request: Option<&RequestKey>,
    ) -> Result<Option<WithToken>, Problem> {
        let Some(resource) = self.recall(request).await? else {
            return Ok(None);
        };
        let (name, mark) = parse_made(&resource).ok_or_else(|| {
            Problem::new(Reason::Internal, "a remembered request names no trigger")
        })?;
        let trigger = self.trigger(&name).await?;
        let tokens = self.find_trigger_secret(&name).await?;
        let tokens = tokens.map(|entry| entry.record).ok_or_else(replaced)?;
        let previous = tokens.previous.into_iter().map(|(token, _)| token);
        let mut all = std::iter::once(tokens.current).chain(previous);
        let token = all.find(|token| mark_of(token) == mark);
        Ok(Some(WithToken {
            trigger,
            token: token.ok_or_else(replaced)?,
        }))
    }
}

/// What a request is remembered by that made a token.
pub(super) fn made(name: &TriggerName, token: &Secret) -> String {
    format!("{name}#{}", mark_of(token))
}

fn parse_made(resource: &str) -> Option<(TriggerName, String)> {
    let (name, mark) = resource.split_once('#')?;
    let (source, trigger) = name.split_once("/triggers/")?;
    let name = TriggerName {
        source: crate::sources::parse_name(source)?,
        trigger: TriggerId::parse(trigger).ok()?,
    };
    Some((name, mark.to_owned()))
}

/// Tells a token from others, and tells nothing of it.
fn mark_of(token: &Secret) -> String {
    let digest = sha256(token.expose().as_bytes());
    HEXLOWER.encode(digest.get(..MARK).unwrap_or_default())
}

fn replaced() -> Problem {
    let message = "the token that this request made has been replaced since; rotate it once more";
    Problem::new(Reason::NotFound, message)
}

/// Whether a token counts at `now`. All tokens are compared, whichever is right.
fn accepts(known: Option<&OverlappingSecret>, token: &Secret, now: Timestamp) -> bool {
    let nothing = Secret::new(NOTHING.to_owned());
    let current = known.map_or(&nothing, |tokens| &tokens.current);
    let mut right = same(current, token);
    // As many as there can be, so that the time does not tell how many there are.
    for place in 0..OverlappingSecret::MOST_BEFORE {
        let old = known.and_then(|tokens| tokens.previous.get(place));
        let (old, counts) = match old {
            Some((old, until)) => (old, now < *until),
            None => (&nothing, false),
        };
        right |= same(old, token) & counts;
    }
    known.is_some() & right
}

/// Compares in constant time: equal texts have equal MACs under any key.
fn same(secret: &Secret, presented: &Secret) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let right = hmac::sign(&key, secret.expose().as_bytes());
    hmac::verify(&key, presented.expose().as_bytes(), right.as_ref()).is_ok()
}

/// A name to read in vain. Should there be a trigger of this name, its place was not asked for, and it is not admitted.
fn nowhere() -> Result<TriggerName, Problem> {
    let defect = |_| Problem::new(Reason::Internal, "a name of nothing is no name");
    Ok(TriggerName {
        source: SourceName {
            namespace: NamespaceName::parse("nowhere").map_err(defect)?,
            link: LinkId::parse("nowhere").map_err(defect)?,
            source: SourceId::parse("nowhere").map_err(defect)?,
        },
        trigger: TriggerId::parse("nowhere").map_err(defect)?,
    })
}
