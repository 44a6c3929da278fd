//! What people do for apps and devices: install one, let one in

use anyhow::{Context, ensure};
use url::Url;

use super::person::fill_in_login;
use super::{Decision, GitHub, Person};
use crate::browser::{Browser, Page};

impl GitHub {
    /// Open an app's installation page, sign in where asked, and install it on an account
    ///
    /// Repositories are `all`, or names with commas between them. Returns the redirect to the app.
    pub async fn install_by_page(
        &self,
        browser: &mut Browser,
        person: &Person,
        url: &Url,
        (account, repositories): (&str, &str),
    ) -> anyhow::Result<Page> {
        let page = self.signed_in(browser, person, url).await?;
        let form = page.form_with("repositories")?;
        let form = form
            .set("account", account)
            .set("repositories", repositories);
        let page = browser.submit(&form.press("install", "1")).await?;
        let (url, status) = (&page.url, page.status);
        ensure!(
            page.location()?.is_some(),
            "{url} installed nothing: {status}"
        );
        Ok(page)
    }

    /// Enter the code that a device shows, and decide
    pub async fn let_device_in(
        &self,
        browser: &mut Browser,
        person: &Person,
        user_code: &str,
        decision: Decision,
    ) -> anyhow::Result<()> {
        let url = self.url("/login/device")?;
        let page = self.signed_in(browser, person, &url).await?;
        let form = page.form_with("user_code")?.set("user_code", user_code);
        let page = browser.submit(&form).await?;
        let form = page.form_with("authorize").context("the code is refused")?;
        let agreed = if decision == Decision::Agree {
            "1"
        } else {
            "0"
        };
        let page = browser.submit(&form.press("authorize", agreed)).await?;
        ensure!(page.status.is_success(), "not decided: {}", page.status);
        Ok(())
    }

    /// A page of this forge, after signing in where it asks for it
    async fn signed_in(
        &self,
        browser: &mut Browser,
        person: &Person,
        url: &Url,
    ) -> anyhow::Result<Page> {
        let page = browser.open(url).await?;
        if page.form_with("password").is_err() {
            return Ok(page);
        }
        let answer = fill_in_login(browser, &page, person).await?;
        browser.follow(answer).await
    }
}
