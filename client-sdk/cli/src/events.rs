//! `bindery events`.

use std::time::SystemTime;

use bindery_client::EventQuery;
use clap::{Args, Subcommand};

use crate::{moment, problem::Problem, resource, session::Session, source::raw};

mod replay;
mod show;
mod watch;

pub(crate) use replay::{Span, replayed};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Follow events: a line for each, until Ctrl-C, over restarts of the daemon too
    #[command(after_help = "Examples:\n  bindery events watch acme\n  \
        bindery events watch acme --consumer builder --ack -o json\n  \
        bindery events watch acme --since 1h --filter 'verdict = \"TRIGGER\"'")]
    Watch(watch::Watch),
    /// List the events that are kept
    #[command(after_help = "Examples:\n  bindery events list acme --since 1d\n  \
        bindery events list acme --newest-first --limit 20")]
    List(List),
    /// Show one event, or what the provider sent
    #[command(
        visible_alias = "get",
        after_help = "Example:\n  bindery events show acme/4711 --payload"
    )]
    Show {
        /// The event, as namespace/number
        event: String,
        /// Print what the provider sent and nothing else; with -o json the whole event with it
        #[arg(long)]
        payload: bool,
    },
    /// Send events again, to a consumer or to a subscription
    #[command(
        after_help = "Examples:\n  bindery events replay acme --consumer builder --since 2h\n  \
        bindery events replay acme --subscription registry --from 4711 --missing"
    )]
    Replay(replay::Replay),
    /// List who follows the events of a namespace, and how far they are
    #[command(after_help = "Example:\n  bindery events consumers acme")]
    Consumers {
        /// The namespace
        namespace: String,
    },
    /// Forget a consumer and its place
    #[command(after_help = "Example:\n  bindery events forget acme/builder")]
    Forget {
        /// The consumer, as namespace/consumer
        consumer: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct List {
    /// The namespace
    namespace: String,
    /// Which ones, such as 'repository = "acme/api"'
    #[arg(long, default_value = "", hide_default_value = true)]
    filter: String,
    /// From when on, such as 2h or 2026-11-30T04:20:00Z
    #[arg(long, value_name = "TIME", value_parser = moment::past)]
    since: Option<SystemTime>,
    /// Up to when
    #[arg(long, value_name = "TIME", value_parser = moment::past)]
    until: Option<SystemTime>,
    /// The newest first
    #[arg(long)]
    newest_first: bool,
    /// How many at most
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
}

pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Problem> {
    match command {
        Command::Watch(watch) => watch::run(watch, session).await,
        Command::List(list) => self::list(list, session).await,
        Command::Show { event, payload } => {
            let name = resource::event(&event)?;
            let event = session.client().await?.get_event(name, payload).await?;
            if payload && event.payload.is_empty() {
                session.say("note: there is nothing to show: the event came from no delivery, or that is not kept any more");
            }
            if payload && !session.is_json() {
                return raw(&event.payload);
            }
            session.show(&event)
        }
        Command::Replay(replay) => replay::run(replay, session).await,
        Command::Consumers { namespace } => {
            let parent = resource::namespace(&namespace)?;
            let consumers = session.client().await?.list_consumers(parent);
            session.list(&consumers.all().await?)
        }
        Command::Forget { consumer } => {
            let name = resource::consumer(&consumer)?;
            session.client().await?.delete_consumer(&name).await?;
            session.say(&format!("{name} is forgotten"));
            Ok(())
        }
    }
}

async fn list(list: List, session: &Session) -> Result<(), Problem> {
    let parent = resource::namespace(&list.namespace)?;
    let query = EventQuery {
        filter: list.filter,
        since: list.since,
        until: list.until,
        newest_first: list.newest_first,
        ..EventQuery::default()
    };
    let mut pages = session.client().await?.list_events(parent, query);
    let limit = list.limit.unwrap_or(usize::MAX);
    let mut events = Vec::new();
    while events.len() < limit {
        match pages.next().await? {
            Some(event) => events.push(event),
            None => break,
        }
    }
    session.list(&events)
}
