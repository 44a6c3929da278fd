//! `bindery events watch`.

use std::{
    io::{self, Write as _},
    time::{Duration, SystemTime},
};

use bindery_client::{Client, EventQuery, EventWatch, Events};
use bindery_proto::v1::Event;
use clap::Args;
use tokio::{
    signal::{
        ctrl_c,
        unix::{SignalKind, signal},
    },
    time::timeout,
};

use super::show::line;
use crate::{
    args::Output,
    json, moment,
    problem::{Exit, Problem},
    record::Record as _,
    resource,
    session::Session,
};

/// How long the last acknowledgements may take after the end was asked for.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Args, Debug)]
pub(crate) struct Watch {
    /// The namespace
    namespace: String,
    /// Under this name, whose place the daemon keeps; one watch at a time
    #[arg(long, value_name = "ID")]
    consumer: Option<String>,
    /// Acknowledge each event after it is printed
    #[arg(long, requires = "consumer")]
    ack: bool,
    /// From when on, such as 2h or 2026-11-30T04:20:00Z; from the consumer's place, or from now, unless given
    #[arg(long, value_name = "TIME", value_parser = moment::past, conflicts_with_all = ["after", "oldest"])]
    since: Option<SystemTime>,
    /// After the event with this number
    #[arg(long, value_name = "NUMBER", conflicts_with = "oldest")]
    after: Option<i64>,
    /// From the oldest event that is kept
    #[arg(long)]
    oldest: bool,
    /// Which ones, such as 'source = "namespaces/acme/links/8c1f/sources/api"'
    #[arg(long, default_value = "", hide_default_value = true)]
    filter: String,
    /// With what the provider sent; only -o json shows it
    #[arg(long)]
    payload: bool,
    /// End after so many events
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
}

pub(super) async fn run(watch: Watch, session: &Session) -> Result<(), Problem> {
    let client = session.client().await?;
    let mut following = watch.events(&client, session).await?.watch();
    let outcome = tokio::select! {
        biased;
        stopped = stopped() => stopped,
        ended = watch.print(&mut following, session) => ended,
    };
    // Also after a failure: what was printed and acknowledged does not come again.
    let flushed = flush(&following).await;
    outcome.and(flushed)
}

impl Watch {
    async fn events(&self, client: &Client, session: &Session) -> Result<Events, Problem> {
        let namespace = resource::namespace(&self.namespace)?;
        let mut events = client
            .events(&namespace)
            .filter(&self.filter)
            .include_payload(self.payload);
        if let Some(consumer) = &self.consumer {
            events = events.consumer(consumer);
        }
        if let Some(after) = self.after.or(self.oldest.then_some(0)) {
            events = events.after(after);
        }
        if let Some(since) = self.since {
            events = events.after(last_before(client, &namespace, since).await?);
        }
        let quiet = session.quiet;
        Ok(events.on_interruption(move |error| {
            if !quiet {
                // Nobody there to read it is no reason to fail.
                let _ = writeln!(io::stderr(), "note: {error}; connecting again");
            }
        }))
    }

    async fn print(&self, watch: &mut EventWatch, session: &Session) -> Result<(), Problem> {
        let mut left = self.count.unwrap_or(u64::MAX);
        while left > 0 {
            let event = watch.next().await?;
            print(&event, session)?;
            if self.ack {
                drop(watch.ack(&event));
            }
            left -= 1;
        }
        Ok(())
    }
}

/// The last event that came before a time; 0 is none.
async fn last_before(client: &Client, namespace: &str, since: SystemTime) -> Result<i64, Problem> {
    let from = EventQuery {
        since: Some(since),
        ..EventQuery::default()
    };
    if let Some(first) = client.list_events(namespace, from).next().await? {
        return Ok(first.sequence - 1);
    }
    let newest = EventQuery {
        newest_first: true,
        ..EventQuery::default()
    };
    let newest = client.list_events(namespace, newest).next().await?;
    Ok(newest.map_or(0, |event| event.sequence))
}

fn print(event: &Event, session: &Session) -> Result<(), Problem> {
    match session.output {
        Output::Json => session.json_line(&json::value(Event::MESSAGE, event)?),
        Output::Name => session.line(&event.name),
        _ => session.line(&line(event, session.answers)),
    }
}

/// Somebody wants the end: that is how a watch ends well.
async fn stopped() -> Result<(), Problem> {
    let terminated = signal(SignalKind::terminate());
    let mut terminated = terminated.map_err(|error| {
        let message = format!("signals can't be heard ({error})");
        Problem::new(Exit::Failure, message)
    })?;
    tokio::select! {
        _ = ctrl_c() => (),
        _ = terminated.recv() => (),
    }
    Ok(())
}

async fn flush(watch: &EventWatch) -> Result<(), Problem> {
    match timeout(PATIENCE, watch.flush()).await {
        Ok(flushed) => Ok(flushed?),
        Err(_) => Err(Problem::new(
            Exit::Unavailable,
            "the last acknowledgements could not be sent; their events come again",
        )),
    }
}
