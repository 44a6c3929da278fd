//! Projects

use bindery_plugin_sdk::{Cx, Response, Result, Url, calendar::unix_ms, v1};
use serde::{Deserialize, de::IgnoredAny};

use crate::{
    call,
    paging::{Start, is_enough, next, page_size, read_cursor, url},
    project::Project,
};

/// Reads private code.
const REPORTER: u32 = 20;

/// Pushes.
const DEVELOPER: u32 = 30;

/// Creates webhooks.
const MAINTAINER: u32 = 40;

/// A search for less than this finds whole names only.
const SHORTEST_SEARCH: usize = 3;

#[derive(Deserialize)]
struct Found {
    id: u64,
    name: String,
    path: String,
    path_with_namespace: String,
    http_url_to_repo: Option<String>,
    ssh_url_to_repo: Option<String>,
    /// Where it was forked from; only forks have it.
    forked_from_project: Option<IgnoredAny>,
    last_activity_at: Option<String>,
    #[serde(default)]
    web_url: String,
    /// Left out where the identity may not read the code.
    default_branch: Option<String>,
    description: Option<String>,
    #[serde(default)]
    visibility: String,
    #[serde(default)]
    archived: bool,
    #[serde(default)]
    empty_repo: bool,
    #[serde(default)]
    repository_access_level: String,
    permissions: Option<Permissions>,
}

/// The role in the project, and in its group and those above. A role by way of a group that the project is shared with is
/// in neither.
#[derive(Default, Deserialize)]
struct Permissions {
    project_access: Option<Access>,
    group_access: Option<Access>,
}

#[derive(Deserialize)]
struct Access {
    access_level: u32,
}

/// A list of projects.
#[derive(Clone, Copy, Eq, PartialEq)]
enum List {
    /// What the identity is a member of.
    Projects,
    /// What is in a group and those below it.
    Group,
    /// What a person owns.
    Person,
}

const LISTS: [(&str, List); 3] = [
    ("projects", List::Projects),
    ("group", List::Group),
    ("person", List::Person),
];

impl List {
    fn name(self) -> &'static str {
        match self {
            Self::Projects => "projects",
            Self::Group => "group",
            Self::Person => "person",
        }
    }

    /// Sorted by id, so that a push while pages are read moves nothing from one to another. The long list goes on by key:
    /// counted pages end at 50,000 there.
    fn url(self, cx: &Cx, input: &v1::ListRepositories) -> Result<Url> {
        let owner = input.owner.as_str();
        let url = match self {
            Self::Projects => cx
                .api(&["projects"])?
                .query("membership", true)
                .query("pagination", "keyset"),
            Self::Group => url(cx, &["groups", owner, "projects"])?
                .query("include_subgroups", true)
                .query("with_shared", false),
            Self::Person => cx.api(&["users", owner, "projects"])?,
        };
        let url = url.query("order_by", "id").query("sort", "asc");
        let url = url.query("per_page", page_size(input.page_size));
        Ok(match input.query.chars().count() {
            0..SHORTEST_SEARCH => url,
            _ => url.query("search", &input.query),
        })
    }
}

impl Found {
    fn level(&self) -> u32 {
        let permissions = self.permissions.as_ref();
        let both = permissions.map(|both| [&both.project_access, &both.group_access]);
        let levels = both.into_iter().flatten().flatten();
        levels.map(|access| access.access_level).max().unwrap_or(0)
    }

    fn into_repository(self, cx: &Cx) -> v1::Repository {
        let level = self.level();
        let has_code = self.repository_access_level != "disabled";
        let clone_uri = self
            .http_url_to_repo
            .unwrap_or_else(|| format!("{}/{}.git", cx.web_base(), self.path_with_namespace));
        v1::Repository {
            stable_id: self.id.to_string(),
            full_name: self.path_with_namespace,
            clone_uri,
            web_uri: self.web_url,
            can_read: has_code && (self.default_branch.is_some() || level >= REPORTER),
            can_write: has_code && level >= DEVELOPER && !self.archived,
            can_administer: level >= MAINTAINER,
            // An empty repository has a name for the branch that is not there yet.
            default_branch: self
                .default_branch
                .filter(|_| !self.empty_repo)
                .unwrap_or_default(),
            description: self.description.unwrap_or_default(),
            private: self.visibility != "public",
            archived: self.archived,
            display_name: self.name,
            ssh_uri: self.ssh_url_to_repo.unwrap_or_default(),
            fork: self.forked_from_project.is_some(),
            updated_unix_ms: self.last_activity_at.as_deref().map_or(0, unix_ms),
            internal: self.visibility == "internal",
        }
    }
}

pub(crate) async fn list(cx: &Cx, input: &v1::ListRepositories) -> Result<()> {
    let (list, mut response) = first(cx, input).await?;
    let mut done = 0;
    loop {
        let found: Vec<Found> = response.json()?;
        let start = next(&response)?;
        done += 1;
        cx.emit(v1::RepositoryPage {
            items: select(cx, found, &input.query),
            next_cursor: start
                .as_ref()
                .map_or_else(String::new, |start| start.cursor(list.name())),
            partial: false,
        });
        match start {
            Some(start) if !is_enough(done, input.max_pages) => {
                response = call::get(cx, start.on(list.url(cx, input)?)).await?;
            }
            _ => return Ok(()),
        }
    }
}

/// GitLab searches descriptions as well, and finds whole words only where little is asked for, so names are looked at here.
fn select(cx: &Cx, found: Vec<Found>, query: &str) -> Vec<v1::Repository> {
    let query = query.to_lowercase();
    let fits = |one: &Found| {
        let mut names = [&one.path, &one.name].into_iter();
        names.any(|name| name.to_lowercase().contains(&query))
    };
    let found = found.into_iter().filter(fits);
    found.map(|one| one.into_repository(cx)).collect()
}

/// The page to start with. An owner is a group or a person, and only asking tells which.
async fn first(cx: &Cx, input: &v1::ListRepositories) -> Result<(List, Response)> {
    if !input.cursor.is_empty() {
        let (list, start): (List, Start) = read_cursor(&input.cursor, &LISTS)?;
        let response = call::get(cx, start.on(list.url(cx, input)?)).await?;
        return Ok((list, response));
    }
    let owner = input.owner.as_str();
    let list = if owner.is_empty() {
        List::Projects
    } else if owner.eq_ignore_ascii_case(&cx.credential().login) {
        List::Person
    } else {
        List::Group
    };
    let response = call::ask(cx, list.url(cx, input)?).await?;
    if list == List::Group && response.status() == 404 && !owner.contains('/') {
        let response = call::get(cx, List::Person.url(cx, input)?).await?;
        return Ok((List::Person, response));
    }
    Ok((list, call::good(cx, response)?))
}

pub(crate) async fn get(cx: &Cx, repository: &str) -> Result<v1::Repository> {
    let mut project = Project::parse(repository)?;
    let response = project.get(cx, &[], |url| url).await?;
    Ok(response.json::<Found>()?.into_repository(cx))
}
