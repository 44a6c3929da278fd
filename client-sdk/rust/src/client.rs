//! The connection that all calls share.

use std::{fmt, sync::Arc, time::Duration};

use tonic::transport::Channel;

use crate::{ClientBuilder, Endpoint, Error, Raw, RetryPolicy, builder::Hook};

/// A connection to a daemon. Cloning is cheap and shares the connection, which comes back by itself.
#[derive(Clone)]
pub struct Client {
    channel: Channel,
    settings: Arc<Settings>,
}

/// What does not change after connecting.
pub(crate) struct Settings {
    pub(crate) endpoint: Endpoint,
    pub(crate) deadline: Duration,
    pub(crate) forge_deadline: Duration,
    pub(crate) retry: RetryPolicy,
    pub(crate) program: String,
    pub(crate) hook: Option<Hook>,
}

impl Client {
    /// Connects as the environment says; see the [crate](crate#environment).
    ///
    /// # Errors
    ///
    /// [`Error::Configuration`] where the environment can't be used, [`Error::Unavailable`] where no daemon
    /// answers.
    pub async fn connect() -> Result<Self, Error> {
        ClientBuilder::from_env().connect().await
    }

    /// Chooses everything; the environment is not read.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// The generated clients on the same connection: no deadline, no retry, no typed error.
    #[must_use]
    pub fn raw(&self) -> Raw {
        Raw::new(self.channel.clone())
    }

    /// Where the daemon is.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.settings.endpoint
    }

    pub(crate) fn new(channel: Channel, settings: Settings) -> Self {
        Self {
            channel,
            settings: Arc::new(settings),
        }
    }

    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoint = &self.settings.endpoint;
        formatter
            .debug_struct("Client")
            .field("endpoint", endpoint)
            .finish_non_exhaustive()
    }
}
