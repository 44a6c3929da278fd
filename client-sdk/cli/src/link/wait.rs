//! Waiting for a person, with a line that shows how far it is.

use std::time::Duration;

use bindery_client::Client;
use bindery_proto::v1::Link;

use super::who;
use crate::{
    args::Output,
    problem::{Exit, Problem},
    progress::Progress,
    record::id,
    session::Session,
};

pub(super) async fn until_bound(
    client: &Client,
    name: &str,
    limit: Duration,
    session: &Session,
) -> Result<(), Problem> {
    let mut progress = Progress::start(session);
    let outcome = {
        let waiting =
            client.wait_until_bound(name, limit, |watched| progress.update(&watched.link));
        tokio::select! {
            outcome = waiting => Some(outcome),
            _ = tokio::signal::ctrl_c() => None,
        }
    };
    progress.end();
    match outcome {
        Some(Ok(link)) if session.output == Output::Table => say_bound(&link, session),
        // Its name was printed when it was started.
        Some(Ok(_)) if session.output == Output::Name => Ok(()),
        Some(Ok(link)) => session.show(&link),
        Some(Err(error)) => {
            if matches!(error, bindery_client::Error::DeadlineExceeded(_)) {
                say_how_to_go_on(name, session);
            }
            Err(error.into())
        }
        None => {
            say_how_to_go_on(name, session);
            Err(Problem::new(
                Exit::Interrupted,
                format!("interrupted; {name} stays pending"),
            ))
        }
    }
}

fn say_how_to_go_on(name: &str, session: &Session) {
    session.say(&format!("go on with:   bindery link wait {name}"));
    session.say(&format!("give up with: bindery link cancel {name}"));
}

pub(super) fn say_bound(link: &Link, session: &Session) -> Result<(), Problem> {
    let identity = link.identity.clone().unwrap_or_default();
    session.line(&format!("bound: {} on {}", who(&identity), id(&link.host)))?;
    session.say(&format!("link: {}", link.name));
    Ok(())
}
