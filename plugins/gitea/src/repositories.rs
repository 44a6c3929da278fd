//! Repositories

use bindery_plugin_sdk::{Cx, Failure, Response, Result, Url, calendar::unix_ms, v1};
use serde::Deserialize;

use crate::{
    call,
    paging::{has_next, is_enough, page_of, page_size, page_url},
};

#[derive(Deserialize)]
struct Repository {
    id: u64,
    full_name: String,
    clone_url: String,
    html_url: String,
    #[serde(default)]
    default_branch: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    empty: bool,
    #[serde(default)]
    private: bool,
    /// Public, but of an owner that hides from all but its members.
    #[serde(default)]
    internal: bool,
    #[serde(default)]
    archived: bool,
    #[serde(default)]
    ssh_url: String,
    #[serde(default)]
    fork: bool,
    updated_at: Option<String>,
    permissions: Option<Permissions>,
}

#[derive(Default, Deserialize)]
struct Permissions {
    #[serde(default)]
    admin: bool,
    #[serde(default)]
    push: bool,
    #[serde(default)]
    pull: bool,
}

impl From<Repository> for v1::Repository {
    fn from(found: Repository) -> Self {
        let may = found.permissions.unwrap_or_default();
        Self {
            stable_id: found.id.to_string(),
            full_name: found.full_name,
            clone_uri: found.clone_url,
            web_uri: found.html_url,
            // An empty repository has a name for the branch that is not there yet.
            default_branch: if found.empty {
                String::new()
            } else {
                found.default_branch
            },
            description: found.description,
            private: found.private || found.internal,
            archived: found.archived,
            can_read: may.pull || may.push || may.admin,
            can_write: (may.push || may.admin) && !found.archived,
            can_administer: may.admin,
            // The name is what is in the path; there is no other.
            display_name: String::new(),
            ssh_uri: found.ssh_url,
            fork: found.fork,
            updated_unix_ms: found.updated_at.as_deref().map_or(0, unix_ms),
            // A limited owner is seen by all who sign in, but that is not told.
            internal: false,
        }
    }
}

pub(crate) async fn list(cx: &Cx, input: &v1::ListRepositories) -> Result<()> {
    let size = page_size(input.page_size);
    let mut page = page_of(&input.cursor)?;
    let mut done = 0;
    loop {
        let response = fetch(cx, &input.owner, page, size).await?;
        let found: Vec<Repository> = call::list(&response)?;
        let go_on = has_next(&response, page, found.len());
        page += 1;
        done += 1;
        cx.emit(v1::RepositoryPage {
            items: select(found, &input.query),
            next_cursor: if go_on {
                page.to_string()
            } else {
                String::new()
            },
            partial: call::sees_only_public(cx),
        });
        if !go_on || is_enough(done, input.max_pages) {
            return Ok(());
        }
    }
}

/// The API has no filter that keeps to what the identity has to do with, so the name is looked at here.
fn select(found: Vec<Repository>, query: &str) -> Vec<v1::Repository> {
    let query = query.to_lowercase();
    let fits = |one: &Repository| {
        let name = one.full_name.rsplit('/').next().unwrap_or_default();
        name.to_lowercase().contains(&query)
    };
    found.into_iter().filter(fits).map(Into::into).collect()
}

/// An owner is an organization or a person, and only asking tells which.
async fn fetch(cx: &Cx, owner: &str, page: u32, size: u32) -> Result<Response> {
    if owner.is_empty() {
        return call::get(cx, page_url(cx, &["user", "repos"], page, size)?).await;
    }
    if !owner.eq_ignore_ascii_case(&cx.credential().login) {
        let response = call::ask(cx, page_url(cx, &["orgs", owner, "repos"], page, size)?).await?;
        if response.status() != 404 {
            return call::good(cx, response);
        }
    }
    call::get(cx, page_url(cx, &["users", owner, "repos"], page, size)?).await
}

pub(crate) async fn get(cx: &Cx, repository: &str) -> Result<v1::Repository> {
    let response = call::get_renamed(cx, url(cx, repository)?).await?;
    Ok(response.json::<Repository>()?.into())
}

fn url(cx: &Cx, repository: &str) -> Result<Url> {
    match repository.strip_prefix("id:") {
        Some(id) => cx.api(&["repositories", id]),
        None => {
            let (owner, name) = split(repository)?;
            cx.api(&["repos", owner, name])
        }
    }
}

/// Owner and name of a full name.
pub(crate) fn split(full_name: &str) -> Result<(&str, &str)> {
    match full_name.split_once('/') {
        Some((owner, name)) if !owner.is_empty() && !name.is_empty() && !name.contains('/') => {
            Ok((owner, name))
        }
        _ => Err(Failure::invalid_argument(
            "a repository is owner/name or id:number",
        )),
    }
}
