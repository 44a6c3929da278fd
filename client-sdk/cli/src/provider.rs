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
    const COLUMNS: &'static [&'static str] =
        &["PROVIDER", "PLATFORM", "PLUGIN", "METHODS", "STATE"];

    fn name(&self) -> &str {
        &self.name
    }

    fn row(&self) -> Vec<Cell> {
        vec![
            id(&self.name).into(),
            format!("{} {}", self.display_name, self.platform_versions)
                .trim()
                .into(),
            self.plugin_version.as_str().into(),
            methods(self).into(),
            state(self),
        ]
    }

    fn details(&self) -> Vec<(&'static str, Cell)> {
        vec![
            ("name", self.name.as_str().into()),
            ("platform", self.display_name.as_str().into()),
            ("versions", self.platform_versions.as_str().into()),
            ("trigger limits", self.trigger_limits.as_str().into()),
            ("plugin", self.plugin_version.as_str().into()),
            ("plugin sha256", self.plugin_sha256.as_str().into()),
            ("methods", methods(self).into()),
            ("state", state(self)),
            ("message", self.state_message.as_str().into()),
        ]
    }
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
