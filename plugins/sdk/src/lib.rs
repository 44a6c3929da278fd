//! Write a provider plugin in straight-line async Rust
//!
//! A whole plugin, and a test of it:
//!
//! ```
//! use bindery_plugin_sdk::{Cx, Provider, Request, Result, Secret, v1};
//! use serde::Deserialize;
//!
//! #[derive(Default)]
//! pub struct Demo;
//!
//! #[derive(Deserialize)]
//! struct User {
//!     id: u64,
//!     login: String,
//! }
//!
//! impl Provider for Demo {
//!     fn description() -> v1::Description {
//!         v1::Description {
//!             provider: "demo".to_owned(),
//!             version: "1.0.0".to_owned(),
//!             display_name: "Demo".to_owned(),
//!             operations: vec![v1::Operation::Identify.into()],
//!             secrets: vec!["access_token".to_owned()],
//!             ..v1::Description::default()
//!         }
//!     }
//!
//!     async fn identify(&self, cx: &Cx, _: v1::Identify) -> Result<v1::Identity> {
//!         let request = Request::get(cx.api(&["user"])?).bearer(Secret("access_token"));
//!         let response = cx.send(request).await?;
//!         if !response.is_success() {
//!             return Err(response.failure(cx.now_unix_ms()));
//!         }
//!         let user: User = response.json()?;
//!         Ok(v1::Identity {
//!             stable_id: user.id.to_string(),
//!             login: user.login,
//!             ..v1::Identity::default()
//!         })
//!     }
//! }
//!
//! bindery_plugin_sdk::export_provider!(Demo);
//!
//! # fn main() {
//! use bindery_plugin_sdk::testing::{Driver, Reply};
//!
//! let run = Driver::<Demo>::new()
//!     .on("GET", "https://api.test/user", Reply::json(200, r#"{"id": 7, "login": "ada"}"#))
//!     .run(v1::Identify {});
//! assert_eq!(run.identity().login, "ada");
//! assert_eq!(run.requests[0].header("authorization"), Some("Bearer <secret:access_token>"));
//! # }
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`provider`] | the trait |
//! | [`cx`] | what an operation knows and can do |
//! | [`request`], [`body`], [`url`] | requests, with secrets as segments |
//! | [`response`] | responses: JSON, `Link`, `Retry-After` |
//! | [`failure`] | typed failures |
//! | [`delivery`] | what a delivery of a webhook says |
//! | [`exchange`], [`task`], `panics`, `random` | the driver: a future, polled by hand |
//! | [`export`] | the C functions, and all the unsafe code |
//! | [`testing`] | scripted exchanges, in process |
//!
//! A plugin does no input or output and has no clock: all it can do is return from the step that it is in. See
//! `plugins/AUTHORING.md` for the whole guide.

pub use bindery_plugin_abi as abi;
pub use bindery_plugin_proto::v1;

pub mod body;
pub mod calendar;
pub mod cx;
pub mod delivery;
pub mod exchange;
#[doc(hidden)]
pub mod export;
pub mod failure;
pub mod join;
mod panics;
pub mod provider;
mod random;
pub mod request;
pub mod response;
pub mod task;
pub mod testing;
pub mod url;

pub use body::{Form, Json, Secret, Value};
pub use cx::{Cx, Mac, Page};
pub use exchange::Answer;
pub use failure::{Failure, Result};
pub use join::join_all;
pub use provider::Provider;
pub use request::Request;
pub use response::Response;
pub use task::Task;
pub use url::Url;
