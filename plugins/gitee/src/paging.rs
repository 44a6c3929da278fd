//! Pages of a list, and is there another?
//!
//! Gitee counts pages in `total_page` and items in `total_count`; there is no `Link`. Old servers page branches and tags
//! not at all and tell nothing. Where nothing is told, a full page may be the last one, and only the next one says: it
//! is empty, or the same again where the server does not know of pages.

use bindery_plugin_sdk::{Cx, Failure, Response, Result, Url};
use serde::de::DeserializeOwned;

use crate::call;

/// What Gitee gives at most; it is documented with each list.
const MAXIMUM: u32 = 100;

/// The size to ask for.
pub(crate) fn page_size(asked: u32) -> u32 {
    match asked {
        0 => MAXIMUM,
        some => some.min(MAXIMUM),
    }
}

/// A list by its path and the parameters that all its pages have.
#[derive(Clone)]
pub(crate) struct List<'a> {
    pub(crate) path: Vec<&'a str>,
    pub(crate) fixed: &'static [(&'static str, &'static str)],
    pub(crate) size: u32,
}

impl List<'_> {
    /// URL of one page. Pages count from one.
    pub(crate) fn url(&self, cx: &Cx, page: u32) -> Result<Url> {
        let mut url = cx.api(&self.path)?;
        for (name, value) in self.fixed {
            url = url.query(name, value);
        }
        Ok(url.query("page", page).query("per_page", self.size))
    }

    /// Items of one page, and whether there is another.
    pub(crate) async fn get<T>(&self, cx: &Cx, page: u32) -> Result<(Vec<T>, bool)>
    where
        T: DeserializeOwned + PartialEq,
    {
        let response = call::get(cx, self.url(cx, page)?).await?;
        self.read(cx, page, &response).await
    }

    /// As [`List::get`], of a page that came already.
    pub(crate) async fn read<T>(
        &self,
        cx: &Cx,
        page: u32,
        response: &Response,
    ) -> Result<(Vec<T>, bool)>
    where
        T: DeserializeOwned + PartialEq,
    {
        let items: Vec<T> = response.json()?;
        let more = match told(response, page, items.len()) {
            Some(more) => more,
            None if items.len() == self.size as usize => {
                let ahead = call::get(cx, self.url(cx, page + 1)?).await?;
                let ahead: Vec<T> = ahead.json()?;
                !ahead.is_empty() && ahead != items
            }
            None => false,
        };
        Ok((items, more))
    }
}

/// Whether there is a page after `page`, which had `len` items, as far as the server tells.
fn told(response: &Response, page: u32, len: usize) -> Option<bool> {
    if len == 0 {
        return Some(false);
    }
    let pages = response.number("total_page");
    let items = response.number("total_count");
    pages
        .map(|pages| u64::from(page) < pages)
        .or_else(|| items.map(|items| u64::from(page) * (len as u64) < items))
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
