//! Ways around a provider: triggers that people and scripts fire, and subscriptions that events are delivered to.

use std::fmt;

use crate::{
    name::{LinkId, NamespaceName, SourceId, SubscriptionId, TriggerId},
    secret::Secret,
    source::SourceName,
    time::Timestamp,
};

/// A URL by which people and scripts start a build of a source.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Trigger {
    /// Namespace of the link.
    pub namespace: NamespaceName,
    /// The link.
    pub link: LinkId,
    /// The source.
    pub source: SourceId,
    /// Its id.
    pub id: TriggerId,
    /// The opaque id in its URL: 128 random bits. It is an address, no credential.
    pub place: String,
    /// Name for people; may be empty.
    pub display_name: String,
    /// Full name of the branch or tag to build where a firing names none; may be empty.
    pub default_ref: String,
    /// It is switched off.
    pub disabled: bool,
    /// When its token was made.
    pub token_created: Timestamp,
    /// Until when the token before is accepted too.
    pub previous_token_until: Option<Timestamp>,
    /// When it was last fired.
    pub fired: Option<Timestamp>,
    /// When it was made.
    pub created: Timestamp,
}

impl Trigger {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> TriggerName {
        TriggerName {
            source: SourceName {
                namespace: self.namespace.clone(),
                link: self.link.clone(),
                source: self.source.clone(),
            },
            trigger: self.id.clone(),
        }
    }
}

/// Where a trigger is.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TriggerName {
    /// The source.
    pub source: SourceName,
    /// Its id.
    pub trigger: TriggerId,
}

impl fmt::Display for TriggerName {
    /// `namespaces/{namespace}/links/{link}/sources/{source}/triggers/{trigger}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/triggers/{}", self.source, self.trigger)
    }
}

/// Longest full name of a ref that a trigger takes, in bytes.
const REF_BYTES: usize = 1000;

/// Whether a text can be the full name of a branch or tag: `refs/heads/main`, `refs/tags/v1`. The rules are those of
/// `git check-ref-format`.
#[must_use]
pub fn is_full_ref(text: &str) -> bool {
    let short = text.strip_prefix("refs/heads/");
    let Some(short) = short.or_else(|| text.strip_prefix("refs/tags/")) else {
        return false;
    };
    let odd = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
    let part = |part: &str| {
        let lock = std::path::Path::new(part).extension();
        !part.is_empty() && !part.starts_with('.') && lock.is_none_or(|end| end != "lock")
    };
    text.len() <= REF_BYTES
        && !text.contains("..")
        && !text.contains("@{")
        && !text.ends_with('.')
        && !short.contains(odd)
        && short.split('/').all(part)
}

/// Where a trigger's URL leads to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TriggerPlace {
    /// The opaque id in the URL.
    pub place: String,
    /// The source.
    pub source: SourceName,
    /// The trigger.
    pub trigger: TriggerId,
}

/// A secret that can be replaced with an overlap: a trigger's token, or what a subscription signs with. Sealed.
#[derive(Debug)]
pub struct OverlappingSecret {
    /// The one that counts.
    pub current: Secret,
    /// Those before, the newest first, each with the time until which it counts too; at most [`Self::MOST_BEFORE`].
    pub previous: Vec<(Secret, Timestamp)>,
}

impl OverlappingSecret {
    /// How many old secrets count beside the current one: more rotations than that within one overlap are a mistake, and each
    /// is one more that can leak.
    pub const MOST_BEFORE: usize = 4;

    /// One that nothing was before.
    #[must_use]
    pub const fn first(current: Secret) -> Self {
        Self {
            current,
            previous: Vec::new(),
        }
    }

    /// `next` takes its place at `now`. It counts until `until`, and those before it as long as they were to; without an overlap
    /// all of them end at once.
    #[must_use]
    pub fn replaced(self, next: Secret, until: Option<Timestamp>, now: Timestamp) -> Self {
        let Some(until) = until else {
            return Self::first(next);
        };
        let still = self.previous.into_iter().filter(|(_, end)| now < *end);
        let previous = std::iter::once((self.current, until)).chain(still);
        Self {
            current: next,
            previous: previous.take(Self::MOST_BEFORE).collect(),
        }
    }

    /// Until when an old secret counts; `None` where none does.
    #[must_use]
    pub fn overlaps_until(&self) -> Option<Timestamp> {
        self.previous.iter().map(|(_, until)| *until).max()
    }

    /// The old secrets that count at `now`, the newest first.
    pub fn before(&self, now: Timestamp) -> impl Iterator<Item = &Secret> {
        let counting = self.previous.iter().filter(move |(_, end)| now < *end);
        counting.map(|(secret, _)| secret)
    }
}

/// A URL of a registry that events are delivered to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Subscription {
    /// Its namespace.
    pub namespace: NamespaceName,
    /// Its id.
    pub id: SubscriptionId,
    /// Name for people; may be empty.
    pub display_name: String,
    /// Where events are posted to.
    pub endpoint_uri: String,
    /// Which events, in the filter language of the API; empty for all.
    pub filter: String,
    /// Deliveries carry the provider's body.
    pub include_payload: bool,
    /// All names of who asked for that, as the policy has them, or [`OPERATOR`]. Without a name that has the right at the moment of
    /// a delivery it carries no body.
    pub payload_for: Vec<String>,
    /// Nothing is delivered; events wait.
    pub paused: bool,
    /// When its secret was made.
    pub secret_created: Timestamp,
    /// Until when deliveries carry a second signature.
    pub previous_secret_until: Option<Timestamp>,
    /// All events up to this one are delivered, wait for another attempt, are dead letters, or are filtered out.
    pub taken: u64,
    /// The last event that the endpoint accepted.
    pub delivered: u64,
    /// How many events are dead letters.
    pub dead_letters: u32,
    /// When the endpoint last accepted a delivery.
    pub succeeded: Option<Timestamp>,
    /// When a delivery last failed.
    pub failed: Option<Timestamp>,
    /// Why, one sentence for people.
    pub failure: String,
    /// When it was made.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

/// Stands for whoever asks on the admin surface, where no policy applies. No principal has this form.
pub const OPERATOR: &str = "operator";

/// An event on its way to a subscription after a first failure.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outgoing {
    /// Namespace of the subscription.
    pub namespace: NamespaceName,
    /// The subscription.
    pub subscription: SubscriptionId,
    /// Number of the event.
    pub sequence: u64,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried again; `None` for a dead letter.
    pub next: Option<Timestamp>,
    /// When it was last tried.
    pub tried: Timestamp,
    /// Status of the last answer; 0 where there was none.
    pub status: u16,
    /// Why it failed, one sentence for people.
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is no full name of a branch or tag goes nowhere near a provider.
    #[test]
    fn only_full_names_are_refs() {
        for good in ["refs/heads/main", "refs/heads/a/b.c", "refs/tags/v1.0-rc.1"] {
            assert!(is_full_ref(good), "{good}");
        }
        let long = format!("refs/heads/{}", "a".repeat(REF_BYTES));
        for odd in [
            "",
            "main",
            "refs/heads/",
            "refs/pull/1/head",
            "refs/heads//a",
            "refs/heads/a/",
            "refs/heads/../a",
            "refs/heads/.a",
            "refs/heads/a b",
            "refs/heads/a\n",
            "refs/heads/a?b",
            "refs/heads/a.lock",
            "refs/heads/@{a",
            "refs/heads/a.",
            &long,
        ] {
            assert!(!is_full_ref(odd), "{odd}");
        }
    }
}
