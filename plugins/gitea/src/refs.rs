//! Branches and tags
//!
//! A cursor is the list and the page: `tags:3`. Branches come first when both are asked for.

use bindery_plugin_sdk::{Cx, Failure, Response, Result, v1};
use serde::Deserialize;

use crate::{
    call,
    paging::{has_next, is_enough, page_of, page_size, page_url},
    repositories::{self, split},
};

#[derive(Clone, Copy, Eq, PartialEq)]
enum List {
    Branches,
    Tags,
}

#[derive(Deserialize)]
struct Branch {
    name: String,
    commit: Option<BranchCommit>,
    #[serde(default)]
    protected: bool,
}

#[derive(Deserialize)]
struct BranchCommit {
    id: String,
}

#[derive(Deserialize)]
struct Tag {
    name: String,
    /// What an annotated tag points to; `id` would be the tag object.
    commit: TagCommit,
}

#[derive(Deserialize)]
struct TagCommit {
    sha: String,
}

impl List {
    fn name(self) -> &'static str {
        match self {
            Self::Branches => "branches",
            Self::Tags => "tags",
        }
    }

    fn read(self, response: &Response) -> Result<(usize, Vec<v1::Ref>)> {
        match self {
            Self::Branches => {
                let found = call::list::<Branch>(response)?;
                Ok((found.len(), found.into_iter().filter_map(branch).collect()))
            }
            Self::Tags => {
                let found = call::list::<Tag>(response)?;
                Ok((found.len(), found.into_iter().map(tag).collect()))
            }
        }
    }
}

pub(crate) async fn list(cx: &Cx, input: &v1::ListRefs) -> Result<()> {
    let full_name = full_name(cx, &input.repository).await?;
    let (owner, name) = split(&full_name)?;
    let size = page_size(input.page_size);
    let (mut list, mut page) = start(input)?;
    let mut done = 0;
    loop {
        let url = page_url(cx, &["repos", owner, name, list.name()], page, size)?;
        let response = call::ask(cx, url).await?;
        let (len, items) = match response.status() {
            // An empty repository has no refs, and some versions call that a conflict.
            409 => (0, Vec::new()),
            _ => list.read(&call::good(cx, response.clone())?)?,
        };
        let next = next(input.kind(), list, page, has_next(&response, page, len));
        done += 1;
        cx.emit(v1::RefPage {
            items,
            next_cursor: next.map_or_else(String::new, |(list, page)| {
                format!("{}:{page}", list.name())
            }),
        });
        match next {
            Some(next) if !is_enough(done, input.max_pages) => (list, page) = next,
            _ => return Ok(()),
        }
    }
}

/// Refs have no endpoint by id.
async fn full_name(cx: &Cx, repository: &str) -> Result<String> {
    if repository.starts_with("id:") {
        return Ok(repositories::get(cx, repository).await?.full_name);
    }
    Ok(repository.to_owned())
}

fn start(input: &v1::ListRefs) -> Result<(List, u32)> {
    let first = match input.kind() {
        v1::RefKind::Tag => List::Tags,
        v1::RefKind::Branch | v1::RefKind::Unspecified => List::Branches,
    };
    match input.cursor.split_once(':') {
        None => Ok((first, page_of(&input.cursor)?)),
        Some(("branches", page)) => Ok((List::Branches, page_of(page)?)),
        Some(("tags", page)) => Ok((List::Tags, page_of(page)?)),
        Some(_) => Err(Failure::invalid_argument(
            "the cursor is none of this provider's",
        )),
    }
}

fn next(kind: v1::RefKind, list: List, page: u32, go_on: bool) -> Option<(List, u32)> {
    match (go_on, list) {
        (true, _) => Some((list, page + 1)),
        (false, List::Branches) if kind == v1::RefKind::Unspecified => Some((List::Tags, 1)),
        (false, _) => None,
    }
}

/// A branch without a commit is the one of an empty repository.
fn branch(found: Branch) -> Option<v1::Ref> {
    Some(v1::Ref {
        name: found.name,
        kind: v1::RefKind::Branch.into(),
        commit: found.commit?.id,
        protected: found.protected,
    })
}

fn tag(found: Tag) -> v1::Ref {
    v1::Ref {
        name: found.name,
        kind: v1::RefKind::Tag.into(),
        commit: found.commit.sha,
        protected: false,
    }
}
