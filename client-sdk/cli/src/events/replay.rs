//! `bindery events replay`.

use std::time::SystemTime;

use bindery_client::ReplayRequest;
use bindery_proto::v1::ReplayEventsResponse;
use clap::{ArgGroup, Args};

use crate::{args::Output, json, moment, problem::Problem, record::id, resource, session::Session};

#[derive(Args, Debug)]
#[command(group(ArgGroup::new("to").required(true).args(["consumer", "subscription"])))]
pub(crate) struct Replay {
    /// The namespace
    namespace: String,
    /// To this consumer: it gets all that follow, too
    #[arg(long, value_name = "ID")]
    consumer: Option<String>,
    /// To the endpoint of this subscription
    #[arg(long, value_name = "ID")]
    subscription: Option<String>,
    /// Only events that the endpoint did not accept
    #[arg(long, conflicts_with = "consumer")]
    missing: bool,
    #[command(flatten)]
    span: Span,
}

/// Which events are sent again.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("begin").required(true).args(["since", "from"])))]
pub(crate) struct Span {
    /// From when on, such as 2h or 2026-11-30T04:20:00Z
    #[arg(long, value_name = "TIME", value_parser = moment::past)]
    since: Option<SystemTime>,
    /// From the event with this number on
    #[arg(long, value_name = "NUMBER")]
    from: Option<i64>,
    /// Up to when; for a subscription only, since a consumer gets all that follow
    #[arg(long, value_name = "TIME", value_parser = moment::past)]
    until: Option<SystemTime>,
    /// Count the events, and send nothing
    #[arg(long, visible_alias = "preview")]
    dry_run: bool,
}

pub(super) async fn run(replay: Replay, session: &Session) -> Result<(), Problem> {
    let namespace = resource::namespace(&replay.namespace)?;
    let request = match (&replay.consumer, &replay.subscription) {
        (None, Some(subscription)) => {
            let name = format!("{namespace}/subscriptions/{}", id(subscription));
            ReplayRequest::to_subscription(&namespace, name).missing_only(replay.missing)
        }
        (consumer, _) => {
            let consumer = id(consumer.as_deref().unwrap_or_default());
            ReplayRequest::to_consumer(&namespace, consumer)
        }
    };
    replayed(request, &replay.span, session).await
}

/// Sends again, and says what.
pub(crate) async fn replayed(
    request: ReplayRequest,
    span: &Span,
    session: &Session,
) -> Result<(), Problem> {
    let mut request = request.preview(span.dry_run);
    if let Some(time) = span.since {
        request = request.since(time);
    }
    if let Some(number) = span.from {
        request = request.since_sequence(number);
    }
    if let Some(time) = span.until {
        request = request.until(time);
    }
    let answer = session.client().await?.replay_events(request).await?;
    match session.output {
        Output::Json => session.json(&json::value("bindery.v1.ReplayEventsResponse", &answer)?),
        Output::Name => Ok(()),
        _ => session.line(&words(&answer, span.dry_run)),
    }
}

fn words(answer: &ReplayEventsResponse, dry_run: bool) -> String {
    let (count, first, last) = (
        answer.event_count,
        answer.first_sequence,
        answer.last_sequence,
    );
    let verb = if dry_run { "would be" } else { "are" };
    match count {
        0 => format!("no events {verb} sent again"),
        1 => format!("1 event {} sent again: {first}", verb.replace("are", "is")),
        _ => format!("{count} events {verb} sent again: {first} to {last}"),
    }
}
