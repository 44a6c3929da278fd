//! Is there a next page?
//!
//! Links are not followed: the server builds them from its configured public address, which need not be the one under
//! which the daemon reaches it.

use bindery_plugin_sdk::{Cx, Failure, Response, Result, Url};

/// What the server gives at most, unless its operator changed it. Asking for more gets this many.
const SERVER_MAXIMUM: u32 = 50;

/// The size to ask for.
pub(crate) fn page_size(asked: u32) -> u32 {
    match asked {
        0 => SERVER_MAXIMUM,
        some => some.min(SERVER_MAXIMUM),
    }
}

/// A listing's URL, for one of its pages. Pages count from one.
pub(crate) fn page_url(cx: &Cx, segments: &[&str], page: u32, size: u32) -> Result<Url> {
    Ok(cx.api(segments)?.query("page", page).query("limit", size))
}

/// Whether to go on after page `page`, which had `len` items.
///
/// `Link` is right where it is sent, but is left out on single pages and by some endpoints of old versions; then the
/// total decides, and without it only an empty page is surely the last. The size asked for is no help, because the
/// server may give less. Going on once too often costs a request; stopping once too early loses data.
pub(crate) fn has_next(response: &Response, page: u32, len: usize) -> bool {
    if len == 0 {
        return false;
    }
    if response.header("link").is_some() {
        return response.next_link().is_some();
    }
    match response.number("x-total-count") {
        Some(total) => u64::from(page) * (len as u64) < total,
        None => true,
    }
}

/// Reads a page number from a cursor.
pub(crate) fn page_of(cursor: &str) -> Result<u32> {
    match cursor {
        "" => Ok(1),
        text => match text.parse() {
            Ok(page @ 1..) => Ok(page),
            _ => Err(Failure::invalid_argument(
                "the cursor is none of this provider's",
            )),
        },
    }
}

/// Whether page number `done` of this run was the last that was asked for.
pub(crate) fn is_enough(done: u32, max_pages: u32) -> bool {
    max_pages != 0 && done >= max_pages
}
