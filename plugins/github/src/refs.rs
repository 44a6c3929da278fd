//! Branches and tags
//!
//! Branches come first when both are asked for. Where a run goes on is told by the path of its cursor.

use bindery_plugin_sdk::{Cx, Response, Result, Url, v1};
use serde::Deserialize;

use crate::{
    call,
    paging::{cursor_of, is_enough, next_cursor, page_size, url_of},
    repositories::{self, split},
};

/// Branches and tags look alike. GitHub gives the commit of an annotated tag here, not the tag object.
#[derive(Deserialize)]
struct Named {
    name: String,
    commit: Commit,
    #[serde(default)]
    protected: bool,
}

#[derive(Deserialize)]
struct Commit {
    sha: String,
}

pub(crate) async fn list(cx: &Cx, input: &v1::ListRefs) -> Result<()> {
    let mut url = start(cx, input).await?;
    let mut done = 0;
    loop {
        let kind = kind_of(&url);
        let response = call::get(cx, url).await?;
        let mut cursor = next_cursor(cx, &response)?;
        if cursor.is_empty()
            && kind == v1::RefKind::Branch
            && input.kind() == v1::RefKind::Unspecified
        {
            cursor = cursor_of(cx, &first(cx, input, v1::RefKind::Tag).await?)?;
        }
        done += 1;
        cx.emit(v1::RefPage {
            items: read(&response, kind)?,
            next_cursor: cursor.clone(),
        });
        if cursor.is_empty() || is_enough(done, input.max_pages) {
            return Ok(());
        }
        url = url_of(cx, &cursor)?;
    }
}

async fn start(cx: &Cx, input: &v1::ListRefs) -> Result<Url> {
    if !input.cursor.is_empty() {
        return url_of(cx, &input.cursor);
    }
    let kind = match input.kind() {
        v1::RefKind::Tag => v1::RefKind::Tag,
        v1::RefKind::Branch | v1::RefKind::Unspecified => v1::RefKind::Branch,
    };
    first(cx, input, kind).await
}

/// The first page of a list. An id is turned into a name: the paths by id are not documented, only linked to.
async fn first(cx: &Cx, input: &v1::ListRefs, kind: v1::RefKind) -> Result<Url> {
    let full_name = match input.repository.starts_with("id:") {
        true => repositories::get(cx, &input.repository).await?.full_name,
        false => input.repository.clone(),
    };
    let (owner, name) = split(&full_name)?;
    let list = if kind == v1::RefKind::Tag {
        "tags"
    } else {
        "branches"
    };
    Ok(cx
        .api(&["repos", owner, name, list])?
        .query("per_page", page_size(input.page_size)))
}

fn kind_of(url: &Url) -> v1::RefKind {
    let path = url.as_str().split('?').next().unwrap_or_default();
    if path.ends_with("/tags") {
        v1::RefKind::Tag
    } else {
        v1::RefKind::Branch
    }
}

fn read(response: &Response, kind: v1::RefKind) -> Result<Vec<v1::Ref>> {
    let found: Vec<Named> = response.json()?;
    let convert = |one: Named| v1::Ref {
        name: one.name,
        kind: kind.into(),
        commit: one.commit.sha,
        protected: one.protected,
    };
    Ok(found.into_iter().map(convert).collect())
}
