//! Repositories
//!
//! A cursor is the number of the first item. Lists leave out the default branch: it takes a request for each repository.

use bindery_plugin_sdk::{Cx, Failure, Result, Url, v1};
use serde::{Deserialize, de::IgnoredAny};

use super::{
    call,
    page::{self, Page},
    rights::{Filter, Permitted, Rights},
};
use crate::common::{is_enough, page_size, split, without_user};

#[derive(Deserialize)]
struct Repository {
    id: u64,
    slug: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    description: String,
    project: Project,
    /// What it was forked from.
    origin: Option<IgnoredAny>,
    #[serde(default)]
    public: bool,
    #[serde(default)]
    archived: bool,
    #[serde(default)]
    links: Links,
}

#[derive(Deserialize)]
struct Project {
    /// `PRJ`, or `~jane` for a person's own.
    key: String,
    #[serde(default)]
    public: bool,
}

#[derive(Default, Deserialize)]
struct Links {
    #[serde(default)]
    clone: Vec<Link>,
}

#[derive(Deserialize)]
struct Link {
    href: String,
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Branch {
    display_id: String,
}

impl Repository {
    fn full_name(&self) -> String {
        format!("{}/{}", self.project.key, self.slug)
    }

    fn into_message(self, cx: &Cx, rights: Rights, branch: String) -> Result<v1::Repository> {
        let over_ssh = self.links.clone.iter().find(|link| link.name == "ssh");
        let ssh_uri = over_ssh.map_or_else(String::new, |link| link.href.clone());
        let clone = self.links.clone.iter();
        let clone = clone.filter(|link| matches!(link.name.as_str(), "http" | "https"));
        Ok(v1::Repository {
            clone_uri: match clone.map(|link| without_user(&link.href)).next() {
                Some(clone) => clone,
                None => self.clone_page(cx)?,
            },
            web_uri: self.page(cx)?.into(),
            stable_id: self.id.to_string(),
            full_name: self.full_name(),
            default_branch: branch,
            private: !self.public && !self.project.public,
            archived: self.archived,
            can_read: true,
            can_write: rights.write && !self.archived,
            can_administer: rights.administer,
            description: self.description,
            display_name: self.name,
            ssh_uri,
            fork: self.origin.is_some(),
            // It does not tell.
            updated_unix_ms: 0,
            internal: false,
        })
    }

    fn page(&self, cx: &Cx) -> Result<Url> {
        match self.project.key.strip_prefix('~') {
            Some(person) => cx.web(&["users", person, "repos", &self.slug]),
            None => cx.web(&["projects", &self.project.key, "repos", &self.slug]),
        }
    }

    fn clone_page(&self, cx: &Cx) -> Result<String> {
        let key = self.project.key.to_lowercase();
        Ok(format!("{}.git", cx.web(&["scm", &key, &self.slug])?))
    }
}

pub(crate) async fn list(cx: &Cx, input: &v1::ListRepositories) -> Result<()> {
    let filter = Filter {
        project: &input.owner,
        name: &input.query,
    };
    let size = page_size(input.page_size);
    let mut start = page::start_of(&input.cursor)?;
    let mut permitted = None;
    let mut done = 0;
    loop {
        let found: Page<Repository> = call::get(cx, page::at(url(cx, filter)?, start, size))
            .await?
            .json()?;
        let next = found.next(start)?;
        if permitted.is_none() && !found.values.is_empty() {
            permitted = Some(Permitted::ask(cx, filter).await?);
        }
        cx.emit(v1::RepositoryPage {
            items: items(cx, found.values, permitted.as_ref(), &input.query)?,
            next_cursor: next.map_or_else(String::new, |next| next.to_string()),
            partial: false,
        });
        done += 1;
        match next {
            Some(next) if !is_enough(done, input.max_pages) => start = next,
            _ => return Ok(()),
        }
    }
}

/// The list of a project is asked for by its path, since only that fails where there is no such project.
fn url(cx: &Cx, filter: Filter<'_>) -> Result<Url> {
    match filter.project {
        "" => filter.list(cx, "REPO_READ"),
        key => cx.api(&["projects", key, "repos"]),
    }
}

/// The list of a project has no filter by name, so the name is looked at here.
fn items(
    cx: &Cx,
    found: Vec<Repository>,
    permitted: Option<&Permitted>,
    query: &str,
) -> Result<Vec<v1::Repository>> {
    let query = query.to_lowercase();
    let fits = |one: &Repository| {
        [&one.name, &one.slug]
            .iter()
            .any(|name| name.to_lowercase().contains(&query))
    };
    let rights = |id| permitted.map_or_else(Rights::default, |all| all.of(id));
    let fitting = found.into_iter().filter(fits);
    fitting
        .map(|one| {
            let rights = rights(one.id);
            one.into_message(cx, rights, String::new())
        })
        .collect()
}

/// By name or by id. A repository that moved answers under its old name with the new one.
pub(crate) async fn get(cx: &Cx, repository: &str) -> Result<v1::Repository> {
    let found = find(cx, repository).await?;
    let filter = Filter {
        project: &found.project.key,
        name: &found.name,
    };
    let rights = Permitted::ask(cx, filter).await?.of(found.id);
    let branch = default_branch(cx, &found).await?;
    found.into_message(cx, rights, branch)
}

async fn find(cx: &Cx, repository: &str) -> Result<Repository> {
    match repository.strip_prefix("id:") {
        Some(id) => by_id(cx, id).await,
        None => {
            let (project, slug) = split(repository)?;
            let url = cx.api(&["projects", project, "repos", slug])?;
            call::get(cx, url).await?.json()
        }
    }
}

/// There is no endpoint by id, so the list of all is gone through.
async fn by_id(cx: &Cx, id: &str) -> Result<Repository> {
    let id: u64 = id
        .parse()
        .map_err(|_| Failure::invalid_argument("a repository's stable id is a number here"))?;
    let mut start = 0;
    loop {
        let url = page::at(cx.api(&["repos"])?, start, page::LARGE);
        let found: Page<Repository> = call::get(cx, url).await?.json()?;
        let next = found.next(start)?;
        if let Some(found) = found.values.into_iter().find(|one| one.id == id) {
            return Ok(found);
        }
        match next {
            Some(next) => start = next,
            None => return Err(Failure::not_found("no repository in sight has this id")),
        }
    }
}

/// The name that a repository has now.
pub(crate) async fn current_name(cx: &Cx, repository: &str) -> Result<String> {
    Ok(find(cx, repository).await?.full_name())
}

/// Project and slug of a repository that may be named by id.
pub(crate) async fn full_name(cx: &Cx, repository: &str) -> Result<String> {
    if repository.starts_with("id:") {
        return Ok(find(cx, repository).await?.full_name());
    }
    Ok(repository.to_owned())
}

/// The configured branch need not be there: an empty repository has none.
async fn default_branch(cx: &Cx, found: &Repository) -> Result<String> {
    let key = found.project.key.as_str();
    let url = cx.api(&["projects", key, "repos", &found.slug, "default-branch"])?;
    let response = call::ask(cx, url).await?;
    match response.status() {
        204 | 404 => Ok(String::new()),
        _ => Ok(call::good(cx, response)?.json::<Branch>()?.display_id),
    }
}
