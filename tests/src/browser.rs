//! A person's browser, as far as a linking flow needs one
//!
//! It keeps cookies, follows redirects only when told to, fills in the forms that a page really
//! has, and tells servers where a navigation came from (`Origin`, `Sec-Fetch-Site`). It has no
//! scripts, as every page that Bindery serves must work without them.

mod cookies;
mod html;
mod wire;

use std::sync::Arc;

use anyhow::{Context, bail};
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use http::{HeaderMap, Method, Request, StatusCode};
use url::{Origin, Url, form_urlencoded};

pub use cookies::{Cookie, SameSite};
pub use html::{Form, Tag};
pub use wire::Wire;

use cookies::Jar;

/// More redirects than this in a row are a loop
const REDIRECT_LIMIT: usize = 20;

/// Cookies and the page that is shown: what one person has at one time
#[derive(Debug)]
pub struct Browser {
    wire: Arc<Wire>,
    jar: Jar,
    shown: Option<Url>,
}

/// What a server answered to one navigation
#[derive(Clone, Debug)]
pub struct Page {
    /// The address that answered
    pub url: Url,
    /// The answer's status
    pub status: StatusCode,
    /// The answer's headers
    pub headers: HeaderMap,
    /// The answer's body, as text
    pub body: String,
    crossed: bool,
}

/// One request that the browser is about to make
struct Visit {
    method: Method,
    url: Url,
    body: Option<String>,
    crossed: bool,
}

impl Browser {
    /// Start with no cookies, trusting no certificate authority: enough for plain HTTP
    pub fn new() -> anyhow::Result<Self> {
        Ok(Self::over(Arc::new(Wire::plain()?)))
    }

    /// Start with no cookies, trusting the certificate authorities in `roots` (PEM)
    pub fn with_roots(roots: &[&str]) -> anyhow::Result<Self> {
        Ok(Self::over(Arc::new(Wire::with_roots(roots)?)))
    }

    /// Start with no cookies, over connections that somebody else set up
    #[must_use]
    pub fn over(wire: Arc<Wire>) -> Self {
        Self {
            wire,
            jar: Jar::default(),
            shown: None,
        }
    }

    /// Type an address, and stop at the first answer, be it a redirect
    pub async fn get(&mut self, url: &Url) -> anyhow::Result<Page> {
        self.visit(Visit::typed(url.clone())).await
    }

    /// Type an address, and follow redirects to a page
    pub async fn open(&mut self, url: &Url) -> anyhow::Result<Page> {
        let first = self.get(url).await?;
        self.follow(first).await
    }

    /// Follow a link of the page that is shown, and stop at the first answer
    pub async fn click(&mut self, url: &Url) -> anyhow::Result<Page> {
        let crossed = self.crosses(url);
        self.visit(Visit {
            crossed,
            ..Visit::typed(url.clone())
        })
        .await
    }

    /// Send a form of the page that is shown, and stop at the first answer
    pub async fn submit(&mut self, form: &Form) -> anyhow::Result<Page> {
        let encoded = encode(&form.fields);
        let mut url = form.action.clone();
        let body = if form.method == Method::GET {
            url.set_query(Some(&encoded));
            None
        } else {
            Some(encoded)
        };
        let crossed = self.crosses(&url);
        self.visit(Visit {
            method: form.method.clone(),
            url,
            body,
            crossed,
        })
        .await
    }

    /// Send fields to an address as the page that is shown would, and stop at the first answer
    pub async fn post(&mut self, url: &Url, fields: &[(&str, &str)]) -> anyhow::Result<Page> {
        let mut form = Form::to(url.clone(), Method::POST);
        for (name, value) in fields {
            form = form.set(name, value);
        }
        self.submit(&form).await
    }

    /// Follow redirects until there are no more
    pub async fn follow(&mut self, page: Page) -> anyhow::Result<Page> {
        self.follow_while(page, |_| true).await
    }

    /// Follow redirects as long as `wanted` agrees with the next address
    ///
    /// Where it disagrees, the redirect itself is returned: [`Page::location`] says where to, and
    /// [`Browser::follow`] goes on from there.
    pub async fn follow_while(
        &mut self,
        mut page: Page,
        wanted: impl Fn(&Url) -> bool,
    ) -> anyhow::Result<Page> {
        for _ in 0..REDIRECT_LIMIT {
            match page.location()? {
                Some(next) if wanted(&next) => page = self.redirect(&page, next).await?,
                _ => return Ok(page),
            }
        }
        bail!("{} redirects without end", page.url)
    }

    /// The cookies that are kept for an address's origin
    #[must_use]
    pub fn cookies(&self, url: &Url) -> Vec<Cookie> {
        self.jar.of(&url.origin())
    }

    /// Put a cookie in the jar, as an attacker who fixes a session would
    pub fn plant_cookie(&mut self, url: &Url, set_cookie: &str) {
        self.jar.store(url, set_cookie);
    }

    async fn redirect(&mut self, from: &Page, to: Url) -> anyhow::Result<Page> {
        let crossed = from.crossed || from.url.origin() != to.origin();
        self.visit(Visit {
            crossed,
            ..Visit::typed(to)
        })
        .await
    }

    async fn visit(&mut self, visit: Visit) -> anyhow::Result<Page> {
        let request = self.request(&visit)?;
        let answer = self.wire.send(&visit.url, request).await?;
        let (parts, body) = answer.into_parts();
        for cookie in parts.headers.get_all(SET_COOKIE) {
            self.jar
                .store(&visit.url, &String::from_utf8_lossy(cookie.as_bytes()));
        }
        let page = Page {
            url: visit.url,
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
            crossed: visit.crossed,
        };
        if page.location()?.is_none() {
            self.shown = Some(page.url.clone());
        }
        Ok(page)
    }

    fn request(&self, visit: &Visit) -> anyhow::Result<Request<String>> {
        let mut request = Request::builder()
            .method(&visit.method)
            .header("accept", "text/html,application/xhtml+xml,*/*;q=0.8")
            .header("user-agent", "bindery-tests")
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-site", self.fetch_site(visit));
        let cookies = self.jar.header(&visit.url, &visit.method, visit.crossed);
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies);
        }
        if visit.body.is_some() {
            request = request
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .header(ORIGIN, self.shown_origin());
        }
        let body = visit.body.clone().unwrap_or_default();
        request.body(body).context("the request can't be built")
    }

    fn fetch_site(&self, visit: &Visit) -> &'static str {
        match (visit.crossed, &self.shown) {
            (true, _) => "cross-site",
            (false, Some(_)) => "same-origin",
            (false, None) => "none",
        }
    }

    fn shown_origin(&self) -> String {
        let origin = self.shown.as_ref().map(Url::origin);
        origin.map_or_else(
            || "null".to_owned(),
            |origin: Origin| origin.ascii_serialization(),
        )
    }

    /// Every other origin counts as another site: on loopback, only the port tells servers apart
    fn crosses(&self, url: &Url) -> bool {
        let shown = self.shown.as_ref().map(Url::origin);
        shown.is_some_and(|origin| origin != url.origin())
    }
}

impl Visit {
    const fn typed(url: Url) -> Self {
        Self {
            method: Method::GET,
            url,
            body: None,
            crossed: false,
        }
    }
}

impl Page {
    /// Where a redirect leads; none when this is not a redirect
    pub fn location(&self) -> anyhow::Result<Option<Url>> {
        let Some(location) = self.headers.get(LOCATION) else {
            return Ok(None);
        };
        if !self.status.is_redirection() {
            return Ok(None);
        }
        let location = location
            .to_str()
            .context("the redirect's address isn't text")?;
        let url = self.url.join(location);
        Ok(Some(url.context("the redirect's address isn't a URL")?))
    }

    /// Every form on the page
    #[must_use]
    pub fn forms(&self) -> Vec<Form> {
        html::forms(&self.url, &self.body)
    }

    /// The form that has a field or a button of this name
    pub fn form_with(&self, name: &str) -> anyhow::Result<Form> {
        let form = self.forms().into_iter().find(|form| form.has(name));
        form.with_context(|| format!("{} ({}) has no form with {name}", self.url, self.status))
    }

    /// Every tag on the page
    #[must_use]
    pub fn tags(&self) -> Vec<Tag> {
        html::tags(&self.body)
    }

    /// A header's value, when it is there and is text
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

fn encode(fields: &[(String, String)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish()
}
