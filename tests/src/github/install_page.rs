//! Where a person puts an app on an account, and is sent back to the app

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Form, Path, Query, State};
use axum::response::Response;
use http::HeaderMap;
use serde::Deserialize;
use url::Url;

use super::apps::GitHubApp;
use super::consent::CODE_SECONDS;
use super::pages::{Html, escape, hidden, page};
use super::web::{Visitor, see_other};
use super::world::{Code, World};
use super::{Inner, app_json, pages};

/// What the address and the form say
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    state: Option<String>,
    /// The account to install the app on
    account: Option<String>,
    /// `all`, or names of repositories with commas between them
    repositories: Option<String>,
    authenticity_token: Option<String>,
}

/// `GET /apps/{slug}/installations/new`
pub(super) async fn ask(
    State(inner): State<Arc<Inner>>,
    Path(slug): Path<String>,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Response {
    let Some(app) = find(&inner, &slug) else {
        return pages::not_found();
    };
    let visitor = Visitor::of(&inner, &headers);
    let Some(login) = visitor.login.clone() else {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("return_to", &own_path(&inner, &app, &asked));
        return see_other(&format!("/login?{}", query.finish()));
    };
    let body = asked.form(&inner, &visitor, &app, &login);
    visitor.show(&format!("Install {}", app.name), &body)
}

/// `POST /apps/{slug}/installations/new`
pub(super) async fn install(
    State(inner): State<Arc<Inner>>,
    Path(slug): Path<String>,
    headers: HeaderMap,
    Form(asked): Form<Asked>,
) -> Response {
    let Some(app) = find(&inner, &slug) else {
        return pages::not_found();
    };
    let visitor = Visitor::of(&inner, &headers);
    let Some(login) = visitor.sent(asked.authenticity_token.as_deref()) else {
        return pages::stale_form();
    };
    asked.carried_out(&inner, &app, &login)
}

impl Asked {
    /// An owner installs; a member asks the owners to, and comes back without an installation
    fn carried_out(&self, inner: &Inner, app: &GitHubApp, login: &str) -> Response {
        let account = self.account.as_deref().unwrap_or(login);
        let now = inner.now();
        let mut world = inner.world();
        let mut pairs = vec![("code", code(&mut world, app, login, now))];
        if !world.owns(login, account) {
            world.ask_for(app.id, account, login, now);
            pairs.push(("setup_action", "request".to_owned()));
            return self.back(&world, app, &pairs);
        }
        let repos = self.chosen(&world, account);
        let Some(id) = world.install(app.id, account, repos, now) else {
            return pages::not_found();
        };
        pairs.push(("installation_id", id.to_string()));
        pairs.push(("setup_action", "install".to_owned()));
        self.back(&world, app, &pairs)
    }

    fn chosen(&self, world: &World, account: &str) -> Option<BTreeSet<u64>> {
        let names = self.repositories.as_deref().unwrap_or("all");
        if names == "all" {
            return None;
        }
        let named = names.split(',').map(str::trim);
        let found = named.filter_map(|name| world.repo(account, name));
        Some(found.map(|repo| repo.id).collect())
    }

    fn back(&self, world: &World, app: &GitHubApp, pairs: &[(&str, String)]) -> Response {
        let Some(mut url) = callback(world, app) else {
            return pages::not_found();
        };
        url.query_pairs_mut().extend_pairs(pairs);
        if let Some(state) = &self.state {
            url.query_pairs_mut().append_pair("state", state);
        }
        see_other(url.as_str())
    }

    fn form(&self, inner: &Inner, visitor: &Visitor, app: &GitHubApp, login: &str) -> Html {
        let world = inner.world();
        let orgs = world.orgs.iter();
        let orgs = orgs.filter(|org| org.members.contains_key(login));
        let accounts: String = std::iter::once(login)
            .chain(orgs.map(|org| org.login.as_str()))
            .map(|name| format!("<li><code>{}</code></li>", escape(name)))
            .collect();
        let permissions: String = app
            .permissions
            .iter()
            .map(|(name, level)| format!("<li>{level} access to {}</li>", escape(name)))
            .collect();
        let state = self.state.as_deref();
        let state = state.map_or(String::new(), |state| hidden("state", state));
        page(&format!("Install {}", app.name)).add(&format!(
            "<p>Your accounts:</p><ul>{accounts}</ul><ul>{permissions}</ul>\
             <form method=\"post\" action=\"/{}/installations/new\">{}{state}\
             <label>Account <input type=\"text\" name=\"account\" value=\"{}\"></label>\
             <label>Repositories <input type=\"text\" name=\"repositories\" value=\"all\"></label>\
             <button class=\"primary\" name=\"install\" value=\"1\">Install</button></form>",
            escape(&app_json::page(inner, &app.slug)),
            visitor.hidden_token(),
            escape(login),
        ))
    }
}

impl World {
    fn owns(&self, login: &str, account: &str) -> bool {
        account == login || self.org(account).is_some_and(|org| org.is_owner(login))
    }
}

/// The person's consent comes with the installation, as apps can ask for
fn code(world: &mut World, app: &GitHubApp, login: &str, now: i64) -> String {
    world.remember(login, &app.client_id, BTreeSet::new(), now);
    let secret = world.mint.code();
    let redirect_uri = callback(world, app).map(String::from).unwrap_or_default();
    world.codes.push(Code {
        secret: secret.clone(),
        client_id: app.client_id.clone(),
        login: login.to_owned(),
        scopes: BTreeSet::new(),
        offline: false,
        redirect_uri,
        // The way by an installation has no PKCE.
        challenge: None,
        expires: now.saturating_add(CODE_SECONDS),
    });
    secret
}

fn callback(world: &World, app: &GitHubApp) -> Option<Url> {
    let client = world.app(&app.client_id)?;
    Url::parse(client.callbacks.first()?).ok()
}

fn find(inner: &Inner, slug: &str) -> Option<GitHubApp> {
    let world = inner.world();
    let mut apps = world.github_apps.iter();
    apps.find(|app| app.slug == slug).cloned()
}

fn own_path(inner: &Inner, app: &GitHubApp, asked: &Asked) -> String {
    let path = app_json::page(inner, &app.slug);
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    if let Some(state) = &asked.state {
        query.append_pair("state", state);
    }
    format!("/{path}/installations/new?{}", query.finish())
}
