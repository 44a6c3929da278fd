//! Lists that come in pages.

use std::{fmt, vec};

use futures_util::{
    Stream,
    future::{BoxFuture, FutureExt as _},
    stream,
};
use tonic::Code;

use crate::Error;

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// What is on it; may be empty although more pages follow.
    pub items: Vec<T>,
    /// Token of the next page; empty on the last one.
    pub next_page_token: String,
    /// Why the list may be incomplete.
    pub notice: Option<Notice>,
}

/// Why a list may be incomplete: the provider leaves something out.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Notice {
    /// One sentence for people.
    pub message: String,
    /// The page where a person sees all of it, where there is one.
    pub url: Option<String>,
}

type Fetch<T> = Box<dyn FnMut(String) -> BoxFuture<'static, Result<Page<T>, Error>> + Send>;

/// A list that is fetched page by page, while it is read.
///
/// ```no_run
/// # async fn example(client: bindery_client::Client) -> Result<(), bindery_client::Error> {
/// let mut links = client.list_links("namespaces/acme", "");
/// while let Some(link) = links.next().await? {
///     println!("{}", link.name);
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is fetched until it is read"]
pub struct Pages<T> {
    fetch: Fetch<T>,
    /// Token of the next page; `None` after the last one.
    token: Option<String>,
    buffered: vec::IntoIter<T>,
    notice: Option<Notice>,
}

impl<T: Send + 'static> Pages<T> {
    pub(crate) fn new<F>(mut fetch: impl FnMut(String) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<Page<T>, Error>> + Send + 'static,
    {
        Self {
            fetch: Box::new(move |token| fetch(token).boxed()),
            token: Some(String::new()),
            buffered: Vec::new().into_iter(),
            notice: None,
        }
    }

    /// The next page; `None` after the last one.
    ///
    /// # Errors
    ///
    /// Those of the call. The same page can be asked for again.
    pub async fn next_page(&mut self) -> Result<Option<Vec<T>>, Error> {
        let Some(token) = self.token.clone() else {
            return Ok(None);
        };
        let page = (self.fetch)(token.clone()).await?;
        if !page.next_page_token.is_empty() && page.next_page_token == token {
            return Err(Error::local(
                Code::Internal,
                "the daemon repeats a page of a list; report it with the daemon's version",
            ));
        }
        self.token = Some(page.next_page_token).filter(|token| !token.is_empty());
        self.notice = page.notice.or(self.notice.take());
        Ok(Some(page.items))
    }

    /// The next one; `None` at the end.
    ///
    /// # Errors
    ///
    /// Those of the call.
    pub async fn next(&mut self) -> Result<Option<T>, Error> {
        loop {
            if let Some(item) = self.buffered.next() {
                return Ok(Some(item));
            }
            match self.next_page().await? {
                Some(items) => self.buffered = items.into_iter(),
                None => return Ok(None),
            }
        }
    }

    /// All of them.
    ///
    /// # Errors
    ///
    /// Those of the call.
    pub async fn all(mut self) -> Result<Vec<T>, Error> {
        self.collect().await
    }

    /// All that are left; [`notice`](Self::notice) can be asked afterwards.
    ///
    /// # Errors
    ///
    /// Those of the call.
    pub async fn collect(&mut self) -> Result<Vec<T>, Error> {
        let mut all: Vec<T> = std::mem::take(&mut self.buffered).collect();
        while let Some(items) = self.next_page().await? {
            all.extend(items);
        }
        Ok(all)
    }

    /// As a stream, which ends after the first error.
    pub fn into_stream(self) -> impl Stream<Item = Result<T, Error>> + Send {
        stream::try_unfold(self, |mut pages| async move {
            Ok(pages.next().await?.map(|item| (item, pages)))
        })
    }

    /// Why the list may be incomplete, as far as it was read.
    #[must_use]
    pub fn notice(&self) -> Option<&Notice> {
        self.notice.as_ref()
    }
}

impl<T> fmt::Debug for Pages<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Pages")
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

/// Makes [`Pages`] of a list method: `pages!(self, MANNER, client::Type, method, request, items)`.
macro_rules! pages {
    ($client:expr, $manner:expr, $service:path, $method:ident, $request:expr, $items:ident) => {
        $crate::page::pages!(
            $client,
            $manner,
            $service,
            $method,
            $request,
            $items,
            |_| None
        )
    };
    ($client:expr, $manner:expr, $service:path, $method:ident, $request:expr, $items:ident, $notice:expr) => {{
        let client = $client.clone();
        let request = $request;
        $crate::Pages::new(move |token| {
            let client = client.clone();
            let mut request = request.clone();
            request.page_token = token;
            async move {
                let answer = $crate::call::call!(client, $manner, $service, $method, request)?;
                let notice = $notice(&answer);
                Ok($crate::Page {
                    items: answer.$items,
                    next_page_token: answer.next_page_token,
                    notice,
                })
            }
        })
    }};
}

pub(crate) use pages;
