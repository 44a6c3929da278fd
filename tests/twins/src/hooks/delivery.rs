//! Deliveries: HTTP requests to hooks, and what came of them

use crate::http;

/// A request as it leaves the forge
#[derive(Clone)]
pub struct Outgoing {
    /// Upper case
    pub method: &'static str,
    /// Where it goes
    pub url: String,
    /// Headers, spelt as the forge spells them
    pub headers: Vec<(String, String)>,
    /// The bytes that are signed, or that hold what is signed
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outgoing")
            .field("method", &self.method)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl Outgoing {
    /// A POST of a body
    #[must_use]
    pub fn post(url: &str, content_type: &str, body: Vec<u8>) -> Self {
        Self {
            method: "POST",
            url: url.to_owned(),
            headers: vec![("Content-Type".to_owned(), content_type.to_owned())],
            body,
        }
    }

    /// A POST of a JSON text, as it is or as the field `payload` of a form
    #[must_use]
    pub fn payload(url: &str, form: bool, payload: &str) -> Self {
        if !form {
            return Self::post(url, "application/json", payload.as_bytes().to_vec());
        }
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.append_pair("payload", payload);
        let body = body.finish().into_bytes();
        Self::post(url, "application/x-www-form-urlencoded", body)
    }

    /// With more headers
    #[must_use]
    pub fn with<N: Into<String>, V: Into<String>>(
        mut self,
        headers: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        let more = headers.into_iter();
        self.headers
            .extend(more.map(|(name, value)| (name.into(), value.into())));
        self
    }

    /// The first header of that name, in whatever case
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.iter();
        let found = all.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// As a receiver without a socket gets it
    #[must_use]
    pub fn received(&self) -> http::Request {
        let url = url::Url::parse(&self.url).ok();
        let target = url.map(|url| url[url::Position::BeforePath..].to_owned());
        let headers = self.headers.iter();
        http::Request {
            headers: headers
                .map(|(name, value)| (name.to_lowercase(), value.clone()))
                .collect(),
            body: self.body.clone(),
            ..http::Request::new(self.method, &target.unwrap_or_default())
        }
    }
}

/// One attempt to tell a hook something
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Number of this attempt; given when it is queued
    pub id: u64,
    /// Id of the hook
    pub hook: u64,
    /// Id of the repository
    pub repository: u64,
    /// The event in the forge's words
    pub event: String,
    /// What kind of it, where the event has several
    pub action: Option<String>,
    /// What stays the same however often it is sent
    pub guid: String,
    /// 1 for the first
    pub attempt: u32,
    /// Whether somebody asked for it to be sent once more
    pub redelivery: bool,
    /// Whether it is sent although the hook is switched off
    pub forced: bool,
    /// Not before this time
    pub due_ms: u64,
    /// The request
    pub request: Outgoing,
}

impl Delivery {
    /// The first attempt, at once
    #[must_use]
    pub const fn first(
        (hook, repository): (u64, u64),
        event: String,
        guid: String,
        request: Outgoing,
    ) -> Self {
        Self {
            id: 0,
            hook,
            repository,
            event,
            action: None,
            guid,
            attempt: 1,
            redelivery: false,
            forced: false,
            due_ms: 0,
            request,
        }
    }

    /// The same once more at a later time, with the same names
    pub(super) fn next_attempt(&self, due_ms: u64) -> Self {
        let mut next = Self {
            attempt: self.attempt + 1,
            due_ms,
            ..self.clone()
        };
        let headers = next.request.headers.iter_mut();
        headers
            .filter(|(name, _)| name == "X-Attempt-Number")
            .for_each(|(_, value)| *value = next.attempt.to_string());
        next
    }
}

/// What a receiver did
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// It answered with this status
    Answered(u16),
    /// It could not be reached, or did not answer in time
    Unreachable,
}

impl Outcome {
    /// Whether forges that try again would
    #[must_use]
    pub const fn is_worth_another_try(self) -> bool {
        match self {
            Self::Answered(status) => status >= 500,
            Self::Unreachable => true,
        }
    }

    /// Whether somebody took it
    #[must_use]
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Answered(200..=299))
    }

    /// The status, where there was one
    #[must_use]
    pub const fn status(self) -> Option<u16> {
        match self {
            Self::Answered(status) => Some(status),
            Self::Unreachable => None,
        }
    }
}

/// A delivery that was made
#[derive(Clone, Debug)]
pub struct Sent {
    /// What was sent
    pub delivery: Delivery,
    /// What came of it
    pub outcome: Outcome,
    /// When
    pub at_ms: u64,
}

/// A delivery that never was
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Dropped {
    /// Id of the hook
    pub hook: u64,
    /// The event in the forge's words
    pub event: String,
    /// Its stable id
    pub guid: String,
    /// Why not
    pub why: Why,
}

/// Why something was not sent
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Why {
    /// The hook is switched off, by a person or by the forge
    Disabled,
    /// The body is larger than the forge sends
    TooLarge,
    /// A test wanted it so
    Test,
}
