//! One unary call: headers, deadline, retries.

use std::time::Duration;

use tonic::{
    Request, Response, Status,
    metadata::{AsciiMetadataValue, MetadataMap},
    transport::Channel,
};

use crate::{
    Client, Error, random,
    retry::{self, Effect},
};

/// How a call is treated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub(crate) effect: Effect,
    /// Whether the daemon asks a forge before it answers.
    pub(crate) forge: bool,
}

impl Manner {
    pub(crate) const READ: Self = Self {
        effect: Effect::None,
        forge: false,
    };
    pub(crate) const READ_AT_FORGE: Self = Self {
        effect: Effect::None,
        forge: true,
    };
    pub(crate) const KEYED: Self = Self {
        effect: Effect::Keyed,
        forge: false,
    };
    pub(crate) const KEYED_AT_FORGE: Self = Self {
        effect: Effect::Keyed,
        forge: true,
    };
    pub(crate) const HAND_OUT: Self = Self {
        effect: Effect::HandOut,
        forge: true,
    };
    pub(crate) const ONCE: Self = Self {
        effect: Effect::Once,
        forge: false,
    };
    pub(crate) const ONCE_AT_FORGE: Self = Self {
        effect: Effect::Once,
        forge: true,
    };
}

impl Client {
    pub(crate) async fn call<M, R, S, F>(
        &self,
        manner: Manner,
        message: M,
        send: S,
    ) -> Result<R, Error>
    where
        M: Clone,
        S: Fn(Channel, Request<M>) -> F,
        F: Future<Output = Result<Response<R>, Status>>,
    {
        let settings = self.settings();
        let limit = if manner.forge {
            settings.forge_deadline
        } else {
            settings.deadline
        };
        let endpoint = settings.endpoint.to_string();
        let id = random::uuid()?;
        let attempt = |left: Duration| {
            let mut request = self.request(message.clone(), &id);
            request.set_timeout(left);
            let answer = send(self.channel(), request);
            async move { answer.await.map(Response::into_inner) }
        };
        retry::run(&settings.retry, manner.effect, limit, &endpoint, attempt).await
    }

    /// A request with the headers that all have. One id stands for all attempts of one call.
    pub(crate) fn request<M>(&self, message: M, id: &str) -> Request<M> {
        let mut request = Request::new(message);
        let headers = request.metadata_mut();
        set(headers, "x-bindery-client", &self.settings().program);
        set(headers, "x-request-id", id);
        if let Some(hook) = &self.settings().hook {
            hook(headers);
        }
        request
    }
}

/// A value that can't be a header is left out.
fn set(headers: &mut MetadataMap, key: &'static str, value: &str) {
    if let Ok(value) = AsciiMetadataValue::try_from(value) {
        headers.insert(key, value);
    }
}

/// Longest answer that is read: an event or a delivery can hold what a provider sent, up to 25 MiB.
pub(crate) const LONGEST_ANSWER: usize = 64 * 1024 * 1024;

/// Calls a method of a generated client: `call!(self, MANNER, client::Type, method, message)`.
macro_rules! call {
    ($client:expr, $manner:expr, $service:path, $method:ident, $message:expr) => {
        $client
            .call($manner, $message, |channel, request| async move {
                <$service>::new(channel)
                    .max_decoding_message_size($crate::call::LONGEST_ANSWER)
                    .$method(request)
                    .await
            })
            .await
    };
}

/// The same for a request with a `request_id`, which is filled in where it is empty.
macro_rules! keyed {
    ($client:expr, $manner:expr, $service:path, $method:ident, $message:expr) => {{
        let mut message = $message;
        if message.request_id.is_empty() {
            message.request_id = $crate::random::uuid()?;
        }
        $crate::call::call!($client, $manner, $service, $method, message)
    }};
}

pub(crate) use {call, keyed};
