//! A real OAuth server in a process of its own, and the calls that tests make of it without Bindery

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use http::{Request, StatusCode, header};
use serde_json::Value;
use url::{Url, form_urlencoded};

use crate::browser::Wire;

/// A child that doesn't outlive its owner
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// Kept open, so that what it says later does not end it
    output: Option<BufReader<ChildStdout>>,
}

impl Process {
    /// One that was started already
    pub(crate) const fn of(child: Child) -> Self {
        Self {
            child,
            output: None,
        }
    }

    /// How it ended, if it did
    pub(crate) fn ended(&mut self) -> std::io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Starts a server that writes its URL as a line to standard output once it listens, and returns that URL
    ///
    /// What it says before that is passed over.
    pub(crate) fn start(command: &mut Command) -> Result<(Self, Url)> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().context("the server can't be started")?;
        let output = child.stdout.take().map(BufReader::new);
        let mut process = Self { child, output };
        let url = process.listening()?;
        Ok((process, url))
    }

    fn listening(&mut self) -> Result<Url> {
        let output = self.output.as_mut().context("the server has no output")?;
        let mut line = String::new();
        while output.read_line(&mut line)? > 0 {
            match Url::parse(line.trim()) {
                Ok(url) if url.scheme() == "http" => return Ok(url),
                _ => line.clear(),
            }
        }
        bail!("the server ended before it listened")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Calls to a server, answered in JSON
#[derive(Debug)]
pub(crate) struct Calls {
    /// Where it is, with a slash at the end
    pub(crate) base: Url,
    /// What answers, to be shared with a browser
    pub(crate) wire: Arc<Wire>,
}

/// What was answered; `null` where it was no JSON
pub(crate) type Answer = (StatusCode, Value);

impl Calls {
    /// Calls to a server at this URL, in the clear
    pub(crate) fn to(base: Url) -> Result<Self> {
        let wire = Arc::new(Wire::plain()?);
        Ok(Self { base, wire })
    }

    /// GET, with a bearer token where there is one
    pub(crate) async fn get(&self, path: &str, token: Option<&str>) -> Result<Answer> {
        let mut request = Request::get("/");
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        self.send(path, request.body(String::new())?).await
    }

    /// POST of form fields
    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Result<Answer> {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let kind = "application/x-www-form-urlencoded";
        let request = Request::post("/").header(header::CONTENT_TYPE, kind);
        self.send(path, request.body(body)?).await
    }

    async fn send(&self, path: &str, request: Request<String>) -> Result<Answer> {
        let answer = self.wire.send(&self.base.join(path)?, request).await?;
        let json = serde_json::from_slice(answer.body()).unwrap_or_default();
        Ok((answer.status(), json))
    }
}
