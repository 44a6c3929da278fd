//! `bindery plugin`.

use bindery_proto::admin::v1::{Plugin, plugin::State};
use clap::Subcommand;

use crate::{
    problem::Problem,
    record::{Record, word},
    session::Session,
    style::Tone,
    table::Cell,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the plugins that are configured, with those that do not run
    #[command(after_help = "Example:\n  bindery plugin list")]
    List,
    /// Let a plugin run that was disabled
    #[command(after_help = "Example:\n  bindery plugin enable gitea")]
    Enable {
        /// The plugin
        name: String,
    },
    /// Stop a plugin, now and after every restart, until it is enabled again
    #[command(
        after_help = "Example:\n  bindery plugin disable gitea --reason 'until it is updated'"
    )]
    Disable {
        /// The plugin
        name: String,
        /// Why, for people
        #[arg(long, default_value = "", hide_default_value = true)]
        reason: String,
    },
}

pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Problem> {
    let client = session.admin().await?;
    match command {
        Command::List => session.list(&client.list_plugins().await?),
        Command::Enable { name } => session.show(&client.enable_plugin(name).await?),
        Command::Disable { name, reason } => {
            session.show(&client.disable_plugin(name, reason).await?)
        }
    }
}

impl Record for Plugin {
    const MESSAGE: &'static str = "bindery.admin.v1.Plugin";
    const COLUMNS: &'static [&'static str] = &["PLUGIN", "VERSION", "STATE", "SANDBOX", "MESSAGE"];

    fn name(&self) -> &str {
        &self.name
    }

    fn row(&self) -> Vec<Cell> {
        vec![
            self.name.as_str().into(),
            self.version.as_str().into(),
            state(self),
            self.sandbox.join(", ").into(),
            self.message.as_str().into(),
        ]
    }

    fn details(&self) -> Vec<(&'static str, Cell)> {
        vec![
            ("name", self.name.as_str().into()),
            ("version", self.version.as_str().into()),
            ("state", state(self)),
            ("message", self.message.as_str().into()),
        ]
    }
}

pub(crate) fn state(plugin: &Plugin) -> Cell {
    let text = word(plugin.state().as_str_name(), "STATE_");
    match plugin.state() {
        State::Running => Cell::toned(text, Tone::Good),
        State::NotTrusted | State::Failed => Cell::toned(text, Tone::Bad),
        _ => Cell::toned(text, Tone::Waiting),
    }
}
