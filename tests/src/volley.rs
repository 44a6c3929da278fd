//! A connection that many deliveries are sent over at once, so that the sender costs as little as it can
//!
//! Their bytes are made once. All of them are written before the first answer is read, as HTTP/1.1 allows (RFC 9112, 9.3.2);
//! answers come in the same order.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::pushes::Delivery;
use crate::sender::Place;

/// A server that says nothing for so long has failed its test
const PATIENCE: Duration = Duration::from_secs(60);
/// Headers of an answer, at most
const HEADERS: usize = 32;

/// The same deliveries, again and again
#[derive(Debug)]
pub struct Volley {
    stream: TcpStream,
    requests: Vec<u8>,
    count: usize,
    /// What was read and not yet taken for an answer
    read: Vec<u8>,
}

impl Volley {
    /// Connects as the sender with this number, with deliveries that are sent at once
    ///
    /// # Errors
    ///
    /// When the server is not there.
    pub async fn of(server: &str, number: u8, deliveries: &[Delivery]) -> Result<Self> {
        ensure!(!deliveries.is_empty(), "there is nothing to send");
        Ok(Self {
            stream: Place::new(server, number)?.connect().await?,
            requests: deliveries.iter().flat_map(Delivery::on_the_wire).collect(),
            count: deliveries.len(),
            read: Vec::with_capacity(64 << 10),
        })
    }

    /// Sends all of them, and returns what each was answered
    ///
    /// # Errors
    ///
    /// When there are fewer answers, or what can't be read as such.
    pub async fn fire(&mut self) -> Result<Vec<StatusCode>> {
        let fired = timeout(PATIENCE, async {
            self.stream.write_all(&self.requests).await?;
            let mut answers = Vec::with_capacity(self.count);
            while answers.len() < self.count {
                answers.push(self.answer().await?);
            }
            Ok(answers)
        });
        fired.await.context("no answer in time")?
    }

    async fn answer(&mut self) -> Result<StatusCode> {
        loop {
            if let Some((status, length)) = first_answer(&self.read)? {
                self.read.drain(..length);
                return Ok(status);
            }
            let more = self.stream.read_buf(&mut self.read).await?;
            ensure!(more > 0, "the server closed the connection");
        }
    }
}

/// Status and length of the first answer in these bytes, once it is there as a whole
fn first_answer(bytes: &[u8]) -> Result<Option<(StatusCode, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut answer = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = answer.parse(bytes)? else {
        return Ok(None);
    };
    let status = StatusCode::from_u16(answer.code.context("no status")?)?;
    let mut all = answer.headers.iter();
    let length = all.find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let Some(length) = length else {
        bail!("{status}: the answer does not say how long it is");
    };
    let length: usize = std::str::from_utf8(length.value)?.parse()?;
    let whole = head + length;
    Ok((bytes.len() >= whole).then_some((status, whole)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer counts once it is there as a whole, and what is behind it is left for the next.
    #[test]
    fn answers_are_told_apart() {
        let one = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 3\r\n\r\nno\n";
        let two = [one.as_slice(), b"HTTP/1.1 202 Accepted\r\n"].concat();
        assert_eq!(
            first_answer(&two).expect("answer"),
            Some((StatusCode::UNAUTHORIZED, one.len()))
        );
        for end in 0..one.len() {
            assert_eq!(first_answer(&one[..end]).expect("part"), None, "{end}");
        }
        assert!(first_answer(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
