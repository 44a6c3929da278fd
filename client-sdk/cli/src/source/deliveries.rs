//! `bindery source deliveries` and `bindery source delivery`.

use std::io::{self, Write as _};

use bindery_proto::v1::{Delivery, delivery::State};
use clap::{Args, Subcommand, ValueEnum};

use crate::{
    moment,
    problem::Problem,
    record::{Record, id, word},
    resource::{self, short},
    session::Session,
    style::Tone,
    table::Cell,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show one delivery, or its body as the provider signed it
    #[command(after_help = "Example:\n  bindery source delivery show acme/8c1f/api/77 --body")]
    Show {
        /// The delivery, as namespace/link/source/delivery
        delivery: String,
        /// Print the body and nothing else; with -o json the whole delivery with it
        #[arg(long)]
        body: bool,
    },
    /// Process a delivery again; what it became before is not emitted twice
    #[command(after_help = "Example:\n  bindery source delivery retry acme/8c1f/api/77")]
    Retry {
        /// The delivery, as namespace/link/source/delivery
        delivery: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct List {
    /// The source, as namespace/link/source
    source: String,
    /// Only those in this state
    #[arg(long, value_enum)]
    state: Option<StateArg>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum StateArg {
    /// Stored, and not parsed yet
    Stored,
    /// Became events
    Processed,
    /// Valid, and nothing to do
    Ignored,
    /// Repeats another one
    Duplicate,
    /// Can't be parsed
    Unparsed,
}

impl From<StateArg> for State {
    fn from(argument: StateArg) -> Self {
        match argument {
            StateArg::Stored => Self::Stored,
            StateArg::Processed => Self::Processed,
            StateArg::Ignored => Self::Ignored,
            StateArg::Duplicate => Self::Duplicate,
            StateArg::Unparsed => Self::Unparsed,
        }
    }
}

pub(super) async fn list(list: List, session: &Session) -> Result<(), Problem> {
    let name = resource::source(&list.source)?;
    let state = list.state.map(State::from);
    let deliveries = session.client().await?.list_deliveries(name, state);
    session.list(&deliveries.all().await?)
}

pub(super) async fn run(command: Command, session: &Session) -> Result<(), Problem> {
    match command {
        Command::Show { delivery, body } => {
            let name = resource::delivery(&delivery)?;
            let delivery = session.client().await?.get_delivery(name, body).await?;
            if body && !session.is_json() {
                return raw(&delivery.body);
            }
            session.show(&delivery)
        }
        Command::Retry { delivery } => {
            let name = resource::delivery(&delivery)?;
            session.show(&session.client().await?.retry_delivery(name).await?)
        }
    }
}

/// Bytes of a provider, as they are.
pub(crate) fn raw(bytes: &[u8]) -> Result<(), Problem> {
    let mut out = io::stdout();
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .map_err(Problem::writing)
}

impl Record for Delivery {
    const MESSAGE: &'static str = "bindery.v1.Delivery";
    const COLUMNS: &'static [&'static str] = &[
        "DELIVERY", "EVENT", "STATE", "RECEIVED", "EVENTS", "MESSAGE",
    ];

    fn name(&self) -> &str {
        &self.name
    }

    fn row(&self) -> Vec<Cell> {
        vec![
            short(&self.name).into(),
            self.provider_event.as_str().into(),
            state(self),
            moment::relative(self.receive_time.as_ref()).into(),
            events(self).into(),
            self.message.as_str().into(),
        ]
    }

    fn details(&self) -> Vec<(&'static str, Cell)> {
        vec![
            ("name", self.name.as_str().into()),
            ("id at the provider", self.stable_id.as_str().into()),
            ("event", self.provider_event.as_str().into()),
            ("state", state(self)),
            ("message", self.message.as_str().into()),
            ("received", moment::exact(self.receive_time.as_ref()).into()),
            ("events", events(self).into()),
            ("size", format!("{} bytes", self.body_size).into()),
        ]
    }
}

fn state(delivery: &Delivery) -> Cell {
    let words = word(delivery.state().as_str_name(), "STATE_");
    match delivery.state() {
        State::Processed | State::Ignored | State::Duplicate => Cell::toned(words, Tone::Good),
        State::Unparsed => Cell::toned(words, Tone::Bad),
        _ => Cell::toned(words, Tone::Waiting),
    }
}

fn events(delivery: &Delivery) -> String {
    let ids = delivery.events.iter().map(|event| id(event));
    ids.collect::<Vec<_>>().join(", ")
}
