//! A connection that deliveries are posted over, one after the other

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::{StatusCode, header::RETRY_AFTER};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use url::Url;

use crate::pushes::Delivery;

/// A server that says nothing for so long has failed its test
const PATIENCE: Duration = Duration::from_secs(60);

/// From where to where a connection leads
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    from: Ipv4Addr,
    to: SocketAddr,
}

/// Sends over a connection of its own, which it opens anew after it broke
#[derive(Debug)]
pub struct Sender {
    place: Place,
    connection: Option<SendRequest<Full<Bytes>>>,
}

/// What a sender was told
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer {
    /// 2xx: it is kept
    Taken,
    /// 429 or 503: it is to come again after so many seconds
    Later(u64),
    /// Another status
    Refused(StatusCode),
}

impl Sender {
    /// The one with this number to the server of a URL
    ///
    /// Each has a loopback address of its own, since a server may take only a few connections from one address.
    ///
    /// # Errors
    ///
    /// When the URL does not lead to a port of an IPv4 address.
    pub fn new(server: &str, number: u8) -> Result<Self> {
        Ok(Self {
            place: Place::new(server, number)?,
            connection: None,
        })
    }

    /// Posts a delivery, and reads the answer
    ///
    /// # Errors
    ///
    /// When there is no answer, or a part of one: then nobody knows what became of it.
    pub async fn post(&mut self, delivery: &Delivery) -> Result<Answer> {
        let answer = timeout(PATIENCE, self.exchange(delivery)).await;
        let answer = answer
            .context("no answer in time")
            .and_then(|answer| answer);
        if answer.is_err() {
            self.connection = None;
        }
        answer
    }

    async fn exchange(&mut self, delivery: &Delivery) -> Result<Answer> {
        if self.connection.as_ref().is_none_or(SendRequest::is_closed) {
            self.connection = Some(connect(self.place).await?);
        }
        let connection = self.connection.as_mut().context("no connection")?;
        connection.ready().await?;
        let answer = connection.send_request(delivery.request()?).await?;
        let (head, body) = answer.into_parts();
        let seconds = head.headers.get(RETRY_AFTER);
        let seconds = seconds.and_then(|value| value.to_str().ok()?.parse().ok());
        body.collect().await?;
        Ok(match head.status {
            status if status.is_success() => Answer::Taken,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                ensure!(seconds.is_some(), "it does not say when to come again");
                Answer::Later(seconds.unwrap_or_default())
            }
            status => Answer::Refused(status),
        })
    }
}

impl Place {
    /// That of the sender with this number
    pub(crate) fn new(server: &str, number: u8) -> Result<Self> {
        let addresses = Url::parse(server)?.socket_addrs(|| None)?;
        let to = addresses.into_iter().find(SocketAddr::is_ipv4);
        Ok(Self {
            from: Ipv4Addr::new(127, 0, 1, number),
            to: to.context("no address")?,
        })
    }

    pub(crate) async fn connect(self) -> Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((self.from, 0).into())?;
        let stream = socket.connect(self.to).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

async fn connect(place: Place) -> Result<SendRequest<Full<Bytes>>> {
    let stream = place.connect().await?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    // A connection that breaks shows in the requests on it.
    tokio::spawn(connection);
    Ok(sender)
}
