//! What people do on the pages: sign in, agree, change their minds

use anyhow::{Context, ensure};
use url::Url;

use super::{Decision, GitHub, Person};
use crate::browser::{Browser, Page};

impl GitHub {
    /// A browser that reaches this stand-in, with nobody signed in
    #[must_use]
    pub fn browser(&self) -> Browser {
        Browser::over(std::sync::Arc::clone(&self.inner.wire))
    }

    /// The URL of a path on the web host
    pub fn url(&self, path: &str) -> anyhow::Result<Url> {
        let url = self.web_url().join(path);
        url.with_context(|| format!("{path} makes no URL"))
    }

    /// Sign in through the login page
    pub async fn sign_in(&self, browser: &mut Browser, person: &Person) -> anyhow::Result<()> {
        let page = browser.open(&self.url("/login")?).await?;
        let answer = fill_in_login(browser, &page, person).await?;
        browser.follow(answer).await?;
        Ok(())
    }

    /// Open an authorization URL, sign in where asked, and decide where asked
    ///
    /// Returns the redirect towards the application. Somebody who agreed before is not asked
    /// again.
    pub async fn authorize(
        &self,
        browser: &mut Browser,
        person: &Person,
        url: &Url,
        decision: Decision,
    ) -> anyhow::Result<Page> {
        let page = browser.get(url).await?;
        self.decide(browser, person, page, decision).await
    }

    /// Go on from a redirect to the authorization URL, as [`GitHub::authorize`] does
    pub async fn decide(
        &self,
        browser: &mut Browser,
        person: &Person,
        page: Page,
        decision: Decision,
    ) -> anyhow::Result<Page> {
        let mut page = self.follow_here(browser, page).await?;
        if page.form_with("password").is_ok() {
            let answer = fill_in_login(browser, &page, person).await?;
            page = self.follow_here(browser, answer).await?;
        }
        if page.location()?.is_none() {
            let form = page.form_with("authorize")?;
            let agreed = if decision == Decision::Agree {
                "1"
            } else {
                "0"
            };
            let answer = browser.submit(&form.press("authorize", agreed)).await?;
            page = self.follow_here(browser, answer).await?;
        }
        let leads_away = page.location()?.is_some();
        let (url, status) = (&page.url, page.status);
        ensure!(leads_away, "{url} didn't lead to the application: {status}");
        Ok(page)
    }

    /// Take back what an app may do, as a person does on the settings page
    pub async fn revoke_grant(&self, browser: &mut Browser, client_id: &str) -> anyhow::Result<()> {
        let page = browser.open(&self.url("/settings/applications")?).await?;
        let wanted = format!("/settings/connections/applications/{client_id}/revoke");
        let form = page
            .forms()
            .into_iter()
            .find(|form| form.action.path() == wanted);
        let form = form.context("the page lists no such application")?;
        let answer = browser.submit(&form.press("revoke", "1")).await?;
        ensure!(
            answer.location()?.is_some(),
            "not revoked: {}",
            answer.status
        );
        Ok(())
    }

    async fn follow_here(&self, browser: &mut Browser, page: Page) -> anyhow::Result<Page> {
        let here = self.web_url().origin();
        browser
            .follow_while(page, |next| next.origin() == here)
            .await
    }
}

/// Send the login page's form
pub(super) async fn fill_in_login(
    browser: &mut Browser,
    page: &Page,
    person: &Person,
) -> anyhow::Result<Page> {
    let form = page.form_with("password")?;
    let form = form
        .set("login", &person.login)
        .set("password", &person.password);
    let answer = browser.submit(&form).await?;
    let moved_on = answer.location()?.context("the password is refused");
    moved_on.map(|_| answer)
}
