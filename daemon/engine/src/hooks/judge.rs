//! What is to be said of a hook, from what the provider shows and what came in. Pure.

use bindery_core::{
    hook::{Hook, HookState},
    problem::Who,
    provider::HookFacts,
};

use super::settle::NOTHING_YET;

/// What is said of a hook.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Finding {
    pub(super) state: HookState,
    pub(super) message: String,
    pub(super) who: Option<Who>,
}

impl Finding {
    pub(super) fn new(state: HookState, message: impl Into<String>, who: Option<Who>) -> Self {
        Self {
            state,
            message: message.into(),
            who,
        }
    }

    /// Writes it into the hook.
    pub(super) fn put_into(&self, hook: &mut Hook) {
        hook.state = self.state;
        hook.message.clone_from(&self.message);
        hook.who = self.who;
    }
}

/// In what a hook differs from what it should be, in words; `None` where it is right.
pub(super) fn deviation(hook: &Hook, facts: &HookFacts, url: &str) -> Option<String> {
    let mut all = facts.deviations.clone();
    if facts.url != url {
        all.insert(0, "URL".to_owned());
    }
    if !facts.active {
        all.push("activity".to_owned());
    }
    if !facts.scheme.is_empty() && facts.scheme != hook.scheme {
        all.push("signature".to_owned());
    }
    (!all.is_empty()).then(|| all.join(", "))
}

/// What is said of a hook that is there as it should be, while refs change that no delivery tells of.
pub(crate) const UNTOLD: &str = "refs changed that no delivery told of; look at the provider's list of its deliveries, and see to it that the organization approved the app: some providers send nothing until then, and say nothing";

/// The same of a repository that the hook of the host's app serves.
const UNTOLD_BY_APP: &str = "refs changed that the webhook of the host's app did not tell of; see to it that the app's installation is not suspended and includes the repository, and look at the app's list of its deliveries";

/// What is said of a hook where refs change that no delivery tells of.
pub(crate) const fn untold(hook: &Hook) -> &'static str {
    if hook.by_app { UNTOLD_BY_APP } else { UNTOLD }
}

/// Whether that was said of it; until its next delivery.
pub(super) fn is_untold(hook: &Hook) -> bool {
    hook.state == HookState::Silent && hook.message == untold(hook)
}

/// What is to be said of a hook that is there as it should be.
pub(super) fn standing(hook: &Hook, facts: &HookFacts) -> Finding {
    if facts.disabled {
        let message = told(
            "the provider switched the webhook off after deliveries that failed",
            &facts.message,
        );
        return Finding::new(HookState::DisabledByProvider, message, Some(Who::User));
    }
    if hook.last_rejection > hook.verified {
        let message = "its latest deliveries were rejected, since their signature is not right; repair the source";
        return Finding::new(HookState::Rejecting, message, Some(Who::User));
    }
    if facts.failing {
        let message = told(
            "the provider says that its deliveries fail; see to it that the provider reaches the public URL",
            &facts.message,
        );
        return Finding::new(HookState::Silent, message, Some(Who::HostOperator));
    }
    if is_untold(hook) {
        return Finding::new(HookState::Silent, UNTOLD, hook.who);
    }
    if hook.verified.is_some() {
        return Finding::new(HookState::Verified, "", None);
    }
    Finding::new(HookState::Silent, NOTHING_YET, None)
}

fn told(what: &str, said: &str) -> String {
    if said.is_empty() {
        what.to_owned()
    } else {
        format!("{what}: {said}")
    }
}

#[cfg(test)]
mod tests {
    use bindery_core::{
        name::{HookId, HostName},
        time::Timestamp,
    };

    use super::*;
    use crate::hooks::put_served;

    const URL: &str = "https://bindery.example/hooks/h";

    fn hook() -> Hook {
        Hook {
            id: HookId::parse("h").expect("name"),
            host: HostName::parse("forge").expect("name"),
            repository: "1".to_owned(),
            full_name: "acme/api".to_owned(),
            provider_id: "7".to_owned(),
            scheme: "hmac".to_owned(),
            state: HookState::Silent,
            message: String::new(),
            who: None,
            action_uri: String::new(),
            step: None,
            verified: None,
            last_delivery: None,
            last_rejection: None,
            deliveries: (0, 0),
            secret_created: Timestamp::default(),
            previous_secret_until: None,
            checked: None,
            caught_up: None,
            reconciled: None,
            reconcile_due: false,
            by_app: false,
            secret_fingerprint: String::new(),
            unknown_since: None,
            sources: Vec::new(),
            created: Timestamp::default(),
        }
    }

    fn facts() -> HookFacts {
        HookFacts {
            hook_id: "7".to_owned(),
            url: URL.to_owned(),
            active: true,
            ..HookFacts::default()
        }
    }

    /// The latest of what came in decides; what the provider says of itself comes before.
    #[test]
    fn the_latest_decides() {
        let at = |ms| Some(Timestamp::from_unix_ms(ms));
        let state = |verified, rejected, facts: &HookFacts| {
            let mut hook = hook();
            (hook.verified, hook.last_rejection) = (verified, rejected);
            standing(&hook, facts).state
        };
        let (good, off) = (
            facts(),
            HookFacts {
                disabled: true,
                ..facts()
            },
        );
        let failing = HookFacts {
            failing: true,
            ..facts()
        };
        assert_eq!(state(None, None, &good), HookState::Silent);
        assert_eq!(state(at(1), None, &good), HookState::Verified);
        assert_eq!(state(at(1), at(2), &good), HookState::Rejecting);
        assert_eq!(state(at(3), at(2), &good), HookState::Verified);
        assert_eq!(state(at(3), None, &failing), HookState::Silent);
        assert_eq!(state(at(3), None, &off), HookState::DisabledByProvider);
    }

    /// What was said of a hook that tells nothing stays until its next delivery, whatever a look finds.
    #[test]
    fn a_look_does_not_end_a_silence() {
        let silent = |by_app| {
            let mut hook = hook();
            (hook.by_app, hook.verified) = (by_app, Some(Timestamp::default()));
            untold(&hook).clone_into(&mut hook.message);
            hook
        };
        assert_eq!(standing(&silent(false), &facts()).state, HookState::Silent);
        let mut served = silent(true);
        put_served(&mut served, HookState::Verified);
        assert!(is_untold(&served), "{served:?}");
        served.message.clear();
        put_served(&mut served, HookState::Verified);
        assert_eq!(served.state, HookState::Verified);
    }

    /// Each way in which a hook can differ is named, and a provider that does not tell its scheme is no deviation.
    #[test]
    fn deviations_are_named() {
        assert_eq!(deviation(&hook(), &facts(), URL), None);
        let changed = HookFacts {
            url: "https://elsewhere.example".to_owned(),
            active: false,
            scheme: "token".to_owned(),
            deviations: vec!["events".to_owned()],
            ..facts()
        };
        let words = deviation(&hook(), &changed, URL).expect("deviation");
        assert_eq!(words, "URL, events, activity, signature");
    }
}
