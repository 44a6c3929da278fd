//! Hooks of a repository
//!
//! A server may echo the secret of a hook in clear: responses are read by the members that matter, and repeated nowhere.

use bindery_plugin_sdk::{
    Cx, Failure, Json, Request, Response, Result, Url,
    v1::{self, Code, HookSupport, RevocationOutcome},
};
use serde::Deserialize;
use serde_json::Value;

use super::{call, page::Page, repositories};
use crate::{
    common::{TOKEN, is_enough, split},
    webhooks::{self, SCHEME, SECRET},
};

/// What a hook is told of, in the order of the alphabet.
const EVENTS: [&str; 2] = ["repo:modified", "repo:refs_changed"];

/// A hook.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hook {
    id: u64,
    #[serde(default)]
    url: String,
    #[serde(default)]
    active: bool,
    #[serde(default)]
    events: Vec<String>,
    #[serde(default)]
    configuration: Configuration,
    /// Not known to servers of some age, which always verify.
    ssl_verification_required: Option<bool>,
    statistics: Option<Statistics>,
}

/// What of the settings matters is whether there is a secret.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Configuration {
    secret: Option<String>,
}

/// The latest of each outcome; its parts are described nowhere.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Statistics {
    last_success: Value,
    last_failure: Value,
    last_error: Value,
}

/// A repository by the name that it has now.
struct Place {
    full_name: String,
}

pub(crate) fn support() -> HookSupport {
    webhooks::support("x-request-id")
}

impl Place {
    async fn find(cx: &Cx, repository: &str) -> Result<Self> {
        let full_name = repositories::current_name(cx, repository).await?;
        Ok(Self { full_name })
    }

    fn url(&self, cx: &Cx, below: &[&str]) -> Result<Url> {
        let (project, slug) = split(&self.full_name)?;
        cx.api(&[&["projects", project, "repos", slug, "webhooks"], below].concat())
    }

    fn page(&self, cx: &Cx) -> Result<String> {
        let (project, slug) = split(&self.full_name)?;
        let path = ["plugins", "servlet", "webhooks", "projects", project];
        Ok(cx.web(&[&path[..], &["repos", slug]].concat())?.into())
    }

    /// The failure that a response stands for. The repository is there, so what is not there is the hook.
    fn failure(&self, cx: &Cx, response: &Response) -> Result<Failure> {
        let failure = call::failure(cx, response);
        let told = match failure.code() {
            Code::NotFound => Failure::not_found("the repository has no such hook"),
            Code::PermissionDenied => Failure::permission_denied(
                "only who administers the repository, with a token that may do so, sees and changes its hooks",
            )
            .with_action_uri(self.page(cx)?),
            _ => return Ok(failure),
        };
        Ok(told.with_status(response.status()))
    }

    async fn send(&self, cx: &Cx, request: Request, good: &[u16]) -> Result<Response> {
        let request = request.header("accept", "application/json").bearer(TOKEN);
        let response = cx.send(request).await?;
        if good.contains(&response.status()) {
            Ok(response)
        } else {
            Err(self.failure(cx, &response)?)
        }
    }

    /// The description says 200 for a new hook, and servers say 201.
    async fn write(&self, cx: &Cx, request: Request) -> Result<v1::HookFacts> {
        let hook: Hook = self.send(cx, request, &[200, 201]).await?.json()?;
        Ok(hook.into_facts(&self.page(cx)?, SCHEME))
    }
}

/// The first page is as large as the server likes, since the size is no documented parameter of this list.
pub(crate) async fn list(cx: &Cx, input: &v1::ListHooks) -> Result<()> {
    let place = Place::find(cx, &input.repository).await?;
    let list = || Ok::<Url, Failure>(place.url(cx, &[])?.query("statistics", true));
    let page = place.page(cx)?;
    let (mut url, mut start) = (list()?, 0);
    for done in 1.. {
        let found: Page<Hook> = place.send(cx, Request::get(url), &[200]).await?.json()?;
        let next = found.next(start)?;
        let facts = found.values.into_iter();
        cx.emit(v1::HookPage {
            items: facts.map(|hook| hook.into_facts(&page, "")).collect(),
        });
        match next {
            Some(next) if !is_enough(done, input.max_pages) => start = next,
            _ => break,
        }
        url = list()?.query("start", start);
    }
    Ok(())
}

pub(crate) async fn create(cx: &Cx, input: &v1::CreateHook) -> Result<v1::HookFacts> {
    webhooks::check_scheme(&input.scheme)?;
    let place = Place::find(cx, &input.repository).await?;
    let request = Request::post(place.url(cx, &[])?).json(settings(&input.url));
    place.write(cx, request).await
}

pub(crate) async fn update(cx: &Cx, input: &v1::UpdateHook) -> Result<v1::HookFacts> {
    webhooks::check_scheme(&input.scheme)?;
    let place = Place::find(cx, &input.repository).await?;
    let request = Request::put(place.url(cx, &[&input.hook_id])?).json(settings(&input.url));
    place.write(cx, request).await
}

pub(crate) async fn delete(cx: &Cx, input: &v1::DeleteHook) -> Result<v1::Revocation> {
    let place = Place::find(cx, &input.repository).await?;
    let request = Request::delete(place.url(cx, &[&input.hook_id])?);
    match place.send(cx, request, &[204]).await {
        Ok(_) => Ok(webhooks::gone(RevocationOutcome::Done)),
        Err(failure) if failure.code() == Code::NotFound => {
            Ok(webhooks::gone(RevocationOutcome::AlreadyAbsent))
        }
        Err(failure) => Err(failure),
    }
}

/// The server calls the address at once, as the hook would. A request without a body is taken for one of a page's forms,
/// unless a header says that it is none.
pub(crate) async fn ping(cx: &Cx, input: &v1::PingHook) -> Result<()> {
    let place = Place::find(cx, &input.repository).await?;
    let url = place
        .url(cx, &["test"])?
        .query("webhookId", &input.hook_id)
        .query("url", &input.url)
        .query("sslVerificationRequired", true);
    let request = Request::post(url).header("x-atlassian-token", "no-check");
    place.send(cx, request, &[200]).await.map(|_| ())
}

fn settings(url: &str) -> Json {
    Json::object()
        .field("name", "Bindery")
        .field("url", url)
        .field("active", true)
        .field("sslVerificationRequired", true)
        .field("events", Json::array(EVENTS.map(Json::from)))
        .field("configuration", Json::object().secret("secret", SECRET))
}

impl Hook {
    /// What is told of it, after a secret for `was_set` was sent, where the server does not show that there is one.
    fn into_facts(mut self, hooks_page: &str, was_set: &str) -> v1::HookFacts {
        self.events.sort_unstable();
        let scheme = match self.configuration.secret.as_deref() {
            Some("") => "",
            Some(_) => SCHEME,
            None => was_set,
        };
        let failing = self.statistics.as_ref().is_some_and(Statistics::is_failing);
        let message = if failing {
            "the latest delivery failed"
        } else {
            ""
        };
        v1::HookFacts {
            hook_id: self.id.to_string(),
            active: self.active,
            deviations: webhooks::deviations([
                ("events", self.events == EVENTS),
                (
                    "TLS verification",
                    self.ssl_verification_required != Some(false),
                ),
                ("secret", self.configuration.secret.as_deref() != Some("")),
            ]),
            url: self.url,
            scheme: scheme.to_owned(),
            failing,
            message: message.to_owned(),
            web_uri: hooks_page.to_owned(),
            ..v1::HookFacts::default()
        }
    }
}

impl Statistics {
    /// Whether the latest delivery did not succeed.
    fn is_failing(&self) -> bool {
        let end = |invocation: &Value| invocation.get("finish").and_then(Value::as_u64);
        end(&self.last_failure).max(end(&self.last_error)) > end(&self.last_success)
    }
}
