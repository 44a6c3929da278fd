//! Repositories

mod app;

use bindery_plugin_sdk::{Cx, Failure, Response, Result, Url, calendar::unix_ms, v1};
use serde::Deserialize;

use crate::{
    account, call,
    paging::{is_enough, next_cursor, page_size, url_of},
};

#[derive(Deserialize)]
struct Repository {
    id: u64,
    name: String,
    full_name: String,
    clone_url: String,
    html_url: String,
    #[serde(default)]
    default_branch: Option<String>,
    description: Option<String>,
    #[serde(default)]
    private: bool,
    #[serde(default)]
    archived: bool,
    #[serde(default)]
    disabled: bool,
    #[serde(default)]
    ssh_url: String,
    #[serde(default)]
    fork: bool,
    #[serde(default)]
    visibility: String,
    updated_at: Option<String>,
    permissions: Option<Permissions>,
}

#[derive(Deserialize)]
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
        // Left out where GitHub knows nothing of the identity; what is shown can be read.
        let may = found.permissions.unwrap_or(Permissions {
            admin: false,
            push: false,
            pull: true,
        });
        Self {
            stable_id: found.id.to_string(),
            full_name: found.full_name,
            clone_uri: found.clone_url,
            web_uri: found.html_url,
            default_branch: found.default_branch.unwrap_or_default(),
            description: found.description.unwrap_or_default(),
            private: found.private,
            archived: found.archived,
            can_read: (may.pull || may.push || may.admin) && !found.disabled,
            can_write: (may.push || may.admin) && !found.archived && !found.disabled,
            can_administer: may.admin,
            // The name is what is in the path; there is no other.
            display_name: String::new(),
            ssh_uri: found.ssh_url,
            fork: found.fork,
            updated_unix_ms: found.updated_at.as_deref().map_or(0, unix_ms),
            // For the members of an enterprise.
            internal: found.visibility == "internal",
        }
    }
}

pub(crate) async fn list(cx: &Cx, input: &v1::ListRepositories) -> Result<()> {
    if account::is_installation(cx) {
        return app::of_installation(cx, input).await;
    }
    if account::is_app_user(cx) {
        return app::of_person(cx, input).await;
    }
    let mut response = first(cx, input).await?;
    let mut done = 0;
    loop {
        // GitHub has been seen to leave holes in this list.
        let found: Vec<Option<Repository>> = response.json()?;
        let cursor = next_cursor(cx, &response)?;
        done += 1;
        cx.emit(v1::RepositoryPage {
            items: select(found.into_iter().flatten(), &input.query),
            next_cursor: cursor.clone(),
            partial: call::left_out(&response).is_some(),
        });
        if cursor.is_empty() || is_enough(done, input.max_pages) {
            return Ok(());
        }
        response = call::get(cx, url_of(cx, &cursor)?).await?;
    }
}

/// The API has no filter by name, and its search shows what the identity has nothing to do with.
fn select(found: impl Iterator<Item = Repository>, query: &str) -> Vec<v1::Repository> {
    let query = query.to_lowercase();
    let fits = |one: &Repository| one.name.to_lowercase().contains(&query);
    found.filter(fits).map(Into::into).collect()
}

/// The page to start with. An owner is an organization or a person, and only asking tells which.
async fn first(cx: &Cx, input: &v1::ListRepositories) -> Result<Response> {
    if !input.cursor.is_empty() {
        return call::get(cx, url_of(cx, &input.cursor)?).await;
    }
    let owner = input.owner.as_str();
    let size = page_size(input.page_size);
    if owner.is_empty() {
        return call::get(cx, own(cx, "owner,collaborator,organization_member", size)?).await;
    }
    if owner.eq_ignore_ascii_case(&cx.credential().login) {
        return call::get(cx, own(cx, "owner", size)?).await;
    }
    let paged = |url: Url| url.query("sort", "full_name").query("per_page", size);
    let response = call::ask(cx, paged(cx.api(&["orgs", owner, "repos"])?)).await?;
    if response.status() != 404 || call::barrier(&response).is_some() {
        return call::good(cx, response);
    }
    call::get(cx, paged(cx.api(&["users", owner, "repos"])?)).await
}

/// Sorted by name, so that a push while pages are read moves nothing from one to another.
fn own(cx: &Cx, affiliation: &str, size: u32) -> Result<Url> {
    let url = cx
        .api(&["user", "repos"])?
        .query("affiliation", affiliation);
    Ok(url.query("sort", "full_name").query("per_page", size))
}

pub(crate) async fn get(cx: &Cx, repository: &str) -> Result<v1::Repository> {
    let response = call::get(cx, url(cx, repository)?).await?;
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
