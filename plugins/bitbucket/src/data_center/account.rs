//! The identity and its token
//!
//! There is no endpoint for who one is. Every answer says it in `X-AUSERNAME`, unless a proxy in front takes that out;
//! a servlet for links between applications says it as text.

use bindery_plugin_sdk::{Cx, Failure, Response, Result, v1};
use percent_encoding::percent_decode_str;
use serde::Deserialize;

use super::{call, page::Page};

/// Whom a token belongs to, as headers say it: escaped, since they can't hold every name.
struct Who {
    name: String,
    id: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct User {
    id: u64,
    name: String,
    slug: String,
    #[serde(default)]
    display_name: String,
    #[serde(default = "yes")]
    active: bool,
    #[serde(default, rename = "type")]
    kind: String,
}

fn yes() -> bool {
    true
}

pub(crate) async fn identify(cx: &Cx) -> Result<v1::Identity> {
    let response = call::good(cx, cheap(cx).await?)?;
    let who = who(cx, &response).await?;
    match user(cx, &who.name).await? {
        Some(user) if !user.active => Err(Failure::suspended("the account is not active any more")),
        Some(user) => person(cx, user),
        None => machine(cx, who),
    }
}

/// A person is known by number. The name is the one for signing in; the slug is the one in URLs.
fn person(cx: &Cx, user: User) -> Result<v1::Identity> {
    let kind = match user.kind.as_str() {
        "SERVICE" => v1::AccountKind::Bot,
        _ => v1::AccountKind::User,
    };
    Ok(v1::Identity {
        stable_id: user.id.to_string(),
        web_uri: cx.web(&["users", &user.slug])?.into(),
        login: user.name,
        display_name: user.display_name,
        kind: kind.into(),
    })
}

/// Tokens of projects and repositories act for an account that no list shows.
fn machine(cx: &Cx, who: Who) -> Result<v1::Identity> {
    let id = who
        .id
        .ok_or_else(|| Failure::malformed("the server does not tell whose token it is"))?;
    Ok(v1::Identity {
        stable_id: id.to_string(),
        web_uri: cx.web_base().to_owned(),
        login: who.name,
        kind: v1::AccountKind::Bot.into(),
        ..v1::Identity::default()
    })
}

/// Neither scopes nor the end of a token are told; ten requests would not find out which of a person's tokens it is.
pub(crate) async fn inspect(cx: &Cx) -> Result<v1::TokenFacts> {
    let response = cheap(cx).await?;
    let active = if response.is_success() {
        who(cx, &response).await.map(|_| true)?
    } else {
        let failure = call::failure(cx, &response);
        if failure.code() != v1::Code::Unauthenticated {
            return Err(failure);
        }
        false
    };
    Ok(v1::TokenFacts {
        active,
        ..v1::TokenFacts::default()
    })
}

/// The cheapest question that there is. It is everybody's, but a bad token is refused all the same.
async fn cheap(cx: &Cx) -> Result<Response> {
    call::ask(cx, cx.api(&["application-properties"])?).await
}

async fn who(cx: &Cx, response: &Response) -> Result<Who> {
    // An answer that is none of this server's says nothing about the token.
    response.json::<super::probe::Properties>()?;
    if let Some(name) = call::user(response) {
        let name = percent_decode_str(name).decode_utf8().ok();
        return Who::new(name.as_deref(), response);
    }
    let url = cx.web(&["plugins", "servlet", "applinks", "whoami"])?;
    let response = call::good(cx, call::ask(cx, url).await?)?;
    let name = std::str::from_utf8(response.body()).ok();
    Who::new(name.map(str::trim), &response)
}

impl Who {
    /// Reads a name, which is neither empty nor a page of HTML.
    fn new(name: Option<&str>, response: &Response) -> Result<Self> {
        let is_name = |text: &&str| {
            (1..=255).contains(&text.len())
                && !text.contains(|c: char| c.is_control() || "<>/".contains(c))
        };
        match name.filter(is_name) {
            Some(name) => Ok(Self {
                name: name.to_owned(),
                id: response.number("x-auserid"),
            }),
            None => Err(Failure::malformed(
                "the server does not tell whose token it is",
            )),
        }
    }
}

/// A user by name. The path is by slug, which is the name with other letters; where that is somebody else, or nobody,
/// the list is searched.
async fn user(cx: &Cx, name: &str) -> Result<Option<User>> {
    let same = |user: &User| user.name.to_lowercase() == name.to_lowercase();
    let response = call::ask(cx, cx.api(&["users", name])?).await?;
    if response.status() != 404 {
        let user: User = call::good(cx, response)?.json()?;
        if same(&user) {
            return Ok(Some(user));
        }
    }
    let mut start = 0;
    loop {
        let list = cx.api(&["users"])?.query("filter", name);
        let list = if start == 0 {
            list
        } else {
            list.query("start", start)
        };
        let found: Page<User> = call::get(cx, list).await?.json()?;
        let next = found.next(start)?;
        if let Some(user) = found.values.into_iter().find(same) {
            return Ok(Some(user));
        }
        match next {
            Some(next) => start = next,
            None => return Ok(None),
        }
    }
}
