//! Client for the Bindery daemon.
//!
//! ```no_run
//! use bindery_client::{Client, CredentialRequest};
//!
//! # async fn example() -> Result<(), bindery_client::Error> {
//! // BINDERY_ENDPOINT, or the daemon of this machine.
//! let client = Client::connect().await?;
//! let request = CredentialRequest::new("namespaces/acme/links/8c1f").repository("acme/api");
//! let credential = client.read_credential(&request).await?;
//! println!("git clone {} as {}", credential.clone_uri, credential.git_username);
//! // The token never prints; `expose` is the one way to it.
//! assert_eq!(format!("{:?}", credential.token), "Token([redacted])");
//! # Ok(())
//! # }
//! ```
//!
//! # Environment
//!
//! [`Client::connect`] and [`ClientBuilder::from_env`] read:
//!
//! | Variable | Meaning |
//! |---|---|
//! | `BINDERY_ENDPOINT` | `unix:///run/bindery/bindery.sock` (the default), `https://host:7443`, or `http://` to a loopback address |
//! | `BINDERY_CA_FILE` | with `https`: certificate authorities of the daemon, PEM |
//! | `BINDERY_CERT_FILE`, `BINDERY_KEY_FILE` | with `https`: the caller's certificate chain and key, PEM |
//!
//! # What it does by itself
//!
//! * A call ends after 5 seconds, one that asks a forge after 60; see [`ClientBuilder::deadline`].
//! * A call that failed is sent again only where that can't act twice: see [`RetryPolicy`].
//! * `request_id` is filled in, so that making and deleting can be sent again.
//! * A failure is one of the cases of [`Error`], with its stable reason, and the page where a
//!   person acts.
//! * [`EventWatch`] follows the events of a namespace over restarts and broken connections, without a
//!   loss, and acknowledges many with one call.
//! * [`CredentialSource`] keeps a credential, renews it once for all callers, and bridges a restart
//!   of the daemon.
//!
//! # Map
//!
//! | Module | What is in it |
//! |---|---|
//! | [`names`] | building and parsing resource names |
//! | [`proto`] | the generated messages, and raw clients for them ([`Client::raw`]) |
//! | `testing` | with the feature `testing`: a daemon in the own process |
#![forbid(unsafe_code)]

mod admin;
mod builder;
mod call;
mod change;
mod client;
mod credentials;
mod dial;
mod endpoint;
mod error;
mod events;
mod hooks;
mod hosts;
mod links;
pub mod names;
mod namespaces;
mod page;
mod providers;
mod random;
mod raw;
mod repositories;
mod retry;
mod source;
mod sources;
mod subscriptions;
#[cfg(feature = "testing")]
pub mod testing;
mod token;
mod triggers;
mod wait;
mod watch;

/// The generated messages and clients.
pub use bindery_proto as proto;
pub use tonic::{Code, Status};

pub use crate::{
    admin::{BackupDownload, KeyBytes, NewSlot, UnsealWith},
    builder::ClientBuilder,
    change::Change,
    client::Client,
    credentials::{Credential, CredentialRequest},
    endpoint::Endpoint,
    error::{Error, Facts, Failure, Violation},
    events::{Ack, Acker, EventQuery, EventWatch, Events, ReplayRequest},
    hooks::RotationRequest,
    hosts::AppHookRequest,
    links::{ConfirmRequest, LinkRequest, ReauthorizeRequest, UnlinkRequest},
    page::{Notice, Page, Pages},
    raw::Raw,
    repositories::RepositoryQuery,
    retry::RetryPolicy,
    source::CredentialSource,
    sources::{DisconnectRequest, SourceRequest},
    subscriptions::{NewSubscription, SubscriptionRequest},
    token::Token,
    triggers::{NewTrigger, TriggerRequest},
    watch::{LinkWatch, WatchedLink},
};
