//! Which events to follow, and how.

use std::{
    fmt::{self, Display},
    sync::Arc,
    time::Duration,
};

use bindery_proto::v1::WatchEventsRequest;

use super::watch::EventWatch;
use crate::{Client, Error};

/// How often the daemon is asked for a sign of life.
const HEARTBEAT: Duration = Duration::from_secs(30);

pub(super) type Listener = Arc<dyn Fn(&Error) + Send + Sync>;
/// Says which events to follow, and how: made by [`Client::events`].
#[derive(Clone)]
#[must_use]
pub struct Events {
    client: Client,
    request: WatchEventsRequest,
    heartbeat: Duration,
    listener: Option<Listener>,
}

impl Client {
    /// Follows the events of `namespaces/{namespace}`.
    ///
    /// ```no_run
    /// # async fn example(client: bindery_client::Client) -> Result<(), bindery_client::Error> {
    /// # fn build(_: &bindery_client::proto::v1::Event) {}
    /// let mut watch = client.events("namespaces/acme").consumer("builder").watch();
    /// loop {
    ///     let event = watch.next().await?;
    ///     build(&event);
    ///     // Is sent in the background, many with one call; `.await` it to know that it is durable.
    ///     watch.ack(&event);
    /// }
    /// # }
    /// ```
    pub fn events(&self, namespace: impl Display) -> Events {
        Events {
            client: self.clone(),
            request: WatchEventsRequest {
                parent: namespace.to_string(),
                ..WatchEventsRequest::default()
            },
            heartbeat: HEARTBEAT,
            listener: None,
        }
    }
}

impl Events {
    /// Under a name with a place that the daemon keeps: a later watch goes on after the last acknowledgement.
    /// One watch at a time; a new one takes over. Before its first acknowledgement a consumer starts with the
    /// events to come, like one without a name, unless [`after`](Self::after) says otherwise.
    pub fn consumer(mut self, id: impl Into<String>) -> Self {
        self.request.consumer_id = id.into();
        self
    }

    /// Starts after this event, whatever was acknowledged.
    pub fn after(mut self, sequence: i64) -> Self {
        self.request.after_sequence = Some(sequence);
        self
    }

    /// Starts with the oldest event that is kept.
    pub fn oldest(self) -> Self {
        self.after(0)
    }

    /// Only some events: comparisons of `link`, `source`, `repository`, `change`, `ref` or `verdict`, joined
    /// by `AND`.
    pub fn filter(mut self, filter: impl Into<String>) -> Self {
        self.request.filter = filter.into();
        self
    }

    /// With what the provider sent, for which the caller needs a right of its own.
    pub fn include_payload(mut self, include: bool) -> Self {
        self.request.include_payload = include;
        self
    }

    /// How often the daemon gives a sign of life while there are no events; 30 seconds unless set, at least
    /// one. After two and a half of it without any the connection counts as dead.
    pub fn heartbeat(mut self, interval: Duration) -> Self {
        self.heartbeat = interval.max(Duration::from_secs(1));
        self
    }

    /// How many events may be sent and not acknowledged before the daemon waits; 1,000 unless set.
    pub fn max_unacknowledged(mut self, events: u16) -> Self {
        self.request.max_unacknowledged = events.into();
        self
    }

    /// Is called with the reason whenever the stream breaks and will be connected again.
    pub fn on_interruption(mut self, listener: impl Fn(&Error) + Send + Sync + 'static) -> Self {
        self.listener = Some(Arc::new(listener));
        self
    }

    /// Begins; the daemon is asked when the first event is.
    #[must_use]
    pub fn watch(mut self) -> EventWatch {
        self.request.heartbeat_interval = self.heartbeat.try_into().ok();
        EventWatch::new(self.client, self.request, self.heartbeat, self.listener)
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Events")
            .field("request", &self.request)
            .field("heartbeat", &self.heartbeat)
            .finish_non_exhaustive()
    }
}
