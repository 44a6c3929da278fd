//! What people do on Gitea's own pages: sign in, agree, change their minds

use anyhow::{Context, ensure};
use url::Url;

use super::{Gitea, User};
use crate::browser::{Browser, Page};

/// Where somebody's grants are listed
const APPLICATIONS: &str = "/user/settings/applications";

/// What somebody answers when Gitea asks whether an application may act for them
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes
    Agree,
    /// No
    Refuse,
}

/// Somebody's standing agreement with an application
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The application's number
    pub application: i64,
    /// The grant's own number
    pub id: i64,
}

impl Gitea {
    /// A browser that reaches this Gitea, with nobody signed in
    #[must_use]
    pub fn browser(&self) -> Browser {
        Browser::over(self.wire())
    }

    /// Sign in through the login page
    pub async fn sign_in(&self, browser: &mut Browser, user: &User) -> anyhow::Result<()> {
        let page = browser.open(&self.url("/user/login")?).await?;
        let answer = fill_in_login(browser, &page, user).await?;
        browser.follow(answer).await?;
        Ok(())
    }

    /// Open an authorization URL, sign in where asked, and decide where asked
    ///
    /// Returns the redirect towards the application, which [`Page::location`] reads and
    /// [`Browser::follow`] goes on with. Somebody who agreed before is not asked again.
    pub async fn authorize(
        &self,
        browser: &mut Browser,
        user: &User,
        url: &Url,
        decision: Decision,
    ) -> anyhow::Result<Page> {
        let page = browser.get(url).await?;
        self.decide(browser, user, page, decision).await
    }

    /// Go on from a redirect to the authorization URL, as [`Gitea::authorize`] does
    pub async fn decide(
        &self,
        browser: &mut Browser,
        user: &User,
        page: Page,
        decision: Decision,
    ) -> anyhow::Result<Page> {
        let mut page = self.follow_here(browser, page).await?;
        if page.form_with("user_name").is_ok() {
            let answer = fill_in_login(browser, &page, user).await?;
            page = self.follow_here(browser, answer).await?;
        }
        if page.location()?.is_none() {
            let form = page.form_with("granted")?;
            let granted = if decision == Decision::Agree {
                "true"
            } else {
                "false"
            };
            let answer = browser.submit(&form.press("granted", granted)).await?;
            page = self.follow_here(browser, answer).await?;
        }
        let leads_away = page.location()?.is_some();
        ensure!(
            leads_away,
            "{} didn't lead to the application: {}",
            page.url,
            page.status
        );
        Ok(page)
    }

    /// The grants of whoever is signed in
    pub async fn grants(&self, browser: &mut Browser) -> anyhow::Result<Vec<Grant>> {
        let page = browser.open(&self.url(APPLICATIONS)?).await?;
        ensure!(page.url.path() == APPLICATIONS, "nobody is signed in");
        let tags = page.tags();
        let links = tags.iter().filter_map(|tag| tag.get("data-url"));
        Ok(links.filter_map(grant).collect())
    }

    /// Take a grant back, as the button on the settings page does
    pub async fn revoke_grant(&self, browser: &mut Browser, grant: &Grant) -> anyhow::Result<()> {
        let path = format!(
            "{APPLICATIONS}/oauth2/{}/revoke/{}",
            grant.application, grant.id
        );
        let answer = browser.post(&self.url(&path)?, &[]).await?;
        ensure!(answer.status.is_success(), "{path}: {}", answer.status);
        let left = self.grants(browser).await?;
        ensure!(!left.contains(grant), "the grant is still there");
        Ok(())
    }

    async fn follow_here(&self, browser: &mut Browser, page: Page) -> anyhow::Result<Page> {
        let here = self.base.origin();
        browser
            .follow_while(page, |next| next.origin() == here)
            .await
    }
}

async fn fill_in_login(browser: &mut Browser, page: &Page, user: &User) -> anyhow::Result<Page> {
    let form = page.form_with("user_name")?;
    let form = form
        .set("user_name", &user.name)
        .set("password", &user.password);
    let answer = browser.submit(&form).await?;
    let moved_on = answer.location()?.context("gitea refused the password");
    moved_on.map(|_| answer)
}

/// Reads `…/oauth2/{application}/revoke/{grant}`
fn grant(link: &str) -> Option<Grant> {
    let (_, numbers) = link.split_once("/applications/oauth2/")?;
    let (application, id) = numbers.split_once("/revoke/")?;
    Some(Grant {
        application: application.parse().ok()?,
        id: id.parse().ok()?,
    })
}
