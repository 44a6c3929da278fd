//! Repositories
//!
//! `path` is what is in URLs; `name` is for people, and may be Chinese. `html_url` is the clone URL.

use bindery_plugin_sdk::{Cx, Failure, Result, calendar::unix_ms, v1};
use serde::Deserialize;

use crate::{
    call,
    id::Id,
    paging::{List, is_enough, page_of, page_size},
};

/// The state of a repository that takes no pushes any more: "closed".
const CLOSED: &str = "关闭";

#[derive(Deserialize, PartialEq)]
struct Repository {
    id: Id,
    full_name: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    path: String,
    namespace: Option<Namespace>,
    html_url: String,
    default_branch: Option<String>,
    description: Option<String>,
    #[serde(default)]
    private: bool,
    /// For the members of an enterprise.
    #[serde(default)]
    internal: bool,
    #[serde(default)]
    empty_repo: bool,
    #[serde(default)]
    ssh_url: Option<String>,
    #[serde(default)]
    fork: bool,
    updated_at: Option<String>,
    status: Option<String>,
    permission: Option<Permission>,
}

#[derive(Deserialize, PartialEq)]
struct Namespace {
    path: String,
}

#[derive(Default, Deserialize, PartialEq)]
struct Permission {
    #[serde(default)]
    admin: bool,
    #[serde(default)]
    push: bool,
    #[serde(default)]
    pull: bool,
}

impl Repository {
    /// Owner and name as they are in URLs.
    fn address(&self) -> String {
        match &self.namespace {
            Some(namespace) if !self.path.is_empty() => format!("{}/{}", namespace.path, self.path),
            _ => self.full_name.clone(),
        }
    }
}

impl From<Repository> for v1::Repository {
    fn from(found: Repository) -> Self {
        let full_name = found.address();
        let may = found.permission.unwrap_or_default();
        let page = found.html_url.strip_suffix(".git");
        let page = page.unwrap_or(&found.html_url).to_owned();
        let archived = found.status.as_deref() == Some(CLOSED);
        let default_branch = found.default_branch.unwrap_or_default();
        Self {
            stable_id: found.id.to_string(),
            full_name,
            clone_uri: format!("{page}.git"),
            web_uri: page,
            // An empty repository has a name for the branch that is not there yet.
            default_branch: if found.empty_repo {
                String::new()
            } else {
                default_branch
            },
            description: found.description.unwrap_or_default(),
            private: found.private || found.internal,
            archived,
            can_read: may.pull || may.push || may.admin,
            can_write: (may.push || may.admin) && !archived,
            can_administer: may.admin,
            display_name: found.name,
            ssh_uri: found.ssh_url.unwrap_or_default(),
            fork: found.fork,
            updated_unix_ms: found.updated_at.as_deref().map_or(0, unix_ms),
            internal: found.internal && !found.private,
        }
    }
}

pub(crate) async fn list(cx: &Cx, input: &v1::ListRepositories) -> Result<()> {
    let mut page = page_of(&input.cursor)?;
    let list = of_owner(cx, &input.owner, page, page_size(input.page_size)).await?;
    let (mut found, mut more) = list.first;
    for done in 1.. {
        page += 1;
        cx.emit(v1::RepositoryPage {
            items: select(found, &input.query),
            next_cursor: if more {
                page.to_string()
            } else {
                String::new()
            },
            partial: false,
        });
        if !more || is_enough(done, input.max_pages) {
            break;
        }
        (found, more) = list.list.get(cx, page).await?;
    }
    Ok(())
}

/// What the parameter for names leaves out: older servers have none, so names are looked at here, both of them.
fn select(found: Vec<Repository>, query: &str) -> Vec<v1::Repository> {
    let query = query.to_lowercase();
    let fits = |one: &Repository| {
        one.path.to_lowercase().contains(&query) || one.name.to_lowercase().contains(&query)
    };
    found.into_iter().filter(fits).map(Into::into).collect()
}

/// A list, and the page of it that told that it is the right one.
struct Opened<'a> {
    list: List<'a>,
    first: (Vec<Repository>, bool),
}

/// An owner is an organization, an enterprise or a person, and only asking tells which. Of other people, Gitee lists
/// what is public.
async fn of_owner<'a>(cx: &Cx, owner: &'a str, page: u32, size: u32) -> Result<Opened<'a>> {
    let own = |fixed| List {
        path: vec!["user", "repos"],
        fixed,
        size,
    };
    if owner.is_empty() {
        return open(cx, own(&[]), page).await;
    }
    if owner.eq_ignore_ascii_case(&cx.credential().login) {
        return open(cx, own(&[("type", "personal")]), page).await;
    }
    for kind in ["orgs", "enterprises"] {
        let list = of(kind, owner, size);
        let response = call::ask(cx, list.url(cx, page)?).await?;
        if response.status() != 404 && call::missing_scope(&response).is_none() {
            let response = call::good(cx, response)?;
            let first = list.read(cx, page, &response).await?;
            return Ok(Opened { list, first });
        }
    }
    open(cx, of("users", owner, size), page).await
}

fn of<'a>(kind: &'a str, owner: &'a str, size: u32) -> List<'a> {
    List {
        path: vec![kind, owner, "repos"],
        fixed: &[],
        size,
    }
}

async fn open<'a>(cx: &Cx, list: List<'a>, page: u32) -> Result<Opened<'a>> {
    let first = list.get(cx, page).await?;
    Ok(Opened { list, first })
}

pub(crate) async fn get(cx: &Cx, repository: &str) -> Result<v1::Repository> {
    if let Some(id) = repository.strip_prefix("id:") {
        return by_id(cx, id).await;
    }
    let (owner, name) = split(repository)?;
    let response = call::get_renamed(cx, cx.api(&["repos", owner, name])?).await?;
    Ok(response.json::<Repository>()?.into())
}

/// No endpoint takes an id, so the identity's repositories are looked through. That also finds what was renamed.
async fn by_id(cx: &Cx, id: &str) -> Result<v1::Repository> {
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(not_a_name());
    }
    let list = List {
        path: vec!["user", "repos"],
        fixed: &[],
        size: page_size(0),
    };
    for page in 1.. {
        let (found, more): (Vec<Repository>, bool) = list.get(cx, page).await?;
        if let Some(one) = found.into_iter().find(|one| one.id.is(id)) {
            return Ok(one.into());
        }
        if !more {
            break;
        }
    }
    Err(Failure::not_found(
        "the repository is not among those of the account",
    ))
}

/// Owner and name of a full name.
pub(crate) fn split(full_name: &str) -> Result<(&str, &str)> {
    match full_name.split_once('/') {
        Some((owner, name)) if !owner.is_empty() && !name.is_empty() && !name.contains('/') => {
            Ok((owner, name))
        }
        _ => Err(not_a_name()),
    }
}

fn not_a_name() -> Failure {
    Failure::invalid_argument("a repository is owner/path or id:number")
}
