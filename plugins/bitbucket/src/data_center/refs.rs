//! Branches and tags
//!
//! A cursor is the list and the number of the first item: `tags:300`.

use bindery_plugin_sdk::{Cx, Result, v1};
use serde::Deserialize;

use super::{
    call,
    page::{self, Page},
    repositories,
};
use crate::common::{RefList, is_enough, page_size, ref_cursor, split};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ref {
    display_id: String,
    /// The commit, of an annotated tag as well, whose object is `hash`.
    latest_commit: String,
}

pub(crate) async fn list(cx: &Cx, input: &v1::ListRefs) -> Result<()> {
    let (mut list, cursor) = RefList::start(input)?;
    let mut start = page::start_of(cursor)?;
    let full_name = repositories::full_name(cx, &input.repository).await?;
    let (project, slug) = split(&full_name)?;
    let mut done = 0;
    loop {
        let refs = cx.api(&["projects", project, "repos", slug, list.name()])?;
        let url = page::at(refs, start, page_size(input.page_size));
        let found: Page<Ref> = call::get(cx, url).await?.json()?;
        let next = found.next(start)?.map(|next| next.to_string());
        let next = list.after(input.kind(), next);
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
            Some((next, page)) if !is_enough(done, input.max_pages) => {
                list = next;
                start = page::start_of(&page)?;
            }
            _ => return Ok(()),
        }
    }
}

fn item(list: RefList, found: Ref) -> v1::Ref {
    v1::Ref {
        name: found.display_id,
        kind: list.kind().into(),
        commit: found.latest_commit,
        protected: false,
    }
}
