//! Branches and tags
//!
//! A cursor is the list and the page: `tags:3`. Branches come first when both are asked for.

use bindery_plugin_sdk::{Cx, Failure, Result, v1};
use serde::Deserialize;

use crate::{
    paging::{List, is_enough, page_of, page_size},
    repositories::{self, split},
};

#[derive(Clone, Copy, Eq, PartialEq)]
enum Kind {
    Branches,
    Tags,
}

/// A branch or a tag; both are alike. Of an annotated tag this is the commit that it points to.
#[derive(Deserialize, PartialEq)]
struct Found {
    name: String,
    commit: Option<Commit>,
    #[serde(default)]
    protected: bool,
}

#[derive(Deserialize, PartialEq)]
struct Commit {
    sha: String,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Branches => "branches",
            Self::Tags => "tags",
        }
    }

    /// A branch without a commit is the one of an empty repository.
    fn convert(self, found: Found) -> Option<v1::Ref> {
        let kind = match self {
            Self::Branches => v1::RefKind::Branch,
            Self::Tags => v1::RefKind::Tag,
        };
        Some(v1::Ref {
            name: found.name,
            kind: kind.into(),
            commit: found.commit?.sha,
            protected: found.protected,
        })
    }
}

pub(crate) async fn list(cx: &Cx, input: &v1::ListRefs) -> Result<()> {
    let (mut kind, mut page) = start(input)?;
    let full_name = full_name(cx, &input.repository).await?;
    let (owner, name) = split(&full_name)?;
    for done in 1.. {
        let list = List {
            path: vec!["repos", owner, name, kind.name()],
            fixed: &[],
            size: page_size(input.page_size),
        };
        let (found, more): (Vec<Found>, bool) = list.get(cx, page).await?;
        let next = next(input.kind(), kind, page, more);
        cx.emit(v1::RefPage {
            items: found
                .into_iter()
                .filter_map(|one| kind.convert(one))
                .collect(),
            next_cursor: next.map_or_else(String::new, |(kind, page)| {
                format!("{}:{page}", kind.name())
            }),
        });
        match next {
            Some(next) if !is_enough(done, input.max_pages) => (kind, page) = next,
            _ => break,
        }
    }
    Ok(())
}

/// Refs have no endpoint by id.
async fn full_name(cx: &Cx, repository: &str) -> Result<String> {
    if repository.starts_with("id:") {
        return Ok(repositories::get(cx, repository).await?.full_name);
    }
    Ok(repository.to_owned())
}

fn start(input: &v1::ListRefs) -> Result<(Kind, u32)> {
    let first = match input.kind() {
        v1::RefKind::Tag => Kind::Tags,
        v1::RefKind::Branch | v1::RefKind::Unspecified => Kind::Branches,
    };
    match input.cursor.split_once(':') {
        None => Ok((first, page_of(&input.cursor)?)),
        Some(("branches", page)) => Ok((Kind::Branches, page_of(page)?)),
        Some(("tags", page)) => Ok((Kind::Tags, page_of(page)?)),
        Some(_) => Err(Failure::invalid_argument(
            "the cursor is none of this provider's",
        )),
    }
}

fn next(asked: v1::RefKind, kind: Kind, page: u32, more: bool) -> Option<(Kind, u32)> {
    match (more, kind) {
        (true, _) => Some((kind, page + 1)),
        (false, Kind::Branches) if asked == v1::RefKind::Unspecified => Some((Kind::Tags, 1)),
        (false, _) => None,
    }
}
