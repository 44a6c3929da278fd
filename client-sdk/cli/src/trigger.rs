//! `bindery trigger`.

use std::{path::PathBuf, time::Duration};

use bindery_client::{Change, NewTrigger, TriggerRequest};
use bindery_proto::v1::Trigger;
use clap::{Args, Subcommand};

use crate::{
    link::ahead,
    moment,
    problem::Problem,
    record::Record,
    resource::{self, short},
    secret::once::{self, Place},
    session::Session,
    style::Tone,
    table::Cell,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a trigger, and print its token, once
    #[command(after_help = "Examples:\n  \
        bindery trigger add acme/8c1f/api --id nightly --ref refs/heads/main --token-file nightly.token\n  \
        curl -X POST -H \"Authorization: Bearer $(cat nightly.token)\" URL-OF-THE-TRIGGER")]
    Add(Add),
    /// List the triggers of a source
    #[command(after_help = "Example:\n  bindery trigger list acme/8c1f/api")]
    List {
        /// The source, as namespace/link/source
        source: String,
    },
    /// Show one trigger, without its token
    #[command(
        visible_alias = "get",
        after_help = "Example:\n  bindery trigger show acme/8c1f/api/nightly"
    )]
    Show(Named),
    /// Give a trigger a new token, and print it, once
    #[command(
        after_help = "Example:\n  bindery trigger rotate acme/8c1f/api/nightly --overlap 1d --token-file nightly.token"
    )]
    Rotate(Rotate),
    /// Let a trigger start builds again
    #[command(after_help = "Example:\n  bindery trigger enable acme/8c1f/api/nightly")]
    Enable(Named),
    /// Switch a trigger off; it keeps its token
    #[command(after_help = "Example:\n  bindery trigger disable acme/8c1f/api/nightly")]
    Disable(Named),
    /// Remove a trigger; its token stops working at once
    #[command(after_help = "Example:\n  bindery trigger remove acme/8c1f/api/nightly")]
    Remove(Named),
    /// Fire a trigger, without its token
    #[command(
        after_help = "Example:\n  bindery trigger fire acme/8c1f/api/nightly --ref refs/tags/v1.0"
    )]
    Fire {
        #[command(flatten)]
        trigger: Named,
        /// Full name of the branch or tag to build, such as refs/heads/main
        #[arg(
            long = "ref",
            value_name = "REF",
            default_value = "",
            hide_default_value = true
        )]
        full_ref: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Named {
    /// The trigger, as namespace/link/source/trigger
    trigger: String,
}

#[derive(Args, Debug)]
pub(crate) struct Add {
    /// The source, as namespace/link/source
    source: String,
    /// Its id: a-z, 0-9 and -; the daemon makes one unless given
    #[arg(long)]
    id: Option<String>,
    /// Full name of the branch or tag to build where a firing names none
    #[arg(
        long = "ref",
        value_name = "REF",
        default_value = "",
        hide_default_value = true
    )]
    default_ref: String,
    /// Name for people
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    display_name: String,
    /// Put the token into this file, which nobody else can read, instead of printing it
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Check everything, and change nothing
    #[arg(long, visible_alias = "preview")]
    dry_run: bool,
    /// A UUID of your own: repeating the command with it within an hour gives the same token
    #[arg(long, value_name = "UUID")]
    request_id: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Rotate {
    #[command(flatten)]
    trigger: Named,
    /// How long the old token is accepted, too, such as 1d; 1h unless given, 0s for not at all
    #[arg(long, value_name = "TIME", value_parser = ahead)]
    overlap: Option<Duration>,
    /// Put the token into this file, which nobody else can read, instead of printing it
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl Command {
    /// Whether a new token is printed.
    pub(crate) fn prints_a_token(&self) -> bool {
        matches!(self, Self::Add(_) | Self::Rotate(_))
    }
}

pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Problem> {
    match command {
        Command::Add(add) => self::add(add, session).await,
        Command::List { source } => {
            let name = resource::source(&source)?;
            session.list(&session.client().await?.list_triggers(name).all().await?)
        }
        Command::Show(Named { trigger }) => {
            let name = resource::trigger(&trigger)?;
            session.show(&session.client().await?.get_trigger(name).await?)
        }
        Command::Rotate(rotate) => self::rotate(rotate, session).await,
        Command::Enable(named) => switch(&named, false, session).await,
        Command::Disable(named) => switch(&named, true, session).await,
        Command::Remove(Named { trigger }) => {
            let name = resource::trigger(&trigger)?;
            session.client().await?.delete_trigger(&name).await?;
            session.say(&format!("{name} is removed"));
            Ok(())
        }
        Command::Fire { trigger, full_ref } => {
            let name = resource::trigger(&trigger.trigger)?;
            session.show(&session.client().await?.fire_trigger(name, full_ref).await?)
        }
    }
}

async fn add(add: Add, session: &Session) -> Result<(), Problem> {
    let mut request = TriggerRequest::new(resource::source(&add.source)?)
        .default_ref(add.default_ref)
        .display_name(add.display_name)
        .preview(add.dry_run);
    if let Some(id) = add.id {
        request = request.id(id);
    }
    if let Some(id) = add.request_id {
        request = request.request_id(id);
    }
    let client = session.client().await?;
    if add.dry_run {
        session.show(&client.create_trigger(request).await?.trigger)?;
        session.say("nothing was changed");
        return Ok(());
    }
    let place = place(add.token_file.as_deref(), session)?;
    shown(&client.create_trigger(request).await?, place, session)
}

async fn rotate(rotate: Rotate, session: &Session) -> Result<(), Problem> {
    let name = resource::trigger(&rotate.trigger.trigger)?;
    let client = session.client().await?;
    let place = place(rotate.token_file.as_deref(), session)?;
    let rotated = client.rotate_trigger_token(name, rotate.overlap).await?;
    shown(&rotated, place, session)
}

fn place(file: Option<&std::path::Path>, session: &Session) -> Result<Place, Problem> {
    Place::reserve(file, "--token-file", session)
}

fn shown(made: &NewTrigger, place: Place, session: &Session) -> Result<(), Problem> {
    once::show(&made.trigger, "token", &made.token, place, session)
}

async fn switch(named: &Named, disabled: bool, session: &Session) -> Result<(), Problem> {
    let client = session.client().await?;
    let mut trigger = client
        .get_trigger(resource::trigger(&named.trigger)?)
        .await?;
    trigger.disabled = disabled;
    let change = Change::new(trigger, ["disabled"]);
    session.show(&client.update_trigger(change).await?)
}

impl Record for Trigger {
    const MESSAGE: &'static str = "bindery.v1.Trigger";
    const COLUMNS: &'static [&'static str] = &["TRIGGER", "REF", "STATE", "FIRED", "URL"];

    fn name(&self) -> &str {
        &self.name
    }

    fn row(&self) -> Vec<Cell> {
        vec![
            short(&self.name).into(),
            self.default_ref.as_str().into(),
            state(self),
            moment::relative(self.fire_time.as_ref()).into(),
            self.trigger_uri.as_str().into(),
        ]
    }

    fn details(&self) -> Vec<(&'static str, Cell)> {
        let token = self.token_facts.clone().unwrap_or_default();
        vec![
            ("name", self.name.as_str().into()),
            ("display name", self.display_name.as_str().into()),
            ("url", self.trigger_uri.as_str().into()),
            ("ref", self.default_ref.as_str().into()),
            ("state", state(self)),
            ("fired", moment::relative(self.fire_time.as_ref()).into()),
            ("fingerprint", token.fingerprint.into()),
            (
                "old token ends",
                moment::relative(self.previous_token_until_time.as_ref()).into(),
            ),
            (
                "created",
                moment::relative(self.create_time.as_ref()).into(),
            ),
        ]
    }
}

fn state(trigger: &Trigger) -> Cell {
    if trigger.disabled {
        return Cell::toned("disabled", Tone::Waiting);
    }
    Cell::toned("enabled", Tone::Good)
}
