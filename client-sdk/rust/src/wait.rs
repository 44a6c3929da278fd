//! Waiting for a person.

use std::{fmt::Display, time::Duration};

use bindery_proto::v1::{
    Link, ObservedState,
    observed_state::{Cause, Stage},
};
use tokio::time::{Instant, timeout_at};
use tonic::Code;

use crate::{
    Client, Error, WatchedLink,
    error::{Facts, Failure},
};

impl Client {
    /// Waits until a person has consented and confirmed, and returns the link. `progress` sees every state
    /// on the way. Dropping the call leaves the flow as it is.
    ///
    /// ```no_run
    /// # async fn example(client: bindery_client::Client) -> Result<(), bindery_client::Error> {
    /// use bindery_client::LinkRequest;
    ///
    /// let request = LinkRequest::oauth("namespaces/acme", "hosts/github.com");
    /// let started = client.create_link(request).await?;
    /// if let Some(authorization) = &started.authorization {
    ///     println!("{}", authorization.authorization_uri);
    /// }
    /// let name = started.link.unwrap_or_default().name;
    /// let ten_minutes = std::time::Duration::from_secs(600);
    /// let link = client.wait_until_bound(&name, ten_minutes, |_| ()).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::DeadlineExceeded`] after `limit`, [`Error::Precondition`] where the flow ended without a
    /// grant, [`Error::NeedsReauthorization`] where nothing is under way, and those of watching.
    pub async fn wait_until_bound(
        &self,
        name: impl Display,
        limit: Duration,
        mut progress: impl FnMut(&WatchedLink),
    ) -> Result<Link, Error> {
        let until = Instant::now() + limit;
        let mut watch = self.watch_link(&name);
        loop {
            let Ok(next) = timeout_at(until, watch.next()).await else {
                return Err(too_late(&name, limit));
            };
            let Some(watched) = next? else {
                return Err(ended(&name, &ObservedState::default()));
            };
            progress(&watched);
            if let Some(outcome) = outcome(watched.link) {
                return outcome;
            }
        }
    }
}

/// How the waiting ended; `None` where it goes on.
fn outcome(link: Link) -> Option<Result<Link, Error>> {
    let observed = link.observed.clone().unwrap_or_default();
    match observed.stage() {
        // A new grant for a link that was bound before is still on its way.
        _ if link.flow.as_ref().is_some_and(|flow| flow.reauthorization) => None,
        Stage::Bound => Some(Ok(link)),
        Stage::NeedsReauthorization if link.flow.is_none() => {
            Some(Err(dead(&link.name, &observed)))
        }
        Stage::Unlinking | Stage::Unlinked => Some(Err(ended(&link.name, &observed))),
        _ => None,
    }
}

fn too_late(name: &dyn Display, limit: Duration) -> Error {
    let message =
        format!("nobody finished the authorization of {name} within {limit:?}; wait longer");
    Error::local(Code::DeadlineExceeded, message)
}

fn ended(name: &dyn Display, observed: &ObservedState) -> Error {
    let why = match observed.message.as_str() {
        "" => format!("the authorization of {name} ended without a grant; create the link again"),
        message => message.to_owned(),
    };
    Error::from_failure(Failure::new(
        Code::FailedPrecondition,
        reason(observed.cause()),
        why,
    ))
}

fn reason(cause: Cause) -> &'static str {
    match cause {
        Cause::ConsentDenied => "CONSENT_DENIED",
        Cause::FlowExpired | Cause::NotConfirmed => "FLOW_EXPIRED",
        Cause::FlowCancelled => "FLOW_USED",
        _ => "LINK_UNLINKED",
    }
}

fn dead(name: &str, observed: &ObservedState) -> Error {
    let message = match observed.message.as_str() {
        "" => format!("the provider no longer accepts the grant of {name}; authorize it again"),
        message => message.to_owned(),
    };
    let reason = "LINK_NEEDS_REAUTHORIZATION";
    let cause = observed
        .cause()
        .as_str_name()
        .trim_start_matches("CAUSE_")
        .to_owned();
    let plain = Failure::new(Code::FailedPrecondition, reason, message);
    Error::from_failure(Failure::of(Facts {
        url: Some(observed.action_uri.clone()).filter(|url| !url.is_empty()),
        metadata: [("cause".to_owned(), cause)].into(),
        ..Facts::clone(&plain)
    }))
}
