//! Webhooks of a repository
//!
//! Each operation asks for the repository first: by its stable id, or through the redirect of a rename, it gets the name that
//! it has now, and a 404 that comes later is the hook's and not the repository's.

use bindery_plugin_sdk::{Cx, Json, Request, Response, Result, Secret, Url, v1};
use serde::Deserialize;

use crate::{
    call,
    paging::{has_next, is_enough, page_size, page_url},
    repositories::{self, split},
};

/// Forgejo has this type too, and delivers the same.
const TYPE: &str = "gitea";

/// Types whose deliveries are what the parser reads.
const TYPES: [&str; 2] = [TYPE, "forgejo"];

/// All that is needed: a push tells of every branch and tag that is created, so `create` would only repeat it.
const EVENTS: [&str; 3] = ["push", "delete", "repository"];

#[derive(Deserialize)]
struct Hook {
    id: i64,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    active: bool,
    config: Config,
    events: Option<Vec<String>>,
    #[serde(default)]
    branch_filter: String,
}

/// What of a hook's settings matters. Its secret is never told.
#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    url: String,
    #[serde(default)]
    content_type: String,
    #[serde(default)]
    http_method: String,
}

/// The repository under the name that it has now.
struct Place {
    owner: String,
    name: String,
}

impl Place {
    async fn find(cx: &Cx, repository: &str) -> Result<Self> {
        let found = repositories::get(cx, repository).await?;
        let (owner, name) = split(&found.full_name)?;
        Ok(Self {
            owner: owner.to_owned(),
            name: name.to_owned(),
        })
    }

    fn hooks(&self) -> [&str; 4] {
        ["repos", &self.owner, &self.name, "hooks"]
    }

    /// The URL of one hook, or of what is below it.
    fn hook(&self, cx: &Cx, rest: &[&str]) -> Result<Url> {
        cx.api(&[self.hooks().as_slice(), rest].concat())
    }

    /// The page where a person sees the hooks.
    fn page(&self, cx: &Cx) -> Result<String> {
        let url = cx.web(&[&self.owner, &self.name, "settings", "hooks"])?;
        Ok(url.into())
    }

    fn facts(&self, cx: &Cx, hook: Hook) -> Result<v1::HookFacts> {
        Ok(v1::HookFacts {
            hook_id: hook.id.to_string(),
            web_uri: format!("{}/{}", self.page(cx)?, hook.id),
            deviations: deviations(&hook),
            url: hook.config.url,
            active: hook.active,
            // The server does not tell whether there is a secret, nor how its deliveries went.
            ..v1::HookFacts::default()
        })
    }
}

/// In what a hook differs from what [`create`] makes. TLS is verified, or not, for the whole server.
fn deviations(hook: &Hook) -> Vec<String> {
    let method = &hook.config.http_method;
    let differs = [
        ("type", !TYPES.contains(&hook.kind.as_str())),
        ("events", !has_events(hook)),
        ("content type", hook.config.content_type != "json"),
        (
            "method",
            !method.is_empty() && !method.eq_ignore_ascii_case("post"),
        ),
        (
            "branch filter",
            !matches!(hook.branch_filter.as_str(), "" | "*"),
        ),
    ];
    let wrong = differs.into_iter().filter(|(_, differs)| *differs);
    wrong.map(|(what, _)| what.to_owned()).collect()
}

fn has_events(hook: &Hook) -> bool {
    let events = hook.events.as_deref().unwrap_or_default();
    let wanted = |event: &String| EVENTS.contains(&event.as_str());
    events.len() == EVENTS.len() && events.iter().all(wanted)
}

pub(crate) async fn list(cx: &Cx, input: &v1::ListHooks) -> Result<()> {
    let place = Place::find(cx, &input.repository).await?;
    let mut page = 1;
    loop {
        let (hooks, go_on) = one_page(cx, &place, page).await?;
        let items = hooks.into_iter().map(|hook| place.facts(cx, hook));
        cx.emit(v1::HookPage {
            items: items.collect::<Result<_>>()?,
        });
        if !go_on || is_enough(page, input.max_pages) {
            return Ok(());
        }
        page += 1;
    }
}

/// The hooks of a page, and whether another one follows.
async fn one_page(cx: &Cx, place: &Place, page: u32) -> Result<(Vec<Hook>, bool)> {
    let url = page_url(cx, &place.hooks(), page, page_size(0))?;
    let response = call::get(cx, url).await?;
    let hooks: Vec<Hook> = call::list(&response)?;
    let go_on = has_next(&response, page, hooks.len());
    Ok((hooks, go_on))
}

pub(crate) async fn create(cx: &Cx, input: &v1::CreateHook) -> Result<v1::HookFacts> {
    let place = Place::find(cx, &input.repository).await?;
    let hook = create_at(cx, &place, &input.url).await?;
    place.facts(cx, hook)
}

async fn create_at(cx: &Cx, place: &Place, url: &str) -> Result<Hook> {
    let body = Json::object()
        .field("type", TYPE)
        .field("active", true)
        .field("events", Json::array(EVENTS.map(Json::from)))
        .field(
            "config",
            Json::object()
                .field("url", url)
                .field("content_type", "json")
                .secret("secret", Secret("hook_secret")),
        );
    let request = authorized(Request::post(cx.api(&place.hooks())?)).json(body);
    good(cx, place, cx.send(request).await?)?.json()
}

/// The server's update of a hook takes a URL and events, and passes over the secret without a word. So a new hook comes first,
/// and then the old one goes: no push is missed, and one that comes between is delivered by both. All hooks of this URL go with
/// it, which is ours alone, so that an update that was cut short leaves nothing behind.
pub(crate) async fn update(cx: &Cx, input: &v1::UpdateHook) -> Result<v1::HookFacts> {
    let place = Place::find(cx, &input.repository).await?;
    let new = create_at(cx, &place, &input.url).await?;
    for old in superseded(cx, &place, input, new.id).await? {
        remove(cx, &place, &old).await?;
    }
    place.facts(cx, new)
}

/// Ids of the hook that is updated, and of others that deliver to its URL.
async fn superseded(
    cx: &Cx,
    place: &Place,
    input: &v1::UpdateHook,
    new: i64,
) -> Result<Vec<String>> {
    let mut old = Vec::new();
    let mut page = 1;
    loop {
        let (hooks, go_on) = one_page(cx, place, page).await?;
        let is_old = |hook: &Hook| {
            hook.id != new && (hook.config.url == input.url || hook.id.to_string() == input.hook_id)
        };
        let ids = hooks.into_iter().filter(is_old);
        old.extend(ids.map(|hook| hook.id.to_string()));
        if !go_on {
            return Ok(old);
        }
        page += 1;
    }
}

pub(crate) async fn delete(cx: &Cx, input: &v1::DeleteHook) -> Result<v1::Revocation> {
    let place = Place::find(cx, &input.repository).await?;
    let (outcome, message) = if remove(cx, &place, &input.hook_id).await? {
        (v1::RevocationOutcome::Done, "the webhook was deleted")
    } else {
        let absent = v1::RevocationOutcome::AlreadyAbsent;
        (absent, "the repository has no such webhook")
    };
    Ok(v1::Revocation {
        outcome: outcome.into(),
        message: message.to_owned(),
        action_uri: String::new(),
    })
}

/// Deletes a hook. False where there is none.
async fn remove(cx: &Cx, place: &Place, hook_id: &str) -> Result<bool> {
    let request = authorized(Request::delete(place.hook(cx, &[hook_id])?));
    let response = cx.send(request).await?;
    if response.status() == 404 {
        return Ok(false);
    }
    good(cx, place, response).map(|_| true)
}

/// The server sends a push of the default branch in which nothing moved, once it has one: an empty repository sends nothing.
pub(crate) async fn ping(cx: &Cx, input: &v1::PingHook) -> Result<()> {
    let place = Place::find(cx, &input.repository).await?;
    let url = place.hook(cx, &[&input.hook_id, "tests"])?;
    let response = cx.send(authorized(Request::post(url))).await?;
    good(cx, &place, response).map(|_| ())
}

fn authorized(request: Request) -> Request {
    request
        .header("accept", "application/json")
        .bearer(Secret("access_token"))
}

/// A refusal comes with the page where a person does it.
fn good(cx: &Cx, place: &Place, response: Response) -> Result<Response> {
    if response.is_success() {
        return Ok(response);
    }
    let failure = call::failure(cx, &response);
    if response.status() == 403 && failure.action_uri().is_empty() {
        return Err(failure.with_action_uri(place.page(cx)?));
    }
    Err(failure)
}
