//! Hooks of a repository
//!
//! A change that leaves the secret out keeps the old one, and null removes it: it is always sent. There is no ping, no test
//! and no list of deliveries.

use bindery_plugin_sdk::{
    Cx, Failure, Json, Request, Response, Result, Url,
    v1::{self, Code, HookSupport, RevocationOutcome},
};
use serde::Deserialize;

use super::{
    call,
    page::{self, Page},
    repositories,
};
use crate::{
    common::{is_enough, split},
    webhooks::{self, SCHEME, SECRET},
};

/// What a hook is told of, in the order of the alphabet.
const EVENTS: [&str; 4] = ["repo:deleted", "repo:push", "repo:transfer", "repo:updated"];

/// Hooks of a page.
const PAGE_SIZE: u32 = 100;

/// A hook.
#[derive(Deserialize)]
struct Hook {
    uuid: String,
    #[serde(default)]
    url: String,
    #[serde(default)]
    active: bool,
    #[serde(default)]
    events: Vec<String>,
    /// The secret itself is never told.
    secret_set: Option<bool>,
    #[serde(default)]
    skip_cert_verification: bool,
}

/// A repository by the name that it has now.
struct Place {
    full_name: String,
}

pub(crate) fn support() -> HookSupport {
    webhooks::support("x-request-uuid")
}

impl Place {
    async fn find(cx: &Cx, repository: &str) -> Result<Self> {
        let full_name = repositories::full_name(cx, repository).await?;
        Ok(Self { full_name })
    }

    fn path<'a>(&'a self, below: &[&'a str]) -> Result<Vec<&'a str>> {
        let (workspace, name) = split(&self.full_name)?;
        Ok([&["repositories", workspace, name, "hooks"], below].concat())
    }

    fn url(&self, cx: &Cx, below: &[&str]) -> Result<Url> {
        cx.api(&self.path(below)?)
    }

    fn page(&self, cx: &Cx) -> Result<String> {
        let (workspace, name) = split(&self.full_name)?;
        Ok(cx.web(&[workspace, name, "admin", "webhooks"])?.into())
    }

    /// The failure that a response stands for. The repository is there, so what is not there is the hook.
    fn failure(&self, cx: &Cx, response: &Response) -> Result<Failure> {
        let failure = call::failure(cx, response);
        let told = match failure.code() {
            Code::NotFound => Failure::not_found("the repository has no such hook"),
            Code::PermissionDenied => Failure::permission_denied(
                "only who administers the repository may see and change its hooks",
            )
            .with_action_uri(self.page(cx)?),
            Code::InvalidArgument if call::says(response, &["limit", "maximum"]) => {
                Failure::limit_reached("the repository has as many hooks as Bitbucket allows")
                    .with_action_uri(self.page(cx)?)
            }
            Code::InvalidArgument => Failure::invalid_argument(
                "Bitbucket does not take the hook: its address must resolve, and be reachable from the internet",
            ),
            _ => return Ok(failure),
        };
        Ok(told.with_status(response.status()))
    }

    async fn send(&self, cx: &Cx, request: Request, status: u16) -> Result<Response> {
        let request = request.header("accept", "application/json");
        let response = cx.send(call::authorized(cx, request)?).await?;
        if response.status() == status {
            Ok(response)
        } else {
            Err(self.failure(cx, &response)?)
        }
    }

    async fn write(&self, cx: &Cx, request: Request, status: u16) -> Result<v1::HookFacts> {
        let hook: Hook = self.send(cx, request, status).await?.json()?;
        Ok(hook.into_facts(&self.page(cx)?, SCHEME))
    }
}

pub(crate) async fn list(cx: &Cx, input: &v1::ListHooks) -> Result<()> {
    let place = Place::find(cx, &input.repository).await?;
    let path = place.path(&[])?;
    let first = || Ok::<Url, Failure>(cx.api(&path)?.query("pagelen", PAGE_SIZE));
    let page = place.page(cx)?;
    let mut query = String::new();
    for done in 1.. {
        let url = page::at(cx, &path, first()?, &query)?;
        let found: Page<Hook> = place.send(cx, Request::get(url), 200).await?.json()?;
        let next = found.next(cx)?;
        let facts = found.values.into_iter();
        cx.emit(v1::HookPage {
            items: facts.map(|hook| hook.into_facts(&page, "")).collect(),
        });
        match next {
            Some(next) if !is_enough(done, input.max_pages) => query = next,
            _ => break,
        }
    }
    Ok(())
}

pub(crate) async fn create(cx: &Cx, input: &v1::CreateHook) -> Result<v1::HookFacts> {
    webhooks::check_scheme(&input.scheme)?;
    let place = Place::find(cx, &input.repository).await?;
    let request = Request::post(place.url(cx, &[])?).json(settings(&input.url));
    place.write(cx, request, 201).await
}

pub(crate) async fn update(cx: &Cx, input: &v1::UpdateHook) -> Result<v1::HookFacts> {
    webhooks::check_scheme(&input.scheme)?;
    let place = Place::find(cx, &input.repository).await?;
    let request = Request::put(place.url(cx, &[&input.hook_id])?).json(settings(&input.url));
    place.write(cx, request, 200).await
}

pub(crate) async fn delete(cx: &Cx, input: &v1::DeleteHook) -> Result<v1::Revocation> {
    let place = Place::find(cx, &input.repository).await?;
    let request = Request::delete(place.url(cx, &[&input.hook_id])?);
    match place.send(cx, request, 204).await {
        Ok(_) => Ok(webhooks::gone(RevocationOutcome::Done)),
        Err(failure) if failure.code() == Code::NotFound => {
            Ok(webhooks::gone(RevocationOutcome::AlreadyAbsent))
        }
        Err(failure) => Err(failure),
    }
}

/// There is nothing to ask for.
pub(crate) async fn ping(_: &Cx, _: &v1::PingHook) -> Result<()> {
    Err(Failure::unsupported(
        "Bitbucket Cloud sends no ping: the next push shows whether the hook works",
    ))
}

fn settings(url: &str) -> Json {
    Json::object()
        .field("description", "Bindery")
        .field("url", url)
        .field("active", true)
        .field("skip_cert_verification", false)
        .field("events", Json::array(EVENTS.map(Json::from)))
        .secret("secret", SECRET)
}

impl Hook {
    /// What is told of it, after a secret for `was_set` was sent, where the server does not say whether there is one.
    fn into_facts(mut self, hooks_page: &str, was_set: &str) -> v1::HookFacts {
        self.events.sort_unstable();
        let scheme = match self.secret_set {
            Some(true) => SCHEME,
            Some(false) => "",
            None => was_set,
        };
        v1::HookFacts {
            hook_id: self.uuid,
            active: self.active,
            deviations: webhooks::deviations([
                ("events", self.events == EVENTS),
                ("TLS verification", !self.skip_cert_verification),
                ("secret", self.secret_set != Some(false)),
            ]),
            url: self.url,
            scheme: scheme.to_owned(),
            web_uri: hooks_page.to_owned(),
            ..v1::HookFacts::default()
        }
    }
}
