//! `bindery provider`.

use bindery_proto::v1::{Provider, provider::State};
use clap::Subcommand;

use crate::{
    problem::Problem,
    record::{Record, id, word},
    resource,
    session::Session,
    style::Tone,
    table::Cell,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List providers
    #[command(after_help = "Example:\n  bindery provider list")]
    List,
    /// Show one provider
    #[command(after_help = "Example:\n  bindery provider get github")]
    Get {
        /// Its id, such as github
        provider: String,
    },
}

pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Problem> {
    let client = session.client().await?;
    match command {
        Command::List => session.list(&client.list_providers().all().await?),
        Command::Get { provider } => {
            session.show(&client.get_provider(resource::provider(&provider)?).await?)
        }
    }
}

impl Record for Provider {
    const MESSAGE: &'static str = "bindery.v1.Provider";
    const COLUMNS: &'static [&'static str] = &[
        "PROVIDER",
        "PLATFORM",
        "VERSIONS",
        "METHODS",
        "TRIGGER LIMITS",
        "STATE",
    ];

    fn name(&self) -> &str {
        &self.name
    }

    fn row(&self) -> Vec<Cell> {
        vec![
            id(&self.name).into(),
            self.display_name.as_str().into(),
            versions(self).into(),
            methods(self).into(),
            limits(self).into(),
            state(self),
        ]
    }

    fn details(&self) -> Vec<(&'static str, Cell)> {
        vec![
            ("name", self.name.as_str().into()),
            ("platform", self.display_name.as_str().into()),
            ("versions", versions(self).into()),
            ("trigger limits", limits(self).into()),
            ("plugin", self.plugin_version.as_str().into()),
            ("plugin sha256", self.plugin_sha256.as_str().into()),
            ("methods", methods(self).into()),
            ("editions", editions(self).into()),
            ("can", can(self).into()),
            ("state", state(self)),
            ("message", self.state_message.as_str().into()),
        ]
    }
}

/// Versions of the provider and of its editions.
fn versions(provider: &Provider) -> String {
    let of_editions = provider
        .editions
        .iter()
        .filter(|edition| !edition.platform_versions.is_empty())
        .map(|edition| format!("{}: {}", edition.display_name, edition.platform_versions));
    let own = Some(provider.platform_versions.clone()).filter(|text| !text.is_empty());
    own.into_iter()
        .chain(of_editions)
        .collect::<Vec<_>>()
        .join("; ")
}

/// Limits on triggering of the provider, and of those editions that have others.
fn limits(provider: &Provider) -> String {
    let others = provider.editions.iter();
    let others = others
        .filter(|edition| edition.trigger_limits != provider.trigger_limits)
        .map(|edition| format!("{}: {}", edition.display_name, edition.trigger_limits));
    std::iter::once(provider.trigger_limits.clone())
        .chain(others)
        .collect::<Vec<_>>()
        .join("; ")
}

fn editions(provider: &Provider) -> String {
    let names = provider.editions.iter();
    let names = names.map(|edition| format!("{} ({})", edition.name, edition.display_name));
    names.collect::<Vec<_>>().join(", ")
}

/// What the provider can do, in words.
fn can(provider: &Provider) -> String {
    let can = provider.capabilities.unwrap_or_default();
    let words = [
        (can.narrowing, "limit a token to one repository"),
        (can.token_revocation, "revoke a token"),
        (can.grant_revocation, "revoke a grant"),
        (can.webhooks, "register webhooks"),
        (can.redelivery, "deliver again"),
    ];
    let words = words.iter().filter(|(true_, _)| *true_);
    words.map(|(_, text)| *text).collect::<Vec<_>>().join(", ")
}

fn methods(provider: &Provider) -> String {
    let words = provider
        .auth_methods
        .iter()
        .map(|method| match method.display_name.as_str() {
            "" => word(method.kind().as_str_name(), "AUTH_METHOD_KIND_"),
            name => name.to_owned(),
        });
    words.collect::<Vec<_>>().join(", ")
}

fn state(provider: &Provider) -> Cell {
    let text = word(provider.state().as_str_name(), "STATE_");
    match provider.state() {
        State::Ready => Cell::toned(text, Tone::Good),
        State::Failed => Cell::toned(text, Tone::Bad),
        _ => Cell::toned(text, Tone::Waiting),
    }
}
