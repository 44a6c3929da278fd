//! What a delivery says: by the plugin, and by the provider where the delivery alone does not tell or prove it.

use bindery_core::{
    delivery::Delivery,
    hook::Hook,
    problem::{Problem, Reason},
    provider::{CredentialFacts, Delivered, Happening, Input, Output},
    refs::{Refs, confirms},
    secret::SecretSet,
};

use super::hint::Hint;
use crate::{
    Engine,
    operation::{Context, off_topic},
};

/// How deep the JSON of a body may be nested (THREATS W5).
const DEPTH: usize = 64;

/// What a delivery says.
pub(super) struct Said {
    pub(super) delivered: Delivered,
    /// The provider's refs, where they were asked for.
    pub(super) refs: Option<Refs>,
    /// What the provider does not say as well was left out.
    pub(super) unconfirmed: bool,
    /// It is about the hook's own repository, as far as it tells.
    pub(super) own: bool,
    /// Its body is not covered by the signature.
    pub(super) weak: bool,
    /// What is to be looked at, as the plugin read it.
    pub(super) hint: Hint,
}

impl Said {
    /// What a delivery says about the repository of a hook.
    pub(super) fn about(hook: &Hook, Read { delivered, weak }: Read) -> Self {
        Self {
            own: is_own(hook, &delivered),
            hint: Hint::of(hook, &delivered),
            weak,
            delivered,
            refs: None,
            unconfirmed: false,
        }
    }
}

/// What the plugin read.
pub(super) struct Read {
    pub(super) delivered: Delivered,
    /// The body is not covered by the signature.
    pub(super) weak: bool,
}

impl Engine {
    /// Has the plugin read a delivery.
    pub(super) async fn read_delivery(
        &self,
        hook: &Hook,
        delivery: &Delivery,
    ) -> Result<Read, Problem> {
        if is_too_deep(&delivery.body) {
            let message = format!("the body is nested deeper than {DEPTH} levels");
            return Err(Problem::new(Reason::InvalidArgument, message));
        }
        let host = self.host(&hook.host).await?.record;
        let support = self.description(&host)?.hooks.clone();
        let context = Context::new(&host, CredentialFacts::default(), SecretSet::new())?;
        let input = Input::ParseDelivery {
            event: delivery.event.clone(),
            headers: delivery.headers.clone(),
            body: delivery.body.clone(),
        };
        let Output::Delivered(delivered) = self.run(context, input).await?.last else {
            return Err(off_topic(&host));
        };
        let scheme = support.scheme(&hook.scheme);
        Ok(Read {
            weak: scheme.is_none_or(|scheme| scheme.weak),
            delivered,
        })
    }

    /// Asks the provider for what a delivery does not tell, or does not prove. Where no link may ask, nothing becomes an event
    /// anyway.
    pub(super) async fn look_up(&self, hook: &Hook, mut said: Said) -> Result<Said, Problem> {
        let happenings = &said.delivered.happenings;
        let open = happenings.iter().any(lacks_commit);
        let wanted = open || (said.weak && !happenings.is_empty());
        if !wanted || !said.own || self.acting_sources(hook).await?.is_empty() {
            return Ok(said);
        }
        let refs = self.current_refs(hook).await?;
        fill_in(&mut said.delivered.happenings, &refs);
        if said.weak {
            let before = said.delivered.happenings.len();
            said.delivered
                .happenings
                .retain(|happening| confirms(&refs, happening));
            said.unconfirmed = said.delivered.happenings.len() < before;
        }
        said.refs = Some(refs);
        Ok(said)
    }
}

/// A delivery of another repository says nothing about this one, whoever signed it.
fn is_own(hook: &Hook, delivered: &Delivered) -> bool {
    let told = delivered.repository.as_ref();
    let told = told.filter(|one| !one.stable_id.is_empty());
    told.is_none_or(|one| one.stable_id == hook.repository)
}

fn lacks_commit(happening: &Happening) -> bool {
    matches!(happening, Happening::TagCreated(tag) if tag.commit.is_empty())
}

/// The commits of tags whose deliveries do not tell them. A tag that is gone by now is no event: its deletion comes as well.
fn fill_in(happenings: &mut Vec<Happening>, refs: &Refs) {
    for happening in happenings.iter_mut() {
        if let Happening::TagCreated(tag) = happening
            && tag.commit.is_empty()
        {
            let commit = refs.get(&tag.reference).cloned();
            tag.commit = commit.unwrap_or_default();
        }
    }
    happenings.retain(|happening| !lacks_commit(happening));
}

/// Whether brackets outside of texts are nested too deep. What is no JSON at all is the plugin's to refuse.
fn is_too_deep(body: &[u8]) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0usize, false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => depth += 1,
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// W5: depth is counted in brackets, not in texts.
    #[test]
    fn w5_depth_is_bounded() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n)).into_bytes();
        assert!(!is_too_deep(&nested(DEPTH)));
        assert!(is_too_deep(&nested(DEPTH + 1)));
        let text = format!("[\"\\\"{}\"]", "[".repeat(500));
        assert!(!is_too_deep(text.as_bytes()));
        assert!(is_too_deep(
            &[nested(3), "[".repeat(65).into_bytes()].concat()
        ));
    }
}
