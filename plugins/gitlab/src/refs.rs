//! Branches and tags
//!
//! Branches come first when both are asked for.

use bindery_plugin_sdk::{Cx, Response, Result, Url, v1};
use serde::Deserialize;

use crate::{
    paging::{Start, is_enough, next, page_size, read_cursor},
    project::Project,
};

#[derive(Clone, Copy, Eq, PartialEq)]
enum List {
    Branches,
    Tags,
}

const LISTS: [(&str, List); 2] = [("branches", List::Branches), ("tags", List::Tags)];

/// Branches and tags look alike. `commit` is what an annotated tag points to; `target` would be the tag object.
#[derive(Deserialize)]
struct Named {
    name: String,
    commit: Option<Commit>,
    #[serde(default)]
    protected: bool,
}

#[derive(Deserialize)]
struct Commit {
    id: String,
}

impl List {
    fn name(self) -> &'static str {
        match self {
            Self::Branches => "branches",
            Self::Tags => "tags",
        }
    }

    fn kind(self) -> v1::RefKind {
        match self {
            Self::Branches => v1::RefKind::Branch,
            Self::Tags => v1::RefKind::Tag,
        }
    }

    /// Tags come by date unless they are asked for by name, and a new one would move the others to another page.
    fn query(self, url: Url, size: u32) -> Url {
        let url = match self {
            Self::Branches => url,
            Self::Tags => url.query("order_by", "name").query("sort", "asc"),
        };
        url.query("per_page", size)
    }

    /// A tag may point to something that is no commit, which nothing can be built from.
    fn read(self, response: &Response) -> Result<Vec<v1::Ref>> {
        let found: Vec<Named> = response.json()?;
        let convert = |one: Named| {
            Some(v1::Ref {
                name: one.name,
                kind: self.kind().into(),
                commit: one.commit?.id,
                protected: one.protected,
            })
        };
        Ok(found.into_iter().filter_map(convert).collect())
    }
}

pub(crate) async fn list(cx: &Cx, input: &v1::ListRefs) -> Result<()> {
    let mut project = Project::parse(&input.repository)?;
    let size = page_size(input.page_size);
    let (mut list, mut start) = begin(input)?;
    let mut done = 0;
    loop {
        let query = |url| {
            let url = list.query(url, size);
            match start.clone() {
                Some(start) => start.on(url),
                None => url,
            }
        };
        let below = ["repository", list.name()];
        let response = project.get(cx, &below, query).await?;
        let items = list.read(&response)?;
        let further = further(input.kind(), list, next(&response)?);
        done += 1;
        cx.emit(v1::RefPage {
            items,
            next_cursor: further.as_ref().map_or_else(String::new, cursor),
        });
        match further {
            Some(further) if !is_enough(done, input.max_pages) => (list, start) = further,
            _ => return Ok(()),
        }
    }
}

fn begin(input: &v1::ListRefs) -> Result<(List, Option<Start>)> {
    if input.cursor == FIRST_TAGS {
        return Ok((List::Tags, None));
    }
    if !input.cursor.is_empty() {
        let (list, start) = read_cursor(&input.cursor, &LISTS)?;
        return Ok((list, Some(start)));
    }
    Ok(match input.kind() {
        v1::RefKind::Tag => (List::Tags, None),
        v1::RefKind::Branch | v1::RefKind::Unspecified => (List::Branches, None),
    })
}

/// Cursor of the first page of tags.
const FIRST_TAGS: &str = "tags";

fn cursor((list, start): &(List, Option<Start>)) -> String {
    match start {
        Some(start) => start.cursor(list.name()),
        None => FIRST_TAGS.to_owned(),
    }
}

/// Where the list goes on, or the next list begins.
fn further(kind: v1::RefKind, list: List, next: Option<Start>) -> Option<(List, Option<Start>)> {
    match (next, list) {
        (Some(start), _) => Some((list, Some(start))),
        (None, List::Branches) if kind == v1::RefKind::Unspecified => Some((List::Tags, None)),
        (None, _) => None,
    }
}
