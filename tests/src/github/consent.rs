//! Where a person decides whether an app may act for them

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Form, Query, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use url::Url;

use super::pages::{Html, escape, hidden, page};
use super::redirect::redirect_matches;
use super::web::{Visitor, see_other};
use super::world::{App, Code, Grant, Org, World};
use super::{Inner, pages, scopes};

/// A code is good for ten minutes
pub(super) const CODE_SECONDS: i64 = 600;
const DOCS: &str = "https://docs.github.com/apps/managing-oauth-apps/\
    troubleshooting-authorization-request-errors/";

/// The parameters of an authorization URL, and the buttons of the page that it leads to
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    client_id: String,
    redirect_uri: Option<String>,
    scope: Option<String>,
    state: Option<String>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
    prompt: Option<String>,
    login: Option<String>,
    /// `1` agrees, everything else refuses
    authorize: Option<String>,
    authenticity_token: Option<String>,
}

/// `GET /login/oauth/authorize`
pub(super) async fn ask(
    State(inner): State<Arc<Inner>>,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Response {
    let Some(app) = inner.world().app(&asked.client_id).cloned() else {
        return pages::not_found();
    };
    if let Err(redirect) = asked.checked(&app) {
        return *redirect;
    }
    let visitor = Visitor::of(&inner, &headers);
    let Some(login) = visitor.login.clone() else {
        return see_other(&asked.login_url());
    };
    if asked.prompt.as_deref() == Some("select_account") {
        return visitor.show("Select an account", &asked.account_page(&visitor, &login));
    }
    let granted = inner.world().grant(&login, &app.client_id).cloned();
    match granted {
        Some(grant) if asked.adds_nothing_to(&grant) => asked.agree(&inner, &app, &login),
        granted => {
            let body = asked.consent_page(&inner.world(), &visitor, (&app, &login), granted);
            visitor.show(&format!("Authorize {}", app.name), &body)
        }
    }
}

/// `POST /login/oauth/authorize`: the buttons of the page
pub(super) async fn decide(
    State(inner): State<Arc<Inner>>,
    headers: HeaderMap,
    Form(asked): Form<Asked>,
) -> Response {
    let Some(app) = inner.world().app(&asked.client_id).cloned() else {
        return pages::not_found();
    };
    if let Err(redirect) = asked.checked(&app) {
        return *redirect;
    }
    let visitor = Visitor::of(&inner, &headers);
    let Some(login) = visitor.sent(asked.authenticity_token.as_deref()) else {
        return pages::stale_form();
    };
    if asked.authorize.as_deref() == Some("1") {
        return asked.agree(&inner, &app, &login);
    }
    asked.refuse(
        &asked.redirect(&app),
        (
            "access_denied",
            "The user has denied your application access.",
        ),
    )
}

impl Asked {
    /// Answers at once where the request itself is wrong
    fn checked(&self, app: &App) -> Result<(), Box<Response>> {
        let registered = app.callbacks.first().cloned().unwrap_or_default();
        if let Some(redirect) = &self.redirect_uri
            && !redirect_matches(&app.callbacks, redirect)
        {
            let why = "The redirect_uri MUST match the registered callback URL for this \
                       application.";
            return Err(Box::new(
                self.refuse(&registered, ("redirect_uri_mismatch", why)),
            ));
        }
        let s256 = self.code_challenge_method.as_deref() == Some("S256");
        if self.code_challenge.is_some() && !s256 {
            // GitHub says that only S256 is supported, and not how it refuses: this is RFC 7636.
            let why = "The code_challenge_method must be S256.";
            return Err(Box::new(
                self.refuse(&self.redirect(app), ("invalid_request", why)),
            ));
        }
        Ok(())
    }

    fn redirect(&self, app: &App) -> String {
        let registered = app.callbacks.first().cloned();
        self.redirect_uri.clone().or(registered).unwrap_or_default()
    }

    fn wanted(&self) -> BTreeSet<String> {
        scopes::parse(self.scope.as_deref().unwrap_or_default())
    }

    /// Whether the person agreed to all of this before; no scope at all means what there is
    fn adds_nothing_to(&self, grant: &Grant) -> bool {
        let wanted = self.wanted();
        let mut wanted = wanted.iter();
        wanted.all(|scope| scopes::covers(&grant.scopes, scope))
    }

    fn agree(&self, inner: &Inner, app: &App, login: &str) -> Response {
        let now = inner.now();
        let mut world = inner.world();
        let wanted = self.wanted();
        let known = world
            .grant(login, &app.client_id)
            .map(|grant| grant.scopes.clone());
        let known = known.unwrap_or_default();
        let all = known.iter().chain(&wanted).map(String::as_str);
        let all = scopes::normalize(all);
        world.remember(login, &app.client_id, all.clone(), now);
        let offline = self.scope.as_deref().unwrap_or_default();
        let secret = world.mint.code();
        let redirect_uri = self.redirect(app);
        world.codes.push(Code {
            secret: secret.clone(),
            client_id: app.client_id.clone(),
            login: login.to_owned(),
            scopes: if wanted.is_empty() { all } else { wanted },
            offline: offline
                .split([' ', ','])
                .any(|scope| scope == scopes::OFFLINE_ACCESS),
            redirect_uri: redirect_uri.clone(),
            challenge: self.code_challenge.clone(),
            expires: now + CODE_SECONDS,
        });
        self.back(&redirect_uri, &[("code", &secret)])
    }

    fn refuse(&self, redirect: &str, (error, why): (&str, &str)) -> Response {
        let uri = format!("{DOCS}#{}", error.replace('_', "-"));
        let pairs = [
            ("error", error),
            ("error_description", why),
            ("error_uri", &uri),
        ];
        self.back(redirect, &pairs)
    }

    fn back(&self, redirect: &str, pairs: &[(&str, &str)]) -> Response {
        let Ok(mut url) = Url::parse(redirect) else {
            return (StatusCode::BAD_REQUEST, "the app has no callback URL").into_response();
        };
        url.query_pairs_mut().extend_pairs(pairs);
        if let Some(state) = &self.state {
            url.query_pairs_mut().append_pair("state", state);
        }
        see_other(url.as_str())
    }

    /// Where to sign in first, and to come back from
    fn login_url(&self) -> String {
        let mut login = url::form_urlencoded::Serializer::new(String::new());
        login.append_pair("client_id", &self.client_id);
        login.append_pair("return_to", &self.url(true));
        if let Some(name) = &self.login {
            login.append_pair("login", name);
        }
        format!("/login?{}", login.finish())
    }

    fn url(&self, with_prompt: bool) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in self.fields() {
            query.append_pair(name, value);
        }
        if let Some(prompt) = self.prompt.as_deref().filter(|_| with_prompt) {
            query.append_pair("prompt", prompt);
        }
        format!("/login/oauth/authorize?{}", query.finish())
    }

    fn fields(&self) -> Vec<(&'static str, &str)> {
        let optional = [
            ("redirect_uri", &self.redirect_uri),
            ("scope", &self.scope),
            ("state", &self.state),
            ("code_challenge", &self.code_challenge),
            ("code_challenge_method", &self.code_challenge_method),
        ];
        let given = optional.into_iter();
        let given = given.filter_map(|(name, value)| Some((name, value.as_deref()?)));
        std::iter::once(("client_id", self.client_id.as_str()))
            .chain(given)
            .collect()
    }

    fn account_page(&self, visitor: &Visitor, login: &str) -> Html {
        let login = escape(login);
        page("Select an account")
            .add(&format!(
                "<p>You are signed in as <strong>{login}</strong>.</p>\
                 <p><a class=\"button primary\" href=\"{}\">Continue as {login}</a></p>",
                escape(&self.url(false)),
            ))
            .add(&format!(
                "<form method=\"post\" action=\"/logout\">{}{}\
                 <button name=\"other\" value=\"1\">Use a different account</button></form>",
                visitor.hidden_token(),
                hidden("return_to", &self.url(false)),
            ))
    }

    fn consent_page(
        &self,
        world: &World,
        visitor: &Visitor,
        (app, login): (&App, &str),
        granted: Option<Grant>,
    ) -> Html {
        let (name, owner) = (escape(&app.name), escape(&app.owner));
        let known = granted.map(|grant| grant.scopes).unwrap_or_default();
        let title = format!("Authorize {}", app.name);
        let mut fields = visitor.hidden_token();
        for (field, value) in self.fields() {
            fields += &hidden(field, value);
        }
        page(&title)
            .add(&format!(
                "<p><strong>{name}</strong> by {owner} wants to access your \
                 <strong>{}</strong> account.</p>",
                escape(login)
            ))
            .add(&scope_list(&self.wanted(), &known))
            .add(&org_list(world, app, login))
            .add(&format!(
                "<form method=\"post\" action=\"/login/oauth/authorize\">{fields}\
                 <p class=\"buttons\"><button name=\"authorize\" value=\"0\">Cancel</button> \
                 <button class=\"primary\" name=\"authorize\" value=\"1\">Authorize {owner}\
                 </button></p></form>\
                 <p class=\"note\">Authorizing will redirect to <strong>{}</strong></p>",
                escape(&origin(&self.redirect(app))),
            ))
    }
}

impl World {
    /// Keep what somebody allowed an app
    pub(super) fn remember(
        &mut self,
        login: &str,
        client_id: &str,
        scopes: BTreeSet<String>,
        now: i64,
    ) {
        let mut grants = self.grants.iter_mut();
        let known = grants.find(|grant| grant.login == login && grant.client_id == client_id);
        if let Some(grant) = known {
            grant.scopes = scopes;
            return;
        }
        self.grants.push(Grant {
            login: login.to_owned(),
            client_id: client_id.to_owned(),
            scopes,
            created: now,
        });
    }
}

fn scope_list(wanted: &BTreeSet<String>, known: &BTreeSet<String>) -> String {
    if wanted.is_empty() && known.is_empty() {
        return "<ul class=\"scopes\"><li>Public data only</li></ul>".to_owned();
    }
    let item = |scope: &String, note: &str| {
        let (words, scope) = (scopes::words(scope), escape(scope));
        format!("<li><strong>{words}</strong> <code>{scope}</code>{note}</li>")
    };
    let new = wanted.iter().filter(|scope| !scopes::covers(known, scope));
    let new = new.map(|scope| item(scope, ""));
    let old = known.iter().map(|scope| item(scope, " (existing access)"));
    let items: String = new.chain(old).collect();
    format!("<ul class=\"scopes\">{items}</ul>")
}

fn org_list(world: &World, app: &App, login: &str) -> String {
    let orgs = world
        .orgs
        .iter()
        .filter(|org| org.members.contains_key(login));
    let items: String = orgs.map(|org| org_item(org, app, login)).collect();
    if items.is_empty() {
        return items;
    }
    format!("<h2>Organization access</h2><ul class=\"orgs\">{items}</ul>")
}

fn org_item(org: &Org, app: &App, login: &str) -> String {
    let name = escape(&org.login);
    let settings = format!(
        "/settings/connections/applications/{}",
        escape(&app.client_id)
    );
    if !org.restricted || org.approved.contains(&app.client_id) {
        return format!("<li><strong>{name}</strong> ✓ access</li>");
    }
    let ask = if org.is_owner(login) {
        "Grant"
    } else {
        "Request"
    };
    format!("<li><strong>{name}</strong> ✕ restricted · <a href=\"{settings}\">{ask}</a></li>")
}

fn origin(url: &str) -> String {
    Url::parse(url).map_or_else(|_| url.to_owned(), |url| url.origin().ascii_serialization())
}
