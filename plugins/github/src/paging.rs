//! Links to further pages, as cursors
//!
//! GitHub's links are followed as they are; their paths need not look like the one that was asked for. A cursor is such
//! a link without the API base, so that it holds no address and can't lead to another server.

use bindery_plugin_sdk::{Cx, Failure, Response, Result, Url};

/// What GitHub gives at most.
const MAXIMUM: u32 = 100;

pub(crate) fn page_size(asked: u32) -> u32 {
    match asked {
        0 => MAXIMUM,
        some => some.min(MAXIMUM),
    }
}

/// The cursor of a URL below the API base.
pub(crate) fn cursor_of(cx: &Cx, url: &Url) -> Result<String> {
    match url.as_str().strip_prefix(cx.api_base()) {
        Some(rest) if rest.starts_with('/') => Ok(rest.to_owned()),
        _ => Err(Failure::malformed(
            "the server sent a link that leads out of its API",
        )),
    }
}

/// The cursor of the next page; empty at the end.
pub(crate) fn next_cursor(cx: &Cx, response: &Response) -> Result<String> {
    match response.next_link() {
        Some(link) => cursor_of(cx, &cx.follow(&link)?),
        None => Ok(String::new()),
    }
}

/// The URL of a cursor. A cursor comes back from outside, so it is looked at; the manifest decides on its path.
pub(crate) fn url_of(cx: &Cx, cursor: &str) -> Result<Url> {
    let path = cursor.split('?').next().unwrap_or_default();
    let plain =
        |part: &str| !matches!(part, "." | ".." | "") && !part.contains(['\\', '%', '#', '@']);
    let sane = path
        .strip_prefix('/')
        .is_some_and(|rest| rest.split('/').all(plain));
    if !sane {
        return Err(Failure::invalid_argument(
            "the cursor is none of this provider's",
        ));
    }
    cx.follow(&format!("{}{cursor}", cx.api_base()))
}

/// Whether page number `done` of this run was the last that was asked for.
pub(crate) fn is_enough(done: u32, max_pages: u32) -> bool {
    max_pages != 0 && done >= max_pages
}
