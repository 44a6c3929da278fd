//! `bindery host hook`: the webhook of a host's app.

use std::{path::PathBuf, time::Duration};

use bindery_client::AppHookRequest;
use bindery_proto::v1::{Host, SecretFacts};
use clap::Args;

use crate::{
    link::ahead,
    moment,
    problem::{Exit, Problem},
    record::word,
    resource, secret,
    session::Session,
    source::hook_state,
    table::Cell,
};

#[derive(Args, Debug)]
pub(crate) struct Hook {
    /// Its id
    host: String,
    /// Lead it here with a new secret, also where it leads elsewhere
    #[arg(long)]
    set_up: bool,
    /// The secret, in this file, - for standard input; the daemon makes one unless given
    #[arg(long, value_name = "FILE", requires = "set_up")]
    secret_file: Option<PathBuf>,
    /// How long the secret before is accepted too; one hour unless given
    #[arg(long, value_parser = ahead, requires = "set_up")]
    overlap: Option<Duration>,
    /// You enter URL and secret in the settings of the app yourself
    #[arg(long, requires_all = ["set_up", "secret_file"])]
    by_hand: bool,
}

pub(super) async fn run(hook: Hook, session: &Session) -> Result<(), Problem> {
    let name = resource::host(&hook.host)?;
    let client = session.client().await?;
    let host = if hook.set_up {
        client.set_up_app_hook(hook.request(&name)?).await?
    } else {
        client.get_host(&name).await?
    };
    if session.is_json() {
        return session.show(&host);
    }
    let Some(shown) = host.app.as_ref().and_then(|app| app.hook.as_ref()) else {
        let message = format!(
            "{name} has no app with a webhook; give it one with host update --app-id ID --app-key-file FILE"
        );
        return Err(Problem::new(Exit::NotFound, message));
    };
    let secret = shown.secret_facts.clone().unwrap_or_default();
    for (what, value) in facts(shown, &secret) {
        if !value.is_empty() {
            session.line(&format!("{what}: {value}"))?;
        }
    }
    Ok(())
}

fn facts(hook: &bindery_proto::v1::Hook, secret: &SecretFacts) -> [(&'static str, String); 9] {
    let who = word(hook.who_must_act().as_str_name(), "WHO_MUST_ACT_");
    [
        ("url", hook.delivery_uri.clone()),
        ("state", word(hook.state().as_str_name(), "STATE_")),
        ("message", hook.message.clone()),
        ("who must act", who),
        ("see", hook.action_uri.clone()),
        ("verified", moment::relative(hook.verify_time.as_ref())),
        (
            "last delivery",
            moment::relative(hook.last_delivery_time.as_ref()),
        ),
        ("secret", secret.fingerprint.clone()),
        (
            "old secret ends",
            moment::relative(hook.previous_secret_until_time.as_ref()),
        ),
    ]
}

/// How the webhook of a host's app is; empty where there is none.
pub(super) fn state(host: &Host) -> Cell {
    let hook = host.app.as_ref().and_then(|app| app.hook.as_ref());
    hook.map_or_else(|| "".into(), hook_state)
}

impl Hook {
    fn request(&self, name: &str) -> Result<AppHookRequest, Problem> {
        let mut request = AppHookRequest::new(name);
        if let Some(path) = &self.secret_file {
            request = request.secret(&secret::read(path)?);
        }
        if let Some(overlap) = self.overlap {
            request = request.overlap(overlap);
        }
        if self.by_hand {
            request = request.by_hand();
        }
        Ok(request)
    }
}
