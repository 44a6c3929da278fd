//! Where a list goes on
//!
//! GitLab builds its links with the address that it was configured with, which need not be the one under which the daemon
//! reaches it. So of a link to the next page only the parameter counts that says where that page begins; the rest is built
//! as it was for the first page. A cursor is the list and that parameter, `projects?id_after=42`: it holds no address, and
//! can't lead anywhere else.

use bindery_plugin_sdk::{Cx, Failure, Response, Result, Url};

/// What GitLab gives at most.
const MAXIMUM: u32 = 100;

/// Longest text of a parameter.
const LONGEST: usize = 1024;

/// Parameters that say where a page begins. A link to a page by key may still carry a number.
const STARTS: [&str; 3] = ["id_after", "cursor", "page"];

/// Where a page begins.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Start {
    name: &'static str,
    value: String,
}

impl Start {
    fn new(name: &str, value: &str) -> Option<Self> {
        let name = STARTS.into_iter().find(|known| *known == name)?;
        let digits = |c: u8| c.is_ascii_digit();
        let key = |c: u8| c.is_ascii_alphanumeric() || b"-_=".contains(&c);
        let known = match name {
            "cursor" => value.bytes().all(key),
            _ => value.bytes().all(digits),
        };
        (known && (1..=LONGEST).contains(&value.len())).then(|| Self {
            name,
            value: value.to_owned(),
        })
    }

    /// Puts it behind a URL.
    pub(crate) fn on(self, url: Url) -> Url {
        url.query(self.name, self.value)
    }

    /// As a cursor of `list`.
    pub(crate) fn cursor(&self, list: &str) -> String {
        format!("{list}?{}={}", self.name, self.value)
    }
}

/// Reads a cursor: the list, and where it goes on. It comes back from outside, so nothing is taken that is not known.
pub(crate) fn read_cursor<L: Copy>(cursor: &str, lists: &[(&str, L)]) -> Result<(L, Start)> {
    let parts = || {
        let (list, start) = cursor.split_once('?')?;
        let (_, list) = lists.iter().find(|(name, _)| *name == list)?;
        let (name, value) = start.split_once('=')?;
        Some((*list, Start::new(name, value)?))
    };
    parts().ok_or_else(|| Failure::invalid_argument("the cursor is none of this provider's"))
}

/// Where the next page begins; none at the end.
///
/// # Errors
///
/// `MALFORMED_RESPONSE` if there is a next page that can't be asked for: stopping there would hide it.
pub(crate) fn next(response: &Response) -> Result<Option<Start>> {
    let Some(link) = response.next_link() else {
        let page = response.number("x-next-page").map(|page| page.to_string());
        return Ok(page.and_then(|page| Start::new("page", &page)));
    };
    let (_, query) = link.split_once('?').unwrap_or_default();
    let values = |wanted: &str| {
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let found = pairs.find(|(name, _)| *name == wanted);
        found.and_then(|(name, value)| Start::new(name, &value.replace("%3D", "=")))
    };
    let start = STARTS.into_iter().find_map(values);
    match start {
        Some(start) => Ok(Some(start)),
        None => Err(Failure::malformed(
            "the server links to a next page in a way that is not known",
        )),
    }
}

/// The size to ask for.
pub(crate) fn page_size(asked: u32) -> u32 {
    match asked {
        0 => MAXIMUM,
        some => some.min(MAXIMUM),
    }
}

/// Whether page number `done` of this run was the last that was asked for.
pub(crate) fn is_enough(done: u32, max_pages: u32) -> bool {
    max_pages != 0 && done >= max_pages
}

/// A URL below the API for a group or project path, which is one segment however deep it is.
///
/// # Errors
///
/// `INVALID_ARGUMENT` if a part of a path is empty, `.` or `..`: a reader that decodes slashes would leave the place.
pub(crate) fn url(cx: &Cx, segments: &[&str]) -> Result<Url> {
    let odd = |part: &str| matches!(part, "" | "." | "..");
    if segments.iter().any(|path| path.split('/').any(odd)) {
        return Err(Failure::invalid_argument(
            "a group or project is a path such as group/project",
        ));
    }
    cx.api(segments)
}
