//! What the systemd unit and the configuration promise, checked at run time (THREATS §7.4).
//!
//! [`facts`] looks, [`checks`] judges. The start refuses what fails; `bindery doctor` shows all of it.

mod checks;
mod facts;

use bindery_api::{CheckFacts, Outcome};
use bindery_egress::HttpEgress;

use crate::{config::Config, failure::Failure};

/// How the daemon was started, which decides what is promised.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// A service manager started it, so the unit's confinement is due.
    pub(crate) managed: bool,
    /// For trying out: nothing ends the start.
    pub(crate) development: bool,
    /// The configuration allows root.
    pub(crate) root: bool,
    /// The configuration allows to go without the unit's confinement.
    pub(crate) unconfined: bool,
}

impl Terms {
    pub(crate) fn new(config: &Config, development: bool) -> Self {
        Self {
            managed: std::env::var_os("NOTIFY_SOCKET").is_some(),
            development,
            root: config.allow_root,
            unconfined: config.allow_unconfined,
        }
    }
}

/// Looks at everything, and judges it. Reads files, so it blocks for a moment.
pub(crate) fn diagnose(config: &Config, terms: Terms) -> Vec<CheckFacts> {
    checks::judge(&facts::Facts::gather(config), terms)
}

/// Ends the start where a promise does not hold; tells what is weak.
pub(crate) fn admit(config: &Config, terms: Terms) -> Result<(), Failure> {
    let mut broken = Vec::new();
    for check in diagnose(config, terms) {
        match check.outcome {
            Outcome::Ok => {}
            Outcome::Failed if !terms.development => {
                broken.push(format!("{}: {}; {}", check.id, check.message, check.action));
            }
            Outcome::Failed | Outcome::Warning => {
                tracing::warn!(check = check.id, action = check.action, "{}", check.message);
            }
        }
    }
    if broken.is_empty() {
        return Ok(());
    }
    Err(Failure::Refused("PROMISE_BROKEN", broken.join("\n")))
}

/// An egress of the daemon's rules, to ask it what it would refuse.
fn egress(config: &Config) -> HttpEgress {
    HttpEgress::new(bindery_egress::EgressConfig {
        registries: config.registries.clone(),
        ..bindery_egress::EgressConfig::default()
    })
}
