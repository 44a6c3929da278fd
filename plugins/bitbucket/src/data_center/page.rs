//! Pages, by the number of the first item
//!
//! A page may be short without being the last: only `isLastPage` says so, and only `nextPageStart` says where the next
//! one begins, which is not always `start` and the size.

use bindery_plugin_sdk::{Cx, Failure, Result, Url};
use serde::{Deserialize, de::DeserializeOwned};

use super::call;
use crate::common::foreign_cursor;

/// Size of pages of which all are needed. The server may give less.
pub(crate) const LARGE: u32 = 1000;

/// A page of a list.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Page<T> {
    /// Its items.
    pub(crate) values: Vec<T>,
    #[serde(default)]
    is_last_page: bool,
    #[serde(default)]
    next_page_start: Option<u64>,
}

impl<T> Page<T> {
    /// Where the page after the one from `start` begins; none at the end.
    pub(crate) fn next(&self, start: u64) -> Result<Option<u64>> {
        match self.next_page_start {
            Some(next) if self.is_last_page || next > start => {
                Ok((!self.is_last_page).then_some(next))
            }
            Some(_) => Err(Failure::malformed("the list goes back to where it was")),
            None => Ok(None),
        }
    }
}

/// Reads the number of the first item from a cursor.
pub(crate) fn start_of(cursor: &str) -> Result<u64> {
    match cursor {
        "" => Ok(0),
        text => text.parse().map_err(|_| foreign_cursor()),
    }
}

/// A list's URL, for one of its pages.
pub(crate) fn at(list: Url, start: u64, limit: u32) -> Url {
    list.query("start", start).query("limit", limit)
}

/// All items of a list that is needed whole.
pub(crate) async fn all<T: DeserializeOwned>(cx: &Cx, list: Url) -> Result<Vec<T>> {
    let mut items = Vec::new();
    let mut start = 0;
    loop {
        let url = at(list.clone(), start, LARGE);
        let page: Page<T> = call::get(cx, url).await?.json()?;
        let next = page.next(start)?;
        items.extend(page.values);
        match next {
            Some(next) => start = next,
            None => return Ok(items),
        }
    }
}
