//! Short tokens for an installation, as narrow as was asked for
//!
//! A token is opaque: it may have 40 characters or, since 2026, over 500 with dots in it (`ghs_APPID_JWT`). The header
//! that chooses between the forms is not sent, so that GitHub's own pace decides.

use bindery_plugin_sdk::{Cx, Failure, Json, Request, Response, Result, Secret, v1};
use serde::Deserialize;
use serde_json::json;

use crate::{
    app::App,
    installation,
    permissions::{self, Levels},
    repositories::split,
    time,
};

/// What GitHub takes at most.
const MOST_REPOSITORIES: usize = 500;

#[derive(Deserialize)]
struct Minted {
    expires_at: String,
    #[serde(default)]
    permissions: Levels,
    #[serde(default)]
    repository_selection: String,
    repositories: Option<Vec<Repository>>,
}

#[derive(Deserialize)]
struct Repository {
    id: u64,
    full_name: String,
}

/// Repositories that a token is to be for. All are named, or all are numbered.
enum Reach {
    All,
    Named(Vec<String>),
    Numbered(Vec<u64>),
}

pub(crate) async fn mint(cx: &Cx, input: &v1::MintToken) -> Result<v1::Minted> {
    let reach = Reach::of(cx, &input.repositories)?;
    let asked = permissions::levels(input.permissions());
    let id = installation::id(cx)?;
    let app = App::sign(cx).await?;
    let url = cx.api(&["app", "installations", id, "access_tokens"])?;
    let request = Request::post(url)
        .json(body(&reach, &asked)?)
        .capture("/token", Secret("minted_token"));
    let response = app.send(request).await?;
    match response.status() {
        201 => reach.told(&response.json()?),
        422 => Err(too_much(cx, &app, &asked, &response).await),
        _ => Err(app.failure(&response).await),
    }
}

/// Without permissions the token has all of the installation's.
fn body(reach: &Reach, asked: &Levels) -> Result<Json> {
    let mut body = Json::object();
    body = match reach {
        Reach::All => body,
        Reach::Named(names) => {
            let names: Vec<&str> = names
                .iter()
                .map(|name| Ok(split(name)?.1))
                .collect::<Result<_>>()?;
            body.field("repositories", json!(names))
        }
        Reach::Numbered(ids) => body.field("repository_ids", json!(ids)),
    };
    Ok(match asked.is_empty() {
        true => body,
        false => body.field("permissions", json!(asked)),
    })
}

impl Reach {
    fn of(cx: &Cx, asked: &[String]) -> Result<Self> {
        if asked.is_empty() {
            return Ok(Self::All);
        }
        if asked.len() > MOST_REPOSITORIES {
            return Err(Failure::invalid_argument(
                "GitHub limits a token to 500 repositories at most",
            ));
        }
        let ids: Vec<&str> = asked
            .iter()
            .filter_map(|one| one.strip_prefix("id:"))
            .collect();
        if ids.is_empty() {
            asked.iter().try_for_each(|name| own(cx, name))?;
            return Ok(Self::Named(asked.to_vec()));
        }
        let numbers: Vec<u64> = ids.iter().filter_map(|id| id.parse().ok()).collect();
        if numbers.len() != asked.len() {
            return Err(Failure::invalid_argument(
                "repositories are all owner/name, or all id:number",
            ));
        }
        Ok(Self::Numbered(numbers))
    }

    /// GitHub takes names without their owner, so the answer has to say that they are the ones that were meant: of a
    /// renamed account, or of a stranger's repository with the same name, the token would be for another.
    fn told(&self, minted: &Minted) -> Result<v1::Minted> {
        let listed = match (self, &minted.repositories) {
            (Self::All, _) => &[],
            (_, Some(listed)) => listed.as_slice(),
            (_, None) => {
                return Err(Failure::malformed(
                    "the server does not say what the token is for",
                ));
            }
        };
        let is_there = match self {
            Self::All => true,
            Self::Named(names) => names.iter().all(|name| {
                let mut listed = listed.iter();
                listed.any(|one| one.full_name.eq_ignore_ascii_case(name))
            }),
            Self::Numbered(ids) => ids.iter().all(|id| listed.iter().any(|one| one.id == *id)),
        };
        if !is_there {
            return Err(Failure::not_found(
                "a repository has another name or owner by now; name it by its id",
            ));
        }
        let expire_unix = time::iso(&minted.expires_at)
            .ok_or_else(|| Failure::malformed("the token's expiry is no point in time"))?;
        Ok(v1::Minted {
            expire_unix,
            narrowed: !matches!(self, Self::All) && minted.repository_selection == "selected",
            scopes: permissions::written(&minted.permissions),
        })
    }
}

fn own(cx: &Cx, full_name: &str) -> Result<()> {
    let login = cx.credential().login.as_str();
    let (owner, _) = split(full_name)?;
    if login.is_empty() || owner.eq_ignore_ascii_case(login) {
        return Ok(());
    }
    Err(Failure::not_found(
        "the repository is not of the account that the app is installed on",
    ))
}

/// Asking for more than was granted is told from a repository that is not there by what was granted.
async fn too_much(cx: &Cx, app: &App<'_>, asked: &Levels, response: &Response) -> Failure {
    let granted = match installation::id(cx) {
        Ok(id) => installation::fetch(cx, app, id).await,
        Err(failure) => Err(failure),
    };
    let failure = match granted {
        Err(failure) => return failure,
        Ok(granted) => match permissions::missing(asked, &granted.permissions) {
            none if none.is_empty() => Failure::not_found(
                "the app is not installed for one of these repositories, or it does not exist",
            ),
            missing => Failure::scope_missing(missing).with_action_uri(granted.page(cx)),
        },
    };
    failure.with_status(response.status())
}
