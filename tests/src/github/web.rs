//! Sessions, the login page, and the start page

use std::sync::Arc;

use axum::extract::{Form, Query, State};
use axum::response::{AppendHeaders, IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;

use super::pages::{Html, escape, framed, hidden, page};
use super::world::Session;
use super::{Inner, mint, pages};

const COOKIE: &str = "user_session";

/// Whoever looks at a page, signed in or not
pub(super) struct Visitor {
    pub(super) login: Option<String>,
    session: String,
    form_token: String,
    secure: bool,
    new: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Login {
    login: String,
    password: String,
    return_to: Option<String>,
    authenticity_token: Option<String>,
}

impl Visitor {
    /// Find the session that the cookie names, or begin one
    pub(super) fn of(inner: &Inner, headers: &HeaderMap) -> Self {
        let secure = inner.options.tls.is_some();
        let mut world = inner.world();
        if let Some(name) = cookie(headers)
            && let Some(session) = world.sessions.get(&name)
        {
            return Self {
                login: session.login.clone(),
                form_token: session.form_token.clone(),
                session: name,
                secure,
                new: false,
            };
        }
        let fresh = Self::fresh(None, secure);
        world.sessions.insert(fresh.session.clone(), fresh.kept());
        fresh
    }

    /// Who sent a form of one of their own pages
    pub(super) fn sent(&self, form_token: Option<&str>) -> Option<String> {
        let genuine = form_token == Some(&self.form_token) && !self.new;
        self.login.clone().filter(|_| genuine)
    }

    pub(super) fn show(&self, title: &str, body: &Html) -> Response {
        let page = framed(body.document(title, &self.header()));
        (AppendHeaders(self.set_cookie()), page).into_response()
    }

    pub(super) fn hidden_token(&self) -> String {
        hidden("authenticity_token", &self.form_token)
    }

    fn fresh(login: Option<String>, secure: bool) -> Self {
        Self {
            login,
            session: mint::random(48),
            form_token: mint::random(48),
            secure,
            new: true,
        }
    }

    fn kept(&self) -> Session {
        Session {
            login: self.login.clone(),
            form_token: self.form_token.clone(),
        }
    }

    fn set_cookie(&self) -> Option<(header::HeaderName, String)> {
        let secure = if self.secure { "; Secure" } else { "" };
        let session = &self.session;
        let cookie = format!("{COOKIE}={session}; Path=/; HttpOnly; SameSite=Lax{secure}");
        self.new.then_some((header::SET_COOKIE, cookie))
    }

    fn header(&self) -> String {
        let Some(login) = &self.login else {
            return "<a href=\"/login\">Sign in</a>".to_owned();
        };
        format!(
            "<span>{}</span> <a href=\"/settings/applications\">Applications</a> \
             <a href=\"/settings/tokens\">Tokens</a> \
             <form method=\"post\" action=\"/logout\">{}<button>Sign out</button></form>",
            escape(login),
            self.hidden_token()
        )
    }
}

/// `GET /`
pub(super) async fn home(State(inner): State<Arc<Inner>>, headers: HeaderMap) -> Response {
    let visitor = Visitor::of(&inner, &headers);
    let world = inner.world();
    let repos = world.repos.iter().filter(|repo| {
        let login = visitor.login.as_deref();
        !repo.private || login.is_some_and(|login| world.permission(repo, login).is_some())
    });
    let items = repos.map(|repo| {
        let name = escape(&repo.full_name());
        let kind = if repo.private { "private" } else { "public" };
        format!("<li><a href=\"/{name}\">{name}</a> <span class=\"note\">{kind}</span></li>")
    });
    let list = format!("<ul>{}</ul>", items.collect::<String>());
    visitor.show("GitHub", &page("Repositories").add(&list))
}

/// `GET /login`
pub(super) async fn login(
    State(inner): State<Arc<Inner>>,
    headers: HeaderMap,
    Query(asked): Query<Login>,
) -> Response {
    let visitor = Visitor::of(&inner, &headers);
    login_page(&visitor, &asked, "")
}

/// `POST /session`
pub(super) async fn sign_in(
    State(inner): State<Arc<Inner>>,
    headers: HeaderMap,
    Form(sent): Form<Login>,
) -> Response {
    let visitor = Visitor::of(&inner, &headers);
    if visitor.new || sent.authenticity_token.as_deref() != Some(&visitor.form_token) {
        return pages::stale_form();
    }
    let mut world = inner.world();
    let user = world
        .user(&sent.login)
        .filter(|user| user.password == sent.password);
    let Some(login) = user.map(|user| user.login.clone()) else {
        let error = "<p class=\"error\" role=\"alert\">Incorrect username or password.</p>";
        return login_page(&visitor, &sent, error);
    };
    // A session that somebody else may have planted is never the one that is signed in.
    world.sessions.remove(&visitor.session);
    let visitor = Visitor::fresh(Some(login), visitor.secure);
    world
        .sessions
        .insert(visitor.session.clone(), visitor.kept());
    let redirect = see_other(&sent.destination());
    (AppendHeaders(visitor.set_cookie()), redirect).into_response()
}

/// `POST /logout`
pub(super) async fn sign_out(
    State(inner): State<Arc<Inner>>,
    headers: HeaderMap,
    Form(sent): Form<Login>,
) -> Response {
    let visitor = Visitor::of(&inner, &headers);
    if visitor.sent(sent.authenticity_token.as_deref()).is_none() {
        return pages::stale_form();
    }
    inner.world().sessions.remove(&visitor.session);
    see_other(&sent.destination())
}

/// A redirect as GitHub's pages make them: 302, also after a form
pub(super) fn see_other(to: &str) -> Response {
    let headers = [
        (header::LOCATION, to),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (StatusCode::FOUND, headers).into_response()
}

impl Login {
    /// Never anywhere but here
    fn destination(&self) -> String {
        let wanted = self.return_to.as_deref().unwrap_or("/");
        let here = wanted.starts_with('/') && !wanted.starts_with("//") && !wanted.contains('\\');
        if here { wanted } else { "/" }.to_owned()
    }
}

fn login_page(visitor: &Visitor, asked: &Login, error: &str) -> Response {
    let mut fields = visitor.hidden_token();
    if let Some(return_to) = &asked.return_to {
        fields += &hidden("return_to", return_to);
    }
    let form = format!(
        "{error}<form method=\"post\" action=\"/session\">{fields}\
         <label>Username <input type=\"text\" name=\"login\" value=\"{}\" \
         autocomplete=\"username\" required autofocus></label>\
         <label>Password <input type=\"password\" name=\"password\" \
         autocomplete=\"current-password\" required></label>\
         <button class=\"primary\">Sign in</button></form>",
        escape(&asked.login)
    );
    visitor.show("Sign in to GitHub", &page("Sign in to GitHub").add(&form))
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    let values = headers.get_all(header::COOKIE).into_iter();
    let mut pairs = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    let found = pairs.find(|(name, _)| *name == COOKIE);
    found.map(|(_, value)| value.to_owned())
}
