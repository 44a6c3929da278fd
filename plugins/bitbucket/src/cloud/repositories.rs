//! Repositories, over all workspaces
//!
//! A cursor is the workspace and the query of its page: `acme:page=2&pagelen=100`; without a query it is the first page.

use bindery_plugin_sdk::{Cx, Failure, Response, Result, Url, calendar::unix_ms, v1};
use serde::{Deserialize, de::IgnoredAny};

use super::{
    call, organizations,
    page::{self, Page},
    place::Place,
    rights::{Rights, Table, quoted},
};
use crate::common::{foreign_cursor, is_enough, page_size, split, without_user};

#[derive(Deserialize)]
struct Repository {
    uuid: String,
    full_name: String,
    /// For people; the path has a slug of it.
    #[serde(default)]
    name: String,
    /// What it was forked from.
    parent: Option<IgnoredAny>,
    updated_on: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    is_private: bool,
    /// None for an empty repository.
    mainbranch: Option<Branch>,
    #[serde(default)]
    links: Links,
}

#[derive(Deserialize)]
struct Branch {
    name: String,
}

#[derive(Default, Deserialize)]
struct Links {
    #[serde(default)]
    html: Option<Link>,
    #[serde(default)]
    clone: Vec<Link>,
}

#[derive(Deserialize)]
struct Link {
    href: String,
    #[serde(default)]
    name: String,
}

impl Repository {
    fn into_message(self, cx: &Cx, rights: Rights) -> Result<v1::Repository> {
        let (workspace, name) = split(&self.full_name)
            .map_err(|_| Failure::malformed("a repository's full name has no workspace"))?;
        let clone = self.links.clone.iter().find(|link| link.name == "https");
        let over_ssh = self.links.clone.iter().find(|link| link.name == "ssh");
        let ssh_uri = over_ssh.map_or_else(String::new, |link| link.href.clone());
        let page = self.links.html.map(|link| link.href);
        Ok(v1::Repository {
            clone_uri: match clone {
                Some(link) => without_user(&link.href),
                None => format!("{}.git", cx.web(&[workspace, name])?),
            },
            web_uri: match page {
                Some(page) => page,
                None => cx.web(&[workspace, name])?.into(),
            },
            stable_id: self.uuid,
            default_branch: self
                .mainbranch
                .map(|branch| branch.name)
                .unwrap_or_default(),
            description: self.description.unwrap_or_default(),
            private: self.is_private,
            archived: false,
            can_read: true,
            can_write: rights.write,
            can_administer: rights.administer,
            full_name: self.full_name,
            display_name: self.name,
            ssh_uri,
            fork: self.parent.is_some(),
            updated_unix_ms: self.updated_on.as_deref().map_or(0, unix_ms),
            internal: false,
        })
    }
}

/// A place in the list over all workspaces.
struct Walk {
    workspaces: Vec<String>,
    index: usize,
    query: String,
    /// Permissions in the workspace at `index`, once they are needed.
    table: Option<Table>,
}

impl Walk {
    async fn start(cx: &Cx, input: &v1::ListRepositories) -> Result<Self> {
        let (slug, query) = place_of(&input.cursor)?;
        let workspaces = match (Place::of(cx), input.owner.as_str()) {
            (_, owner) if !owner.is_empty() => vec![owner.to_owned()],
            (Some(place), _) => vec![place?.workspace.to_owned()],
            (None, _) => organizations::slugs(cx).await?,
        };
        // Who has left a workspace meanwhile goes on with the one after it.
        let index = workspaces.partition_point(|one| one.as_str() < slug);
        let same = workspaces.get(index).is_some_and(|one| one == slug);
        Ok(Self {
            workspaces,
            index,
            query: if same {
                query.to_owned()
            } else {
                String::new()
            },
            table: None,
        })
    }

    fn workspace(&self) -> Option<&str> {
        self.workspaces.get(self.index).map(String::as_str)
    }

    /// Moves on to the next page, or to the next workspace.
    fn advance(&mut self, next: Option<String>) {
        match next {
            Some(query) => self.query = query,
            None => {
                self.index += 1;
                self.query.clear();
                self.table = None;
            }
        }
    }

    fn cursor(&self) -> String {
        match self.workspace() {
            Some(slug) => format!("{slug}:{}", self.query),
            None => String::new(),
        }
    }
}

/// Workspace and query of a cursor; both empty for the start.
fn place_of(cursor: &str) -> Result<(&str, &str)> {
    match cursor.split_once(':') {
        None if cursor.is_empty() => Ok(("", "")),
        Some((slug, query)) if !slug.is_empty() => Ok((slug, query)),
        _ => Err(foreign_cursor()),
    }
}

pub(crate) async fn list(cx: &Cx, input: &v1::ListRepositories) -> Result<()> {
    if let Some(Place {
        repository: Some(_),
        ..
    }) = Place::of(cx).transpose()?
    {
        return only(cx, input).await;
    }
    let mut walk = Walk::start(cx, input).await?;
    let mut shut = None;
    let mut done = 0;
    loop {
        let mut page = v1::RepositoryPage::default();
        match step(cx, input, &mut walk, &mut page).await {
            Ok(next) => walk.advance(next),
            Err(failure) if is_shut(&failure) && walk.workspaces.len() > 1 => {
                shut = Some(failure);
                walk.advance(None);
                if walk.workspace().is_some() {
                    continue;
                }
            }
            Err(failure) => return Err(failure),
        }
        page.next_cursor = walk.cursor();
        page.partial = shut.is_some();
        done += 1;
        match shut.take() {
            // Nothing but what may not be seen is no list.
            Some(failure) if done == 1 && page.items.is_empty() && walk.workspace().is_none() => {
                return Err(failure);
            }
            _ => cx.emit(page),
        }
        if walk.workspace().is_none() || is_enough(done, input.max_pages) {
            return Ok(());
        }
    }
}

/// One workspace that does not let the token in is no reason to keep back the others.
fn is_shut(failure: &Failure) -> bool {
    matches!(
        failure.code(),
        v1::Code::PermissionDenied | v1::Code::NotFound
    )
}

/// Reads one page; gives the query of the next one of the same workspace.
async fn step(
    cx: &Cx,
    input: &v1::ListRepositories,
    walk: &mut Walk,
    page: &mut v1::RepositoryPage,
) -> Result<Option<String>> {
    let Some(workspace) = walk.workspace().map(str::to_owned) else {
        return Ok(None);
    };
    let list = ["repositories", workspace.as_str()];
    let url = page::at(cx, &list, first(cx, &list, input)?, &walk.query)?;
    let response = call::get(cx, url).await?;
    let found: Page<Repository> = response.json()?;
    let next = found.next(cx)?;
    // Nothing to ask about where there is nothing.
    if walk.table.is_none() && !found.values.is_empty() {
        walk.table = Some(open(Table::of_workspace(cx, &workspace).await)?);
    }
    for one in found.values {
        let rights = walk
            .table
            .as_ref()
            .map(|table| table.rights(cx, &one.uuid, &response));
        page.items
            .push(one.into_message(cx, rights.unwrap_or_default())?);
    }
    Ok(next)
}

/// For a person only what that person has to do with, not all that is public; a token that is nobody's has no role.
fn first(cx: &Cx, list: &[&str], input: &v1::ListRepositories) -> Result<Url> {
    let mut url = cx.api(list)?;
    if Place::of(cx).is_none() {
        url = url.query("role", "member");
    }
    url = url.query("pagelen", page_size(input.page_size));
    Ok(match input.query.as_str() {
        "" => url,
        text => url.query("q", format!("name ~ {}", quoted(text))),
    })
}

/// The list of a token that is one repository's.
async fn only(cx: &Cx, input: &v1::ListRepositories) -> Result<()> {
    let mut items = Vec::new();
    if let Some(place) = Place::of(cx).transpose()? {
        let found = get(cx, &place.name()).await?;
        let owner = input.owner.as_str();
        let name = place.repository.unwrap_or_default().to_lowercase();
        if (owner.is_empty() || owner == place.workspace)
            && name.contains(&input.query.to_lowercase())
        {
            items.push(found);
        }
    }
    cx.emit(v1::RepositoryPage {
        items,
        ..v1::RepositoryPage::default()
    });
    Ok(())
}

/// By name or by id: an empty pair of braces stands for whichever workspace a repository is in.
pub(crate) async fn get(cx: &Cx, repository: &str) -> Result<v1::Repository> {
    let (workspace, name) = segments(repository)?;
    let response = call::get(cx, cx.api(&["repositories", workspace, name])?).await?;
    let found: Repository = response.json()?;
    let rights = rights(cx, &found, &response).await?;
    found.into_message(cx, rights)
}

/// The name that a repository has now.
pub(crate) async fn full_name(cx: &Cx, repository: &str) -> Result<String> {
    let (workspace, name) = segments(repository)?;
    let response = call::get(cx, cx.api(&["repositories", workspace, name])?).await?;
    Ok(response.json::<Repository>()?.full_name)
}

/// The segments of a repository's path.
pub(crate) fn segments(repository: &str) -> Result<(&str, &str)> {
    match repository.strip_prefix("id:") {
        Some(id) => Ok(("{}", id)),
        None => split(repository),
    }
}

/// A public repository may be in a workspace that the person does not belong to.
async fn rights(cx: &Cx, found: &Repository, response: &Response) -> Result<Rights> {
    let (workspace, _) = split(&found.full_name)
        .map_err(|_| Failure::malformed("a repository's full name has no workspace"))?;
    let table = open(Table::of_repository(cx, workspace, &found.full_name).await)?;
    Ok(table.rights(cx, &found.uuid, response))
}

/// Who may not ask for permissions has none that are known.
fn open(table: Result<Table>) -> Result<Table> {
    match table {
        Err(failure) if is_shut(&failure) => Ok(Table::default()),
        other => other,
    }
}
