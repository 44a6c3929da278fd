//! What an app asks as itself, with the token of an installation, and with a person's

use std::collections::BTreeSet;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::access::Caller;
use super::api::Call;
use super::apps::{GitHubApp, Installation, Levels};
use super::reply::{Outcome, Reply};
use super::world::{Repo, Token, TokenKind, World};
use super::{app_json, json};

/// What a token of an installation is good for, in seconds
pub(super) const TOKEN_SECONDS: i64 = 3600;
/// So many repositories a token can be limited to
const MOST_REPOSITORIES: usize = 500;
const PAGE: &str = "/apps/apps";

impl Call<'_> {
    /// Endpoints for apps; none for all others
    pub(super) fn for_apps(&self, segments: &[&str]) -> Option<Outcome> {
        match (self.method, segments) {
            (_, ["app", rest @ ..]) => Some(self.as_app(rest)),
            (_, ["installation", rest @ ..]) => Some(self.as_installation(rest)),
            (&Method::GET, ["user", "installations", rest @ ..]) => Some(self.as_person(rest)),
            _ => None,
        }
    }

    fn as_app(&self, rest: &[&str]) -> Outcome {
        let Caller::App(id) = self.caller else {
            let text = "A JSON web token could not be decoded";
            return Err(Reply::error(StatusCode::UNAUTHORIZED, text, PAGE));
        };
        let world = self.inner.world();
        let app = world.github_app(id).cloned();
        drop(world);
        let app = app.ok_or_else(|| Reply::not_found(PAGE))?;
        match (self.method, rest) {
            (&Method::GET, []) => Ok(self.app(&app)),
            (_, ["hook", rest @ ..]) => self.app_hook(&app, rest),
            (&Method::GET, ["installations"]) => {
                let path = "/app/installations";
                let all = self.installations(|one| one.app == app.id);
                Ok(self.page(path, all))
            }
            (&Method::GET, ["installation-requests"]) => {
                let world = self.inner.world();
                let all = world.asked_for.iter().filter(|one| one.app == app.id);
                let all = all.map(|one| app_json::asked_for(self.inner, &world, one));
                let all = all.collect();
                drop(world);
                Ok(self.page("/app/installation-requests", all))
            }
            (_, ["installations", id, rest @ ..]) => {
                let installation = self.installation_of(&app, id)?;
                self.about_installation(&app, &installation, rest)
            }
            _ => Err(Reply::not_found(PAGE)),
        }
    }

    fn about_installation(&self, app: &GitHubApp, one: &Installation, rest: &[&str]) -> Outcome {
        match (self.method, rest) {
            (&Method::GET, []) => {
                let world = self.inner.world();
                Ok(Reply::json(app_json::installation(self.inner, &world, one)))
            }
            (&Method::DELETE, []) => {
                self.inner.world().uninstall(one.id);
                Ok(Reply::empty(StatusCode::NO_CONTENT))
            }
            (&Method::PUT | &Method::DELETE, ["suspended"]) => {
                let now = (self.method == Method::PUT).then(|| self.inner.now());
                let mut world = self.inner.world();
                if let Some(known) = world.installation_mut(one.id) {
                    known.suspended = now;
                }
                Ok(Reply::empty(StatusCode::NO_CONTENT))
            }
            (&Method::POST, ["access_tokens"]) => self.mint(app, one),
            _ => Err(Reply::not_found(PAGE)),
        }
    }

    fn app(&self, app: &GitHubApp) -> Reply {
        let world = self.inner.world();
        Reply::json(app_json::app(self.inner, &world, app))
    }

    fn installation_of(&self, app: &GitHubApp, id: &str) -> Result<Installation, Reply> {
        let world = self.inner.world();
        let mut all = world.installations.iter();
        let found = all.find(|one| one.app == app.id && one.id.to_string() == id);
        found.cloned().ok_or_else(|| Reply::not_found(PAGE))
    }

    fn mint(&self, app: &GitHubApp, one: &Installation) -> Outcome {
        if one.suspended.is_some() {
            return Err(suspended());
        }
        let asked: Value = serde_json::from_slice(self.body).unwrap_or_default();
        let mut world = self.inner.world();
        let permissions = narrowed(&asked["permissions"], &one.permissions)?;
        let repos = chosen(&world, one, &asked)?;
        let now = self.inner.now();
        let secret = world.mint.installation_token(app.id, self.is_stateless());
        let scopes = permissions.iter();
        let (id, lifetime) = (world.id(), world.installation_seconds);
        world.tokens.push(Token {
            id,
            secret: secret.clone(),
            kind: TokenKind::Installation {
                id: one.id,
                repos: repos.clone(),
            },
            login: format!("{}[bot]", app.slug),
            scopes: scopes
                .map(|(name, level)| format!("{name}:{level}"))
                .collect(),
            note: String::new(),
            created: now,
            expires: Some(now.saturating_add(lifetime)),
            refresh: None,
            sso: BTreeSet::new(),
        });
        Ok(self.minted(&world, &secret, (permissions, repos, one, now)))
    }

    /// Since 2026 a token is long and holds a JWT, unless the app asks for the old form
    fn is_stateless(&self) -> bool {
        let asked = self.headers.get("x-github-stateless-s2s-token");
        asked.is_none_or(|asked| asked.as_bytes() != b"disabled")
    }

    fn minted(
        &self,
        world: &World,
        secret: &str,
        (permissions, repos, one, now): (Levels, Option<BTreeSet<u64>>, &Installation, i64),
    ) -> Reply {
        let selected = repos.is_some() || one.repos.is_some();
        let mut body = json!({
            "token": secret,
            "expires_at": json::time(now.saturating_add(world.installation_seconds)),
            "permissions": permissions,
            "repository_selection": if selected { "selected" } else { "all" },
        });
        if let Some(repos) = repos {
            let all = world.repos.iter();
            let all = all.filter(|repo| repos.contains(&repo.id));
            body["repositories"] = all
                .map(|repo| json::repo(self.inner, world, repo, None))
                .collect();
        }
        let mut reply = Reply::json(body);
        reply.status = StatusCode::CREATED;
        reply
    }

    fn as_installation(&self, rest: &[&str]) -> Outcome {
        let token = self.caller.token(PAGE)?;
        let TokenKind::Installation { .. } = token.kind else {
            return Err(Reply::error(
                StatusCode::FORBIDDEN,
                "You must authenticate with an installation access token in order to list \
                 repositories for an installation.",
                PAGE,
            ));
        };
        match (self.method, rest) {
            (&Method::GET, ["repositories"]) => {
                let repos = self.reached(|world, repo| world.reach(token, repo).is_some());
                Ok(self.counted("/installation/repositories", "repositories", repos))
            }
            (&Method::DELETE, ["token"]) => {
                let mut world = self.inner.world();
                world.tokens.retain(|known| known.id != token.id);
                Ok(Reply::empty(StatusCode::NO_CONTENT))
            }
            _ => Err(Reply::not_found(PAGE)),
        }
    }

    fn as_person(&self, rest: &[&str]) -> Outcome {
        let token = self.caller.token(PAGE)?;
        let TokenKind::AppUser { app, .. } = token.kind else {
            return Err(Reply::error(
                StatusCode::FORBIDDEN,
                "You must authenticate with an access token authorized to a GitHub App in order \
                 to list installations",
                PAGE,
            ));
        };
        match rest {
            [] => {
                let visible = self.visible(token, app);
                let all = self.installations(|one| visible.contains(&one.id));
                Ok(self.counted("/user/installations", "installations", all))
            }
            [id, "repositories"] => {
                let id = id.parse::<u64>().unwrap_or_default();
                if !self.visible(token, app).contains(&id) {
                    return Err(Reply::not_found(PAGE));
                }
                let repos = self.reached(|world, repo| {
                    let of_it = world.installation(id).is_some_and(|one| one.covers(repo));
                    of_it && world.reach(token, repo).is_some()
                });
                let path = format!("/user/installations/{id}/repositories");
                Ok(self.counted(&path, "repositories", repos))
            }
            _ => Err(Reply::not_found(PAGE)),
        }
    }

    /// Installations on accounts that the person is or belongs to, and all that cover a repository which is shared with
    /// them: whoever reads one repository sees the whole installation
    fn visible(&self, token: &Token, app: u64) -> BTreeSet<u64> {
        let world = self.inner.world();
        let mine = |account: &str| {
            let org = world.org(account);
            account == token.login || org.is_some_and(|org| org.members.contains_key(&token.login))
        };
        let shared = |one: &Installation| {
            let mut repos = world.repos.iter().filter(|repo| one.covers(repo));
            repos.any(|repo| repo.collaborators.contains_key(&token.login))
        };
        let all = world.installations.iter();
        let all = all.filter(|one| one.app == app && (mine(&one.account) || shared(one)));
        all.map(|one| one.id).collect()
    }

    fn installations(&self, wanted: impl Fn(&Installation) -> bool) -> Vec<Value> {
        let world = self.inner.world();
        let all = world.installations.iter().filter(|one| wanted(one));
        all.map(|one| app_json::installation(self.inner, &world, one))
            .collect()
    }

    fn reached(&self, wanted: impl Fn(&World, &Repo) -> bool) -> Vec<Value> {
        let world = self.inner.world();
        let repos = world.repos.iter().filter(|repo| wanted(&world, repo));
        repos
            .map(|repo| json::repo(self.inner, &world, repo, self.caller.known()))
            .collect()
    }

    /// A page within an object that says how many there are in all
    fn counted(&self, path: &str, key: &str, items: Vec<Value>) -> Reply {
        let total = items.len();
        let mut reply = self.page(path, items);
        let shown = reply.body.take().map_or(Value::Null, |body| *body);
        reply.body = Some(Box::new(json!({ "total_count": total, key: shown })));
        reply
    }
}

impl Installation {
    pub(super) fn covers(&self, repo: &Repo) -> bool {
        let chosen = self.repos.as_ref();
        self.account == repo.owner && chosen.is_none_or(|chosen| chosen.contains(&repo.id))
    }
}

pub(super) fn suspended() -> Reply {
    let text = "This installation has been suspended";
    Reply::error(StatusCode::FORBIDDEN, text, PAGE)
}

/// The permissions of a token: those that were asked for, none above what was granted
fn narrowed(asked: &Value, granted: &Levels) -> Result<Levels, Reply> {
    let Some(asked) = asked.as_object().filter(|asked| !asked.is_empty()) else {
        return Ok(granted.clone());
    };
    let mut levels = Levels::from([("metadata".to_owned(), "read".to_owned())]);
    for (name, level) in asked {
        let level = level.as_str().unwrap_or_default();
        let held = granted.get(name).map(String::as_str);
        if held != Some("write") && held != Some(level) {
            let text = "The permissions requested are not granted to this installation.";
            return Err(Reply::unprocessable(PAGE, text));
        }
        levels.insert(name.clone(), level.to_owned());
    }
    Ok(levels)
}

/// The repositories of a token, by name without owner or by number; none if it is not limited
fn chosen(
    world: &World,
    one: &Installation,
    asked: &Value,
) -> Result<Option<BTreeSet<u64>>, Reply> {
    let list = |key: &str| asked[key].as_array().cloned().unwrap_or_default();
    let (names, ids) = (list("repositories"), list("repository_ids"));
    if names.is_empty() && ids.is_empty() {
        return Ok(None);
    }
    if names.len() + ids.len() > MOST_REPOSITORIES {
        return Err(Reply::unprocessable(PAGE, "Too many repositories"));
    }
    let find = |fits: &dyn Fn(&Repo) -> bool| {
        let mut repos = world.repos.iter();
        let found = repos.find(|repo| one.covers(repo) && fits(repo));
        found.map(|repo| repo.id).ok_or_else(no_repository)
    };
    let by_name = names.iter().map(|name| {
        let name = name.as_str().unwrap_or_default();
        find(&|repo| repo.name.eq_ignore_ascii_case(name))
    });
    let by_id = ids
        .iter()
        .map(|id| find(&|repo| id.as_u64() == Some(repo.id)));
    by_name.chain(by_id).collect::<Result<_, _>>().map(Some)
}

fn no_repository() -> Reply {
    let text = "There is at least one repository that does not exist or is not accessible to the \
                parent installation.";
    Reply::unprocessable(PAGE, text)
}
