//! Sending, and what an error of this provider means

use bindery_plugin_sdk::{Cx, Failure, Request, Response, Result, Secret, Url};
use serde::{Deserialize, de::DeserializeOwned};

/// Redirects that are followed for one question. Gitea sends one when a repository was renamed.
const MOST_REDIRECTS: usize = 3;

#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    message: String,
}

/// Asks for a URL and gives whatever came back.
pub(crate) async fn ask(cx: &Cx, url: Url) -> Result<Response> {
    let request = Request::get(url)
        .header("accept", "application/json")
        .bearer(Secret("access_token"));
    cx.send(request).await
}

/// Asks for a URL and gives the response if it is good.
pub(crate) async fn get(cx: &Cx, url: Url) -> Result<Response> {
    good(cx, ask(cx, url).await?)
}

/// As [`get`], and goes after what was renamed. The daemon follows nothing by itself.
pub(crate) async fn get_renamed(cx: &Cx, mut url: Url) -> Result<Response> {
    for _ in 0..MOST_REDIRECTS {
        let response = ask(cx, url).await?;
        match (response.status(), response.header("location")) {
            (301 | 302 | 307 | 308, Some(to)) => url = cx.follow(to)?,
            _ => return good(cx, response),
        }
    }
    Err(Failure::malformed("the server redirects in circles"))
}

pub(crate) fn good(cx: &Cx, response: Response) -> Result<Response> {
    if response.is_success() {
        Ok(response)
    } else {
        Err(failure(cx, &response))
    }
}

/// A list; some endpoints of some versions write `null` for an empty one.
pub(crate) fn list<T: DeserializeOwned>(response: &Response) -> Result<Vec<T>> {
    Ok(response.json::<Option<Vec<T>>>()?.unwrap_or_default())
}

/// What a 403 says in words; all else is what its status says.
pub(crate) fn failure(cx: &Cx, response: &Response) -> Failure {
    match refusal(response) {
        Some(refusal) => refusal.failure(cx).with_status(response.status()),
        None => response.failure(cx.now_unix_ms()),
    }
}

/// What is in the way of a token that is good.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Refusal {
    /// One of these scopes would do.
    Scope(Vec<String>),
    /// The token has the scope `public-only`, and this is not public.
    PublicOnly,
    /// An administrator shut the account, or never let it in.
    Account,
    /// The account has to do something on this page first.
    Chore(&'static str),
}

/// Sentences of the server, which are the same in all languages, and what they mean.
const SENTENCES: [(&str, Refusal); 5] = [
    ("limited to public", Refusal::PublicOnly),
    ("account is prohibited from signing in", Refusal::Account),
    ("account is not activated", Refusal::Account),
    (
        "must change your password",
        Refusal::Chore("/user/settings/change_password"),
    ),
    (
        "enable two-factor authentication",
        Refusal::Chore("/user/settings/security"),
    ),
];

impl Refusal {
    fn failure(self, cx: &Cx) -> Failure {
        match self {
            Self::Scope(scopes) => Failure::scope_missing(scopes),
            Self::PublicOnly => Failure::permission_denied(
                "the token has the scope public-only, and this is not public",
            ),
            Self::Account => {
                Failure::suspended("the server's administrator does not let this account in")
            }
            Self::Chore(page) => {
                Failure::suspended("the server lets this account in only after a visit to its page")
                    .with_action_uri(format!("{}{page}", cx.web_base()))
            }
        }
    }

    /// Whether it is about the token, and not about its account.
    pub(crate) fn is_of_token(&self) -> bool {
        matches!(self, Self::Scope(_) | Self::PublicOnly)
    }
}

/// What a 403 says, if it is one of the known sentences.
pub(crate) fn refusal(response: &Response) -> Option<Refusal> {
    if response.status() != 403 {
        return None;
    }
    let Problem { message } = response.json().ok()?;
    if let Some(scopes) = missing_scopes(&message) {
        return Some(Refusal::Scope(scopes));
    }
    let known = SENTENCES
        .into_iter()
        .find(|(sentence, _)| message.contains(sentence));
    known.map(|(_, refusal)| refusal)
}

/// `token does not have at least one of required scope(s), required=[read:user], ...`, in all its spellings.
fn missing_scopes(message: &str) -> Option<Vec<String>> {
    let (_, rest) = message.split_once("required scope")?;
    let (_, rest) = rest.split_once('[')?;
    let (list, _) = rest.split_once(']')?;
    let scopes = list.split([' ', ',']).filter(|scope| !scope.is_empty());
    Some(scopes.map(str::to_owned).collect())
}

/// Whether the token is known to see only what is public: its lists are then shorter, and nothing in them says so.
pub(crate) fn sees_only_public(cx: &Cx) -> bool {
    let scopes = &cx.credential().scopes;
    scopes.iter().any(|scope| scope == "public-only")
}
