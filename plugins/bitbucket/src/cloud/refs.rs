//! Branches and tags
//!
//! A cursor is the list and the query of its page: `tags:page=3&pagelen=100`.

use bindery_plugin_sdk::{Cx, Result, v1};
use serde::Deserialize;

use super::{
    call,
    page::{self, Page},
    repositories,
};
use crate::common::{RefList, is_enough, page_size, ref_cursor};

#[derive(Deserialize)]
struct Ref {
    name: String,
    /// The commit, of an annotated tag as well.
    target: Target,
}

#[derive(Deserialize)]
struct Target {
    hash: String,
}

pub(crate) async fn list(cx: &Cx, input: &v1::ListRefs) -> Result<()> {
    let (workspace, name) = repositories::segments(&input.repository)?;
    let (mut list, query) = RefList::start(input)?;
    let mut query = query.to_owned();
    let mut done = 0;
    loop {
        let path = ["repositories", workspace, name, "refs", list.name()];
        let first = cx.api(&path)?.query("pagelen", page_size(input.page_size));
        let url = page::at(cx, &path, first, &query)?;
        let found: Page<Ref> = call::get(cx, url).await?.json()?;
        let next = list.after(input.kind(), found.next(cx)?);
        cx.emit(v1::RefPage {
            items: found
                .values
                .into_iter()
                .map(|one| item(list, one))
                .collect(),
            next_cursor: ref_cursor(next.as_ref()),
        });
        done += 1;
        match next {
            Some(next) if !is_enough(done, input.max_pages) => (list, query) = next,
            _ => return Ok(()),
        }
    }
}

fn item(list: RefList, found: Ref) -> v1::Ref {
    v1::Ref {
        name: found.name,
        kind: list.kind().into(),
        commit: found.target.hash,
        protected: false,
    }
}
