//! Following a link.

use std::fmt::{self, Display};

use bindery_proto::v1::{
    Link, WatchLinkRequest, WatchLinkResponse, link_service_client::LinkServiceClient,
};
use tokio::time::sleep;
use tonic::{Code, Streaming};

use crate::{Client, Error, random, retry::passes};

/// A link after a change of its state.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WatchedLink {
    /// The link as it is now.
    pub link: Link,
    /// Whether this caller started the flow and can confirm it now.
    pub confirmable: bool,
}

/// Follows a link. It connects again by itself where the connection or the daemon goes away for a moment;
/// the link is then sent again as it is.
pub struct LinkWatch {
    client: Client,
    name: String,
    stream: Option<Streaming<WatchLinkResponse>>,
    /// Failures since the last answer.
    failures: u32,
}

impl Client {
    /// Follows a link: sends it now and after every change, until it is unlinked.
    #[must_use]
    pub fn watch_link(&self, name: impl Display) -> LinkWatch {
        LinkWatch {
            client: self.clone(),
            name: name.to_string(),
            stream: None,
            failures: 0,
        }
    }
}

impl LinkWatch {
    /// The next state; `None` when the daemon has nothing more to say. Dropping the call loses nothing.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], and [`Error::Unavailable`] after several attempts to connect again.
    pub async fn next(&mut self) -> Result<Option<WatchedLink>, Error> {
        loop {
            match self.receive().await {
                Ok(None) => return Ok(None),
                Ok(Some(answer)) => {
                    self.failures = 0;
                    if let Some(link) = answer.link {
                        let confirmable = answer.confirmable;
                        return Ok(Some(WatchedLink { link, confirmable }));
                    }
                }
                Err(error) => self.recover(error).await?,
            }
        }
    }

    async fn receive(&mut self) -> Result<Option<WatchLinkResponse>, Error> {
        let endpoint = self.client.endpoint().to_string();
        let failed = |status: &tonic::Status| Error::from_answer(status, &endpoint);
        if self.stream.is_none() {
            let message = WatchLinkRequest {
                name: self.name.clone(),
            };
            let request = self.client.request(message, &random::uuid()?);
            let mut service = LinkServiceClient::new(self.client.channel());
            let answer = service
                .watch_link(request)
                .await
                .map_err(|status| failed(&status))?;
            self.stream = Some(answer.into_inner());
        }
        match &mut self.stream {
            Some(stream) => stream.message().await.map_err(|status| failed(&status)),
            None => Ok(None),
        }
    }

    async fn recover(&mut self, error: Error) -> Result<(), Error> {
        self.stream = None;
        self.failures += 1;
        let policy = &self.client.settings().retry;
        let passing = error
            .failure()
            .is_some_and(|failure| failure.code == Code::Unavailable && passes(&failure.reason));
        if !passing || self.failures >= policy.max_attempts {
            return Err(error);
        }
        sleep(policy.pause(self.failures)).await;
        Ok(())
    }
}

impl fmt::Debug for LinkWatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("LinkWatch")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
