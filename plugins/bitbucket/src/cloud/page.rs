//! Pages, and `next` as a cursor
//!
//! A page names the next one by a whole URL. Of that only the query is used, behind a path that is built here: so no
//! answer and no cursor leads to another list.

use bindery_plugin_sdk::{Cx, Failure, Result, Url};
use serde::{Deserialize, de::DeserializeOwned};

use super::call;
use crate::common::foreign_cursor;

/// Pages of one list that are read at most where all of it is needed: a million items.
const MOST_PAGES: usize = 10_000;

/// A page of a list.
#[derive(Deserialize)]
pub(crate) struct Page<T> {
    /// Its items.
    pub(crate) values: Vec<T>,
    /// Left out, null or empty on the last page.
    #[serde(default)]
    next: Option<String>,
}

impl<T> Page<T> {
    /// Query of the next page; none at the end.
    pub(crate) fn next(&self, cx: &Cx) -> Result<Option<String>> {
        let given = match self.next.as_deref() {
            None | Some("") => return Ok(None),
            Some(given) => cx.follow(given)?,
        };
        match given.as_str().split_once('?') {
            Some((_, query)) if is_query(query) => Ok(Some(query.to_owned())),
            _ => Err(Failure::malformed(
                "the link to the next page makes no sense",
            )),
        }
    }
}

/// The URL of a list's page: as `first` has it where `query` is empty, else the list with this query.
pub(crate) fn at(cx: &Cx, list: &[&str], first: Url, query: &str) -> Result<Url> {
    match query {
        "" => Ok(first),
        query if is_query(query) => cx.follow(&format!("{}?{query}", cx.api(list)?)),
        _ => Err(foreign_cursor()),
    }
}

/// All items of a list that is needed whole.
pub(crate) async fn all<T: DeserializeOwned>(cx: &Cx, list: &[&str], first: Url) -> Result<Vec<T>> {
    let mut items = Vec::new();
    let mut url = first;
    for _ in 0..MOST_PAGES {
        let page: Page<T> = call::get(cx, url).await?.json()?;
        let next = page.next(cx)?;
        items.extend(page.values);
        match next {
            Some(query) => url = at(cx, list, cx.api(list)?, &query)?,
            None => return Ok(items),
        }
    }
    Err(Failure::malformed("the list has no end"))
}

/// Not empty, and nothing in it that would end a query.
fn is_query(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|c| c.is_ascii_graphic() && !b"#\\".contains(&c))
}
