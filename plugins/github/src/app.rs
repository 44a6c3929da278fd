//! Asking as the app itself, with a JWT that the daemon signs
//!
//! The plugin sees neither the key nor the JWT. A 404 may be an installation that is gone, or an app that is: asking for
//! the app tells them apart, and its page is where it is installed again.

use bindery_plugin_sdk::{Cx, Failure, Request, Response, Result, Secret};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::call::{self, Barrier};

const KEY: Secret = Secret("app_private_key");
const JWT: Secret = Secret("app_jwt");

/// Clocks differ, and GitHub refuses a JWT from the future: it is dated back by so many seconds.
const DATED_BACK_S: u64 = 60;

/// GitHub takes ten minutes by its own clock; one of them is left for the difference.
const LIFE_S: u64 = 540;

/// The app, as it tells about itself.
#[derive(Deserialize)]
pub(crate) struct Facts {
    #[serde(default)]
    pub(crate) slug: String,
    html_url: String,
    /// What its webhook is told of beside its own installations.
    #[serde(default)]
    pub(crate) events: Vec<String>,
    owner: Option<Owner>,
}

/// Whose app it is.
#[derive(Deserialize)]
struct Owner {
    #[serde(default)]
    login: String,
    #[serde(default, rename = "type")]
    kind: String,
}

/// The host's app, with a JWT in hand.
pub(crate) struct App<'a> {
    cx: &'a Cx,
}

impl<'a> App<'a> {
    /// Has the daemon sign. One JWT does for the whole operation.
    pub(crate) async fn sign(cx: &'a Cx) -> Result<Self> {
        let id = cx.credential().app_id.as_str();
        if id.is_empty() {
            return Err(Failure::unsupported(
                "the host has no app; configure its id and its private key",
            ));
        }
        let now = cx.now_unix_ms() / 1000;
        let claims = json!({
            "iat": now.saturating_sub(DATED_BACK_S),
            "exp": now.saturating_add(LIFE_S),
            "iss": issuer(id),
        });
        cx.sign_jwt(KEY, &claims, JWT).await?;
        Ok(Self { cx })
    }

    /// Sends a request as the app.
    pub(crate) async fn send(&self, request: Request) -> Result<Response> {
        self.cx.send(call::common(request).bearer(JWT)).await
    }

    /// Who the app is.
    pub(crate) async fn facts(&self) -> Result<Facts> {
        let response = self.send(Request::get(self.cx.api(&["app"])?)).await?;
        match response.status() {
            401 | 404 => Err(refused(&response)),
            _ => call::good(self.cx, response)?.json(),
        }
    }

    /// The failure that an answer about an installation stands for.
    pub(crate) async fn failure(&self, response: &Response) -> Failure {
        match response.status() {
            401 => refused(response),
            404 if call::barrier(response) != Some(Barrier::Suspended) => self.absent().await,
            _ => call::failure(self.cx, response),
        }
    }

    async fn absent(&self) -> Failure {
        match self.facts().await {
            Ok(app) => Failure::not_installed(
                "the app is not installed on this account, or not any more",
                app.install_page(self.cx),
            )
            .with_status(404),
            Err(failure) => failure,
        }
    }
}

impl Facts {
    /// The page where the app is installed. The app's own page tells its place, which differs by edition; it is shown to
    /// people, so it has to be one of this host.
    pub(crate) fn install_page(&self, cx: &Cx) -> String {
        match call::own_page(cx, &self.html_url) {
            page if page.is_empty() => page,
            page => format!("{}/installations/new", page.trim_end_matches('/')),
        }
    }
}

impl Facts {
    /// The page where its owner sets it up; empty where that can't be told.
    pub(crate) fn settings_page(&self, cx: &Cx) -> String {
        let Some(owner) = self.owner.as_ref().filter(|_| !self.slug.is_empty()) else {
            return String::new();
        };
        let page = match owner.kind.as_str() {
            "Organization" => cx.web(&[
                "organizations",
                &owner.login,
                "settings",
                "apps",
                &self.slug,
            ]),
            _ => cx.web(&["settings", "apps", &self.slug]),
        };
        page.map_or_else(|_| String::new(), Into::into)
    }
}

/// Older servers take the number of an app as a number only; newer ones also its client id.
fn issuer(id: &str) -> Value {
    id.parse::<u64>().map_or_else(|_| id.into(), Value::from)
}

fn refused(response: &Response) -> Failure {
    Failure::client_refused(
        "GitHub does not take the app's JWT: check the app's id, its private key and the clock of this machine",
    )
    .with_status(response.status())
}
